//! `journal`: tools for a data directory that nobody runs.
//!
//! They work on the files, under the directory's lock, and need no engine.

mod compact;
mod dump;
mod repair;
mod verify;

use clap::Subcommand;

use crate::app::App;
use crate::failure::Failure;

/// Look into a data directory that no server runs on, check it, repair it, compact it
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  longshore journal verify ./longshore-data
  longshore journal repair ./longshore-data
  longshore journal dump ./longshore-data --job 42
  longshore journal dump ./longshore-data --until 2026-12-01T10:00:00Z")]
pub(crate) enum JournalCommand {
    Verify(verify::VerifyArgs),
    Repair(repair::RepairArgs),
    Compact(compact::CompactArgs),
    Dump(dump::DumpArgs),
}

/// Carries out one command of the family.
pub(crate) async fn run(command: JournalCommand, app: &mut App) -> Result<(), Failure> {
    match command {
        JournalCommand::Verify(args) => verify::run(&args, app),
        JournalCommand::Repair(args) => repair::run(&args, app),
        JournalCommand::Compact(args) => compact::run(&args, app),
        JournalCommand::Dump(args) => dump::run(args, app).await,
    }
}
