//! Snapshots of a journal that goes on: nothing is lost between them, whatever a crash leaves, and what they replace goes.
//!
//! The state of these tests is the list of all records; a snapshot has a part for each.

use super::super::snapshot::{SNAPSHOT_PREFIX, SnapshotHeader};
use super::*;
use crate::journal::faults::{self, FaultyStorage};
use crate::journal::sim::{self, Chance, Plan};

pub(super) const HISTORY: u64 = 0;

/// The fold: every record so far, from the snapshot's parts and the log behind it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) kept: Vec<Kept>,
    from_parts: usize,
}

/// A number that tells states apart.
pub(super) fn hash(kept: &[Kept]) -> u64 {
    kept.iter().fold(kept.len() as u64, |hash, kept| hash.rotate_left(7) ^ kept.position.get())
}

impl Visitor for State {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        let (head, body) = body.split_at(17);
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let skippable = head[16] != 0;
        self.kept.push(Kept {
            position: Position::new(number(0)),
            kind,
            skippable,
            at: number(8),
            body: body.to_vec(),
        });
        self.from_parts += 1;
        Ok(())
    }

    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError> {
        assert_eq!(snapshot.state_hash, hash(&self.kept));
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        self.kept.push(Kept::of(record));
        Ok(())
    }
}

pub(super) fn open(disk: &SimDisk) -> Result<(Journal<SimDisk>, Recovered, State), JournalError> {
    open_as(disk, FsyncPolicy::Always)
}

pub(super) fn open_as(
    disk: &SimDisk,
    policy: FsyncPolicy,
) -> Result<(Journal<SimDisk>, Recovered, State), JournalError> {
    let mut state = State::default();
    let (journal, recovered) = Journal::open_with(disk.clone(), small(policy), &mut state)?;
    Ok((journal, recovered, state))
}

/// What a caller does with a compaction, up to the new manifest.
pub(super) fn try_compact<S: Storage>(compaction: Compaction<S>) -> Result<Compacted, JournalError> {
    let mut state = State::default();
    if let Some(mut snapshot) = compaction.snapshot()? {
        while snapshot.next_block(&mut |kind, body| state.part(kind, body))? {}
    }
    compaction.records(&mut |record| state.record(record))?;
    let mut writer = compaction.writer(hash(&state.kept))?;
    for Kept { position, kind, skippable, at, body } in &state.kept {
        let head = [&position.get().to_le_bytes()[..], &at.to_le_bytes(), &[u8::from(*skippable)]].concat();
        writer.part(*kind, &[&head, body])?;
    }
    let file = compaction.finish(writer)?;
    let mut again = compaction.reopen(&file)?;
    assert_eq!(again.header().position, compaction.position());
    while again.next_block(&mut |_, _| Ok(()))? {}
    compaction.put_in_force(file)
}

pub(super) fn compact(compaction: Compaction<SimDisk>) -> Compacted {
    try_compact(compaction).expect("the disk is well")
}

pub(super) fn compact_whole(journal: &mut Journal<SimDisk>, history: u64) -> Position {
    let compaction = journal.begin_compaction(history).expect("a segment is full");
    let compacted = compact(compaction);
    let position = compacted.position;
    finish(journal, compacted);
    position
}

pub(super) fn finish(journal: &mut Journal<SimDisk>, compacted: Compacted) {
    let cleanup = journal.finish_compaction(Some(compacted)).expect("there may be something to remove");
    cleanup.run().expect("the disk is well");
    journal.finish_cleanup();
}

pub(super) fn append_frames(journal: &mut Journal<SimDisk>, kept: &mut Vec<Kept>, frames: u8) {
    for frame in 0..frames {
        kept.push(append(journal, u64::from(frame), frame, 900));
        commit(journal, u64::from(frame));
    }
}

pub(super) fn names(disk: &SimDisk, prefix: &str) -> Vec<String> {
    let mut names = disk.list().expect("listed");
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names
}

#[test]
fn a_start_goes_on_from_the_snapshot() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    assert!(journal.begin_compaction(HISTORY).is_none(), "nothing is there");
    append_frames(&mut journal, &mut kept, 30);
    let position = compact_whole(&mut journal, HISTORY);
    assert!(journal.begin_compaction(HISTORY).is_none(), "no segment is full since");
    append_frames(&mut journal, &mut kept, 10);
    journal.close(1).expect("it closes");
    let (journal, recovered, state) = open(&disk).expect("it opens again");
    assert_eq!(state.kept, kept);
    assert_eq!(recovered.snapshot, Some(position));
    assert_eq!(state.from_parts, kept.iter().filter(|kept| kept.position < position).count());
    assert!(state.from_parts > 10 && recovered.clean);
    let snapshot = names(&disk, SNAPSHOT_PREFIX).pop().expect("it is there");
    assert_eq!(journal.snapshot_bytes(), disk.files()[&snapshot].len() as u64, "it says when the next one is due");
    assert_eq!(journal.bytes_behind_snapshot(), journal.written().get() - position.get());
}

