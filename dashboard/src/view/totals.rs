//! The totals, which every page has: how many jobs are in which state, each a link to them.

use maud::{Markup, html};
use queue_core::model::{Error, Stats};

use super::count;
use super::state::LOOKS;
use crate::app::App;
use crate::query::Query;

/// The bar, or why there is none.
pub(crate) fn bar(app: &App, stats: &Result<Stats, Error>) -> Markup {
    let link = |word: &str| app.url_with("/jobs", &Query::default().with("q", format!("state:{word}")));
    html! {
        @match stats {
            Err(error) => { p.notice.bad role="alert" { "no totals: " (error.message) } }
            Ok(stats) => {
                ul.totals {
                    // No job waits for children before there are flows.
                    @for look in LOOKS.iter().filter(|look| look.word != "waiting-children" || look.count(&stats.counts) > 0) {
                        li.part[look.of_them().is_some()] { a href=(link(look.word)) data-test-total=(look.word) {
                            (look.icon()) " " b { (count(look.count(&stats.counts))) } " " (look.of_them().unwrap_or_default()) (look.word)
                        } }
                    }
                }
                @if let Some(full) = stats.journal.as_ref().and_then(|journal| journal.full.as_ref()) {
                    p.notice.bad role="alert" { "The disk is full: " (full) }
                }
            }
        }
    }
}
