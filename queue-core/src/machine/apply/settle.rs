//! Settling: complete, fail, release, snooze; and what follows from each.
//!
//! A settlement counts exactly when its token is the newest of its job and the job is active, or expired and still
//! waiting to be leased again. Decided by token alone, never by comparing times.

use super::super::rows::Row;
use super::super::{Chance, Event, Machine, Next, Sink, fingerprint};
use super::lease::stale;
use super::{check_bytes, check_name, cut};
use crate::model::{
    DeadReason, Error, JobNumber, LeaseOrder, LeaseRef, Limits, Now, Outcome, Reply, Settled, Settlement,
};

impl Machine {
    pub(super) fn settle(
        &mut self,
        now: Now,
        chance: &mut Chance,
        settlements: &[Settlement],
        then_lease: Option<&LeaseOrder>,
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        if settlements.len() > Limits::BATCH_JOBS {
            let found = format!("a list of {}", settlements.len());
            return Err(Error::bad_arg("settlements", found, "at most 10000 settlements"));
        }
        then_lease.map_or(Ok(()), LeaseOrder::check)?;
        settlements.iter().try_for_each(|settlement| check(&settlement.outcome))?;
        let settled = settlements.iter().map(|one| self.settle_one(now, chance, one, sink)).collect();
        let leased = then_lease.map_or(Ok(Vec::new()), |order| self.lease(now, order, sink))?;
        Ok(Reply::Settled { settled, leased })
    }

    fn settle_one(
        &mut self,
        now: Now,
        chance: &mut Chance,
        settlement: &Settlement,
        sink: &mut impl Sink,
    ) -> Result<Settled, Error> {
        let lease = settlement.lease;
        let (row, late) = match (self.held(lease), self.held_late(lease)) {
            (Some(row), _) => (row, false),
            (None, Some(row)) => (row, true),
            (None, None) if self.settled.contains(lease.token) && self.may_have_held(lease) => {
                return Ok(Settled::Already);
            }
            (None, None) => return Err(stale(lease)),
        };
        let number = lease.number;
        match &settlement.outcome {
            Outcome::Complete { result } => {
                self.emit(now, sink, &Event::Completed { number, late, result: result.as_deref() });
            }
            Outcome::Fail { kind, error, retryable } => {
                let next = self.after_failure(now, chance, row, *retryable);
                let error = cut(error, Limits::ERROR_BYTES);
                let fingerprint = fingerprint(kind, error);
                let error = error.as_bytes();
                self.emit(now, sink, &Event::Failed { number, late, kind, fingerprint: &fingerprint, next, error });
            }
            Outcome::Release => {
                let next = after_return(row, Next::Waiting);
                self.emit(now, sink, &Event::Released { number, late, next, void: false });
            }
            Outcome::Snooze { delay_ms } => {
                let backoff = self.policies.get(row.policy).backoff;
                let pause = delay_ms.unwrap_or_else(|| backoff.pause_ms(u32::from(row.attempt) + 1, chance.next_u32()));
                let next = after_return(row, Next::Delayed(now.steady + pause));
                self.emit(now, sink, &Event::Snoozed { number, late, next });
            }
        }
        Ok(Settled::Counted)
    }

    /// Ends leases, uncounted, so that their tokens are void: whoever settles one later is told `STALE`, since nothing of
    /// what it did is known here.
    pub(crate) fn void_leases(&mut self, now: Now, leases: &[LeaseRef], sink: &mut impl Sink) {
        for lease in leases {
            let (row, late) = match (self.held(*lease), self.held_late(*lease)) {
                (Some(row), _) => (row, false),
                (None, Some(row)) => (row, true),
                (None, None) => continue,
            };
            let next = after_return(row, Next::Waiting);
            self.emit(now, sink, &Event::Released { number: lease.number, late, next, void: true });
        }
    }

    /// Whether the token can have been the job's: none of another job's that is newer than its own newest.
    fn may_have_held(&self, lease: LeaseRef) -> bool {
        match self.rows.get(lease.number.0) {
            Some(row) => row.runs().is_some_and(|runs| lease.token.0 <= runs.token),
            None => lease.number.0 <= self.last_number,
        }
    }

    fn after_failure(&self, now: Now, chance: &mut Chance, row: &Row, retryable: bool) -> Next {
        let policy = self.policies.get(row.policy);
        let attempt = u32::from(row.attempt) + 1;
        if cancel_requested(row) {
            Next::Cancelled
        } else if !retryable {
            Next::Dead(DeadReason::Rejected)
        } else if attempt >= policy.attempts {
            Next::Dead(DeadReason::Exhausted)
        } else {
            Next::Delayed(now.steady + policy.backoff.pause_ms(attempt, chance.next_u32()))
        }
    }

    /// What follows from a lease that ran out.
    pub(in super::super) fn after_expiry(&self, number: JobNumber) -> Next {
        let row = self.rows.get(number.0).expect("a job whose lease runs out is there");
        let allowed = self.queues[row.queue as usize].effective(|s| s.stalls, &self.defaults);
        if cancel_requested(row) {
            Next::Cancelled
        } else if u64::from(row.stalls) + 1 > allowed {
            Next::Dead(DeadReason::Poison)
        } else {
            Next::Waiting
        }
    }
}

fn cancel_requested(row: &Row) -> bool {
    row.runs().is_some_and(|runs| runs.cancel.is_some())
}

/// What follows from a release or a snooze, which count against nothing but a loop without progress.
fn after_return(row: &Row, next: Next) -> Next {
    let returns = row.runs().map_or(0, |runs| runs.returns) + 1;
    if cancel_requested(row) {
        Next::Cancelled
    } else if returns >= Limits::LOOPING {
        Next::Dead(DeadReason::Looping)
    } else {
        next
    }
}

fn check(outcome: &Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Complete { result: Some(result) } => check_bytes("result", result.len(), Limits::RESULT_BYTES),
        Outcome::Fail { kind, .. } => check_name("kind", kind),
        Outcome::Snooze { delay_ms: Some(delay) } if *delay > Limits::DURATION_MS => {
            Err(Error::bad_arg("delay_ms", delay, "milliseconds from 0 to 315360000000 (10 years)"))
        }
        _ => Ok(()),
    }
}
