//! `/events`: what happens, the newest first, as it happens; by queue, job and kind; and what was, as far as it is kept.

use maud::{Markup, html};
use queue_core::engine::EVENT_KINDS;
use queue_core::model::Error;

use crate::app::App;
use crate::live::{EventFilter, Found, ROWS, Row, Seen, Topic, find};
use crate::query::Query;
use crate::view::events::{self as view, GROUPS};
use crate::view::{bytes, count, empty, jobs, many, queues, time};
use crate::visit::{Nav, Page, Shown, Visit};

/// A link to the events of one queue or job.
pub(crate) fn link(app: &App, name: &str, value: &str) -> Markup {
    let query = Query::default().with(name, value);
    html! { a href=(app.url_with("/events", &query)) data-test-link="events" { "Events of this " (name) } }
}

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let app = &*visit.app;
    let filter = EventFilter::of(&visit.query)?;
    let before = visit.query.get("before").map(str::to_owned);
    let live = before.is_none();
    let body = html! {
        h1 { "Events" }
        (tabs(app, &filter))
        (form(app, &filter))
        @if live {
            // Script shows the button.
            p { button #pause type="button" hidden aria-pressed="false" data-test-button="pause-events" { "Pause" } }
            div #events data-test-live="events" { (list(app, &filter, &app.live.feed.newest(app, &filter, true).await?, true, visit.now_ms)) }
        } @else {
            (list(app, &filter, &find(&*app.engine, &filter, before).await?, false, visit.now_ms))
        }
    };
    let page = Page::new("Events", Nav::Events, body);
    Ok(if live { page.live(Topic::Events(filter)) } else { page }.into())
}

/// What is kept up to date.
pub(crate) async fn region(app: &App, filter: &EventFilter) -> Result<Markup, Error> {
    let found = app.live.feed.newest(app, filter, false).await?;
    Ok(list(app, filter, &found, true, app.now_ms()))
}

fn tabs(app: &App, filter: &EventFilter) -> Markup {
    let kinds = [None].into_iter().chain(GROUPS.map(|(group, _)| Some(group)));
    html! {
        nav.tabs aria-label="Kinds of events" {
            @for event in kinds {
                @let to = EventFilter { event, ..filter.clone() };
                a href=(app.url_with("/events", &to.query())) aria-current=[(filter.event == event).then_some("true")]
                    data-test-tab=(event.unwrap_or("all")) { (event.unwrap_or("all")) }
            }
        }
    }
}

fn form(app: &App, filter: &EventFilter) -> Markup {
    let option = |name: &str| html! { option value=(name) selected[filter.event == Some(name)] { (name) } };
    html! {
        form.actions method="get" action=(app.url("/events")) data-test-form="filter-events" {
            label { "Queue " input name="queue" value=[filter.queue.as_deref()] autocomplete="off" spellcheck="false"; }
            label { "Job " input name="job" size="10" inputmode="numeric" value=[filter.job.map(|job| job.0)] autocomplete="off"; }
            label { "Kind " select name="event" {
                option value="" { "all" }
                @for (group, _) in GROUPS { (option(group)) }
                @for kind in EVENT_KINDS { (option(kind)) }
            } }
            button type="submit" data-test-button="filter-events" { "Show" }
        }
    }
}

fn list(app: &App, filter: &EventFilter, found: &Found, live: bool, now_ms: u64) -> Markup {
    html! {
        @if found.rows.is_empty() { (nothing(app, filter, found)) } @else { (table(app, found, now_ms)) }
        p.paging {
            @if !live {
                a.button href=(app.url_with("/events", &filter.query())) data-test-first { "The newest" } " "
            }
            @if let Some(before) = &found.before {
                a.button href=(app.url_with("/events", &filter.query().with("before", before.clone()))) rel="next" data-test-next {
                    @if found.rows.len() < ROWS { "Go on looking" } @else { "Further back" }
                } " "
            }
            span.dim data-test-looked {
                (many(found.rows.len() as u64, "row"))
                @if found.gone > 0 { "; " span data-test-more { (count(found.gone)) } " more have come since, further back" }
                @if found.skipped > 0 { "; skipped " span data-test-skipped { (count(found.skipped)) } " that came faster than anybody reads" }
                @if found.rows.len() < ROWS {
                    ", " (many(found.looked_at, "event")) " looked at"
                    @if let Some(at) = found.back_to_ms { ", the oldest " (time::ago(at, now_ms)) }
                }
                @if found.before.is_none() { "; nothing older is kept" }
            }
        }
    }
}

fn nothing(app: &App, filter: &EventFilter, found: &Found) -> Markup {
    if found.before.is_some() {
        return empty("Nothing found so far", &html! { p { "There are older events to look at: go on below." } });
    }
    if *filter == EventFilter::default() {
        return empty("Nothing has happened yet", &html! { p { "Whatever happens to jobs and queues is told here." } });
    }
    let all = app.url("/events");
    empty(
        "Nothing matches",
        &html! { p { "No event that is kept is like this. " a href=(all) { "Look at all events" } "." } },
    )
}

fn table(app: &App, found: &Found, now_ms: u64) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Events" {
            table.rows data-test-events {
                thead { tr { th { "When" } th { "Event" } th.number { "Job" } th { "Queue" } th { "What" } th { "Detail" } } }
                tbody { @for row in &found.rows {
                    @match row {
                        Row::Event(seen) => { (event(app, seen, now_ms)) }
                        Row::Skipped(number) => { (skipped(*number)) }
                    }
                } }
            }
        }
    }
}

fn event(app: &App, seen: &Seen, now_ms: u64) -> Markup {
    let event = &seen.event;
    html! {
        tr id=(format!("e{}", event.cursor)) data-test-event=(event.event) {
            td { (time::ago(event.at_ms, now_ms)) }
            td { (view::kind(event)) }
            td.number { @if let Some(number) = event.number { a href=(app.url(&jobs::path(number))) { (number) } } }
            td { @if let Some(queue) = &event.queue { a href=(queues::link(app, queue)) { (bytes::marked(queue)) } } }
            td.text { (view::says(seen)) }
            td { details.raw data-test-raw {
                summary { "raw" }
                pre.bytes { (bytes::marked(&serde_json::to_string_pretty(&event.detail).unwrap_or_default())) }
            } }
        }
    }
}

fn skipped(number: Option<u64>) -> Markup {
    html! {
        tr { td.dim colspan="6" {
            @match number {
                Some(number) => { "skipped " (count(number)) }
                None => { "skipped more than were counted" }
            }
            " here"
        } }
    }
}
