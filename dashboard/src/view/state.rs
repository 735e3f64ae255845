//! How each state looks: icon, word and colour from one table, so that none of the three ever stands alone.

use maud::{Markup, html};
use queue_core::model::{DelayCause, JobState, JobSummary, QueueCounts};

/// A state as people see it; `retrying` is a part of `delayed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The word in the search box and on the page.
    pub(crate) word: &'static str,
    icon: &'static str,
    /// The class that brings the colour.
    class: &'static str,
    state: JobState,
    cause: Option<DelayCause>,
}

const fn look(word: &'static str, icon: &'static str, class: &'static str, state: JobState) -> Look {
    Look { word, icon, class, state, cause: None }
}

/// Every look, in the order of the totals.
pub(crate) const LOOKS: [Look; 8] = [
    look("waiting", "○", "s-waiting", JobState::Waiting),
    look("delayed", "◔", "s-delayed", JobState::Delayed),
    Look { cause: Some(DelayCause::Retry), ..look("retrying", "↻", "s-retrying", JobState::Delayed) },
    look("active", "▶", "s-active", JobState::Active),
    look("waiting-children", "◫", "s-children", JobState::WaitingChildren),
    look("completed", "✓", "s-completed", JobState::Completed),
    look("dead", "✕", "s-dead", JobState::Dead),
    look("cancelled", "–", "s-cancelled", JobState::Cancelled),
];

impl Look {
    /// The look behind a word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        LOOKS.into_iter().find(|look| look.word == word)
    }

    /// The look of a job.
    pub(crate) fn of(job: &JobSummary) -> Self {
        let fits = |look: &Look| look.state == job.state && look.cause == job.cause;
        let plain = |look: &Look| look.state == job.state && look.cause.is_none();
        LOOKS.into_iter().find(fits).or(LOOKS.into_iter().find(plain)).unwrap_or(LOOKS[0])
    }

    /// The state that it means, and the cause where it is only a part of one.
    pub(crate) const fn meaning(self) -> (JobState, Option<DelayCause>) {
        (self.state, self.cause)
    }

    /// What stands before the word beside the count of the whole state that this is a part of: the count has these, too.
    pub(crate) const fn of_them(self) -> Option<&'static str> {
        if self.cause.is_some() { Some("of them ") } else { None }
    }

    /// How many jobs look like this.
    pub(crate) const fn count(self, counts: &QueueCounts) -> u64 {
        match self.cause {
            Some(_) => counts.retrying,
            None => counts.of(self.state),
        }
    }

    /// The icon in its colour.
    pub(crate) fn icon(self) -> Markup {
        html! { span class=(format!("icon {}", self.class)) aria-hidden="true" { (self.icon) } }
    }

    /// The icon without its colour.
    pub(crate) fn plain_icon(self) -> Markup {
        html! { span aria-hidden="true" { (self.icon) } }
    }

    /// The classes of what looks like this.
    pub(crate) fn classes(self) -> String {
        format!("state {}", self.class)
    }

    /// Icon and word.
    pub(crate) fn badge(self) -> Markup {
        html! { span class=(format!("state {}", self.class)) data-test-state=(self.word) {
            span aria-hidden="true" { (self.icon) } " " (self.word)
        } }
    }
}

/// A job's state, with its reason where it is dead.
pub(crate) fn of_job(job: &JobSummary) -> Markup {
    html! { (Look::of(job).badge()) @if let Some(reason) = job.reason { " " span.dim { (reason) } } }
}

/// A paused queue.
pub(crate) fn paused(reason: Option<&str>) -> Markup {
    html! { span.state.s-paused title=[reason] data-test-state="paused" { span aria-hidden="true" { "‖" } " paused" } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_look() {
        for state in JobState::ALL {
            assert!(LOOKS.iter().any(|look| look.state == *state && look.word == state.as_str()), "{state}");
            assert_eq!(Look::parse(state.as_str()).map(Look::meaning), Some((*state, None)));
        }
        assert_eq!(Look::parse("retrying").map(Look::meaning), Some((JobState::Delayed, Some(DelayCause::Retry))));
        assert_eq!(Look::parse("Dead"), None);
    }
}
