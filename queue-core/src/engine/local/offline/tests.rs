//! Every kind of damage is named where it is, and each repair comes to the state that it says, whatever a crash leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::super::blobs::Blobs;
use super::super::recover::Recovering;
use super::super::{LocalEngine, LocalOptions};
use super::*;
use crate::engine::{Engine, EngineExt, ManualClock};
use crate::journal::faults::{Call, FaultyStorage};
use crate::journal::sim::{self, Plan, SimDisk};
use crate::journal::{Base, Inspection, Journal, JournalError, Options, Position, Record, VisitError, Weight};
use crate::machine::{Machine, decode};
use crate::model::{LeaseOrder, LeaseRef, NewJob, Outcome};

mod mending;
mod numbers;

type Files = BTreeMap<String, Vec<u8>>;

const BEGIN_MS: u64 = 1_796_119_200_000;
const OPTIONS: CompactOptions = CompactOptions { history: 1 << 30, segment_bytes: 64 << 10 };

/// A store with two snapshots, a history, and a log behind, and the state after each of its records.
struct Store {
    files: Files,
    /// Position of a record, and the state before it.
    states: Vec<(u64, u64)>,
    hash: u64,
}

fn options() -> Options {
    Options { segment_bytes_first: 64 << 10, segment_bytes_max: 64 << 10, ..Options::default() }
}

async fn live(disk: &SimDisk, clock: &Arc<ManualClock>, round: u8) {
    let options = LocalOptions { segment_bytes: 64 << 10, clock: clock.clone(), seed: 7, ..LocalOptions::default() };
    let (engine, _) = LocalEngine::on(disk.clone(), options).expect("a good directory");
    for number in 0..36_u8 {
        let queue = if number % 3 == 0 { "other" } else { "emails" };
        let payload = vec![number ^ round; 2_500 + usize::from(number)];
        engine.enqueue(queue, vec![NewJob::new("send", payload)]).await.expect("room");
        clock.advance(10);
        if number % 4 == 1 {
            let order = LeaseOrder { queues: vec![queue.into()], limit: 1, worker: "w".into(), lease_ms: None };
            let job = engine.lease_now(order).await.expect("open").pop().expect("one waits");
            let lease = LeaseRef { number: job.number, token: job.token };
            let outcome = Outcome::Complete { result: Some("1".into()) };
            engine.settle(lease, outcome).await.expect("held");
        }
    }
    engine.close().await.expect("it closes");
}

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(BEGIN_MS)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("made");
        runtime.block_on(live(&disk, &clock, 0));
        compact(disk.clone(), OPTIONS).expect("it is sound");
        runtime.block_on(live(&disk, &clock, 1));
        compact(disk.clone(), OPTIONS).expect("it is sound");
        runtime.block_on(live(&disk, &clock, 2));
        drop(runtime);
        let mut files = disk.files();
        // One prepared ahead, as there is once a segment has been in use for some time: else nothing tells of the last one.
        let next = files.keys().filter(|name| name.ends_with(".segment")).count() + 1;
        let last = files.values().zip(files.keys()).rfind(|(_, name)| name.ends_with(".segment"));
        if last.is_some_and(|(content, _)| used(content) > 0) {
            files.insert(format!("{next:08}.segment"), vec![0; 64 << 10]);
        }
        let (states, hash) = states(&files);
        Store { files, states, hash }
    })
}

/// The states that a log with all its history comes to, by a fold of its own.
fn states(files: &Files) -> (Vec<(u64, u64)>, u64) {
    let (mut machine, mut states) = (Machine::new(), Vec::new());
    records(files, &mut |record| {
        states.push((record.position.get(), machine.state_hash()));
        evolve(&mut machine, &record)
    });
    (states, machine.state_hash())
}

fn evolve(machine: &mut Machine, record: &Record<'_>) -> Result<(), VisitError> {
    machine.evolve(record.position.get(), record.at, &decode(record.kind, record.body)?);
    machine.drain_released().for_each(drop);
    Ok(())
}

