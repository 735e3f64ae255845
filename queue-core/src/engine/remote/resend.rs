//! Sending again what lost its reply: which commands may be, those that, done twice, leave what doing them once leaves;
//! for how long; and what a caller is told where it did not help.
//!
//! Invariant: only of a call that changes nothing, and of one that no server had, is it said that nothing was done.

use std::time::Duration;

use tokio::time::Instant;

use super::link::Pauses;
use crate::model::{Command, Error, Word};

/// How long a call is sent again for, after its reply was lost.
const RESEND_FOR: Duration = Duration::from_secs(5);

/// What a lost reply means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The call changes nothing: it is sent again.
    Reads,
    /// Done twice it leaves what done once it leaves: it is sent again.
    Repeats,
    /// Only its caller can know whether to ask again.
    Writes,
    /// As `Writes`; jobs may be leased that nobody knows of.
    Leases,
    /// As `Writes`; it may also still be under way.
    Backup,
}

impl Asked {
    /// What a call of these commands is.
    pub(super) fn by(commands: &[Command]) -> Self {
        match () {
            () if commands.iter().all(Command::reads) => Self::Reads,
            () if commands.iter().all(is_safe) => Self::Repeats,
            () => Self::Writes,
        }
    }

    /// Whether it is sent again.
    pub(super) fn again(self) -> bool {
        matches!(self, Self::Reads | Self::Repeats)
    }

    /// What the caller is told whose reply was `lost` for good.
    pub(super) fn answer(self, lost: &Error) -> Error {
        let hint = match self {
            Self::Reads => return lost.clone(),
            Self::Repeats | Self::Writes => "it may or may not be stored; send it again where every job has an id",
            Self::Backup => "the backup may be under way, made or not: look where the server keeps its backups",
            Self::Leases => {
                "jobs may be leased; they come back when this worker connects again, or their leases run out"
            }
        };
        Error::new(Word::Unknown, format!("{}: {hint}", lost.message))
    }
}

/// How long and how often one call is sent again.
#[derive(Debug, Default)]
pub(super) struct Resending {
    /// The first loss, and until when another try is made.
    lost: Option<(Error, Instant)>,
    pauses: Pauses,
}

impl Resending {
    /// The reply was lost. Time counts from the first loss: a server that only ever shakes hands is not asked for ever,
    /// nor for a reply that nobody can read.
    pub(super) fn lost(&mut self, error: &Error) {
        self.lost.get_or_insert_with(|| (error.clone(), Instant::now() + RESEND_FOR));
    }

    /// As [`Self::lost`], for a call that waits: where the server let it wait for long, it works, and this is its first loss.
    pub(super) fn lost_waiting_since(&mut self, asked: Instant, error: &Error) {
        if asked.elapsed() >= RESEND_FOR {
            *self = Self::default();
        }
        self.lost(error);
    }

    /// The first loss, if there was one.
    pub(super) fn loss(&self) -> Option<&Error> {
        self.lost.as_ref().map(|(error, _)| error)
    }

    /// Pauses before another try; `false` if there is none to make: nothing was lost, or that is too long ago.
    pub(super) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        let Some((_, until)) = self.lost.as_ref().filter(|(_, until)| now < *until) else { return false };
        tokio::time::sleep_until((now + self.pauses.next()).min(*until)).await;
        true
    }
}

/// Whether a command may be sent again.
fn is_safe(command: &Command) -> bool {
    match command {
        // The second time each id is known, and answers its number.
        Command::Enqueue { jobs, .. } => jobs.iter().all(|job| job.options.id.is_some()),
        // A settlement that counted answers `already`. Not so what was leased beside it: those jobs would wait for their
        // leases to run out, a stall each. Told `UNKNOWN`, the worker beats first, and that gives them back.
        Command::Settle { then_lease, .. } => then_lease.is_none(),
        Command::Extend { .. } | Command::Progress { .. } => true,
        command => command.reads(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobOptions, LeaseOrder, NewJob};

    fn lost(text: &str) -> Error {
        Error::new(Word::Unreachable, text)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_sent_again_for_five_seconds_from_its_first_loss() {
        let begun = Instant::now();
        let mut resending = Resending::default();
        assert!(!resending.pause().await, "nothing was lost yet");
        // However long the call was under way before.
        tokio::time::advance(RESEND_FOR * 2).await;
        let mut tries = 0;
        resending.lost(&lost("first"));
        while resending.pause().await {
            tries += 1;
            resending.lost(&lost("another"));
        }
        assert_eq!(begun.elapsed(), RESEND_FOR * 3, "the last try is made when the time is over");
        assert!((5..20).contains(&tries), "{tries}");
        assert_eq!(resending.loss(), Some(&lost("first")));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_let_wait_long_is_asked_again_whatever_was_lost_before() {
        let mut resending = Resending::default();
        resending.lost_waiting_since(Instant::now(), &lost("at once"));
        while resending.pause().await {}
        let asked = Instant::now();
        resending.lost_waiting_since(asked, &lost("at once again"));
        assert!(!resending.pause().await);
        tokio::time::advance(RESEND_FOR).await;
        resending.lost_waiting_since(asked, &lost("after a wait"));
        assert!(resending.pause().await);
    }

    #[test]
    fn only_what_changed_nothing_is_told_so() {
        let pause = Command::Pause { queue: "q".into() };
        assert_eq!(Asked::by(&[Command::Stats]), Asked::Reads);
        assert_eq!(Asked::by(&[Command::Stats, pause]), Asked::Writes);
        let settle = Command::Settle { settlements: Vec::new(), then_lease: None };
        assert_eq!(Asked::by(&[Command::Stats, settle]), Asked::Repeats);
        let word = |asked: Asked| asked.answer(&lost("gone")).word;
        assert_eq!(word(Asked::Reads), Word::Unreachable);
        assert_eq!([Asked::Repeats, Asked::Writes, Asked::Leases, Asked::Backup].map(word), [Word::Unknown; 4]);
    }

    #[test]
    fn an_enqueue_is_safe_where_every_job_has_an_id() {
        let with = NewJob::new("n", "").with(JobOptions { id: Some("a".into()), ..JobOptions::default() });
        let without = NewJob::new("n", "");
        let enqueue = |jobs: &[&NewJob]| Command::Enqueue {
            queue: "q".into(),
            jobs: jobs.iter().map(|&job| job.clone()).collect(),
        };
        assert!(is_safe(&enqueue(&[&with])) && is_safe(&enqueue(&[&with, &with])));
        assert!(!is_safe(&enqueue(&[&with, &without])) && !is_safe(&enqueue(&[&without])));
        let order = LeaseOrder { queues: vec!["q".into()], limit: 1, worker: "w".into(), lease_ms: None };
        let settle = |then_lease| Command::Settle { settlements: Vec::new(), then_lease };
        assert!(is_safe(&settle(None)) && !is_safe(&settle(Some(order))));
        assert!(!is_safe(&Command::Pause { queue: "q".into() }) && is_safe(&Command::Stats));
    }
}
