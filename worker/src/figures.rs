//! A worker's figures for monitoring: plain numbers that it counts itself.
//!
//! What they are called where they are shown is the exporter's business. Counters count since the worker was built.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use queue_core::model::{Histogram, Outcome, WorkerState};

use crate::activity::Activity;
use crate::shared::Shared;

/// How an attempt ended, as the worker that ran it saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptEnd {
    /// The job is completed.
    Completed,
    /// It failed, or its time ran out; whether it is tried again is its policy's business.
    Failed,
    /// It was given back uncounted, since the worker stops.
    Released,
    /// It was put off uncounted, as its handler asked for.
    Snoozed,
    /// Somebody cancelled the job meanwhile.
    Cancelled,
    /// The lease was lost or its settlement refused: nothing of this run counts.
    Lost,
}

impl AttemptEnd {
    /// All of them, in the order of [`WorkerFigures::ended`].
    pub const ALL: &[Self] =
        &[Self::Completed, Self::Failed, Self::Released, Self::Snoozed, Self::Cancelled, Self::Lost];

    /// The word as it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Snoozed => "snoozed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }

    /// What it says of an attempt's end, and how long that ran; nothing of one that starts.
    fn of(activity: &Activity<'_>) -> Option<(Self, Duration)> {
        match *activity {
            Activity::Started { .. } => None,
            Activity::Lost { ran, .. } => Some((Self::Lost, ran)),
            Activity::Ended { cancelled: true, ran, .. } => Some((Self::Cancelled, ran)),
            Activity::Ended { outcome, ran, .. } => {
                let end = match outcome {
                    Outcome::Complete { .. } => Self::Completed,
                    Outcome::Fail { .. } => Self::Failed,
                    Outcome::Release => Self::Released,
                    Outcome::Snooze { .. } => Self::Snoozed,
                };
                Some((end, ran))
            }
        }
    }
}

/// What a worker says of itself to whoever watches it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerFigures {
    /// What it does as a whole.
    pub state: WorkerState,
    /// Whether the engine answers, as the last call found it.
    pub connected: bool,
    /// How often the engine was found again after it had not answered.
    pub reconnects: u64,
    /// Leases that it holds: of jobs that run, and of those whose end the engine has not counted yet.
    pub leases: usize,
    /// How many jobs it runs at once, at most.
    pub concurrency: u32,
    /// Attempts that ended, by how, in the order of [`AttemptEnd::ALL`].
    pub ended: [u64; AttemptEnd::ALL.len()],
    /// How long handlers ran, in milliseconds.
    pub run_ms: Histogram,
    /// How long places were free until jobs came for them, in milliseconds. Places that the answer to a settlement fills at
    /// once are not counted.
    pub idle_ms: Histogram,
}

impl WorkerFigures {
    pub(crate) fn of(shared: &Shared) -> Self {
        let counts = shared.tally.lock();
        Self {
            state: shared.state(),
            connected: shared.link.answers(),
            reconnects: shared.link.reconnects(),
            leases: shared.held.count(),
            concurrency: shared.concurrency,
            ended: counts.ended,
            run_ms: counts.run_ms.clone(),
            idle_ms: counts.idle_ms.clone(),
        }
    }
}

/// What a worker counts.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    ended: [u64; AttemptEnd::ALL.len()],
    run_ms: Histogram,
    idle_ms: Histogram,
}

impl Default for Counts {
    fn default() -> Self {
        let work = || Histogram::new(Histogram::WORK_MS);
        Self { ended: Default::default(), run_ms: work(), idle_ms: work() }
    }
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Sums are whole between any two additions.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, activity: &Activity<'_>) {
        let Some((end, ran)) = AttemptEnd::of(activity) else { return };
        let mut counts = self.lock();
        counts.ended[end as usize] += 1;
        counts.run_ms.add(milliseconds(ran));
    }

    /// Places that had been free for so long were filled.
    pub(crate) fn filled(&self, idle: Duration) {
        self.lock().idle_ms.add(milliseconds(idle));
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