#[test]
fn what_stands_behind_the_new_snapshot_is_read_in_order_until_it_is_enough() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    append_frames(&mut journal, &mut kept, 20);
    let mut compaction = journal.begin_compaction(HISTORY).expect("a segment is full");
    append_frames(&mut journal, &mut kept, 40);
    kept.retain(|kept| kept.position > compaction.position());
    let mut read = |enough: usize| {
        let mut behind = Vec::new();
        let visited = compaction.records_behind(&mut |record| {
            behind.push(Kept::of(record));
            Ok(if behind.len() == enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        visited.map(|()| behind).expect("the log is whole")
    };
    assert_eq!(read(3), kept[..3]);
    assert_eq!(read(usize::MAX), kept);
    compaction.records_behind(&mut |_| Err("not this one".into())).expect_err("it was refused");
}

#[test]
fn a_snapshot_is_made_from_the_one_before() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    for _ in 0..4 {
        append_frames(&mut journal, &mut kept, 40);
        compact_whole(&mut journal, HISTORY);
        drop(journal);
        let (opened, _, state) = open(&disk).expect("it opens again");
        assert_eq!(state.kept, kept);
        journal = opened;
    }
}

#[test]
fn one_generation_before_the_newest_stays() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    let mut snapshots = Vec::new();
    for round in 0..5 {
        append_frames(&mut journal, &mut kept, 40);
        snapshots.push(compact_whole(&mut journal, HISTORY));
        let left = names(&disk, SNAPSHOT_PREFIX);
        assert_eq!(left.len(), 2.min(round + 1), "{left:?}");
    }
    let oldest = names(&disk, "0").first().cloned().expect("segments");
    let header = journal.reader().read(Position::ZERO, 1, &mut |_| std::ops::ControlFlow::Break(()));
    let Ok(Chunk::Trimmed { oldest: first }) = header else { panic!("{header:?}") };
    assert_eq!(first, snapshots[3], "the log reaches back to the generation before: {oldest}");
}

#[test]
fn history_stays_for_readers_also_after_a_start() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let mut kept = Vec::new();
    for _ in 0..5 {
        append_frames(&mut journal, &mut kept, 40);
        compact_whole(&mut journal, 1 << 40);
    }
    drop(journal);
    let (journal, ..) = open(&disk).expect("it opens again");
    let mut read = Vec::new();
    let mut keep = |record: Record<'_>| {
        read.push(Kept::of(record));
        std::ops::ControlFlow::Continue(())
    };
    let chunk = journal.reader().read(Position::ZERO, u64::MAX, &mut keep).expect("it is whole");
    assert!(matches!(chunk, Chunk::Read { at_frontier: true, .. }), "{chunk:?}");
    assert_eq!(read, kept);
}

#[test]
fn a_damaged_snapshot_is_named_and_nothing_changes() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    append_frames(&mut journal, &mut Vec::new(), 30);
    compact_whole(&mut journal, HISTORY);
    drop(journal);
    let name = names(&disk, SNAPSHOT_PREFIX).pop().expect("a snapshot");
    let mut files = disk.files();
    files.get_mut(&name).expect("it is there")[100] ^= 1;
    let before = files.clone();
    let damaged = SimDisk::with_files(files);
    let error = open(&damaged).expect_err("a bit differs");
    assert!(matches!(&error, JournalError::SnapshotDamaged { file, .. } if *file == name), "{error}");
    assert_eq!(damaged.files(), before);
}

const PLAN: Plan =
    Plan { lives: 2, draws: 3, one_in: 1, nested_one_in: [29, 43, 43], images_min: 3_000, place_min: 20 };

/// Three compactions of a journal that goes on, and after how many calls each record was acknowledged.
fn live(chance: &mut Chance) -> (SimDisk, Vec<Kept>, Vec<usize>) {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    let (mut kept, mut acknowledged) = (Vec::new(), Vec::new());
    let mut one_more = |journal: &mut Journal<SimDisk>| {
        append_frames(journal, &mut kept, 1);
        acknowledged.push(disk.calls());
    };
    for _ in 0..3 {
        for _ in 0..12 + chance.below(6) {
            one_more(&mut journal);
        }
        // The journal goes on while a snapshot is made.
        let compaction = loop {
            match journal.begin_compaction(HISTORY) {
                Some(compaction) => break compaction,
                // No segment is full yet.
                None => one_more(&mut journal),
            }
        };
        one_more(&mut journal);
        let compacted = compact(compaction);
        one_more(&mut journal);
        finish(&mut journal, compacted);
        one_more(&mut journal);
    }
    (disk, kept, acknowledged)
}

