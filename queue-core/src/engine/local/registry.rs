//! The worker registry: who beat when. Never journaled, empty after a start until workers beat.

use std::collections::BTreeMap;

use crate::model::{Beat, Error, Limits, Word, WorkerView};

/// A worker that has not beaten for this long is gone.
const GONE_AFTER_MS: u64 = 60_000;
/// Those that are gone are looked for this often, also where nobody lists workers.
const LOOK_MS: u64 = 10_000;

/// All workers, by name.
#[derive(Debug, Default)]
pub(super) struct Registry {
    workers: BTreeMap<String, (Beat, u64)>,
    looked_at: u64,
}

impl Registry {
    /// A beat at steady instant `now`; `FULL` where too many others beat.
    pub(super) fn beat(&mut self, beat: &Beat, now: u64) -> Result<(), Error> {
        if now >= self.looked_at + LOOK_MS {
            self.forget_gone(now);
        }
        if beat.leaving {
            self.workers.remove(&beat.worker);
        } else if self.workers.len() < Limits::WORKERS || self.workers.contains_key(&beat.worker) {
            self.workers.insert(beat.worker.clone(), (beat.clone(), now));
        } else {
            let text = format!(
                "{} workers beat already, as many as may; one that is silent for a minute makes room",
                Limits::WORKERS
            );
            return Err(Error::new(Word::Full, text));
        }
        Ok(())
    }

    fn forget_gone(&mut self, now: u64) {
        self.workers.retain(|_, (_, at)| *at + GONE_AFTER_MS >= now);
        self.looked_at = now;
    }

    /// Those who beat lately; `to_wall` turns a steady instant into a wall time.
    pub(super) fn workers(&mut self, now: u64, to_wall: impl Fn(u64) -> u64) -> Vec<WorkerView> {
        self.forget_gone(now);
        self.workers.values().map(|(beat, at)| WorkerView { beat: beat.clone(), beat_at_ms: to_wall(*at) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(registry: &mut Registry, worker: usize, now: u64) -> Result<(), Error> {
        registry.beat(&Beat { worker: worker.to_string(), ..Beat::default() }, now)
    }

    #[test]
    fn workers_that_died_are_forgotten_though_nobody_lists_workers() {
        let mut registry = Registry::default();
        for at in 0..1_000 {
            beat(&mut registry, at as usize, at * 1_000).expect("room");
        }
        assert!(registry.workers.len() <= 72, "{} are kept", registry.workers.len());
    }

    #[test]
    fn no_more_workers_beat_than_may() {
        let mut registry = Registry::default();
        for worker in 0..Limits::WORKERS {
            beat(&mut registry, worker, 0).expect("room");
        }
        assert_eq!(beat(&mut registry, Limits::WORKERS, 0).expect_err("one too many").word, Word::Full);
        beat(&mut registry, 7, 60_000).expect("one that is known");
        beat(&mut registry, Limits::WORKERS, 70_000).expect("the others are gone");
        assert_eq!(registry.workers.len(), 2);
    }
}
