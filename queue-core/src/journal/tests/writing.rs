//! Appending, committing, rotating, closing.

use super::super::faults::FaultyStorage;
use super::super::format::FRAME_HEADER_BYTES;
use super::*;

#[test]
fn positions_are_known_at_once_and_come_back() {
    let (disk, records) = filled(FsyncPolicy::Always, 100);
    let (_, recovered, found) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert_eq!(found, records);
    assert!(records.iter().all(|record| record.position.get().is_multiple_of(8)));
    assert_eq!((recovered.frames, recovered.records, recovered.last_at), (100, 200, 99));
    assert_eq!((recovered.created, recovered.clean, recovered.torn_bytes), (false, false, 0));
}

#[test]
fn a_clean_stop_is_found_clean_and_adds_nothing_when_opened_again() {
    let disk = SimDisk::new();
    let (mut journal, recovered, _) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert!(recovered.created && recovered.clean);
    append(&mut journal, 5, 1, 10);
    journal.close(5).expect("it closes");
    let (journal, first, _) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert!(first.clean && !first.created);
    assert_eq!((first.frames, first.records), (2, 1), "the record's frame and the seal");
    journal.close(6).expect("it closes");
    let (_, second, _) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert_eq!(first, second);
}

#[test]
fn a_drop_without_close_is_not_clean_and_gets_a_seal() {
    let (disk, _) = filled(FsyncPolicy::Always, 1);
    let (journal, recovered, _) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert!(!recovered.clean);
    assert!(journal.synced().get() >= recovered.end.get() + FRAME_HEADER_BYTES as u64);
    drop(journal);
    assert!(reopen(&disk, FsyncPolicy::Always).expect("it opens").1.clean);
}

#[test]
fn an_open_frame_that_was_never_committed_is_gone() {
    let (disk, records) = filled(FsyncPolicy::Always, 3);
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    append(&mut journal, 9, 9, 9);
    drop(journal);
    assert_eq!(reopen(&disk, FsyncPolicy::Always).expect("it opens").2, records);
}

#[test]
fn appending_goes_on_while_a_commit_runs() {
    let disk = SimDisk::new();
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let first = append(&mut journal, 1, 1, 50);
    let running = journal.begin_commit(1).expect("something to commit");
    let second = append(&mut journal, 2, 2, 50);
    assert!(journal.begin_commit(1).is_none(), "one commit at a time");
    assert!(journal.frontier() <= first.position, "nothing may leave yet");
    let frontier = journal.finish_commit(running.run()).expect("the disk is well");
    assert!(first.position < frontier && frontier < second.position);
    assert!(commit(&mut journal, 2) > second.position);
    drop(journal);
    assert_eq!(reopen(&disk, FsyncPolicy::Always).expect("it opens").2, [first, second]);
}

#[test]
fn a_frame_larger_than_a_segment_gets_a_segment_of_its_size() {
    let disk = SimDisk::new();
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let mut records = vec![append(&mut journal, 1, 1, 100)];
    commit(&mut journal, 1);
    records.push(append(&mut journal, 2, 2, 100_000));
    commit(&mut journal, 2);
    records.push(append(&mut journal, 3, 3, 100));
    commit(&mut journal, 3);
    drop(journal);
    assert_eq!(reopen(&disk, FsyncPolicy::Always).expect("it opens").2, records);
    assert!(disk.files()["00000002.segment"].len() > 100_000);
}

#[test]
fn segments_double_and_are_prepared_before_they_are_needed() {
    let (disk, _) = filled(FsyncPolicy::Always, 200);
    let lengths: Vec<usize> =
        disk.files().iter().filter(|(name, _)| name.ends_with(".segment")).map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths[..4], [4 << 10, 8 << 10, 16 << 10, 16 << 10]);
    let last = disk.files().into_iter().rfind(|(name, _)| name.ends_with(".segment")).expect("there is one").1;
    assert!(last.iter().all(|byte| *byte == 0), "the one ahead is untouched");
}

#[test]
fn a_failed_write_or_sync_is_final() {
    for sync in [false, true] {
        let storage = FaultyStorage::new(SimDisk::new());
        let (mut journal, ..) = reopen(&storage, FsyncPolicy::Always).expect("it opens");
        append(&mut journal, 1, 1, 10);
        commit(&mut journal, 1);
        let before = journal.frontier();
        if sync {
            storage.plan().fail_syncs_after(0)
        } else {
            storage.plan().fail_writes_after(0)
        }
        append(&mut journal, 2, 2, 10);
        let commit = journal.begin_commit(2).expect("something to commit");
        let error = journal.finish_commit(commit.run()).expect_err("the disk failed");
        assert!(error.is_final(), "{error}");
        let (writes, syncs) = (storage.plan().writes(), storage.plan().syncs());
        storage.plan().heal();
        append(&mut journal, 3, 3, 10);
        assert!(journal.begin_commit(3).is_none(), "nothing is retried");
        assert!(journal.begin_maintenance(3).is_none());
        assert_eq!((journal.frontier(), journal.next_due()), (before, None));
        assert!(journal.failed().is_some_and(JournalError::is_final));
        assert!(journal.close(4).is_err());
        assert_eq!((writes, syncs), (storage.plan().writes(), storage.plan().syncs()));
    }
}

