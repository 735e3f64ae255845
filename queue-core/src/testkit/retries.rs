//! Attempts, rounds and backoff: what counts, what does not, and when a failed job comes back.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::leases::short_leases;
use super::rig::{Rig, failure};
use crate::model::{
    Backoff, Command, DeadReason, DelayCause, Edit, JobNumber, JobOptions, JobState, JobVerb, Outcome, Word,
};

/// Attempts with a pause of 20 ms between them.
pub(crate) fn attempts(attempts: u64) -> JobOptions {
    JobOptions { attempts: Some(attempts), backoff: Some(Backoff::fixed(20)), ..JobOptions::default() }
}

async fn fail_and_wait(rig: &Rig, number: JobNumber) {
    rig.fail(&rig.lease("q").await).await;
    rig.pass_to(20, number, JobState::Waiting).await;
}

pub async fn a_failed_job_is_delayed_with_cause_retry(rig: &Rig) {
    let options = JobOptions { backoff: Some(Backoff::fixed(60_000)), ..JobOptions::default() };
    let number = rig.add_with("q", options).await;
    rig.fail(&rig.lease("q").await).await;
    let job = rig.job(number).await;
    let ended = job.leases[0].ended_at_ms.expect("the lease ended");
    assert_eq!((job.summary.state, job.summary.cause), (JobState::Delayed, Some(DelayCause::Retry)));
    assert_eq!((job.summary.at_ms, job.summary.attempt), (Some(ended + 60_000), 1));
    assert_eq!(job.summary.error.as_deref(), Some("it broke"));
    let counts = rig.counts("q").await;
    assert_eq!((counts.delayed, counts.retrying), (1, 1));
}

pub async fn attempts_count_from_one_to_their_bound_and_then_the_job_is_dead(rig: &Rig) {
    let number = rig.add_with("q", attempts(3)).await;
    for attempt in 1..=2 {
        let leased = rig.lease("q").await;
        assert_eq!((leased.attempt, leased.attempts), (attempt, 3));
        rig.fail(&leased).await;
        rig.pass_to(20, number, JobState::Waiting).await;
    }
    let last = rig.lease("q").await;
    assert_eq!(last.attempt, 3);
    rig.fail(&last).await;
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.summary.reason), (JobState::Dead, Some(DeadReason::Exhausted)));
    assert_eq!(job.leases.iter().map(|lease| lease.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    rig.nothing_ready("q").await;
}

pub async fn one_attempt_is_one_try(rig: &Rig) {
    let number = rig.add_with("q", attempts(1)).await;
    rig.fail(&rig.lease("q").await).await;
    assert_eq!(rig.job(number).await.summary.reason, Some(DeadReason::Exhausted));
}

pub async fn a_release_does_not_count(rig: &Rig) {
    let number = rig.add_with("q", attempts(1)).await;
    for _ in 0..5 {
        let leased = rig.lease("q").await;
        assert_eq!(leased.attempt, 1);
        rig.settle(&leased, Outcome::Release).await;
    }
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.summary.attempt, job.leases.len()), (JobState::Waiting, 0, 5));
}

pub async fn a_snooze_does_not_count(rig: &Rig) {
    let number = rig.add_with("q", attempts(1)).await;
    for _ in 0..3 {
        let leased = rig.lease("q").await;
        assert_eq!(leased.attempt, 1);
        rig.settle(&leased, Outcome::Snooze { delay_ms: Some(20) }).await;
        let summary = rig.job(number).await.summary;
        assert!(summary.cause == Some(DelayCause::Snooze) || summary.state == JobState::Waiting);
        rig.pass_to(20, number, JobState::Waiting).await;
    }
    assert_eq!(rig.job(number).await.summary.attempt, 0);
}

pub async fn a_snooze_without_a_time_follows_the_backoff(rig: &Rig) {
    let options = JobOptions { backoff: Some(Backoff::fixed(77_000)), ..JobOptions::default() };
    let number = rig.add_with("q", options).await;
    rig.settle(&rig.lease("q").await, Outcome::Snooze { delay_ms: None }).await;
    let job = rig.job(number).await;
    assert_eq!(job.summary.cause, Some(DelayCause::Snooze));
    assert_eq!(job.summary.at_ms, Some(job.leases[0].ended_at_ms.expect("ended") + 77_000));
}

pub async fn an_expiry_does_not_count_as_an_attempt(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add_with("q", attempts(1)).await;
    rig.lease("q").await;
    rig.pass_to(100, number, JobState::Waiting).await;
    let again = rig.lease("q").await;
    assert_eq!((again.attempt, rig.job(number).await.summary.attempt), (1, 0));
}

pub async fn a_retry_by_hand_begins_a_new_round(rig: &Rig) {
    let number = rig.add_with("q", attempts(2)).await;
    fail_and_wait(rig, number).await;
    rig.fail(&rig.lease("q").await).await;
    assert_eq!(rig.state(number).await, JobState::Dead);
    assert_eq!(rig.verb(number, JobVerb::Retry).await, JobState::Waiting);
    let leased = rig.lease("q").await;
    assert_eq!((leased.attempt, leased.attempts), (1, 2));
    let job = rig.job(number).await;
    assert_eq!((job.round, job.summary.reason, job.leases.len()), (2, None, 3));
    let rounds: Vec<_> = job.leases.iter().map(|lease| (lease.lease, lease.round, lease.attempt)).collect();
    assert_eq!(rounds, [(1, 1, 1), (2, 1, 2), (3, 2, 1)], "leases go on, the history stays");
}

