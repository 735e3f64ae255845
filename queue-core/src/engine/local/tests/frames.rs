//! Frames that are full, segments that end, and who waits for them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Fills the open frame so far that it has to be committed before another command.
fn fill_frame(store: &mut Store<Faulty>) {
    let jobs: Vec<_> = (0..9).map(|_| NewJob::new("n", vec![b'1'; 1 << 20])).collect();
    let command = Command::Enqueue { queue: "filled".to_owned(), jobs };
    apply_here(store, &command);
    assert!(store.must_commit());
}

#[tokio::test]
async fn every_call_that_appends_waits_for_a_frame_with_room() {
    let storage = Faulty::new(SimDisk::new());
    // Time stands still: on a busy machine a seal would be a write, too.
    let options = LocalOptions { clock: Arc::new(ManualClock::new(1_000_000)), ..LocalOptions::default() };
    let engine = LocalEngine::on(storage.clone(), options).expect("a good directory").0;
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    let writes = || storage.plan().writes();
    let job = {
        fill_frame(&mut engine.shared.lock());
        let before = writes();
        let request = LeaseRequest { order: order("q"), wait_ms: 0 };
        let job = engine.lease(&Context::default(), request).await.expect("open").pop().expect("one job");
        assert_eq!(writes() - before, 2, "the full frame, then that of the lease");
        job
    };
    fill_frame(&mut engine.shared.lock());
    let before = writes();
    let beat = crate::model::Beat { worker: "w".to_owned(), reconnected: true, ..crate::model::Beat::default() };
    engine.beat(beat).await.expect("open");
    assert!(writes() > before, "the full frame, before the release");
    let request = LeaseRequest { order: order("q"), wait_ms: 10_000 };
    let again = engine.lease(&Context::default(), request).await.expect("open").pop().expect("given back");
    assert_eq!(again.number, job.number);
}

#[tokio::test]
async fn a_lease_dropped_while_the_frame_is_full_is_given_back_once_it_has_room() {
    let storage = Faulty::new(SimDisk::new());
    let engine = open(&storage);
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    let request = LeaseRequest { order: order("q"), wait_ms: 0 };
    let mut call = Box::pin(async { engine.lease(&Context::default(), request).await });
    still_waits(&mut call).await;
    fill_frame(&mut engine.shared.lock());
    let end = engine.shared.lock().end();
    drop(call);
    assert_eq!(engine.shared.lock().end(), end, "nothing is added to a full frame");
    let request = LeaseRequest { order: order("q"), wait_ms: 10_000 };
    let job = engine.lease(&Context::default(), request).await.expect("open").pop().expect("the job came back");
    assert_eq!(job.attempt, 1);
}

#[tokio::test]
async fn a_rotation_that_syncs_much_holds_nobody_up() {
    let storage = Faulty::new(SimDisk::new());
    let options = LocalOptions { fsync: FsyncPolicy::No, segment_bytes: 64 << 10, ..LocalOptions::default() };
    let engine = LocalEngine::on(storage.clone(), options).expect("a good directory").0;
    engine.enqueue("q", vec![NewJob::new("n", vec![b'1'; 40 << 10])]).await.expect("room");
    // The next segment is being prepared.
    while engine.shared.lock().files.tail.journal().expect("open").is_busy() {
        tokio::task::yield_now().await;
    }
    let mut call = waiting_enqueue(&engine, NewJob::new("n", vec![b'1'; 40 << 10])).await;
    let before = storage.plan().syncs();
    storage.plan().hold_syncs(true);
    // Its second look begins the commit; the segment that it leaves is synced elsewhere.
    still_waits(&mut call).await;
    while storage.plan().syncs() == before {
        tokio::task::yield_now().await;
    }
    // This thread goes on while the sync runs, and nobody is answered before it ends.
    still_waits(&mut call).await;
    storage.plan().hold_syncs(false);
    call.await.expect("in the end it is stored");
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_named_and_nothing_is_changed() {
    let disk = SimDisk::new();
    LocalEngine::on(disk.clone(), LocalOptions::default()).expect("a new store").0.close().await.expect("closed");
    let options = crate::journal::Options::default();
    let (mut journal, _) = Journal::open(disk.clone(), options, &mut |_| Ok(())).expect("it opens");
    let event = Event::Completed { number: crate::model::JobNumber(77), late: false, result: None };
    let position = journal.append(kind_of(&event), false, 1 << 40, |body| encode(&event, body));
    journal.close(1).expect("closed");
    let files = disk.files();
    let Err(error) = LocalEngine::on(disk.clone(), LocalOptions::default()) else { panic!("no such job") };
    assert_eq!(error.word, Word::State);
    let named = format!("the record at position {position} (kind {}) cannot be applied", kind_of(&event));
    assert!(error.message.starts_with(&named), "{error}");
    assert_eq!(disk.files(), files);
}

#[tokio::test]
async fn a_large_batch_gets_its_segment_beside_many_small_producers() {
    let options = LocalOptions { segment_bytes: 64 << 10, ..LocalOptions::default() };
    let engine = LocalEngine::on(SimDisk::new(), options).expect("a good directory").0;
    let stop = Arc::new(AtomicBool::new(false));
    let mut producers = tokio::task::JoinSet::new();
    for pause in 0..100 {
        let (engine, stop) = (engine.clone(), Arc::clone(&stop));
        producers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                engine.enqueue("small", vec![NewJob::new("n", "1")]).await.expect("room");
                // Out of step with each other, so that there is always something in the frame.
                for _ in 0..pause % 7 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let enqueued = async || engine.queue("small").await.map_or(0, |queue| queue.counts.enqueued);
    while enqueued().await < 1_000 {
        tokio::task::yield_now().await;
    }
    let before = enqueued().await;
    engine.enqueue("large", vec![NewJob::new("n", vec![b'1'; 100 << 10]); 40]).await.expect("room");
    let meanwhile = enqueued().await - before;
    stop.store(true, Ordering::Relaxed);
    producers.join_all().await;
    assert!(meanwhile < 100 * 50, "{meanwhile} small ones were let in before it");
}

#[tokio::test]
async fn who_waits_for_room_while_the_engine_closes_lets_it_close() {
    let options = LocalOptions { segment_bytes: 64 << 10, ..LocalOptions::default() };
    let engine = LocalEngine::on(SimDisk::new(), options).expect("a good directory").0;
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    // What a close waits for.
    let backup = loop {
        if let Some(backup) = engine.shared.lock().files.tail.journal().expect("open").begin_backup() {
            break backup;
        }
        tokio::task::yield_now().await;
    };
    let closing = tokio::spawn({
        let engine = engine.clone();
        async move { engine.close().await }
    });
    while !engine.shared.lock().files.tail.journal().expect("open").is_closing() {
        tokio::task::yield_now().await;
    }
    let large = tokio::spawn({
        let engine = engine.clone();
        async move { engine.enqueue("q", vec![NewJob::new("n", vec![b'1'; 1 << 20])]).await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    drop(backup);
    engine.shared.lock().files.tail.journal().expect("open").finish_backup();
    engine.shared.moved.notify_waiters();
    closing.await.expect("no panic").expect("it closes");
    assert_eq!(large.await.expect("no panic").expect_err("there is no room any more").word, Word::Unreachable);
}
