//! The table "verbs × states": one case per cell.
//!
//! An allowed cell does what the table says and shows the effect that the verb is for. Any other is refused with the
//! state, the verb and the states that it needs, and changes nothing. The table itself stands in `verbs_by_states!`.

use bytes::Bytes;

use super::rig::{Rig, failure, proof};
use crate::engine::EngineExt;
use crate::model::{
    Command, Edit, Error, JobNumber, JobOptions, JobState, JobVerb, LeasedJob, Outcome, Settled, When, Word,
};

/// Far enough ahead that no case reaches it, in milliseconds.
const LATER_MS: u64 = 600_000;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the verb of its name")]
pub enum Row {
    Promote,
    Reschedule,
    EditPayload,
    EditPriority,
    Cancel,
    Retry,
    Remove,
    RemoveByForce,
}

/// What the table says of a verb in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Not allowed.
    Refused,
    /// Allowed, and the job is waiting afterwards.
    Waiting,
    /// Allowed, and the job is delayed afterwards.
    Delayed,
    /// Allowed, and the job stays active until its handler has ended.
    HandlerTold,
    /// Allowed, and the job is dead as before.
    Dead,
    /// Allowed, and the job is cancelled afterwards.
    Cancelled,
    /// Allowed, and nothing changes.
    NoChange,
    /// Allowed, and the job is gone.
    Gone,
}

impl Row {
    fn verb(self) -> JobVerb {
        match self {
            Self::Promote => JobVerb::Promote,
            Self::Reschedule => JobVerb::Reschedule(When::DelayMs(LATER_MS / 2)),
            Self::EditPayload => {
                JobVerb::Edit(Edit { payload: Some(Bytes::from_static(b"edited")), ..Edit::default() })
            }
            Self::EditPriority => JobVerb::Edit(Edit { priority: Some(7), ..Edit::default() }),
            Self::Cancel => JobVerb::Cancel,
            Self::Retry => JobVerb::Retry,
            Self::Remove => JobVerb::Remove { force: false },
            Self::RemoveByForce => JobVerb::Remove { force: true },
        }
    }

    /// The states that the verb needs, as its refusal names them.
    fn needs(self) -> &'static str {
        match self {
            Self::Promote => "delayed",
            Self::Reschedule => "waiting or delayed",
            Self::EditPayload | Self::EditPriority => "waiting, delayed, waiting-children or dead",
            Self::Cancel => "waiting, delayed, active, waiting-children or cancelled",
            Self::Retry => "completed, dead or cancelled",
            Self::Remove => "any state but active, or force",
            Self::RemoveByForce => "any state",
        }
    }
}

/// Checks one cell on a new job.
pub async fn check(rig: &Rig, row: Row, state: JobState, cell: Cell) {
    let (number, leased) = job_in(rig, state).await;
    let (before, shown) = (rig.hash().await, rig.job(number).await);
    let command = Command::Job { job: number.into(), verb: row.verb() };
    if cell == Cell::Refused {
        let error = Error::state(number, state, row.verb().as_str(), row.needs());
        rig.check_refused(command, Word::State, &error.message).await;
        assert_eq!(rig.job(number).await, shown);
        return;
    }
    let answered = rig.verb(number, row.verb()).await;
    let expected = match cell {
        Cell::Refused => unreachable!("handled above"),
        Cell::Waiting => JobState::Waiting,
        Cell::Delayed => JobState::Delayed,
        Cell::HandlerTold => JobState::Active,
        Cell::Dead => JobState::Dead,
        Cell::Cancelled => JobState::Cancelled,
        Cell::NoChange | Cell::Gone => state,
    };
    assert_eq!(answered, expected, "the answer names the state after the verb, or a removed job's last");
    match cell {
        Cell::Gone => rig.gone(number).await,
        _ => assert_eq!(rig.state(number).await, expected),
    }
    assert_eq!(rig.hash().await == before, cell == Cell::NoChange, "whether the state changed");
    effect(rig, row, number, leased).await;
}

