//! Every snapshot of a log engine is the state that was.
//!
//! Random commands run on an engine with the smallest segments and a snapshot behind each. Then the whole log is folded
//! from its begin, and wherever a snapshot was made its state, read back from its file, is that of the fold. The fold
//! itself is held to the digests that the live engine wrote. `LONGSHORE_SEED` runs the same commands again.

#[expect(dead_code, reason = "not every step is drawn here")]
#[path = "model/draw.rs"]
mod draw;
#[expect(dead_code, reason = "the model test compares all of it; here it only tells which jobs and leases there are")]
#[path = "model/naive/mod.rs"]
mod naive;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use draw::{Draw, Step};
use naive::Model;
use queue_core::engine::{Clock, Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::faults::{Call, FaultyStorage};
use queue_core::journal::sim::SimDisk;
use queue_core::journal::{Journal, Options, Record, SnapshotHeader, VisitError, Visitor};
use queue_core::machine::{Machine, Restore, decode};
use queue_core::model::{Backoff, Command, Context, JobOptions, JournalStats, NewJob, Now};

const BEGIN_MS: u64 = 1_795_000_000_000;
const LIVES: u64 = 8;
/// Snapshots of each life.
const SNAPSHOTS: usize = 12;
const LARGE_BYTES: usize = 6 << 10;
/// With so much log behind the last snapshot the next one is being made.
const BEHIND_BYTES: u64 = 160 << 10;

/// The files of a disk at some instant.
type Files = BTreeMap<String, Vec<u8>>;

/// Reads a store back: the parts of its snapshot, then the records behind it.
#[derive(Default)]
struct Reading {
    restore: Restore,
    machine: Machine,
    /// The states at these positions are wanted, and noted as they are passed.
    wanted: Vec<u64>,
    noted: BTreeMap<u64, u64>,
    restored_at: Option<(u64, u64)>,
}

impl Visitor for Reading {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        // From here on the parts are blobs.
        if kind < 0x4000 {
            self.restore.part(kind, body)?;
        }
        Ok(())
    }

    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError> {
        self.machine = std::mem::take(&mut self.restore).finish()?;
        self.restored_at = Some((snapshot.position.get(), self.machine.state_hash()));
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        while let Some(&at) = self.wanted.first().filter(|at| **at <= record.position.get()) {
            self.noted.insert(at, self.machine.state_hash());
            self.wanted.remove(0);
        }
        self.machine.evolve(record.position.get(), record.at, &decode(record.kind, record.body)?);
        self.machine.drain_released().for_each(drop);
        self.machine.forget_signals();
        Ok(())
    }
}

fn read(files: Files, wanted: Vec<u64>) -> Reading {
    let mut reading = Reading { wanted, ..Reading::default() };
    Journal::open_with(SimDisk::with_files(files), Options::default(), &mut reading).expect("the disk is sound");
    reading
}

/// A few of these fill a segment.
fn a_large_job() -> Command {
    // Without jitter: the model draws no chance.
    let options = JobOptions { backoff: Some(Backoff::fixed(0)), ..JobOptions::default() };
    Command::Enqueue { queue: "a".into(), jobs: vec![NewJob::new("large", vec![b'x'; LARGE_BYTES]).with(options)] }
}

