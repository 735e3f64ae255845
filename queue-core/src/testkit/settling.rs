//! Settlements: what counts, what was counted already, what is stale, and settling and leasing in one call.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use bytes::Bytes;

use super::leases::short_leases;
use super::rig::{Rig, failure, order, proof};
use crate::engine::EngineExt;
use crate::model::{
    DeadReason, Error, JobNumber, JobState, LeaseOutcome, LeaseRef, LeasedJob, Outcome, Settled, Settlement, Word,
};

async fn settle(rig: &Rig, leased: &LeasedJob, outcome: Outcome) -> Result<Settled, Error> {
    rig.engine().settle(proof(leased), outcome).await
}

const DONE: Outcome = Outcome::Complete { result: None };

async fn check_already(rig: &Rig, outcome: Outcome) {
    rig.add("q").await;
    let leased = rig.lease("q").await;
    assert_eq!(settle(rig, &leased, outcome.clone()).await, Ok(Settled::Counted));
    let before = rig.hash().await;
    assert_eq!(settle(rig, &leased, outcome).await, Ok(Settled::Already));
    assert_eq!(settle(rig, &leased, DONE).await, Ok(Settled::Already), "the token alone decides");
    assert_eq!(rig.hash().await, before, "what was counted already changes nothing");
}

pub async fn a_completion_sent_again_is_already_counted(rig: &Rig) {
    check_already(rig, DONE).await;
}

pub async fn a_failure_sent_again_is_already_counted(rig: &Rig) {
    check_already(rig, failure("it broke")).await;
}

pub async fn a_release_sent_again_is_already_counted(rig: &Rig) {
    check_already(rig, Outcome::Release).await;
}

pub async fn a_snooze_sent_again_is_already_counted(rig: &Rig) {
    check_already(rig, Outcome::Snooze { delay_ms: Some(60_000) }).await;
}

pub async fn a_settlement_sent_again_is_already_counted_while_the_next_lease_runs(rig: &Rig) {
    let number = rig.add("q").await;
    let first = rig.lease("q").await;
    rig.settle(&first, Outcome::Release).await;
    let second = rig.lease("q").await;
    assert_eq!(settle(rig, &first, DONE).await, Ok(Settled::Already));
    assert_eq!(rig.state(number).await, JobState::Active, "the second lease runs on");
    rig.complete(&second).await;
}

pub async fn a_token_that_never_was_is_stale(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    let before = rig.hash().await;
    for token in [leased.token.next(), crate::model::LeaseToken(0), crate::model::LeaseToken(u64::MAX)] {
        let error = rig.engine().settle(LeaseRef { number, token }, DONE).await.expect_err("no such lease");
        assert_eq!(error.word, Word::Stale, "{error}");
        assert!(error.message.contains(&format!("job {number}")), "the message names the job: {error}");
    }
    assert_eq!(rig.hash().await, before);
}

pub async fn a_token_of_another_job_is_stale(rig: &Rig) {
    rig.add_many("q", 3).await;
    let (first, second) = (rig.lease("q").await, rig.lease("q").await);
    let number = rig.lease_up_to("q", 1).await[0].number.0;
    rig.settle(&second, DONE).await;
    // Whether the job that is meant holds a lease, was never leased, or never was.
    let waiting = rig.add("q").await;
    for number in [first.number, waiting, crate::model::JobNumber(number + 100)] {
        let mixed_up = LeaseRef { number, token: second.token };
        assert_eq!(rig.engine().settle(mixed_up, DONE).await.expect_err("another's").word, Word::Stale);
    }
    assert_eq!(rig.engine().settle(proof(&second), DONE).await, Ok(Settled::Already));
}

pub async fn a_settlement_of_a_job_that_never_was_is_refused(rig: &Rig) {
    rig.add("q").await;
    let leased = rig.lease("q").await;
    let nobody = LeaseRef { number: JobNumber(9_999), token: leased.token };
    let error = rig.engine().settle(nobody, DONE).await.expect_err("no such job");
    assert!(matches!(error.word, Word::Stale | Word::NoJob), "{} {error}", error.word);
}

pub async fn a_settlement_after_the_expiry_counts_and_undoes_the_stall(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.pass_to(100, number, JobState::Waiting).await;
    assert_eq!(rig.job(number).await.stalls, 1);
    assert_eq!(settle(rig, &leased, DONE).await, Ok(Settled::Counted));
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.stalls), (JobState::Completed, 0));
    assert_eq!((job.leases.len(), job.leases[0].outcome), (1, LeaseOutcome::Completed));
    rig.nothing_ready("q").await;
}

pub async fn a_failure_after_the_expiry_counts_as_the_attempt(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.pass_to(100, number, JobState::Waiting).await;
    assert_eq!(settle(rig, &leased, failure("late")).await, Ok(Settled::Counted));
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.summary.attempt, job.stalls), (JobState::Delayed, 1, 0));
}

