//! Backups beside a journal that goes on, and what is restored from them: everything up to the moment they began, whatever
//! a crash leaves, of the journal, of the backup, and of the restore.
//!
//! The state of these tests is the list of all records, as in the tests of compaction.

use std::path::Path;

use super::super::faults::{Call, FaultyStorage};
use super::super::sim::{self, Loss, Plan};
use super::compaction::{HISTORY, State, append_frames, compact, compact_whole, finish, names, open, open_as};
use super::*;

pub(super) fn backups(disk: &SimDisk) -> SimDisk {
    disk.at(Path::new("backups"))
}

/// The directory of one backup.
pub(super) fn made(disk: &SimDisk, name: &str) -> SimDisk {
    disk.at(&Path::new("backups").join(name))
}

fn back_up(journal: &mut Journal<SimDisk>, disk: &SimDisk, name: &str) -> BackedUp {
    let backup = journal.begin_backup().expect("nothing else runs");
    let backed_up = backup.run(&backups(disk), name).expect("the disk is well");
    journal.finish_backup();
    backed_up
}

/// A store with a snapshot, some log behind it, and a backup `one` of it; and what the backup has.
pub(super) fn backed_up() -> (SimDisk, Vec<Kept>) {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    append_frames(&mut journal, &mut kept, 20);
    compact_whole(&mut journal, HISTORY);
    append_frames(&mut journal, &mut kept, 20);
    back_up(&mut journal, &disk, "one");
    (disk, kept)
}

pub(super) fn no_progress(_: u64, _: u64) {}

#[test]
fn a_backup_has_everything_before_its_beginning_and_the_journal_goes_on() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    append_frames(&mut journal, &mut kept, 20);
    compact_whole(&mut journal, HISTORY);
    append_frames(&mut journal, &mut kept, 20);
    let backup = journal.begin_backup().expect("nothing else runs");
    let before = kept.clone();
    append_frames(&mut journal, &mut kept, 30);
    let backed_up = backup.run(&backups(&disk), "one").expect("the disk is well");
    journal.finish_backup();
    append_frames(&mut journal, &mut kept, 5);
    let bytes: u64 = made(&disk, "one").list().expect("listed").iter().map(|name| length(&disk, name)).sum();
    let manifest = length(&disk, "MANIFEST");
    assert_eq!(backed_up.linked_bytes + backed_up.copied_bytes, bytes - manifest);
    assert!(backed_up.linked_bytes > backed_up.copied_bytes, "{backed_up:?}");
    assert_eq!((backed_up.place.as_str(), names(&backups(&disk), "one")), ("backups/one", vec!["one".to_owned()]));
    drop(journal);
    assert_eq!(open(&disk).expect("it opens again").2.kept, kept);
    let (_, recovered, state) = open(&made(&disk, "one")).expect("a backup is a store");
    assert!(recovered.restored && recovered.clean);
    assert_eq!(state.kept, before);
    assert_eq!(
        open(&disk).expect("it opens again").2.kept,
        kept,
        "what starts on a backup shares nothing that is written"
    );
}

fn length(disk: &SimDisk, name: &str) -> u64 {
    made(disk, "one").open(name).and_then(|file| file.length()).expect("it is there")
}

#[test]
fn a_backup_of_a_young_store_has_its_few_records() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    assert!(journal.begin_backup().is_none(), "there is nothing yet");
    let mut kept = Vec::new();
    append_frames(&mut journal, &mut kept, 1);
    assert_eq!(back_up(&mut journal, &disk, "one").linked_bytes, 0);
    assert_eq!(open(&made(&disk, "one")).expect("a backup is a store").2.kept, kept);
}

