//! `watch`: the feed of everything that happens, a line for each event.

use std::collections::VecDeque;

use clap::Args;
use queue_core::model::{EventPage, EventRecord, EventsBack, Word};

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
  longshore watch --last 20
  longshore watch --from 0 --limit 100")]
pub(crate) struct WatchArgs {
    /// Only events of this queue
    #[arg(long, value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
    /// Start here: 0 is the oldest event that is kept [default: from now on]
    #[arg(long, value_name = "CURSOR")]
    from: Option<String>,
    /// Begin with the newest events there are, this many at most
    #[arg(long, value_name = "N", conflicts_with = "from", value_parser = |text: &str| parse::integer("--last", text, 1, MOST))]
    last: Option<usize>,
    /// End after this many lines [default: never]
    #[arg(long, value_name = "N", value_parser = |text: &str| parse::integer("--limit", text, 1, u64::MAX))]
    limit: Option<u64>,
}

/// Most events asked for at once.
const PAGE: u32 = 1_000;
/// How long one call waits for the first event.
const WAIT_MS: u64 = 30_000;
/// Most events that are shown of those that were before.
const MOST: usize = 10_000;

/// Follows the feed until somebody stops us or the limit is reached.
pub(crate) async fn run(args: WatchArgs, app: &mut App) -> Result<(), Failure> {
    let wanted = |event: &EventRecord| args.queue.is_none() || args.queue == event.queue;
    let mut cursor = args.from;
    let mut left = args.limit.unwrap_or(u64::MAX);
    if let Some(most) = args.last {
        let (events, end) = last(app, most, wanted).await?;
        if tell(app, events, &mut left)? {
            return Ok(());
        }
        cursor = Some(end);
    }
    loop {
        let page = app.engine().await?.events(cursor, PAGE, WAIT_MS).await?;
        cursor = Some(page.cursor);
        if tell(app, page.events.into_iter().filter(wanted), &mut left)? {
            return Ok(());
        }
    }
}

/// Shows events; whether that were enough.
fn tell(app: &mut App, events: impl IntoIterator<Item = EventRecord>, left: &mut u64) -> Result<bool, Failure> {
    for event in events {
        app.answer(&event, || render::event::line(&event))?;
        *left -= 1;
        if *left == 0 {
            return Ok(true);
        }
    }
    app.out.flush()?;
    Ok(false)
}

/// The newest events that are wanted, oldest first, and where to go on behind them.
async fn last(
    app: &mut App,
    most: usize,
    wanted: impl Fn(&EventRecord) -> bool,
) -> Result<(VecDeque<EventRecord>, String), Failure> {
    let engine = app.engine().await?;
    let mut page = engine.events_back(EventsBack { before: None, since: None, limit: PAGE }).await?;
    let (mut found, end) = (VecDeque::new(), page.cursor);
    loop {
        let newest_first = page.events.into_iter().rev().filter(&wanted).take(most - found.len());
        newest_first.for_each(|event| found.push_front(event));
        if found.len() == most || page.before.is_none() {
            return Ok((found, end));
        }
        page = match engine.events_back(EventsBack { before: page.before, since: None, limit: PAGE }).await {
            // It was removed meanwhile.
            Err(error) if error.word == Word::Trimmed => EventPage::default(),
            page => page?,
        };
    }
}
