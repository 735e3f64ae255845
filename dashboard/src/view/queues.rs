//! A table of queues: counts by state, what happened in the last five minutes, how long the next job has waited.

use std::collections::HashMap;

use maud::{Markup, html};
use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{Activity, ActivityQuery, Error, QueueView, Step};

use super::state::{self, LOOKS};
use super::{bytes, count, spark, time};
use crate::app::App;
use crate::pages::search::qualifier;
use crate::query::{Query, segment};
use crate::stock::Sort;

/// The states that have a column.
const COLUMNS: [&str; 7] = ["waiting", "delayed", "retrying", "active", "completed", "dead", "cancelled"];

/// The path of a queue, without the base.
pub(crate) fn path(queue: &str) -> String {
    format!("/queues/{}", segment(queue))
}

/// A queue's page.
pub(crate) fn link(app: &App, queue: &str) -> String {
    app.url(&path(queue))
}

/// A queue's jobs in one state.
pub(crate) fn jobs(app: &App, queue: &str, word: &str) -> String {
    let q = format!("state:{word} {}", qualifier("queue", queue));
    app.url_with("/jobs", &Query::default().with("q", q))
}

/// Where there are no queues.
pub(crate) fn none() -> Markup {
    let next = html! { p { "A queue is made by its first job: " code { "longshore enqueue demo hello '{\"name\": \"Ann\"}'" } } };
    super::empty("There are no queues yet", &next)
}

/// Buckets of 10 s that a row draws: five minutes.
const POINTS: u32 = 30;
/// Their length in minutes.
const MINUTES: u64 = 5;

/// What the queues of a page did lately; `after` and `limit` as for the page.
pub(crate) async fn activity(engine: &dyn Engine, after: Option<String>, limit: u32) -> Result<Vec<Activity>, Error> {
    let query = ActivityQuery { queue: None, step: Step::Seconds, points: POINTS, cursor: after, limit };
    Ok(engine.activity(query).await?.rows)
}

/// A table of queues, beside what each did lately; where it can be sorted, how it is.
pub(crate) fn table(app: &App, queues: &[&QueueView], lately: &[Activity], sort: Option<Sort>) -> Markup {
    let lately: HashMap<_, _> = lately.iter().map(|row| (row.queue.as_str(), row)).collect();
    let heading = |text: Markup, word: &str| {
        let (by, now) = (Sort::parse(word).filter(|_| sort.is_some()), sort.is_some_and(|sort| sort.word() == word));
        html! {
            @match by {
                Some(by) => { a href=(app.url_with("/", &Query::default().with("sort", by.word()))) aria-current=[now.then_some("true")]
                    title=(if by == Sort::Name { "sort by name" } else { "sort, the largest first" }) data-test-sort=(by) { (text) } }
                None => (text)
            }
        }
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label="Queues" {
            table.rows data-test-queues {
                thead { tr {
                    th { (heading(html! { "Queue" }, "name")) }
                    @for look in shown() {
                        th.number { (heading(html! { (look.of_them().unwrap_or_default()) (look.word) }, look.word)) }
                    }
                    th title="completed and failed attempts in the last five minutes, by 10 s" { "last 5 min" }
                    th.number.wide title="jobs enqueued a minute, over five minutes" { "in/min" }
                    th.number.wide title="jobs completed a minute, over five minutes" { "done/min" }
                    th.number.wide title="attempts that failed or ran out, of all that ended in five minutes" { "failed" }
                    th.number.wide title="95 % of the jobs leased in five minutes had waited at most this" { "p95 wait" }
                    th.number { (heading(html! { span title="how long the job has waited that has waited longest" { "oldest" } }, "oldest")) }
                } }
                tbody { @for queue in queues { (row(app, queue, lately.get(queue.queue.as_str()).copied())) } }
            }
        }
    }
}

/// The looks that have a column.
fn shown() -> impl Iterator<Item = &'static state::Look> {
    LOOKS.iter().filter(|look| COLUMNS.contains(&look.word))
}

fn row(app: &App, view: &QueueView, lately: Option<&Activity>) -> Markup {
    html! {
        tr data-test-queue=(view.queue) {
            td { a href=(link(app, &view.queue)) { (bytes::marked(&view.queue)) }
                @if view.paused { " " (state::paused(view.pause_reason.as_deref())) } }
            @for look in shown() {
                @let number = look.count(&view.counts);
                td.number.zero[number == 0] data-test-count=(look.word) {
                    @if number == 0 { "0" } @else { a href=(jobs(app, &view.queue, look.word)) { (count(number)) } }
                }
            }
            (recent(lately))
            td.number { @if let Some(ms) = view.oldest_waiting_ms { (time::took(ms / 1_000 * 1_000)) } }
        }
    }
}

/// The cells of what happened lately.
fn recent(lately: Option<&Activity>) -> Markup {
    let Some(Activity { completed, failed, total, .. }) = lately else {
        return html! { td {} @for _ in 0..4 { td.number.wide {} } };
    };
    let counts = &total.counts;
    let wrong = counts.failed + counts.stalled;
    let title = format!("{} completed, {} failed in {MINUTES} minutes", count(counts.completed), count(wrong));
    let a_minute = |number: u64| if number > 0 && number < MINUTES { "<1".to_owned() } else { count(number / MINUTES) };
    html! {
        td { (spark::bars(&title, completed, failed)) }
        td.number.wide.zero[counts.enqueued == 0] data-test-rate="in" { (a_minute(counts.enqueued)) }
        td.number.wide.zero[counts.completed == 0] data-test-rate="done" { (a_minute(counts.completed)) }
        td.number.wide.zero[wrong == 0] data-test-rate="failed" { (percent(wrong, wrong + counts.completed)) }
        td.number.wide { @if total.wait.count > 0 { (time::took(total.wait.p95_ms)) } }
    }
}

/// A part of a whole in hundredths, rounded up, so that nothing that happened is shown as nothing.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!("{} %", (u128::from(part) * 100).div_ceil(u128::from(whole))) }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn parts_are_rounded_up_to_whole_hundredths() {
        assert_eq!(
            [percent(0, 0), percent(0, 7), percent(1, 1_000), percent(1, 2), percent(7, 7)],
            ["", "0 %", "1 %", "50 %", "100 %"].map(String::from)
        );
    }
}
