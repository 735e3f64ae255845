//! What may still be appended: asked before a command is applied, so that no frame is begun that would find no room.
//!
//! Leaves it to the caller what is new work, what a lease and what a settlement, and to `stock` how the files are made.
//! Invariants: what fits here is written into files that are allocated, synced and named; a frame never crosses a segment,
//! and what a full disk's frame may take is counted whole; a little of the last segment is left to starts. In bytes.

use super::format::{COMMAND_BYTES_MAX, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, SEAL_BYTES_MAX, SEGMENT_HEADER_BYTES};
use super::storage::Storage;
use super::{Journal, Position};

/// Left free behind every frame, so that its seal needs no segment of its own.
const SEAL_BYTES: u64 = SEAL_BYTES_MAX;
/// Left free in the reserve's last segment for the seals and records of starts to come, unless it is a small one.
const STARTS_BYTES: u64 = 16 << 10;
/// What others may write while somebody waits for a segment that is large enough: with room for nothing else it would have to
/// meet an empty frame, which beside many small producers may never be there. What is small asks for as much again.
const BESIDE_BYTES: u64 = 256 << 10;
/// With less than this left for it, nothing of a kind is to be expected to fit.
const LITTLE_BYTES: u64 = 512;

/// How far into the reserve a record may go while the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Not at all: new work.
    NoReserve,
    /// Into its first segment: what hands out work that is there.
    First,
    /// Into its second, too: what ends or removes work.
    Second,
    /// To the last byte: what a start writes.
    Last,
}

impl Reach {
    /// Segments of the reserve that must be left behind it.
    fn leaves(self) -> usize {
        match self {
            Reach::NoReserve => 2,
            Reach::First => 1,
            Reach::Second | Reach::Last => 0,
        }
    }
}

/// How many bytes of records may be appended now, and once everything that runs has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that fit the open frame.
    pub now: u64,
    /// Bytes that fit at best a frame to come: worth waiting for what is open, being written or being prepared.
    pub later: u64,
}

/// What a full disk still lets happen. Ordered: each level refuses what the one before does, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Open,
    /// All but new work.
    NoNewWork,
    /// Settlements and removals alone.
    NoLeases,
    /// Nothing that has to be written.
    Nothing,
}

impl<S: Storage> Journal<S> {
    /// What may be appended by somebody who may go that far into the reserve.
    pub fn space(&self, reach: Reach) -> Space {
        let open = self.open.frame_bytes();
        let frame = (FRAME_BYTES_MAX - self.open.payload_bytes()) as u64;
        let full = self.stock.failure().is_some();
        if full && reach == Reach::NoReserve {
            return Space { now: 0, later: 0 };
        }
        let spares = self.stock.spares();
        let count = spares.clone().count();
        let leaves = if full && self.stock.has_reserve() { reach.leaves() } else { 0 };
        let unused = if full && count == 0 && reach != Reach::Last { self.left_to_starts() } else { 0 };
        let up_to = |end: Position| {
            let left = (end.get() - self.open.start.get()).saturating_sub(SEAL_BYTES + unused);
            if count >= leaves && !self.rotate_next { left } else { 0 }
        };
        let here = up_to(self.room_end);
        let around = SEGMENT_HEADER_BYTES as u64 + SEAL_BYTES;
        let mut usable = spares.take(count.saturating_sub(leaves)).map(|bytes| bytes.saturating_sub(around));
        let next = usable.next().unwrap_or(0);
        if !full {
            // What does not fit the next segment is prepared for. It is waited for where it is late: whether there is room for
            // it is not known before, and until then nothing but a start takes of the reserve.
            let next = if reach == Reach::Last { next } else { self.stock.next_ready().saturating_sub(around) };
            let now = here.max(next).saturating_sub(open).min(frame);
            let later = COMMAND_BYTES_MAX as u64;
            // Nothing is kept back for such a journal: it makes segments when it needs them.
            return if self.stock.has_reserve() { Space { now, later } } else { Space { now: frame, later } };
        }
        let now = here.max(next).saturating_sub(open).min(frame);
        let largest = usable.max().unwrap_or(0).max(next);
        let later = up_to(self.room_to_come).max(largest).saturating_sub(FRAME_HEADER_BYTES as u64);
        // An empty frame beside which nothing runs has nothing to wait for.
        let waits = self.open.records > 0 || self.is_writing();
        Space { now, later: if waits { later.max(now) } else { now } }
    }

    /// Has the next segment made so large, and at once, that a frame with so many `bytes` of records fits it beside what others
    /// write before it and with it.
    pub fn prepare_for(&mut self, bytes: u64) {
        self.stock.want_next(bytes + bytes.min(BESIDE_BYTES) + FRAME_HEADER_BYTES as u64 + SEAL_BYTES);
    }

    /// Whether a commit, a sync or a step of maintenance runs.
    pub fn is_writing(&self) -> bool {
        self.committing || self.syncing || self.maintaining
    }

    /// What can still happen here, as far as room decides it.
    pub fn level(&self) -> Level {
        let fits = |reach| self.space(reach).now.max(self.space(reach).later) >= LITTLE_BYTES;
        match () {
            () if self.full().is_none() => Level::Open,
            () if fits(Reach::First) => Level::NoNewWork,
            () if fits(Reach::Second) => Level::NoLeases,
            () => Level::Nothing,
        }
    }

    /// The reserve's file for a snapshot is to fit one of about so many `bytes`: what a snapshot of everything before the segment in
    /// use would have.
    pub fn expect_snapshot(&mut self, bytes: u64) {
        self.stock.expect_snapshot(bytes);
    }

    /// Whether the disk is full and a snapshot that covered the current segment, too, would take at most half of what one does
    /// that ends before it; `bytes` is about its length in bytes.
    pub fn rotation_pays(&self, bytes: u64) -> bool {
        // Otherwise a snapshot of what is sealed comes first, unless that found no room.
        let current = self.current.as_ref().map(|current| current.number);
        let tried = self.made_room_in.map(|(segment, _)| segment) == current;
        let idle = (tried || !self.has_sealed_log()) && self.compacting.is_none() && !self.rotate_next;
        idle && self.lacks_space() && self.stock.snapshot_could_halve(bytes)
    }

    /// Whether what cannot be made lacks room on the disk, and not something else.
    pub fn lacks_space(&self) -> bool {
        self.stock.failure().is_some_and(|full| full.is_space)
    }

    /// Has the next frame begin a segment, so that a snapshot can cover what is in the current one. With nothing to write
    /// that frame is a seal, which comes at once.
    pub fn rotate_soon(&mut self) {
        let possible = self.stock.failure().is_none() || self.stock.spares().next().is_some();
        self.rotate_next = self.current.is_some() && possible;
    }

    /// Whether a seal would need no room that is not there.
    pub(super) fn has_seal_room(&self) -> bool {
        let here = self.room_end.get().saturating_sub(self.open.start.get()) >= SEAL_BYTES;
        here || self.stock.spares().next().is_some() || self.stock.failure().is_none()
    }

    fn left_to_starts(&self) -> u64 {
        let capacity = self.current.as_ref().map_or(0, |current| current.capacity);
        STARTS_BYTES.min(capacity / 8)
    }
}
