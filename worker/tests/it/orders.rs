//! What the engine orders the worker as a whole: to go quiet, to resume, to stop.

use std::sync::Arc;
use std::time::Duration;

use queue_core::Queue;
use queue_core::engine::Engine;
use queue_core::model::{Context, JobState, Orders, Outcome, Word, WorkerOrder, WorkerState};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use worker::{HandlerError, Shutdown, Stop, Worker};

use crate::desk::{Call, Desk, gated};

fn told(order: WorkerOrder) -> Orders {
    Orders { order: Some(order), ..Orders::default() }
}

fn last_state(desk: &Desk) -> Option<WorkerState> {
    desk.beats().last().map(|(_, beat)| beat.state)
}

fn lease_calls(desk: &Desk) -> usize {
    desk.calls().iter().filter(|(_, call)| matches!(call, Call::Lease(_))).count()
}

async fn in_state(desk: &Desk, state: WorkerState) {
    desk.until(|desk| last_state(desk) == Some(state)).await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_worker_finishes_what_runs_and_leases_nothing_until_it_is_resumed() {
    let desk = Desk::new();
    let (worker, gate) = gated(&desk, 2);
    desk.job("send", |_| {});
    let worker = tokio::spawn(worker.run());
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| !beat.leases.is_empty())).await;
    desk.order(told(WorkerOrder::Quiet));
    in_state(&desk, WorkerState::Quiet).await;
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| beat.leases.len() == 1)).await;
    let calls = lease_calls(&desk);
    desk.job("send", |_| {});
    gate.add_permits(2);
    assert_eq!(desk.settled(1).await, Outcome::Complete { result: None }, "what ran goes on");
    let beats = desk.beats().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(desk.beats().len() >= beats + 10, "it goes on beating");
    assert_eq!((desk.ready(), lease_calls(&desk), desk.outcomes().len()), (1, calls, 1), "nothing new is leased");
    desk.order(told(WorkerOrder::Resume));
    desk.settled(2).await;
    assert_eq!(last_state(&desk), Some(WorkerState::Running));
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_obeys_with_its_next_beat_and_tells_at_once() {
    let desk = Desk::new();
    let (worker, _gate) = gated(&desk, 2);
    let worker = tokio::spawn(worker.run());
    desk.until(|desk| lease_calls(desk) == 1).await;
    let asked_at = Instant::now();
    desk.order(told(WorkerOrder::Quiet));
    in_state(&desk, WorkerState::Quiet).await;
    assert!(asked_at.elapsed() <= Duration::from_millis(5_100), "{:?}", asked_at.elapsed());
    let (_, beat) = desk.beats().pop().expect("beats");
    assert!(beat.reconnected, "what was on its way to the call that was given up is taken back");
    assert!(beat.uptime_ms.is_some_and(|ms| ms >= 4_000) && beat.rss_bytes.is_some(), "{beat:?}");
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_however_often_a_worker_stops_as_on_the_first_signal() {
    let (desk, shutdown) = (Desk::new(), Shutdown::new());
    let worker = desk.worker().grace(Duration::from_secs(60)).shutdown(shutdown.clone());
    let worker = worker.handler("send", async |(): (), context: worker::Context| {
        assert_eq!(context.cancelled().await, Stop::Stopping);
        Err::<(), _>(HandlerError::failed("interrupted"))
    });
    desk.job("send", |_| {});
    let worker = tokio::spawn(worker.run());
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| !beat.leases.is_empty())).await;
    let asked_at = Instant::now();
    for _ in 0..3 {
        let beats = desk.beats().len();
        desk.order(told(WorkerOrder::Stop));
        desk.until(|desk| desk.beats().len() > beats).await;
    }
    in_state(&desk, WorkerState::Stopping).await;
    desk.order(told(WorkerOrder::Resume));
    worker.await.expect("no panic").expect("a clean end");
    assert_eq!(asked_at.elapsed().as_secs(), 60, "the grace time, and neither less nor more");
    assert_eq!(desk.outcomes().into_iter().map(|(_, outcome)| outcome).collect::<Vec<_>>(), [Outcome::Release]);
    assert!(desk.beats().last().expect("beats").1.leaving);
    assert!(!shutdown.is_requested(), "another worker under the same switch goes on");
}

