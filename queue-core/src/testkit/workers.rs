//! Workers as they are shown, and what they are told to do as a whole: quiet, resume, stop.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::context;
use super::rig::{Rig, WORKER, proof};
use crate::engine::EngineExt;
use crate::model::{
    Beat, Context, Error, LeasedJob, Limits, Outcome, Word, WorkerOrder, WorkerPage, WorkerState, WorkerView,
};

fn plain() -> Beat {
    Beat { worker: WORKER.into(), host: "here".into(), pid: 17, uptime_ms: Some(1_000), ..Beat::default() }
}

/// A beat in this state; answers the order that it is told.
async fn beat(rig: &Rig, state: WorkerState) -> Option<WorkerOrder> {
    beat_of(rig, Beat { state, ..plain() }).await
}

async fn beat_of(rig: &Rig, beat: Beat) -> Option<WorkerOrder> {
    rig.engine().beat(beat).await.expect("a beat is answered").order
}

async fn order(rig: &Rig, order: WorkerOrder) -> Result<WorkerView, Error> {
    rig.engine().order_worker(&context("ann", "deploy"), WORKER.into(), order).await
}

async fn shown(rig: &Rig) -> WorkerView {
    rig.engine().worker(WORKER.into()).await.expect("it is there")
}

fn holding(leased: &[LeasedJob]) -> Beat {
    Beat { leases: leased.iter().map(proof).collect(), ..plain() }
}

pub async fn an_order_is_told_with_every_beat_until_one_says_that_it_was_obeyed(rig: &Rig) {
    assert_eq!(beat(rig, WorkerState::Running).await, None);
    let view = order(rig, WorkerOrder::Quiet).await.expect("it beats");
    let given = view.order.expect("the order is shown");
    assert_eq!((given.order, &*given.actor, &*given.reason), (WorkerOrder::Quiet, "ann", "deploy"));
    assert_eq!((given.obeyed, view.state), (false, WorkerState::Running));
    for _ in 0..3 {
        assert_eq!(beat(rig, WorkerState::Running).await, Some(WorkerOrder::Quiet), "an answer may have been lost");
    }
    assert_eq!(beat(rig, WorkerState::Quiet).await, None);
    let view = shown(rig).await;
    assert_eq!((view.state, view.order.map(|given| given.obeyed)), (WorkerState::Quiet, Some(true)));
    order(rig, WorkerOrder::Resume).await.expect("it beats");
    assert_eq!(beat(rig, WorkerState::Quiet).await, Some(WorkerOrder::Resume));
    assert_eq!(beat(rig, WorkerState::Running).await, None);
    assert_eq!((shown(rig).await.state, shown(rig).await.order), (WorkerState::Running, None), "nothing is left of it");
}

pub async fn a_later_order_takes_the_place_of_one_that_was_not_obeyed(rig: &Rig) {
    beat(rig, WorkerState::Running).await;
    order(rig, WorkerOrder::Quiet).await.expect("it beats");
    // It may have been told already, so the contrary is an order, too.
    order(rig, WorkerOrder::Resume).await.expect("it beats");
    assert_eq!(beat(rig, WorkerState::Quiet).await, Some(WorkerOrder::Resume));
    order(rig, WorkerOrder::Stop).await.expect("it beats");
    assert_eq!(beat(rig, WorkerState::Running).await, Some(WorkerOrder::Stop));
    assert_eq!(beat(rig, WorkerState::Stopping).await, None);
    assert_eq!(shown(rig).await.state, WorkerState::Stopping);
}

pub async fn what_a_worker_does_already_is_no_order(rig: &Rig) {
    beat(rig, WorkerState::Running).await;
    assert_eq!(order(rig, WorkerOrder::Resume).await.expect("it beats").order, None);
    let first = order(rig, WorkerOrder::Quiet).await.expect("it beats").order;
    let again = rig.engine().order_worker(&context("bob", ""), WORKER.into(), WorkerOrder::Quiet).await;
    assert_eq!(again.expect("it beats").order, first, "the first of two stays");
}

pub async fn a_worker_that_stops_takes_no_other_order(rig: &Rig) {
    beat(rig, WorkerState::Running).await;
    order(rig, WorkerOrder::Stop).await.expect("it beats");
    for state in [WorkerState::Running, WorkerState::Stopping] {
        beat(rig, state).await;
        for other in [WorkerOrder::Quiet, WorkerOrder::Resume] {
            let error = order(rig, other).await.expect_err("it stops");
            assert_eq!(error.word, Word::State);
            assert!(error.message.starts_with("worker suite is stopping"), "{error}");
        }
        order(rig, WorkerOrder::Stop).await.expect("that it does");
    }
}

pub async fn one_that_stops_by_itself_is_told_nothing_more(rig: &Rig) {
    beat(rig, WorkerState::Running).await;
    order(rig, WorkerOrder::Quiet).await.expect("it beats");
    assert_eq!(beat(rig, WorkerState::Stopping).await, None);
    assert_eq!(shown(rig).await.order, None);
}

