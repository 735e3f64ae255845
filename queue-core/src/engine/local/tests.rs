//! What the conformance suite cannot see from outside: shared syncs, dropped calls, failed writes.

mod frames;

use std::sync::Arc;
use std::time::Duration;

use super::{LocalEngine, LocalOptions, Store};
use crate::engine::{Engine, EngineExt, ManualClock};
use crate::journal::faults::FaultyStorage;
use crate::journal::sim::SimDisk;
use crate::journal::{FsyncPolicy, Journal, Storage};
use crate::machine::{Chance, Event, encode, kind_of};
use crate::model::{
    Added, BulkVerb, Command, Context, Error, JobFilter, JobOptions, JobState, LeaseOrder, LeaseOutcome, LeaseRef,
    LeaseRequest, LeasedJob, NewJob, Outcome, QueueSettings, SettingsPatch, Word,
};

fn order(queue: &str) -> LeaseOrder {
    LeaseOrder { queues: vec![queue.to_owned()], limit: 1, worker: "w".to_owned(), lease_ms: None }
}

fn held(job: &LeasedJob) -> LeaseRef {
    LeaseRef { number: job.number, token: job.token }
}

type Faulty = FaultyStorage<SimDisk>;

fn open(storage: &Faulty) -> LocalEngine<Faulty> {
    LocalEngine::on(storage.clone(), LocalOptions::default()).expect("a good directory").0
}

async fn waiting_lease(engine: &LocalEngine<Faulty>) -> tokio::task::JoinHandle<Result<Vec<LeasedJob>, Error>> {
    let waiter = engine.clone();
    let request = LeaseRequest { order: order("q"), wait_ms: 10_000 };
    let handle = tokio::spawn(async move { waiter.lease(&Context::default(), request).await });
    while !engine.shared.lock().waiters.is_waiting("q") {
        tokio::task::yield_now().await;
    }
    handle
}

