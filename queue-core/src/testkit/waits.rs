//! Calls that wait: leases for work, producers for results.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use tokio::task::JoinHandle;

use super::context;
use super::leases::short_leases;
use super::rig::{Rig, failure, order};
use crate::engine::EngineExt;
use crate::model::{
    Context, Error, Job, JobNumber, JobOptions, JobRef, JobState, LeaseOrder, LeaseRequest, LeasedJob, Outcome,
    QueueSettings, Word,
};

type Leased = Result<Vec<LeasedJob>, Error>;

/// Longer than any case lasts, in milliseconds.
const LONG_MS: u64 = 600_000;

fn waiting_lease(rig: &Rig, order: LeaseOrder, wait_ms: u64) -> impl Future<Output = Leased> + Send + use<> {
    let engine = rig.engine();
    async move { engine.lease(&Context::default(), LeaseRequest { order, wait_ms }).await }
}

async fn start(rig: &Rig, queue: &str) -> JoinHandle<Leased> {
    rig.begin(waiting_lease(rig, order(queue, 1), LONG_MS)).await
}

async fn numbers(handle: JoinHandle<Leased>) -> Vec<JobNumber> {
    let leased = handle.await.expect("the call does not panic").expect("the lease is answered");
    leased.into_iter().map(|leased| leased.number).collect()
}

async fn waiting_producer(rig: &Rig, job: impl Into<JobRef>, ms: u64) -> JoinHandle<Result<Job, Error>> {
    let (engine, job) = (rig.engine(), job.into());
    rig.begin(async move { engine.wait(job, ms).await }).await
}

async fn state_after(handle: JoinHandle<Result<Job, Error>>) -> JobState {
    handle.await.expect("the call does not panic").expect("the job is done").summary.state
}

pub async fn a_waiting_lease_gets_the_next_job(rig: &Rig) {
    let waiting = start(rig, "q").await;
    let number = rig.add("q").await;
    assert_eq!(numbers(waiting).await, [number]);
}

pub async fn a_lease_does_not_wait_while_a_job_is_ready(rig: &Rig) {
    let expected = rig.add_many("q", 2).await;
    let leased = waiting_lease(rig, order("q", 5), LONG_MS).await.expect("answered");
    assert_eq!(leased.iter().map(|leased| leased.number).collect::<Vec<_>>(), expected);
}

pub async fn a_lease_that_waits_no_time_answers_at_once(rig: &Rig) {
    assert_eq!(waiting_lease(rig, order("q", 5), 0).await, Ok(Vec::new()));
}

pub async fn a_waiting_lease_gives_up_when_its_time_is_over(rig: &Rig) {
    let waiting = rig.begin(waiting_lease(rig, order("q", 1), 100)).await;
    rig.run_on(10, "the waiting lease gives up", async || waiting.is_finished()).await;
    assert_eq!(numbers(waiting).await, []);
    assert_eq!(rig.lease_up_to("q", 1).await, []);
}

pub async fn a_waiting_lease_looks_at_all_its_queues(rig: &Rig) {
    let queues = vec!["one".into(), "two".into(), "three".into()];
    let waiting = rig.begin(waiting_lease(rig, LeaseOrder { queues, ..order("", 1) }, LONG_MS)).await;
    let number = rig.add("two").await;
    assert_eq!(numbers(waiting).await, [number]);
}

pub async fn a_waiting_lease_takes_no_more_than_its_limit(rig: &Rig) {
    let waiting = rig.begin(waiting_lease(rig, order("q", 3), LONG_MS)).await;
    let expected = rig.add_many("q", 5).await;
    assert_eq!(numbers(waiting).await, expected[..3]);
    assert_eq!(rig.drain("q").await, expected[3..]);
}

pub async fn waiting_leases_are_served_in_the_order_in_which_they_came(rig: &Rig) {
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(start(rig, "q").await);
    }
    for (at, handle) in waiting.into_iter().enumerate() {
        let number = rig.add("q").await;
        assert_eq!(numbers(handle).await, [number], "waiter {at} came before those after it");
    }
}

pub async fn one_batch_serves_many_waiters(rig: &Rig) {
    let first = start(rig, "q").await;
    let second = start(rig, "q").await;
    let expected = rig.add_many("q", 3).await;
    let mut served = [numbers(first).await, numbers(second).await].concat();
    served.sort();
    assert_eq!(served, expected[..2]);
    assert_eq!(rig.drain("q").await, expected[2..]);
}

