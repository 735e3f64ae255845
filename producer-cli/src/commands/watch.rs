//! `watch`: the feed of everything that happens, a line for each event.

use clap::Args;
use queue_core::model::EventRecord;

use crate::app::App;
use crate::failure::Failure;
use crate::parse;
use crate::render;

/// Follow what happens, a line for each event
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore watch
  longshore watch --queue emails --json
  longshore watch --from 0 --limit 100")]
pub(crate) struct WatchArgs {
    /// Only events of this queue
    #[arg(long, value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
    /// Start here: 0 is the oldest event that is kept [default: from now on]
    #[arg(long, value_name = "CURSOR")]
    from: Option<String>,
    /// End after this many lines [default: never]
    #[arg(long, value_name = "N", value_parser = |text: &str| parse::integer("--limit", text, 1, u64::MAX))]
    limit: Option<u64>,
}

/// Most events asked for at once.
const PAGE: u32 = 1_000;
/// How long one call waits for the first event.
const WAIT_MS: u64 = 30_000;

/// Follows the feed until somebody stops us or the limit is reached.
pub(crate) async fn run(args: WatchArgs, app: &mut App) -> Result<(), Failure> {
    let mut cursor = args.from;
    let mut left = args.limit.unwrap_or(u64::MAX);
    loop {
        let page = app.engine().await?.events(cursor, PAGE, WAIT_MS).await?;
        cursor = Some(page.cursor);
        let wanted = |event: &&EventRecord| args.queue.is_none() || args.queue == event.queue;
        for event in page.events.iter().filter(wanted) {
            app.answer(event, || render::event::line(event))?;
            left -= 1;
            if left == 0 {
                return Ok(());
            }
        }
        app.out.flush()?;
    }
}
