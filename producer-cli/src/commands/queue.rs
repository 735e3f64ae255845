//! `queue`: look at queues and at what happened in them, pause and resume them, change their settings.

use clap::{Args, Subcommand};
use queue_core::engine::EngineExt;
use queue_core::model::{ActivityQuery, Error, Limits, SeriesQuery, Step, typed};
use serde::Serialize;

use crate::app::App;
use crate::cli::Administrative;
use crate::failure::Failure;
use crate::parse;
use crate::render;

/// Look at queues, pause and resume them, change their settings
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  longshore queue list\n  longshore queue pause emails")]
pub(crate) enum QueueCommand {
    List(ListArgs),
    Show(ShowArgs),
    Stats(StatsArgs),
    Set(SetArgs),
    Pause(PauseArgs),
    Resume(ResumeArgs),
}

/// List all queues with their counts
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore queue list\n  longshore queue list --json")]
pub(crate) struct ListArgs {}

/// Show a queue's counts, and every setting that holds with its source
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore queue show emails")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    queue: Queue,
}

/// Show what happened over time: counts, how long jobs waited and ran
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore queue stats
  longshore queue stats emails --last 24h
  longshore queue stats emails --name welcome --json

Counts are kept by 10 s for an hour and by the minute for a day, for each queue and for the 200
busiest names of jobs. Times are off by at most 6.25 %.")]
pub(crate) struct StatsArgs {
    /// The queue [default: all of them together]
    #[arg(value_name = "QUEUE", value_parser = |text: &str| parse::name("QUEUE", text))]
    queue: Option<String>,
    /// Only jobs of this name
    #[arg(long, requires = "queue", value_parser = |text: &str| parse::name("--name", text))]
    name: Option<String>,
    /// Only jobs of names that are not counted by themselves
    #[arg(long, requires = "queue", conflicts_with = "name")]
    other: bool,
    /// How far back: up to an hour by 10 s, up to 24h by the minute
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = last)]
    last: u64,
}

/// A day at most.
fn last(text: &str) -> Result<u64, Error> {
    match parse::duration("--last", text)? {
        ms @ 1..=86_400_000 => Ok(ms),
        _ => Err(Error::bad_arg("--last", text, "more than zero, up to 24h")),
    }
}

/// Change a queue's settings; the queue is made if it does not exist
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore queue set emails attempts=5 backoff=exponential:5s:1h:20% lease=1m
  longshore queue set audit keep-completed=all
  longshore queue set emails attempts=default

Settings, with the server's defaults; NAME=default gives one back:
  attempts=16             tries of a job in all: 1 to 10000
  backoff=exponential:5s:1h:20%
                          pause between tries: fixed:DELAY or exponential:DELAY[:MAX], perhaps
                          with :JITTER%
  timeout=30m             time for one attempt, or none
  expires-in=never        unstarted jobs die after this long
  lease=30s               how long a worker holds a job unheard: 100ms to 1d
  stalls=3                leases that may run out before the job is dead: 0 to 10000
  keep-completed=1000     completed jobs kept, or all (which means -for=forever, too)
  keep-completed-for=1d   and for how long, or forever
  keep-cancelled=1000     cancelled jobs alike
  keep-cancelled-for=1d
  keep-dead-for=90d       dead jobs kept for this long, or forever
  remember-ids=1d         how long ids of jobs that are gone are remembered")]
pub(crate) struct SetArgs {
    #[command(flatten)]
    queue: Queue,
    /// NAME=VALUE, or NAME=default
    #[arg(value_name = "SETTING", required = true)]
    settings: Vec<String>,
    #[command(flatten)]
    administrative: Administrative,
}

/// Start no other job of a queue until it is resumed; running jobs finish
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore queue pause emails --because 'mail server is down'")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    queue: Queue,
    #[command(flatten)]
    administrative: Administrative,
}

/// End a pause
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore queue resume emails")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    queue: Queue,
    #[command(flatten)]
    administrative: Administrative,
}

#[derive(Args, Debug)]
struct Queue {
    /// The queue
    #[arg(value_name = "QUEUE", value_parser = |text: &str| parse::name("QUEUE", text))]
    queue: String,
}

#[derive(Serialize)]
struct Done<'a> {
    queue: &'a str,
    done: &'static str,
}

/// Carries out one command of the family.
pub(crate) async fn run(command: QueueCommand, app: &mut App) -> Result<(), Failure> {
    match command {
        QueueCommand::List(ListArgs {}) => {
            let queues = app.engine().await?.all_queues().await?;
            app.rows(&queues, || render::queue::list(&queues))
        }
        QueueCommand::Show(args) => {
            let view = app.engine().await?.queue(&args.queue.queue).await?;
            app.answer(&view, || render::queue::whole(&view))
        }
        QueueCommand::Stats(args) => stats(args, app).await,
        QueueCommand::Set(args) => {
            let patch = typed::parse(&args.settings).map_err(|error| Failure::usage(error, "queue set"))?;
            app.engine().await?.set_queue(&args.administrative.context(), &args.queue.queue, patch).await?;
            done(&args.queue.queue, "set", app)
        }
        QueueCommand::Pause(args) => {
            app.engine().await?.pause(&args.administrative.context(), &args.queue.queue).await?;
            done(&args.queue.queue, "paused", app)
        }
        QueueCommand::Resume(args) => {
            app.engine().await?.resume(&args.administrative.context(), &args.queue.queue).await?;
            done(&args.queue.queue, "resumed", app)
        }
    }
}

async fn stats(args: StatsArgs, app: &mut App) -> Result<(), Failure> {
    let StatsArgs { queue, name, other, last } = args;
    let step = if last <= 3_600_000 { Step::Seconds } else { Step::Minute };
    let points = last.div_ceil(step.ms()) as u32;
    let by_name = name.is_none() && !other && !app.json;
    let series = app.engine().await?.series(SeriesQuery { queue: queue.clone(), name, other, step, points }).await?;
    app.answer(&series, || render::series::whole(&series))?;
    if let Some(queue) = queue.filter(|_| by_name) {
        let (points, limit) = (Limits::ACTIVITY_POINTS, Limits::PAGE_ROWS);
        let query = ActivityQuery { queue: Some(queue), step: Step::Minute, points, cursor: None, limit };
        let page = app.engine().await?.activity(query).await?;
        app.out.text(&format!("\n{}", render::series::names(&page.rows)))?;
    }
    Ok(())
}

fn done(queue: &str, done: &'static str, app: &mut App) -> Result<(), Failure> {
    app.answer(&Done { queue, done }, || format!("queue {queue} {done}\n"))
}
