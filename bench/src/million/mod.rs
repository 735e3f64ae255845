//! What a large store costs: recovery, snapshots, and what single enqueues notice of bulk work beside them.
//!
//! Each piece of work stands beside an idle figure that was taken right before (of a compaction right after) with the same
//! store, in the same run. Reports only: ratios stand beside their aims, and nothing is decided by them. Every repetition is
//! on stores of its own; the server is a process of its own with the log engine and `--fsync always`.

mod compaction;
mod probe;
mod table;
mod work;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use queue_core::connect;
use queue_core::engine::Engine;
use queue_core::model::{BulkVerb, JobState};
use tokio::runtime::Runtime;

use crate::clock;
use crate::host::{self, Scratch};
use crate::jobs;
use crate::longshore_server::LongshoreServer;
use probe::{Latencies, Probe};
use table::Table;

/// How much, how often.
#[derive(Args)]
pub(crate) struct MillionArguments {
    /// Jobs in the store; fewer to see whether it works.
    #[arg(long, default_value_t = 1_000_000)]
    jobs: u64,
    /// Repetitions, each on new stores; medians are printed.
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Single enqueues a second, beside which the work is done.
    #[arg(long, default_value_t = 400)]
    rate: u32,
    /// Seconds of an idle figure, and the least of a search.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Only these parts; without it all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
}

/// The two halves of the run, which share nothing but the fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Fill, recovery, snapshot.
    Store,
    /// Search, drain, redrive, removal, all due at once.
    Beside,
}

impl MillionArguments {
    fn idle_time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// Measures and prints.
pub(crate) fn run(arguments: &MillionArguments) -> Result<()> {
    let scratch = Scratch::new("million")?;
    println!("{}", host::describe(scratch.path())?);
    println!("{} jobs of 190 bytes; single enqueues {} times a second\n", arguments.jobs, arguments.rate);
    let mut table = Table::default();
    for repetition in 1..=arguments.repetitions {
        eprintln!("repetition {repetition} of {}", arguments.repetitions);
        if arguments.has(Part::Store) {
            compaction::measure(arguments, scratch.path(), &mut table)?;
        }
        if arguments.has(Part::Beside) {
            beside(arguments, scratch.path(), &mut table)?;
        }
    }
    table.print();
    Ok(())
}

/// A server of our own and a client of it, on one thread.
struct Client {
    url: String,
    runtime: Runtime,
    engine: Arc<dyn Engine>,
}

impl Client {
    fn connect(server: &LongshoreServer) -> Result<Self> {
        let (url, runtime) = (server.url(), tokio::runtime::Builder::new_current_thread().enable_all().build()?);
        let engine = runtime.block_on(connect(&url))?;
        Ok(Self { url, runtime, engine })
    }
}

/// One client's work, and the probes before and beside it.
struct Bench<'a> {
    arguments: &'a MillionArguments,
    client: Client,
    table: &'a mut Table,
}

impl Bench<'_> {
    fn idle(&self) -> Result<Latencies> {
        Probe::during(&self.client.url, self.arguments.rate, self.arguments.idle_time())
    }

    /// Takes an idle figure, then does `work` with the probe beside it.
    fn beside<T>(&mut self, what: &'static str, work: impl AsyncFnOnce(&Arc<dyn Engine>) -> Result<T>) -> Result<T> {
        let idle = self.idle()?;
        self.beside_after(what, idle, work)
    }

    fn beside_after<T>(
        &mut self,
        what: &'static str,
        idle: Latencies,
        work: impl AsyncFnOnce(&Arc<dyn Engine>) -> Result<T>,
    ) -> Result<T> {
        let probe = Probe::start(&self.client.url, self.arguments.rate)?;
        let started = clock::now();
        let done = self.client.runtime.block_on(work(&self.client.engine));
        let took = started.elapsed();
        let beside = probe.finish()?;
        self.table.beside(what, took, idle, beside, 3.0);
        done
    }

    /// Work that is not measured.
    fn prepare<T>(&self, work: impl AsyncFnOnce(&Arc<dyn Engine>) -> Result<T>) -> Result<T> {
        self.client.runtime.block_on(work(&self.client.engine))
    }
}

/// Each piece of bulk work in turn, on one store.
fn beside(arguments: &MillionArguments, scratch: &Path, table: &mut Table) -> Result<()> {
    let (folder, number) = (scratch.join("beside"), arguments.jobs);
    let server = LongshoreServer::start(&folder)?;
    let mut bench = Bench { arguments, client: Client::connect(&server)?, table };
    let filled = clock::now();
    bench.prepare(async |engine| jobs::fill(engine, work::QUEUE, number, None).await)?;
    let filled = filled.elapsed();
    let time = arguments.idle_time();
    bench.beside("searched by payload text, no match", async |engine| work::search(engine, time).await)?;
    bench.beside("drained by a worker of concurrency 100", async |engine| jobs::drain(engine, work::QUEUE).await)?;
    bench.prepare(async |engine| {
        jobs::fill(engine, work::QUEUE, number, None).await?;
        jobs::reject(engine, work::QUEUE, |_| "status 1".to_owned()).await
    })?;
    bench.beside("redriven, all dead", async |engine| work::operate(engine, BulkVerb::Retry, JobState::Dead).await)?;
    bench.beside("removed, all waiting", async |engine| {
        work::operate(engine, BulkVerb::Remove, JobState::Waiting).await
    })?;
    // Far enough away that all are there, and the idle figure is taken, before they are due.
    let due = clock::time_of_day() + filled * 2 + arguments.idle_time() + Duration::from_secs(2);
    bench.prepare(async |engine| jobs::fill(engine, work::QUEUE, number, Some(due)).await)?;
    let idle = bench.idle()?;
    // What is left of the time until then belongs to neither figure.
    std::thread::sleep(due.duration_since(clock::time_of_day()).unwrap_or_default());
    bench.beside_after("all due at one instant", idle, async |engine| work::fall_due(engine).await)?;
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
