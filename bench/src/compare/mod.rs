//! The comparison: Longshore beside its peers on the same machine, in the same run.
//!
//! A column is one way to drive one server; a scenario is one figure. Columns take turns within a scenario, every figure on a
//! fresh server; repetitions are interleaved and medians printed with the ratio to the first column. Reports only: no gate.

mod node;
mod scenario;
mod table;

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use crate::host::{self, Scratch};
use crate::redis_server::RedisServer;
use node::NodePeers;
use scenario::Scenario;
use table::Table;

/// What to compare.
#[derive(Args)]
pub(crate) struct CompareArguments {
    /// Repetitions of each figure but the fill; the median is printed.
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Only these scenarios; without it all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Jobs that arrive while the longest single apply is looked for; the first million tells bytes per waiting job.
    #[arg(long, default_value_t = 4_000_000)]
    fill_jobs: u64,
}

/// One way to drive one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    /// BullMQ on Redis with `appendfsync always`.
    BullMq,
}

impl Column {
    const ALL: [Self; 1] = [Self::BullMq];

    fn label(self) -> &'static str {
        match self {
            Self::BullMq => "BullMQ",
        }
    }
}

/// Everything that a measurement needs.
struct Bench {
    scratch: Scratch,
    node: NodePeers,
    fill_jobs: u64,
}

/// Runs what `arguments` ask for and prints the table.
pub(crate) fn run(arguments: &CompareArguments) -> Result<()> {
    let scratch = Scratch::new("compare")?;
    let bench = Bench { node: NodePeers::install()?, scratch, fill_jobs: arguments.fill_jobs };
    println!("{}", host::describe(bench.scratch.path())?);
    println!("{}\n", bench.node.versions()?);
    let chosen = |scenario: &Scenario| arguments.only.is_empty() || arguments.only.contains(scenario);
    let mut table = Table::new();
    for scenario in Scenario::ALL.into_iter().filter(chosen) {
        let repetitions = if scenario == Scenario::Fill { 1 } else { arguments.repetitions };
        for repetition in 1..=repetitions {
            eprintln!("{}: repetition {repetition} of {repetitions}", scenario.name());
            bench.repeat(scenario, &mut table)?;
        }
    }
    table.print();
    Ok(())
}

impl Bench {
    /// One repetition of `scenario`, every column in turn.
    fn repeat(&self, scenario: Scenario, table: &mut Table) -> Result<()> {
        for column in Column::ALL {
            let figures = match column {
                Column::BullMq => self.on_redis(|redis| self.bullmq(scenario, redis)),
            };
            for (row, value) in figures.with_context(|| format!("{}, {}", column.label(), scenario.name()))? {
                table.add(row, column, value);
            }
        }
        if scenario == Scenario::Connections {
            table.redis_lpush(self.on_redis(|redis| redis.benchmark_lpush(64, scenario.jobs()))?);
        }
        Ok(())
    }

    /// Runs `measure` on a Redis that has nothing in it.
    fn on_redis<T>(&self, measure: impl FnOnce(&RedisServer) -> Result<T>) -> Result<T> {
        let folder = self.scratch.path().join("redis");
        let redis = RedisServer::start(&folder)?;
        let outcome = measure(&redis);
        drop(redis);
        remove(&folder)?;
        outcome
    }

    fn bullmq(&self, scenario: Scenario, redis: &RedisServer) -> Result<Vec<(table::Row, f64)>> {
        let port = redis.address().port();
        if scenario != Scenario::Fill {
            let value = self.node.run("bullmq", scenario, port, scenario.jobs())?;
            return Ok(vec![(table::Row::of(scenario), value)]);
        }
        let first = self.fill_jobs.min(scenario.jobs());
        let before = host::resident_bytes(redis.pid())?;
        let mut longest_us = self.node.run("bullmq", scenario, port, first)?;
        let bytes = (host::resident_bytes(redis.pid())? - before) as f64 / first as f64;
        if self.fill_jobs > first {
            longest_us = longest_us.max(self.node.run("bullmq", scenario, port, self.fill_jobs - first)?);
        }
        Ok(vec![(table::Row::BytesPerJob, bytes), (table::Row::LongestApply, longest_us)])
    }
}

fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}
