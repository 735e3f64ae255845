//! `/workers`: who works, where, since when, and what each runs now; quiet, resume and stop from here.

use maud::{Markup, html};
use queue_core::model::{Error, WorkerJob, WorkerOrder, WorkerState, WorkerView};

use crate::access::Role;
use crate::app::App;
use crate::live::Topic;
use crate::query::{Query, segment};
use crate::view::form::{self, Send};
use crate::view::{self, bytes, count, jobs, many, queues, time};
use crate::visit::{Nav, Page, Shown, Visit};

/// Rows of a page.
const ROWS: u32 = 100;
/// Bytes of a mebibyte, in which memory is shown.
const MEBIBYTE: u64 = 1 << 20;

/// The path of a worker, without the base.
pub(crate) fn path(worker: &str) -> String {
    format!("/workers/{}", segment(worker))
}

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let after = visit.query.get("after").map(str::to_owned);
    let live = after.is_none();
    let body = html! {
        h1 { "Workers" }
        // Only the first page is kept up to date: its region is one for all who watch.
        @if live { div #workers data-test-live="workers" { (region(&visit.app).await?) } }
        @else { (list(&visit.app, after, visit.now_ms).await?) }
    };
    let page = Page::new("Workers", Nav::Workers, body);
    Ok(if live { page.live(Topic::Workers) } else { page }.into())
}

/// What is kept up to date of the list.
pub(crate) async fn region(app: &App) -> Result<Markup, Error> {
    list(app, None, app.now_ms()).await
}

async fn list(app: &App, after: Option<String>, now_ms: u64) -> Result<Markup, Error> {
    let first = after.is_none();
    let page = app.engine.workers(after, ROWS).await?;
    Ok(html! {
        @if page.workers.is_empty() && first {
            (view::empty("No worker is there", &html! {
                p { "Start one: " code { "longshore-worker --config handlers.toml" } ". What nobody runs waits." }
            }))
        } @else { (table(app, &page.workers, now_ms)) }
        p.paging {
            @if !first { a.button href=(app.url("/workers")) data-test-first { "First page" } " " }
            @if let Some(cursor) = page.cursor {
                a.button href=(app.url_with("/workers", &Query::default().with("after", cursor))) rel="next" data-test-next {
                    "Next page"
                }
            }
        }
    })
}

fn table(app: &App, workers: &[WorkerView], now_ms: u64) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Workers" {
            table.rows data-test-workers {
                thead { tr {
                    th { "Worker" } th { "State" } th.number { "Runs" } th { "Queues" } th { "Heard of" } th { "Started" }
                    th.wide { "Host, process" } th.number.wide { "Memory" }
                } }
                tbody { @for worker in workers { (row(app, worker, now_ms)) } }
            }
        }
    }
}

fn row(app: &App, worker: &WorkerView, now_ms: u64) -> Markup {
    html! {
        tr data-test-worker=(worker.worker) {
            td { a href=(app.url(&path(&worker.worker))) { (bytes::marked(&worker.worker)) } }
            td { (state(worker.state)) (order(worker)) }
            td.number { (count(worker.leases)) "/" (worker.concurrency) }
            td { @for queue in worker.queues.iter().take(5) { a href=(queues::link(app, queue)) { (bytes::marked(queue)) } " " }
                @if worker.queues.len() > 5 { span.dim { "and " (worker.queues.len() - 5) " more" } } }
            td { (time::ago(worker.beat_at_ms, now_ms)) }
            td { @if let Some(at) = worker.started_at_ms { (time::ago(at, now_ms)) } }
            td.wide { (bytes::marked(&worker.host)) span.dim { ", " (worker.pid) } }
            td.number.wide { @if let Some(rss) = worker.rss_bytes { (count(rss.div_ceil(MEBIBYTE))) " MiB" } }
        }
    }
}

/// What a worker does: icon, word and colour.
fn state(state: WorkerState) -> Markup {
    let (icon, class) = match state {
        WorkerState::Running => ("▶", "s-active"),
        WorkerState::Quiet => ("‖", "s-delayed"),
        WorkerState::Stopping => ("■", "s-waiting"),
        WorkerState::Gone => ("✕", "s-dead"),
    };
    html! { span class=(format!("state {class}")) data-test-state=(state) { span aria-hidden="true" { (icon) } " " (state) } }
}

/// What it was told and has not done yet.
fn order(worker: &WorkerView) -> Markup {
    let open = worker.order.as_ref().filter(|order| !order.obeyed && worker.state != WorkerState::Gone);
    html! { @if let Some(order) = open { " " span.dim { "told to " (order.order) } } }
}

pub(crate) async fn one(visit: &Visit) -> Result<Shown, Error> {
    let name = visit.segment("worker");
    let body = html! {
        h1 { "Worker " (bytes::marked(name)) }
        div #worker data-test-live="worker" { (one_region(&visit.app, name, visit.access.role).await?) }
    };
    Ok(Page::new(format!("Worker {name}"), Nav::Workers, body).live(Topic::Worker(name.to_owned())).into())
}

