//! What a restored state must keep, checked as it is read, in time by what is read.

use super::super::Machine;
use super::super::more::Runs;
use super::super::queue::Queue;
use super::super::rows::{ASIDE, EXPIRED, Row, WALL};
use super::restore::no_queue;
use crate::model::{DeadReason, DelayCause, JobState};

/// No instant, counter or place is as far, so that whatever is added to one stays a number.
const LATE: u64 = 1 << 62;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn check_instant(at: u64) -> Result<(), String> {
    ensure(at < LATE, || format!("instant {at} is out of range"))
}

impl Machine {
    pub(super) fn check_clocks(&self) -> Result<(), String> {
        check_instant(self.steady)?;
        check_instant(self.removal_from)?;
        check_instant(self.offset.unsigned_abs())?;
        let counters = self.last_number.max(self.last_operation) < LATE && self.last_token.epoch() < u32::MAX;
        ensure(counters, || "a counter is out of range".to_owned())
    }

    /// Whether a row fits the rest of the state, so far as it is there.
    pub(super) fn check_row(&self, number: u64, row: &Row) -> Result<(), String> {
        ensure(number <= self.last_number, || "is numbered beyond the last".to_owned())?;
        let queue = self.queues.get(row.queue as usize).ok_or_else(|| no_queue(row.queue))?;
        ensure(self.names.has(row.name), || format!("name {} is not there", row.name))?;
        ensure(self.policies.has(row.policy), || format!("policy {} is not there", row.policy))?;
        check_instant(row.at)?;
        check_instant(row.enqueued_at)?;
        check_state(row)?;
        if matches!(row.state, JobState::Waiting | JobState::Active) {
            ensure(queue.front < row.rank && row.rank < queue.back, || format!("place {} was never given", row.rank))?;
        }
        if let Some(at) = row.more.as_ref().and_then(|more| more.expires_at) {
            check_instant(at.get())?;
            let unstarted = matches!(row.state, JobState::Waiting | JobState::Delayed);
            ensure(unstarted, || format!("is {} and may still die unstarted", row.state))?;
        }
        row.runs().map_or(Ok(()), |runs| self.check_runs(runs))
    }

    fn check_runs(&self, runs: &Runs) -> Result<(), String> {
        ensure(runs.token <= self.last_token.0, || format!("token {} was never given", runs.token))?;
        let leases = runs.timeline.len();
        ensure(runs.leased as usize >= leases, || format!("has {leases} leases of {}", runs.leased))?;
        match runs.timeline.iter().find(|lease| !self.workers.has(lease.worker)) {
            Some(lease) => Err(format!("worker {} is not there", lease.worker)),
            None => Ok(()),
        }
    }

    /// Whether what was enqueued into each queue is what is there and what went.
    pub(super) fn check_books(&self) -> Result<(), String> {
        for queue in &self.queues {
            let counts = &queue.counts;
            let here = JobState::ALL.iter().map(|&state| counts.of(state)).sum::<u64>();
            let gone = counts.removed.checked_add(counts.aged_out);
            let balanced = gone.and_then(|gone| gone.checked_add(here)) == Some(counts.enqueued);
            ensure(balanced && counts.dead_aged_out <= counts.aged_out, || {
                format!("the books of queue {} do not balance: {counts:?}", queue.name)
            })?;
        }
        Ok(())
    }
}

/// Whether the places that a queue gives next are on their sides.
pub(super) fn check_places(queue: &Queue) -> Result<(), String> {
    let sides = queue.front < 0 && queue.back > 0;
    let (front, back) = (queue.front.unsigned_abs(), queue.back.unsigned_abs());
    ensure(sides && front.max(back) < LATE, || format!("places are given from {} and {}", queue.front, queue.back))
}

/// Whether state, detail, flags and leases go together.
fn check_state(row: &Row) -> Result<(), String> {
    let (flags, detail) = match row.state {
        JobState::Waiting => (EXPIRED | ASIDE, true),
        JobState::Delayed => (WALL, DelayCause::from_u8(row.detail).is_some()),
        JobState::Dead => (0, DeadReason::from_u8(row.detail).is_some()),
        JobState::Active | JobState::Completed | JobState::Cancelled => (0, true),
        JobState::WaitingChildren => return Err("no job waits for children in this version".to_owned()),
    };
    ensure(detail, || format!("is {} for no reason, {}", row.state, row.detail))?;
    ensure(row.flags & !flags == 0, || format!("is {} with flags {}", row.state, row.flags))?;
    ensure(!row.has(EXPIRED) || row.stalls > 0, || "a lease expired and was not counted".to_owned())?;
    let leased = row.runs().is_some_and(|runs| !runs.timeline.is_empty());
    ensure(leased || !(row.state == JobState::Active || row.has(EXPIRED)), || "was never leased".to_owned())
}
