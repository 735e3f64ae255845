//! The journal's own tests, by role. Shared here: a small store in memory and what it should give back.

mod backups;
mod compaction;
mod damage;
mod every_bit;
mod failing;
mod inspecting;
mod layout;
mod properties;
mod reading;
mod reserve;
mod restoring;
mod snapshots;
mod syncing;
mod writing;

use std::ops::ControlFlow;

use super::sim::SimDisk;
use super::*;

/// A record as the tests remember it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) position: Position,
    pub(super) kind: u16,
    pub(super) skippable: bool,
    pub(super) at: u64,
    pub(super) body: Vec<u8>,
}

impl Kept {
    pub(super) fn of(record: Record<'_>) -> Kept {
        let Record { position, kind, skippable, at, body } = record;
        Kept { position, kind, skippable, at, body: body.to_vec() }
    }
}

/// Segments of 4 KiB to 16 KiB, so that a few records rotate.
pub(super) fn small(policy: FsyncPolicy) -> Options {
    Options { policy, segment_bytes_first: 4 << 10, segment_bytes_max: 16 << 10, store_salt: 7, reserve: false }
}

pub(super) fn reopen<S: Storage>(
    storage: &S,
    policy: FsyncPolicy,
) -> Result<(Journal<S>, Recovered, Vec<Kept>), JournalError> {
    let mut records = Vec::new();
    let (journal, recovered) = Journal::open(storage.clone(), small(policy), &mut |record| {
        records.push(Kept::of(record));
        Ok(())
    })?;
    Ok((journal, recovered, records))
}

/// Appends a record whose body is `length` bytes of `byte`.
pub(super) fn append<S: Storage>(journal: &mut Journal<S>, at: u64, byte: u8, length: usize) -> Kept {
    let body = vec![byte; length];
    let position = journal.append(u16::from(byte), byte.is_multiple_of(2), at, |into| into.extend_from_slice(&body));
    Kept { position, kind: u16::from(byte), skippable: byte.is_multiple_of(2), at, body }
}

pub(super) fn commit<S: Storage>(journal: &mut Journal<S>, now: u64) -> Position {
    let commit = journal.begin_commit(now).expect("there is something to commit");
    let frontier = journal.finish_commit(commit.run()).expect("the disk is well");
    journal.maintain(now);
    frontier
}

/// A store of `frames` frames of two records each, not closed, and its records.
pub(super) fn filled(policy: FsyncPolicy, frames: u8) -> (SimDisk, Vec<Kept>) {
    let disk = SimDisk::new();
    let (mut journal, ..) = reopen(&disk, policy).expect("a new store opens");
    let mut records = Vec::new();
    for frame in 0..frames {
        for part in 0..2_u8 {
            records.push(append(&mut journal, u64::from(frame), frame, 100 + usize::from(part)));
        }
        commit(&mut journal, u64::from(frame));
    }
    drop(journal);
    (disk, records)
}