pub async fn a_new_round_has_all_its_attempts(rig: &Rig) {
    let number = rig.add_with("q", attempts(2)).await;
    fail_and_wait(rig, number).await;
    rig.complete(&rig.lease("q").await).await;
    rig.verb(number, JobVerb::Retry).await;
    fail_and_wait(rig, number).await;
    assert_eq!(rig.lease("q").await.attempt, 2);
}

pub async fn a_retried_completed_job_forgets_its_result_when_it_runs_anew(rig: &Rig) {
    let number = rig.add("q").await;
    rig.settle(&rig.lease("q").await, Outcome::Complete { result: Some("1".into()) }).await;
    rig.verb(number, JobVerb::Retry).await;
    rig.settle(&rig.lease("q").await, Outcome::Complete { result: Some("2".into()) }).await;
    assert_eq!(rig.job(number).await.result.expect("a result"), "2");
}

async fn check_pauses(rig: &Rig, backoff: Backoff, expected: &[(u64, u64)]) {
    let options = JobOptions { backoff: Some(backoff), attempts: Some(100), ..JobOptions::default() };
    let number = rig.add_with("q", options).await;
    for &(least, most) in expected {
        rig.settle(&rig.lease("q").await, failure("again")).await;
        let job = rig.job(number).await;
        let ended = job.leases.last().expect("a lease").ended_at_ms.expect("which ended");
        let pause = job.summary.at_ms.expect("a delayed job is due") - ended;
        assert!((least..=most).contains(&pause), "a pause of {pause} ms is not within {least} and {most}");
        rig.verb(number, JobVerb::Promote).await;
    }
}

pub async fn a_fixed_backoff_is_always_the_same(rig: &Rig) {
    check_pauses(rig, Backoff::fixed(5_000), &[(5_000, 5_000); 4]).await;
}

pub async fn an_exponential_backoff_doubles_up_to_its_cap(rig: &Rig) {
    let backoff = Backoff { max_ms: 5_000, ..Backoff::exponential(1_000) };
    check_pauses(rig, backoff, &[(1_000, 1_000), (2_000, 2_000), (4_000, 4_000), (5_000, 5_000), (5_000, 5_000)]).await;
}

pub async fn an_exponential_backoff_grows_by_its_factor(rig: &Rig) {
    let backoff = Backoff { factor_thousandths: 1_500, ..Backoff::exponential(10_000) };
    check_pauses(rig, backoff, &[(10_000, 10_000), (15_000, 15_000), (22_500, 22_500), (33_750, 33_750)]).await;
}

pub async fn jitter_adds_at_most_its_share(rig: &Rig) {
    let backoff = Backoff { jitter_percent: 50, ..Backoff::fixed(10_000) };
    check_pauses(rig, backoff, &[(10_000, 15_000); 20]).await;
}

pub async fn jitter_spreads(rig: &Rig) {
    let backoff = Backoff { jitter_percent: 100, ..Backoff::fixed(1_000_000) };
    let options = JobOptions { backoff: Some(backoff), ..JobOptions::default() };
    let mut pauses = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let number = rig.add_with("q", options.clone()).await;
        rig.fail(&rig.lease("q").await).await;
        let job = rig.job(number).await;
        pauses.insert(job.summary.at_ms.expect("due") - job.leases[0].ended_at_ms.expect("ended"));
    }
    assert!(pauses.len() > 5, "ten pauses took only these values: {pauses:?}");
}

pub async fn an_edit_that_retries_does_both_or_neither(rig: &Rig) {
    let edit = |payload: &str, priority| Edit { payload: Some(payload.to_owned().into()), priority, retry: true };
    let number = rig.add_with("q", attempts(1)).await;
    let before = rig.job(number).await.payload;
    let command = |edit| Command::Job { job: number.into(), verb: JobVerb::Edit(edit) };
    let message = "job #1 is waiting; edit needs dead where it is also retried";
    rig.check_refused(command(edit("early", None)), Word::State, message).await;
    rig.fail(&rig.lease("q").await).await;
    assert_eq!(rig.refused(command(edit("wrong", Some(1_001)))).await.word, Word::BadArg);
    assert_eq!(rig.refused(command(Edit { retry: true, ..Edit::default() })).await.word, Word::BadArg);
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.payload), (JobState::Dead, before));
    assert_eq!(rig.verb(number, JobVerb::Edit(edit("mended", Some(7)))).await, JobState::Waiting);
    let leased = rig.lease("q").await;
    assert_eq!((&leased.payload[..], leased.attempt), (&b"mended"[..], 1));
    let job = rig.job(number).await;
    assert_eq!((job.summary.priority, job.round), (7, 2));
    rig.complete(&leased).await;
    rig.check_books().await;
}
