//! Bulk verbs as operations: which jobs they mean, how they end, how they are read and ended.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::context;
use super::rig::{Rig, failure};
use crate::engine::EngineExt;
use crate::model::{
    BulkVerb, Command, Context, DeadReason, DelayCause, JobFilter, JobNumber, JobOptions, JobState, NewJob,
    OperationNumber, OperationState, OperationView, Outcome, QueueSettings, Word,
};

fn in_queue(queue: &str) -> JobFilter {
    JobFilter { queue: Some(queue.to_owned()), ..JobFilter::default() }
}

async fn start(rig: &Rig, verb: BulkVerb, filter: JobFilter) -> OperationView {
    rig.engine().start_operation(&context("ann", "clean up"), verb, filter).await.expect("the operation starts")
}

async fn finished(rig: &Rig, operation: OperationNumber) -> OperationView {
    rig.run_on(1, "the operation ends", async || {
        rig.engine().operation(operation).await.expect("it is shown").state != OperationState::Running
    })
    .await;
    rig.engine().operation(operation).await.expect("it is shown")
}

/// Runs an operation and checks how many jobs it changed.
async fn check_changed(rig: &Rig, verb: BulkVerb, filter: JobFilter, changed: u64) -> OperationView {
    let view = finished(rig, start(rig, verb, filter).await.operation).await;
    assert_eq!((view.state, view.changed), (OperationState::Finished, changed), "{view:?}");
    assert!(view.looked_at >= view.changed && view.ended_at_ms >= Some(view.started_at_ms));
    view
}

async fn dead(rig: &Rig, name: &str, error: &str) -> JobNumber {
    let number = rig.enqueue("q", vec![NewJob::new(name, "{}")]).await[0].number;
    let outcome = Outcome::Fail { kind: "exit".into(), error: error.into(), retryable: false };
    rig.settle(&rig.lease("q").await, outcome).await;
    number
}

async fn states(rig: &Rig, numbers: &[JobNumber]) -> Vec<JobState> {
    let mut states = Vec::new();
    for &number in numbers {
        states.push(rig.state(number).await);
    }
    states
}

fn later() -> JobOptions {
    JobOptions { delay_ms: Some(600_000), ..JobOptions::default() }
}

pub async fn all_delayed_jobs_are_promoted(rig: &Rig) {
    for _ in 0..7 {
        rig.add_with("q", later()).await;
    }
    let elsewhere = rig.add_with("other", later()).await;
    check_changed(rig, BulkVerb::Promote, in_queue("q"), 7).await;
    assert_eq!(rig.counts("q").await.waiting, 7);
    assert_eq!(rig.state(elsewhere).await, JobState::Delayed);
}

pub async fn all_unfinished_jobs_are_cancelled(rig: &Rig) {
    rig.add_many("q", 4).await;
    let done = rig.lease("q").await;
    rig.complete(&done).await;
    let active = rig.lease("q").await;
    rig.add_with("q", later()).await;
    check_changed(rig, BulkVerb::Cancel, in_queue("q"), 4).await;
    let counts = rig.counts("q").await;
    assert_eq!((counts.cancelled, counts.active, counts.completed), (3, 1, 1));
    assert!(rig.job(active.number).await.cancel_requested, "the running handler is told");
}

pub async fn all_dead_jobs_are_redriven(rig: &Rig) {
    let mut numbers = Vec::new();
    for _ in 0..5 {
        numbers.push(dead(rig, "work", "it broke").await);
    }
    let filter = JobFilter { states: vec![JobState::Dead], ..in_queue("q") };
    check_changed(rig, BulkVerb::Retry, filter, 5).await;
    assert_eq!(rig.drain("q").await, numbers, "redriven jobs join in the order of their deaths");
}

pub async fn all_jobs_but_the_active_are_removed(rig: &Rig) {
    rig.add_many("q", 5).await;
    let active = rig.lease("q").await;
    rig.complete(&rig.lease("q").await).await;
    check_changed(rig, BulkVerb::Remove, in_queue("q"), 4).await;
    let counts = rig.counts("q").await;
    assert_eq!((counts.active, counts.removed, counts.waiting, counts.completed), (1, 4, 0, 0));
    rig.complete(&active).await;
}

