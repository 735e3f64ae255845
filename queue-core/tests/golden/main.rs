//! Old data: a directory of every format that there was, opened by today's code.
//!
//! Each folder beside this file holds a store's files as they were written, segments without the zeros at their end, and
//! `expected.json`: how long the files are, and what the store holds. Who adds a kind of record or of part adds a folder
//! whose store has it: `LONGSHORE_WRITE_GOLDEN=NAME` writes one from what `tour.rs` makes. A folder, once there, stays.

mod tour;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use queue_core::engine::{Clock, Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::sim::SimDisk;
use queue_core::journal::{DirStorage, Inspection, Record, SnapshotHeader, VisitError, Visitor};
use queue_core::machine::{Machine, Restore, Wrong, decode};
use queue_core::model::{
    ActivityQuery, Added, FailureFilter, FailureOrder, JobFilter, JobOptions, NewJob, SeriesQuery, Step,
};
use serde_json::{Value, json};

type Files = BTreeMap<String, Vec<u8>>;

/// Parts that are not the machine's: a blob.
const BLOB_PART: u16 = 0x4000;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Parts that may be skipped, and that this version knows: series, candidates for one, groups of failures.
const SKIPPABLE_PARTS: [u16; 3] = [0x800a, 0x800b, 0x800c];

/// The folders, by name.
fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(home()).expect("it is there").map(|entry| entry.expect("it can be read").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "there is old data");
    folders
}

/// What a folder's store is to hold, and its files with their zeros.
fn load(folder: &Path) -> (Value, Files) {
    let read = |name: &str| fs::read(folder.join(name)).expect("a file of the store");
    let expected: Value = serde_json::from_slice(&read("expected.json")).expect("it is JSON");
    let lengths = expected["files"].as_object().expect("files have lengths");
    let files = lengths.iter().map(|(name, length)| {
        let mut bytes = read(name);
        bytes.resize(length.as_u64().expect("a length") as usize, 0);
        (name.clone(), bytes)
    });
    let files = files.collect();
    (expected, files)
}

/// Folds what it is given, and notes its kinds.
#[derive(Default)]
struct Fold {
    restore: Restore,
    machine: Machine,
    parts: BTreeSet<u16>,
    records: BTreeSet<u16>,
}

impl Visitor for Fold {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        self.parts.insert(kind);
        if kind != BLOB_PART {
            self.restore.part(kind, body)?;
        }
        Ok(())
    }

    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError> {
        self.machine = std::mem::take(&mut self.restore).finish()?;
        assert_eq!(self.machine.state_hash(), snapshot.state_hash, "the snapshot is the state that it names");
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        self.records.insert(record.kind);
        let event = decode(record.kind, record.body)?;
        assert!(self.machine.may_fit(&event), "what a log without holes says always may: {event:?}");
        self.machine.evolve(record.position.get(), record.at, &event);
        self.machine.drain_released().for_each(drop);
        self.machine.forget_signals();
        Ok(())
    }
}

/// The state from snapshot and log, and that from the log alone, as far as it is kept.
fn fold(files: &Files) -> (Fold, Fold) {
    let inspection = Inspection::open(SimDisk::with_files(files.clone())).expect("a journal");
    let (mut start, mut history) = (Fold::default(), Fold::default());
    let begin = inspection.history(&mut |record| history.record(record)).expect("the history is whole");
    assert_eq!(begin.get(), 0, "its history goes back to its begin");
    let (recovered, _) = inspection.replay(&mut start).expect("it is whole");
    assert!(recovered.clean && recovered.snapshot.is_some());
    start.machine.assert_invariants();
    (start, history)
}

