//! `journal dump`: the events of a data directory, a line of JSON each, or the state as it was at a moment.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use queue_core::engine::{Begin, Dump, DumpFilter, EVENT_KINDS, Engine, EngineExt, PastError};
use queue_core::model::{Error, JobFilter, JobRef};

use crate::app::App;
use crate::commands::job;
use crate::failure::{Failure, note};
use crate::parse;
use crate::render::{self, instant};

/// Print the events of a data directory, a line of JSON each; or with --until the state as it was then
#[derive(Args, Debug)]
#[command(after_help = "\
Nothing in the directory is changed; it may be a read-only copy. No server may run on it.

The events begin where the oldest snapshot that is kept ends: what happened before is no more kept as
events. Each has the names of its own moment, and the wall time that the server's clock showed then.
Instants within an event's details are steady milliseconds.

Examples:
  longshore journal dump ./longshore-data
  longshore journal dump ./longshore-data --job 42 --payloads
  longshore journal dump ./longshore-data --queue emails --event failed --from 2026-12-01T10:00:00Z
  longshore journal dump ./longshore-data --until 2026-12-01T10:00:00Z
  longshore journal dump ./longshore-data --until 2026-12-01T10:00:00Z --job 42 --json

Exit codes: 0 all is told (a torn tail is said on standard error), 1 the directory or a place in it
cannot be read: what stands before it is told")]
pub(crate) struct DumpArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Only this job: a number such as 42, or an id
    #[arg(long)]
    job: Option<String>,
    /// Only this queue and its jobs
    #[arg(long, value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
    /// Only events of this kind, such as failed
    #[arg(long, value_name = "KIND", value_parser = |text: &str| parse::word("--event", text, EVENT_KINDS))]
    event: Option<&'static str>,
    /// Only events from this time on, such as 2026-12-01T10:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = |text: &str| parse::time("--from", text))]
    from: Option<u64>,
    /// Only events up to this time, itself included
    #[arg(long, value_name = "WHEN", value_parser = |text: &str| parse::time("--to", text))]
    to: Option<u64>,
    /// Only events from this position on
    #[arg(long, value_name = "N")]
    #[arg(value_parser = |text: &str| parse::integer("--from-position", text, 0, u64::MAX))]
    from_position: Option<u64>,
    /// Only events up to this position, itself included
    #[arg(long, value_name = "N")]
    #[arg(value_parser = |text: &str| parse::integer("--to-position", text, 0, u64::MAX))]
    to_position: Option<u64>,
    /// Print payloads, headers, results, errors, progress and log lines, too, not their lengths alone
    #[arg(long)]
    payloads: bool,
    /// Print the state as it was at this time: queues, then jobs; with --job everything of that job
    #[arg(long, value_name = "WHEN", value_parser = |text: &str| parse::time("--until", text))]
    #[arg(conflicts_with_all = ["event", "from", "to", "from_position", "to_position", "payloads"])]
    until: Option<u64>,
}

impl DumpArgs {
    /// The job that is meant. The queue says which where it is an id; a number alone names its job.
    fn job(&self) -> Result<Option<JobRef>, Failure> {
        let Some(text) = &self.job else { return Ok(None) };
        let job = match JobRef::parse(text, None) {
            Ok(JobRef::Id { id, .. }) => Ok(JobRef::Id { queue: self.queue.clone(), id }),
            answer => answer,
        };
        job.map(Some).map_err(|error| Failure::usage(error, "journal dump"))
    }

    fn filter(self, job: Option<JobRef>) -> DumpFilter {
        DumpFilter {
            job,
            queue: self.queue,
            event: self.event.map(str::to_owned),
            from_ms: self.from,
            to_ms: self.to,
            from_position: self.from_position,
            to_position: self.to_position,
        }
    }
}

/// Prints events, or with `--until` a state.
pub(crate) async fn run(args: DumpArgs, app: &mut App) -> Result<(), Failure> {
    let job = args.job()?;
    let dump = Dump::directory(&args.directory).map_err(unopened)?;
    match args.until {
        Some(until_ms) => state(&dump, until_ms, args.queue, job, app).await,
        None => events(&dump, args.payloads, &args.filter(job), app),
    }
}

fn events(dump: &Dump, payloads: bool, filter: &DumpFilter, app: &mut App) -> Result<(), Failure> {
    let mut written = Ok(());
    let dumped = dump.events(filter, &mut note_begin, &mut |event| {
        written = app.out.line(event.to_json(&instant(event.at_ms), payloads));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    written?;
    app.out.flush()?;
    if let Some(skipped) = dumped.skipped {
        note(&format!("the snapshot before the newest, and the log behind it, cannot be used: {}", skipped.message));
    }
    for torn in &dumped.torn {
        let (file, offset, bytes) = (&torn.file, torn.offset, torn.bytes);
        note(&format!(
            "{file} has a torn tail of {bytes} bytes at offset {offset}: it was never whole, and the next start cuts it"
        ));
    }
    match dumped.error {
        None => Ok(()),
        Some(error) => Err(unreadable(error)),
    }
}

fn note_begin(begin: Begin) {
    if begin.position.get() > 0 {
        let (position, at) = (begin.position, instant(begin.at_ms));
        note(&format!(
            "events are told from position {position} on, after {at}: what happened before is in a snapshot"
        ));
    }
}

async fn state(
    dump: &Dump,
    until_ms: u64,
    queue: Option<String>,
    job: Option<JobRef>,
    app: &mut App,
) -> Result<(), Failure> {
    let past = dump.until(until_ms).map_err(|error| match error {
        PastError::TooEarly { oldest_ms } => too_early(until_ms, oldest_ms),
        PastError::Journal(error) => unreadable(error),
    })?;
    if !app.json {
        app.out.line(format_args!("as it was at {}, up to position {}", instant(until_ms), past.position()))?;
    }
    let past: Arc<dyn Engine> = Arc::new(past);
    app.look_at(Arc::clone(&past), until_ms);
    if let Some(job) = job {
        return job::show_all([job], app).await;
    }
    let queues = match &queue {
        Some(queue) => vec![past.queue(queue).await?],
        None => past.all_queues().await?,
    };
    app.rows(&queues, || queues.iter().map(render::queue::whole).collect())?;
    job::rows(JobFilter { queue, ..JobFilter::default() }, usize::MAX, app).await
}

fn too_early(until_ms: u64, oldest_ms: u64) -> Failure {
    let (until, oldest) = (instant(until_ms), instant(oldest_ms));
    let message = format!("--until is {until}; the journal goes back to {oldest}");
    Failure::new(message, format!("ask for that or a later time: --until {oldest}, or look in an older backup"), 1)
}

/// There is another thing to do about a directory than about a place in it.
fn unopened(error: Error) -> Failure {
    let hint = "nothing was changed; name a server's data directory, and stop what runs on it, or name a copy";
    Failure::new(error.message, hint, error.word.exit_code())
}

/// Nothing was changed, and the message says what and where.
fn unreadable(error: Error) -> Failure {
    let hint = "nothing was changed; what was printed is what stands before it";
    Failure::new(error.message, hint, error.word.exit_code())
}
