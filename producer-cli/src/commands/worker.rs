//! `worker`: who is at work and on what; and workers told to go quiet, to resume, to stop.

use clap::{Args, Subcommand};
use queue_core::engine::EngineExt;
use queue_core::model::{Context, Error, Word, WorkerOrder, WorkerState, WorkerView};

use crate::app::App;
use crate::cli::Administrative;
use crate::clock;
use crate::failure::Failure;
use crate::parse;
use crate::render;

/// Look at workers; have them go quiet, resume, stop
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  longshore worker list\n  longshore worker quiet --queue emails")]
pub(crate) enum WorkerCommand {
    List(ListArgs),
    Show(ShowArgs),
    Quiet(QuietArgs),
    Resume(ResumeArgs),
    Stop(StopArgs),
}

/// List the workers, and those that fell silent within a day without taking their leave
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore worker list
  longshore worker list --queue emails --json")]
pub(crate) struct ListArgs {
    /// Only those that serve this queue
    #[arg(long, value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
}

/// Show a worker, and what it runs or held last
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore worker show web-1:4711:a1b2c3")]
pub(crate) struct ShowArgs {
    /// Its name
    #[arg(value_name = "WORKER", value_parser = |text: &str| parse::name("WORKER", text))]
    worker: String,
}

/// Have workers lease nothing new; what runs goes on, and they stay until resumed or stopped
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore worker quiet web-1:4711:a1b2c3
  longshore worker quiet --all --because 'deploy of 12:00'")]
pub(crate) struct QuietArgs {
    #[command(flatten)]
    which: Which,
}

/// Have quiet workers lease again
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore worker resume --all")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    which: Which,
}

/// Have workers stop as on SIGTERM: what runs has the grace time, what is left is given back
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore worker stop web-1:4711:a1b2c3
  longshore worker stop --queue emails")]
pub(crate) struct StopArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Args, Debug)]
struct Which {
    /// Their names
    #[arg(value_name = "WORKER", required_unless_present_any = ["all", "queue"])]
    #[arg(value_parser = |text: &str| parse::name("WORKER", text))]
    workers: Vec<String>,
    /// Every worker
    #[arg(long, conflicts_with_all = ["workers", "queue"])]
    all: bool,
    /// Every worker that serves this queue
    #[arg(long, conflicts_with = "workers", value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
    #[command(flatten)]
    administrative: Administrative,
}

/// Carries out one command of the family.
pub(crate) async fn run(command: WorkerCommand, app: &mut App) -> Result<(), Failure> {
    match command {
        WorkerCommand::List(args) => {
            let workers = workers(args.queue.as_deref(), app).await?;
            app.rows(&workers, || render::worker::list(&workers, clock::wall_ms()))
        }
        WorkerCommand::Show(args) => {
            let view = app.engine().await?.worker(args.worker).await?;
            app.answer(&view, || render::worker::whole(&view, clock::wall_ms()))
        }
        WorkerCommand::Quiet(args) => order(args.which, WorkerOrder::Quiet, app).await,
        WorkerCommand::Resume(args) => order(args.which, WorkerOrder::Resume, app).await,
        WorkerCommand::Stop(args) => order(args.which, WorkerOrder::Stop, app).await,
    }
}

/// The workers, or those of a queue.
async fn workers(queue: Option<&str>, app: &App) -> Result<Vec<WorkerView>, Failure> {
    let mut workers = app.engine().await?.all_workers().await?;
    workers.retain(|view| queue.is_none_or(|queue| view.queues.iter().any(|served| served == queue)));
    Ok(workers)
}

async fn order(which: Which, order: WorkerOrder, app: &mut App) -> Result<(), Failure> {
    let context = which.administrative.context();
    if !which.workers.is_empty() {
        return each(which.workers, order, &context, |_| false, app).await;
    }
    let mut meant = workers(which.queue.as_deref(), app).await?;
    // Those that end anyway, and those that ended since they were listed, are no failure of an order to all there are.
    meant.retain(|view| match view.state {
        WorkerState::Gone => false,
        WorkerState::Stopping => order == WorkerOrder::Stop,
        WorkerState::Running | WorkerState::Quiet => true,
    });
    if meant.is_empty() {
        return app.rows::<WorkerView>(&[], || "no workers\n".to_owned());
    }
    let names = meant.into_iter().map(|view| view.worker).collect();
    let ended = |error: &Error| matches!(error.word, Word::NoWorker | Word::State);
    each(names, order, &context, ended, app).await
}

/// Orders each of them, and then says which could not be.
async fn each(
    workers: Vec<String>,
    order: WorkerOrder,
    context: &Context,
    is_passed_over: impl Fn(&Error) -> bool,
    app: &mut App,
) -> Result<(), Failure> {
    let (one, mut failures, mut shown) = (workers.len() == 1, Vec::new(), Ok(()));
    for worker in workers {
        match app.engine().await?.order_worker(context, worker, order).await {
            Ok(view) => shown = shown.and_then(|()| app.answer(&view, || render::worker::ordered(&view, order))),
            Err(error) if is_passed_over(&error) => {}
            Err(error) => failures.push(error),
        }
    }
    app.each_or_said(shown, failures, one, "every worker not named here was told; look at them: longshore worker list")
}
