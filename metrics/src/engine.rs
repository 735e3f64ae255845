//! An engine's figures, under their names.

use queue_core::model::{Figures, JobState, JournalFigures, LeaseOutcome, Limits, QueueFigures, WorkerState};

use crate::Page;

impl Page {
    /// Puts everything that an engine says of itself.
    pub fn engine(&mut self, figures: &Figures) {
        for (queue, of_queue) in &figures.queues {
            self.queue(queue, of_queue);
        }
        if figures.queue_count > figures.queues.len() as u64 {
            self.queue(Limits::FIGURES_OTHER, &figures.other);
        }
        self.put("longshore_queues", &[], figures.queue_count);
        self.histogram("longshore_wait_seconds", &[], &figures.wait_ms, 1_000);
        self.histogram("longshore_run_seconds", &[], &figures.run_ms, 1_000);
        for (state, count) in WorkerState::ALL.iter().zip(figures.workers) {
            self.put("longshore_workers", &[state.as_str()], count);
        }
        self.put("longshore_memory_bytes", &["rows"], figures.memory_bytes);
        self.put("longshore_memory_bytes", &["blobs"], figures.blob_bytes);
        if let Some(most) = figures.memory_bytes_max {
            self.put("longshore_memory_max_bytes", &[], most);
        }
        self.put("longshore_clock_jumps_total", &[], figures.clock_jumps);
        if let Some(journal) = &figures.journal {
            self.journal(journal);
        }
    }

    fn queue(&mut self, queue: &str, figures: &QueueFigures) {
        for state in JobState::ALL {
            self.put("longshore_jobs", &[queue, state.as_str()], figures.counts.of(*state));
        }
        self.put("longshore_jobs_retrying", &[queue], figures.counts.retrying);
        self.put_exactly("longshore_queue_oldest_waiting_seconds", &[queue], seconds(figures.oldest_waiting_ms));
        self.put("longshore_jobs_enqueued_total", &[queue], figures.counts.enqueued);
        self.put("longshore_jobs_removed_total", &[queue], figures.counts.removed);
        self.put("longshore_jobs_aged_out_total", &[queue], figures.counts.aged_out);
        let ended = LeaseOutcome::ALL.iter().zip(figures.ended);
        for (outcome, count) in ended.filter(|(outcome, _)| **outcome != LeaseOutcome::Running) {
            self.put("longshore_attempts_total", &[queue, outcome.as_str()], count);
        }
    }

    fn journal(&mut self, figures: &JournalFigures) {
        self.put("longshore_journal_bytes_total", &[], figures.stats.position);
        self.put("longshore_journal_segments", &[], figures.stats.segments);
        self.put("longshore_journal_behind_snapshot_bytes", &[], figures.stats.behind_snapshot_bytes);
        self.put("longshore_snapshot_bytes", &[], figures.stats.snapshot_bytes);
        self.put("longshore_snapshots_total", &[], figures.stats.snapshots);
        self.put("longshore_snapshot_failures_total", &[], figures.snapshot_failures);
        self.put("longshore_disk_level", &[], figures.disk_level.into());
        self.histogram("longshore_fsync_seconds", &[], &figures.sync_us, 1_000_000);
        self.histogram("longshore_frame_records", &[], &figures.frame_records, 1);
    }
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "the exposition knows floating point alone")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}
