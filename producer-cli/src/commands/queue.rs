//! `queue`: look at queues, pause and resume them, change their settings.

use clap::{Args, Subcommand};
use queue_core::engine::EngineExt;
use queue_core::model::typed;
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

fn done(queue: &str, done: &'static str, app: &mut App) -> Result<(), Failure> {
    app.answer(&Done { queue, done }, || format!("queue {queue} {done}\n"))
}
