//! Workers' signs of life: the registry, and the orders that a beat is answered.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::context;
use super::rig::{Rig, WORKER, proof};
use crate::engine::EngineExt;
use crate::model::{Beat, JobState, JobVerb, LeaseOrder, LeaseOutcome, LeasedJob, Orders, Outcome, Word, WorkerState};

fn beat_with(leases: &[&LeasedJob]) -> Beat {
    Beat {
        worker: WORKER.into(),
        host: "here".into(),
        pid: 17,
        version: "0.1.0".into(),
        queues: vec!["q".into()],
        concurrency: 10,
        leases: leases.iter().map(|leased| proof(leased)).collect(),
        ..Beat::default()
    }
}

async fn beat(rig: &Rig, beat: Beat) -> Orders {
    rig.engine().beat(beat).await.expect("a beat is answered")
}

async fn names(rig: &Rig) -> Vec<String> {
    let workers = rig.engine().all_workers().await.expect("workers are listed");
    workers.into_iter().map(|view| view.worker).collect()
}

pub async fn a_beat_enters_the_worker_into_the_registry(rig: &Rig) {
    assert_eq!(names(rig).await, [""; 0], "the registry is empty after a start");
    let told = Beat { uptime_ms: Some(5_000), rss_bytes: Some(7), ..beat_with(&[]) };
    assert_eq!(beat(rig, told.clone()).await, Orders::default());
    let workers = rig.engine().all_workers().await.expect("workers are listed");
    let [view] = &workers[..] else { panic!("{workers:?}") };
    assert_eq!((&view.worker, &view.host, view.pid, &view.version), (&told.worker, &told.host, 17, &told.version));
    assert_eq!((&view.queues, view.concurrency, view.rss_bytes), (&told.queues, 10, Some(7)));
    assert_eq!((view.state, view.leases, &view.jobs[..], &view.order), (WorkerState::Running, 0, &[][..], &None));
    assert_eq!(view.started_at_ms, Some(view.beat_at_ms - 5_000));
    assert_eq!(rig.engine().worker(WORKER.into()).await.as_ref(), Ok(view));
}

pub async fn workers_are_listed_by_name_each_once(rig: &Rig) {
    for worker in ["b", "a", "c", "a"] {
        beat(rig, Beat { worker: worker.into(), ..beat_with(&[]) }).await;
    }
    assert_eq!(names(rig).await, ["a", "b", "c"]);
}

pub async fn a_worker_that_leaves_is_taken_out(rig: &Rig) {
    beat(rig, beat_with(&[])).await;
    beat(rig, Beat { leaving: true, ..beat_with(&[]) }).await;
    assert_eq!(names(rig).await, [""; 0]);
}

pub async fn a_beat_changes_no_state(rig: &Rig) {
    rig.add("q").await;
    let leased = rig.lease("q").await;
    let before = rig.hash().await;
    beat(rig, beat_with(&[&leased])).await;
    assert_eq!(rig.hash().await, before);
}

pub async fn a_beat_is_told_of_cancelled_jobs(rig: &Rig) {
    rig.add_many("q", 2).await;
    let leased = rig.lease_up_to("q", 2).await;
    let held = [&leased[0], &leased[1]];
    assert_eq!(beat(rig, beat_with(&held)).await, Orders::default());
    let by = context("ann", "wrong address");
    rig.engine().job_verb(&by, leased[1].number.into(), JobVerb::Cancel).await.expect("cancelled");
    let orders = beat(rig, beat_with(&held)).await;
    assert_eq!((orders.cancel.len(), orders.lost), (1, Vec::new()));
    let (number, reason) = &orders.cancel[0];
    assert_eq!(*number, leased[1].number);
    assert!(reason.contains("ann") && reason.contains("wrong address"), "{reason}");
}

pub async fn a_beat_is_told_of_lost_leases(rig: &Rig) {
    rig.add_many("q", 3).await;
    let leased = rig.lease_up_to("q", 3).await;
    rig.settle(&leased[0], Outcome::Release).await;
    rig.engine()
        .job_verb(&context("ann", ""), leased[1].number.into(), JobVerb::Remove { force: true })
        .await
        .expect("removed");
    let orders = beat(rig, beat_with(&[&leased[0], &leased[1], &leased[2]])).await;
    assert_eq!((orders.lost, orders.cancel), (vec![leased[0].number, leased[1].number], Vec::new()));
}

pub async fn a_plain_beat_releases_nothing(rig: &Rig) {
    let number = rig.add("q").await;
    rig.lease("q").await;
    beat(rig, beat_with(&[])).await;
    assert_eq!(rig.state(number).await, JobState::Active);
}