/// Everything that an engine says of the store.
async fn view<S: queue_core::journal::Storage>(engine: &LocalEngine<S>) -> Value {
    // What is due is done by the engine's own task.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    let (mut jobs, mut cursor) = (Vec::new(), None);
    loop {
        let page = engine.jobs(JobFilter::default(), cursor, 1_000).await.expect("a page");
        for summary in page.jobs {
            let job = engine.job(summary.number.into()).await.expect("it is there");
            let log = engine.job_log(summary.number.into(), 0).await.expect("it is there");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let mut value = json!({ "payload": text(&job.payload), "log": log });
            value["result"] = job.result.as_deref().map(text).into();
            value["progress"] = job.progress.as_deref().map(text).into();
            value["job"] = serde_json::to_value(&job).expect("plain data");
            jobs.push(value);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let queues = engine.all_queues().await.expect("it is open");
    let operations = engine.operations().await.expect("it is open");
    let day = SeriesQuery { queue: None, name: None, other: false, step: Step::Minute, points: 1_440 };
    let series = engine.series(day).await.expect("it is open");
    let activity = |queue: Option<&str>| {
        let queue = queue.map(str::to_owned);
        engine.activity(ActivityQuery { queue, step: Step::Minute, points: 60, cursor: None, limit: 1_000 })
    };
    let by_queue = activity(None).await.expect("it is open").rows;
    let by_name = activity(queues.first().map(|queue| &*queue.queue)).await.expect("it is open").rows;
    let all = (FailureFilter::default(), FailureOrder::Last);
    let failures = engine.failures(all.0, all.1, None, 1_000).await.expect("it is open").groups;
    json!({
        "queues": queues, "jobs": jobs, "operations": operations,
        "series": series, "by_queue": by_queue, "by_name": by_name, "failures": failures,
    })
}

fn options(wall_ms: u64) -> LocalOptions {
    let clock = Arc::new(ManualClock::new(wall_ms)) as Arc<dyn Clock>;
    LocalOptions { segment_bytes: tour::SEGMENT_BYTES, seed: 1, clock, ..LocalOptions::default() }
}

/// Writes the store that the tour makes today into a new folder.
async fn write(name: &str) {
    let files = tour::files().await;
    let folder = home().join(name);
    fs::create_dir(&folder).expect("a folder of that name is not there yet");
    for (name, bytes) in &files {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        fs::write(folder.join(name), &bytes[..used]).expect("it can be written");
    }
    let machine = fold(&files).0.machine;
    let wall_ms = machine.wall();
    let (engine, _) = LocalEngine::on(SimDisk::with_files(files.clone()), options(wall_ms)).expect("it opens");
    let mut expected = view(&engine).await;
    expected["files"] = files.iter().map(|(name, bytes)| (name.clone(), json!(bytes.len()))).collect();
    expected["wall_ms"] = wall_ms.into();
    expected["state_hash"] = format!("{:016x}", machine.state_hash()).into();
    let text = serde_json::to_string_pretty(&expected).expect("plain data") + "\n";
    fs::write(folder.join("expected.json"), text).expect("it can be written");
}

/// Whether `found` says all that is wanted. Later versions may say more of a thing, and of no more things.
fn check(found: &Value, wanted: &Value, path: &str) {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            for (field, wanted) in wanted {
                let found = found.get(field).unwrap_or(&Value::Null);
                check(found, wanted, &format!("{path}.{field}"));
            }
        }
        (Value::Array(found), Value::Array(wanted)) => {
            assert_eq!(found.len(), wanted.len(), "{path}: as many as there were");
            for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                check(found, wanted, &format!("{path}[{at}]"));
            }
        }
        _ => assert_eq!(found, wanted, "{path}"),
    }
}

#[tokio::test]
async fn an_old_store_holds_what_it_held() {
    if let Ok(name) = std::env::var("LONGSHORE_WRITE_GOLDEN") {
        write(&name).await;
    }
    for folder in folders() {
        let (expected, files) = load(&folder);
        let (start, _) = fold(&files);
        assert_eq!(json!(format!("{:016x}", start.machine.state_hash())), expected["state_hash"], "{folder:?}");
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, bytes) in &files {
            fs::write(directory.path().join(name), bytes).expect("it can be written");
        }
        let options = options(expected["wall_ms"].as_u64().expect("a time"));
        let (engine, recovered) = LocalEngine::log(directory.path(), options.clone()).expect("it opens");
        assert!(recovered.clean && !recovered.created);
        let found = view(&engine).await;
        for what in ["queues", "operations"] {
            check(&found[what], &expected[what], what);
        }
        check(&by_number(&found["jobs"]), &by_number(&expected["jobs"]), "jobs");
        // The first version counted nothing over time.
        for what in ["series", "by_queue", "by_name", "failures"] {
            if let Some(expected) = expected.get(what) {
                check(&found[what], expected, what);
            }
        }
        check_ids(&engine, &expected["jobs"]).await;
        engine.close().await.expect("it closes");
        LocalEngine::log(directory.path(), options).expect("what today's code went on with opens again");
    }
}

