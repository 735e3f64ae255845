//! The scenarios: what is done, and with how many jobs. Every job has the same 190 bytes of JSON as its payload.

use clap::ValueEnum;

/// One thing that people do with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// Enqueue with 64 in flight on one connection.
    Enqueue,
    /// Enqueue on 64 connections with one in flight each.
    Connections,
    /// Enqueue in batches of 1,000.
    Bulk,
    /// A worker of concurrency 100 whose handler does nothing.
    Noop,
    /// From the start of an enqueue until a waiting worker has the job, while nothing else happens.
    Idle,
    /// Waiting jobs pile up: memory, and the longest single apply.
    Fill,
}

impl Scenario {
    pub(super) const ALL: [Self; 6] =
        [Self::Enqueue, Self::Connections, Self::Bulk, Self::Noop, Self::Idle, Self::Fill];

    /// The name on the command line, which is also that of the function in the peers' scripts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Connections => "connections",
            Self::Bulk => "bulk",
            Self::Noop => "noop",
            Self::Idle => "idle",
            Self::Fill => "fill",
        }
    }

    /// Jobs of one repetition, or of a quick one; for the fill those that tell bytes per job.
    pub(super) fn jobs(self, quick: bool) -> u64 {
        let (jobs, few) = match self {
            Self::Enqueue | Self::Connections => (30_000, 10_000),
            Self::Bulk => (100_000, 30_000),
            Self::Noop => (20_000, 10_000),
            Self::Idle => (200, 50),
            Self::Fill => (1_000_000, 100_000),
        };
        if quick { few } else { jobs }
    }
}
