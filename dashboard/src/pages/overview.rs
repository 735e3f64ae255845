//! `/`: what needs attention, and every queue with its counts.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Error, FailureGroup, QueueView};

use crate::app::App;
use crate::crew::Crew;
use crate::live::Topic;
use crate::pages::errors;
use crate::view::{self, bytes, count, many, time};
use crate::visit::{Nav, Page, Shown, Visit};

/// Most queues that the overview shows.
const QUEUES: u32 = 100;
/// From when on a waiting job is worth a word.
const LONG_MS: u64 = 60_000;

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let body = html! {
        h1.unseen { "Overview" }
        div #overview data-test-live="overview" { (region(&visit.app).await?) }
    };
    Ok(Page::new("Overview", Nav::Overview, body).live(Topic::Overview).into())
}

/// What is kept up to date.
pub(crate) async fn region(app: &App) -> Result<Markup, Error> {
    let page = app.engine.queues(None, QUEUES).await?;
    let lately = view::queues::activity(app, None, QUEUES).await?;
    let failures = errors::worst(app).await?;
    let crew = Crew::of(app).await?;
    let queues = page.queues;
    Ok(html! {
        (attention(app, &queues, &crew, &failures))
        section {
            h2 { "Queues" }
            @if queues.is_empty() {
                (view::queues::none())
            } @else { (view::queues::table(app, &queues, &lately)) }
            @if page.cursor.is_some() { p { "The first " (QUEUES) " by name; " a href=(app.url("/queues")) { "all queues" } } }
        }
    })
}

/// What somebody should look at, worst first.
fn attention(app: &App, queues: &[QueueView], crew: &Crew, failures: &[FailureGroup]) -> Markup {
    let unserved = |queue: &&QueueView| queue.counts.waiting > 0 && !crew.takes_from(&queue.queue);
    let slow = |queue: &&QueueView| queue.oldest_waiting_ms.unwrap_or(0) >= LONG_MS && crew.takes_from(&queue.queue);
    let dead = |queue: &&QueueView| queue.counts.dead > 0;
    let paused = |queue: &&QueueView| queue.paused;
    let item = |queue: &QueueView, state: &str, text: String| {
        html! { li data-test-attention=(state) { a href=(view::queues::jobs(app, &queue.queue, state)) { (bytes::marked(&queue.queue)) } ": " (text) } }
    };
    let none = failures.is_empty()
        && !queues.iter().any(|queue| unserved(&queue) || slow(&queue) || dead(&queue) || paused(&queue));
    html! {
        @if !none {
            section.attention {
                h2 { "Needs attention" }
                ul {
                    @for queue in queues.iter().filter(unserved) {
                        (item(queue, "waiting", format!("{}, and {} waiting", nobody(crew), are(queue.counts.waiting))))
                    }
                    @for queue in queues.iter().filter(slow) {
                        (item(queue, "waiting", format!("its oldest job has waited {}",
                            time::took(queue.oldest_waiting_ms.unwrap_or(0) / 1_000 * 1_000))))
                    }
                    @for group in failures { (errors::attention(app, group)) }
                    @for queue in queues.iter().filter(dead) {
                        (item(queue, "dead", format!("{} dead", are(queue.counts.dead))))
                    }
                    @for queue in queues.iter().filter(paused) {
                        (item(queue, "waiting", format!("paused: {}",
                            queue.pause_reason.as_deref().unwrap_or("no reason was given"))))
                    }
                }
            }
        }
    }
}

/// That no worker takes jobs from a queue, as far as was looked.
fn nobody(crew: &Crew) -> String {
    match crew.all {
        true => "no worker serves it".to_owned(),
        false => format!("none of the first {} workers by name serves it", count(crew.len() as u64)),
    }
}

fn are(number: u64) -> String {
    format!("{} {}", many(number, "job"), if number == 1 { "is" } else { "are" })
}
