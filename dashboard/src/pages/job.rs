//! `/jobs/{job}`: where a job is and why, every lease of its life, its log, its payload and result.

use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{EndedLease, Error, Job, JobNumber, LeaseOutcome, LogPage, LogSource, Word};

use crate::access::Role;
use crate::app::App;
use crate::live::Topic;
use crate::pages::{events, job_actions};
use crate::view::{bytes as shown, jobs, many, queues, state, time};
use crate::visit::{Nav, Page, Shown, Visit};

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let number = visit.job()?;
    let job = visit.app.engine.job(number.into()).await?;
    let log = log(&visit.app, &job).await?;
    let body = html! {
        h1 { "Job " (number) }
        div #job data-test-live="job" { (live(&visit.app, visit.access.role, &job, &log, visit.now_ms)) }
        p { (events::link(&visit.app, "job", &number.0.to_string())) }
        section { h2 { "Payload" } (shown::value(&job.payload, &place(&visit.app, &job, "payload", visit.query.get("whole") == Some("payload")))) }
        @if !job.headers.is_empty() {
            section { h2 { "Headers" } dl.facts {
                @for (name, text) in &job.headers { dt { (shown::marked(name)) } dd { (shown::marked(text)) } }
            } }
        }
    };
    Ok(Page::new(format!("Job {number}"), Nav::Jobs, body).live(Topic::Job(number)).into())
}

/// The payload's bytes, as they are.
pub(crate) async fn payload(visit: &Visit) -> Result<Shown, Error> {
    let job = visit.app.engine.job(visit.job()?.into()).await?;
    Ok(download(&job, "payload", job.payload.clone()))
}

/// The result's bytes, as they are.
pub(crate) async fn result(visit: &Visit) -> Result<Shown, Error> {
    let job = visit.app.engine.job(visit.job()?.into()).await?;
    let number = job.summary.number;
    let none = || Error::new(Word::State, format!("job {number} is {}; it has no result", job.summary.state));
    Ok(download(&job, "result", job.result.clone().ok_or_else(none)?))
}

