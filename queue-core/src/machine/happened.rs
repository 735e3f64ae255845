//! What an event counts for: derived once, by the row as it is before the event.
//!
//! For whoever counts: what is kept over time (`stats`, in recovery, too), and what monitoring shows since the engine's start
//! (`meter`, never in recovery). Neither looks at events for itself, so they cannot come to differ.

use super::rows::Rows;
use super::{Event, Next};
use crate::model::LeaseOutcome;

/// The kind of failures that count as timeouts.
const TIMEOUT: &str = "timeout";

/// What is counted: the bits of [`Happened::kinds`], in the order of the model's counts.
pub(super) mod kind {
    pub(in super::super) const ENQUEUED: u16 = 1;
    pub(in super::super) const STARTED: u16 = 1 << 1;
    pub(in super::super) const COMPLETED: u16 = 1 << 2;
    pub(in super::super) const FAILED: u16 = 1 << 3;
    pub(in super::super) const TIMED_OUT: u16 = 1 << 4;
    pub(in super::super) const STALLED: u16 = 1 << 5;
    pub(in super::super) const RETURNED: u16 = 1 << 6;
    pub(in super::super) const DEAD: u16 = 1 << 7;
    pub(in super::super) const CANCELLED: u16 = 1 << 8;
    pub(in super::super) const RETRIED: u16 = 1 << 9;
    pub(in super::super) const REMOVED: u16 = 1 << 10;
    pub(in super::super) const AGED_OUT: u16 = 1 << 11;
}

/// How many kinds there are.
pub(super) const KINDS: usize = 12;

/// What an event counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happened {
    pub(super) queue: u32,
    pub(super) name: u32,
    pub(super) kinds: u16,
    /// How a lease ended, where one did.
    pub(super) ended: Option<LeaseOutcome>,
    /// How long the job had waited that was leased, in milliseconds.
    pub(super) wait: Option<u64>,
    /// How long the job ran that was completed or failed, in milliseconds.
    pub(super) run: Option<u64>,
}

impl Happened {
    /// What `event`, which is not folded yet, counts for at instant `at`; `None` for nothing.
    pub(super) fn of(event: &Event<'_>, rows: &Rows, at: u64) -> Option<Self> {
        let (kinds, ended) = match *event {
            Event::Enqueued(ref new) => {
                let (queue, name) = (new.queue, new.name);
                return Some(Self { queue, name, kinds: kind::ENQUEUED, ended: None, wait: None, run: None });
            }
            Event::Leased { .. } => (kind::STARTED, None),
            Event::Completed { .. } => (kind::COMPLETED, Some(LeaseOutcome::Completed)),
            Event::Failed { kind: TIMEOUT, next, .. } => {
                (kind::FAILED | kind::TIMED_OUT | after(next), Some(LeaseOutcome::Failed))
            }
            Event::Failed { next, .. } => (kind::FAILED | after(next), Some(LeaseOutcome::Failed)),
            Event::Released { next, .. } => (kind::RETURNED | after(next), Some(LeaseOutcome::Released)),
            Event::Snoozed { next, .. } => (kind::RETURNED | after(next), Some(LeaseOutcome::Snoozed)),
            Event::LeaseExpired { next, .. } => (kind::STALLED | after(next), Some(LeaseOutcome::Expired)),
            Event::Expired { .. } => (kind::DEAD, None),
            Event::Cancelled { .. } => (kind::CANCELLED, None),
            Event::Retried { .. } => (kind::RETRIED, None),
            Event::Removed { .. } => (kind::REMOVED, None),
            Event::AgedOut { .. } => (kind::AGED_OUT, None),
            _ => return None,
        };
        let row = rows.get(event.number()?.0)?;
        let run = || Some(at.saturating_sub(row.runs()?.timeline.last()?.leased_at));
        Some(Self {
            queue: row.queue,
            name: row.name,
            kinds,
            ended,
            wait: (kinds & kind::STARTED != 0).then(|| at.saturating_sub(row.at)),
            run: if kinds & (kind::COMPLETED | kind::FAILED) == 0 { None } else { run() },
        })
    }
}

/// What becomes of a job after its lease, as far as it is counted.
const fn after(next: Next) -> u16 {
    match next {
        Next::Waiting | Next::Delayed(_) => 0,
        Next::Dead(_) => kind::DEAD,
        Next::Cancelled => kind::CANCELLED,
    }
}
