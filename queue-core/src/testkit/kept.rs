//! Retention: how many done jobs are kept and for how long, and how long ids are remembered. Group `driven`.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::identity::add_id;
use super::rig::Rig;
use crate::model::{
    Added, Command, JobNumber, JobOptions, JobVerb, LeaseRef, LeasedJob, Outcome, QueueSettings, Settlement,
};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

async fn complete_many(rig: &Rig, count: usize) -> Vec<JobNumber> {
    let numbers = rig.add_many("q", count).await;
    for leased in rig.lease_up_to("q", 1_000).await {
        rig.complete(&leased).await;
    }
    numbers
}

async fn die(rig: &Rig) -> JobNumber {
    let number = rig.add("q").await;
    let outcome = Outcome::Fail { kind: "exit".into(), error: "it broke".into(), retryable: false };
    rig.settle(&rig.lease("q").await, outcome).await;
    number
}

async fn kept(rig: &Rig, numbers: &[JobNumber]) -> Vec<bool> {
    let mut kept = Vec::new();
    for &number in numbers {
        kept.push(rig.kept(number).await);
    }
    kept
}

/// Moves the clock and waits until `aged_out` jobs of the queue have aged out.
async fn aged_out(rig: &Rig, ms: u64, aged_out: u64) {
    rig.pass(ms, "jobs age out", async || rig.counts("q").await.aged_out == aged_out).await;
}

pub async fn the_last_thousand_completed_jobs_are_kept(rig: &Rig) {
    let numbers = complete_many(rig, 1_000).await;
    assert_eq!(rig.counts("q").await.aged_out, 0);
    let more = complete_many(rig, 3).await;
    aged_out(rig, 0, 3).await;
    assert_eq!(kept(rig, &numbers[..5]).await, [false, false, false, true, true]);
    assert!(rig.kept(more[2]).await);
    assert_eq!(rig.counts("q").await.completed, 1_000);
}

pub async fn what_is_due_does_not_wait_for_what_ages_out(rig: &Rig) {
    let keep = |count| QueueSettings { keep_completed: Some(count), ..QueueSettings::default() };
    rig.set("big", keep(u64::MAX)).await;
    rig.add_many("big", 10_000).await;
    for _ in 0..10 {
        let complete = |job: &LeasedJob| Settlement {
            lease: LeaseRef { number: job.number, token: job.token },
            outcome: Outcome::Complete { result: None },
        };
        let settlements = rig.lease_up_to("big", 1_000).await.iter().map(complete).collect();
        rig.done(Command::Settle { settlements, then_lease: None }).await;
    }
    let delayed = rig.add_with("q", JobOptions { delay_ms: Some(1_000), ..JobOptions::default() }).await;
    // From now on 10,000 jobs are too many, longer than the delay is over.
    rig.set("big", keep(0)).await;
    rig.advance(1_000);
    assert_eq!(rig.lease("q").await.number, delayed);
    rig.pass(0, "the rest ages out", async || rig.counts("big").await.aged_out == 10_000).await;
}

pub async fn a_queue_may_keep_fewer_or_none(rig: &Rig) {
    rig.set("q", QueueSettings { keep_completed: Some(2), keep_cancelled: Some(0), ..Default::default() }).await;
    let numbers = complete_many(rig, 5).await;
    aged_out(rig, 0, 3).await;
    assert_eq!(kept(rig, &numbers).await, [false, false, false, true, true]);
    let cancelled = rig.add("q").await;
    rig.cancel(cancelled).await;
    aged_out(rig, 0, 4).await;
    rig.gone(cancelled).await;
}

pub async fn completed_jobs_are_kept_a_day(rig: &Rig) {
    let numbers = complete_many(rig, 2).await;
    rig.advance(DAY_MS - 1);
    assert_eq!(kept(rig, &numbers).await, [true, true]);
    aged_out(rig, 1, 2).await;
    assert_eq!(kept(rig, &numbers).await, [false, false]);
}

pub async fn cancelled_jobs_are_kept_alike(rig: &Rig) {
    let number = rig.add("q").await;
    rig.cancel(number).await;
    rig.advance(DAY_MS - 1);
    assert!(rig.kept(number).await);
    aged_out(rig, 1, 1).await;
    rig.gone(number).await;
}

pub async fn dead_jobs_are_kept_ninety_days_and_each_one_aged_out_is_counted(rig: &Rig) {
    let number = die(rig).await;
    for _ in 0..90 {
        assert!(rig.kept(number).await);
        rig.advance(DAY_MS);
    }
    aged_out(rig, 0, 1).await;
    assert_eq!(rig.counts("q").await.dead_aged_out, 1);
}

pub async fn a_queue_sets_its_own_ages(rig: &Rig) {
    let set = QueueSettings { keep_completed_ms: Some(1_000), keep_dead_ms: Some(2_000), ..Default::default() };
    rig.set("q", set).await;
    let completed = complete_many(rig, 1).await[0];
    let dead = die(rig).await;
    aged_out(rig, 1_000, 1).await;
    assert_eq!(kept(rig, &[completed, dead]).await, [false, true]);
    aged_out(rig, 1_000, 2).await;
}

