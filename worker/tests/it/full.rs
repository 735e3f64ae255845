//! A worker whose engine has no room: what ends work goes on as far as there is room for it, and nothing is said to be away.
//!
//! Leaves it to `outcomes` what is settled, and to `reconnect` what an engine that is away means.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::desk::{Call, Desk, gated};

/// A worker that holds `count` jobs, whose handlers end once for each permit.
async fn holding(count: u32) -> (Arc<Desk>, Arc<Semaphore>) {
    let desk = Desk::new();
    let (worker, gate) = gated(&desk, count);
    for _ in 0..count {
        desk.job("send", |_| {});
    }
    tokio::spawn(worker.run());
    desk.until(|desk| desk.ready() == 0).await;
    (desk, gate)
}

#[tokio::test(start_paused = true)]
async fn settlements_that_find_no_room_together_go_one_by_one() {
    let (desk, gate) = holding(40).await;
    desk.full(Some(3));
    gate.add_permits(40);
    desk.settled(40).await;
    let settled: Vec<_> = desk.outcomes().into_iter().map(|(job, _)| job).collect();
    assert_eq!((settled.len(), settled.iter().collect::<BTreeSet<_>>().len()), (40, 40), "each once");
}

#[tokio::test(start_paused = true)]
async fn an_engine_without_room_for_leases_is_there_all_the_same() {
    let (desk, gate) = holding(3).await;
    desk.full(Some(1));
    gate.add_permits(1);
    desk.settled(1).await;
    // Longer than a lease: free places ask for jobs, and the leases ask for their extension.
    tokio::time::sleep(Duration::from_mins(2)).await;
    gate.add_permits(1);
    desk.settled(2).await;
    let asked = |wanted: fn(&Call) -> bool| desk.calls().iter().filter(|(_, call)| wanted(call)).count();
    let leases = asked(|call| matches!(call, Call::Lease(_)));
    let calls = asked(|call| matches!(call, Call::Execute(_)));
    assert!((20..200).contains(&leases) && (20..200).contains(&calls), "tried with pauses: {leases}, {calls}");
    let whole = desk.beats().iter().filter(|(_, beat)| beat.reconnected).count();
    assert_eq!(whole, 1, "the link never went down: no beat after the first one named everything anew");
    desk.full(None);
    desk.job("send", |_| ());
    gate.add_permits(2);
    desk.settled(4).await;
}