#[tokio::test]
async fn an_enqueue_that_meets_a_waiting_worker_is_delivered_with_one_sync() {
    let storage = Faulty::new(SimDisk::new());
    let engine = open(&storage);
    engine.enqueue("q", vec![NewJob::new("n", "0")]).await.expect("room");
    let first = engine.lease_now(order("q")).await.expect("a job");
    assert_eq!(first.len(), 1);
    let waiter = waiting_lease(&engine).await;
    let before = storage.plan().syncs();
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    let job = waiter.await.expect("no panic").expect("a lease").pop().expect("one job");
    assert_eq!(&job.payload[..], b"1");
    assert_eq!(storage.plan().syncs() - before, 1);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_stop_without_warning() {
    let disk = SimDisk::new();
    let engine = LocalEngine::on(disk.clone(), LocalOptions::default()).expect("a new directory").0;
    engine.enqueue("q", vec![NewJob::new("n", "1"), NewJob::new("n", "2")]).await.expect("room");
    let job = engine.lease_now(order("q")).await.expect("a job").pop().expect("one job");
    engine.settle(held(&job), Outcome::Complete { result: None }).await.expect("held");
    let hash = engine.stats().await.expect("open").state_hash;
    let copy = SimDisk::with_files(disk.files());
    let mut machine = crate::machine::Machine::new();
    let options = crate::journal::Options::default();
    crate::journal::Journal::open(copy.clone(), options, &mut |record| {
        machine.evolve(record.position.get(), record.at, &crate::machine::decode(record.kind, record.body)?);
        Ok(())
    })
    .expect("what was synced can be read");
    assert_eq!(format!("{:016x}", machine.state_hash()), hash, "the fold of the journal is the state");
    let (again, recovered) =
        LocalEngine::on(SimDisk::with_files(disk.files()), LocalOptions::default()).expect("again");
    assert!(!recovered.created);
    let counts = again.queue("q").await.expect("there").counts;
    assert_eq!((counts.waiting, counts.completed, counts.enqueued), (1, 1, 2));
    let next = again.lease_now(order("q")).await.expect("a job").pop().expect("one job");
    assert!(next.token > job.token, "tokens only grow");
}

#[tokio::test]
async fn a_dropped_lease_call_gives_its_job_back_uncounted() {
    let storage = Faulty::new(SimDisk::new());
    let engine = open(&storage);
    let waiter = waiting_lease(&engine).await;
    waiter.abort();
    let _ = waiter.await;
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    let job = engine.lease_now(order("q")).await.expect("a job").pop().expect("the job waits");
    assert_eq!(job.attempt, 1);
}

#[tokio::test]
async fn a_lease_call_that_is_dropped_with_its_job_on_the_way_releases_it_uncounted() {
    let storage = Faulty::new(SimDisk::new());
    let engine = open(&storage);
    let request = LeaseRequest { order: order("q"), wait_ms: 10_000 };
    let context = Context::default();
    let mut waiter = Box::pin(engine.lease(&context, request));
    while !engine.shared.lock().waiters.is_waiting("q") {
        still_waits(&mut waiter).await;
    }
    // The enqueue hands the job to the waiter, which is not polled any more.
    let number = engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room")[0].number;
    assert_eq!(engine.job(number.into()).await.expect("there").summary.state, JobState::Active);
    drop(waiter);
    let again = engine.lease_now(order("q")).await.expect("answered").pop().expect("the job was given back");
    assert_eq!((again.number, again.attempt), (number, 1));
    let job = engine.job(number.into()).await.expect("there");
    assert_eq!((job.leases[0].outcome, job.stalls), (LeaseOutcome::Released, 0));
}

#[tokio::test]
async fn a_failed_sync_is_final_and_nothing_is_acknowledged() {
    let storage = Faulty::new(SimDisk::new());
    let engine = open(&storage);
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    storage.plan().fail_syncs_after(0);
    let error = engine.enqueue("q", vec![NewJob::new("n", "2")]).await.expect_err("the sync fails");
    assert_eq!(error.word, Word::Unknown);
    storage.plan().heal();
    assert_eq!(engine.stats().await.expect_err("final").word, Word::Unknown);
    assert_eq!(engine.failed().await.word, Word::Unknown);
}

#[tokio::test]
async fn many_tasks_share_syncs() {
    let storage = Faulty::slow(SimDisk::new(), Duration::from_millis(2));
    let engine = Arc::new(open(&storage));
    let before = storage.plan().syncs();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                for _ in 0..10 {
                    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert!(storage.plan().syncs() - before < 64, "{} syncs for 640 enqueues", storage.plan().syncs() - before);
    assert_eq!(engine.queue("q").await.expect("there").counts.waiting, 640);
}

#[tokio::test]
async fn a_job_that_is_waited_for_is_seen_done() {
    let engine = LocalEngine::memory(LocalOptions::default());
    let number = engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room")[0].number;
    let waiter = engine.clone();
    let waiting = tokio::spawn(async move { waiter.wait(number.into(), 10_000).await });
    let job = engine.lease_now(order("q")).await.expect("a job").pop().expect("one job");
    engine.settle(held(&job), Outcome::Complete { result: Some("7".into()) }).await.expect("held");
    let done = waiting.await.expect("no panic").expect("done in time");
    assert_eq!((done.summary.state, done.result.as_deref()), (JobState::Completed, Some(&b"7"[..])));
    let late = engine.wait(crate::model::JobNumber(9).into(), 0).await.expect_err("no such job");
    assert_eq!(late.word, Word::NoJob);
}

#[tokio::test]
async fn a_full_disk_refuses_new_work_and_settling_goes_on() {
    let storage = Faulty::new(SimDisk::new());
    let options = LocalOptions { segment_bytes: 64 << 10, ..LocalOptions::default() };
    let engine = LocalEngine::on(storage.clone(), options).expect("a good directory").0;
    // The reserve is being made.
    while engine.shared.lock().files.tail.journal().expect("open").is_busy() {
        tokio::task::yield_now().await;
    }
    storage.plan().fail_allocations_after(0);
    let payload = vec![b'x'; 1_000];
    let (mut accepted, mut refused) = (0u64, None);
    while refused.is_none() && accepted < 1_000 {
        match engine.enqueue("q", vec![NewJob::new("n", payload.clone())]).await {
            Ok(_) => accepted += 1,
            Err(error) => refused = Some(error),
        }
    }
    let refused = refused.expect("the disk is full before a thousand jobs");
    assert_eq!(refused.word, Word::Full, "{refused}");
    let job = engine.lease_now(order("q")).await.expect("leases go on").pop().expect("a job");
    engine.settle(held(&job), Outcome::Complete { result: None }).await.expect("settling goes on");
    storage.plan().heal();
    while engine.enqueue("q", vec![NewJob::new("n", "1")]).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.queue("q").await.expect("there").counts.enqueued, accepted + 1);
}

#[tokio::test]
async fn who_reads_the_feed_of_the_memory_engine_is_woken() {
    let engine = LocalEngine::memory(LocalOptions::default());
    let cursor = engine.events(None, 1, 0).await.expect("open").cursor;
    let reader = engine.clone();
    let reading = tokio::spawn(async move { reader.events(Some(cursor), 10, 10_000).await });
    tokio::task::yield_now().await;
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    let page = reading.await.expect("no panic").expect("events");
    assert!(!page.events.is_empty());
}

/// Applies a command as if there were room for it in any case.
fn apply_here(store: &mut Store<Faulty>, command: &Command) {
    let now = store.now();
    let Store { machine, files, .. } = store;
    let mut chance = Chance::new(1);
    machine.apply(now, &mut chance, &Context::default(), command, files).expect("taken");
}

/// An enqueue call, applied and waiting for its sync.
async fn waiting_enqueue(engine: &LocalEngine<Faulty>, job: NewJob) -> BoxFuture {
    let engine = engine.clone();
    let mut call: BoxFuture = Box::pin(async move { engine.enqueue("q", vec![job]).await });
    still_waits(&mut call).await;
    call
}

async fn waiting_enqueues(engine: &LocalEngine<Faulty>, count: usize) -> Vec<BoxFuture> {
    let mut calls: Vec<BoxFuture> = Vec::new();
    for _ in 0..count {
        calls.push(waiting_enqueue(engine, NewJob::new("n", "1")).await);
    }
    calls
}

/// Polls a call once, which must not end it.
async fn still_waits<T>(call: &mut std::pin::Pin<Box<impl Future<Output = T> + ?Sized>>) {
    std::future::poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending(), "it has to wait");
        std::task::Poll::Ready(())
    })
    .await;
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = Result<Vec<crate::model::Enqueued>, Error>> + Send>>;