/// A new job in this state, with its lease where it has one.
async fn job_in(rig: &Rig, state: JobState) -> (JobNumber, Option<LeasedJob>) {
    if state == JobState::Delayed {
        let delayed = rig.add_with("table", JobOptions { delay_ms: Some(LATER_MS), ..JobOptions::default() });
        return (delayed.await, None);
    }
    let number = rig.add("table").await;
    let mut leased = None;
    match state {
        JobState::Waiting => {}
        JobState::Active => leased = Some(rig.lease("table").await),
        JobState::Completed => rig.complete(&rig.lease("table").await).await,
        JobState::Dead => {
            let outcome = Outcome::Fail { kind: "exit".into(), error: "no such file".into(), retryable: false };
            rig.settle(&rig.lease("table").await, outcome).await;
        }
        JobState::Cancelled => assert_eq!(rig.cancel(number).await, JobState::Cancelled),
        JobState::Delayed | JobState::WaitingChildren => panic!("no way into {state} here"),
    }
    assert_eq!(rig.state(number).await, state);
    (number, leased)
}

/// What the verb is for must be seen, beyond the state.
async fn effect(rig: &Rig, row: Row, number: JobNumber, leased: Option<LeasedJob>) {
    match row {
        Row::Promote => assert_eq!(rig.drain("table").await, [number], "a promoted job is handed out"),
        Row::Retry => {
            assert_eq!(rig.job(number).await.round, 2, "a retry begins a new round");
            assert_eq!(rig.lease("table").await.attempt, 1, "which counts attempts from 1");
        }
        Row::Reschedule => {
            rig.nothing_ready("table").await;
            let due = rig.job(number).await.summary;
            let ahead = due.at_ms.expect("a delayed job is due some time").saturating_sub(due.enqueued_at_ms);
            assert!((LATER_MS / 2..LATER_MS).contains(&ahead), "due {ahead} ms after the enqueue");
        }
        Row::EditPayload => assert_eq!(rig.job(number).await.payload, Bytes::from_static(b"edited")),
        Row::EditPriority => assert_eq!(rig.job(number).await.summary.priority, 7),
        Row::Cancel => match leased {
            Some(leased) => cancelled_while_active(rig, &leased).await,
            None => rig.nothing_ready("table").await,
        },
        Row::Remove | Row::RemoveByForce => {
            rig.nothing_ready("table").await;
            assert_eq!(rig.counts("table").await.removed, 1);
            if let Some(leased) = leased {
                let late = rig.engine().settle(proof(&leased), Outcome::Complete { result: None }).await;
                assert_eq!(late.expect_err("the token is void").word, Word::Stale);
            }
        }
    }
}

async fn cancelled_while_active(rig: &Rig, leased: &LeasedJob) {
    assert!(rig.job(leased.number).await.cancel_requested, "the job shows that it is to be cancelled");
    let settled = rig.engine().settle(proof(leased), failure("stopped")).await;
    assert_eq!(settled, Ok(Settled::Counted));
    assert_eq!(rig.state(leased.number).await, JobState::Cancelled, "what fails after a cancel is cancelled");
}