/// Visits every record of a log that is whole and has all its history.
fn records(files: &Files, take: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>) {
    let inspection = Inspection::open(SimDisk::with_files(files.clone())).expect("it is a journal");
    inspection.history(take).expect("it is whole");
    let checked = inspection.check(&mut |_, _| {}).expect("listed");
    let behind = inspection.mend(&checked, Base::Newest, checked.end).expect("it is kept");
    behind.records(take).expect("it is whole");
}

/// What a start finds: the state's digest, or why it is impossible.
fn start(files: &Files) -> Result<u64, JournalError> {
    start_on(&SimDisk::with_files(files.clone()))
}

fn start_on(disk: &SimDisk) -> Result<u64, JournalError> {
    let mut recovering = Recovering::<Blobs>::default();
    Journal::open_with(disk.clone(), options(), &mut recovering)?;
    let machine = recovering.machine;
    machine.assert_invariants();
    // Every byte that a job points to is there.
    machine.live_blobs().into_iter().for_each(|blob| drop(recovering.blobs.get(blob)));
    Ok(machine.state_hash())
}

fn offline(disk: &SimDisk) -> Offline<SimDisk> {
    Offline::open(disk.clone(), &mut |done, all| assert!(done <= all)).expect("it can be looked at")
}

fn verified(files: &Files) -> Verified {
    let disk = SimDisk::with_files(files.clone());
    let verified = offline(&disk).verified().clone();
    assert_eq!((disk.files(), disk.calls()), (files.clone(), 0), "looking changes nothing");
    verified
}

/// The state that a repair should come to.
fn expected(choice: Choice, repair: &Repair) -> u64 {
    let store = store();
    if choice != Choice::Cut {
        return store.hash;
    }
    let mut machine = Machine::new();
    records(&store.files, &mut |record| {
        if record.position < repair.until {
            evolve(&mut machine, &record)?;
        }
        Ok(())
    });
    machine.go_on_behind(repair.behind.0, repair.behind.1);
    machine.state_hash()
}

/// Makes a choice, and checks that it comes to its state, that all is kept, and that nothing is left to repair.
fn repair(files: &Files, choice: Choice) -> (Repair, Files) {
    let disk = SimDisk::with_files(files.clone());
    let plan = offline(&disk).plan(choice, &mut |_| {}, &mut |_, _| {}).expect("it is a choice");
    assert_eq!(disk.files(), *files, "a plan changes nothing");
    let repair = offline(&disk).apply(choice, &mut |_| {}, &mut |_, _| {}).expect("it is a choice");
    assert_eq!((plan.until, plan.jobs, plan.lost_events), (repair.until, repair.jobs, repair.lost_events));
    let after = disk.files();
    let started = start(&after).expect("it was repaired");
    if choice != Choice::Skip {
        assert_eq!(started, expected(choice, &repair), "{choice:?} {repair:?}");
    }
    assert!(verified(&after).checked.findings.is_empty(), "{choice:?}: {:?}", verified(&after));
    check_kept(files, &after);
    (repair, after)
}

/// Every file that was there is there, or its bytes are under the name of one that was set aside.
fn check_kept(before: &Files, after: &Files) {
    for (name, bytes) in before.iter().filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0)) {
        let kept = |(other, content): (&String, &Vec<u8>)| {
            let aside = other.starts_with("set-aside-") && other.ends_with(name.as_str());
            (other == name || aside) && content == bytes
        };
        assert!(after.iter().any(kept), "{name} is gone");
    }
}

fn names(ending: &str, beginning: &str) -> Vec<String> {
    let names = store().files.keys().filter(|name| name.ends_with(ending) && name.starts_with(beginning));
    names.cloned().collect()
}

/// Up to where a file has content.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

