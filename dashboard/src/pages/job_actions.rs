//! What can be done with a job: the buttons that its state allows, and the handlers behind them.
//!
//! What is allowed is the engine's to say; the buttons only do not offer what it would refuse.

use std::sync::Arc;

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::give_ids;
use queue_core::model::{Command, Error, Job, JobOptions, JobState, JobVerb, NewJob, Reply, When, Word, duration};

use super::job_forms::typed_payload;
use crate::access::Role;
use crate::app::App;
use crate::view::{form, jobs};
use crate::visit::{Shown, Visit};

/// The buttons and links that the job's state and the role allow.
pub(crate) fn buttons(app: &App, role: Role, job: &Job) -> Markup {
    let path = jobs::path(job.summary.number);
    let button = |verb: &str, label: &str| form::button(app, &format!("{path}/{verb}"), &path, label, verb);
    let link = |verb: &str, label: &str| {
        html! { a.button href=(app.url(&format!("{path}/{verb}"))) data-test-link=(verb) { (label) " …" } }
    };
    let state = job.summary.state;
    html! {
        @if role >= Role::Operator {
            div.actions {
                @if state.is_done() { (button("retry", "Retry")) }
                @if state == JobState::Delayed { (button("promote", "Run now")) }
                @if matches!(state, JobState::Waiting | JobState::Delayed) { (link("reschedule", "Reschedule")) }
                @if editable(state) { (link("edit", if state == JobState::Dead { "Edit and retry" } else { "Edit" })) }
                @if !state.is_done() { (link("cancel", "Cancel")) }
                (link("duplicate", "Duplicate"))
                @if role >= Role::Admin { (link("remove", "Remove")) }
            }
        }
    }
}

/// Where payload and priority can be changed.
fn editable(state: JobState) -> bool {
    !matches!(state, JobState::Active | JobState::Completed | JobState::Cancelled)
}

/// Carries out a verb and goes back to the page of the form.
async fn act(visit: &Visit, verb: JobVerb, done: &str) -> Result<Shown, Error> {
    let number = visit.job()?;
    visit.app.engine.job_verb(&visit.context(), number.into(), verb).await?;
    Ok(visit.back(done, &jobs::path(number)))
}

pub(crate) async fn retry(visit: &Visit) -> Result<Shown, Error> {
    act(visit, JobVerb::Retry, "retried").await
}

pub(crate) async fn promote(visit: &Visit) -> Result<Shown, Error> {
    act(visit, JobVerb::Promote, "promoted").await
}

pub(crate) async fn reschedule(visit: &Visit) -> Result<Shown, Error> {
    let given = |name| visit.form.get(name);
    let when = match (given("delay"), given("at")) {
        (Some(delay), None) => When::DelayMs(duration::parse_ms("delay", delay)?),
        (None, Some(at)) => When::RunAtMs(instant(at)?),
        (Some(_), Some(at)) => return Err(Error::bad_arg("at", at, "either a delay or a time, not both")),
        (None, None) => return Err(Error::bad_arg("delay", "", "a delay such as 5m, or a time")),
    };
    act(visit, JobVerb::Reschedule(when), "rescheduled").await
}

/// A time in UTC, as it is shown.
fn instant(text: &str) -> Result<u64, Error> {
    let time = text.parse::<jiff::Timestamp>().ok();
    let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    ms.ok_or_else(|| Error::bad_arg("at", text, "a time such as 2026-12-01T10:00:00Z"))
}

pub(crate) async fn cancel(visit: &Visit) -> Result<Shown, Error> {
    let number = visit.job()?;
    let (_, state) = visit.app.engine.job_verb(&visit.context(), number.into(), JobVerb::Cancel).await?;
    let done = if state == JobState::Active { "cancelling" } else { "cancelled" };
    Ok(visit.back(done, &jobs::path(number)))
}

pub(crate) async fn duplicate(visit: &Visit) -> Result<Shown, Error> {
    let job = visit.app.engine.job(visit.job()?.into()).await?;
    let payload = typed_payload(visit, &job)?.unwrap_or_else(|| job.payload.clone());
    let options = JobOptions {
        priority: Some(job.summary.priority),
        attempts: Some(u64::from(job.summary.attempts)),
        backoff: Some(job.backoff),
        timeout_ms: Some(job.timeout_ms.unwrap_or(0)),
        keep_ms: job.keep_ms,
        tags: job.summary.tags.clone(),
        headers: job.headers.clone(),
        ..JobOptions::default()
    };
    let mut copies = [NewJob { name: job.summary.name.clone(), payload, options: Arc::new(options) }];
    give_ids(&*visit.app.engine, &mut copies);
    let command = Command::Enqueue { queue: job.summary.queue.clone(), jobs: copies.into() };
    match visit.app.engine.one(&visit.context(), command).await? {
        Reply::Enqueued(enqueued) => {
            let copy = enqueued.first().map_or(job.summary.number, |copy| copy.number);
            Ok(visit.to(&jobs::path(copy), "duplicated"))
        }
        _ => Err(Error::new(Word::Err, "the engine's reply does not belong to the command")),
    }
}

pub(crate) async fn remove(visit: &Visit) -> Result<Shown, Error> {
    form::require_sure(visit)?;
    let number = visit.job()?;
    let force = visit.form.get("force") == Some("yes");
    visit.app.engine.job_verb(&visit.context(), number.into(), JobVerb::Remove { force }).await?;
    Ok(visit.to("/jobs", "removed"))
}
