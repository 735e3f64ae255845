//! `journal compact`: a snapshot of a data directory that nobody runs, and the removal of what it replaces.

use std::path::PathBuf;

use clap::Args;
use queue_core::engine::offline::{self, CompactOptions};
use queue_core::journal::DirStorage;
use queue_core::model::Error;

use crate::app::App;
use crate::failure::{Failure, note};
use crate::parse;

/// Make a snapshot of a data directory and remove what it replaces
#[derive(Args, Debug)]
#[command(after_help = "\
As the server does in the background, at once and for the whole journal. No server may run on the
directory. What the snapshot before the newest needs stays, so the first of two runs in a row frees
little; --history 1kb keeps hardly anything else. A torn tail is cut, as a start does.

Examples:
  longshore journal compact ./longshore-data
  longshore journal compact ./longshore-data --history 1kb

Exit codes: 0 done, also where there was nothing new; 1 refused, as where the journal is damaged")]
pub(crate) struct CompactArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Journal before the snapshot that stays for readers of events [default: 1gb]
    #[arg(long, value_name = "SIZE", default_value = "1gb", hide_default_value = true)]
    #[arg(value_parser = parse::history)]
    history: u64,
    /// Longest segment of the journal, as the server is started with [default: 64mb]
    #[arg(long, value_name = "SIZE", default_value = "64mb", hide_default_value = true)]
    #[arg(value_parser = parse::segment_bytes)]
    segment_bytes: u64,
}

/// Compacts and says what it came to.
pub(crate) fn run(args: &CompactArgs, app: &mut App) -> Result<(), Failure> {
    let options = CompactOptions { history: args.history, segment_bytes: args.segment_bytes };
    let compacted = offline::compact(DirStorage::new(&args.directory), options).map_err(interrupted)?;
    if compacted.torn_bytes > 0 {
        note(&format!("cut a torn tail of {} bytes, kept beside", compacted.torn_bytes));
    }
    app.answer(&compacted, || {
        let (before, after, position) = (compacted.bytes_before, compacted.bytes_after, compacted.position);
        match compacted.snapshot_bytes {
            0 => format!("there is nothing new since position {position}: {before} bytes\n"),
            bytes => format!(
                "a snapshot of {bytes} bytes covers the log before position {position}; {before} bytes before, {after} after\n"
            ),
        }
    })
}

/// It may have got far, and has added and lost no event.
fn interrupted(error: Error) -> Failure {
    let hint = "no event was added or lost; run it again once that is mended";
    Failure::new(error.message, hint, error.word.exit_code())
}
