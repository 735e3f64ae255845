//! `/queues/{queue}`: what stands in a queue and who works on it, and every setting with its source.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Effective, Error, QueueView, WorkerView, typed};

use super::{events, queue_actions, series, workers};
use crate::access::Role;
use crate::app::App;
use crate::crew::Crew;
use crate::live::Topic;
use crate::view::state::{self, LOOKS};
use crate::view::{bytes, count, many, queues, time};
use crate::visit::{Nav, Page, Shown, Visit};

/// Most workers that a queue's page names.
const WORKERS: usize = 50;

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let name = visit.segment("queue");
    let view = visit.app.engine.queue(name).await?;
    let crew = Crew::of(&visit.app).await?;
    let body = html! {
        h1 { "Queue " (bytes::marked(name)) }
        div #queue data-test-live="queue" { (live(&visit.app, &view, &crew, visit.now_ms)) }
        (series::section(visit).await?)
        p { (events::link(&visit.app, "queue", name)) }
        (queue_actions::pause_form(visit, &view))
        (queue_actions::bulk_links(visit, name))
        section {
            h2 { "Settings" }
            @if visit.access.role >= Role::Admin { (queue_actions::settings_form(visit, &view)) }
            @else { (settings(&view.settings)) }
        }
    };
    Ok(Page::new(format!("Queue {name}"), Nav::Queues, body).live(Topic::Queue(name.to_owned())).charts().into())
}

/// What is kept up to date.
pub(crate) async fn region(app: &App, queue: &str) -> Result<Markup, Error> {
    let view = app.engine.queue(queue).await?;
    Ok(live(app, &view, &*Crew::of(app).await?, app.now_ms()))
}

fn live(app: &App, view: &QueueView, crew: &Crew, now_ms: u64) -> Markup {
    html! {
        @if view.paused {
            p { (state::paused(None)) " " (bytes::marked(view.pause_reason.as_deref().unwrap_or("no reason was given"))) }
        }
        dl.facts {
            @for look in LOOKS.iter().filter(|look| look.word != "waiting-children") {
                div {
                    dt { (look.of_them().unwrap_or_default()) (look.badge()) }
                    dd data-test-count=(look.word) { a href=(queues::jobs(app, &view.queue, look.word)) {
                        (count(look.count(&view.counts)))
                    } }
                }
            }
            div { dt { "ever enqueued" } dd { (count(view.counts.enqueued)) } }
            div { dt { "removed" } dd { (count(view.counts.removed)) } }
            div { dt { "aged out" } dd { (count(view.counts.aged_out)) } }
            @if let Some(ms) = view.oldest_waiting_ms {
                div { dt { "oldest waits" } dd { (time::took(ms / 1_000 * 1_000)) } }
            }
        }
        (serving(app, crew, &view.queue, now_ms))
    }
}

/// Who serves the queue.
fn serving(app: &App, crew: &Crew, queue: &str, now_ms: u64) -> Markup {
    let workers = crew.serving(queue);
    let more = workers.len().saturating_sub(WORKERS) as u64;
    html! {
        section {
            h2 { "Workers" }
            @if !crew.all {
                p.warn { "Only the first " (count(crew.len() as u64)) " workers by name were looked at: others may serve it, too." }
            } @else if workers.is_empty() {
                p.dim data-test-empty { "No worker serves this queue. " code { "longshore-worker" } " starts one." }
            }
            ul.plain {
                @for WorkerView { worker, state, leases, concurrency, beat_at_ms, .. } in workers.into_iter().take(WORKERS) {
                    li data-test-worker=(worker) {
                        a href=(app.url(&workers::path(worker))) { (bytes::marked(worker)) } " is " (state) ": " (many(*leases, "job"))
                        " of " (concurrency) " at once, heard of " (time::ago(*beat_at_ms, now_ms))
                    }
                }
            }
            @if more > 0 { p { "and " (many(more, "other")) "; " a href=(app.url("/workers")) { "all workers" } } }
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
                    td { (name) } td { code { (value) } } td { (queue_actions::source(&setting.source)) }
                } } }
            }
        }
    }
}
