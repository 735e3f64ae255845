//! `/jobs` and `/dead`: a page of jobs that match the search, page after page by the engine's cursor.
//!
//! No page reads more than it shows, but for text in payloads: there it looks at a bounded number of jobs, says how far it
//! came, and goes on by a link.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{BulkVerb, Error, JobFilter, JobPage, JobState};

use super::search::{self, Search};
use super::{operations, selected};
use crate::access::Role;
use crate::app::App;
use crate::live::{Since, Topic};
use crate::query::Query;
use crate::view::{self, count, many};
use crate::visit::{Nav, Page, Shown, Visit};

/// Rows of a page.
const ROWS: usize = selected::MOST;
/// How often the engine is asked for one page: each time it looks at up to a thousand jobs.
const CALLS: usize = 10;

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let search = Search::parse(visit.query.exact("q").unwrap_or_default());
    let filter = search.filter(visit.now_ms)?;
    let newest = visit.query.get("after").is_none();
    let since = if newest { Some(Since::now(&visit.app, &filter).await?) } else { None };
    let found = find(visit, filter.clone()).await?;
    let body = html! {
        div.actions {
            h1 { "Jobs" }
            // Beside the title, so that nothing moves when the page's stream puts something there.
            @if since.is_some() {
                span role="status" { a #new.button href=(visit.here()) data-test-live="new" data-test-new {} }
            }
        }
        (search.tabs(visit))
        (search.chips(visit))
        (bulk(visit, &search, &filter))
        @if found.jobs.is_empty() { (nothing(visit, &search, &found)) }
        @else { (selected::list(visit, &found.jobs, &verbs(visit.access.role, &filter))) }
        (paging(visit, &found))
    };
    let page = Page::new("Jobs", Nav::Jobs, body);
    Ok(since.into_iter().fold(page, |page, since| page.live(Topic::New(since))).into())
}

/// What the list's rows do not have yet; nothing moves under who reads them.
pub(crate) async fn news(app: &App, since: &Since) -> Result<Markup, Error> {
    let (came, all) = since.news(app).await?;
    Ok(html! {
        @if came > 0 && all { (count(came)) " new — show" }
        @else if came > 0 { (many(came, "job")) " came since, of any kind — look again" }
    })
}

/// The dead jobs alone.
pub(crate) async fn dead(visit: &Visit) -> Result<Shown, Error> {
    let search = Search::parse(visit.query.exact("q").unwrap_or_default()).only(JobState::Dead.as_str());
    let filter = search.filter(visit.now_ms)?;
    let found = find(visit, filter.clone()).await?;
    let q = search.others();
    let body = html! {
        h1 { "Dead letters" }
        p.dim { "Jobs that were given up. Each says why; run them again once the cause is mended, or remove them." }
        form.search role="search" method="get" action=(visit.app.url("/dead")) data-test-form="search-dead" {
            label.unseen for="search-dead" { "Search dead letters" }
            input #search-dead type="search" name="q" value=(q) autocomplete="off" spellcheck="false"
                placeholder="since:1h queue:emails reason:exhausted text";
        }
        (bulk(visit, &search, &filter))
        @if found.jobs.is_empty() && found.cursor.is_none() {
            @if q.is_empty() { (view::empty("No job is dead", &html! { p { "Nothing was given up." } })) }
            @else { (view::empty("Nothing matches", &html! {
                p { "No dead job matches this search. " a href=(visit.app.url("/dead")) { "Look at all dead jobs" } "." }
            })) }
        } @else if !found.jobs.is_empty() { (selected::list(visit, &found.jobs, &verbs(visit.access.role, &filter))) }
        (paging(visit, &found))
    };
    Ok(Page::new("Dead letters", Nav::Dead, body).into())
}

/// A page of jobs: as many calls as it takes to fill it, within bounds.
async fn find(visit: &Visit, filter: JobFilter) -> Result<JobPage, Error> {
    let mut found = JobPage { cursor: visit.query.get("after").map(str::to_owned), ..JobPage::default() };
    for _ in 0..CALLS {
        let left = u32::try_from(ROWS - found.jobs.len()).unwrap_or(1);
        let mut page = visit.app.engine.jobs(filter.clone(), found.cursor.take(), left).await?;
        found.jobs.append(&mut page.jobs);
        found.looked_at += page.looked_at;
        found.cursor = page.cursor;
        if found.jobs.len() >= ROWS || found.cursor.is_none() {
            break;
        }
    }
    Ok(found)
}

/// What a role can do with jobs that a filter finds.
fn verbs(role: Role, filter: &JobFilter) -> Vec<BulkVerb> {
    let any = |fits: fn(JobState) -> bool| filter.states.is_empty() || filter.states.iter().any(|state| fits(*state));
    let fits = |verb: &BulkVerb| match verb {
        BulkVerb::Retry => any(JobState::is_done),
        BulkVerb::Promote => any(|state| state == JobState::Delayed),
        BulkVerb::Cancel => any(|state| !state.is_done()),
        BulkVerb::Remove => role >= Role::Admin && any(|state| state != JobState::Active),
    };
    let all = [BulkVerb::Retry, BulkVerb::Promote, BulkVerb::Cancel, BulkVerb::Remove];
    all.into_iter().filter(|verb| role >= Role::Operator && fits(verb)).collect()
}

/// What can be done with all that match, each with a preview.
fn bulk(visit: &Visit, search: &Search, filter: &JobFilter) -> Markup {
    let verbs = verbs(visit.access.role, filter);
    let q = search.to_string();
    html! {
        @if !search.is_empty() && filter.contains.is_none() && !verbs.is_empty() {
            div.actions {
                span.dim { "All that match:" }
                @for verb in verbs {
                    a.button href=(operations::preview_url(&visit.app, verb.as_str(), &q)) data-test-bulk=(verb) {
                        (operations::label(verb).to_lowercase()) " …"
                    }
                }
            }
        }
    }
}

fn nothing(visit: &Visit, search: &Search, found: &JobPage) -> Markup {
    let all = visit.app.url("/jobs");
    if found.cursor.is_some() {
        return view::empty("Nothing found so far", &html! { p { "There are more jobs to look at: go on below." } });
    }
    if search.is_empty() {
        let next = html! { p { "Add one: " code { "longshore enqueue demo hello '{\"name\": \"Ann\"}'" } } };
        return view::empty("There are no jobs yet", &next);
    }
    let next = html! {
        p { "No job matches this search. Take a part of it away above, or " a href=(all) { "look at all jobs" } "." }
        (search::help())
    };
    view::empty("Nothing matches", &next)
}

fn paging(visit: &Visit, found: &JobPage) -> Markup {
    let first: Query = visit.query.clone().without(&["after", "done"]);
    html! {
        p.paging {
            @if visit.query.get("after").is_some() {
                a.button href=(visit.app.url_with(&visit.path, &first)) data-test-first { "First page" } " "
            }
            @if let Some(cursor) = &found.cursor {
                a.button href=(visit.app.url_with(&visit.path, &first.with("after", cursor.clone()))) rel="next" data-test-next {
                    @if found.jobs.len() < ROWS { "Go on looking" } @else { "Next page" }
                } " "
            }
            span.dim data-test-looked {
                (many(found.jobs.len() as u64, "job")) " shown"
                @if found.looked_at > found.jobs.len() as u64 { ", " (count(found.looked_at)) " looked at" }
                @if found.cursor.is_none() { "; there are no more" }
            }
        }
    }
}
