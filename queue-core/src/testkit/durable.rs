//! What survives a restart: group `durable`. A clean close and a kill -9 must leave the same.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::context;
use super::identity::add_id;
use super::rig::{Rig, failure, order, proof};
use crate::engine::EngineExt;
use crate::model::{
    Added, Beat, BulkVerb, Context, Extension, Job, JobFilter, JobNumber, JobOptions, JobState, JobVerb, LeaseRequest,
    LogLine, LogSource, OperationState, Outcome, QueueSettings, Settled, Word,
};

/// One job in every state, with everything that a job can have.
async fn some_of_everything(rig: &Rig) -> Vec<JobNumber> {
    let options = JobOptions {
        id: Some("order-42".into()),
        tags: vec!["eu".into()],
        headers: [("trace".to_owned(), "abc".to_owned())].into(),
        priority: Some(3),
        ..JobOptions::default()
    };
    let full = rig.add_with("q", options).await;
    let leased = rig.lease("q").await;
    rig.engine().progress(proof(&leased), "half".into()).await.expect("taken");
    let line = LogLine { source: LogSource::Err, text: "careful".into() };
    rig.engine().log(proof(&leased), vec![line]).await.expect("taken");
    rig.settle(&leased, failure("it broke 3 times")).await;
    let completed = rig.add("q").await;
    rig.settle(&rig.lease("q").await, Outcome::Complete { result: Some("42".into()) }).await;
    let dead = rig.add("q").await;
    let rejected = Outcome::Fail { kind: "exit".into(), error: "no such file".into(), retryable: false };
    rig.settle(&rig.lease("q").await, rejected).await;
    let cancelled = rig.add("q").await;
    rig.cancel(cancelled).await;
    let delayed = rig.add_with("q", JobOptions { delay_ms: Some(600_000), ..JobOptions::default() }).await;
    let released = rig.add("q").await;
    rig.settle(&rig.lease("q").await, Outcome::Release).await;
    vec![full, completed, dead, cancelled, delayed, released]
}

async fn jobs(rig: &Rig, numbers: &[JobNumber]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for &number in numbers {
        jobs.push(rig.job(number).await);
    }
    jobs
}

pub async fn promise_1_acknowledged_enqueues_and_settlements_survive_kill_9(rig: &Rig) {
    let numbers = rig.add_many("q", 200).await;
    for leased in rig.lease_up_to("q", 100).await {
        rig.complete(&leased).await;
    }
    rig.crash().await;
    let counts = rig.counts("q").await;
    assert_eq!((counts.completed, counts.waiting, counts.enqueued), (100, 100, 200));
    assert_eq!(rig.drain("q").await, numbers[100..]);
}

pub async fn clause_1_everything_about_a_job_survives_a_clean_restart(rig: &Rig) {
    let numbers = some_of_everything(rig).await;
    let (before, counts) = (jobs(rig, &numbers).await, rig.counts("q").await);
    rig.reopen().await;
    assert_eq!((jobs(rig, &numbers).await, rig.counts("q").await), (before, counts));
    let log = rig.engine().job_log(numbers[0].into(), 0).await.expect("the log is shown");
    assert_eq!(log.lines[0].text, "careful");
}

pub async fn clause_1_how_long_a_job_waits_survives_a_restart(rig: &Rig) {
    let waits = async || rig.engine().queue("q").await.expect("made").oldest_waiting_ms.expect("jobs wait");
    rig.add_many("q", 2).await;
    rig.add_with("q", JobOptions { lifo: true, ..JobOptions::default() }).await;
    rig.pass(50, "the oldest has waited 50 ms", async || waits().await >= 50).await;
    let waited = waits().await;
    rig.add_with("q", JobOptions { lifo: true, ..JobOptions::default() }).await;
    rig.reopen().await;
    // Clocks are read to the millisecond, twice.
    assert!(waits().await + 2 >= waited, "a restart makes no job younger");
}

pub async fn clause_1_when_a_job_ended_survives_kill_9(rig: &Rig) {
    let number = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    let ended = rig.job(number).await.summary.at_ms.expect("it has ended");
    rig.crash().await;
    let within = |since_ms, until_ms| JobFilter { since_ms, until_ms, ..JobFilter::default() };
    for (filter, there) in [
        (within(Some(ended), Some(ended + 1)), true),
        (within(Some(ended + 1), None), false),
        (within(None, Some(ended)), false),
    ] {
        let page = rig.engine().jobs(filter, None, 10).await.expect("the list is read");
        assert_eq!(page.jobs.iter().any(|job| job.number == number), there);
    }
}