pub async fn an_operation_means_only_what_its_filter_means(rig: &Rig) {
    let tagged = JobOptions { tags: vec!["eu".into(), "vip".into()], ..JobOptions::default() };
    let vip = rig.add_with("q", tagged).await;
    let other = rig.enqueue("q", vec![NewJob::new("other", "{}")]).await[0].number;
    let plain = rig.add("q").await;
    check_changed(rig, BulkVerb::Cancel, JobFilter { tag: Some("vip".into()), ..in_queue("q") }, 1).await;
    assert_eq!(states(rig, &[vip, other, plain]).await, [JobState::Cancelled, JobState::Waiting, JobState::Waiting]);
    check_changed(rig, BulkVerb::Cancel, JobFilter { name: Some("other".into()), ..in_queue("q") }, 1).await;
    assert_eq!(states(rig, &[other, plain]).await, [JobState::Cancelled, JobState::Waiting]);
    check_changed(rig, BulkVerb::Cancel, JobFilter { tag: Some("vip".into()), ..in_queue("q") }, 0).await;
}

pub async fn dead_jobs_are_redriven_by_reason_and_fingerprint(rig: &Rig) {
    let missing = dead(rig, "work", "file 17 not found").await;
    let refused = dead(rig, "work", "connection refused").await;
    let exhausted = rig.add_with("q", JobOptions { attempts: Some(1), ..JobOptions::default() }).await;
    rig.settle(&rig.lease("q").await, failure("file 4 not found")).await;
    let fingerprint = rig.job(missing).await.leases[0].fingerprint.clone();
    let by_reason = JobFilter { reason: Some(DeadReason::Exhausted), ..in_queue("q") };
    check_changed(rig, BulkVerb::Retry, by_reason, 1).await;
    assert_eq!(rig.state(exhausted).await, JobState::Waiting);
    let by_fingerprint = JobFilter { fingerprint, states: vec![JobState::Dead], ..in_queue("q") };
    check_changed(rig, BulkVerb::Retry, by_fingerprint, 1).await;
    assert_eq!(states(rig, &[missing, refused]).await, [JobState::Waiting, JobState::Dead]);
}

pub async fn delayed_jobs_are_promoted_by_cause(rig: &Rig) {
    let retrying = rig.add("q").await;
    rig.fail(&rig.lease("q").await).await;
    let scheduled = rig.add_with("q", later()).await;
    let filter = JobFilter { cause: Some(DelayCause::Retry), ..in_queue("q") };
    check_changed(rig, BulkVerb::Promote, filter, 1).await;
    assert_eq!(states(rig, &[retrying, scheduled]).await, [JobState::Waiting, JobState::Delayed]);
}

pub async fn an_operation_without_a_queue_means_every_queue(rig: &Rig) {
    for queue in ["a", "b", "c"] {
        rig.add_many(queue, 2).await;
    }
    check_changed(rig, BulkVerb::Cancel, JobFilter::default(), 6).await;
}

pub async fn jobs_enqueued_after_it_began_are_not_its_own(rig: &Rig) {
    rig.set("q", QueueSettings { keep_cancelled: Some(10_000), ..QueueSettings::default() }).await;
    let before = rig.add_many("q", 3_000).await;
    let view = start(rig, BulkVerb::Cancel, in_queue("q")).await;
    let after = rig.add_many("q", 100).await;
    assert_eq!(view.filter.up_to, before.last().copied(), "it ends at the last number when it began");
    let view = finished(rig, view.operation).await;
    assert_eq!(view.changed, 3_000);
    assert_eq!(rig.drain("q").await, after);
}

pub async fn an_operation_may_end_at_a_given_number(rig: &Rig) {
    let numbers = rig.add_many("q", 10).await;
    check_changed(rig, BulkVerb::Remove, JobFilter { up_to: Some(numbers[3]), ..in_queue("q") }, 4).await;
    assert_eq!(rig.drain("q").await, numbers[4..]);
}

pub async fn an_operation_shows_who_what_and_why(rig: &Rig) {
    rig.add("q").await;
    let view = start(rig, BulkVerb::Cancel, in_queue("q")).await;
    assert_eq!((view.verb, view.filter.queue.as_deref()), (BulkVerb::Cancel, Some("q")));
    assert_eq!((view.actor.as_str(), view.reason.as_str()), ("ann", "clean up"));
    let ended = finished(rig, view.operation).await;
    assert!(ended.ended_at_ms >= Some(ended.started_at_ms) && ended.started_at_ms > 0);
}

pub async fn operations_are_listed_the_newest_first(rig: &Rig) {
    rig.add("q").await;
    let mut started = Vec::new();
    for _ in 0..3 {
        started.push(start(rig, BulkVerb::Promote, in_queue("q")).await.operation);
    }
    started.reverse();
    let listed: Vec<_> = rig.engine().operations().await.expect("listed").iter().map(|view| view.operation).collect();
    assert_eq!(listed, started);
}