#[test]
fn a_sound_store_is_called_sound() {
    let verified = verified(&store().files);
    assert!(verified.checked.findings.is_empty() && !verified.is_damaged() && verified.choices.is_empty());
    assert_eq!((verified.jobs, verified.checked.snapshots), (Some(108), 2));
    assert!(verified.checked.segments >= 5, "{verified:?}");
    assert_eq!(start(&store().files).expect("it is sound"), store().hash);
}

/// One bad place anywhere: it is named, a start agrees with what is said of it, and every choice that is offered works.
#[test]
fn one_bad_place_is_named_and_what_is_offered_works() {
    let store = store();
    let mut chosen = BTreeMap::<&str, usize>::new();
    for (index, (name, bytes)) in store.files.iter().filter(|(name, _)| *name != "LOCK").enumerate() {
        let used = used(bytes);
        for at in (index * 3 % 40..used).step_by((used / 12).max(1)) {
            let mut files = store.files.clone();
            let content = files.get_mut(name).expect("it is there");
            if index % 3 == 0 && at + 512 < used {
                content[at..at + 512].fill(0);
            } else {
                content[at] ^= 1 << (at % 8);
            }
            if files == store.files {
                continue;
            }
            let verified = verified(&files);
            let named = verified.checked.findings.iter().find(|finding| finding.file == *name);
            let named = named.unwrap_or_else(|| panic!("{name} at {at}: {:?}", verified.checked.findings));
            assert!(named.offset <= at as u64 + 512, "{name} at {at}: {named:?}");
            let started = start(&files);
            assert_eq!(started.is_err(), verified.is_unstartable(), "{name} at {at}: {started:?} {verified:?}");
            if let Err(
                JournalError::Corrupt { file, offset, .. } | JournalError::SnapshotDamaged { file, offset, .. },
            ) = started
            {
                assert_eq!((&file, offset), (&named.file, named.offset), "a start names the same place");
            }
            for choice in verified.choices {
                repair(&files, choice);
                *chosen.entry(choice.as_str()).or_default() += 1;
            }
        }
    }
    assert!(chosen.values().all(|times| *times >= 5) && chosen.len() == Choice::ALL.len(), "{chosen:?}");
}

#[test]
fn a_missing_file_is_named_and_what_is_offered_works() {
    for name in store().files.keys().filter(|name| *name != "LOCK" && *name != "MANIFEST") {
        if used(&store().files[name]) == 0 {
            continue;
        }
        let mut files = store().files.clone();
        files.remove(name);
        let verified = verified(&files);
        let named = verified.checked.findings.iter().any(|finding| finding.file == *name && finding.offset == 0);
        assert!(named, "{name}: {:?}", verified.checked.findings);
        assert_eq!(start(&files).is_err(), verified.is_unstartable(), "{name}");
        for choice in verified.choices {
            repair(&files, choice);
        }
    }
}

#[test]
fn every_bad_place_is_named() {
    let mut files = store().files.clone();
    let mut bad = Vec::new();
    for name in names(".segment", "") {
        let content = files.get_mut(&name).expect("it is there");
        let used = used(content);
        if used == 0 {
            continue;
        }
        for at in [used / 4, used / 2] {
            content[at] ^= 1;
            bad.push((name.clone(), at as u64));
        }
    }
    for name in names("", "snapshot-") {
        files.get_mut(&name).expect("it is there")[70_000] ^= 1;
        files.get_mut(&name).expect("it is there")[100] ^= 1;
        bad.extend([(name.clone(), 100), (name, 70_000)]);
    }
    let verified = verified(&files);
    for (name, at) in bad {
        // The nearest one before it, and no further from it than a frame or a block is long.
        let near = verified.checked.findings.iter().filter(|finding| finding.file == name && finding.offset <= at);
        let near = near.map(|finding| at - finding.offset).min();
        assert!(near.is_some_and(|bytes| bytes < 66_000), "{name} at {at}: {:?}", verified.checked.findings);
    }
    // No snapshot is whole: what is left is what stands before the first bad place of all.
    assert_eq!(verified.choices, [Choice::Skip, Choice::Cut]);
    let (repair, _) = repair(&files, Choice::Cut);
    assert_eq!(repair.base, "the begin of the log");
}

