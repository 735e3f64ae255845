//! `/queues`: every queue, page after page by name.

use maud::html;
use queue_core::engine::EngineExt;
use queue_core::model::Error;

use crate::query::Query;
use crate::view;
use crate::visit::{Nav, Page, Shown, Visit};

/// Rows of a page.
const ROWS: u32 = 100;

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let app = &*visit.app;
    let after = visit.query.get("after").map(str::to_owned);
    let first = after.is_none();
    let page = app.engine.queues(after.clone(), ROWS).await?;
    let lately = view::queues::activity(&*app.engine, after, ROWS).await?;
    let body = html! {
        h1 { "Queues" }
        @if page.queues.is_empty() && first { (view::queues::none()) }
        @else { (view::queues::table(app, &page.queues.iter().collect::<Vec<_>>(), &lately, None)) }
        p.paging {
            @if !first { a.button href=(app.url("/queues")) data-test-first { "First page" } " " }
            @if let Some(cursor) = page.cursor {
                a.button href=(app.url_with("/queues", &Query::default().with("after", cursor))) rel="next" data-test-next {
                    "Next page"
                }
            }
        }
    };
    Ok(Page::new("Queues", Nav::Queues, body).into())
}