#[tokio::test(start_paused = true)]
async fn a_worker_told_to_stop_can_still_be_stopped_at_once() {
    let (desk, shutdown) = (Desk::new(), Shutdown::new());
    let (worker, _gate) = gated(&desk, 1);
    desk.job("send", |_| {});
    let worker = tokio::spawn(worker.shutdown(shutdown.clone()).run());
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| !beat.leases.is_empty())).await;
    desk.order(told(WorkerOrder::Stop));
    in_state(&desk, WorkerState::Stopping).await;
    let asked_at = Instant::now();
    shutdown.stop_now();
    worker.await.expect("no panic").expect("a clean end");
    assert_eq!((asked_at.elapsed().as_secs(), desk.settled(1).await), (0, Outcome::Release));
}

#[tokio::test(start_paused = true)]
async fn a_reload_leaves_a_quiet_worker_quiet() {
    let desk = Desk::new();
    let worker = desk.worker().handler("send", async |(): (), _: worker::Context| Ok(())).build().expect("right");
    let handle = worker.handle();
    let worker = tokio::spawn(worker.run());
    handle.quiet();
    in_state(&desk, WorkerState::Quiet).await;
    let handlers = worker::Handlers::new().with("send", async |(): (), _: worker::Context| Ok(()));
    handle.reload_all(vec![("q".to_owned(), 1)], handlers).expect("right");
    desk.job("send", |_| {});
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((handle.state(), desk.ready()), (WorkerState::Quiet, 1));
    handle.resume();
    desk.settled(1).await;
    worker.abort();
}

/// Waits until the engine shows the worker `w` in this state, the order obeyed.
async fn obeyed(engine: &Arc<dyn Engine>, state: WorkerState) {
    let waiting = async {
        while !engine.worker("w".into()).await.is_ok_and(|view| view.state == state) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it obeys");
}

#[tokio::test]
async fn orders_go_the_whole_way_over_a_real_engine() {
    let engine = queue_core::connect("memory:").await.expect("memory is always there");
    let (queue, gate) = (Queue::new(&engine, "q"), Arc::new(Semaphore::new(0)));
    let worker = Worker::builder(&engine).queue("q", 1).name("w").concurrency(2).handler("send", {
        let gate = Arc::clone(&gate);
        move |(): (), _: worker::Context| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                Ok(())
            }
        }
    });
    let first = queue.add("send", &()).await.expect("added");
    let worker = tokio::spawn(worker.run());
    obeyed(&engine, WorkerState::Running).await;
    let order = async |order| engine.order_worker(&Context::default(), "w".into(), order).await;
    order(WorkerOrder::Quiet).await.expect("it beats");
    obeyed(&engine, WorkerState::Quiet).await;
    let second = queue.add("send", &()).await.expect("added");
    gate.add_permits(2);
    let wait = Duration::from_secs(20);
    assert_eq!(first.wait(wait).await.expect("done").summary.state, JobState::Completed);
    assert_eq!(second.show().await.expect("kept").summary.state, JobState::Waiting);
    order(WorkerOrder::Resume).await.expect("it beats");
    assert_eq!(second.wait(wait).await.expect("done").summary.state, JobState::Completed);
    order(WorkerOrder::Stop).await.expect("it beats");
    tokio::time::timeout(wait, worker).await.expect("it stops").expect("no panic").expect("a clean end");
    assert_eq!(engine.worker("w".into()).await.expect_err("it took its leave").word, Word::NoWorker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_heard_of_a_worker_behind_its_last_beat() {
    for round in 0..300 {
        let desk = Desk::new();
        let (worker, _gate) = gated(&desk, 2);
        let shutdown = Shutdown::new();
        let worker = tokio::spawn(worker.shutdown(shutdown.clone()).run());
        desk.until(|desk| lease_calls(desk) == 1).await;
        shutdown.request();
        worker.await.expect("no panic").expect("stopped");
        let beats: Vec<_> = desk.beats().into_iter().map(|(_, beat)| (beat.state, beat.leaving)).collect();
        assert!(matches!(beats.last(), Some((WorkerState::Stopping, true))), "round {round}: {beats:?}");
    }
}