#[test]
fn a_full_disk_is_found_while_the_next_segment_is_prepared() {
    let storage = FaultyStorage::new(SimDisk::new());
    let (mut journal, ..) = reopen(&storage, FsyncPolicy::Always).expect("it opens");
    storage.plan().fail_allocations_after(0);
    let mut records = vec![append(&mut journal, 1, 1, 100)];
    assert!(journal.full().is_none());
    commit(&mut journal, 1);
    let full = journal.full().expect("the next segment could not be allocated");
    assert!(full.reason.contains("00000002.segment"), "{}", full.reason);
    assert!(full.is_space);
    assert!(!storage.list().expect("listed").contains(&"00000002.segment.new".to_owned()), "its room is given back");
    records.push(append(&mut journal, 2, 2, 100));
    commit(&mut journal, 500);
    assert!(journal.full().is_some(), "what fits the current segment still goes in");
    storage.plan().heal();
    assert_eq!(journal.next_due(), Some(600), "the seal comes first");
    journal.maintain(999);
    assert!(journal.full().is_some(), "tried again only after a second");
    journal.maintain(1001);
    assert!(journal.full().is_none());
    drop(journal);
    assert_eq!(reopen(&storage, FsyncPolicy::Always).expect("it opens").2, records);
}

#[test]
fn a_frame_must_be_committed_before_a_command_might_not_fit() {
    let disk = SimDisk::new();
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    append(&mut journal, 1, 1, FRAME_BYTES_MAX - COMMAND_BYTES_MAX - 64);
    assert!(!journal.must_commit());
    append(&mut journal, 1, 1, 100);
    assert!(journal.must_commit());
    commit(&mut journal, 1);
    assert!(!journal.must_commit());
}

#[test]
fn a_frame_that_needs_the_next_segment_waits_while_maintenance_has_it() {
    let disk = SimDisk::new();
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let mut records = vec![append(&mut journal, 1, 1, 100)];
    let running = journal.begin_commit(1).expect("something to commit");
    journal.finish_commit(running.run()).expect("the disk is well");
    let step = journal.begin_maintenance(1).expect("the next segment is behind");
    records.push(append(&mut journal, 2, 2, 8000));
    assert!(journal.begin_commit(2).is_none());
    journal.finish_maintenance(step.run());
    commit(&mut journal, 2);
    drop(journal);
    assert_eq!(reopen(&disk, FsyncPolicy::Always).expect("it opens").2, records);
}

#[test]
fn the_next_segment_is_prepared_in_steps_of_a_mebibyte_and_the_journal_is_busy_meanwhile() {
    let disk = SimDisk::new();
    let options = Options { segment_bytes_first: 4 << 20, segment_bytes_max: 4 << 20, ..small(FsyncPolicy::Always) };
    let (mut journal, _) = Journal::open(disk.clone(), options, &mut |_| Ok(())).expect("it opens");
    append(&mut journal, 1, 1, 3 << 20);
    let running = journal.begin_commit(1).expect("something to commit");
    journal.finish_commit(running.run()).expect("the disk is well");
    let mut steps = 0;
    while let Some(step) = journal.begin_maintenance(1) {
        steps += 1;
        assert!(journal.is_busy() && journal.begin_maintenance(1).is_none(), "one at a time");
        assert_eq!(step.is_last(), steps == 4);
        journal.finish_maintenance(step.run());
    }
    assert_eq!((steps, journal.is_busy()), (4, false));
}

#[test]
fn commits_syncs_and_maintenance_may_run_on_other_threads() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Commit<DirStorage>>();
    is_send::<Committed<DirStorage>>();
    is_send::<PendingSync<DirStorage>>();
    is_send::<Maintenance<DirStorage>>();
    is_send::<Reader<DirStorage>>();
    is_send::<Journal<DirStorage>>();
}

#[test]
fn one_frame_is_one_write_and_one_sync() {
    let storage = FaultyStorage::new(SimDisk::new());
    let (mut journal, ..) = reopen(&storage, FsyncPolicy::Always).expect("it opens");
    append(&mut journal, 1, 1, 10);
    commit(&mut journal, 1);
    let (writes, syncs) = (storage.plan().writes(), storage.plan().syncs());
    for record in 0..20 {
        append(&mut journal, 2, record, 20);
    }
    let running = journal.begin_commit(2).expect("something to commit");
    assert!(running.syncs());
    journal.finish_commit(running.run()).expect("the disk is well");
    assert_eq!((storage.plan().writes() - writes, storage.plan().syncs() - syncs), (1, 1));
}
