//! Leases that are on their way while the link to the engine breaks, while handlers change, and at the end: a beat has
//! the engine take back what it does not name, so none that arrives here may be among that.

use std::time::Duration;

use queue_core::model::{JobNumber, Outcome, Word};
use worker::Shutdown;

use crate::desk::{Call, Desk, gated};

async fn holds(desk: &Desk, jobs: usize) {
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| beat.leases.len() == jobs)).await;
}

/// The jobs that each beat names that has the engine take back all others.
fn named(desk: &Desk) -> Vec<Vec<JobNumber>> {
    let of = |beat: queue_core::model::Beat| beat.leases.iter().map(|lease| lease.number).collect();
    desk.beats().into_iter().filter(|(_, beat)| beat.reconnected).map(|(_, beat)| of(beat)).collect()
}

fn settling(desk: &Desk) -> usize {
    desk.calls().iter().filter(|(_, call)| matches!(call, Call::Execute(_))).count()
}

#[tokio::test(start_paused = true)]
async fn no_lease_is_given_back_that_a_settlement_still_brings() {
    let desk = Desk::new();
    let (worker, gate) = gated(&desk, 2);
    desk.job("send", |_| {});
    let worker = tokio::spawn(worker.run());
    holds(&desk, 1).await;
    desk.shut();
    gate.add_permits(1);
    desk.until(|desk| settling(desk) == 1).await;
    // The connection of the waiting lease breaks; the settlement is still under way, and will bring a job.
    desk.fail_with(Some(Word::Unreachable));
    tokio::task::yield_now().await;
    desk.fail_with(None);
    let brought = desk.job("send", |_| {});
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(named(&desk).len(), 1, "only the first beat of all");
    desk.open();
    desk.until(|desk| named(desk).len() == 2).await;
    assert_eq!(named(&desk)[1], [brought]);
    gate.add_permits(1);
    desk.settled(2).await;
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_beat_from_before_the_break_does_not_count_as_the_one_after_it() {
    let desk = Desk::new();
    let (worker, gate) = gated(&desk, 1);
    desk.job("send", |_| {});
    let worker = tokio::spawn(worker.run());
    holds(&desk, 1).await;
    desk.shut_beats();
    let beats = desk.beats().len();
    desk.until(|desk| desk.beats().len() > beats).await;
    assert!(!desk.beats()[beats].1.reconnected);
    // A settlement that was to bring a job gets lost, and perhaps the job with it.
    desk.fail_with(Some(Word::Unknown));
    gate.add_permits(1);
    desk.until(|desk| settling(desk) == 1).await;
    desk.fail_with(None);
    desk.open_beats();
    desk.until(|desk| desk.beats().len() > beats + 1).await;
    assert!(desk.beats()[beats + 1].1.reconnected, "what was lost is given back");
    desk.settled(1).await;
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_is_given_back_at_the_end() {
    let (desk, shutdown) = (Desk::new(), Shutdown::new());
    let (worker, _) = gated(&desk, 1);
    let worker = tokio::spawn(worker.shutdown(shutdown.clone()).run());
    desk.until(|desk| !desk.beats().is_empty()).await;
    shutdown.request();
    worker.await.expect("no panic").expect("a clean end");
    let (_, last) = desk.beats().pop().expect("a last beat");
    assert!(last.leaving && last.reconnected && last.leases.is_empty(), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_is_given_back_when_handlers_change() {
    let desk = Desk::new();
    let (worker, gate) = gated(&desk, 2);
    let worker = worker.build().expect("a sound worker");
    let handle = worker.handle();
    let held = desk.job("send", |_| {});
    let worker = tokio::spawn(worker.run());
    holds(&desk, 1).await;
    let before = desk.calls().len();
    handle.reload(worker::Handlers::new());
    desk.until(|desk| matches!(desk.calls().last(), Some((_, Call::Lease(_))) if desk.calls().len() > before)).await;
    assert!(
        matches!(&desk.calls()[before].1, Call::Beat(beat) if beat.reconnected),
        "a beat comes before the next lease"
    );
    assert_eq!(named(&desk)[1], [held]);
    gate.add_permits(1);
    desk.settled(1).await;
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_comes_with_the_last_settlement_still_runs() {
    let (desk, shutdown) = (Desk::new(), Shutdown::new());
    let (worker, gate) = gated(&desk, 1);
    desk.job("send", |_| {});
    let worker = tokio::spawn(worker.shutdown(shutdown.clone()).run());
    holds(&desk, 1).await;
    desk.shut();
    gate.add_permits(1);
    desk.until(|desk| settling(desk) == 1).await;
    let last = desk.job("send", |_| {});
    shutdown.request();
    desk.open();
    gate.add_permits(1);
    worker.await.expect("no panic").expect("a clean end");
    assert_eq!(desk.outcomes()[1], (last, Outcome::Complete { result: None }));
}
