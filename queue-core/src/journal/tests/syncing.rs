//! Policies, seals, the frontier.

use super::super::faults::FaultyStorage;
use super::*;

#[test]
fn a_seal_is_due_after_a_tenth_of_a_second_without_a_write() {
    let (disk, _) = (SimDisk::new(), ());
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert_eq!(journal.next_due(), None);
    append(&mut journal, 1, 1, 10);
    commit(&mut journal, 1000);
    assert_eq!(journal.next_due(), Some(1100));
    assert!(journal.begin_commit(1099).is_none());
    let seal = journal.begin_commit(1100).expect("the seal");
    // It is echoed in the next block.
    assert_eq!(seal.bytes() as u64, 512 - (64 + journal.written().get()) + 48);
    journal.finish_commit(seal.run()).expect("the disk is well");
    assert_eq!(journal.next_due(), None);
    drop(journal);
    assert!(reopen(&disk, FsyncPolicy::Always).expect("it opens").1.clean, "an idle store needs no clean stop");
}

#[test]
fn everysec_lets_go_what_is_written_and_syncs_after_a_second() {
    let storage = FaultyStorage::new(SimDisk::new());
    let (mut journal, ..) = reopen(&storage, FsyncPolicy::EverySec).expect("it opens");
    append(&mut journal, 1, 1, 10);
    commit(&mut journal, 1000);
    let syncs = storage.plan().syncs();
    append(&mut journal, 1, 1, 10);
    let frontier = commit(&mut journal, 1050);
    assert_eq!(frontier, journal.end());
    assert!(journal.synced() < frontier);
    assert!(journal.begin_sync(1999).is_none());
    let sync = journal.begin_sync(2000).expect("a second after the first write");
    assert!(journal.begin_sync(2000).is_none(), "one at a time");
    append(&mut journal, 1, 1, 10);
    let later = commit(&mut journal, 2010);
    assert_eq!(journal.finish_sync(sync.run()).expect("the disk is well"), later);
    assert_eq!(journal.synced(), frontier, "what was written while it ran is not synced");
    assert!(storage.plan().syncs() > syncs);
}

#[test]
fn everysec_holds_replies_back_once_a_sync_is_two_seconds_late() {
    let (mut journal, ..) = reopen(&SimDisk::new(), FsyncPolicy::EverySec).expect("it opens");
    append(&mut journal, 1, 1, 10);
    let early = commit(&mut journal, 1000);
    let sync = journal.begin_sync(2000).expect("it is due");
    append(&mut journal, 1, 1, 10);
    let in_time = commit(&mut journal, 3999);
    assert!(in_time > early);
    append(&mut journal, 1, 1, 10);
    assert_eq!(commit(&mut journal, 4000), in_time, "held back");
    let released = journal.finish_sync(sync.run()).expect("the disk is well");
    assert_eq!(released, journal.end());
}

#[test]
fn a_failed_sync_beside_the_commits_is_final_too() {
    let storage = FaultyStorage::new(SimDisk::new());
    let (mut journal, ..) = reopen(&storage, FsyncPolicy::EverySec).expect("it opens");
    append(&mut journal, 1, 1, 10);
    commit(&mut journal, 1000);
    storage.plan().fail_syncs_after(0);
    let sync = journal.begin_sync(2000).expect("it is due");
    append(&mut journal, 1, 1, 10);
    let running = journal.begin_commit(2000).expect("something to commit");
    assert!(journal.finish_sync(sync.run()).expect_err("it failed").is_final());
    assert!(journal.finish_commit(running.run()).expect_err("and so did everything").is_final());
}

#[test]
fn policy_no_syncs_where_a_segment_ends_and_at_a_clean_stop() {
    let storage = FaultyStorage::new(SimDisk::new());
    let (mut journal, ..) = reopen(&storage, FsyncPolicy::No).expect("it opens");
    append(&mut journal, 1, 1, 10);
    commit(&mut journal, 1);
    // From here on only the segment that is prepared would sync.
    let syncs = storage.plan().syncs();
    append(&mut journal, 1, 1, 10);
    let running = journal.begin_commit(2).expect("something to commit");
    assert!(!running.syncs());
    assert_eq!(journal.finish_commit(running.run()).expect("the disk is well"), journal.end());
    assert_eq!((storage.plan().syncs(), journal.next_due()), (syncs, None));
    journal.close(3).expect("it closes");
    assert!(storage.plan().syncs() > syncs);
    assert!(reopen(&storage, FsyncPolicy::No).expect("it opens").1.clean);
}

#[test]
fn what_syncs_earlier_writes_does_not_run_beside_a_sync() {
    let (mut journal, ..) = reopen(&SimDisk::new(), FsyncPolicy::EverySec).expect("it opens");
    append(&mut journal, 1, 1, 10);
    commit(&mut journal, 1000);
    let sync = journal.begin_sync(2000).expect("it is due");
    assert!(journal.begin_commit(2000).is_none(), "the seal waits");
    append(&mut journal, 1, 1, 8000);
    assert!(journal.begin_commit(2000).is_none(), "a rotation waits");
    assert!(journal.is_busy());
    journal.finish_sync(sync.run()).expect("the disk is well");
    append(&mut journal, 1, 1, 10);
    let rotation = journal.begin_commit(2000).expect("now it may");
    assert!(rotation.is_long(), "it syncs the segment that it leaves");
    assert!(journal.begin_sync(9000).is_none(), "the sync waits");
    journal.finish_commit(rotation.run()).expect("the disk is well");
    assert!(journal.begin_sync(9000).is_some());
}

#[test]
fn only_what_syncs_more_than_its_frame_is_long() {
    for policy in [FsyncPolicy::Always, FsyncPolicy::EverySec, FsyncPolicy::No] {
        let (mut journal, ..) = reopen(&SimDisk::new(), policy).expect("it opens");
        append(&mut journal, 1, 1, 10);
        commit(&mut journal, 1);
        append(&mut journal, 1, 1, 2500);
        let stays = journal.begin_commit(2).expect("something to commit");
        assert!(!stays.is_long(), "{policy:?}");
        journal.finish_commit(stays.run()).expect("the disk is well");
        journal.maintain(2);
        append(&mut journal, 1, 1, 2500);
        let rotates = journal.begin_commit(3).expect("something to commit");
        assert_eq!(rotates.is_long(), policy != FsyncPolicy::Always, "{policy:?}");
    }
}
