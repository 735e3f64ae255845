//! A job's payload and priority, changed: the form, a look at what differs, and then the change; a dead job is run again
//! with it.
//!
//! Invariants: no payload is stored whose difference was not shown, nor over one that was not the one in the form; a
//! change and the run after it are one command, so that neither happens without the other.

use bytes::Bytes;
use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Edit, Error, Job, JobState, JobVerb, Word, fragment};

use super::job_forms::{self, Above, sum, typed_payload};
use crate::view::diff;
use crate::view::form::Send;
use crate::view::jobs;
use crate::visit::{Shown, Visit};

pub(crate) async fn form(visit: &Visit) -> Result<Shown, Error> {
    let job = job_forms::job(visit).await?;
    let priority = job.summary.priority.to_string();
    Ok(page(visit, &job, &job_forms::payload(&job), (&priority, true), &Above::default()))
}

/// The form with these: payload, priority and whether to run it again.
fn page(visit: &Visit, job: &Job, payload: &Markup, filled: (&str, bool), above: &Above<'_>) -> Shown {
    let (priority, retry) = filled;
    let dead = job.summary.state == JobState::Dead;
    let fields = html! {
        (payload)
        label for="priority" { "Priority" }
        input #priority name="priority" inputmode="numeric" value=(priority);
        @if dead { span {} label {
            input type="checkbox" name="retry" value="yes" checked[retry] data-test-retry; " and run it again"
        } }
    };
    let label = if dead { "Edit and retry" } else { "Edit" };
    job_forms::page_below(visit, job, "edit", &Send { label, test: "edit", danger: false }, &fields, above)
}

pub(crate) async fn save(visit: &Visit) -> Result<Shown, Error> {
    let number = visit.job()?;
    let job = visit.app.engine.job(number.into()).await?;
    let payload = typed_payload(visit, &job)?.filter(|payload| *payload != job.payload);
    let priority = priority(visit)?.filter(|priority| *priority != job.summary.priority);
    let retry = visit.form.get("retry") == Some("yes");
    if let Some(payload) = payload.as_ref().filter(|payload| visit.form.get("reviewed") != Some(&sum(payload))) {
        return review(visit, &job, payload, retry).await;
    }
    let edits = payload.is_some() || priority.is_some();
    let verb = match (edits, retry) {
        (true, _) => JobVerb::Edit(Edit { payload, priority, retry }),
        (false, true) => JobVerb::Retry,
        (false, false) => return Ok(visit.to(&jobs::path(number), "unchanged")),
    };
    visit.app.engine.job_verb(&visit.context(), number.into(), verb).await?;
    let done = match (edits, retry) {
        (true, true) => "edited-retried",
        (true, false) => "edited",
        (false, _) => "retried",
    };
    Ok(visit.to(&jobs::path(number), done))
}

/// What would change, above the form as it was filled in: nothing is stored yet.
async fn review(visit: &Visit, job: &Job, payload: &Bytes, retry: bool) -> Result<Shown, Error> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let (old, new) = (text(&job.payload), text(payload));
    // It may take a while of a processor's time, which others are not to wait for.
    let shown = tokio::task::spawn_blocking(move || diff::between(&old, &new)).await;
    let shown = shown.map_err(|error| Error::new(Word::Err, fragment(&error)))?;
    let shown = html! {
        section data-test-review {
            h2 { "What would change" }
            (shown)
            p { "Nothing is changed yet: look at it, then press the button again. What is typed below can still be changed." }
        }
    };
    let field = html! {
        (job_forms::payload_field(&text(payload), &sum(&job.payload)))
        input type="hidden" name="reviewed" value=(sum(payload));
    };
    let given = |name| visit.form.get(name).unwrap_or_default();
    let above = Above { shown: Some(shown), reason: given("reason") };
    Ok(page(visit, job, &field, (given("priority"), retry), &above))
}

fn priority(visit: &Visit) -> Result<Option<i64>, Error> {
    let Some(text) = visit.form.get("priority") else { return Ok(None) };
    let allowed = "an integer from -1000 to 1000";
    text.parse().map(Some).map_err(|_| Error::bad_arg("priority", text, allowed))
}
