//! `enqueue`: one job from the command line, or many from a file.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use queue_core::model::typed::backoff;
use queue_core::model::{Added, Backoff, Enqueued, JobOptions, NewJob};
use queue_core::{JobHandle, Queue, random};
use serde::Serialize;

use super::{bulk, job};
use crate::app::App;
use crate::failure::Failure;
use crate::parse::{self, payload};

/// Add one job, or many from a file
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore enqueue emails send '{\"to\": \"ann\"}'
  longshore enqueue emails send @mail.json --delay 30s --attempts 5 --backoff fixed:1m
  date | longshore enqueue reports build - --raw --id report-today --wait 1m
  longshore enqueue emails --file jobs.ndjson --name send --id-from order

A file has one JSON object a line: {\"name\": …, \"payload\": …} with options by their JSON names
(delay_ms, run_at_ms, priority, lifo, attempts, backoff, timeout_ms, expires_in_ms, keep_ms, id,
tags, headers), and payload_base64 for a payload that is no JSON. Flags are the defaults of all
lines. All lines are checked before the first job is sent. A broken run says how to go on with it:
the same command, with --again and its KEY where there was --again.")]
pub(crate) struct EnqueueArgs {
    /// The queue; made by its first job
    #[arg(value_parser = |text: &str| parse::name("QUEUE", text))]
    queue: String,
    /// The job's name, which says which handler runs it
    #[arg(value_name = "NAME", required_unless_present = "file")]
    #[arg(value_parser = |text: &str| parse::name("NAME", text))]
    job: Option<String>,
    /// The payload: JSON, or - for standard input, or @FILE [default: null]
    payload: Option<String>,
    /// The payload may be any bytes
    #[arg(long)]
    raw: bool,
    /// A name of its own: while the queue knows it, adding it again adds nothing
    #[arg(long, value_parser = |text: &str| parse::id("--id", text))]
    id: Option<String>,
    #[command(flatten)]
    options: OptionArgs,
    /// Wait until the job is done, at most this long, and show how it ended [without TIME: without end]
    #[arg(long, value_name = "TIME", num_args = 0..=1)]
    #[arg(value_parser = |text: &str| parse::duration("--wait", text))]
    wait: Option<Option<u64>>,
    /// Add the jobs of this file, one JSON object a line; - for standard input
    #[arg(long, conflicts_with_all = ["job", "payload", "raw", "id", "wait"])]
    file: Option<PathBuf>,
    /// The name of jobs whose line has none
    #[arg(long, value_name = "NAME", requires = "file")]
    #[arg(value_parser = |text: &str| parse::name("--name", text))]
    name: Option<String>,
    /// The field of the payload that is the job's id [default: derived from the line, so that a file run again adds
    /// only what is missing]
    #[arg(long, value_name = "FIELD", requires = "file")]
    id_from: Option<String>,
    /// Add every line without an id of its own anew, also those that were added before; with the same KEY only once
    /// [default: a new KEY, which is told if the run breaks]
    #[arg(long, value_name = "KEY", num_args = 0..=1, require_equals = true)]
    #[arg(requires = "file", conflicts_with = "id_from", value_parser = |text: &str| parse::name("--again", text))]
    again: Option<Option<String>>,
}

/// The options of a new job; for a file, the defaults of its lines.
#[derive(Args, Debug)]
struct OptionArgs {
    /// Not before this long from now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| parse::duration("--delay", text))]
    delay: Option<u64>,
    /// Not before this time, such as 2026-12-01T10:00:00Z
    #[arg(long, value_name = "WHEN", conflicts_with = "delay")]
    #[arg(value_parser = |text: &str| parse::time("--at", text))]
    at: Option<u64>,
    /// -1000 to 1000; the larger runs first [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| parse::integer::<i64>("--priority", text, -1_000, 1_000))]
    priority: Option<i64>,
    /// Join the front of its priority instead of the back
    #[arg(long)]
    lifo: bool,
    /// Tries in all, not retries [default: the queue's, 16]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| parse::integer::<u64>("--attempts", text, 1, 10_000))]
    attempts: Option<u64>,
    // As `help`, not as a comment: rustdoc would take the brackets for a link.
    #[arg(help = "Pause between attempts: fixed:DELAY or exponential:DELAY[:MAX] [default: the queue's, \
                  exponential:5s:1h:20%]")]
    #[arg(long, value_name = "BACKOFF", value_parser = |text: &str| backoff::parse("--backoff", text))]
    backoff: Option<Backoff>,
    /// Largest random addition to a pause, in percent
    #[arg(long, value_name = "PERCENT", requires = "backoff", allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| parse::integer::<u32>("--jitter", text, 0, 100))]
    jitter: Option<u32>,
    /// Time for one attempt, or none [default: the queue's, 30m]
    #[arg(long, value_name = "TIME", value_parser = |text: &str| parse::duration_or_none("--timeout", text))]
    timeout: Option<u64>,
    /// Dead if nobody started it this long after now
    #[arg(long, value_name = "TIME", value_parser = |text: &str| parse::duration_or_none("--expires-in", text))]
    expires_in: Option<u64>,
    /// Keep the job this long once it is completed, whatever the queue keeps
    #[arg(long, value_name = "TIME", value_parser = |text: &str| parse::duration("--keep", text))]
    keep: Option<u64>,
    /// A word to find it by; may be given up to 32 times
    #[arg(long = "tag", value_name = "TAG", value_parser = |text: &str| parse::name("--tag", text))]
    tags: Vec<String>,
    /// Text for handlers and tools; may be given again
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = |text: &str| parse::pair("--header", text))]
    headers: Vec<(String, String)>,
}