#[test]
fn whatever_a_crash_leaves_of_a_compaction_is_the_same_log() {
    sim::run("compaction", PLAN, &["snapshot", "manifest", "removal", "log"], &mut |trial, seed| {
        let (disk, kept, acknowledged) = live(&mut Chance(seed));
        let places = disk.places();
        let mut first = 0;
        trial.crash(&disk, &|image| Some(places[image.point]), &mut |crashed| {
            let at_least = acknowledged.iter().filter(|&&calls| calls <= crashed.first.point).count();
            let allowed = if crashed.interrupted > 0 { first..=first } else { at_least..=at_least + 1 };
            let state = open(crashed.disk).map_err(|error| error.to_string())?.2;
            first = state.kept.len();
            // What was acknowledged, with one frame more at most, and the same at every start.
            if allowed.contains(&first) && state.kept == kept[..first] {
                Ok(())
            } else {
                Err(format!("{first} records instead of {allowed:?}"))
            }
        })
    });
}

#[test]
fn a_compaction_ends_when_its_journal_is_dropped_and_the_directory_is_held_until_then() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    append_frames(&mut journal, &mut Vec::new(), 30);
    let compaction = journal.begin_compaction(HISTORY).expect("a segment is full");
    assert!(journal.begin_compaction(HISTORY).is_none(), "one at a time");
    drop(journal);
    let stopped = compaction.records(&mut |_| Ok(())).expect_err("nobody wants it any more");
    assert!(matches!(stopped, JournalError::Stopped), "{stopped}");
    assert!(matches!(open(&disk), Err(JournalError::Locked { .. })), "it may still write");
    drop(compaction);
    open(&disk).expect("it opens again");
}

#[test]
fn what_is_given_up_leaves_nothing_behind() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk).expect("a new store opens");
    append_frames(&mut journal, &mut Vec::new(), 30);
    let compaction = journal.begin_compaction(HISTORY).expect("a segment is full");
    let mut writer = compaction.writer(0).expect("the disk is well");
    writer.part(1, &[&[0; 100_000]]).expect("the disk is well");
    assert_eq!(names(&disk, SNAPSHOT_PREFIX).len(), 1);
    drop(writer);
    assert!(names(&disk, SNAPSHOT_PREFIX).is_empty(), "half a snapshot");
    let whole = compaction.finish(compaction.writer(0).expect("the disk is well")).expect("the disk is well");
    assert_eq!(names(&disk, SNAPSHOT_PREFIX).len(), 1);
    drop(whole);
    assert!(names(&disk, SNAPSHOT_PREFIX).is_empty(), "a whole one that no manifest names");
    drop(compaction);
    assert!(journal.finish_compaction(None).is_none());
    assert_eq!(journal.bytes_since_compaction(), 0, "the next try waits for as much log again");
}

/// As where a process has no more descriptors: it is not room that is missing, and nothing is given up for more of it.
#[test]
fn a_segment_that_cannot_be_made_where_there_is_room_costs_no_history() {
    let disk = SimDisk::new();
    let storage = FaultyStorage::new(disk.clone());
    let (mut journal, ..) = reopen(&storage, FsyncPolicy::Always).expect("a new store opens");
    let fill = |journal: &mut Journal<FaultyStorage<SimDisk>>, until: fn(&Journal<FaultyStorage<SimDisk>>) -> bool| {
        while !until(journal) {
            append(journal, 1, 1, 900);
            commit(journal, 1);
        }
    };
    for round in 0..2 {
        match round {
            0 => fill(&mut journal, |journal| journal.segment() >= Some(2)),
            _ => {
                fill(&mut journal, |journal| journal.segment() >= Some(4));
                storage.plan().fail_only("0");
                storage.plan().fail_after(faults::Call::Create, 0);
                fill(&mut journal, |journal| journal.full().is_some());
                assert!(!journal.full().expect("it cannot be made").is_space);
            }
        }
        let compacted = try_compact(journal.begin_compaction(1 << 30).expect("a segment is full"));
        let cleanup = journal.finish_compaction(Some(compacted.expect("the disk has room")));
        cleanup.expect("it may remove something").run().expect("the disk is well");
        journal.finish_cleanup();
    }
    assert_eq!(names(&disk, "00000001.segment").len(), 1, "history goes back to the begin");
    assert_eq!(names(&disk, SNAPSHOT_PREFIX).len(), 2, "the generation before stays");
}
