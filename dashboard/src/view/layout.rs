//! The frame around every page: totals, navigation, search, footer, and the one connection that keeps it up to date.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use queue_core::model::{Error, Stats};

use super::{form, time, totals};
use crate::app::App;
use crate::assets;
use crate::live::Topic;
use crate::pages::login;
use crate::pages::theme::{self, Theme};
use crate::visit::{Nav, Page, Visit};

/// What htmx may do: swap what comes over the one connection. It evaluates nothing and keeps no history.
const HTMX: &str =
    r#"{"extensions":"sse","history":false,"includeIndicatorCSS":false,"mode":"same-origin","defaultSwap":"none"}"#;

/// Name, path, and the key behind `g` that leads there.
const NAV: [(Nav, &str, &str, &str); 8] = [
    (Nav::Overview, "Overview", "/", "o"),
    (Nav::Queues, "Queues", "/queues", "q"),
    (Nav::Jobs, "Jobs", "/jobs", "j"),
    (Nav::Errors, "Errors", "/errors", "e"),
    (Nav::Dead, "Dead letters", "/dead", "d"),
    (Nav::Workers, "Workers", "/workers", "w"),
    (Nav::Events, "Events", "/events", "v"),
    (Nav::Operations, "Operations", "/operations", "p"),
];

/// A whole page as an answer.
pub(crate) async fn page(visit: &Visit, status: StatusCode, page: Page) -> Response {
    let stats = visit.stats().await;
    let app = &*visit.app;
    let inner = html! {
        (header(visit, page.nav))
        div #totals data-test-live="totals" { (totals::bar(app, &stats)) }
        div #live-note aria-live="polite" {}
        main #main { (form::done(visit)) (page.body) }
        (footer(visit, &stats))
        (help())
        (connection(app, &page.live))
    };
    let whole = document(app, Theme::of(&visit.headers), &page.title, page.charts, &inner);
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], whole.into_string()).into_response()
}

/// A page outside of everything, for whoever is not let in.
pub(crate) fn outside(app: &App, headers: &HeaderMap, status: StatusCode, title: &str, body: &Markup) -> Response {
    let whole = document(app, Theme::of(headers), title, false, &html! { main #main { (body) } });
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], whole.into_string()).into_response()
}

fn document(app: &App, theme: Theme, title: &str, charts: bool, inner: &Markup) -> Markup {
    let asset = |name: &str| app.url(&assets::path(name));
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme.word()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content=(theme.scheme());
                meta name="htmx-config" content=(HTMX);
                title { (title) " · Longshore" }
                link rel="icon" type="image/svg+xml" href=(asset("icon.svg"));
                link rel="stylesheet" href=(asset("app.css"));
                // htmx looks at the page as soon as it is there, and must know its extension by then: these two do not wait.
                @for script in ["htmx.js", "hx-sse.js"] { script src=(asset(script)) {} }
                script src=(asset("app.js")) defer {}
                @if charts {
                    link rel="stylesheet" href=(asset("uplot.css"));
                    @for script in ["uplot.js", "chart.js"] { script src=(asset(script)) defer {} }
                }
            }
            body { a.skip href="#main" { "To the content" } (inner) }
        }
    }
}

fn header(visit: &Visit, at: Nav) -> Markup {
    let app = &*visit.app;
    html! {
        header.top {
            a.brand href=(app.url("/")) { "Longshore" }
            nav aria-label="Pages" {
                @for (nav, name, path, key) in NAV {
                    a href=(app.url(path)) data-key=(key) aria-current=[(nav == at).then_some("page")]
                        data-test-nav=(name) { (name) }
                }
            }
            form.search role="search" method="get" action=(app.url("/jobs")) data-test-form="search" {
                label.unseen for="search" { "Search jobs" }
                input #search type="search" name="q" autocomplete="off" spellcheck="false"
                    value=[visit.query.get("q")] placeholder="state:dead queue:emails text …  ( / )";
            }
            (login::who(visit))
            (theme::switch(visit))
        }
    }
}

fn footer(visit: &Visit, stats: &Result<Stats, Error>) -> Markup {
    html! {
        footer {
            @match stats {
                Ok(stats) => {
                    span data-test-engine { "engine " b { (stats.engine) } }
                    span title="when an acknowledged job is on disk" { "fsync " b { (stats.fsync) } }
                    @if stats.engine == "memory" { span.warn { "nothing survives a restart" } }
                    span { "version " (stats.version) }
                }
                Err(error) => span.warn { "engine: " (error.word) }
            }
            span { "clock " time.clock datetime=(time::instant(visit.now_ms)) { (time::instant(visit.now_ms)) } }
            span { kbd { "?" } " keys" }
        }
    }
}

/// The keys; script opens it at `?`.
fn help() -> Markup {
    let key = |keys: &str, what: &str| html! { tr { td { kbd { (keys) } } td { (what) } } };
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            table {
                (key("/", "search"))
                @for (_, name, _, letter) in NAV { (key(&format!("g {letter}"), name)) }
                (key("?", "this list"))
                (key("Esc", "close, leave the search"))
            }
            form method="dialog" data-test-form="close-keys" { button data-test-button="close-keys" { "Close" } }
        }
    }
}

/// The one connection of a page.
fn connection(app: &App, live: &[Topic]) -> Markup {
    let topics: Vec<_> = std::iter::once(&Topic::Totals).chain(live).map(Topic::to_string).collect();
    let query = crate::query::Query::default().with("topics", topics.join(","));
    let path = app.url_with("/live", &query);
    html! { div #live hx-sse:connect=(path) hx-swap="none" data-test-live="connection" {} }
}