pub async fn a_waiter_is_woken_by_a_release(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    let waiting = start(rig, "q").await;
    rig.settle(&leased, Outcome::Release).await;
    assert_eq!(numbers(waiting).await, [number]);
}

pub async fn a_waiter_is_woken_by_a_job_that_comes_due(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { delay_ms: Some(60), ..JobOptions::default() }).await;
    let waiting = start(rig, "q").await;
    rig.pass(60, "the job is handed out", async || waiting.is_finished()).await;
    assert_eq!(numbers(waiting).await, [number]);
}

pub async fn a_waiter_is_woken_by_an_expired_lease(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add("q").await;
    rig.lease("q").await;
    let waiting = start(rig, "q").await;
    rig.pass(100, "the job is handed out again", async || waiting.is_finished()).await;
    assert_eq!(numbers(waiting).await, [number]);
}

pub async fn a_waiter_is_woken_by_a_promotion_and_a_retry(rig: &Rig) {
    let delayed = rig.add_with("q", JobOptions { delay_ms: Some(LONG_MS), ..JobOptions::default() }).await;
    let waiting = start(rig, "q").await;
    rig.verb(delayed, crate::model::JobVerb::Promote).await;
    assert_eq!(numbers(waiting).await, [delayed]);
    let done = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    let waiting = start(rig, "q").await;
    rig.verb(done, crate::model::JobVerb::Retry).await;
    assert_eq!(numbers(waiting).await, [done]);
}

pub async fn a_waiter_on_a_paused_queue_is_woken_by_the_resume(rig: &Rig) {
    let number = rig.add("q").await;
    rig.engine().pause(&context("ann", ""), "q").await.expect("paused");
    let waiting = start(rig, "q").await;
    let second = rig.add("q").await;
    assert!(!waiting.is_finished(), "a paused queue hands out nothing");
    rig.engine().resume(&context("ann", ""), "q").await.expect("resumed");
    assert_eq!(numbers(waiting).await, [number]);
    assert_eq!(rig.drain("q").await, [second]);
}

pub async fn a_dropped_waiter_takes_no_job_with_it(rig: &Rig) {
    let waiting = start(rig, "q").await;
    waiting.abort();
    // Dropped before there is a job: one that was handed to it before would wait for the end of its lease.
    assert!(waiting.await.is_err_and(|ended| ended.is_cancelled()), "nobody waits any more");
    let number = rig.add("q").await;
    // A server may learn only now that nobody waits; what it had leased meanwhile comes back at once, no stall.
    rig.until("the job can be leased by another", async || {
        rig.try_lease("q").await.is_some_and(|leased| leased.number == number)
    })
    .await;
    assert_eq!(rig.job(number).await.stalls, 0);
}

pub async fn who_waits_behind_a_dropped_waiter_is_served(rig: &Rig) {
    let first = start(rig, "q").await;
    let second = start(rig, "q").await;
    first.abort();
    assert!(first.await.is_err_and(|ended| ended.is_cancelled()), "nobody waits there any more");
    let number = rig.add("q").await;
    // A server may learn only now that the first is gone.
    rig.until("the job reaches who still waits", async || second.is_finished()).await;
    assert_eq!(numbers(second).await, [number]);
}

pub async fn a_lease_that_waits_too_long_is_refused(rig: &Rig) {
    let error = waiting_lease(rig, order("q", 1), 3_600_001).await.expect_err("longer than an hour");
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.starts_with("wait_ms is 3600001; allowed: "), "{error}");
}

pub async fn a_waiting_producer_gets_the_result(rig: &Rig) {
    let number = rig.add("q").await;
    let waiting = waiting_producer(rig, number, LONG_MS).await;
    rig.settle(&rig.lease("q").await, Outcome::Complete { result: Some("42".into()) }).await;
    let job = waiting.await.expect("no panic").expect("the job is done");
    assert_eq!((job.summary.state, job.result.as_deref()), (JobState::Completed, Some(&b"42"[..])));
}

