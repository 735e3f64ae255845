//! `/queues/{queue}`: what stands in a queue, and every setting with its source.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Effective, Error, QueueView, SettingSource, typed};

use crate::app::App;
use crate::live::Topic;
use crate::view::state::{self, LOOKS};
use crate::view::{bytes, count, queues, time};
use crate::visit::{Nav, Page, Shown, Visit};

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let name = visit.segment("queue");
    let view = visit.app.engine.queue(name).await?;
    let body = html! {
        h1 { "Queue " (bytes::marked(name)) }
        div #queue data-test-live="queue" { (live(&visit.app, &view)) }
        section { h2 { "Settings" } (settings(&view.settings)) }
    };
    Ok(Page::new(format!("Queue {name}"), Nav::Overview, body).live(Topic::Queue(name.to_owned())).into())
}

/// What is kept up to date.
pub(crate) async fn region(app: &App, queue: &str) -> Result<Markup, Error> {
    Ok(live(app, &app.engine.queue(queue).await?))
}

fn live(app: &App, view: &QueueView) -> Markup {
    html! {
        @if view.paused {
            p { (state::paused(None)) " " (bytes::marked(view.pause_reason.as_deref().unwrap_or("no reason was given"))) }
        }
        dl.facts {
            @for look in LOOKS.iter().filter(|look| look.word != "waiting-children") {
                div {
                    dt { (look.badge()) }
                    dd data-test-count=(look.word) { a href=(queues::jobs(app, &view.queue, look.word)) {
                        (count(look.count(&view.counts)))
                    } }
                }
            }
            div { dt { "ever enqueued" } dd { (count(view.counts.enqueued)) } }
            div { dt { "removed" } dd { (count(view.counts.removed)) } }
            div { dt { "aged out" } dd { (count(view.counts.aged_out)) } }
            @if let Some(ms) = view.next_waiting_ms {
                div { dt { "next in line waits" } dd { (time::took(ms / 1_000 * 1_000)) } }
            }
        }
    }
}

fn settings(settings: &[Effective]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Settings" {
            table.rows data-test-settings {
                thead { tr { th { "Setting" } th { "Value" } th { "Set by" } } }
                tbody { @for setting in settings { tr data-test-setting=(setting.setting) {
                    @let (name, value) = typed::show(setting);
                    td { (name) } td { code { (value) } } td { (source(&setting.source)) }
                } } }
            }
        }
    }
}

fn source(source: &SettingSource) -> Markup {
    match source {
        SettingSource::Default => html! { span.dim { "default" } },
        SettingSource::Config => html! { "the server's file" },
        SettingSource::Queue(actor) => html! { (bytes::marked(actor)) },
    }
}
