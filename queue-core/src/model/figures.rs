//! Figures for monitoring: plain numbers, cheap to give however much there is.
//!
//! Counters count since the engine's start; what the books of a queue say is exact and survives it. What they are called
//! where they are shown is the exporters' business.

use super::{JournalStats, LeaseOutcome, QueueCounts, WorkerState};

/// How many values fell into which range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// The ranges' upper ends, ascending; each belongs to its range.
    pub bounds: &'static [u64],
    /// How many fell into each range; the last is of those above all bounds.
    pub counts: Vec<u64>,
    /// All values together.
    pub sum: u64,
}

impl Histogram {
    /// Ranges for microseconds of a disk's work.
    pub const DISK_US: &'static [u64] = &[
        50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
        2_000_000, 5_000_000,
    ];
    /// Ranges for records of a frame.
    pub const RECORDS: &'static [u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000];
    /// Ranges for milliseconds of waiting and running: from a millisecond to a day.
    pub const WORK_MS: &'static [u64] = &[
        1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
        21_600_000, 86_400_000,
    ];

    /// Nothing counted yet.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// Counts one value.
    pub fn add(&mut self, value: u64) {
        let range = self.bounds.partition_point(|bound| *bound < value);
        self.counts[range] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The figures of a queue, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Its books.
    pub counts: QueueCounts,
    /// Leases that ended since the engine's start, by how; in the order of [`LeaseOutcome::ALL`].
    pub ended: [u64; LeaseOutcome::ALL.len()],
    /// As [`super::QueueView::oldest_waiting_ms`]; 0 where none waits.
    pub oldest_waiting_ms: u64,
}

impl QueueFigures {
    /// Adds those of another queue.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.ended.iter_mut().zip(other.ended).for_each(|(mine, theirs)| *mine += theirs);
        self.oldest_waiting_ms = self.oldest_waiting_ms.max(other.oldest_waiting_ms);
    }
}

/// What an engine says of itself to whoever watches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Queues by name, in the order in which they were made, at most [`super::Limits::FIGURE_QUEUES`].
    pub queues: Vec<(String, QueueFigures)>,
    /// All other queues together.
    pub other: QueueFigures,
    /// How many queues there are.
    pub queue_count: u64,
    /// From when a job became ready (or was given back) to its lease, in milliseconds.
    pub wait_ms: Histogram,
    /// From a lease to its completion or failure, in milliseconds.
    pub run_ms: Histogram,
    /// Bytes that jobs take: rows and what hangs on them.
    pub memory_bytes: u64,
    /// Bytes of payloads, results, errors and logs.
    pub blob_bytes: u64,
    /// What both together may take; `None`: no bound.
    pub memory_bytes_max: Option<u64>,
    /// Of the log; absent without one.
    pub journal: Option<JournalFigures>,
    /// Workers, in the order of [`WorkerState::ALL`].
    pub workers: [u64; WorkerState::ALL.len()],
    /// How often the wall clock jumped by more than a minute.
    pub clock_jumps: u64,
}

/// The figures of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFigures {
    /// As the store's totals have them.
    pub stats: JournalStats,
    /// What is refused for lack of room on the disk: 0 nothing, 1 new work, 2 leases too, 3 settlements too.
    pub disk_level: u8,
    /// Snapshots that came to nothing.
    pub snapshot_failures: u64,
    /// Writing and syncing of each frame that was synced, and each sync beside them, in microseconds.
    pub sync_us: Histogram,
    /// Records of each frame.
    pub frame_records: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_range_that_ends_with_it() {
        let mut histogram = Histogram::new(&[1, 10]);
        [0, 1, 2, 10, 11, u64::MAX].into_iter().for_each(|value| histogram.add(value));
        assert_eq!((histogram.counts.as_slice(), histogram.count()), (&[2, 2, 2][..], 6));
        assert_eq!(histogram.sum, u64::MAX, "it does not wrap");
    }
}
