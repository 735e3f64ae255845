//! Jobs that are ticked one by one: a list with a box before each, a preview of what would be done with them, and what came
//! of each.
//!
//! What a job's state allows is the engine's to say: what it refuses is told job by job, and the others are done.
//! Invariant: one selection is one call of the engine, and at most a page of jobs.

use std::collections::BTreeMap;

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{BulkVerb, Command, Error, JobNumber, JobState, JobSummary, JobVerb, Word};

use super::operations::{label, verb};
use crate::query::Query;
use crate::view::form::{self, Send};
use crate::view::{self, bytes, jobs, many};
use crate::visit::{Nav, Page, Shown, Visit};

/// Most jobs of one page, and so of one selection.
pub(crate) const MOST: usize = 50;

const PATH: &str = "/jobs/selected";

/// A list of jobs, with boxes to tick where there is something to do with them.
pub(crate) fn list(visit: &Visit, found: &[JobSummary], verbs: &[BulkVerb]) -> Markup {
    let app = &*visit.app;
    if verbs.is_empty() {
        return jobs::table(app, found, visit.now_ms);
    }
    html! {
        form method="get" action=(app.url(PATH)) data-test-form="selection" {
            (form::back_to(&visit.here()))
            (jobs::table_to_select(app, found, visit.now_ms))
            div.actions {
                span.dim { "Those that are ticked:" }
                @for verb in verbs {
                    button type="submit" name="verb" value=(verb) data-test-button=(format!("selected-{verb}")) {
                        (label(*verb).to_lowercase()) " …"
                    }
                }
            }
        }
    }
}

/// The jobs that were ticked.
fn selected(given: &Query) -> Result<Vec<JobNumber>, Error> {
    let number = |text: &str| text.parse().map(JobNumber).map_err(|_| Error::bad_arg("job", text, "a job's number"));
    let mut numbers = given.all("job").map(number).collect::<Result<Vec<_>, _>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    match numbers.len() {
        1..=MOST => Ok(numbers),
        other => Err(Error::bad_arg("jobs", other, &format!("1 to {MOST} of them; tick their boxes in the list"))),
    }
}

/// What is selected as it is now, and what is gone meanwhile.
async fn look(visit: &Visit, numbers: &[JobNumber]) -> Result<(Vec<JobSummary>, Vec<JobNumber>), Error> {
    let (mut there, mut gone) = (Vec::with_capacity(numbers.len()), Vec::new());
    // One by one, since an answer has a job's whole payload.
    for number in numbers {
        match visit.app.engine.job((*number).into()).await {
            Ok(job) => there.push(job.summary),
            Err(error) if error.word == Word::NoJob => gone.push(*number),
            Err(error) => return Err(error),
        }
    }
    Ok((there, gone))
}

/// How many are in which state.
fn by_state(found: &[JobSummary]) -> String {
    let mut counts: BTreeMap<JobState, usize> = BTreeMap::new();
    for job in found {
        *counts.entry(job.state).or_default() += 1;
    }
    counts.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

pub(crate) async fn preview(visit: &Visit) -> Result<Shown, Error> {
    let (app, verb) = (&*visit.app, verb(visit, &visit.query)?);
    let (there, gone) = look(visit, &selected(&visit.query)?).await?;
    let name = label(verb);
    let danger = matches!(verb, BulkVerb::Remove | BulkVerb::Cancel);
    let fields = html! {
        input type="hidden" name="verb" value=(verb);
        @for job in &there { input type="hidden" name="job" value=(job.number.0); }
        @if verb == BulkVerb::Remove { (form::sure()) }
    };
    let back = visit.from().unwrap_or("/jobs");
    let body = html! {
        h1 { (name) ": selected jobs" }
        @if !gone.is_empty() {
            p.notice.bad data-test-gone { "Not there any more:" @for number in &gone { " " (number) } }
        }
        @if there.is_empty() {
            (view::empty("None is there any more", &html! { p { a href=(app.url(back)) { "Back" } } }))
        } @else {
            p data-test-preview {
                b { (many(there.len() as u64, "job")) } ": " (by_state(&there)) "."
                " Where a job's state does not allow it, it is left as it is, and told."
            }
            (jobs::table(app, &there, visit.now_ms))
            (form::filled(app, PATH, back, &Send { label: name, test: "selected", danger }, &fields))
        }
    };
    Ok(Page::new(format!("{name}: selected jobs"), Nav::Jobs, body).into())
}

pub(crate) async fn apply(visit: &Visit) -> Result<Shown, Error> {
    let verb = verb(visit, &visit.form)?;
    if verb == BulkVerb::Remove {
        form::require_sure(visit)?;
    }
    let numbers = selected(&visit.form)?;
    let what = match verb {
        BulkVerb::Retry => JobVerb::Retry,
        BulkVerb::Promote => JobVerb::Promote,
        BulkVerb::Cancel => JobVerb::Cancel,
        BulkVerb::Remove => JobVerb::Remove { force: false },
    };
    let commands = numbers.iter().map(|number| Command::Job { job: (*number).into(), verb: what.clone() }).collect();
    let answers = visit.app.engine.execute(&visit.context(), commands).await?;
    let answers = numbers.iter().zip(answers);
    let refused: Vec<_> = answers.filter_map(|(number, answer)| Some((*number, answer.err()?))).collect();
    if refused.is_empty() {
        return Ok(visit.back("selected", "/jobs"));
    }
    Ok(told(visit, verb, numbers.len() - refused.len(), &refused))
}

/// What came of it, where it was not done with all of them.
fn told(visit: &Visit, verb: BulkVerb, done: usize, refused: &[(JobNumber, Error)]) -> Shown {
    let app = &*visit.app;
    let body = html! {
        h1 { (label(verb)) ": not with all of them" }
        p data-test-selected-done=(done) {
            "Done with " b { (many(done as u64, "job")) } ", refused for " b { (many(refused.len() as u64, "job")) } ":"
        }
        div.scroll tabindex="0" role="region" aria-label="Refused" {
            table.rows {
                thead { tr { th.number { "Job" } th { "Why" } } }
                tbody { @for (number, error) in refused { tr data-test-refused=(number.0) {
                    td.number { a href=(app.url(&jobs::path(*number))) { (number) } }
                    td.text { (bytes::marked(&error.message)) }
                } } }
            }
        }
        p { a.button href=(app.url(visit.from().unwrap_or("/jobs"))) data-test-link="back" { "Back" } }
    };
    Page::new(format!("{}: selected jobs", label(verb)), Nav::Jobs, body).into()
}