#[test]
fn a_torn_tail_is_no_damage_and_said() {
    let mut files = store().files.clone();
    let name = names(".segment", "").into_iter().rfind(|name| used(&store().files[name]) > 0).expect("one in use");
    let content = files.get_mut(&name).expect("it is there");
    // The seal: behind it stands nothing that would name it as synced.
    let end = used(content);
    content[end - 1] ^= 1;
    let verified = verified(&files);
    let [finding] = verified.checked.findings.as_slice() else { panic!("{verified:?}") };
    assert_eq!((finding.weight, finding.file.as_str()), (Weight::Torn, name.as_str()));
    assert!(!verified.is_damaged() && verified.choices.is_empty() && verified.jobs == Some(108));
}

#[test]
fn a_damaged_manifest_is_named() {
    let mut files = store().files.clone();
    files.get_mut("MANIFEST").expect("it is there")[30] ^= 1;
    let verified = verified(&files);
    assert!(verified.is_unstartable() && verified.choices.is_empty());
    assert_eq!(verified.checked.findings[0].file, "MANIFEST");
    let error = offline(&SimDisk::with_files(files)).plan(Choice::Cut, &mut |_| {}, &mut |_, _| {}).expect_err("none");
    assert!(error.message.contains("cut is no choice"), "{error}");
}

#[test]
fn what_cannot_be_read_is_never_given_up() {
    let snapshot = names("", "snapshot-").pop().expect("two");
    let segment = names(".segment", "").into_iter().rfind(|name| used(&store().files[name]) > 0).expect("one in use");
    for name in [&snapshot, &segment] {
        // A version of tomorrow, whole.
        let mut files = store().files.clone();
        let content = files.get_mut(name).expect("it is there");
        content[8] = 2;
        let checksum = crc32c::crc32c(&content[..60]);
        content[60..64].copy_from_slice(&checksum.to_le_bytes());
        let verified = verified(&files);
        assert!(verified.is_unstartable() && verified.checked.unread && verified.choices.is_empty(), "{verified:?}");
        for call in [Call::Open, Call::Read] {
            let storage = FaultyStorage::new(SimDisk::with_files(store().files.clone()));
            storage.plan().fail_only(name);
            storage.plan().fail_after(call, 0);
            let offline = Offline::open(storage, &mut |_, _| {}).expect("the others can be looked at");
            let verified = offline.verified();
            assert!(verified.is_unstartable() && verified.choices.is_empty(), "{name} {call:?}: {verified:?}");
            offline.plan(Choice::Cut, &mut |_| {}, &mut |_, _| {}).expect_err("it may be whole");
        }
    }
}

#[test]
fn what_is_lost_is_told_with_jobs_and_queues() {
    let mut files = store().files.clone();
    let newest = names("", "snapshot-").pop().expect("two");
    let position: u64 = newest.trim_start_matches("snapshot-").parse().expect("its position");
    let first = store().states.iter().position(|(at, _)| *at > position).expect("a log behind it");
    let (at, _) = store().states[first + 30];
    let disk = SimDisk::with_files(files.clone());
    let (file, offset) = offline(&disk).verified().checked.place(crate::journal::Position::new(at));
    files.get_mut(&file).expect("it is there")[usize::try_from(offset).expect("small") + 20] ^= 1;
    let disk = SimDisk::with_files(files);
    let mut lost = Vec::new();
    let repair =
        offline(&disk).plan(Choice::Cut, &mut |event| lost.push(event.clone()), &mut |_, _| {}).expect("a choice");
    assert_eq!(repair.lost_events, lost.len() as u64);
    let enqueued: Vec<&Lost> = lost.iter().filter(|lost| lost.event == "enqueued").collect();
    // The record that was hit cannot be read any more, and may be that of a job.
    assert!((107..=108).contains(&(repair.jobs + enqueued.len() as u64)), "kept and lost are all jobs");
    assert!(lost.iter().all(|lost| lost.number.is_none() || lost.queue.is_some()), "{lost:?}");
    assert!(lost.iter().all(|lost| lost.position + 64 > at), "nothing before the damage");
    assert!(lost.is_sorted_by_key(|lost| lost.position));
}