#[tokio::test]
async fn a_panic_of_the_machine_is_told_to_those_who_wait_for_nothing_else() {
    let engine = LocalEngine::memory(LocalOptions::default());
    let waiter = engine.clone();
    let failed = tokio::spawn(async move { waiter.failed().await });
    tokio::task::yield_now().await;
    let broken = engine.shared.lock().guarded(|_| -> () { panic!("an invariant breaks") });
    assert_eq!(broken.expect_err("it panicked").word, Word::Unknown);
    // Nobody asks the engine for anything.
    assert_eq!(failed.await.expect("no panic").word, Word::Unknown);
}

#[tokio::test]
async fn no_more_operations_run_than_may() {
    let engine = LocalEngine::memory(LocalOptions::default());
    let start = Command::StartOperation { verb: BulkVerb::Cancel, filter: JobFilter::default() };
    let mut answers = engine.execute(&Context::default(), vec![start; 1_001]).await.expect("all are answered");
    let last = answers.pop().expect("an answer for each").expect_err("one too many");
    assert_eq!(last.word, Word::Full, "{last}");
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn any_number_of_waiting_calls_is_served_in_frames_of_bounded_size() {
    const CALLS: usize = 700;
    let engine = Arc::new(open(&Faulty::new(SimDisk::new())));
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    engine.pause(&Context::default(), "q").await.expect("it is there");
    for _ in 0..CALLS / 10 {
        engine.enqueue("q", vec![NewJob::new("n", "1"); 10_000]).await.expect("room");
    }
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let engine = Arc::clone(&engine);
            let request = LeaseRequest { order: LeaseOrder { limit: 1_000, ..order("q") }, wait_ms: 60_000 };
            tokio::spawn(async move { engine.lease(&Context::default(), request).await })
        })
        .collect();
    while engine.shared.lock().waiters.count() < CALLS {
        tokio::task::yield_now().await;
    }
    // Their leases together are more than a frame takes.
    engine.resume(&Context::default(), "q").await.expect("it is there");
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("served").len(), 1_000);
    }
}

#[tokio::test]
async fn what_a_close_could_not_store_is_acknowledged_to_nobody() {
    let storage = Faulty::new(SimDisk::new());
    let engine = open(&storage);
    let calls = waiting_enqueues(&engine, 3).await;
    storage.plan().fail_syncs_after(0);
    assert_eq!(engine.close().await.expect_err("the sync fails").word, Word::Unknown);
    for call in calls {
        assert_eq!(call.await.expect_err("its sync failed").word, Word::Unknown);
    }
    assert_eq!(engine.close().await.expect_err("it stays failed").word, Word::Unknown);
}

#[tokio::test]
async fn what_a_close_stored_is_acknowledged() {
    let storage = Faulty::new(SimDisk::new());
    let engine = open(&storage);
    let calls = waiting_enqueues(&engine, 3).await;
    engine.close().await.expect("the disk is well");
    for call in calls {
        call.await.expect("it was synced");
    }
    assert_eq!(engine.stats().await.expect_err("closed").word, Word::Unreachable);
    engine.close().await.expect("closed already");
}

