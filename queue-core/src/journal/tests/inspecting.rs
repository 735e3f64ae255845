//! Looking at a journal: everything is read as a start reads it, and nothing is changed.

use super::compaction::{State, append_frames, compact_whole, open};
use super::*;

#[test]
fn an_inspection_reads_what_a_start_reads_and_changes_nothing() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    for _ in 0..3 {
        append_frames(&mut journal, &mut kept, 20);
        compact_whole(&mut journal, 1 << 40);
    }
    append_frames(&mut journal, &mut kept, 5);
    drop(journal);
    let (files, calls) = (disk.files(), disk.calls());
    let inspection = Inspection::open(disk.clone()).expect("it is a journal");
    assert!(matches!(open(&disk), Err(JournalError::Locked { .. })), "it is being looked at");
    let mut state = State::default();
    let (recovered, torn) = inspection.replay(&mut state).expect("it is whole");
    assert_eq!(state.kept, kept);
    assert!(!recovered.clean && torn.is_empty(), "{recovered:?} {torn:?}");
    let snapshot = recovered.snapshot.expect("there is one");
    let mut before = Vec::new();
    let mut keep = |record: Record<'_>| {
        before.push(Kept::of(record));
        Ok(())
    };
    assert_eq!(inspection.history(&mut keep).expect("it is whole"), Position::ZERO);
    assert_eq!(before, kept[..kept.partition_point(|kept| kept.position < snapshot)]);
    drop(inspection);
    assert_eq!((disk.files(), disk.calls()), (files, calls));
    let (_, opened, _) = open(&disk).expect("it opens");
    assert_eq!(Recovered { clean: recovered.clean, ..opened }, recovered);
}

#[test]
fn a_torn_tail_is_told_and_left() {
    let (disk, records) = filled(FsyncPolicy::Always, 5);
    let mut files = disk.files();
    let name = "00000001.segment";
    let end = records.last().expect("some").position.get() + 64;
    files.get_mut(name).expect("it is there")[usize::try_from(end).expect("small")] ^= 1;
    let disk = SimDisk::with_files(files.clone());
    let (recovered, torn) = replayed(&disk);
    let (_, opened, _) = reopen(&SimDisk::with_files(files.clone()), FsyncPolicy::Always).expect("it opens");
    assert_eq!((recovered.end, recovered.records), (opened.end, opened.records));
    let [torn] = torn.as_slice() else { panic!("{torn:?}") };
    assert_eq!((torn.file.as_str(), torn.bytes), (name, opened.torn_bytes));
    assert_eq!(disk.files(), files);
}

fn replayed(disk: &SimDisk) -> (Recovered, Vec<Torn>) {
    let inspection = Inspection::open(disk.clone()).expect("it is a journal");
    inspection.replay(&mut recovery::RecordsOnly(&mut |_| Ok(()))).expect("it can be started")
}

#[test]
fn a_directory_of_another_program_gets_no_lock_file() {
    for (files, is_foreign) in [(vec![], false), (vec!["notes.txt"], true)] {
        let directory = tempfile::tempdir().expect("made");
        files.iter().for_each(|name| std::fs::write(directory.path().join(name), "x").expect("written"));
        let error = Inspection::open(DirStorage::new(directory.path())).expect_err("it is none of ours");
        assert_eq!(matches!(error, JournalError::Foreign { .. }), is_foreign, "{error}");
        assert_eq!(matches!(error, JournalError::NoJournal { .. }), !is_foreign, "{error}");
        assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), files.len());
    }
}

#[test]
fn a_lock_file_that_cannot_be_written_still_keeps_others_out() {
    let directory = tempfile::tempdir().expect("made");
    let storage = DirStorage::new(directory.path());
    drop(Journal::open(storage.clone(), small(FsyncPolicy::Always), &mut |_| Ok(())).expect("a new store opens"));
    let file = std::fs::File::open(directory.path().join("LOCK")).expect("it is there");
    file.try_lock().expect("nobody has it");
    let error = Inspection::open(storage.clone()).expect_err("somebody has it");
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    drop(file);
    let inspection = Inspection::open(storage.clone()).expect("nobody has it");
    assert!(matches!(storage.lock(), Err(LockFailure::Held { .. })));
    drop(inspection);
}
