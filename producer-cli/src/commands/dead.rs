//! `dead`: the dead letters: look at them, send them back, take them out.
//!
//! Redrive and purge are bulk operations: they go on at the server, also when this command has ended.

use std::io::{IsTerminal, Write};

use clap::{Args, Subcommand};
use queue_core::model::{BulkVerb, DeadReason, JobFilter, JobState, fragment};

use super::job::{FilterArgs, SearchArgs, rows};
use super::operation;
use crate::app::App;
use crate::cli::Administrative;
use crate::failure::{Failure, USAGE};
use crate::parse;

/// Look at dead jobs, send them back, take them out
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  longshore dead list\n  longshore dead redrive --queue emails")]
pub(crate) enum DeadCommand {
    List(ListArgs),
    Redrive(RedriveArgs),
    Purge(PurgeArgs),
}

#[derive(Args, Debug)]
struct DeadFilter {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only jobs that are dead for this reason
    #[arg(long, value_parser = |text: &str| parse::word("--reason", text, DeadReason::ALL))]
    reason: Option<DeadReason>,
}

impl DeadFilter {
    fn into_filter(self, now_ms: u64) -> JobFilter {
        JobFilter { states: vec![JobState::Dead], reason: self.reason, ..self.filter.into_filter(now_ms) }
    }
}

/// List dead jobs, in each queue the latest first
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore dead list --queue emails --since 1h
  longshore dead list --reason poison --json
  longshore dead list --contains order-42")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: DeadFilter,
    #[command(flatten)]
    search: SearchArgs,
    /// At most this many rows
    #[arg(long, value_name = "N", default_value = "50")]
    #[arg(value_parser = |text: &str| parse::integer::<usize>("--limit", text, 1, 1_000_000))]
    limit: usize,
}

/// Send dead jobs back to their queues, each with a new round of attempts
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore dead redrive --queue emails --because 'mail server is back'
  longshore dead redrive --since 2026-12-01T10:00Z --until 2026-12-01T11:00Z
  longshore dead redrive --reason exhausted --no-wait")]
pub(crate) struct RedriveArgs {
    #[command(flatten)]
    filter: DeadFilter,
    /// Do not wait for the end; it goes on at the server
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    administrative: Administrative,
}

/// Take dead jobs out of the store, for good
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore dead purge --queue emails --name send
  longshore dead purge --yes --no-wait")]
pub(crate) struct PurgeArgs {
    #[command(flatten)]
    filter: DeadFilter,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Do not wait for the end; it goes on at the server
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    administrative: Administrative,
}

/// Carries out one command of the family.
pub(crate) async fn run(command: DeadCommand, app: &mut App) -> Result<(), Failure> {
    let now_ms = app.now_ms();
    match command {
        DeadCommand::List(args) => rows(args.search.add_to(args.filter.into_filter(now_ms)), args.limit, app).await,
        DeadCommand::Redrive(args) => {
            let context = args.administrative.context();
            operation::start(BulkVerb::Retry, args.filter.into_filter(now_ms), &context, args.no_wait, app).await
        }
        DeadCommand::Purge(args) => {
            let filter = args.filter.into_filter(now_ms);
            if !args.yes {
                confirm(&filter)?;
            }
            let context = args.administrative.context();
            operation::start(BulkVerb::Remove, filter, &context, args.no_wait, app).await
        }
    }
}

/// Asks at the terminal; where there is none, somebody must have said yes before.
fn confirm(filter: &JobFilter) -> Result<(), Failure> {
    let queue = filter.queue.as_ref().map_or("every queue".to_owned(), |queue| format!("queue {queue}"));
    let declined = |message: &str| Failure::new(message, "nothing was changed; to purge without being asked: --yes", 1);
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("dead purge takes jobs out for good", "to purge without being asked: --yes", USAGE));
    }
    let mut error = anstream::stderr().lock();
    // A question that nobody can read is answered with no.
    let asked = write!(error, "Take the dead jobs of {queue} that match out for good? [y/N] ");
    let mut line = String::new();
    let read = asked.and_then(|()| error.flush()).and_then(|()| std::io::stdin().read_line(&mut line));
    read.map_err(|error| declined(&format!("cannot ask: {}", fragment(&error))))?;
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(declined("not purged")),
    }
}
