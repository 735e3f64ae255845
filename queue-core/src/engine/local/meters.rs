//! What the engine counts for monitoring, and the figures that it gives.
//!
//! Plain integers, made under the store's lock in a moment: no look at a job is needed. Figures are no replies: they show what
//! is being written, too, and wait for no disk.

use super::Shared;
use super::store::Store;
use crate::journal::{Level, Storage};
use crate::machine::Metered;
use crate::model::{Error, Figures, Histogram, JournalFigures};

/// What the engine counts since its start.
#[derive(Debug)]
pub(super) struct Meters {
    /// Writing and syncing, in microseconds.
    pub(super) sync_us: Histogram,
    /// Records of frames.
    pub(super) frame_records: Histogram,
    /// Snapshots that came to nothing.
    pub(super) snapshot_failures: u64,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            sync_us: Histogram::new(Histogram::DISK_US),
            frame_records: Histogram::new(Histogram::RECORDS),
            snapshot_failures: 0,
        }
    }
}

impl<S: Storage> Store<S> {
    fn journal_figures(&mut self) -> Option<JournalFigures> {
        let stats = self.journal_stats()?;
        Some(JournalFigures {
            stats,
            disk_level: match self.level {
                Level::Open => 0,
                Level::NoNewWork => 1,
                Level::NoLeases => 2,
                Level::Nothing => 3,
            },
            snapshot_failures: self.meters.snapshot_failures,
            sync_us: self.meters.sync_us.clone(),
            frame_records: self.meters.frame_records.clone(),
        })
    }
}

impl<S: Storage> Shared<S> {
    pub(super) fn figures(&self) -> Result<Figures, Error> {
        let mut store = self.lock();
        store.check_open()?;
        let now = store.now();
        let Metered { queues, other, queue_count, wait_ms, run_ms, clock_jumps } = store.machine.metered(now);
        Ok(Figures {
            queues,
            other,
            queue_count,
            wait_ms,
            run_ms,
            memory_bytes: store.machine.row_bytes(),
            blob_bytes: store.files.blobs.live_bytes(),
            memory_bytes_max: Some(store.max_memory).filter(|bytes| *bytes != u64::MAX),
            workers: store.registry.counts(now.steady),
            clock_jumps,
            journal: store.journal_figures(),
        })
    }
}
