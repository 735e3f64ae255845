//! The promises of the design that apply to list queues, each as one case that can fail.
//!
//! Promise 1 is in `durable`; single rules behind the promises have cases of their own in the other topics.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context;
use super::leases::short_leases;
use super::retries::attempts;
use super::rig::{Rig, failure, order, proof};
use crate::engine::{Engine, EngineExt};
use crate::model::{
    Backoff, Command, Context, DeadReason, Extension, JobNumber, JobOptions, JobState, JobVerb, LeaseOutcome,
    LeaseRequest, LogLine, LogSource, NewJob, Outcome, QueueSettings, Settled, When, Word,
};

pub async fn promise_2_an_expired_job_is_leased_again_until_its_stalls_are_exhausted(rig: &Rig) {
    let set = QueueSettings { lease_ms: Some(100), stalls: Some(3), ..QueueSettings::default() };
    rig.set("q", set).await;
    let number = rig.add("q").await;
    for _ in 0..3 {
        assert_eq!(rig.lease("q").await.number, number);
        rig.pass_to(100, number, JobState::Waiting).await;
    }
    assert_eq!(rig.lease("q").await.number, number);
    rig.pass_to(100, number, JobState::Dead).await;
    assert_eq!(rig.job(number).await.summary.reason, Some(DeadReason::Poison));
}

pub async fn promise_3_a_stale_token_can_do_nothing(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add("q").await;
    let stale = rig.lease("q").await;
    rig.pass_to(100, number, JobState::Waiting).await;
    rig.set("q", QueueSettings { lease_ms: Some(60_000), ..QueueSettings::default() }).await;
    let valid = rig.lease("q").await;
    let (before, engine, lease) = (rig.hash().await, rig.engine(), proof(&stale));
    let complete = Outcome::Complete { result: None };
    for outcome in [complete, failure("late"), Outcome::Release, Outcome::Snooze { delay_ms: None }] {
        assert_eq!(engine.settle(lease, outcome).await.expect_err("stale").word, Word::Stale);
    }
    assert_eq!(engine.extend(vec![lease]).await, Ok(vec![Extension::Lost]));
    assert_eq!(engine.progress(lease, "1".into()).await.expect_err("stale").word, Word::Stale);
    let lines = vec![LogLine { source: LogSource::Out, text: "late".into() }];
    assert_eq!(engine.log(lease, lines).await.expect_err("stale").word, Word::Stale);
    assert_eq!(rig.hash().await, before, "it could change nothing");
    rig.complete(&valid).await;
}

pub async fn promise_4_the_books_balance_after_every_step(rig: &Rig) {
    let mut known: Vec<JobNumber> = Vec::new();
    for step in 0..300_u64 {
        // A fixed walk that meets every verb in many states; the model test draws random ones.
        let pick = |offset: u64| known.get(((step * 7 + offset) % known.len().max(1) as u64) as usize).copied();
        match step % 9 {
            0 | 1 => known.extend(rig.add_many("q", 2).await),
            2 => known.push(rig.add_with("q", JobOptions { delay_ms: Some(600_000), ..JobOptions::default() }).await),
            3 => settle_some(rig, step).await,
            4 => try_verb(rig, pick(1), JobVerb::Cancel).await,
            5 => try_verb(rig, pick(2), JobVerb::Retry).await,
            6 => try_verb(rig, pick(3), JobVerb::Remove { force: step % 2 == 0 }).await,
            7 => try_verb(rig, pick(4), JobVerb::Reschedule(When::DelayMs(600_000))).await,
            _ => try_verb(rig, pick(5), JobVerb::Promote).await,
        }
        rig.check_books().await;
    }
    let counts = rig.counts("q").await;
    assert_eq!(counts.enqueued, known.len() as u64);
    assert!(counts.removed > 0 && counts.cancelled > 0 && counts.completed > 0, "{counts:?}");
}

async fn settle_some(rig: &Rig, step: u64) {
    for (at, leased) in rig.lease_up_to("q", 3).await.iter().enumerate() {
        match (step + at as u64) % 4 {
            0 => rig.complete(leased).await,
            1 => rig.fail(leased).await,
            2 => rig.settle(leased, Outcome::Release).await,
            _ => {}
        }
    }
}

async fn try_verb(rig: &Rig, number: Option<JobNumber>, verb: JobVerb) {
    let Some(number) = number else { return };
    if let Err(error) = rig.engine().job_verb(&Context::default(), number.into(), verb).await {
        assert!(matches!(error.word, Word::State | Word::NoJob), "{} {error}", error.word);
    }
}

pub async fn promise_5_no_job_completes_twice_however_many_workers_there_are(rig: &Rig) {
    let numbers = rig.add_many("q", 400).await;
    let mut workers = Vec::new();
    for _ in 0..8 {
        let engine = rig.engine();
        workers.push(tokio::spawn(async move { work_until_empty(engine).await }));
    }
    let mut completions: BTreeMap<JobNumber, u32> = BTreeMap::new();
    for worker in workers {
        for number in worker.await.expect("no panic") {
            *completions.entry(number).or_default() += 1;
        }
    }
    assert_eq!(completions, numbers.iter().map(|&number| (number, 1)).collect());
    rig.nothing_ready("q").await;
    assert_eq!(rig.counts("q").await.completed, 400);
}