impl OptionArgs {
    fn into_options(self, id: Option<String>) -> JobOptions {
        let jittered = |backoff: Backoff| match self.jitter {
            Some(jitter_percent) => Backoff { jitter_percent, ..backoff },
            None => backoff,
        };
        JobOptions {
            id,
            delay_ms: self.delay,
            run_at_ms: self.at,
            priority: self.priority,
            lifo: self.lifo,
            attempts: self.attempts,
            backoff: self.backoff.map(jittered),
            timeout_ms: self.timeout,
            expires_in_ms: self.expires_in,
            keep_ms: self.keep,
            tags: self.tags,
            headers: self.headers.into_iter().collect(),
        }
    }
}

/// What became of one job.
#[derive(Serialize)]
struct Answer<'a> {
    queue: &'a str,
    #[serde(flatten)]
    enqueued: Enqueued,
}

/// Adds what the command line says.
pub(crate) async fn run(args: EnqueueArgs, app: &mut App) -> Result<(), Failure> {
    match args.file {
        None => one(args, app).await,
        Some(file) => {
            let defaults = args.options.into_options(None);
            let new_key = || format!("{:016x}", u64::from_le_bytes(random::bytes()));
            let again = args.again.map(|key| key.unwrap_or_else(new_key));
            let lines = bulk::Lines { name: args.name, id_from: args.id_from, again, defaults };
            bulk::run(&args.queue, &file, &lines, app).await
        }
    }
}

async fn one(args: EnqueueArgs, app: &mut App) -> Result<(), Failure> {
    let name = args.job.expect("clap requires a name where there is no file");
    let payload = payload::read(args.payload.as_deref(), args.raw, "enqueue")?;
    let new = NewJob::new(name, payload).with(args.options.into_options(args.id));
    new.check().map_err(|error| Failure::usage(error, "enqueue"))?;
    let added = Queue::new(app.engine().await?, &args.queue).add_many([new]).await?;
    let handle = added.into_iter().next().expect("an engine answers one enqueued job for each");
    let Some(wait) = args.wait else { return said(&args.queue, &handle, app) };
    if !app.json {
        said(&args.queue, &handle, app)?;
        app.out.flush()?;
    }
    let ended = handle.wait(wait.map_or(Duration::MAX, Duration::from_millis)).await?;
    job::ended(&ended, app)
}

fn said(queue: &str, handle: &JobHandle, app: &mut App) -> Result<(), Failure> {
    let enqueued = Enqueued { number: handle.number(), added: handle.added() };
    let number = handle.number();
    app.answer(&Answer { queue, enqueued }, || match handle.added() {
        Added::Created => format!("job {number} added to {queue}\n"),
        Added::Existing => format!("job {number} is in {queue} already; nothing was added\n"),
        Added::ExistingGone => format!("job {number} was in {queue} before and is gone; nothing was added\n"),
    })
}
