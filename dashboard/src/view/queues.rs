//! A table of queues: counts by state, how long the next job has waited, and a bar of what stands in it.

use maud::{Markup, html};
use queue_core::model::QueueView;

use super::state::{self, LOOKS};
use super::{bytes, count, time};
use crate::app::App;
use crate::pages::search::qualifier;
use crate::query::{Query, segment};

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

/// A table of queues.
pub(crate) fn table(app: &App, queues: &[QueueView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Queues" {
            table.rows data-test-queues {
                thead { tr {
                    th { "Queue" }
                    @for column in COLUMNS { th.number { (column) } }
                    th.number title="how long the job that is next in line has waited" { "next waits" }
                } }
                tbody { @for queue in queues { (row(app, queue)) } }
            }
        }
    }
}

fn row(app: &App, view: &QueueView) -> Markup {
    html! {
        tr data-test-queue=(view.queue) {
            td { a href=(link(app, &view.queue)) { (bytes::marked(&view.queue)) }
                @if view.paused { " " (state::paused(view.pause_reason.as_deref())) } }
            @for look in LOOKS.iter().filter(|look| COLUMNS.contains(&look.word)) {
                @let number = look.count(&view.counts);
                td.number.zero[number == 0] data-test-count=(look.word) {
                    @if number == 0 { "0" } @else { a href=(jobs(app, &view.queue, look.word)) { (count(number)) } }
                }
            }
            td.number { @if let Some(ms) = view.next_waiting_ms { (time::took(ms / 1_000 * 1_000)) } }
        }
    }
}