async fn work_until_empty(engine: Arc<dyn Engine>) -> Vec<JobNumber> {
    let mut completed = Vec::new();
    loop {
        let request = LeaseRequest { order: order("q", 3), wait_ms: 0 };
        let leased = engine.lease(&Context::default(), request).await.expect("answered");
        if leased.is_empty() {
            return completed;
        }
        for leased in leased {
            let settled = engine.settle(proof(&leased), Outcome::Complete { result: None }).await;
            assert_eq!(settled, Ok(Settled::Counted));
            completed.push(leased.number);
        }
    }
}

pub async fn promise_5_a_done_job_is_leased_again_only_when_someone_asks(rig: &Rig) {
    let dead = rig.add_with("q", attempts(1)).await;
    rig.fail(&rig.lease("q").await).await;
    let completed = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    rig.nothing_ready("q").await;
    rig.verb(completed, JobVerb::Retry).await;
    rig.verb(dead, JobVerb::Retry).await;
    assert_eq!(rig.drain("q").await, [completed, dead]);
}

pub async fn promise_6_neither_a_delay_nor_a_backoff_ends_early(rig: &Rig) {
    let options = JobOptions { delay_ms: Some(70), backoff: Some(Backoff::fixed(70)), ..JobOptions::default() };
    let number = rig.add_with("q", options).await;
    for _ in 0..2 {
        let due = rig.job(number).await.summary.at_ms;
        rig.pass_to(70, number, JobState::Waiting).await;
        let leased = rig.lease("q").await;
        let job = rig.job(number).await;
        let row = job.leases.last().expect("it runs");
        assert!(Some(row.leased_at_ms) >= due, "leased at {} though due at {due:?}", row.leased_at_ms);
        rig.fail(&leased).await;
    }
}

pub async fn promise_7_priority_then_arrival_decide_the_first_lease(rig: &Rig) {
    let mut expected = Vec::new();
    for at in 0..60_i64 {
        let priority = (at * 7) % 5;
        let options = JobOptions { priority: Some(priority), ..JobOptions::default() };
        expected.push((-priority, rig.add_with("q", options).await));
    }
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, number)| number).collect();
    let mut served = Vec::new();
    while let Some(leased) = rig.try_lease("q").await {
        served.push(leased.number);
    }
    assert_eq!(served, expected);
}

pub async fn promise_8_counted_attempts_never_exceed_their_bound(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { backoff: Some(Backoff::fixed(0)), ..attempts(3) }).await;
    let mut failures = 0;
    for step in 0..20 {
        rig.pass(1, "the job is ready, or dead", async || {
            matches!(rig.state(number).await, JobState::Waiting | JobState::Dead)
        })
        .await;
        let Some(leased) = rig.try_lease("q").await else { break };
        assert_eq!(leased.attempt, failures + 1);
        match step % 3 {
            0 => rig.settle(&leased, Outcome::Release).await,
            1 => rig.settle(&leased, Outcome::Snooze { delay_ms: Some(0) }).await,
            _ => {
                rig.fail(&leased).await;
                failures += 1;
            }
        }
    }
    let job = rig.job(number).await;
    assert_eq!((failures, job.summary.attempt, job.summary.reason), (3, 3, Some(DeadReason::Exhausted)));
    let count = |outcome| job.leases.iter().filter(|row| row.outcome == outcome).count();
    assert_eq!((job.leases.len(), count(LeaseOutcome::Failed), count(LeaseOutcome::Released)), (9, 3, 3));
}

pub async fn promise_11_a_pause_lets_running_jobs_finish_and_starts_no_other(rig: &Rig) {
    rig.add_many("q", 10).await;
    let leased = rig.lease_up_to("q", 4).await;
    rig.engine().pause(&context("ann", ""), "q").await.expect("paused");
    rig.fail(&leased[0]).await;
    rig.settle(&leased[1], Outcome::Release).await;
    rig.complete(&leased[2]).await;
    rig.add("q").await;
    rig.nothing_ready("q").await;
    let settlements = vec![crate::model::Settlement { lease: proof(&leased[3]), outcome: Outcome::Release }];
    let (_, next) = rig.engine().settle_all(settlements, Some(order("q", 5))).await.expect("answered");
    assert_eq!(next, [], "not even together with a settlement");
    let counts = rig.counts("q").await;
    assert_eq!((counts.active, counts.waiting, counts.completed), (0, 9, 1));
}

pub async fn promise_12_bad_input_takes_no_one_else_down(rig: &Rig) {
    let good = rig.engine();
    let working = tokio::spawn(async move {
        for _ in 0..50 {
            good.enqueue("good", vec![NewJob::new("work", "{}")]).await.expect("others go on");
        }
    });
    for bad in [
        Command::Enqueue { queue: "x".repeat(100_000), jobs: Vec::new() },
        Command::Enqueue { queue: "q".into(), jobs: vec![NewJob::new("", "{}")] },
        Command::Enqueue { queue: "q".into(), jobs: vec![NewJob::new("work", vec![0; 2 << 20])] },
        Command::Lease(order("q", u32::MAX)),
        Command::ShowJob { job: JobNumber(u64::MAX).into() },
        Command::ListJobs { filter: Default::default(), cursor: Some("\u{0}".into()), limit: 1 },
    ] {
        let error = rig.engine().one(&Context::default(), bad).await.expect_err("bad input is refused");
        assert!(matches!(error.word, Word::BadArg | Word::NoJob), "{} {error}", error.word);
        assert!(!error.message.contains("::") && !error.message.contains("Some("), "no Rust in a message: {error}");
    }
    working.await.expect("no panic");
    assert_eq!(rig.counts("good").await.waiting, 50);
    assert_eq!(rig.engine().all_queues().await.expect("listed").len(), 1, "bad input made no queue");
}