pub async fn a_process_that_takes_the_name_has_no_orders(rig: &Rig) {
    for next in [Beat { pid: 18, ..plain() }, Beat { host: "there".into(), ..plain() }] {
        beat(rig, WorkerState::Running).await;
        order(rig, WorkerOrder::Quiet).await.expect("it beats");
        assert_eq!(beat_of(rig, next).await, None, "it was the other's");
        beat_of(rig, Beat { leaving: true, ..plain() }).await;
    }
    beat(rig, WorkerState::Running).await;
    order(rig, WorkerOrder::Stop).await.expect("it beats");
    assert_eq!(beat_of(rig, Beat { uptime_ms: Some(10), ..plain() }).await, None, "a container's process is always 1");
}

pub async fn a_worker_that_is_not_there_is_refused_by_name(rig: &Rig) {
    let refused = [order(rig, WorkerOrder::Stop).await, rig.engine().worker(WORKER.into()).await];
    for error in refused.map(|refused| refused.expect_err("nobody beat")) {
        assert_eq!((error.word, error.word.exit_code()), (Word::NoWorker, 3));
        assert!(error.message.starts_with("no worker suite: "), "{error}");
    }
    let engine = rig.engine();
    engine.beat(plain()).await.expect("answered");
    let long = Context { reason: "x".repeat(Limits::REASON_BYTES + 1), ..Context::default() };
    let error = engine.order_worker(&long, WORKER.into(), WorkerOrder::Stop).await.expect_err("too long");
    assert!(error.word == Word::BadArg && error.message.starts_with("reason is 1001 bytes"), "{error}");
    assert_eq!(beat(rig, WorkerState::Running).await, None, "a refused order is none");
}

pub async fn a_worker_is_shown_with_the_jobs_it_runs(rig: &Rig) {
    rig.add_many("q", 12).await;
    let leased = rig.lease_up_to("q", 12).await;
    let mut named = holding(&leased);
    named.leases.reverse();
    beat_of(rig, named).await;
    let (view, listed) = (shown(rig).await, rig.engine().all_workers().await.expect("listed").remove(0));
    assert_eq!((view.leases, view.jobs.len(), listed.leases), (12, 12, 12));
    assert_eq!(listed.jobs, view.jobs[..Limits::LISTED_WORKER_JOBS], "the oldest of them");
    for (job, leased) in view.jobs.iter().zip(&leased) {
        assert_eq!((job.number, &job.queue, &job.name), (leased.number, &leased.queue, &leased.name));
        assert_eq!(job.expires_at_ms, Some(job.leased_at_ms + leased.lease_ms));
    }
    rig.complete(&leased[0]).await;
    rig.settle(&leased[1], Outcome::Release).await;
    let jobs = shown(rig).await.jobs;
    assert_eq!((jobs.len(), jobs[0].number), (10, leased[2].number), "what it settled since it runs no more");
}

pub async fn workers_are_listed_page_by_page(rig: &Rig) {
    let engine = rig.engine();
    for worker in 0..250 {
        engine.beat(Beat { worker: format!("w{worker:03}"), ..plain() }).await.expect("answered");
    }
    let mut names = Vec::new();
    let mut page = engine.workers(None, 100).await.expect("a page");
    loop {
        assert!(page.workers.len() <= 100);
        names.extend(page.workers.into_iter().map(|view| view.worker));
        let Some(cursor) = page.cursor else { break };
        page = engine.workers(Some(cursor), 100).await.expect("a page");
    }
    assert_eq!(names, (0..250).map(|worker| format!("w{worker:03}")).collect::<Vec<_>>());
    assert_eq!(engine.workers(Some("x".into()), 1).await, Ok(WorkerPage::default()), "behind the last");
    for (cursor, limit, field) in
        [(None, 0, "count is 0"), (None, 1_001, "count is 1001"), (Some(""), 1, "cursor is empty")]
    {
        // A limit out of range is refused by our own client, or by the server under the word that it is sent as.
        let error = engine.workers(cursor.map(str::to_owned), limit).await.expect_err(field);
        assert!(error.word == Word::BadArg && error.message.to_lowercase().starts_with(field), "{error}");
    }
}

pub async fn a_page_of_workers_with_many_queues_is_short_and_goes_on(rig: &Rig) {
    let queues: Vec<String> = (0..Limits::LEASE_QUEUES).map(|queue| format!("q{queue}")).collect();
    for worker in 0..8 {
        let beat = Beat { worker: format!("w{worker}"), queues: queues.clone(), ..plain() };
        rig.engine().beat(beat).await.expect("answered");
    }
    let page = rig.engine().workers(None, 1_000).await.expect("a page");
    assert!((1..8).contains(&page.workers.len()) && page.cursor.is_some(), "{}", page.workers.len());
    assert_eq!(rig.engine().all_workers().await.expect("listed").len(), 8);
}