#[test]
fn a_backup_and_a_compaction_wait_for_each_other() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    append_frames(&mut journal, &mut Vec::new(), 30);
    let compaction = journal.begin_compaction(HISTORY).expect("a segment is full");
    assert!(journal.begin_backup().is_none(), "files are about to go");
    let compacted = compact(compaction);
    let cleanup = journal.finish_compaction(Some(compacted)).expect("it came to something");
    assert!(journal.begin_backup().is_none(), "files are going");
    cleanup.run().expect("the disk is well");
    journal.finish_cleanup();
    append_frames(&mut journal, &mut Vec::new(), 30);
    let backup = journal.begin_backup().expect("nothing else runs");
    assert!(journal.is_backing_up() && journal.is_busy());
    assert!(journal.begin_compaction(HISTORY).is_none() && journal.begin_backup().is_none(), "one at a time");
    drop(backup);
    journal.finish_backup();
    assert!(journal.begin_compaction(HISTORY).is_some());
}

#[test]
fn a_backup_ends_when_its_journal_is_dropped_and_leaves_nothing() {
    let (disk, _) = backed_up();
    let (mut journal, ..) = open(&disk).expect("it opens again");
    append_frames(&mut journal, &mut Vec::new(), 1);
    let backup = journal.begin_backup().expect("nothing else runs");
    drop(journal);
    assert!(matches!(open(&disk), Err(JournalError::Locked { .. })), "its files are still needed");
    let stopped = backup.run(&backups(&disk), "two").expect_err("nobody wants it any more");
    assert!(matches!(stopped, JournalError::Stopped), "{stopped}");
    assert_eq!(backups(&disk).list().expect("listed"), ["one"]);
    open(&disk).expect("it opens again");
}

#[test]
fn a_name_that_is_taken_is_refused_and_leftovers_go() {
    let (disk, kept) = backed_up();
    let (mut journal, ..) = open(&disk).expect("it opens again");
    append_frames(&mut journal, &mut Vec::new(), 1);
    let before = made(&disk, "one").list().expect("listed");
    let mut run = |name: &str| {
        let backup = journal.begin_backup().expect("nothing else runs");
        let outcome = backup.run(&backups(&disk), name);
        journal.finish_backup();
        outcome
    };
    let taken = run("one").expect_err("it is there");
    assert_eq!(taken.to_string(), "backups/one is there already; give the backup another name");
    assert_eq!(made(&disk, "one").list().expect("listed"), before);
    // One that was interrupted, and one in which somebody keeps something else.
    for (name, file) in [(".backup-half", "00000001.segment"), (".backup-own", "notes.txt")] {
        made(&disk, name).create(file).expect("made");
    }
    assert_eq!(run("two").expect("nothing is in its way").left, [".backup-own"]);
    assert_eq!(backups(&disk).list().expect("listed"), [".backup-own", "one", "two"]);
    let refused = run("own").expect_err("somebody's files are in the way");
    assert!(refused.to_string().contains(".backup-own"), "{refused}");
    made(&disk, ".backup-own").remove("notes.txt").expect("removed");
    assert!(run("own").expect("nothing is in the way").left.is_empty());
    assert_eq!(backups(&disk).list().expect("listed"), ["one", "own", "two"]);
    let lock = backups(&disk).lock().expect("nobody has it");
    let error = run("three").expect_err("another store makes a backup there");
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    drop(lock);
    assert_eq!(open(&made(&disk, "one")).expect("a backup is a store").2.kept, kept);
}

#[test]
fn a_store_beside_the_backups_is_left_whatever_its_name() {
    let (disk, kept) = backed_up();
    restore(&made(&disk, "one"), &made(&disk, "jobs.new"), &mut no_progress).expect("it is whole");
    let (mut journal, ..) = open(&disk).expect("it opens again");
    append_frames(&mut journal, &mut Vec::new(), 1);
    back_up(&mut journal, &disk, "two");
    assert_eq!(open(&made(&disk, "jobs.new")).expect("it is a store").2.kept, kept);
    // Even under a name that is ours, as long as somebody runs it.
    restore(&made(&disk, "one"), &made(&disk, ".backup-jobs"), &mut no_progress).expect("it is whole");
    let lock = made(&disk, ".backup-jobs").lock().expect("nobody has it");
    let backup = journal.begin_backup().expect("nothing else runs").run(&backups(&disk), "three");
    assert_eq!(backup.expect("it is in nobody's way").left, [".backup-jobs"]);
    journal.finish_backup();
    let error = journal.begin_backup().expect("nothing else runs").run(&backups(&disk), "jobs");
    let error = error.expect_err("its owner is to choose another");
    assert!(matches!(&error, JournalError::Locked { directory, .. } if directory.ends_with(".backup-jobs")), "{error}");
    drop(lock);
    assert_eq!(open(&made(&disk, ".backup-jobs")).expect("it is a store").2.kept, kept);
}

