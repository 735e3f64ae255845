//! A store that has seen everything: every kind of record and every kind of part, every job state, several segments, two
//! snapshots.
//!
//! Time stands still but where it is told to go on, and salt and seed are given: the same program makes the same bytes. The golden
//! directory was made by it, and the fuzz targets begin with what it makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use queue_core::engine::{Clock, Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::sim::SimDisk;
use queue_core::journal::{Journal, Options};
use queue_core::model::{
    Backoff, BulkVerb, Context, Edit, JobFilter, JobNumber, JobOptions, JobState, JobVerb, JournalStats, LeaseOrder,
    LeaseRef, LeasedJob, LogLine, LogSource, NewJob, Outcome, QueueSettings, SettingsPatch, When,
};

/// When the store begins: 14 November 2026, on the wall clock.
pub(crate) const BEGIN_MS: u64 = 1_794_600_000_000;
/// The length of every segment.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 10;
/// The store's salt.
const SALT: u64 = 0x676f_6c64_656e_2031;

/// An engine on a disk, and the clock that it goes by.
struct Rig {
    engine: LocalEngine<SimDisk>,
    clock: Arc<ManualClock>,
}

/// Makes the store; its files.
pub(crate) async fn files() -> BTreeMap<String, Vec<u8>> {
    let disk = SimDisk::new();
    let clock = Arc::new(ManualClock::new(BEGIN_MS));
    let options = Options {
        segment_bytes_first: SEGMENT_BYTES,
        segment_bytes_max: SEGMENT_BYTES,
        store_salt: SALT,
        ..Options::default()
    };
    let (journal, _) = Journal::open(disk.clone(), options, &mut |_| Ok(())).expect("a new store");
    journal.close(0).expect("nothing is written");
    for round in 1..=3 {
        let rig = Rig::start(&disk, &clock, u64::MAX);
        rig.tour(round).await;
        rig.engine.close().await.expect("the disk is well");
        if round < 3 {
            snapshot(&disk, &clock).await;
        }
    }
    disk.files()
}

/// Lets the engine begin another segment and make the snapshot that ends there.
async fn snapshot(disk: &SimDisk, clock: &Arc<ManualClock>) {
    let rig = Rig::start(disk, clock, 1);
    let segments = rig.log().await.segments;
    while rig.log().await.segments == segments {
        rig.fill().await;
    }
    while rig.log().await.snapshots == 0 {
        assert_eq!(rig.log().await.snapshot_failure, None, "a snapshot can be made");
        rig.settle_down().await;
    }
    rig.engine.close().await.expect("the disk is well");
}

impl Rig {
    fn start(disk: &SimDisk, clock: &Arc<ManualClock>, compact_after: u64) -> Rig {
        let options = LocalOptions {
            segment_bytes: SEGMENT_BYTES,
            compact_after,
            clock: Arc::clone(clock) as Arc<dyn Clock>,
            seed: 1,
            ..LocalOptions::default()
        };
        let (engine, _) = LocalEngine::on(disk.clone(), options).expect("a whole store");
        Rig { engine, clock: Arc::clone(clock) }
    }