/// The store with the record hit that is the `nth` of its kind behind the newest snapshot.
fn hit(kind: &str, nth: usize) -> (Files, u64) {
    let disk = SimDisk::with_files(store().files.clone());
    let looked = offline(&disk);
    let inspection = looked.inspection.as_ref().expect("it is a journal");
    let mut found = Vec::new();
    let mut look = |record: Record<'_>| {
        let event = serde_json::to_value(decode(record.kind, record.body)?)?;
        if event["event"] == kind {
            found.push((record.position, event["number"].as_u64().unwrap_or(0)));
        }
        Ok(())
    };
    let mending = inspection.mend(&looked.verified.checked, Base::Newest, looked.verified.checked.end);
    mending.expect("it is kept").records(&mut look).expect("it is whole");
    let (position, number) = found[nth];
    let (file, offset) = looked.verified.checked.place(position);
    let mut files = store().files.clone();
    // In the body: the record is lost, and what stands with it in its frame can be read.
    files.get_mut(&file).expect("it is there")[usize::try_from(offset).expect("small") + 18] ^= 1;
    (files, number)
}

fn skipped(files: &Files) -> (Repair, Machine, Vec<Lost>) {
    let (disk, mut lost) = (SimDisk::with_files(files.clone()), Vec::new());
    let repair =
        offline(&disk).apply(Choice::Skip, &mut |event| lost.push(event.clone()), &mut |_, _| {}).expect("a choice");
    let mut recovering = Recovering::<Blobs>::default();
    drop(Journal::open_with(disk, options(), &mut recovering).expect("it was repaired"));
    (repair, recovering.machine, lost)
}

#[test]
fn what_stands_behind_a_bad_frame_can_be_gone_on_with() {
    let (files, number) = hit("enqueued", 3);
    let (repair, machine, lost) = skipped(&files);
    assert_eq!((repair.jobs, machine.jobs()), (107, 107), "one job is lost: {lost:?}");
    assert!(machine.queue_of(number).is_none() && lost.is_empty(), "nothing was about it later: {lost:?}");
    machine.assert_invariants();
}

#[test]
fn what_does_not_fit_behind_a_bad_frame_is_dropped_and_told() {
    let (files, number) = hit("leased", 2);
    let (repair, machine, lost) = skipped(&files);
    assert_eq!(machine.jobs(), 108);
    assert!(machine.queue_of(number).is_some(), "the job is there, and waits again");
    let told: Vec<(&str, u64)> =
        lost.iter().map(|lost| (lost.event.as_str(), lost.number.map_or(0, |it| it.0))).collect();
    assert_eq!(told, [("completed", number)]);
    assert_eq!((repair.lost_events, repair.lost_jobs), (1, 1));
    machine.assert_invariants();
}

/// A store with one bad place, and the choice to be made.
fn damages() -> Vec<(Files, Choice)> {
    let newest = names("", "snapshot-").pop().expect("two");
    let before = names("", "snapshot-").remove(0);
    let last = names(".segment", "").into_iter().rfind(|name| used(&store().files[name]) > 0).expect("one in use");
    let damage = |name: &str, at: usize| {
        let mut files = store().files.clone();
        files.get_mut(name).expect("it is there")[at] ^= 1;
        files
    };
    vec![
        (damage(&newest, 90), Choice::RebuildSnapshot),
        (damage(&newest, 20), Choice::RebuildSnapshot),
        (damage(&before, 90), Choice::ForgetHistory),
        (damage("00000002.segment", 5_000), Choice::ForgetHistory),
        (damage(&last, 5_000), Choice::Cut),
        (damage(&newest, 90), Choice::Cut),
        (damage(&last, 9_000), Choice::Skip),
    ]
}

