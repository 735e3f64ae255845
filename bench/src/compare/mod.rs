//! The comparison: Longshore beside its peers on the same machine, in the same run.
//!
//! A column is one way to drive one server; a scenario is one figure. Columns take turns within a scenario, every figure on a
//! fresh server; repetitions are interleaved and medians printed with the ratio to the first column. Reports only: no gate.
//! A figure that could not be taken is a gap in the table and its reason below it, not the end of the run.

mod longest;
mod node;
mod rust;
mod scenario;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::host::{self, Scratch};
use crate::longshore_server::LongshoreServer;
use crate::redis_server::RedisServer;
pub(crate) use longest::{LongestApplyArguments, longest_apply};
use node::NodePeers;
use scenario::Scenario;
use table::{Row, Table};

/// Jobs of the long fill of a full run.
const FULL_FILL: u64 = 4_000_000;
/// Fills are made of batches.
const BATCH: u64 = 1000;

/// What to compare.
#[derive(Args)]
pub(crate) struct CompareArguments {
    /// Repetitions of each figure but the fill; the median is printed [default: 3, of a quick run 1].
    #[arg(long)]
    repetitions: Option<usize>,
    /// Only these scenarios; without it all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Only these columns; without it all.
    #[arg(long, value_delimiter = ',')]
    columns: Vec<Column>,
    /// Few jobs everywhere, about a minute in all: to see that it works, not to quote.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// 4,000,000 jobs arrive while the longest single apply is looked for.
    #[arg(long)]
    full: bool,
    /// Waiting jobs that tell bytes per job, in whole thousands [default: 1,000,000, of a quick run 100,000].
    #[arg(long)]
    memory_jobs: Option<u64>,
    /// Jobs that arrive while the longest single apply is looked for [default: as many, of a full run 4,000,000].
    #[arg(long)]
    fill_jobs: Option<u64>,
    /// Writes all figures to this file, too, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl CompareArguments {
    fn jobs(&self, scenario: Scenario) -> u64 {
        match (scenario, self.memory_jobs) {
            (Scenario::Fill, Some(jobs)) => jobs.next_multiple_of(BATCH),
            _ => scenario.jobs(self.quick),
        }
    }

    fn fill_jobs(&self) -> u64 {
        let default = if self.full { FULL_FILL } else { 0 };
        self.fill_jobs.unwrap_or(default).next_multiple_of(BATCH).max(self.jobs(Scenario::Fill))
    }

    fn repetitions(&self, scenario: Scenario) -> usize {
        let repetitions = self.repetitions.unwrap_or(if self.quick { 1 } else { 3 });
        if scenario == Scenario::Fill { 1 } else { repetitions }
    }
}

/// One way to drive one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    /// BullMQ on Redis with `appendfsync always`.
    Bullmq,
    /// Longshore, driven from Node by ioredis.
    Ioredis,
    /// Longshore, driven by its own client and worker.
    Rust,
}

impl Column {
    const ALL: [Self; 3] = [Self::Bullmq, Self::Ioredis, Self::Rust];

    fn label(self) -> &'static str {
        match self {
            Self::Bullmq => "BullMQ",
            Self::Ioredis => "Longshore, ioredis",
            Self::Rust => "Longshore, our client",
        }
    }
}

/// Everything that a measurement needs.
struct Bench<'a> {
    arguments: &'a CompareArguments,
    scratch: Scratch,
    node: NodePeers,
    table: Table,
    failures: Vec<String>,
}