/// In which order a list has them is no matter of what is stored.
fn by_number(jobs: &Value) -> Value {
    let mut jobs = jobs.as_array().expect("jobs").clone();
    jobs.sort_by_key(|job| job["job"]["number"].as_u64());
    jobs.into()
}

/// Enqueues every id again: each is known.
async fn check_ids(engine: &LocalEngine<DirStorage>, jobs: &Value) {
    let mut known = 0;
    for job in jobs.as_array().expect("jobs").iter().map(|job| &job["job"]) {
        let (Some(id), Some(queue)) = (job["id"].as_str(), job["queue"].as_str()) else { continue };
        let new = NewJob::new("again", "{}").with(JobOptions { id: Some(id.to_owned()), ..JobOptions::default() });
        let enqueued = engine.enqueue(queue, vec![new]).await.expect("it is answered");
        assert_eq!((json!(enqueued[0].number), enqueued[0].added), (job["number"].clone(), Added::Existing));
        known += 1;
    }
    assert!(known > 0, "some jobs have an id");
    let removed = NewJob::new("again", "{}").with(JobOptions { id: Some("removed".into()), ..JobOptions::default() });
    let enqueued = engine.enqueue("admin-3", vec![removed]).await.expect("it is answered");
    assert_eq!(enqueued[0].added, Added::ExistingGone, "the id of a removed job is remembered");
}

#[test]
fn snapshot_and_history_come_to_one_state() {
    for folder in folders() {
        let (_, files) = load(&folder);
        let (start, mut history) = fold(&files);
        let inspection = Inspection::open(SimDisk::with_files(files)).expect("a journal");
        let mut tail = Tail(&mut history);
        inspection.replay(&mut tail).expect("it is whole");
        assert_eq!(history.machine.state_hash(), start.machine.state_hash(), "{folder:?}");
    }
}

/// The records behind a snapshot, for a state that has come to it by itself.
struct Tail<'a>(&'a mut Fold);

impl Visitor for Tail<'_> {
    fn part(&mut self, _: u16, _: &[u8]) -> Result<(), VisitError> {
        Ok(())
    }

    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError> {
        assert_eq!(self.0.machine.state_hash(), snapshot.state_hash, "the log before a snapshot comes to its state");
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        self.0.record(record)
    }
}

#[test]
fn every_kind_of_record_and_of_part_occurs_in_old_data() {
    let (mut parts, mut records, mut store) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for folder in folders() {
        let (_, files) = load(&folder);
        let (start, history) = fold(&files);
        parts.extend(start.parts);
        records.extend(start.records.union(&history.records).copied());
        store.clear();
        start.machine.save(&mut |kind, body| {
            if store.is_empty() {
                store = vec![(kind, body.to_vec())];
            }
        });
    }
    let known_records =
        (0..0x8000).filter(|&kind| decode(kind, &[]).map_or_else(|wrong| !Wrong::is_unknown(&wrong), |_| true));
    assert_eq!(
        records,
        known_records.collect::<BTreeSet<u16>>(),
        "old data has every kind of record: see the head of this file"
    );
    let (kind, body) = &store[0];
    let mut known_parts = BTreeSet::from([*kind, BLOB_PART]);
    known_parts.extend(SKIPPABLE_PARTS);
    for kind in 0..BLOB_PART {
        let mut restore = Restore::new();
        restore.part(store[0].0, body).expect("what was saved");
        let taken = restore.part(kind, &[]);
        if taken.map_or_else(|wrong| !Wrong::is_unknown(&wrong), |()| true) {
            known_parts.insert(kind);
        }
    }
    assert_eq!(parts, known_parts, "old data has every kind of part: see the head of this file");
}

#[tokio::test]
async fn the_tour_makes_the_same_store_each_time() {
    assert!(tour::files().await == tour::files().await);
}