/// Each image is read several times over, so one in some is tried.
const REPAIRS: Plan =
    Plan { lives: 1, draws: 2, one_in: 6, nested_one_in: [43, 37, 37], images_min: 300, place_min: 2 };

/// What is left is the old state, of which the same can be made again, or the new one. It is made again, and started.
fn repair_again(old: &Files, choice: Choice, wanted: u64, disk: &SimDisk) -> Result<(), String> {
    let offline = Offline::open(disk.clone(), &mut |_, _| {}).map_err(|error| error.to_string())?;
    check_kept(old, &disk.files());
    let verified = offline.verified();
    if !verified.is_damaged() {
        drop(offline);
    } else if verified.choices.contains(&choice) {
        offline.apply(choice, &mut |_| {}, &mut |_, _| {}).map_err(|error| error.to_string())?;
    } else {
        return Err(format!("it cannot be made again: {verified:?}"));
    }
    match start_on(disk) {
        Ok(hash) if hash == wanted => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn whatever_a_crash_leaves_of_a_repair_is_the_old_state_or_the_new() {
    let places = ["set aside", "snapshot", "manifest", "log", "removal"];
    sim::run("repair", REPAIRS, &places, &mut |trial, _| {
        for (files, choice) in damages() {
            let disk = SimDisk::with_files(files.clone());
            let repair = offline(&disk).apply(choice, &mut |_| {}, &mut |_, _| {}).expect("it is a choice");
            let wanted = match choice {
                Choice::Skip => start(&disk.files()).expect("it was repaired"),
                _ => expected(choice, &repair),
            };
            let places = disk.places();
            trial
                .crash(&disk, &|image| Some(places[image.point]), &mut |crashed| {
                    repair_again(&files, choice, wanted, crashed.disk)
                })
                .map_err(|error| format!("{choice:?}, {error}"))?;
        }
        Ok(())
    });
}

const COMPACTIONS: Plan =
    Plan { lives: 1, draws: 2, one_in: 4, nested_one_in: [11, 25, 25], images_min: 150, place_min: 3 };

#[test]
fn whatever_a_crash_leaves_of_a_compaction_by_hand_is_the_same_state() {
    let disk = SimDisk::with_files(store().files.clone());
    let options = CompactOptions { history: 0, ..OPTIONS };
    let compacted = compact(disk.clone(), options).expect("it is sound");
    assert!(compacted.bytes_after < compacted.bytes_before && compacted.snapshot_bytes > 0, "{compacted:?}");
    let places = disk.places();
    sim::run("compaction by hand", COMPACTIONS, &["snapshot", "manifest", "removal"], &mut |trial, _| {
        trial.crash(&disk, &|image| Some(places[image.point]), &mut |crashed| {
            // What is left is compacted again, which starts on it.
            compact(crashed.disk.clone(), options).map_err(|error| error.to_string())?;
            match start(&crashed.disk.files()) {
                Ok(hash) if hash == store().hash => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
    });
    assert!(verified(&disk.files()).checked.findings.is_empty());
    let again = compact(disk.clone(), OPTIONS).expect("it is sound");
    assert_eq!((again.snapshot_bytes, again.position), (0, compacted.position), "there is nothing new");
}

#[test]
fn an_empty_directory_is_not_made_a_journal() {
    let disk = SimDisk::new();
    compact(disk.clone(), OPTIONS).expect_err("there is none");
    Offline::open(disk.clone(), &mut |_, _| {}).expect_err("there is none");
    assert!(disk.files().is_empty());
}