#[test]
fn a_plain_file_among_the_backups_is_in_nobodys_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, backups) = (directory.path().join("data"), directory.path().join("backups"));
    std::fs::create_dir(&backups).expect("made");
    std::fs::write(backups.join("x.new"), b"mine").expect("written");
    std::fs::write(backups.join(".backup-x"), b"mine").expect("written");
    let storage = DirStorage::new(data);
    let (mut journal, _) = Journal::open(storage, small(FsyncPolicy::Always), &mut |_| Ok(())).expect("it opens");
    append(&mut journal, 0, 0, 900);
    commit(&mut journal, 0);
    let backup = journal.begin_backup().expect("nothing else runs");
    backup.run(&DirStorage::new(&backups), "one").expect("nothing is in the way");
    assert_eq!(std::fs::read(backups.join("x.new")).expect("it is there"), b"mine");
    assert_eq!(std::fs::read(backups.join(".backup-x")).expect("it is there"), b"mine");
}

#[test]
fn a_link_whose_answer_is_lost_empties_nothing() {
    let disk = FaultyStorage::new(SimDisk::new());
    let (mut journal, _) = Journal::open(disk.clone(), small(FsyncPolicy::Always), &mut |_| Ok(())).expect("it opens");
    let kept: Vec<Kept> = (0..40)
        .map(|frame| {
            let record = append(&mut journal, 0, frame, 900);
            commit(&mut journal, 0);
            record
        })
        .collect();
    disk.plan().fail_after(Call::Link, 0);
    disk.plan().lose_answers(true);
    let backup = journal.begin_backup().expect("nothing else runs");
    backup.run(&disk.at(Path::new("backups")), "one").expect("what was not linked is copied");
    journal.finish_backup();
    drop(journal);
    assert_eq!(open(disk.below()).expect("it opens again").2.kept, kept);
    assert_eq!(open(&made(disk.below(), "one")).expect("a backup is a store").2.kept, kept);
}

#[test]
fn a_backup_without_room_is_refused_before_it_takes_any() {
    // For nothing, and for the segment in use alone.
    for room in [0, 20 << 10] {
        let disk = FaultyStorage::new(SimDisk::new());
        let options = small(FsyncPolicy::Always);
        let (mut journal, _) = Journal::open(disk.clone(), options, &mut |_| Ok(())).expect("it opens");
        for frame in 0..40 {
            append(&mut journal, 0, frame, 900);
            commit(&mut journal, 0);
        }
        let backup = journal.begin_backup().expect("nothing else runs");
        let one = backup.run(&disk.at(Path::new("backups")), "one").expect("there is room");
        assert!(one.copied_bytes < 20 << 10 && one.linked_bytes > 20 << 10, "{one:?}");
        journal.finish_backup();
        disk.below().set_capacity(Some(u64::MAX / 2));
        let used = u64::MAX / 2 - disk.free_bytes().expect("known");
        disk.below().set_capacity(Some(used + room));
        disk.plan().fail_after(Call::Link, 0);
        let (before, created) = (disk.below().files(), disk.plan().calls(Call::Create));
        let backup = journal.begin_backup().expect("nothing else runs");
        let error = backup.run(&disk.at(Path::new("backups")), "two").expect_err("there is no room");
        check_no_room(&error, "backups/.backup-two", room);
        assert_eq!(disk.plan().calls(Call::Create), created, "nothing was begun");
        assert!(disk.below().files() == before, "nothing is left");
        let new = disk.below().at(Path::new("new"));
        let error = restore(&made(disk.below(), "one"), &new, &mut no_progress).expect_err("there is no room");
        match room {
            // Not even for the name that says that it is not whole.
            0 => assert!(error.is_space(), "{error}"),
            _ => check_no_room(&error, "new", room),
        }
        assert_eq!(new.list().expect("listed"), [""; 0]);
    }
}

