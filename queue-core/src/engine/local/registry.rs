//! The worker registry: who beat when. Never journaled, empty after a start until workers beat.

use std::collections::BTreeMap;

use crate::model::{Beat, WorkerView};

/// A worker that has not beaten for this long is gone.
const GONE_AFTER_MS: u64 = 60_000;

/// All workers, by name.
#[derive(Debug, Default)]
pub(super) struct Registry {
    workers: BTreeMap<String, (Beat, u64)>,
}

impl Registry {
    /// A beat at steady instant `now`.
    pub(super) fn beat(&mut self, beat: Beat, now: u64) {
        match beat.leaving {
            true => drop(self.workers.remove(&beat.worker)),
            false => drop(self.workers.insert(beat.worker.clone(), (beat, now))),
        }
    }

    /// Those who beat lately; `to_wall` turns a steady instant into a wall time.
    pub(super) fn workers(&mut self, now: u64, to_wall: impl Fn(u64) -> u64) -> Vec<WorkerView> {
        self.workers.retain(|_, (_, at)| *at + GONE_AFTER_MS >= now);
        self.workers.values().map(|(beat, at)| WorkerView { beat: beat.clone(), beat_at_ms: to_wall(*at) }).collect()
    }
}
