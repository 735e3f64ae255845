//! `/`: what needs attention, and every queue with its counts.

use maud::{Markup, html};
use queue_core::model::{Error, FailureGroup, QueueView};

use crate::app::App;
use crate::crew::Crew;
use crate::live::Topic;
use crate::pages::errors;
use crate::stock::{Sort, Stock};
use crate::view::{self, bytes, count, many, time};
use crate::visit::{Nav, Page, Shown, Visit};

/// Most queues that the overview shows.
const QUEUES: usize = 100;
/// Most lines of one kind in the list of what needs attention.
const LINES: usize = 10;
/// From when on a waiting job is worth a word.
const LONG_MS: u64 = 60_000;

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let word = visit.query.get("sort").unwrap_or(Sort::default().word());
    let allowed = || Error::bad_arg("sort", word, &Sort::ALL.map(Sort::word).join(", "));
    let sort = Sort::parse(word).ok_or_else(allowed)?;
    let body = html! {
        h1.unseen { "Overview" }
        div #overview data-test-live="overview" { (region(&visit.app, sort).await?) }
    };
    Ok(Page::new("Overview", Nav::Overview, body).live(Topic::Overview(sort)).into())
}

/// What is kept up to date.
pub(crate) async fn region(app: &App, sort: Sort) -> Result<Markup, Error> {
    let stock = Stock::of(app).await?;
    let failures = errors::worst(app).await?;
    let crew = Crew::of(app).await?;
    let queues = stock.sorted(sort, QUEUES);
    let known = stock.queues.len();
    Ok(html! {
        (attention(app, &stock, &crew, &failures))
        section {
            h2 { "Queues" }
            @if queues.is_empty() {
                (view::queues::none())
            } @else { (view::queues::table(app, &queues, &stock.lately, Some(sort))) }
            @if known > queues.len() {
                p data-test-part { "The first " (QUEUES) " of " @if !stock.all { "the first " } (count(known as u64)) " queues by name"
                    @if sort != Sort::Name { ", sorted by " (sort) } "; " a href=(app.url("/queues")) { "all queues" } }
            }
        }
    })
}

/// What somebody should look at, worst first: of all queues, a few of each kind.
fn attention(app: &App, stock: &Stock, crew: &Crew, failures: &[FailureGroup]) -> Markup {
    let waited = |queue: &QueueView| time::took(queue.oldest_waiting_ms.unwrap_or(0) / 1_000 * 1_000);
    let kinds = [
        worst(app, stock, Sort::Waiting, |queue| {
            let unserved = queue.counts.waiting > 0 && !crew.takes_from(&queue.queue);
            unserved.then(|| ("waiting", format!("{}, and {} waiting", nobody(crew), are(queue.counts.waiting))))
        }),
        worst(app, stock, Sort::Oldest, |queue| {
            let slow = queue.oldest_waiting_ms.unwrap_or(0) >= LONG_MS && crew.takes_from(&queue.queue);
            slow.then(|| ("waiting", format!("its oldest job has waited {}", waited(queue))))
        }),
        html! { @for group in failures { (errors::attention(app, group)) } },
        worst(app, stock, Sort::Dead, |queue| {
            (queue.counts.dead > 0).then(|| ("dead", format!("{} dead", are(queue.counts.dead))))
        }),
        worst(app, stock, Sort::Waiting, |queue| {
            let why = || queue.pause_reason.as_deref().unwrap_or("no reason was given");
            queue.paused.then(|| ("waiting", format!("paused: {}", why())))
        }),
    ];
    html! {
        @if kinds.iter().any(|kind| !kind.0.is_empty()) {
            section.attention {
                h2 { "Needs attention" }
                ul { @for kind in kinds { (kind) } }
            }
        }
    }
}

/// A line for each of the worst queues of which `say` has something to say, with the state of the jobs it is about.
fn worst(app: &App, stock: &Stock, sort: Sort, say: impl Fn(&QueueView) -> Option<(&'static str, String)>) -> Markup {
    let queues = stock.sorted(sort, usize::MAX);
    let mut lines = queues.into_iter().filter_map(|queue| Some((queue, say(queue)?)));
    let shown: Vec<_> = lines.by_ref().take(LINES).collect();
    let more = lines.count();
    html! {
        @for (queue, (state, text)) in shown {
            li data-test-attention=(state) { a href=(view::queues::jobs(app, &queue.queue, state)) { (bytes::marked(&queue.queue)) } ": " (text) }
        }
        @if more > 0 { li.dim { "and the same of " (many(more as u64, "more queue")) } }
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