pub async fn a_reconnected_workers_other_leases_are_released(rig: &Rig) {
    rig.add_many("q", 3).await;
    let leased = rig.lease_up_to("q", 3).await;
    let orders = beat(rig, Beat { reconnected: true, ..beat_with(&[&leased[1]]) }).await;
    assert_eq!(orders, Orders::default());
    rig.until("the other leases are released", async || rig.counts("q").await.waiting == 2).await;
    assert_eq!(rig.state(leased[1].number).await, JobState::Active, "the lease it holds goes on");
    let job = rig.job(leased[0].number).await;
    assert_eq!((job.leases[0].outcome, job.summary.attempt, job.stalls), (LeaseOutcome::Released, 0, 0));
    assert_eq!(rig.drain("q").await, [leased[0].number, leased[2].number], "at their old places");
    rig.complete(&leased[1]).await;
}

pub async fn a_worker_that_leaves_may_give_back_what_it_does_not_hold(rig: &Rig) {
    rig.add_many("q", 2).await;
    let leased = rig.lease_up_to("q", 2).await;
    let orders = beat(rig, Beat { reconnected: true, leaving: true, ..beat_with(&[&leased[0]]) }).await;
    assert_eq!(orders, Orders::default());
    rig.until("the other lease is released", async || rig.counts("q").await.waiting == 1).await;
    assert_eq!(rig.state(leased[0].number).await, JobState::Active, "the lease it names goes on");
    assert_eq!(rig.job(leased[1].number).await.leases[0].outcome, LeaseOutcome::Released);
    assert_eq!(names(rig).await, [""; 0]);
}

pub async fn a_reconnected_worker_releases_no_other_workers_leases(rig: &Rig) {
    let number = rig.add("q").await;
    let order = LeaseOrder { worker: "another".into(), ..super::rig::order("q", 1) };
    let theirs = rig.engine().lease_now(order).await.expect("leased");
    beat(rig, Beat { reconnected: true, ..beat_with(&[]) }).await;
    assert_eq!(rig.state(number).await, JobState::Active);
    rig.complete(&theirs[0]).await;
}

pub async fn a_beat_needs_a_workers_name(rig: &Rig) {
    let error = rig.engine().beat(Beat::default()).await.expect_err("nobody beats");
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.starts_with("beat.worker is empty; allowed: "), "{error}");
}

pub async fn a_reconnected_worker_gives_back_any_number_of_leases(rig: &Rig) {
    for _ in 0..2 {
        rig.add_many("q", 6_000).await;
    }
    for _ in 0..12 {
        assert_eq!(rig.lease_up_to("q", 1_000).await.len(), 1_000);
    }
    beat(rig, Beat { reconnected: true, ..beat_with(&[]) }).await;
    rig.until("all are released", async || rig.counts("q").await.waiting == 12_000).await;
}

pub async fn a_beat_has_its_bounds(rig: &Rig) {
    let long = "x".repeat(256);
    let lease = crate::model::LeaseRef { number: crate::model::JobNumber(1), token: crate::model::LeaseToken(1) };
    for (wrong, field) in [
        (Beat { worker: long.clone(), ..beat_with(&[]) }, "beat.worker is xxx"),
        (Beat { host: long.clone(), ..beat_with(&[]) }, "beat.host is xxx"),
        (Beat { version: long.clone(), ..beat_with(&[]) }, "beat.version is xxx"),
        (Beat { queues: vec![long], ..beat_with(&[]) }, "beat.queues is xxx"),
        (Beat { queues: vec!["q".into(); 1_001], ..beat_with(&[]) }, "beat.queues is a list of 1001"),
        (Beat { leases: vec![lease; 10_001], ..beat_with(&[]) }, "beat.leases is a list of 10001"),
        (Beat { state: WorkerState::Gone, ..beat_with(&[]) }, "beat.state is gone"),
        (Beat { uptime_ms: Some(u64::MAX), ..beat_with(&[]) }, "beat.uptime_ms is 18446744073709551615"),
    ] {
        let error = rig.engine().beat(wrong).await.expect_err(field);
        assert_eq!(error.word, Word::BadArg);
        assert!(error.message.starts_with(field) && error.message.contains("; allowed: "), "{error}");
    }
    assert_eq!(names(rig).await, [""; 0], "none of them is a worker");
    let most = Beat { queues: vec!["q".into(); 1_000], leases: vec![lease; 10_000], ..beat_with(&[]) };
    assert_eq!(beat(rig, most).await.lost.len(), 10_000);
}
