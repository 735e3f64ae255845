//! The state as parts, and back: what a snapshot is made of, whoever keeps it.
//!
//! A part is a kind and a body, written as a record's is: a fixed head, then numbered optional fields. A later version adds
//! kinds and fields; numbers, once given, are never given again. Written is only what nothing else tells: orders,
//! timers, counts by state, uses, known ids and digests are made again from the rows. Equal states give equal parts, so
//! two snapshots can be compared byte by byte.

mod check;
mod operation;
mod queue;
mod restore;
mod row;
mod stats;
mod tables;

pub use restore::Restore;

use super::record::bytes::{Reader, Writer};
use super::{Blob, Machine, Wrong};

/// The kinds of parts, below 0x4000: from there on they belong to who keeps the snapshot, or say that they may be skipped.
mod kind {
    pub(super) const STORE: u16 = 1;
    pub(super) const NAMES: u16 = 2;
    pub(super) const WORKERS: u16 = 3;
    pub(super) const POLICIES: u16 = 4;
    pub(super) const QUEUE: u16 = 5;
    pub(super) const REMEMBERED: u16 = 6;
    pub(super) const SETTLED: u16 = 7;
    pub(super) const OPERATION: u16 = 8;
    pub(super) const ROW: u16 = 9;
    // What decides nothing may be skipped.
    pub(super) const SERIES: u16 = 0x8000 | 10;
    pub(super) const CANDIDATES: u16 = 0x8000 | 11;
    pub(super) const FAILURE: u16 = 0x8000 | 12;
}

/// The numbers of optional fields, over all kinds.
mod field {
    pub(super) const KEY: u8 = 1;
    pub(super) const SETTINGS: u8 = 2;
    pub(super) const CONFIG: u8 = 3;
    pub(super) const SET_BY: u8 = 4;
    pub(super) const PAUSED: u8 = 5;
    pub(super) const ACTOR: u8 = 6;
    pub(super) const REASON: u8 = 7;
    pub(super) const ENDED_AT: u8 = 8;
    pub(super) const MORE: u8 = 9;
    pub(super) const ID: u8 = 10;
    pub(super) const TAG: u8 = 11;
    pub(super) const HEADERS: u8 = 12;
    pub(super) const EXPIRES_AT: u8 = 13;
    pub(super) const RUNS: u8 = 14;
    pub(super) const LEASE: u8 = 15;
    pub(super) const FAILURE: u8 = 16;
    pub(super) const RESULT: u8 = 17;
    pub(super) const PROGRESS: u8 = 18;
    pub(super) const LOG: u8 = 19;
    pub(super) const LOG_CHUNK: u8 = 20;
    pub(super) const CANCEL: u8 = 21;
    pub(super) const OPEN: u8 = 22;
    pub(super) const OPEN_MINUTE: u8 = 23;
    pub(super) const SECONDS: u8 = 24;
    pub(super) const MINUTES: u8 = 25;
    pub(super) const COUNTS: u8 = 26;
    pub(super) const OF_QUEUE: u8 = 27;
    pub(super) const OF_NAME: u8 = 28;
    pub(super) const OF_JOB: u8 = 29;
}

/// Bytes after which a part that holds many small things is closed and another begun.
const PART_BYTES: usize = 32 << 10;

impl Machine {
    /// The whole state, and what happened over time, as parts, in the order that [`Restore`] takes them. Deterministic: equal states give equal parts.
    pub fn save(&self, part: &mut dyn FnMut(u16, &[u8])) {
        let mut parts = Parts { part, body: Vec::new() };
        parts.add(kind::STORE, |w| self.write_store(w));
        tables::save(&self.names, kind::NAMES, &mut parts);
        tables::save(&self.workers, kind::WORKERS, &mut parts);
        tables::save(&self.policies, kind::POLICIES, &mut parts);
        for (number, queue) in (0..).zip(&self.queues) {
            parts.add(kind::QUEUE, |w| queue::write(w, number, queue));
            queue::save_remembered(number, &queue.remembered, &mut parts);
        }
        for page in self.settled.pages() {
            parts.add(kind::SETTLED, |w| tables::write_settled(w, &page));
        }
        for (&number, operation) in &self.operations {
            parts.add(kind::OPERATION, |w| operation::write(w, number, operation));
        }
        for (number, row) in self.rows.iter() {
            parts.add(kind::ROW, |w| row::write(w, number, row));
        }
        stats::save(&self.stats, &mut parts);
    }

    /// Every blob that a row points to, ascending by position.
    pub fn live_blobs(&self) -> Vec<Blob> {
        let of_row = |(_, row): (u64, &super::rows::Row)| {
            let more = row.more.as_ref().map(|more| more.blobs()).into_iter().flatten();
            std::iter::once(row.payload).chain(more).collect::<smallvec::SmallVec<[Blob; 4]>>()
        };
        let mut blobs: Vec<Blob> = self.rows.iter().flat_map(of_row).collect();
        blobs.sort_unstable_by_key(|blob| blob.position);
        blobs
    }

    fn write_store(&self, w: &mut Writer<'_>) {
        w.u64(self.steady).u64(self.offset.cast_unsigned()).u64(self.removal_from);
        w.u64(self.last_number).u64(self.last_token.0).u64(self.last_operation);
        if self.key_set {
            let [one, other] = self.ids.key();
            w.nested(field::KEY, |w| {
                w.u64(one).u64(other);
            });
        }
    }
}

/// Where parts go: a body is written in one buffer, handed over, and written over.
struct Parts<'a> {
    part: &'a mut dyn FnMut(u16, &[u8]),
    body: Vec<u8>,
}

impl Parts<'_> {
    fn add(&mut self, kind: u16, write: impl FnOnce(&mut Writer<'_>)) {
        self.body.clear();
        write(&mut Writer(&mut self.body));
        (self.part)(kind, &self.body);
    }
}

/// Reads a value that must end where its bytes do.
fn whole<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Reader<'a>) -> Result<T, Wrong>) -> Result<T, Wrong> {
    let mut r = Reader(bytes);
    let value = read(&mut r)?;
    r.fields(|_, _| Ok(false))?;
    Ok(value)
}

/// Puts the value of an optional field where it belongs; a field stands once.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<bool, Wrong> {
    match slot.replace(value) {
        None => Ok(true),
        Some(_) => Err("a field stands twice".into()),
    }
}

#[cfg(test)]
mod tests;
