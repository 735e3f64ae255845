//! The forms for what is done with a job by more than a button: each a page of its own, which nothing live moves under
//! whoever fills it in.

use bytes::Bytes;
use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Error, Job, JobState, Word};

use crate::view::form::{self, Send};
use crate::view::{bytes as shown, jobs, state, time};
use crate::visit::{Nav, Page, Shown, Visit};

/// Longest payload that is edited in a browser.
const EDITED: usize = shown::SHOWN;

pub(super) async fn job(visit: &Visit) -> Result<Job, Error> {
    visit.app.engine.job(visit.job()?.into()).await
}

/// A page with one form about a job.
fn page(visit: &Visit, job: &Job, verb: &str, send: &Send<'_>, fields: &Markup) -> Shown {
    page_below(visit, job, verb, send, fields, &Above::default())
}

/// What stands above a form that was sent and comes back, and the reason that was typed in it.
#[derive(Default)]
pub(super) struct Above<'a> {
    pub(super) shown: Option<Markup>,
    pub(super) reason: &'a str,
}

/// A page with one form about a job, below something else.
pub(super) fn page_below(
    visit: &Visit,
    job: &Job,
    verb: &str,
    send: &Send<'_>,
    fields: &Markup,
    above: &Above<'_>,
) -> Shown {
    let summary = &job.summary;
    let path = jobs::path(summary.number);
    let body = html! {
        h1 { (send.label) ": job " (summary.number) }
        p { (shown::marked(&summary.name)) " in " (shown::marked(&summary.queue)) ", " (state::of_job(summary)) }
        @if let Some(shown) = &above.shown { (shown) }
        (form::filled_for(&visit.app, &format!("{path}/{verb}"), &path, send, fields, above.reason))
    };
    Page::new(format!("{} job {}", send.label, summary.number), Nav::Jobs, body).into()
}

pub(crate) async fn reschedule(visit: &Visit) -> Result<Shown, Error> {
    let job = job(visit).await?;
    let due = job.summary.at_ms.filter(|_| job.summary.state == JobState::Delayed);
    let fields = html! {
        label for="delay" { "In" }
        input #delay name="delay" placeholder="30s, 5m, 2h, 1d";
        label for="at" { "or at (UTC)" }
        input #at name="at" placeholder=(time::instant(due.unwrap_or(visit.now_ms)));
    };
    let send = Send { label: "Reschedule", test: "reschedule", danger: false };
    Ok(page(visit, &job, "reschedule", &send, &fields))
}

pub(crate) async fn duplicate(visit: &Visit) -> Result<Shown, Error> {
    let job = job(visit).await?;
    let fields = html! {
        (payload(&job))
        span {} span.dim { "The copy has the same name, queue, options, tags and headers; no id, no delay and no expiry." }
    };
    Ok(page(visit, &job, "duplicate", &Send { label: "Duplicate", test: "duplicate", danger: false }, &fields))
}

pub(crate) async fn cancel(visit: &Visit) -> Result<Shown, Error> {
    let job = job(visit).await?;
    let fields = html! {
        @if job.summary.state == JobState::Active {
            span {} span { "It runs: its handler is told to stop, and a completion that still arrives wins." }
        }
    };
    Ok(page(visit, &job, "cancel", &Send { label: "Cancel", test: "cancel", danger: true }, &fields))
}

pub(crate) async fn remove(visit: &Visit) -> Result<Shown, Error> {
    let job = job(visit).await?;
    let fields = html! {
        @if job.summary.state == JobState::Active {
            span {} label { input type="checkbox" name="force" value="yes" data-test-force;
                " also while it runs: what its worker says of it then is refused" }
        }
        (form::sure())
    };
    Ok(page(visit, &job, "remove", &Send { label: "Remove", test: "remove", danger: true }, &fields))
}

/// The payload to change, or why it can't be here.
pub(super) fn payload(job: &Job) -> Markup {
    match typed(&job.payload) {
        Ok(text) => payload_field(text, &sum(&job.payload)),
        Err(why) => html! {
            span { "Payload" }
            span.dim { "stays as it is: " (why) "; " code { "longshore job edit " (job.summary.number.0) } " can change it" }
        },
    }
}

/// The field of a payload, beside what tells which payload it is to replace.
pub(super) fn payload_field(text: &str, seen: &str) -> Markup {
    html! {
        label for="payload" { "Payload" }
        // A browser leaves out the first line end of what is typed into.
        textarea #payload name="payload" spellcheck="false" data-test-payload { "\n" (text) }
        input type="hidden" name="seen" value=(seen);
    }
}

/// A payload that comes back from a form as it went in; or why one would not.
fn typed(payload: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(payload).map_err(|_| "it is no text")?;
    match text {
        _ if text.len() > EDITED => Err("it is longer than 64 KiB"),
        _ if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') => Err("it has control characters"),
        _ => Ok(text),
    }
}

/// The payload that was typed, unless the form had none; refused where the job's has changed since the form was shown.
pub(super) fn typed_payload(visit: &Visit, job: &Job) -> Result<Option<Bytes>, Error> {
    let Some(typed) = visit.form.exact("payload") else { return Ok(None) };
    let seen = visit.form.get("seen").unwrap_or_default();
    if seen != sum(&job.payload) {
        let number = job.summary.number;
        return Err(Error::new(
            Word::State,
            format!("the payload of job {number} has changed since the form was shown"),
        ));
    }
    // Browsers send every line end as two characters; what had others is never shown in a form.
    Ok(Some(Bytes::from(typed.replace("\r\n", "\n"))))
}

/// What tells one payload from another.
pub(crate) fn sum(payload: &[u8]) -> String {
    format!("{:08x}-{}", crc32c::crc32c(payload), payload.len())
}
