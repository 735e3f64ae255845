//! Where an engine's events go: a journal, or for the memory engine a bounded ring.
//!
//! Both give a record its position at once; only a journal has something to wait for.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::feed::Draft;
use crate::journal::{Chunk, Journal, Position, Reader, Storage};
use crate::machine::{Event, encode, kind_of};
use crate::model::{Error, Word};

/// Bytes of events that the memory engine keeps for the feed.
const RING_BYTES: usize = 16 << 20;
/// Records that it keeps at most, and has room for from the start: a ring that grew would be copied while an enqueue waits.
const RING_RECORDS: usize = 1 << 17;

/// The end of the log that events are appended to.
#[derive(Debug)]
pub(super) enum Tail<S: Storage> {
    /// The append log.
    Journal(Box<Journal<S>>),
    /// Nothing outlives the process.
    Ring(Ring),
    /// The engine is closed, or given up after a failure: nothing is appended any more.
    Closed {
        /// What may leave: calls that still wait for a later position are never answered with success.
        frontier: u64,
    },
}

/// A record kept in memory.
#[derive(Clone, Debug)]
pub(super) struct KeptRecord {
    pub(super) position: u64,
    pub(super) kind: u16,
    pub(super) at: u64,
    /// Shared, so that a page of the feed copies none.
    pub(super) body: Bytes,
}

/// The newest records of the memory engine.
#[derive(Debug, Default)]
pub(super) struct Ring {
    records: VecDeque<KeptRecord>,
    bytes: usize,
    end: u64,
}

impl Ring {
    /// An empty ring. Its room is address space only until records come.
    pub(super) fn new() -> Self {
        Self { records: VecDeque::with_capacity(RING_RECORDS), ..Self::default() }
    }

    fn append(&mut self, at: u64, event: &Event<'_>) -> u64 {
        let mut body = Vec::new();
        encode(event, &mut body);
        let position = self.end;
        self.end += (body.len() as u64 + 8).next_multiple_of(8);
        self.bytes += body.len();
        while self.records.len() >= RING_RECORDS || self.bytes > RING_BYTES {
            // One record may be larger than the ring: it is what is kept then.
            let Some(old) = self.records.pop_front() else { break };
            self.bytes -= old.body.len();
        }
        let body = body.into_boxed_slice().into();
        self.records.push_back(KeptRecord { position, kind: kind_of(event), at, body });
        position
    }

    /// The position of the oldest record that is kept.
    pub(super) fn oldest(&self) -> u64 {
        self.records.front().map_or(self.end, |record| record.position)
    }

    /// The position after the newest record.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// The records before `end`, newest first.
    pub(super) fn before(&self, end: u64) -> impl Iterator<Item = &KeptRecord> {
        let behind = self.records.partition_point(|record| record.position < end);
        self.records.range(..behind).rev()
    }

    /// Up to `limit` records from `from` on, 0 means the oldest.
    pub(super) fn read(&self, from: u64, limit: usize) -> Result<Vec<KeptRecord>, Error> {
        let oldest = self.oldest();
        if from < oldest && from > 0 {
            return Err(trimmed(oldest));
        }
        if from > self.end {
            return Err(no_cursor(from));
        }
        let start = self.records.partition_point(|record| record.position < from);
        Ok(self.records.range(start..).take(limit).cloned().collect())
    }
}

impl<S: Storage> Tail<S> {
    /// Appends an event; its record's position is a multiple of 8.
    pub(super) fn append(&mut self, at: u64, event: &Event<'_>) -> u64 {
        match self {
            Self::Ring(ring) => ring.append(at, event),
            Self::Closed { .. } => unreachable!("every use of a store looks first whether it is open"),
            Self::Journal(journal) => journal.append(kind_of(event), false, at, |body| encode(event, body)).get(),
        }
    }

    /// The position after the last event.
    pub(super) fn end(&self) -> u64 {
        match self {
            Self::Ring(ring) => ring.end,
            Self::Closed { frontier } => *frontier,
            Self::Journal(journal) => journal.end().get(),
        }
    }

    /// What may leave.
    pub(super) fn frontier(&self) -> u64 {
        match self {
            Self::Ring(ring) => ring.end,
            Self::Closed { frontier } => *frontier,
            Self::Journal(journal) => journal.frontier().get(),
        }
    }

    /// The journal, if there is one.
    pub(super) const fn journal(&mut self) -> Option<&mut Journal<S>> {
        match self {
            Self::Ring(_) | Self::Closed { .. } => None,
            Self::Journal(journal) => Some(journal),
        }
    }

    /// Whether a position is one that has left.
    pub(super) fn has_left(&self, position: u64) -> bool {
        self.frontier() >= position
    }
}

/// Reads up to `limit` records and about `bytes` of journal from `from` on. Returns where to go on, and whether that is
/// all for now.
pub(super) fn read_journal<S: Storage>(
    reader: &mut Reader<S>,
    from: u64,
    bytes: u64,
    limit: usize,
    drafts: &mut Vec<Draft>,
) -> Result<(u64, bool), Error> {
    if from > reader.frontier().get() {
        return Err(no_cursor(from));
    }
    let mut left = limit;
    let chunk = reader.read(Position::new(from), bytes, &mut |record| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        drafts.extend(Draft::of(record.position.get(), record.kind, record.at, record.body));
        ControlFlow::Continue(())
    });
    match chunk {
        Ok(Chunk::Read { next, at_frontier }) => Ok((next.get(), at_frontier)),
        Ok(Chunk::Trimmed { oldest }) if from > 0 => Err(trimmed(oldest.get())),
        Ok(Chunk::Trimmed { oldest }) => Ok((oldest.get(), false)),
        Err(error) => {
            // A cursor that somebody made up looks the same as damage; only the second is worth a line, and recovery
            // is who finds it.
            tracing::debug!(cursor = from, "the feed cannot be read there: {error}");
            Err(no_cursor(from))
        }
    }
}

pub(super) fn no_cursor(cursor: u64) -> Error {
    Error::bad_arg("cursor", cursor, "the cursor of the page before, or 0 for the oldest event kept")
}

pub(super) fn trimmed(oldest: u64) -> Error {
    Error::new(Word::Trimmed, format!("the feed does not reach back that far; its oldest cursor is {oldest}"))
}
