//! The spike: candidate layouts of server loop, commit, rows and blobs, measured before anything is built on them.
//!
//! Self-contained on purpose: it stands for the layouts, not for the product, and stays as the evidence for the choice made.
//! Every server runs as a process of its own; candidates take turns, repetitions are interleaved, medians are printed.

mod blobs;
mod broker;
mod log;
mod loops;
mod memory;
mod mio_loop;
mod rows;
mod server;
mod tokio_loop;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};

use crate::host;

/// What to measure; without a part, all of them.
#[derive(Args)]
pub(crate) struct SpikeArguments {
    /// Repetitions of each figure; the median is printed.
    #[arg(long, default_value_t = 5, global = true)]
    repetitions: usize,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Server loops on this disk, beside Redis with `appendfsync always`.
    Loops,
    /// Group commit with 2 ms added to each sync.
    Slow,
    /// Rows and blobs: bytes per waiting job, time per insert, longest single insert.
    Rows,
    /// One of the servers (started by `loops` and `slow`).
    #[command(hide = true)]
    Serve(ServeArguments),
    /// One fill of a layout (started by `rows`).
    #[command(hide = true)]
    Fill(FillArguments),
}

#[derive(Args)]
struct ServeArguments {
    #[arg(long)]
    server: Candidate,
    /// Milliseconds added to each sync.
    #[arg(long, default_value_t = 0)]
    added_ms: u64,
    #[arg(long)]
    log: PathBuf,
}

#[derive(Args)]
struct FillArguments {
    #[arg(long)]
    layout: Layout,
    #[arg(long)]
    jobs: u64,
    /// Time every insert, not only all of them.
    #[arg(long)]
    longest: bool,
}

/// A server loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Candidate {
    /// tokio, sync on the loop.
    Inline,
    /// The same under a `LocalSet` instead of a local runtime.
    InlineLocalSet,
    /// tokio, every sync on a helper thread.
    Helper,
    /// tokio, sync where the average sync time asks for it.
    Adaptive,
    /// Hand-written epoll loop, sync on the loop.
    Mio,
}

impl Candidate {
    const ALL: [Self; 5] = [Self::Inline, Self::InlineLocalSet, Self::Helper, Self::Adaptive, Self::Mio];
}

/// Where a commit syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncPlace {
    Loop,
    Helper,
    Adaptive,
}

/// A home for rows and one for blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// Rows in pages, blobs in pages.
    PagesPages,
    /// Rows in pages, a box per blob.
    PagesBoxes,
    /// Rows in one vector, a box per blob.
    VecBoxes,
    /// Rows in a hash map, a box per blob.
    MapBoxes,
}

impl Layout {
    const ALL: [Self; 4] = [Self::PagesPages, Self::PagesBoxes, Self::VecBoxes, Self::MapBoxes];
}

/// mimalloc's switch for transparent huge pages, set for every child.
///
/// With them one page fault in some thousand inserts clears 2 MiB, which takes milliseconds on a virtual machine.
const HUGE_PAGES: &str = "MIMALLOC_ALLOW_THP";

/// The name that a value has on the command line.
fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Runs what `arguments` ask for.
pub(crate) fn run(arguments: SpikeArguments) -> Result<()> {
    match &arguments.part {
        Some(Part::Serve(serve)) => return server::serve(serve),
        Some(Part::Fill(fill)) => return memory::fill(fill),
        _ => {}
    }
    let scratch = host::Scratch::new("spike")?;
    println!("{}\n", host::describe(scratch.path())?);
    let all = arguments.part.is_none();
    if all || matches!(arguments.part, Some(Part::Loops)) {
        loops::compare(&scratch, arguments.repetitions)?;
    }
    if all || matches!(arguments.part, Some(Part::Slow)) {
        loops::slow_disk(&scratch, arguments.repetitions)?;
    }
    if all || matches!(arguments.part, Some(Part::Rows)) {
        memory::compare(arguments.repetitions)?;
    }
    Ok(())
}