pub async fn clause_1_everything_about_a_job_survives_kill_9(rig: &Rig) {
    let numbers = some_of_everything(rig).await;
    let (before, counts) = (jobs(rig, &numbers).await, rig.counts("q").await);
    rig.crash().await;
    assert_eq!((jobs(rig, &numbers).await, rig.counts("q").await), (before, counts));
}

pub async fn clause_2_a_batch_is_whole_after_kill_9(rig: &Rig) {
    let engine = rig.engine();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&acknowledged);
    // Not acknowledged when the engine ends: all of it may be there, or nothing.
    let sending = tokio::spawn(async move {
        while engine.enqueue("q", super::rig::numbered(100)).await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    rig.until("some batches are in", async || {
        rig.engine().queue("q").await.is_ok_and(|view| view.counts.enqueued >= 300)
    })
    .await;
    let acknowledged = acknowledged.load(Ordering::SeqCst);
    rig.crash().await;
    sending.abort();
    let enqueued = rig.counts("q").await.enqueued;
    assert!(enqueued % 100 == 0, "{enqueued} jobs are not whole batches");
    assert!(enqueued >= acknowledged * 100, "{acknowledged} batches were acknowledged, {enqueued} jobs are there");
}

pub async fn clause_7_tokens_grow_across_restarts(rig: &Rig) {
    rig.add_many("q", 3).await;
    let first = rig.lease("q").await.token;
    rig.reopen().await;
    let second = rig.lease("q").await.token;
    rig.crash().await;
    let third = rig.lease("q").await.token;
    assert!(first < second && second < third, "{first}, {second}, {third}");
}

pub async fn clause_8_a_settlement_answers_already_across_a_restart(rig: &Rig) {
    rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.complete(&leased).await;
    rig.crash().await;
    let again = rig.engine().settle(proof(&leased), Outcome::Complete { result: None }).await;
    assert_eq!(again, Ok(Settled::Already));
}

pub async fn clause_9_ids_are_known_across_a_restart_also_those_of_gone_jobs(rig: &Rig) {
    let kept = add_id(rig, "q", "kept").await;
    let gone = add_id(rig, "q", "gone").await;
    rig.remove(gone.number).await;
    rig.crash().await;
    let kept_again = add_id(rig, "q", "kept").await;
    let gone_again = add_id(rig, "q", "gone").await;
    assert_eq!((kept_again.number, kept_again.added), (kept.number, Added::Existing));
    assert_eq!((gone_again.number, gone_again.added), (gone.number, Added::ExistingGone));
}

pub async fn clause_14_a_cursor_goes_on_across_a_restart(rig: &Rig) {
    if !rig.engine().capabilities().history {
        return;
    }
    let start = super::feed::now(rig).await;
    rig.add_many("q", 5).await;
    let (before, cursor) = super::feed::read_on(rig, &start, 2).await;
    rig.reopen().await;
    let number = rig.add("q").await;
    let (after, _) = super::feed::read_on(rig, &cursor, 2).await;
    let of_jobs: Vec<_> = after.iter().filter_map(|event| event.number).collect();
    assert_eq!((before.iter().filter(|event| event.number.is_some()).count(), of_jobs), (5, vec![number]));
    let (all, _) = super::feed::read_on(rig, &start, 1_000).await;
    assert_eq!([before, after].concat(), all);
}

pub async fn a_live_lease_goes_on_after_a_restart(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.crash().await;
    assert_eq!((rig.state(number).await, rig.job(number).await.stalls), (JobState::Active, 0));
    rig.nothing_ready("q").await;
    let extended = rig.engine().extend(vec![proof(&leased)]).await;
    assert_eq!(extended, Ok(vec![Extension::Extended { lease_ms: 30_000 }]));
    rig.complete(&leased).await;
}

pub async fn the_order_of_jobs_survives_a_restart(rig: &Rig) {
    let mut numbers = rig.add_many("q", 4).await;
    numbers.insert(0, rig.add_with("q", JobOptions { priority: Some(1), ..JobOptions::default() }).await);
    numbers.insert(1, rig.add_with("q", JobOptions { lifo: true, ..JobOptions::default() }).await);
    rig.settle(&rig.lease("q").await, Outcome::Release).await;
    rig.crash().await;
    numbers.push(rig.add("q").await);
    assert_eq!(rig.drain("q").await, numbers);
}

pub async fn numbers_go_on_after_a_restart(rig: &Rig) {
    let last = rig.add("q").await;
    rig.remove(last).await;
    rig.crash().await;
    assert!(rig.add("q").await > last, "a number is never used again");
}

pub async fn settings_and_pauses_survive_a_restart(rig: &Rig) {
    rig.set("q", QueueSettings { attempts: Some(5), lease_ms: Some(7_000), ..QueueSettings::default() }).await;
    rig.add("q").await;
    rig.engine().pause(&context("ann", "migration"), "q").await.expect("paused");
    let before = rig.engine().queue("q").await.expect("shown");
    rig.crash().await;
    let after = rig.engine().queue("q").await.expect("shown");
    assert_eq!((after.settings, after.paused, after.pause_reason), (before.settings, true, before.pause_reason));
    rig.nothing_ready("q").await;
}

pub async fn a_bulk_operation_goes_on_after_a_restart(rig: &Rig) {
    rig.set("q", QueueSettings { keep_cancelled: Some(10_000), ..QueueSettings::default() }).await;
    rig.add_many("q", 5_000).await;
    let filter = JobFilter { queue: Some("q".into()), ..JobFilter::default() };
    let view = rig.engine().start_operation(&context("ann", ""), BulkVerb::Cancel, filter).await.expect("started");
    rig.crash().await;
    rig.run_on(1, "the operation ends", async || {
        rig.engine().operation(view.operation).await.expect("shown").state == OperationState::Finished
    })
    .await;
    assert_eq!(rig.engine().operation(view.operation).await.expect("shown").changed, 5_000);
    assert_eq!(rig.counts("q").await.cancelled, 5_000);
}

pub async fn a_cancel_of_a_running_job_survives_a_restart(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.engine().job_verb(&context("ann", "wrong"), number.into(), JobVerb::Cancel).await.expect("cancelled");
    rig.crash().await;
    let answers = rig.engine().extend(vec![proof(&leased)]).await.expect("answered");
    assert!(matches!(&answers[..], [Extension::Cancel { reason }] if reason.contains("ann")), "{answers:?}");
}

pub async fn a_done_job_stays_done_after_a_restart(rig: &Rig) {
    rig.add_many("q", 3).await;
    for leased in rig.lease_up_to("q", 3).await {
        rig.complete(&leased).await;
    }
    for _ in 0..3 {
        rig.crash().await;
        rig.nothing_ready("q").await;
        assert_eq!(rig.counts("q").await.completed, 3);
    }
}

pub async fn the_registry_of_workers_is_empty_after_a_start(rig: &Rig) {
    rig.engine().beat(Beat { worker: "w".into(), ..Beat::default() }).await.expect("answered");
    rig.reopen().await;
    assert_eq!(rig.engine().all_workers().await, Ok(Vec::new()));
}

pub async fn many_restarts_in_a_row_change_no_job(rig: &Rig) {
    let numbers = some_of_everything(rig).await;
    let before = jobs(rig, &numbers).await;
    for round in 0..6 {
        match round % 2 {
            0 => rig.reopen().await,
            _ => rig.crash().await,
        }
    }
    assert_eq!(jobs(rig, &numbers).await, before);
}

pub async fn closing_ends_the_calls_that_wait(rig: &Rig) {
    const LONG_MS: u64 = 600_000;
    let number = rig.add("done-later").await;
    let (leasing, waiting, reading) = (rig.engine(), rig.engine(), rig.engine());
    let request = LeaseRequest { order: order("q", 1), wait_ms: LONG_MS };
    let lease = rig.begin(async move { leasing.lease(&Context::default(), request).await.err() }).await;
    let wait = rig.begin(async move { waiting.wait(number.into(), LONG_MS).await.err() }).await;
    let events = rig.begin(async move { reading.events(None, 1, LONG_MS).await.err() }).await;
    rig.engine().close().await.expect("it closes");
    for call in [lease, wait, events] {
        let error = call.await.expect("no panic").expect("it did not get what it waited for");
        assert_eq!(error.word, Word::Unreachable, "{error}");
    }
    rig.reopen().await;
}

pub async fn a_closed_engine_can_be_closed_again_and_is_unreachable(rig: &Rig) {
    let engine = rig.engine();
    engine.close().await.expect("it closes");
    engine.close().await.expect("closing is idempotent");
    let error = engine.stats().await.expect_err("it is closed");
    assert_eq!(error.word, Word::Unreachable, "{error}");
    drop(engine);
    rig.reopen().await;
}