/// Lives until there have been enough snapshots. Returns the files as of the start, as of each snapshot, and at the end.
async fn live(seed: u64) -> (Files, Vec<Files>, Files) {
    let disk = SimDisk::new();
    let clock = Arc::new(ManualClock::new(BEGIN_MS));
    let options = LocalOptions {
        segment_bytes: 64 << 10,
        compact_after: 0,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        seed,
        ..LocalOptions::default()
    };
    let (engine, _) = LocalEngine::on(disk.clone(), options).expect("a new store");
    let begun = disk.files();
    let mut now = Now { steady: BEGIN_MS, wall: BEGIN_MS };
    let (mut draw, mut model) = (Draw::new(seed), Model::default());
    model.start(now, false);
    let (mut snapshots, mut commands, mut seen) = (Vec::new(), 0, 0);
    while snapshots.len() < SNAPSHOTS {
        let pass = match draw.step(&model, None) {
            Step::Command(mut command) => {
                commands += 1;
                if commands % 4 == 3 {
                    *command = a_large_job();
                }
                engine.execute(&Context::default(), vec![(*command).clone()]).await.expect("the disk is sound");
                model.apply(now, &command).ok();
                1
            }
            Step::Pass(ms) => ms,
            Step::Jump(_) | Step::Restart(_) => continue,
        };
        clock.advance(pass);
        now = Now { steady: now.steady + pass, wall: now.wall + pass };
        model.elapse(now);
        let journal = engine.stats().await.expect("open").journal.expect("a log");
        // Commands come faster than snapshots, which are made on another thread and begun where a segment is.
        if journal.snapshots == seen && journal.behind_snapshot_bytes > BEHIND_BYTES {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(journal.snapshot_failure, None, "seed {seed}");
        if journal.snapshots > seen {
            seen = journal.snapshots;
            snapshots.push(disk.files());
        }
    }
    engine.close().await.expect("it closes");
    (begun, snapshots, disk.files())
}

fn check(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it can be made");
    let (begun, snapshots, mut whole) = runtime.block_on(live(seed));
    drop(runtime);
    let restored: BTreeMap<u64, u64> =
        snapshots.into_iter().map(|files| read(files, Vec::new()).restored_at.expect("there is a snapshot")).collect();
    assert_eq!(restored.len(), SNAPSHOTS, "seed {seed}: each ends somewhere else");
    // The manifest of the start names no snapshot: the log is read from its begin.
    whole.retain(|name, _| !name.starts_with("snapshot-"));
    whole.insert("MANIFEST".to_owned(), begun["MANIFEST"].clone());
    let folded = read(whole, restored.keys().copied().collect());
    assert_eq!(folded.restored_at, None);
    assert_eq!(folded.noted, restored, "seed {seed}: each snapshot is the state at its position");
}

#[test]
fn each_snapshot_is_the_state_at_its_position() {
    let set = std::env::var("LONGSHORE_SEED").ok().map(|text| text.parse().expect("LONGSHORE_SEED is a number"));
    #[expect(clippy::disallowed_methods, reason = "every run draws other lives; a failure prints its seed")]
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64 * 1_000;
    let seeds = set.map_or(drawn..drawn + LIVES, |seed| seed..seed + 1);
    println!("seeds {seeds:?}");
    seeds.for_each(check);
}

/// Enqueues until what a snapshot came to has changed.
async fn until_told(
    engine: &LocalEngine<FaultyStorage<SimDisk>>,
    told: impl Fn(&JournalStats) -> bool,
) -> JournalStats {
    for _ in 0..10_000 {
        engine.execute(&Context::default(), vec![a_large_job()]).await.expect("the log itself is well");
        let journal = engine.stats().await.expect("open").journal.expect("a log");
        if told(&journal) {
            return journal;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("nothing came of it");
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_made_is_told_and_the_engine_goes_on() {
    for (prefix, calls) in [
        ("snapshot-", &[Call::Create, Call::Write, Call::Sync, Call::Rename, Call::Open, Call::Read][..]),
        ("MANIFEST", &[Call::Create, Call::Write, Call::Sync, Call::Rename][..]),
    ] {
        for &call in calls {
            let storage = FaultyStorage::new(SimDisk::new());
            let options = LocalOptions { segment_bytes: 64 << 10, compact_after: 0, ..LocalOptions::default() };
            let (engine, _) = LocalEngine::on(storage.clone(), options.clone()).expect("a new store");
            storage.plan().fail_only(prefix);
            storage.plan().fail_after(call, 0);
            let told = until_told(&engine, |journal| journal.snapshot_failure.is_some()).await;
            let failure = told.snapshot_failure.expect("it was just looked at");
            assert!(failure.contains(prefix) && failure.contains("injected by the test"), "{call:?}: {failure}");
            storage.plan().heal();
            let told = until_told(&engine, |journal| journal.snapshots > 0).await;
            assert_eq!(told.snapshot_failure, None, "{prefix} {call:?}: the next one is made");
            let waiting = engine.queue("a").await.expect("there").counts.waiting;
            engine.close().await.expect("it closes");
            let (again, recovered) = LocalEngine::on(storage, options).expect("it opens");
            assert!(recovered.snapshot.is_some());
            assert_eq!(again.queue("a").await.expect("there").counts.waiting, waiting);
        }
    }
}