/// What is kept up to date of one worker, for a role.
pub(crate) async fn one_region(app: &App, name: &str, role: Role) -> Result<Markup, Error> {
    let worker = app.engine.worker(name.to_owned()).await?;
    let now_ms = app.now_ms();
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    Ok(html! {
        dl.facts {
            (fact("State", html! { (state(worker.state)) (order(&worker)) }))
            (fact("Heard of", time::ago(worker.beat_at_ms, now_ms)))
            @if let Some(at) = worker.started_at_ms { (fact("Started", time::ago(at, now_ms))) }
            (fact("Host", bytes::marked(&worker.host)))
            (fact("Process", html! { (worker.pid) }))
            (fact("Version", bytes::marked(&worker.version)))
            (fact("Runs", html! { (count(worker.leases)) " of " (worker.concurrency) " at once" }))
            @if let Some(rss) = worker.rss_bytes { (fact("Memory", html! { (count(rss.div_ceil(MEBIBYTE))) " MiB" })) }
            (fact("Queues", html! { @for queue in &worker.queues {
                a href=(queues::link(app, queue)) { (bytes::marked(queue)) } " " } }))
            @if let Some(order) = &worker.order {
                (fact("Last order", html! { (order.order) " by " (bytes::marked(&order.actor)) ", "
                    (time::ago(order.at_ms, now_ms))
                    @if !order.reason.is_empty() { ": " (bytes::marked(&order.reason)) } }))
            }
        }
        (buttons(app, role, &worker))
        section { h2 { "Runs now" } (held(app, &worker, now_ms)) }
    })
}

fn buttons(app: &App, role: Role, worker: &WorkerView) -> Markup {
    let path = path(&worker.worker);
    let button = |verb: &str, label: &str| form::button(app, &format!("{path}/{verb}"), &path, label, verb);
    html! {
        @if role >= Role::Operator {
            div.actions {
                @if worker.state == WorkerState::Running { (button("quiet", "Take no new jobs")) }
                @if worker.state == WorkerState::Quiet { (button("resume", "Take jobs again")) }
                @if matches!(worker.state, WorkerState::Running | WorkerState::Quiet) {
                    a.button href=(app.url(&format!("{path}/stop"))) data-test-link="stop" { "Stop …" }
                }
            }
        }
    }
}

fn held(app: &App, worker: &WorkerView, now_ms: u64) -> Markup {
    html! {
        @if worker.jobs.is_empty() { p.dim data-test-empty { "Nothing." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Jobs it runs" {
                table.rows {
                    thead { tr { th.number { "Job" } th { "Queue" } th { "Name" } th { "Since" } th { "Lease" } } }
                    tbody { @for job in &worker.jobs { (job_row(app, job, now_ms)) } }
                }
            }
            @if worker.leases > worker.jobs.len() as u64 { p.dim { (many(worker.leases, "lease")) " in all." } }
        }
    }
}

fn job_row(app: &App, job: &WorkerJob, now_ms: u64) -> Markup {
    html! {
        tr data-test-job=(job.number.0) {
            td.number { a href=(app.url(&jobs::path(job.number))) { (job.number) } }
            td { a href=(queues::link(app, &job.queue)) { (bytes::marked(&job.queue)) } }
            td { (bytes::marked(&job.name)) }
            td { (time::ago(job.leased_at_ms, now_ms)) }
            td { @if let Some(at) = job.expires_at_ms { "ends " (time::ago(at, now_ms)) } @else { span.warn { "is over" } } }
        }
    }
}

pub(crate) async fn quiet(visit: &Visit) -> Result<Shown, Error> {
    tell(visit, WorkerOrder::Quiet).await
}

pub(crate) async fn resume(visit: &Visit) -> Result<Shown, Error> {
    tell(visit, WorkerOrder::Resume).await
}

pub(crate) async fn stop(visit: &Visit) -> Result<Shown, Error> {
    tell(visit, WorkerOrder::Stop).await?;
    // Its own page may be gone before it is asked for.
    Ok(visit.to("/workers", "told"))
}

async fn tell(visit: &Visit, order: WorkerOrder) -> Result<Shown, Error> {
    let name = visit.segment("worker");
    visit.app.engine.order_worker(&visit.context(), name.to_owned(), order).await?;
    Ok(visit.back("told", &path(name)))
}

/// The form before a stop.
pub(crate) async fn stop_form(visit: &Visit) -> Result<Shown, Error> {
    let name = visit.segment("worker");
    let worker = visit.app.engine.worker(name.to_owned()).await?;
    let path = path(name);
    let fields = html! {
        span {} span {
            "It runs " (many(worker.leases, "job")) ". They have its grace time; what is left then is given back, uncounted. "
            "Whoever supervises it may start it again."
        }
    };
    let send = Send { label: "Stop", test: "stop", danger: true };
    let body = html! {
        h1 { "Stop: worker " (bytes::marked(name)) }
        (form::filled(&visit.app, &format!("{path}/stop"), &path, &send, &fields))
    };
    Ok(Page::new(format!("Stop worker {name}"), Nav::Workers, body).into())
}