#[tokio::test]
async fn who_closes_a_failed_engine_makes_no_waiting_call_succeed() {
    let storage = Faulty::slow(SimDisk::new(), Duration::from_millis(5));
    let engine = open(&storage);
    // Registered first, so that it is told of the failure first.
    let watched = engine.clone();
    let closing = tokio::spawn(async move {
        watched.failed().await;
        watched.close().await
    });
    tokio::task::yield_now().await;
    let calls = waiting_enqueues(&engine, 3).await;
    storage.plan().fail_syncs_after(0);
    for call in calls.into_iter().map(tokio::spawn).collect::<Vec<_>>() {
        assert_eq!(call.await.expect("no panic").expect_err("its sync failed").word, Word::Unknown);
    }
    assert_eq!(closing.await.expect("no panic").expect_err("failed").word, Word::Unknown);
}

#[tokio::test]
async fn half_a_command_of_a_panic_is_never_written() {
    let disk = SimDisk::new();
    let storage = Faulty::new(disk.clone());
    let engine = open(&storage);
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    let panicked = engine.shared.lock().guarded(|store| {
        let command = Command::Enqueue { queue: "q".to_owned(), jobs: vec![NewJob::new("n", "2")] };
        apply_here(store, &command);
        panic!("injected by the test: in the middle of a command");
    });
    let panicked: Result<(), Error> = panicked;
    assert_eq!(panicked.expect_err("final").word, Word::Unknown);
    assert_eq!(engine.close().await.expect_err("nothing is committed").word, Word::Unknown);
    let again = LocalEngine::on(SimDisk::with_files(disk.files()), LocalOptions::default()).expect("it opens").0;
    assert_eq!(again.queue("q").await.expect("there").counts.enqueued, 1);
    // The lock went with the journal.
    open(&Faulty::new(disk));
}

#[tokio::test]
async fn who_stops_waiting_for_a_job_leaves_nothing_behind() {
    let engine = LocalEngine::memory(LocalOptions::default());
    for _ in 0..10 {
        let number = engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room")[0].number;
        let timeout = engine.wait(number.into(), 0).await.expect_err("it has not ended");
        assert_eq!(timeout.word, Word::Timeout);
    }
    assert!(!engine.shared.lock().waiters.is_job_awaited());
}

/// A log engine whose every segment is followed by a snapshot.
fn compacting(disk: &SimDisk) -> (LocalEngine<SimDisk>, crate::journal::Recovered) {
    let options = LocalOptions { segment_bytes: 64 << 10, compact_after: 0, history: 0, ..LocalOptions::default() };
    LocalEngine::on(disk.clone(), options).expect("a good directory")
}

fn snapshots(disk: &SimDisk) -> Vec<String> {
    let mut names = disk.list().expect("listed");
    names.retain(|name| name.starts_with("snapshot-") && !name.ends_with(".new"));
    names.sort();
    names
}

/// Fills a segment and waits until there is a snapshot of it.
async fn until_compacted(engine: &LocalEngine<SimDisk>, disk: &SimDisk) {
    let newest = snapshots(disk).pop();
    let segment = || engine.shared.lock().files.tail.journal().and_then(|journal| journal.segment());
    let begun = segment();
    while segment() == begun {
        engine.enqueue("filler", vec![NewJob::new("n", vec![b'x'; 8 << 10])]).await.expect("room");
        let job = engine.lease_now(order("filler")).await.expect("a job").pop().expect("one job");
        engine.settle(held(&job), Outcome::Complete { result: None }).await.expect("held");
    }
    let compacted = async {
        while snapshots(disk).pop() == newest || engine.shared.lock().files.tail.journal().is_some_and(|j| j.is_busy())
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), compacted).await.expect("a snapshot is made");
}

