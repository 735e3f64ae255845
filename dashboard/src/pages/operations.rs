//! `/operations`: what is done with many jobs at once. First a preview of what it would concern, then a reason and a
//! confirmation, then a page that shows how far it is.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{
    BulkVerb, Error, JobFilter, JobSummary, Limits, OperationNumber, OperationState, OperationView, QueueCounts, Word,
};

use super::search::{self, Search};
use crate::access::Role;
use crate::app::App;
use crate::live::Topic;
use crate::query::Query;
use crate::view::form::{self, Send};
use crate::view::{self, bytes, count, many, time};
use crate::visit::{Nav, Page, Shown, Visit};

/// Jobs shown as a sample.
const SAMPLE: u32 = 10;
/// Most pages of jobs that are counted for a preview.
const PAGES: usize = 5;

/// Where an operation is looked at before it is begun.
pub(crate) fn preview_url(app: &App, verb: &str, q: &str) -> String {
    app.url_with("/operations/new", &Query::default().with("verb", verb).with("q", q))
}

/// What a verb is called on a button.
pub(crate) const fn label(verb: BulkVerb) -> &'static str {
    match verb {
        BulkVerb::Promote => "Run now",
        BulkVerb::Cancel => "Cancel",
        BulkVerb::Retry => "Run again",
        BulkVerb::Remove => "Remove",
    }
}

/// The verb that was named, if the role may have it.
pub(crate) fn verb(visit: &Visit, given: &Query) -> Result<BulkVerb, Error> {
    let word = given.get("verb").unwrap_or_default();
    let words: Vec<_> = BulkVerb::ALL.iter().map(|verb| verb.as_str()).collect();
    let verb = BulkVerb::parse(word).ok_or_else(|| Error::bad_arg("verb", word, &words.join(", ")))?;
    if verb == BulkVerb::Remove {
        visit.access.require(Role::Admin, "removing jobs")?;
    }
    Ok(verb)
}

pub(crate) async fn preview(visit: &Visit) -> Result<Shown, Error> {
    let app = &*visit.app;
    let verb = verb(visit, &visit.query)?;
    let q = visit.query.exact("q").unwrap_or_default();
    let fixed = Search::parse(q).fixed(visit.now_ms);
    let filter = fixed.filter(visit.now_ms)?;
    // It is to concern what is shown here, also if it is begun later.
    let meant = fixed.to_string();
    if filter.contains.is_some() {
        let message = "an operation takes qualifiers alone: a search for text looks at a part of the jobs at a time";
        return Err(Error::new(Word::BadArg, message));
    }
    let exact = exactly(app, &filter).await?;
    let found = counted(app, &filter, exact).await?;
    let name = label(verb);
    let danger = matches!(verb, BulkVerb::Remove | BulkVerb::Cancel);
    let fields = html! {
        input type="hidden" name="verb" value=(verb);
        input type="hidden" name="q" value=(meant);
        @if verb == BulkVerb::Remove { (form::sure()) }
    };
    let back = visit.app.url_with("/jobs", &Query::default().with("q", q));
    let back = back.strip_prefix(app.base.as_str()).unwrap_or("/jobs");
    let body = html! {
        h1 { (name) ": many jobs" }
        p data-test-preview {
            @if !found.all { "Of the first " (many(found.looked_at, "job")) " that were looked at " }
            b { (many(found.number, "job")) } @if found.number == 1 { " matches " } @else { " match " }
            code { (if meant.is_empty() { "every job" } else { meant.as_str() }) } "."
            " It concerns the jobs that match when it begins; those that its verb does not fit are left as they are."
        }
        @if found.sample.is_empty() && found.all { (view::empty("None is there now", &html! { p { "There is nothing to do." } })) }
        @else { (view::jobs::table(app, &found.sample, visit.now_ms)) p.dim { "A sample, at most " (SAMPLE) " of them." } }
        (form::filled(app, "/operations", back, &Send { label: name, test: "operation", danger }, &fields))
    };
    Ok(Page::new(format!("{name}: many jobs"), Nav::Operations, body).into())
}

/// What a preview shows of what matches.
#[derive(Default)]
struct Found {
    sample: Vec<JobSummary>,
    number: u64,
    /// Whether that is the number of all; else of those that were looked at.
    all: bool,
    looked_at: u64,
}

