//! A list of jobs: one dense row each.

use maud::{Markup, html};
use queue_core::model::{JobState, JobSummary};

use super::{bytes, queues, state, time};
use crate::app::App;
use crate::query::Query;

/// The path of a job, without the base.
pub(crate) fn path(number: queue_core::model::JobNumber) -> String {
    format!("/jobs/{}", number.0)
}

/// A table of jobs.
pub(crate) fn table(app: &App, jobs: &[JobSummary], now_ms: u64) -> Markup {
    rows(app, jobs, now_ms, false)
}

/// As [`table`], with a box to tick before each job.
pub(crate) fn table_to_select(app: &App, jobs: &[JobSummary], now_ms: u64) -> Markup {
    rows(app, jobs, now_ms, true)
}

fn rows(app: &App, jobs: &[JobSummary], now_ms: u64, boxes: bool) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Jobs" {
            table.rows data-test-jobs {
                thead { tr {
                    // Script shows the box for all of them.
                    @if boxes { th { input #all type="checkbox" hidden aria-label="all on this page" data-test-all; } }
                    th.number { "Job" } th { "State" } th { "Queue" } th { "Name" } th.number { "Tries" } th { "When" }
                    th.wide { "Id, tags" } th { "Last error" }
                } }
                tbody { @for job in jobs { (row(app, job, now_ms, boxes)) } }
            }
        }
    }
}

fn row(app: &App, job: &JobSummary, now_ms: u64, boxes: bool) -> Markup {
    let only = |word: &str, value: &str| {
        app.url_with("/jobs", &Query::default().with("q", crate::pages::search::qualifier(word, value)))
    };
    html! {
        tr data-test-job=(job.number.0) {
            @if boxes { td { input type="checkbox" name="job" value=(job.number.0) aria-label=(format!("job {}", job.number)); } }
            td.number { a href=(app.url(&path(job.number))) { (job.number) } }
            td { (state::of_job(job)) }
            td { a href=(queues::link(app, &job.queue)) { (bytes::marked(&job.queue)) } }
            td { a href=(only("name", &job.name)) { (bytes::marked(&job.name)) } }
            td.number { (job.attempt) "/" (job.attempts) }
            td { (when(job, now_ms)) }
            td.wide { @if let Some(id) = &job.id { code { (bytes::marked(id)) } " " }
                @for tag in &job.tags { a.tag href=(only("tag", tag)) { (bytes::marked(tag)) } " " } }
            td.text { @if let Some(error) = &job.error { (bytes::marked(first_line(error))) } }
        }
    }
}

/// The time that matters in a job's state, and what it is the time of.
pub(crate) fn when(job: &JobSummary, now_ms: u64) -> Markup {
    let (what, at_ms) = match (job.state, job.at_ms) {
        (JobState::Delayed, Some(at)) => ("due ", at),
        (JobState::Active, Some(at)) => ("lease ends ", at),
        (_, Some(at)) => ("", at),
        (_, None) => ("since ", job.enqueued_at_ms),
    };
    html! { @if !what.is_empty() { span.dim { (what) } } (time::ago(at_ms, now_ms)) }
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}