#[tokio::test]
async fn a_start_from_a_snapshot_is_the_same_state() {
    let disk = SimDisk::new();
    let (engine, _) = compacting(&disk);
    let options = JobOptions { id: Some("order-42".into()), ..JobOptions::default() };
    let delayed = JobOptions { delay_ms: Some(600_000), ..options.clone() };
    engine.enqueue("q", vec![NewJob::new("n", "1").with(delayed), NewJob::new("n", "2")]).await.expect("room");
    let active = engine.lease_now(order("q")).await.expect("a job").pop().expect("one job");
    for _ in 0..3 {
        until_compacted(&engine, &disk).await;
    }
    let counts = (engine.queue("q").await.expect("there").counts, engine.queue("filler").await.expect("there").counts);
    engine.close().await.expect("it closes");
    assert_eq!(snapshots(&disk).len(), 2, "the newest and the one before");
    let (again, recovered) = compacting(&disk);
    assert!(recovered.snapshot.is_some() && recovered.clean);
    let restored = (again.queue("q").await.expect("there").counts, again.queue("filler").await.expect("there").counts);
    assert_eq!(restored, counts);
    assert_eq!(&again.job(active.number.into()).await.expect("there").payload[..], b"2");
    again.settle(held(&active), Outcome::Complete { result: None }).await.expect("its lease lives on");
    let added = again.enqueue("q", vec![NewJob::new("n", "3").with(options)]).await.expect("answered");
    assert_eq!(added[0].added, Added::Existing, "its id is known");
}

#[tokio::test]
async fn what_a_snapshot_replaces_is_removed_and_the_disk_stays_bounded() {
    let disk = SimDisk::new();
    let (engine, _) = compacting(&disk);
    let few = QueueSettings { keep_completed: Some(10), ..QueueSettings::default() };
    let patch = SettingsPatch { set: few, reset: Vec::new() };
    engine.set_queue(&Context::default(), "filler", patch).await.expect("set");
    let mut most = 0;
    for _ in 0..12 {
        until_compacted(&engine, &disk).await;
        most = most.max(disk.files().values().map(Vec::len).sum::<usize>());
    }
    let live = usize::try_from(engine.stats().await.expect("open").blob_bytes).expect("small");
    // Three times what is alive, and what is there whatever lives: segments in use, being prepared and being folded.
    assert!(most <= 3 * live + 10 * (64 << 10), "{most} bytes on disk for {live} alive");
    let oldest = engine.events(Some("0".into()), 1, 0).await.expect("the feed begins with the oldest that is kept");
    assert_eq!(oldest.events.len(), 1);
}

/// On a disk that takes its time: whoever enqueues one job meanwhile would wait for a frame with all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_falls_due_at_one_instant_leaves_in_short_frames() {
    let storage = FaultyStorage::slow(SimDisk::new(), Duration::from_millis(2));
    let clock = Arc::new(ManualClock::new(1_795_000_000_000));
    let options = LocalOptions { clock: Arc::clone(&clock) as _, ..LocalOptions::default() };
    let engine = LocalEngine::on(storage, options).expect("a new directory").0;
    let later = || NewJob::new("n", "1").with(JobOptions { delay_ms: Some(1_000), ..JobOptions::default() });
    for _ in 0..10 {
        engine.enqueue("q", (0..2_000).map(|_| later()).collect()).await.expect("room");
    }
    clock.advance(1_000);
    let mut longest = 0;
    while engine.queue("q").await.expect("there").counts.delayed > 0 {
        let store = engine.shared.lock();
        longest = longest.max(store.end() - store.files.tail.frontier());
    }
    assert!(longest > 0, "it was seen at work");
    // A step of the ticker, and those that the looks above take along, stand beyond the bound.
    assert!(longest <= 128 << 10, "{longest} bytes stood in the open frame");
}

/// Such as the ticker itself, which else is the one to begin syncs.
#[tokio::test]
async fn whoever_waits_behind_a_late_sync_begins_the_next_one() {
    let clock = Arc::new(ManualClock::new(1_795_000_000_000));
    let storage = Faulty::new(SimDisk::new());
    let options =
        LocalOptions { fsync: FsyncPolicy::EverySec, clock: Arc::clone(&clock) as _, ..LocalOptions::default() };
    let engine = LocalEngine::on(storage.clone(), options).expect("a new directory").0;
    engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("room");
    clock.advance(1_000);
    let sync = engine.shared.lock().begin_sync().expect("one is due");
    engine.enqueue("q", vec![NewJob::new("n", "2")]).await.expect("room");
    // From here on the ticker has no turn.
    let mut late = std::pin::pin!(engine.enqueue("q", vec![NewJob::new("n", "3")]));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(late.as_mut().poll(&mut context).is_pending(), "it lets others apply first");
    clock.advance(4_000);
    {
        let mut store = engine.shared.lock();
        store.files.tail.journal().expect("open").finish_sync(sync.run()).expect("the disk is well");
    }
    let before = storage.plan().syncs();
    // The commit finds that the sync before was late, and waits for the next.
    while late.as_mut().poll(&mut context).is_pending() {
        assert!(storage.plan().syncs() > before || engine.shared.lock().files.tail.journal().expect("open").is_busy());
        std::thread::yield_now();
    }
    assert!(storage.plan().syncs() > before);
}