/// Bytes that a browser keeps in a file and never shows as a page.
fn download(job: &Job, what: &str, bytes: Bytes) -> Shown {
    let name = format!("attachment; filename=\"job-{}-{what}\"", job.summary.number.0);
    let headers = [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Shown::Other((headers, bytes).into_response())
}

/// What is kept up to date, for a role.
pub(crate) async fn region(app: &App, number: JobNumber, role: Role) -> Result<Markup, Error> {
    let job = app.engine.job(number.into()).await?;
    let log = log(app, &job).await?;
    Ok(live(app, role, &job, &log, app.now_ms()))
}

async fn log(app: &App, job: &Job) -> Result<LogPage, Error> {
    if job.log_lines == 0 { Ok(LogPage::default()) } else { app.engine.job_log(job.summary.number.into(), 0).await }
}

fn live(app: &App, role: Role, job: &Job, log: &LogPage, now_ms: u64) -> Markup {
    html! {
        (facts(app, job, now_ms))
        (job_actions::buttons(app, role, job))
        (timeline(job, now_ms))
        @if let Some(progress) = &job.progress {
            section { h2 { "Progress" } pre.bytes data-test-bytes="progress" { (text(progress)) } }
        }
        @if let Some(result) = &job.result {
            section { h2 { "Result" } (shown::value(result, &place(app, job, "result", false))) }
        }
        (lines(log))
    }
}

fn text(value: &[u8]) -> Markup {
    std::str::from_utf8(value).map_or_else(|_| html! { "no text, " (many(value.len() as u64, "byte")) }, shown::marked)
}

fn facts(app: &App, job: &Job, now_ms: u64) -> Markup {
    let summary = &job.summary;
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    html! {
        dl.facts {
            (fact("State", html! { (state::of_job(summary)) @if job.cancel_requested { " " span.warn { "cancel asked for" } } }))
            (fact("Queue", html! { a href=(queues::link(app, &summary.queue)) { (shown::marked(&summary.queue)) } }))
            (fact("Name", shown::marked(&summary.name)))
            @if let Some(id) = &summary.id { (fact("Id", html! { code { (shown::marked(id)) } })) }
            (fact("Tries", html! { (summary.attempt) " of " (summary.attempts)
                @if job.round > 1 { ", round " (job.round) } @if job.stalls > 0 { ", stalled " (job.stalls) } }))
            (fact("Priority", html! { (summary.priority) }))
            (fact("Enqueued", time::ago(summary.enqueued_at_ms, now_ms)))
            @if summary.at_ms.is_some() { (fact("When", jobs::when(summary, now_ms))) }
            @if let Some(ms) = job.timeout_ms { (fact("Timeout", html! { (time::took(ms)) })) }
            @if let Some(at) = job.expires_at_ms { (fact("Dies unstarted", time::ago(at, now_ms))) }
            @if !summary.tags.is_empty() { (fact("Tags", html! {
                @for tag in &summary.tags { span.tag { (shown::marked(tag)) } " " } })) }
        }
    }
}

/// Every lease, with how long the job waited before it and how long it ran.
fn timeline(job: &Job, now_ms: u64) -> Markup {
    html! {
        section {
            h2 { "Timeline" }
            @if job.leases.is_empty() { p.dim data-test-empty { "No worker has had it yet." } }
            @if job.leases_left_out > 0 { p.dim { (job.leases_left_out) " leases between are not kept." } }
            ol.timeline data-test-timeline {
                @for (lease, ready_at) in job.leases.iter().zip(ready_times(job)) {
                    @let waited = lease.leased_at_ms.saturating_sub(ready_at);
                    @let ran = lease.ended_at_ms.unwrap_or(now_ms).saturating_sub(lease.leased_at_ms);
                    (row(lease, waited, ran, now_ms))
                }
            }
        }
    }
}

/// From when on the job waited for each lease: its enqueue, then the end of the lease before.
fn ready_times(job: &Job) -> impl Iterator<Item = u64> {
    let ends = job.leases.iter().map(|lease| lease.ended_at_ms.unwrap_or(lease.leased_at_ms));
    std::iter::once(job.summary.enqueued_at_ms).chain(ends)
}

fn row(lease: &EndedLease, waited: u64, ran: u64, now_ms: u64) -> Markup {
    let (class, icon) = match lease.outcome {
        LeaseOutcome::Running => ("s-active", "▶"),
        LeaseOutcome::Completed => ("s-completed", "✓"),
        LeaseOutcome::Failed | LeaseOutcome::Expired => ("s-dead", "✕"),
        LeaseOutcome::Released | LeaseOutcome::Snoozed => ("s-delayed", "◔"),
    };
    html! {
        li data-test-lease=(lease.lease) {
            p {
                span class=(format!("state {class}")) { span aria-hidden="true" { (icon) } " " (lease.outcome) }
                " attempt " (lease.attempt) @if lease.round > 1 { " of round " (lease.round) }
                " by " code { (shown::marked(&lease.worker)) } ", " (time::ago(lease.leased_at_ms, now_ms))
                span.dim { ", waited " (time::took(waited)) ", ran " (time::took(ran)) }
            }
            (bar(waited, ran, class))
            @if let Some(error) = &lease.error {
                p.dim { @if let Some(kind) = &lease.error_kind { (shown::marked(kind)) } }
                pre.bytes.error data-test-error { (shown::marked(error)) }
            }
        }
    }
}

/// How much of the time was waiting and how much running, as a picture beside the numbers.
fn bar(waited: u64, ran: u64, class: &str) -> Markup {
    // Widths by the thousand, in integers: at least 1 for what took any time at all.
    let whole = (u128::from(waited) + u128::from(ran)).max(1);
    let part = (u128::from(waited) * 1_000 / whole) as u32;
    html! {
        svg.bar viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.waited width=(part) height="8" {}
            rect class=(class) x=(part) width=(1_000 - part) height="8" {}
        }
    }
}

fn lines(log: &LogPage) -> Markup {
    html! {
        @if !log.lines.is_empty() {
            section {
                h2 { "Log" }
                @if log.first > 0 { p.dim { (log.first) " earlier lines are not kept." } }
                pre.bytes.log tabindex="0" data-test-log {
                    @for line in &log.lines {
                        span.err[line.source == LogSource::Err] { (shown::marked(&line.text)) } "\n"
                    }
                }
            }
        }
    }
}

fn place(app: &App, job: &Job, what: &'static str, whole: bool) -> shown::Place<'static> {
    let path = jobs::path(job.summary.number);
    let all = crate::query::Query::default().with("whole", what);
    shown::Place { what, download: app.url(&format!("{path}/{what}")), all: app.url_with(&path, &all), whole }
}
