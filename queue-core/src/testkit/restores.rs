//! What backups hold, made while an engine runs and opened elsewhere: group `durable`.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use super::backups::back_up;
use super::rig::{Rig, order, proof};
use crate::engine::EngineExt;
use crate::model::{JobFilter, JobState, Limits, NewJob, Outcome, Word};

pub async fn clause_16_a_backup_under_load_has_what_was_acknowledged_and_a_whole_beginning_of_the_rest(rig: &Rig) {
    const BATCH: u64 = 3;
    // Batches that go in beside each backup: without an end a slow machine's store would grow faster than it is backed up.
    const BATCHES: usize = 200;
    let (engine, allowed) = (rig.engine(), Arc::new(Semaphore::new(0)));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (told, permits) = (Arc::clone(&acknowledged), Arc::clone(&allowed));
    let load = tokio::spawn(async move {
        while let Ok(permit) = permits.acquire().await {
            permit.forget();
            // Large enough to fill segments, where those are small: snapshots are made meanwhile.
            let job = || NewJob::new("work", vec![b'x'; 4 << 10]);
            engine.enqueue("q", vec![job(), job(), job()]).await.expect("the enqueue is taken");
            told.fetch_add(BATCH, Ordering::SeqCst);
        }
    });
    let mut backups = Vec::new();
    for round in 0..3 {
        allowed.add_permits(BATCHES);
        let more = acknowledged.load(Ordering::SeqCst) + 10 * BATCH;
        rig.until("jobs go in", async || acknowledged.load(Ordering::SeqCst) >= more).await;
        let before = acknowledged.load(Ordering::SeqCst);
        let name = format!("under-load-{round}");
        back_up(rig, &name).await.expect("a backup is made");
        // One batch may be on its way.
        backups.push((name, before, acknowledged.load(Ordering::SeqCst) + BATCH));
    }
    allowed.close();
    load.await.expect("the load ends well");
    for (name, at_least, at_most) in backups {
        let opened = rig.home().open_backup(&name).await;
        let counts = opened.queue("q").await.expect("the queue is there").counts;
        assert!(counts.balanced(), "{counts:?}");
        assert!((at_least..=at_most).contains(&counts.waiting), "{name}: {at_least} {} {at_most}", counts.waiting);
        assert_eq!(counts.waiting % BATCH, 0, "a batch is there whole or not at all");
        let page = opened.jobs(JobFilter { queue: Some("q".into()), ..JobFilter::default() }, None, Limits::PAGE_ROWS);
        let jobs = page.await.expect("they are listed").jobs;
        assert!(jobs.iter().zip(1..).all(|(job, number)| job.number.0 == number), "the first, without a gap");
        opened.close().await.expect("it closes");
    }
}

pub async fn clause_16_what_starts_from_a_backup_has_no_lease_and_returns_no_token(rig: &Rig) {
    rig.add_many("q", 10).await;
    let mut before = rig.lease_up_to("q", 3).await;
    rig.complete(&before.remove(0)).await;
    back_up(rig, "leases").await.expect("a backup is made");
    let since = rig.lease_up_to("q", 3).await;
    let opened = rig.home().open_backup("leases").await;
    let counts = opened.queue("q").await.expect("the queue is there").counts;
    assert_eq!((counts.waiting, counts.active, counts.completed), (9, 0, 1), "all leases have ended");
    let job = opened.job(before[0].number.into()).await.expect("it is there");
    assert_eq!((job.summary.state, job.summary.attempt, job.stalls), (JobState::Waiting, 0, 0), "uncounted");
    for lease in before.iter().chain(&since) {
        let settled = opened.settle(proof(lease), Outcome::Complete { result: None }).await;
        assert_eq!(settled.map_err(|error| error.word), Err(Word::Stale));
    }
    let again = opened.lease_now(order("q", 10)).await.expect("the lease is answered");
    assert_eq!(again.len(), 9);
    let newest = since.iter().map(|lease| lease.token).max().expect("three leases");
    assert!(again.iter().all(|lease| lease.token > newest), "tokens never return");
    opened.close().await.expect("it closes");
    for lease in before.iter().chain(&since) {
        rig.complete(lease).await;
    }
}
