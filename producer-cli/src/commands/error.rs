//! `error`: failures by what they have in common.

use clap::{Args, Subcommand};
use queue_core::engine::EngineExt;
use queue_core::model::{FailureFilter, FailureGroup, FailureOrder, Limits};

use crate::app::App;
use crate::failure::Failure;
use crate::parse;
use crate::render;

/// Look at failures by what they have in common
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  longshore error list --since 1h\n  longshore error show 'exit: no route to Q'")]
pub(crate) enum ErrorCommand {
    List(ListArgs),
    Show(ShowArgs),
}

/// List groups of failures: those of one kind whose messages differ by numbers, ids and quoted parts alone
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore error list
  longshore error list --queue emails --since 1h
  longshore error list --by week --limit 10 --json

Of a group there are counts of the last minute, hour, day and week, made when the jobs failed. At
most 1,000 groups are kept; the one that was seen longest ago goes first.")]
pub(crate) struct ListArgs {
    /// Only failures in this queue
    #[arg(long, value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
    /// Only failures of jobs of this name
    #[arg(long, value_parser = |text: &str| parse::name("--name", text))]
    name: Option<String>,
    /// Only groups with this text in their fingerprint
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| parse::text("--contains", text))]
    contains: Option<String>,
    /// Only groups that were seen within this time
    #[arg(long, value_name = "TIME", value_parser = |text: &str| parse::duration("--since", text))]
    since: Option<u64>,
    /// What they are ordered by: when seen last or first, or how often within an hour, a day, a week
    #[arg(long, default_value = "last", value_parser = |text: &str| parse::word("--by", text, FailureOrder::ALL))]
    by: FailureOrder,
    /// At most this many rows
    #[arg(long, value_name = "N", default_value = "50")]
    #[arg(value_parser = |text: &str| parse::integer::<u32>("--limit", text, 1, Limits::PAGE_ROWS))]
    limit: u32,
}

/// Show a group of failures: how often and when, where, and the newest jobs of it
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore error show 'exit: order N not found'
  longshore job list --fingerprint 'exit: order N not found'")]
pub(crate) struct ShowArgs {
    /// What its failures share, as the list shows it
    #[arg(value_name = "FINGERPRINT")]
    fingerprint: String,
}

/// Carries out one command of the family.
pub(crate) async fn run(command: ErrorCommand, app: &mut App) -> Result<(), Failure> {
    let now_ms = app.now_ms();
    match command {
        ErrorCommand::List(args) => {
            let ListArgs { queue, name, contains, since, by, limit } = args;
            let since_ms = since.map(|ms| now_ms.saturating_sub(ms));
            let filter = FailureFilter { queue, name, contains, since_ms };
            let groups: Vec<FailureGroup> = app.engine().await?.failures(filter, by, None, limit).await?.groups;
            app.rows(&groups, || render::failure::list(&groups, now_ms))
        }
        ErrorCommand::Show(args) => {
            let group = app.engine().await?.failure(&args.fingerprint).await?;
            app.answer(&group, || render::failure::whole(&group, now_ms))
        }
    }
}
