//! `/jobs`: a page of jobs that match the search, page after page by the engine's cursor.
//!
//! No page reads more than it shows, but for text in payloads: there it looks at a bounded number of jobs, says how far it
//! came, and goes on by a link.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Error, JobFilter, JobPage};

use super::search::{self, Search};
use crate::view::{self, count, many};
use crate::visit::{Nav, Page, Shown, Visit};

/// Rows of a page.
const ROWS: usize = 50;
/// How often the engine is asked for one page: each time it looks at up to a thousand jobs.
const CALLS: usize = 10;

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let search = Search::parse(visit.query.exact("q").unwrap_or_default());
    let filter = search.filter()?;
    let found = find(visit, filter).await?;
    let body = html! {
        h1 { "Jobs" }
        (search.chips(visit))
        @if found.jobs.is_empty() { (nothing(visit, &search, &found)) }
        @else { (view::jobs::table(&visit.app, &found.jobs, visit.now_ms)) }
        (paging(visit, &found))
    };
    Ok(Page::new("Jobs", Nav::Jobs, body).into())
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
    let first = visit.query.clone().without(&["after", "done"]);
    html! {
        p.paging {
            @if visit.query.get("after").is_some() {
                a.button href=(visit.app.url_with("/jobs", &first)) data-test-first { "First page" } " "
            }
            @if let Some(cursor) = &found.cursor {
                a.button href=(visit.app.url_with("/jobs", &first.with("after", cursor.clone()))) rel="next" data-test-next {
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