fn check_no_room(error: &JournalError, place: &str, free: u64) {
    assert!(error.is_space(), "{error}");
    let source = std::error::Error::source(error).expect("the reason").to_string();
    assert_eq!(error.to_string(), format!("failed to find room in {place}"));
    assert!(source.ends_with(&format!(" bytes are needed and {free} are free")), "{source}");
}

#[test]
fn a_backup_right_after_a_rotation_is_whole_whatever_was_synced() {
    for policy in [FsyncPolicy::Always, FsyncPolicy::EverySec, FsyncPolicy::No] {
        let disk = SimDisk::new();
        let (mut journal, ..) = open_as(&disk, policy).expect("a new store opens");
        let mut kept = Vec::new();
        while journal.segments() < 3 {
            append_frames(&mut journal, &mut kept, 1);
        }
        back_up(&mut journal, &disk, "one");
        assert_eq!(open(&made(&disk, "one")).expect("a backup is a store").2.kept, kept, "{policy:?}");
    }
}

#[test]
fn a_backup_whose_name_cannot_be_made_durable_has_none() {
    let (disk, _) = backed_up();
    let (mut journal, ..) = open(&disk).expect("it opens again");
    append_frames(&mut journal, &mut Vec::new(), 1);
    // The manifest's comes first.
    disk.fail_directory_sync_after(1);
    let backup = journal.begin_backup().expect("nothing else runs");
    let error = backup.run(&backups(&disk), "two").expect_err("a sync fails").to_string();
    assert_eq!(error, "failed to sync backups");
    assert_eq!(backups(&disk).list().expect("listed"), ["one"]);
    journal.finish_backup();
    back_up(&mut journal, &disk, "two");
}

#[test]
fn a_store_that_was_killed_is_not_called_damaged() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    append_frames(&mut journal, &mut kept, 20);
    drop(journal);
    let new = disk.at(Path::new("new"));
    let error = restore(&disk, &new, &mut no_progress).expect_err("its end is not there").to_string();
    assert!(error.starts_with("simulated disk is no backup but a store that was not closed: 0000000"), "{error}");
    assert!(
        error.ends_with("start longshore-server on it and stop it, then restore it, or restore a backup"),
        "{error}"
    );
    open(&disk).expect("it opens").0.close(0).expect("it closes");
    restore(&disk, &new, &mut no_progress).expect("now it has an end");
    assert_eq!(open(&new).expect("it opens").2.kept, kept);
}

#[test]
fn what_cannot_be_linked_is_copied() {
    let disk = FaultyStorage::new(SimDisk::new());
    let (mut journal, _) = Journal::open(disk.clone(), small(FsyncPolicy::Always), &mut |_| Ok(())).expect("it opens");
    let mut kept = Vec::new();
    for frame in 0..40 {
        kept.push(append(&mut journal, 0, frame, 900));
        commit(&mut journal, 0);
    }
    let mut run = |name| {
        let backup = journal.begin_backup().expect("nothing else runs");
        let backed_up = backup.run(&disk.at(Path::new("backups")), name).expect("the disk is well");
        journal.finish_backup();
        backed_up
    };
    let linked = run("linked");
    disk.plan().fail_after(Call::Link, 1);
    let some = run("some");
    disk.plan().fail_after(Call::Link, 0);
    let copied = run("copied");
    assert!(0 < some.linked_bytes && some.linked_bytes < linked.linked_bytes && copied.linked_bytes == 0);
    assert_eq!(linked.linked_bytes + linked.copied_bytes, copied.copied_bytes);
    drop(journal);
    for name in ["linked", "some", "copied"] {
        assert_eq!(open(&made(disk.below(), name)).expect("a backup is a store").2.kept, kept, "{name}");
    }
}