pub async fn a_settlement_after_the_job_went_to_another_is_stale(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add("q").await;
    let first = rig.lease("q").await;
    rig.pass_to(100, number, JobState::Waiting).await;
    rig.set("q", crate::model::QueueSettings { lease_ms: Some(60_000), ..Default::default() }).await;
    let second = rig.lease("q").await;
    let before = rig.hash().await;
    for outcome in [DONE, failure("late"), Outcome::Release, Outcome::Snooze { delay_ms: None }] {
        assert_eq!(settle(rig, &first, outcome).await.expect_err("it is another's now").word, Word::Stale);
    }
    assert_eq!(rig.hash().await, before, "a stale token changes nothing");
    rig.complete(&second).await;
}

pub async fn one_stale_settlement_does_not_undo_the_others(rig: &Rig) {
    rig.add_many("q", 3).await;
    let leased = rig.lease_up_to("q", 3).await;
    let mut settlements: Vec<_> =
        leased.iter().map(|leased| Settlement { lease: proof(leased), outcome: DONE }).collect();
    settlements[1].lease.token = leased[2].token.next();
    let (settled, _) = rig.engine().settle_all(settlements, None).await.expect("each is answered");
    assert_eq!((&settled[0], &settled[2]), (&Ok(Settled::Counted), &Ok(Settled::Counted)));
    assert_eq!(settled[1].as_ref().expect_err("no such lease").word, Word::Stale);
    let counts = rig.counts("q").await;
    assert_eq!((counts.completed, counts.active), (2, 1));
}

pub async fn settling_may_lease_the_next_in_the_same_call(rig: &Rig) {
    let numbers = rig.add_many("q", 4).await;
    let first = rig.lease("q").await;
    let settlements = vec![Settlement { lease: proof(&first), outcome: DONE }];
    let (settled, leased) = rig.engine().settle_all(settlements, Some(order("q", 2))).await.expect("answered");
    assert_eq!(settled, [Ok(Settled::Counted)]);
    assert_eq!(leased.iter().map(|leased| leased.number).collect::<Vec<_>>(), numbers[1..3]);
}

pub async fn a_job_released_in_a_call_can_be_leased_by_the_same_call(rig: &Rig) {
    let number = rig.add("q").await;
    let first = rig.lease("q").await;
    let settlements = vec![Settlement { lease: proof(&first), outcome: Outcome::Release }];
    let (_, leased) = rig.engine().settle_all(settlements, Some(order("q", 2))).await.expect("answered");
    assert_eq!((leased.len(), leased[0].number), (1, number));
    assert!(leased[0].token > first.token);
}

pub async fn a_completed_job_keeps_its_result_to_the_byte(rig: &Rig) {
    let number = rig.add("q").await;
    let result = Bytes::from_static(b"{\"sum\":\x00\xff}");
    rig.settle(&rig.lease("q").await, Outcome::Complete { result: Some(result.clone()) }).await;
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.result), (JobState::Completed, Some(result)));
}

pub async fn a_completion_without_result_has_none(rig: &Rig) {
    let number = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    assert_eq!(rig.job(number).await.result, None);
}

pub async fn a_completion_counts_as_an_attempt(rig: &Rig) {
    let number = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    assert_eq!(rig.job(number).await.summary.attempt, 1);
}

pub async fn a_failure_that_cannot_be_retried_is_dead_at_once(rig: &Rig) {
    let number = rig.add("q").await;
    let outcome = Outcome::Fail { kind: "exit".into(), error: "no such file".into(), retryable: false };
    rig.settle(&rig.lease("q").await, outcome).await;
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.summary.reason), (JobState::Dead, Some(DeadReason::Rejected)));
    assert_eq!((job.leases[0].error.as_deref(), job.summary.attempt), (Some("no such file"), 1));
}

pub async fn a_completion_that_arrives_after_a_cancel_wins(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.cancel(number).await;
    rig.complete(&leased).await;
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.cancel_requested), (JobState::Completed, false));
}

pub async fn what_is_failed_or_given_back_after_a_cancel_is_cancelled(rig: &Rig) {
    for outcome in [failure("stopped"), Outcome::Release, Outcome::Snooze { delay_ms: Some(1) }] {
        let number = rig.add("q").await;
        let leased = rig.lease("q").await;
        rig.cancel(number).await;
        rig.settle(&leased, outcome).await;
        assert_eq!(rig.state(number).await, JobState::Cancelled);
    }
}

pub async fn a_lease_that_expires_after_a_cancel_is_cancelled(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add("q").await;
    rig.lease("q").await;
    rig.cancel(number).await;
    rig.pass_to(100, number, JobState::Cancelled).await;
}
