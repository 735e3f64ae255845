//! Why a job is given up: stalls, and (elsewhere) attempts, rejections, expiry.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::{Rig, failure};
use crate::model::{DeadReason, JobNumber, JobOptions, JobState, JobVerb, LeaseOutcome, Outcome, QueueSettings};

async fn stalls(rig: &Rig, stalls: u64) {
    let set = QueueSettings { lease_ms: Some(100), stalls: Some(stalls), ..QueueSettings::default() };
    rig.set("q", set).await;
}

async fn stall(rig: &Rig, number: JobNumber, then: JobState) {
    assert_eq!(rig.lease("q").await.number, number);
    rig.pass_to(100, number, then).await;
}

pub async fn a_job_that_stalls_once_too_often_is_poison(rig: &Rig) {
    stalls(rig, 2).await;
    let number = rig.add("q").await;
    stall(rig, number, JobState::Waiting).await;
    stall(rig, number, JobState::Waiting).await;
    stall(rig, number, JobState::Dead).await;
    let job = rig.job(number).await;
    assert_eq!(job.summary.reason, Some(DeadReason::Poison));
    assert_eq!(job.leases.iter().map(|lease| lease.outcome).collect::<Vec<_>>(), [LeaseOutcome::Expired; 3]);
}

pub async fn no_stalls_allowed_means_dead_at_the_first(rig: &Rig) {
    stalls(rig, 0).await;
    let number = rig.add("q").await;
    stall(rig, number, JobState::Dead).await;
    assert_eq!(rig.job(number).await.summary.reason, Some(DeadReason::Poison));
}

pub async fn a_new_round_counts_stalls_anew(rig: &Rig) {
    stalls(rig, 1).await;
    let number = rig.add("q").await;
    stall(rig, number, JobState::Waiting).await;
    stall(rig, number, JobState::Dead).await;
    rig.verb(number, JobVerb::Retry).await;
    assert_eq!(rig.job(number).await.stalls, 0);
    stall(rig, number, JobState::Waiting).await;
}

pub async fn a_late_completion_of_a_poisoned_job_is_stale(rig: &Rig) {
    use crate::engine::EngineExt;
    stalls(rig, 0).await;
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.pass_to(100, number, JobState::Dead).await;
    let late = rig.engine().settle(super::rig::proof(&leased), Outcome::Complete { result: None }).await;
    assert_eq!(late.expect_err("it was given up").word, crate::model::Word::Stale);
    assert_eq!(rig.state(number).await, JobState::Dead);
}

pub async fn a_job_that_nobody_starts_in_time_is_dead_of_expiry(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { expires_in_ms: Some(50), ..JobOptions::default() }).await;
    rig.pass_to(50, number, JobState::Dead).await;
    let job = rig.job(number).await;
    assert_eq!((job.summary.reason, job.leases.len()), (Some(DeadReason::Expired), 0));
    rig.nothing_ready("q").await;
}

pub async fn a_delayed_job_expires_too(rig: &Rig) {
    let options = JobOptions { delay_ms: Some(600_000), expires_in_ms: Some(50), ..JobOptions::default() };
    let number = rig.add_with("q", options).await;
    rig.pass_to(50, number, JobState::Dead).await;
    assert_eq!(rig.job(number).await.summary.reason, Some(DeadReason::Expired));
}

pub async fn a_job_that_was_started_does_not_expire(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { expires_in_ms: Some(1_000), ..JobOptions::default() }).await;
    let leased = rig.lease("q").await;
    let probe = rig.add_with("q", JobOptions { expires_in_ms: Some(1_000), ..JobOptions::default() }).await;
    rig.pass_to(1_000, probe, JobState::Dead).await;
    rig.settle(&leased, Outcome::Release).await;
    assert_eq!(rig.state(number).await, JobState::Waiting, "it was started in time");
    assert_eq!(rig.lease("q").await.number, number);
}

pub async fn every_leases_outcome_is_in_the_dead_letter(rig: &Rig) {
    let number = rig.add_with("q", super::retries::attempts(2)).await;
    rig.settle(&rig.lease("q").await, Outcome::Release).await;
    rig.settle(&rig.lease("q").await, failure("first")).await;
    rig.pass_to(20, number, JobState::Waiting).await;
    rig.settle(&rig.lease("q").await, failure("second")).await;
    let job = rig.job(number).await;
    assert_eq!(job.summary.reason, Some(DeadReason::Exhausted));
    let outcomes: Vec<_> = job.leases.iter().map(|lease| (lease.outcome, lease.error.as_deref())).collect();
    let failed = LeaseOutcome::Failed;
    assert_eq!(outcomes, [(LeaseOutcome::Released, None), (failed, Some("first")), (failed, Some("second"))]);
}