#[test]
fn damage_in_the_store_is_found_before_there_is_a_backup() {
    let (disk, _) = backed_up();
    let (mut journal, ..) = open(&disk).expect("it opens again");
    let name = names(&disk, "snapshot-").pop().expect("a snapshot");
    let file = disk.open(&name).expect("it is there");
    let mut byte = [0];
    file.read_at(&mut byte, 200).expect("read");
    file.write_at(&[byte[0] ^ 4], 200).expect("written");
    let error =
        journal.begin_backup().expect("nothing else runs").run(&backups(&disk), "two").expect_err("a bit differs");
    let expected = "run `longshore journal verify simulated disk`, then `longshore journal repair simulated disk`";
    assert!(error.to_string().starts_with(&name) && error.to_string().ends_with(expected), "{error}");
    assert_eq!(backups(&disk).list().expect("listed"), ["one"]);
}

#[test]
fn a_backup_that_lost_its_end_is_damaged_and_not_torn() {
    let (disk, _) = backed_up();
    let files = disk.files();
    let last = made(&disk, "one").list().expect("listed").into_iter().rfind(|name| name.ends_with(".segment"));
    let last = format!("backups/one/{}", last.expect("a segment"));
    let used = files[&last].iter().rposition(|byte| *byte != 0).expect("frames") + 1;
    // Its seal alone, and frames with it.
    for zeroed in [48, 1_000] {
        let mut files = files.clone();
        files.get_mut(&last).expect("it is there")[used - zeroed..].fill(0);
        let damaged = SimDisk::with_files(files);
        let error = open(&made(&damaged, "one")).expect_err("its end is gone");
        assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
        let error = restore(&made(&damaged, "one"), &damaged.at(Path::new("new")), &mut no_progress);
        let error = error.expect_err("its end is gone");
        assert!(last.ends_with(&damaged_file(&error)), "{error}");
    }
}

fn damaged_file(error: &JournalError) -> String {
    match error {
        JournalError::BackupDamaged { file, .. } => file.clone(),
        other => panic!("{other}"),
    }
}

/// A life with backups and compactions, and what was known when.
struct Life {
    disk: SimDisk,
    policy: FsyncPolicy,
    kept: Vec<Kept>,
    /// After how many calls each record was acknowledged.
    acknowledged: Vec<usize>,
    /// Each backup's name, after how many calls it was there, and its records.
    backups: Vec<(String, usize, usize)>,
}

impl Life {
    fn append(&mut self, journal: &mut Journal<SimDisk>, frames: u8) {
        append_frames(journal, &mut self.kept, frames);
        // A frame has one record.
        self.acknowledged.resize(self.kept.len(), self.disk.calls());
    }

    fn live(policy: FsyncPolicy) -> Life {
        let disk = SimDisk::new();
        let mut life = Life { disk, policy, kept: Vec::new(), acknowledged: Vec::new(), backups: Vec::new() };
        let (mut journal, ..) = open_as(&life.disk, policy).expect("a new store opens");
        for round in 0..3 {
            life.append(&mut journal, 13);
            // Now and then the segment in use is synced when a backup begins, now and then not.
            if round == 1
                && let Some(sync) = journal.begin_sync(100_000)
            {
                journal.finish_sync(sync.run()).expect("the disk is well");
            }
            let backup = journal.begin_backup().expect("nothing else runs");
            let records = life.kept.len();
            life.append(&mut journal, 1);
            let name = format!("backup-{round}");
            backup.run(&backups(&life.disk), &name).expect("the disk is well");
            life.backups.push((name, life.disk.calls(), records));
            life.append(&mut journal, 1);
            journal.finish_backup();
            if let Some(compaction) = journal.begin_compaction(HISTORY) {
                let compacted = compact(compaction);
                life.append(&mut journal, 1);
                finish(&mut journal, compacted);
            }
        }
        drop(journal);
        life
    }