pub async fn an_age_of_zero_keeps_without_end(rig: &Rig) {
    rig.set("q", QueueSettings { keep_completed_ms: Some(0), ..Default::default() }).await;
    let number = complete_many(rig, 1).await[0];
    for _ in 0..100 {
        rig.advance(30 * DAY_MS);
        assert!(rig.kept(number).await);
    }
}

pub async fn a_job_may_be_kept_shorter_or_longer_than_its_queue_keeps(rig: &Rig) {
    let keep = |ms| JobOptions { keep_ms: Some(ms), ..JobOptions::default() };
    let short = rig.add_with("q", keep(1_000)).await;
    let long = rig.add_with("q", keep(10 * DAY_MS)).await;
    for leased in rig.lease_up_to("q", 2).await {
        rig.complete(&leased).await;
    }
    rig.advance(999);
    assert_eq!(kept(rig, &[short, long]).await, [true, true]);
    aged_out(rig, 1, 1).await;
    assert_eq!(kept(rig, &[short, long]).await, [false, true]);
    for _ in 0..9 {
        rig.advance(DAY_MS);
        assert!(rig.kept(long).await, "it is kept whatever the queue keeps");
    }
    aged_out(rig, DAY_MS, 2).await;
}

pub async fn a_job_kept_for_no_time_is_gone_when_it_completes(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { keep_ms: Some(0), ..JobOptions::default() }).await;
    rig.complete(&rig.lease("q").await).await;
    aged_out(rig, 0, 1).await;
    rig.gone(number).await;
}

pub async fn a_job_kept_for_its_own_time_is_not_among_the_last_thousand(rig: &Rig) {
    rig.set("q", QueueSettings { keep_completed: Some(1), ..Default::default() }).await;
    let own = rig.add_with("q", JobOptions { keep_ms: Some(HOUR_MS), ..JobOptions::default() }).await;
    rig.complete(&rig.lease("q").await).await;
    let others = complete_many(rig, 3).await;
    aged_out(rig, 0, 2).await;
    assert_eq!(kept(rig, &[own, others[2]]).await, [true, true]);
}

pub async fn a_retried_job_does_not_age_out(rig: &Rig) {
    let number = complete_many(rig, 1).await[0];
    rig.advance(DAY_MS / 2);
    rig.verb(number, JobVerb::Retry).await;
    for _ in 0..5 {
        rig.advance(DAY_MS);
        assert!(rig.kept(number).await, "it waits");
    }
    rig.complete(&rig.lease("q").await).await;
    rig.advance(DAY_MS - 1);
    assert!(rig.kept(number).await, "its age counts from its last end");
    aged_out(rig, 1, 1).await;
}

pub async fn a_waiting_delayed_or_active_job_never_ages_out(rig: &Rig) {
    let delayed = rig.add_with("q", JobOptions { delay_ms: Some(400 * DAY_MS), ..JobOptions::default() }).await;
    let waiting = rig.add("q").await;
    for _ in 0..10 {
        rig.advance(30 * DAY_MS);
        assert_eq!(kept(rig, &[delayed, waiting]).await, [true, true]);
    }
}

pub async fn an_id_is_remembered_a_day_after_its_job_is_gone(rig: &Rig) {
    let first = add_id(rig, "q", "x").await;
    rig.remove(first.number).await;
    rig.advance(DAY_MS - 1);
    assert_eq!(add_id(rig, "q", "x").await.added, Added::ExistingGone);
    rig.advance(1);
    let second = add_id(rig, "q", "x").await;
    assert_eq!(second.added, Added::Created);
    assert!(second.number > first.number);
}

pub async fn an_id_is_remembered_after_its_job_aged_out(rig: &Rig) {
    let first = add_id(rig, "q", "x").await;
    rig.complete(&rig.lease("q").await).await;
    aged_out(rig, DAY_MS, 1).await;
    let again = add_id(rig, "q", "x").await;
    assert_eq!((again.number, again.added), (first.number, Added::ExistingGone));
}

pub async fn a_queue_sets_how_long_ids_are_remembered(rig: &Rig) {
    rig.set("q", QueueSettings { remember_ids_ms: Some(1_000), ..Default::default() }).await;
    let first = add_id(rig, "q", "x").await;
    rig.remove(first.number).await;
    rig.advance(999);
    assert_eq!(add_id(rig, "q", "x").await.added, Added::ExistingGone);
    rig.advance(1);
    assert_eq!(add_id(rig, "q", "x").await.added, Added::Created);
}

pub async fn what_aged_out_is_in_the_books(rig: &Rig) {
    complete_many(rig, 5).await;
    die(rig).await;
    aged_out(rig, DAY_MS, 5).await;
    let counts = rig.counts("q").await;
    assert_eq!((counts.enqueued, counts.completed, counts.dead, counts.aged_out), (6, 0, 1, 5));
    assert!(counts.balanced());
}
