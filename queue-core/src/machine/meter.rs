//! What the machine counts for monitoring: how leases ended, how long jobs waited and ran.
//!
//! Of what happens, never of what is read back: it begins with the engine's start, and is no part of the state.

use super::happened::Happened;
use super::{Event, Machine};
use crate::model::{Histogram, LeaseOutcome, Limits, Now, QueueFigures};

/// The counters. Instants are steady milliseconds.
#[derive(Debug)]
pub(super) struct Meter {
    /// By queue.
    ended: Vec<[u64; LeaseOutcome::ALL.len()]>,
    wait_ms: Histogram,
    run_ms: Histogram,
    clock_jumps: u64,
}

impl Default for Meter {
    fn default() -> Self {
        let work = || Histogram::new(Histogram::WORK_MS);
        Self { ended: Vec::new(), wait_ms: work(), run_ms: work(), clock_jumps: 0 }
    }
}

impl Meter {
    /// Counts an event that is about to be folded, and what it counts for.
    pub(super) fn observe(&mut self, event: &Event<'_>, happened: Option<&Happened>) {
        self.clock_jumps += u64::from(matches!(event, Event::ClockMoved { .. }));
        let Some(happened) = happened else { return };
        if let Some(wait) = happened.wait {
            self.wait_ms.add(wait);
        }
        if let Some(run) = happened.run {
            self.run_ms.add(run);
        }
        if let Some(outcome) = happened.ended {
            let queue = happened.queue as usize;
            if self.ended.len() <= queue {
                self.ended.resize(queue + 1, Default::default());
            }
            self.ended[queue][outcome as usize] += 1;
        }
    }
}

/// What the machine has to say to whoever watches it.
#[derive(Debug)]
pub struct Metered {
    /// As [`crate::model::Figures::queues`].
    pub queues: Vec<(String, QueueFigures)>,
    /// As [`crate::model::Figures::other`].
    pub other: QueueFigures,
    /// How many queues there are.
    pub queue_count: u64,
    /// As [`crate::model::Figures::wait_ms`].
    pub wait_ms: Histogram,
    /// As [`crate::model::Figures::run_ms`].
    pub run_ms: Histogram,
    /// As [`crate::model::Figures::clock_jumps`].
    pub clock_jumps: u64,
}

impl Machine {
    /// What was counted, as of `now`. The first queues stand by name, all others together.
    pub fn metered(&self, now: Now) -> Metered {
        let (mut queues, mut other) = (Vec::new(), QueueFigures::default());
        for (at, queue) in self.queues.iter().enumerate() {
            let ended = self.meter.ended.get(at).copied().unwrap_or_default();
            let since = queue.waiting_since(&self.rows);
            let oldest_waiting_ms = since.map_or(0, |since| now.steady.saturating_sub(since));
            let figures = QueueFigures { counts: queue.counts, ended, oldest_waiting_ms };
            // One of this name would be two series under one label.
            if at < Limits::FIGURE_QUEUES && &*queue.name != Limits::FIGURES_OTHER {
                queues.push((queue.name.to_string(), figures));
            } else {
                other.add(&figures);
            }
        }
        Metered {
            queues,
            other,
            queue_count: self.queues.len() as u64,
            wait_ms: self.meter.wait_ms.clone(),
            run_ms: self.meter.run_ms.clone(),
            clock_jumps: self.meter.clock_jumps,
        }
    }
}