    /// What is found after a crash behind `point` calls: the journal as it was acknowledged, every backup whole or not at all.
    /// Returns how many records the journal has.
    fn check(&self, disk: &SimDisk, point: usize) -> Result<usize, String> {
        // Both opened: the journal writes, and what it shares with a backup must not change by it.
        let state = open_as(disk, self.policy).map_err(|error| error.to_string())?.2;
        self.check_prefix(&state)?;
        let promised = self.acknowledged.iter().filter(|&&calls| calls <= point).count();
        if self.policy == FsyncPolicy::Always && state.kept.len() < promised {
            return Err(format!("{} records, {promised} were acknowledged", state.kept.len()));
        }
        let there = backups(disk).list().map_err(|error| error.to_string())?;
        for (name, calls, records) in &self.backups {
            if there.contains(name) {
                let state = open(&made(disk, name)).map_err(|error| format!("{name}: {error}"))?.2;
                self.check_prefix(&state)?;
                if state.kept.len() != *records {
                    return Err(format!("{name} has {} records of {records}", state.kept.len()));
                }
            } else if *calls <= point {
                return Err(format!("{name} was made, and is gone"));
            }
        }
        Ok(state.kept.len())
    }

    fn check_prefix(&self, state: &State) -> Result<(), String> {
        if self.kept.starts_with(&state.kept) { Ok(()) } else { Err("not what was appended".to_owned()) }
    }

    /// The next backup clears what an interrupted one left, and has what is there.
    fn check_next(&self, disk: &SimDisk) -> Result<(), String> {
        let (mut journal, _, state) = open_as(disk, self.policy).map_err(|error| error.to_string())?;
        let mut kept = state.kept;
        append_frames(&mut journal, &mut kept, 1);
        let backup = journal.begin_backup().expect("nothing else runs");
        backup.run(&backups(disk), "next").map_err(|error| error.to_string())?;
        let there = backups(disk).list().map_err(|error| error.to_string())?;
        if there.iter().any(|name| name.starts_with(".backup-")) {
            return Err(format!("leftovers: {there:?}"));
        }
        let state = open(&made(disk, "next")).map_err(|error| error.to_string())?.2;
        if state.kept == kept { Ok(()) } else { Err("the next backup has something else".to_owned()) }
    }
}

const PLAN: Plan =
    Plan { lives: 1, draws: 2, one_in: 1, nested_one_in: [41, 53, 53], images_min: 1_500, place_min: 10 };

fn crash_everywhere(policy: FsyncPolicy) {
    sim::run(
        &format!("backup, {policy:?}"),
        PLAN,
        &["backup", "log", "snapshot", "manifest", "removal"],
        &mut |trial, _| {
            let life = Life::live(policy);
            let places = life.disk.places();
            let mut first = 0;
            trial.crash(&life.disk, &|image| Some(places[image.point]), &mut |crashed| {
                let before = crashed.disk.after_power_loss(Loss::Nothing);
                let records = life.check(crashed.disk, crashed.first.point)?;
                if crashed.interrupted > 0 && records != first {
                    return Err(format!("{records} records, and {first} before"));
                }
                first = records;
                // On another disk, so that the calls on this one stay those of the starts.
                if records.is_multiple_of(8) { life.check_next(&before) } else { Ok(()) }
            })
        },
    );
}

#[test]
fn whatever_a_crash_leaves_of_a_backup_is_whole_or_no_backup() {
    crash_everywhere(FsyncPolicy::Always);
}

#[test]
fn a_backup_shares_nothing_with_a_journal_whose_end_a_crash_takes_back() {
    crash_everywhere(FsyncPolicy::EverySec);
    crash_everywhere(FsyncPolicy::No);
}