/// A sample of what matches, and how many do: `exact`, if the counts said so, else as many as a few pages have.
async fn counted(app: &App, filter: &JobFilter, exact: Option<u64>) -> Result<Found, Error> {
    let (pages, rows) = if exact.is_some() { (1, SAMPLE) } else { (PAGES, Limits::PAGE_ROWS) };
    let (mut found, mut cursor) = (Found::default(), None);
    for _ in 0..pages {
        let page = app.engine.jobs(filter.clone(), cursor, rows).await?;
        found.number += page.jobs.len() as u64;
        found.looked_at += page.looked_at;
        let missing = SAMPLE as usize - found.sample.len();
        found.sample.extend(page.jobs.into_iter().take(missing));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    found.all = exact.is_some() || cursor.is_none();
    found.number = exact.unwrap_or(found.number);
    Ok(found)
}

/// How many jobs match, where the counts say so: by queue and state alone.
async fn exactly(app: &App, filter: &JobFilter) -> Result<Option<u64>, Error> {
    let rest = JobFilter { queue: None, states: Vec::new(), cause: None, ..filter.clone() };
    if rest != JobFilter::default() || filter.states.is_empty() {
        return Ok(None);
    }
    let counts: QueueCounts = match &filter.queue {
        Some(queue) => app.engine.queue(queue).await?.counts,
        None => app.engine.stats().await?.counts,
    };
    let retrying = filter.cause.map(|_| counts.retrying);
    let mut states = filter.states.clone();
    states.sort_unstable();
    states.dedup();
    Ok(Some(retrying.unwrap_or_else(|| states.iter().map(|state| counts.of(*state)).sum())))
}

pub(crate) async fn start(visit: &Visit) -> Result<Shown, Error> {
    let verb = verb(visit, &visit.form)?;
    if verb == BulkVerb::Remove {
        form::require_sure(visit)?;
    }
    let filter = Search::parse(visit.form.exact("q").unwrap_or_default()).filter(visit.now_ms)?;
    let operation = visit.app.engine.start_operation(&visit.context(), verb, filter).await?;
    Ok(Shown::Back(visit.app.url(&path(operation.operation))))
}

fn path(number: OperationNumber) -> String {
    format!("/operations/{}", number.0)
}

fn number(visit: &Visit) -> Result<OperationNumber, Error> {
    let text = visit.segment("operation");
    text.parse().map(OperationNumber).map_err(|_| Error::bad_arg("operation", text, "an operation's number"))
}

pub(crate) async fn one(visit: &Visit) -> Result<Shown, Error> {
    let number = number(visit)?;
    let body = html! {
        h1 { "Operation " (number) }
        div #operation data-test-live="operation" { (region(&visit.app, number, visit.access.role).await?) }
    };
    Ok(Page::new(format!("Operation {number}"), Nav::Operations, body).live(Topic::Operation(number)).into())
}

/// What is kept up to date, for a role.
pub(crate) async fn region(app: &App, number: OperationNumber, role: Role) -> Result<Markup, Error> {
    let operation = app.engine.operation(number).await?;
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    let path = path(number);
    let running = operation.state == OperationState::Running;
    let took = operation.ended_at_ms.unwrap_or(app.now_ms()).saturating_sub(operation.started_at_ms);
    Ok(html! {
        dl.facts {
            (fact("State", html! { b data-test-operation=(operation.state) { (operation.state) } }))
            (fact("Does", html! { (label(operation.verb)) ": " (filter_link(app, &operation)) }))
            (fact("Looked at", html! { (count(operation.looked_at)) }))
            (fact("Changed", html! { span data-test-changed { (count(operation.changed)) } }))
            (fact("By", bytes::marked(&operation.actor)))
            (fact("Reason", bytes::marked(&operation.reason)))
            (fact("Began", time::ago(operation.started_at_ms, app.now_ms())))
            (fact("Took", html! { (time::took(if running { took / 1_000 * 1_000 } else { took })) }))
        }
        @if running && role >= Role::Operator {
            div.actions { (form::button(app, &format!("{path}/cancel"), &path, "Stop it here", "cancel-operation")) }
        }
    })
}

fn filter_link(app: &App, operation: &OperationView) -> Markup {
    let q = search::written(&operation.filter);
    let shown = if q.is_empty() { "every job" } else { q.as_str() };
    html! { a href=(app.url_with("/jobs", &Query::default().with("q", q.clone()))) { (bytes::marked(shown)) } }
}

pub(crate) async fn cancel(visit: &Visit) -> Result<Shown, Error> {
    let number = number(visit)?;
    visit.app.engine.cancel_operation(&visit.context(), number).await?;
    Ok(Shown::Back(visit.app.url(&path(number))))
}

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let app = &*visit.app;
    let operations = app.engine.operations().await?;
    let body = html! {
        h1 { "Operations" }
        @if operations.is_empty() {
            (view::empty("Nothing was done with many jobs yet", &html! {
                p { "Search for " a href=(app.url("/jobs")) { "jobs" } ", then choose what to do with all that match." }
            }))
        } @else { (table(visit, &operations)) }
    };
    Ok(Page::new("Operations", Nav::Operations, body).into())
}

fn table(visit: &Visit, operations: &[OperationView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Operations" {
            table.rows data-test-operations {
                thead { tr {
                    th.number { "No." } th { "State" } th { "Does" } th.number { "Changed" } th { "Began" } th { "By" } th { "Reason" }
                } }
                tbody { @for operation in operations { tr {
                    td.number { a href=(visit.app.url(&path(operation.operation))) { (operation.operation) } }
                    td { (operation.state) }
                    td { (label(operation.verb)) ": " (filter_link(&visit.app, operation)) }
                    td.number { (count(operation.changed)) }
                    td { (time::ago(operation.started_at_ms, visit.now_ms)) }
                    td { (bytes::marked(&operation.actor)) }
                    td.text { (bytes::marked(&operation.reason)) }
                } } }
            }
        }
    }
}
