//! Longshore's bench: prototypes, and peers and ourselves side by side.
//!
//! `spike` compares candidate layouts of server loop, rows and blobs; its figures stand in ARCHITECTURE.md.
//! `compare` measures Longshore and BullMQ by the same scenarios; `sync-delay` shows group commit on a slow disk; `million`
//! what a large store costs: recovery, snapshots, and what others notice of bulk work; `dashboard` how soon its pages come.
//! Every figure is a median of interleaved repetitions, given beside a peer or rival measured in the same run.
//! Units: throughput in requests or jobs per second, latencies in microseconds, memory in bytes per job.

mod client;
mod clock;
mod compare;
mod daemon;
mod host;
mod jobs;
mod load;
mod longshore_server;
mod million;
mod pages;
mod redis_server;
mod spike;
mod sync_delay;

use std::process::ExitCode;

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
    /// Show that syncs are shared: the server on a disk whose syncs take 2 ms longer. Exits 1 if too many were used.
    SyncDelay(sync_delay::SyncDelayArguments),
    /// Recovery, snapshots, and the latency of single enqueues beside bulk work, with 1,000,000 jobs in the store.
    Million(million::MillionArguments),
    /// The dashboard's pages on a store of 1,000,000 jobs, and what they cost the server.
    Dashboard(pages::DashboardArguments),
    /// The server, as a process of its own.
    #[command(hide = true)]
    Serve(Box<server::daemon::Flags>),
    /// The dashboard, as a process of its own (started by `dashboard`).
    #[command(hide = true)]
    ServeDashboard(Box<dashboard::daemon::Flags>),
    /// The longest single apply, in a process of its own (started by `compare`).
    #[command(hide = true)]
    LongestApply(compare::LongestApplyArguments),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().run {
        Run::Spike(arguments) => spike::run(arguments).map(|()| ExitCode::SUCCESS),
        Run::Compare(arguments) => compare::run(&arguments),
        Run::SyncDelay(arguments) => sync_delay::run(&arguments),
        Run::Million(arguments) => million::run(&arguments).map(|()| ExitCode::SUCCESS),
        Run::Dashboard(arguments) => pages::run(&arguments).map(|()| ExitCode::SUCCESS),
        Run::ServeDashboard(flags) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            Ok(runtime.block_on(dashboard::daemon::main(*flags)))
        }
        Run::Serve(flags) => Ok(server::daemon::main(*flags)),
        Run::LongestApply(arguments) => compare::longest_apply(&arguments).map(|()| ExitCode::SUCCESS),
    }
}
