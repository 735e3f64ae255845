//! Longshore's bench: prototypes, and peers and ourselves side by side.
//!
//! `spike` compares candidate layouts of server loop, rows and blobs; its figures stand in ARCHITECTURE.md.
//! `compare` measures Longshore and BullMQ by the same scenarios.
//! Every figure is a median of interleaved repetitions, given beside a peer or rival measured in the same run.
//! Units: throughput in requests or jobs per second, latencies in microseconds, memory in bytes per job.

mod clock;
mod compare;
mod host;
mod redis_server;
mod spike;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Longshore beside its peers.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    run: Run,
}

#[derive(Subcommand)]
enum Run {
    /// Compare candidate layouts of server loop, commit, rows and blobs.
    Spike(spike::SpikeArguments),
    /// Measure Longshore beside BullMQ on Redis, and print a table.
    Compare(compare::CompareArguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().run {
        Run::Spike(arguments) => spike::run(arguments),
        Run::Compare(arguments) => compare::run(&arguments),
    }
}