/// Makes a test of each cell of the table "verbs × states".
#[macro_export]
macro_rules! verbs_by_states {
    ($factory:path) => {
        $crate::verbs_by_states! { @table $factory;
            Promote {
                a_waiting_job_cannot_be_promoted: Waiting => Refused,
                a_promoted_delayed_job_waits: Delayed => Waiting,
                an_active_job_cannot_be_promoted: Active => Refused,
                a_completed_job_cannot_be_promoted: Completed => Refused,
                a_dead_job_cannot_be_promoted: Dead => Refused,
                a_cancelled_job_cannot_be_promoted: Cancelled => Refused,
            }
            Reschedule {
                a_rescheduled_waiting_job_is_delayed: Waiting => Delayed,
                a_rescheduled_delayed_job_gets_a_new_time: Delayed => Delayed,
                an_active_job_cannot_be_rescheduled: Active => Refused,
                a_completed_job_cannot_be_rescheduled: Completed => Refused,
                a_dead_job_cannot_be_rescheduled: Dead => Refused,
                a_cancelled_job_cannot_be_rescheduled: Cancelled => Refused,
            }
            EditPayload {
                a_waiting_jobs_payload_can_be_edited: Waiting => Waiting,
                a_delayed_jobs_payload_can_be_edited: Delayed => Delayed,
                an_active_jobs_payload_cannot_be_edited: Active => Refused,
                a_completed_jobs_payload_cannot_be_edited: Completed => Refused,
                a_dead_jobs_payload_can_be_edited: Dead => Dead,
                a_cancelled_jobs_payload_cannot_be_edited: Cancelled => Refused,
            }
            EditPriority {
                a_waiting_jobs_priority_can_be_edited: Waiting => Waiting,
                a_delayed_jobs_priority_can_be_edited: Delayed => Delayed,
                an_active_jobs_priority_cannot_be_edited: Active => Refused,
                a_completed_jobs_priority_cannot_be_edited: Completed => Refused,
                a_dead_jobs_priority_can_be_edited: Dead => Dead,
                a_cancelled_jobs_priority_cannot_be_edited: Cancelled => Refused,
            }
            Cancel {
                a_cancelled_waiting_job_is_cancelled: Waiting => Cancelled,
                a_cancelled_delayed_job_is_cancelled: Delayed => Cancelled,
                a_cancelled_active_job_runs_until_its_handler_ends: Active => HandlerTold,
                a_completed_job_cannot_be_cancelled: Completed => Refused,
                a_dead_job_cannot_be_cancelled: Dead => Refused,
                a_cancelled_job_stays_as_it_is_when_cancelled_again: Cancelled => NoChange,
            }
            Retry {
                a_waiting_job_cannot_be_retried: Waiting => Refused,
                a_delayed_job_cannot_be_retried: Delayed => Refused,
                an_active_job_cannot_be_retried: Active => Refused,
                a_retried_completed_job_waits_again: Completed => Waiting,
                a_retried_dead_job_waits_again: Dead => Waiting,
                a_retried_cancelled_job_waits_again: Cancelled => Waiting,
            }
            Remove {
                a_waiting_job_can_be_removed: Waiting => Gone,
                a_delayed_job_can_be_removed: Delayed => Gone,
                an_active_job_cannot_be_removed_without_force: Active => Refused,
                a_completed_job_can_be_removed: Completed => Gone,
                a_dead_job_can_be_removed: Dead => Gone,
                a_cancelled_job_can_be_removed: Cancelled => Gone,
            }
            RemoveByForce {
                a_waiting_job_can_be_removed_by_force: Waiting => Gone,
                a_delayed_job_can_be_removed_by_force: Delayed => Gone,
                an_active_job_removed_by_force_voids_its_token: Active => Gone,
                a_completed_job_can_be_removed_by_force: Completed => Gone,
                a_dead_job_can_be_removed_by_force: Dead => Gone,
                a_cancelled_job_can_be_removed_by_force: Cancelled => Gone,
            }
        }
    };
    (@table $factory:path; $($row:ident { $($name:ident: $state:ident => $cell:ident,)+ })+) => {
        mod verbs_by_states {
            use $crate::model::JobState;
            use $crate::testkit::cells::{Cell, Row, check};
            use $crate::testkit::run;
            $($(
                #[test]
                fn $name() {
                    run(::std::boxed::Box::new($factory()), |rig| {
                        ::std::boxed::Box::pin(check(rig, Row::$row, JobState::$state, Cell::$cell))
                    });
                }
            )+)+
        }
    };
}
