//! The disk that a log engine takes is bounded by what is alive, however long the same jobs go round.
//!
//! Jobs are leased and given back or put off for ever; each round writes, and nothing of it stays alive. The log and the
//! snapshots must stay within three times what is alive, and some segments, once a snapshot has been made; the rule by which
//! snapshots are made is the default one, scaled down. The reserve and the segment made ahead have a size of their own.

use std::sync::Arc;
use std::time::Duration;

use queue_core::engine::{Clock, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::sim::SimDisk;
use queue_core::model::{Context, JobOptions, LeaseOrder, LeaseRef, NewJob, Outcome, QueueSettings, SettingsPatch};

const SEGMENT_BYTES: u64 = 64 << 10;
const COMPACT_AFTER: u64 = 128 << 10;
const JOBS: usize = 300;
const PAYLOAD_BYTES: usize = 2_000;
/// The log that a run writes, in multiples of what is alive.
const ROUNDS: usize = 60;

/// Bytes of snapshots and of log, and of the newest snapshot alone; `None` while one is being made or replaced.
fn use_of(disk: &SimDisk) -> Option<(u64, u64)> {
    let files = disk.files();
    let snapshots: Vec<u64> =
        files.iter().filter(|(name, _)| name.starts_with("snapshot-")).map(|(_, bytes)| bytes.len() as u64).collect();
    let is_made = files.keys().any(|name| name.starts_with("snapshot-") && name.ends_with(".new"));
    if is_made || snapshots.len() > 2 {
        return None;
    }
    let used = files.iter().filter(|(name, bytes)| name.ends_with(".segment") && bytes.starts_with(b"LSHSEGMT"));
    let log: u64 = used.map(|(_, bytes)| bytes.len() as u64).sum();
    Some((log + snapshots.iter().sum::<u64>(), snapshots.last().copied().unwrap_or(0)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_jobs_going_round_for_ever_keep_the_disk_within_three_times_what_is_alive() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(1_795_000_000_000)));
    let options = LocalOptions {
        segment_bytes: SEGMENT_BYTES,
        compact_after: COMPACT_AFTER,
        history: 0,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        ..LocalOptions::default()
    };
    let engine = LocalEngine::on(disk.clone(), options).expect("a new store").0;
    let set = QueueSettings { lease_ms: Some(60_000), ..QueueSettings::default() };
    engine.set_queue(&Context::default(), "q", SettingsPatch { set, reset: Vec::new() }).await.expect("set");
    let options = Arc::new(JobOptions { delay_ms: Some(1), ..JobOptions::default() });
    let job = NewJob { options, ..NewJob::new("n", vec![b'x'; PAYLOAD_BYTES]) };
    for _ in 0..JOBS / 100 {
        engine.enqueue("q", vec![job.clone(); 100]).await.expect("room");
    }
    let order = LeaseOrder { queues: vec!["q".into()], limit: 1_000, worker: "w".into(), lease_ms: None };
    let (mut written, mut measured, mut largest) = (0, 0, 0.0_f64);
    for round in 0..ROUNDS {
        clock.advance(10);
        let mut given_back = 0;
        while given_back < JOBS {
            for job in engine.lease_now(order.clone()).await.expect("leased") {
                let outcome = if round % 2 == 0 { Outcome::Release } else { Outcome::Snooze { delay_ms: Some(1) } };
                let lease = LeaseRef { number: job.number, token: job.token };
                engine.settle(lease, outcome).await.expect("held");
                given_back += 1;
            }
            // What is delayed comes due by the engine's own task.
            clock.advance(5);
            tokio::task::yield_now().await;
        }
        written += given_back;
        // Rounds are quicker than snapshots: what counts is the state that these come to.
        for _ in 0..500 {
            let journal = engine.stats().await.expect("open").journal.expect("a log");
            let wanted = COMPACT_AFTER.max(journal.snapshot_bytes / 2) + SEGMENT_BYTES;
            let Some((used, live)) = use_of(&disk).filter(|(_, live)| *live == journal.snapshot_bytes) else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            if journal.behind_snapshot_bytes > wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            // The first snapshot was made while the jobs were still coming.
            if live > (JOBS * PAYLOAD_BYTES) as u64 {
                measured += 1;
                let beside = 4 * SEGMENT_BYTES + COMPACT_AFTER;
                assert!(used <= 3 * live + beside, "round {round}: {used} bytes for {live} alive");
                largest = largest.max(used as f64 / live as f64);
            }
            break;
        }
    }
    println!("{written} jobs given back, measured {measured} times, at most {largest:.2} times what is alive");
    assert!(measured > ROUNDS / 2, "snapshots were made only at the end");
}