    /// Lets the engine's own task do what is due.
    async fn settle_down(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn pass(&self, ms: u64) {
        self.clock.advance(ms);
        self.settle_down().await;
    }

    async fn add(&self, queue: &str, name: &str, options: JobOptions) -> JobNumber {
        let job = NewJob::new(name, format!("{{\"name\":\"{name}\"}}")).with(options);
        self.engine.enqueue(queue, vec![job]).await.expect("a sound job")[0].number
    }

    async fn lease(&self, queue: &str, worker: &str) -> (LeasedJob, LeaseRef) {
        let order = LeaseOrder { queues: vec![queue.to_owned()], limit: 1, worker: worker.to_owned(), lease_ms: None };
        let job = self.engine.lease_now(order).await.expect("a sound order").pop().expect("a job is ready");
        let lease = LeaseRef { number: job.number, token: job.token };
        (job, lease)
    }

    async fn end(&self, lease: LeaseRef, outcome: Outcome) {
        self.engine.settle(lease, outcome).await.expect("the newest lease");
    }

    async fn verb(&self, job: JobNumber, verb: JobVerb) {
        self.engine.job_verb(&somebody(), job.into(), verb).await.expect("the job's state allows it");
    }

    async fn set(&self, queue: &str, set: QueueSettings, reset: &[&str]) {
        let patch = SettingsPatch { set, reset: reset.iter().map(|&field| field.to_owned()).collect() };
        self.engine.set_queue(&somebody(), queue, patch).await.expect("sound settings");
    }

    /// Everything once, in queues of this round's.
    async fn tour(&self, round: u32) {
        self.settings(round).await;
        self.leases(&format!("work-{round}")).await;
        self.verbs(&format!("admin-{round}")).await;
        self.time(&format!("time-{round}")).await;
        self.operations(&format!("bulk-{round}")).await;
        self.what_stays(&format!("kept-{round}")).await;
        self.clock.set_wall(self.clock.wall_ms() + 7_200_000);
        self.pass(1_000).await;
        self.pass(200).await;
    }

    /// Ten KiB of log that leave nothing behind. Where they begin another segment the state's digest is written.
    async fn fill(&self) {
        let jobs = vec![NewJob::new("large", vec![b'x'; 10 << 10])];
        let filler = self.engine.enqueue("filler", jobs).await.expect("a sound job")[0].number;
        self.verb(filler, JobVerb::Remove { force: false }).await;
    }

    async fn log(&self) -> JournalStats {
        self.engine.stats().await.expect("it is open").journal.expect("it has a log")
    }

    async fn settings(&self, round: u32) {
        let queue = format!("set-{round}");
        let set = QueueSettings {
            attempts: Some(5),
            backoff: Some(Backoff { jitter_percent: 10, ..Backoff::exponential(1_000) }),
            keep_completed: Some(7),
            ..QueueSettings::default()
        };
        self.set(&queue, set, &[]).await;
        self.set(&queue, QueueSettings::default(), &["keep_completed"]).await;
        let config = QueueSettings { stalls: Some(2), ..QueueSettings::default() };
        let command = queue_core::model::Command::ApplyConfig { queues: vec![(queue.clone(), config)] };
        self.engine.one(&Context::default(), command).await.expect("sound settings");
        self.engine.pause(&somebody(), &queue).await.expect("it is there");
        self.engine.resume(&somebody(), &queue).await.expect("it is there");
        self.add(&queue, "paused", JobOptions::default()).await;
        self.engine.pause(&somebody(), &queue).await.expect("it is there");
    }

    /// Every way for a lease to go on and to end.
    async fn leases(&self, queue: &str) {
        let set = QueueSettings {
            attempts: Some(2),
            backoff: Some(Backoff::fixed(100)),
            lease_ms: Some(1_000),
            stalls: Some(1),
            ..QueueSettings::default()
        };
        self.set(queue, set, &[]).await;
        self.add(queue, "complete", full(queue)).await;
        let (_, lease) = self.lease(queue, "one").await;
        self.engine.extend(vec![lease]).await.expect("sound leases");
        self.engine.progress(lease, "{\"done\":1}".into()).await.expect("it is held");
        self.engine.progress(lease, "{\"done\":2}".into()).await.expect("it is held");
        for text in ["first", "second"] {
            let line = LogLine { source: LogSource::Out, text: text.to_owned() };
            self.engine.log(lease, vec![line]).await.expect("it is held");
        }
        self.end(lease, Outcome::Complete { result: Some("{\"answer\":42}".into()) }).await;

        self.add(queue, "exhausted", JobOptions::default()).await;
        for _ in 0..2 {
            let (_, lease) = self.lease(queue, "two").await;
            self.end(lease, failure(true)).await;
            self.pass(200).await;
        }
        self.add(queue, "rejected", JobOptions::default()).await;
        let (_, lease) = self.lease(queue, "two").await;
        self.end(lease, failure(false)).await;

        self.add(queue, "poison", JobOptions::default()).await;
        let (_, lease) = self.lease(queue, "one").await;
        self.end(lease, Outcome::Release).await;
        let (_, lease) = self.lease(queue, "one").await;
        self.end(lease, Outcome::Snooze { delay_ms: Some(100) }).await;
        self.pass(200).await;
        for _ in 0..2 {
            self.lease(queue, "one").await;
            self.pass(1_500).await;
        }

        self.add(queue, "late", JobOptions::default()).await;
        let (_, lease) = self.lease(queue, "one").await;
        self.pass(1_500).await;
        self.end(lease, Outcome::Complete { result: None }).await;
    }

    /// Every administrative verb.
    async fn verbs(&self, queue: &str) {
        let delayed = || JobOptions { delay_ms: Some(3_600_000), ..JobOptions::default() };
        let promoted = self.add(queue, "promoted", delayed()).await;
        self.verb(promoted, JobVerb::Promote).await;
        let (_, lease) = self.lease(queue, "one").await;
        self.verb(promoted, JobVerb::Cancel).await;
        self.end(lease, failure(true)).await;
        self.verb(promoted, JobVerb::Retry).await;
        self.verb(promoted, JobVerb::Reschedule(When::DelayMs(60_000))).await;
        self.verb(promoted, JobVerb::Reschedule(When::RunAtMs(BEGIN_MS + 30 * 86_400_000))).await;
        self.verb(
            promoted,
            JobVerb::Edit(Edit { payload: Some("{\"new\":true}".into()), priority: Some(-5), ..Edit::default() }),
        )
        .await;
        let cancelled = self.add(queue, "cancelled", JobOptions::default()).await;
        self.verb(cancelled, JobVerb::Cancel).await;
        let options = JobOptions { id: Some("removed".to_owned()), ..JobOptions::default() };
        let removed = self.add(queue, "removed", options).await;
        self.verb(removed, JobVerb::Remove { force: false }).await;
    }

    /// What only time does.
    async fn time(&self, queue: &str) {
        self.set(queue, QueueSettings { remember_ids_ms: Some(1_000), ..QueueSettings::default() }, &[]).await;
        self.add(queue, "expired", JobOptions { expires_in_ms: Some(500), ..JobOptions::default() }).await;
        self.pass(600).await;
        let id = Some("short".to_owned());
        self.add(queue, "aged", JobOptions { id, keep_ms: Some(100), ..JobOptions::default() }).await;
        let (_, lease) = self.lease(queue, "one").await;
        self.end(lease, Outcome::Complete { result: None }).await;
        self.pass(200).await;
        self.pass(2_000).await;
        self.add(queue, "due", JobOptions { delay_ms: Some(50), ..JobOptions::default() }).await;
        self.pass(100).await;
    }

    async fn operations(&self, queue: &str) {
        for at in 0..12 {
            self.add(queue, &format!("bulk-{at}"), JobOptions { delay_ms: Some(3_600_000), ..JobOptions::default() })
                .await;
        }
        for (verb, cancel) in [(BulkVerb::Promote, false), (BulkVerb::Cancel, true)] {
            let filter = JobFilter { queue: Some(queue.to_owned()), ..JobFilter::default() };
            let begun = self.engine.start_operation(&somebody(), verb, filter).await.expect("a sound filter");
            if cancel {
                // It may have ended by itself already.
                let _ = self.engine.cancel_operation(&somebody(), begun.operation).await;
            }
            self.pass(100).await;
        }
    }

    /// Jobs in every state, as they are found later.
    async fn what_stays(&self, queue: &str) {
        self.add(queue, "waiting", full(&format!("{queue}-waiting"))).await;
        self.add(queue, "front", JobOptions { lifo: true, priority: Some(9), ..JobOptions::default() }).await;
        let far = BEGIN_MS + 20 * 86_400_000;
        self.add(queue, "delayed", JobOptions { run_at_ms: Some(far), ..JobOptions::default() }).await;
        for (name, outcome) in [
            ("active", None),
            ("retry", Some(failure(true))),
            ("snoozed", Some(Outcome::Snooze { delay_ms: Some(86_400_000) })),
            ("completed", Some(Outcome::Complete { result: Some("1".into()) })),
            ("dead", Some(failure(false))),
        ] {
            let options = JobOptions { priority: Some(100), attempts: Some(9), ..JobOptions::default() };
            self.add(queue, name, options).await;
            let (_, lease) = self.lease(queue, "three").await;
            match outcome {
                Some(outcome) => self.end(lease, outcome).await,
                None => self.engine.progress(lease, "half".into()).await.expect("it is held"),
            }
        }
        let cancelled = self.add(queue, "cancelled", JobOptions::default()).await;
        self.verb(cancelled, JobVerb::Cancel).await;
        let filter = JobFilter { queue: Some(queue.to_owned()), ..JobFilter::default() };
        let page = self.engine.jobs(filter, None, 100).await.expect("a sound filter");
        for state in JobState::ALL.iter().filter(|state| state.as_str() != "waiting-children") {
            assert!(page.jobs.iter().any(|job| job.state == *state), "no job is {state}");
        }
    }
}

fn somebody() -> Context {
    Context { actor: "ann".to_owned(), reason: "it was time".to_owned() }
}

fn failure(retryable: bool) -> Outcome {
    Outcome::Fail { kind: "exit".to_owned(), error: "exit status 3 in \"step 7\"".to_owned(), retryable }
}

/// A job with every option that a job keeps.
fn full(id: &str) -> JobOptions {
    JobOptions {
        id: Some(id.to_owned()),
        tags: vec!["red".to_owned(), "blue".to_owned()],
        headers: [("trace".to_owned(), "abc".to_owned())].into(),
        expires_in_ms: Some(40 * 86_400_000),
        keep_ms: Some(50 * 86_400_000),
        timeout_ms: Some(1_234),
        ..JobOptions::default()
    }
}