pub async fn a_waiting_producer_is_told_of_death_and_cancel(rig: &Rig) {
    let dead = rig.add_with("q", JobOptions { attempts: Some(1), ..JobOptions::default() }).await;
    let cancelled = rig.add("q").await;
    let waiting = [waiting_producer(rig, dead, LONG_MS).await, waiting_producer(rig, cancelled, LONG_MS).await];
    rig.settle(&rig.lease("q").await, failure("it broke")).await;
    rig.cancel(cancelled).await;
    let [first, second] = waiting;
    assert_eq!([state_after(first).await, state_after(second).await], [JobState::Dead, JobState::Cancelled]);
}

pub async fn a_producer_does_not_wait_for_a_job_that_is_done(rig: &Rig) {
    let number = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    let job = rig.engine().wait(number.into(), 0).await.expect("it is done");
    assert_eq!(job.summary.state, JobState::Completed);
}

pub async fn a_producer_waits_no_longer_than_asked(rig: &Rig) {
    let number = rig.add("q").await;
    assert_eq!(rig.engine().wait(number.into(), 0).await.expect_err("no time to wait").word, Word::Timeout);
    let waiting = waiting_producer(rig, number, 100).await;
    rig.run_on(10, "the producer gives up", async || waiting.is_finished()).await;
    assert_eq!(waiting.await.expect("no panic").expect_err("the time ran out").word, Word::Timeout);
}

pub async fn a_failed_attempt_does_not_end_the_wait(rig: &Rig) {
    let number = rig.add_with("q", super::retries::attempts(2)).await;
    let waiting = waiting_producer(rig, number, LONG_MS).await;
    rig.fail(&rig.lease("q").await).await;
    rig.pass_to(20, number, JobState::Waiting).await;
    assert!(!waiting.is_finished(), "the job has another attempt");
    rig.complete(&rig.lease("q").await).await;
    assert_eq!(state_after(waiting).await, JobState::Completed);
}

pub async fn a_wait_for_a_removed_job_ends(rig: &Rig) {
    let number = rig.add("q").await;
    let engine = rig.engine();
    let waiting = rig.begin(async move { engine.wait(number.into(), LONG_MS).await }).await;
    rig.remove(number).await;
    assert_eq!(waiting.await.expect("no panic").expect_err("it is gone").word, Word::NoJob);
}

pub async fn a_wait_for_a_job_that_never_was_is_refused(rig: &Rig) {
    let error = rig.engine().wait(JobNumber(9_999).into(), LONG_MS).await.expect_err("no such job");
    assert_eq!(error, Error::no_job(JobNumber(9_999)));
}

pub async fn a_job_can_be_waited_for_by_its_id(rig: &Rig) {
    super::identity::add_id(rig, "q", "order-42").await;
    let waiting = waiting_producer(rig, JobRef::Id { queue: Some("q".into()), id: "order-42".into() }, LONG_MS).await;
    rig.complete(&rig.lease("q").await).await;
    assert_eq!(state_after(waiting).await, JobState::Completed);
}

pub async fn many_producers_may_wait_for_one_job(rig: &Rig) {
    let number = rig.add("q").await;
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(waiting_producer(rig, number, LONG_MS).await);
    }
    rig.complete(&rig.lease("q").await).await;
    for handle in waiting {
        assert_eq!(state_after(handle).await, JobState::Completed);
    }
}

pub async fn a_waiting_producer_gets_a_job_that_is_not_kept(rig: &Rig) {
    let none = QueueSettings { keep_completed: Some(0), keep_cancelled: Some(0), ..QueueSettings::default() };
    rig.set("q", none).await;
    let done = [rig.add("q").await, rig.add_with("q", JobOptions { keep_ms: Some(0), ..JobOptions::default() }).await];
    let cancelled = rig.add("q").await;
    for number in done {
        let waiting = waiting_producer(rig, number, LONG_MS).await;
        rig.settle(&rig.lease("q").await, Outcome::Complete { result: Some("42".into()) }).await;
        let job = waiting.await.expect("no panic").expect("the result was there");
        assert_eq!((job.summary.number, job.result.as_deref()), (number, Some(&b"42"[..])));
    }
    let waiting = waiting_producer(rig, cancelled, LONG_MS).await;
    rig.cancel(cancelled).await;
    assert_eq!(state_after(waiting).await, JobState::Cancelled);
    for number in [done[0], done[1], cancelled] {
        rig.until("it is gone", async || !rig.kept(number).await).await;
    }
}