/// Runs what `arguments` ask for and prints the table.
pub(crate) fn run(arguments: &CompareArguments) -> Result<ExitCode> {
    let scratch = Scratch::new("compare")?;
    let node = NodePeers::install()?;
    let system = [host::describe(scratch.path())?, node.versions()?];
    println!("{}\n", system.join("\n"));
    let mut bench = Bench { arguments, scratch, node, table: Table::new(), failures: Vec::new() };
    let chosen = |scenario: &Scenario| arguments.only.is_empty() || arguments.only.contains(scenario);
    for scenario in Scenario::ALL.into_iter().filter(chosen) {
        let repetitions = arguments.repetitions(scenario);
        for repetition in 1..=repetitions {
            eprintln!("{}: repetition {repetition} of {repetitions}", scenario.name());
            bench.repeat(scenario);
        }
    }
    bench.table.print();
    if let Some(file) = &arguments.json {
        let json = bench.table.json(&system, &bench.failures);
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    for failure in &bench.failures {
        println!("not measured: {failure}");
    }
    Ok(if bench.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Bench<'_> {
    /// One repetition of `scenario`, every column in turn.
    fn repeat(&mut self, scenario: Scenario) {
        for column in self.columns() {
            let figures = match column {
                Column::Bullmq => self.on_redis(|redis| self.bullmq(scenario, redis)),
                Column::Ioredis => self.on_longshore(scenario, |server| {
                    let port = server.address().port();
                    self.node.run("longshore", scenario, port, self.arguments.jobs(scenario))
                }),
                Column::Rust => self
                    .on_longshore(scenario, |server| rust::run(scenario, &server.url(), self.arguments.jobs(scenario))),
            };
            self.note(column, scenario, figures);
        }
        if scenario == Scenario::Connections {
            let jobs = self.arguments.jobs(scenario);
            match self.on_redis(|redis| redis.benchmark_lpush(64, jobs)) {
                Ok(rate) => self.table.redis_lpush(rate),
                Err(error) => self.failures.push(format!("redis-benchmark: {error:#}")),
            }
        }
        if scenario == Scenario::Fill {
            self.longest_apply();
        }
    }

    fn columns(&self) -> Vec<Column> {
        let chosen = |column: &Column| self.arguments.columns.is_empty() || self.arguments.columns.contains(column);
        Column::ALL.into_iter().filter(chosen).collect()
    }

    fn note(&mut self, column: Column, scenario: Scenario, figures: Result<Vec<(Row, f64)>>) {
        match figures {
            Ok(figures) => {
                for (row, value) in figures {
                    eprintln!("  {:<24}{value:>14.1}  {}", column.label(), row.label());
                    self.table.add(row, column, value);
                }
            }
            Err(error) => {
                let failure = format!("{}, {}: {error:#}", scenario.name(), column.label());
                eprintln!("  {failure}");
                self.failures.push(failure);
            }
        }
    }

    /// Longshore's longest apply has nothing to do with who drives, so one figure stands in both columns.
    fn longest_apply(&mut self) {
        let longshore: Vec<_> = self.columns().into_iter().filter(|column| *column != Column::Bullmq).collect();
        let Some(&first) = longshore.first() else { return };
        match longest::in_child(self.arguments.fill_jobs()) {
            Ok(longest_us) => {
                for column in longshore {
                    self.note(column, Scenario::Fill, Ok(vec![(Row::LongestApply, longest_us)]));
                }
            }
            Err(error) => self.note(first, Scenario::Fill, Err(error)),
        }
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

    fn bullmq(&self, scenario: Scenario, redis: &RedisServer) -> Result<Vec<(Row, f64)>> {
        let (port, jobs) = (redis.address().port(), self.arguments.jobs(scenario));
        if scenario != Scenario::Fill {
            return Ok(vec![(Row::of(scenario), self.node.run("bullmq", scenario, port, jobs)?)]);
        }
        let before = host::resident_bytes(redis.pid())?;
        let mut longest_us = self.node.run("bullmq", scenario, port, jobs)?;
        let bytes = per_job(before, host::resident_bytes(redis.pid())?, jobs);
        let more = self.arguments.fill_jobs() - jobs;
        if more > 0 {
            longest_us = longest_us.max(self.node.run("bullmq", scenario, port, more)?);
        }
        Ok(vec![(Row::BytesPerJob, bytes), (Row::LongestApply, longest_us)])
    }

    /// Runs `measure` on a Longshore that has nothing in it.
    fn on_longshore(
        &self,
        scenario: Scenario,
        measure: impl FnOnce(&LongshoreServer) -> Result<f64>,
    ) -> Result<Vec<(Row, f64)>> {
        let folder = self.scratch.path().join("longshore");
        // A figure that failed may have left its jobs.
        let _ = fs::remove_dir_all(&folder);
        let server = LongshoreServer::start(&folder)?;
        let before = host::resident_bytes(server.pid())?;
        let value = measure(&server)?;
        let after = host::resident_bytes(server.pid())?;
        drop(server);
        remove(&folder)?;
        let bytes = || per_job(before, after, self.arguments.jobs(scenario));
        let value = if scenario == Scenario::Fill { bytes() } else { value };
        Ok(vec![(Row::of(scenario), value)])
    }
}

fn per_job(before: u64, after: u64, jobs: u64) -> f64 {
    after.saturating_sub(before) as f64 / jobs as f64
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}