pub async fn a_running_operation_can_be_ended(rig: &Rig) {
    rig.add_many("q", 10_000).await;
    let begin = Command::StartOperation { verb: BulkVerb::Remove, filter: in_queue("q") };
    let operation = OperationNumber(1);
    let answers = rig.engine().execute(&Context::default(), vec![begin, Command::CancelOperation { operation }]).await;
    let answers = answers.expect("both are answered");
    let Ok(crate::model::Reply::Operation(view)) = &answers[1] else { panic!("{:?}", answers[1]) };
    assert_eq!((view.operation, view.state), (operation, OperationState::Cancelled));
    let ended = finished(rig, operation).await;
    assert_eq!((ended.state, ended.changed), (OperationState::Cancelled, view.changed), "it stopped where it stood");
    let counts = rig.counts("q").await;
    assert_eq!((counts.waiting, counts.removed), (10_000 - view.changed, view.changed));
    assert!(counts.waiting > 0, "a step is not the whole");
}

pub async fn an_ended_operation_cannot_be_ended(rig: &Rig) {
    rig.add("q").await;
    let view = check_changed(rig, BulkVerb::Cancel, in_queue("q"), 1).await;
    let error = rig.refused(Command::CancelOperation { operation: view.operation }).await;
    assert_eq!(error.word, Word::State);
    assert!(error.message.contains(&view.operation.to_string()), "{error}");
}

pub async fn an_operation_that_never_was_is_refused(rig: &Rig) {
    for command in [
        Command::ShowOperation { operation: OperationNumber(77) },
        Command::CancelOperation { operation: OperationNumber(77) },
    ] {
        let error = rig.refused(command).await;
        assert_eq!(error.word, Word::NoOperation);
        assert!(error.message.contains("77"), "{error}");
    }
}

pub async fn an_operation_on_a_queue_that_does_not_exist_is_refused(rig: &Rig) {
    let error = rig.refused(Command::StartOperation { verb: BulkVerb::Cancel, filter: in_queue("nowhere") }).await;
    assert_eq!(error.word, Word::NoQueue);
}

pub async fn a_big_operation_takes_all_and_each_once(rig: &Rig) {
    rig.set("q", QueueSettings { keep_cancelled: Some(10_000), ..QueueSettings::default() }).await;
    rig.add_many("q", 2_345).await;
    check_changed(rig, BulkVerb::Cancel, in_queue("q"), 2_345).await;
    check_changed(rig, BulkVerb::Retry, in_queue("q"), 2_345).await;
    check_changed(rig, BulkVerb::Remove, in_queue("q"), 2_345).await;
    let counts = rig.counts("q").await;
    assert_eq!((counts.enqueued, counts.removed, counts.waiting), (2_345, 2_345, 0));
}

pub async fn a_job_that_comes_back_is_not_taken_again(rig: &Rig) {
    let reject = async || {
        let leased = rig.lease_up_to("q", 100).await;
        let outcome = Outcome::Fail { kind: "exit".into(), error: "it broke".into(), retryable: false };
        let settle = |job| crate::model::Settlement { lease: super::rig::proof(job), outcome: outcome.clone() };
        let settlements: Vec<_> = leased.iter().map(settle).collect();
        rig.engine().settle_all(settlements, None).await.expect("settled");
        leased.len()
    };
    let numbers = rig.add_many("q", 3_000).await;
    while reject().await > 0 {}
    let filter = JobFilter { states: vec![JobState::Dead], ..in_queue("q") };
    let operation = start(rig, BulkVerb::Retry, filter).await.operation;
    // A worker rejects all of them at once, while the operation goes on.
    rig.run_on(1, "the operation ends", async || {
        reject().await;
        rig.engine().operation(operation).await.expect("it is shown").state != OperationState::Running
    })
    .await;
    while reject().await > 0 {}
    assert_eq!(rig.engine().operation(operation).await.expect("it is shown").changed, 3_000);
    for at in (0..3_000).step_by(250) {
        assert_eq!(rig.job(numbers[at]).await.round, 2, "job {}", numbers[at]);
    }
}

pub async fn a_cancel_counts_a_job_once_though_its_lease_is_extended(rig: &Rig) {
    rig.add_many("q", 2).await;
    let active = rig.lease("q").await;
    check_changed(rig, BulkVerb::Cancel, in_queue("q"), 2).await;
    rig.engine().extend(vec![super::rig::proof(&active)]).await.expect("answered");
    check_changed(rig, BulkVerb::Cancel, in_queue("q"), 0).await;
}
