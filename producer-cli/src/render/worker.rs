//! Workers as people read them: a row of a list, everything of one, and what became of an order.

use queue_core::model::duration::show_ms;
use queue_core::model::{GivenOrder, WorkerOrder, WorkerState, WorkerView};

use super::table::{pairs, table};
use super::{cut, instant, relative, safe};

/// All workers, a row each.
pub(crate) fn list(workers: &[WorkerView], now_ms: u64) -> String {
    let head = ["WORKER", "STATE", "PROCESS", ">RUNNING", "HEARD OF", "UP SINCE", "QUEUES"];
    let row = |view: &WorkerView| {
        [
            cut(&view.worker, 40),
            state(view),
            format!("{}:{}", cut(&view.host, 40), view.pid),
            format!("{}/{}", view.leases, view.concurrency),
            relative(view.beat_at_ms, now_ms),
            view.started_at_ms.map_or(String::new(), |at_ms| relative(at_ms, now_ms)),
            cut(&view.queues.join(" "), 60),
        ]
    };
    table(head, workers.iter().map(row), "workers")
}

/// Its state, and what it was told and has not obeyed yet.
fn state(view: &WorkerView) -> String {
    match &view.order {
        Some(given) if !given.obeyed => format!("{}, told to {}", view.state, what(given.order)),
        _ => view.state.to_string(),
    }
}

const fn what(order: WorkerOrder) -> &'static str {
    match order {
        WorkerOrder::Quiet => "go quiet",
        WorkerOrder::Resume => "resume",
        WorkerOrder::Stop => "stop",
    }
}

/// Everything there is to say of a worker.
pub(crate) fn whole(view: &WorkerView, now_ms: u64) -> String {
    let mut rows = vec![
        ("state".to_owned(), state(view)),
        ("process".to_owned(), format!("{}:{}", safe(&view.host), view.pid)),
        ("version".to_owned(), safe(&view.version)),
        ("queues".to_owned(), safe(&view.queues.join(" "))),
        ("heard of".to_owned(), format!("{} ({})", relative(view.beat_at_ms, now_ms), instant(view.beat_at_ms))),
    ];
    if let Some(at_ms) = view.started_at_ms {
        rows.push(("up since".to_owned(), format!("{} ({})", relative(at_ms, now_ms), instant(at_ms))));
    }
    if let Some(bytes) = view.rss_bytes {
        rows.push(("resident".to_owned(), format!("{} MiB", bytes >> 20)));
    }
    if let Some(given) = &view.order {
        rows.push(("order".to_owned(), by(given, now_ms)));
    }
    let held = if view.state == WorkerState::Gone { "held last" } else { "running" };
    rows.push((held.to_owned(), format!("{} of {}", view.leases, view.concurrency)));
    let jobs = view.jobs.iter().map(|job| {
        let left = |at_ms: u64| format!("lease for {}", show_ms(at_ms.saturating_sub(now_ms)));
        [
            job.number.to_string(),
            cut(&job.queue, 40),
            cut(&job.name, 40),
            relative(job.leased_at_ms, now_ms),
            job.expires_at_ms.map_or("lease over".to_owned(), left),
        ]
    });
    let jobs = match view.jobs.is_empty() {
        true => String::new(),
        false => table(["JOB", "QUEUE", "NAME", "SINCE", ""], jobs, "jobs"),
    };
    let jobs: String = jobs.lines().map(|line| format!("  {line}\n")).collect();
    format!("worker {}\n", safe(&view.worker)) + &pairs(rows) + &jobs
}

fn by(given: &GivenOrder, now_ms: u64) -> String {
    let who = if given.actor.is_empty() { String::new() } else { format!(" by {}", safe(&given.actor)) };
    let why = if given.reason.is_empty() { String::new() } else { format!(": {}", safe(&given.reason)) };
    format!("{} {}{who}{why}", what(given.order), relative(given.at_ms, now_ms))
}

/// What became of an order, on one line.
pub(crate) fn ordered(view: &WorkerView, order: WorkerOrder) -> String {
    let worker = cut(&view.worker, 80);
    match &view.order {
        Some(given) if !given.obeyed => format!("worker {worker} is told to {}\n", what(order)),
        _ => format!("worker {worker} is {} already\n", view.state),
    }
}
