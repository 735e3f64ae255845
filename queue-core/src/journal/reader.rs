//! Reading back what may leave: records from a position up to the frontier, in bounded chunks.
//!
//! Has file handles of its own and shares with the writer only the frontier and the table of segments.
//! Invariant: never returns a record beyond the frontier. Lengths are bytes.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::errors::Failure;
use super::format::{
    ALIGNMENT, Damage, FRAME_HEADER_BYTES, FrameHeader, Manifest, RECORD_HEAD_BYTES, decode_record, offset_in_segment,
    record_bytes,
};
use super::frames::next_header;
use super::scan::Window;
use super::segments::segment_name;
use super::storage::Storage;
use super::{JournalError, Position, Record};

/// What the writer tells its readers.
#[derive(Debug)]
pub(super) struct Shared {
    frontier: AtomicU64,
    /// Number and first position of each segment, ascending.
    segments: Mutex<Vec<(u32, Position)>>,
}

impl Shared {
    pub(super) fn new(segments: Vec<(u32, Position)>, frontier: Position) -> Shared {
        Shared { frontier: AtomicU64::new(frontier.get()), segments: Mutex::new(segments) }
    }

    pub(super) fn set_frontier(&self, frontier: Position) {
        // Release: whoever sees this frontier sees the segment that it lies in.
        self.frontier.store(frontier.get(), Ordering::Release);
    }

    pub(super) fn add_segment(&self, number: u32, first: Position) {
        self.segments.lock().expect("no holder panics").push((number, first));
    }

    /// Every segment there is to read, ascending.
    pub(super) fn segments(&self) -> Vec<(u32, Position)> {
        self.segments.lock().expect("no holder panics").clone()
    }

    /// From now on no reader opens a segment before this one.
    pub(super) fn remove_before(&self, number: u32) {
        self.segments.lock().expect("no holder panics").retain(|(segment, _)| *segment >= number);
    }

    fn frontier(&self) -> Position {
        Position::new(self.frontier.load(Ordering::Acquire))
    }

    /// The segment that holds `position`, and where it ends; or the oldest position there is.
    fn find(&self, position: Position) -> Result<(u32, Position, Option<Position>), Position> {
        let segments = self.segments.lock().expect("no holder panics");
        let after = segments.partition_point(|(_, first)| *first <= position);
        let end = segments.get(after).map(|(_, first)| *first);
        match after.checked_sub(1) {
            Some(at) => Ok((segments[at].0, segments[at].1, end)),
            None => Err(end.unwrap_or(Position::ZERO)),
        }
    }
}

/// What one call of [`Reader::read`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// Go on from `next`; `at_frontier` says that there is nothing more for now.
    Read {
        /// Where the next call begins.
        next: Position,
        /// Whether everything up to the frontier has been read.
        at_frontier: bool,
    },
    /// The position is older than the oldest segment.
    Trimmed {
        /// The oldest position that can be read.
        oldest: Position,
    },
}

/// Reads a running journal. See [`super::Journal::reader`].
#[derive(Debug)]
pub struct Reader<S: Storage> {
    storage: S,
    shared: Arc<Shared>,
    manifest: Manifest,
    open: Option<OpenSegment<S::File>>,
}

#[derive(Debug)]
struct OpenSegment<F> {
    number: u32,
    name: String,
    first: Position,
    salt: u64,
    window: Window<F>,
}

impl<S: Storage> Reader<S> {
    pub(super) fn new(storage: S, shared: Arc<Shared>, manifest: Manifest) -> Reader<S> {
        Reader { storage, shared, manifest, open: None }
    }

    /// How far can be read now.
    pub fn frontier(&self) -> Position {
        self.shared.frontier()
    }

    /// Hands records from `from` on to `visitor` until the frontier, until it has passed `bytes` of log, or until the
    /// visitor breaks: the record that it was given then is the next one.
    ///
    /// `from` is a record's position, the position after one, or a `next` of an earlier call. At least one record is
    /// read if there is one, however long it is.
    ///
    /// # Errors
    ///
    /// [`JournalError::Corrupt`] if `from` is none of these or the bytes there are damaged; [`JournalError::Io`].
    pub fn read(
        &mut self,
        from: Position,
        bytes: u64,
        visitor: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<Chunk, JournalError> {
        let frontier = self.shared.frontier();
        let mut next = from;
        let enough = Position::new(from.get().saturating_add(bytes.max(1)));
        while next < frontier.min(enough) {
            let (number, first, end) = match self.shared.find(next) {
                Ok(found) => found,
                // What was read before it was trimmed is an answer; the next call says the rest.
                Err(_) if next > from => break,
                Err(oldest) => return Ok(Chunk::Trimmed { oldest }),
            };
            let end = end.unwrap_or(frontier).min(frontier);
            let segment = match self.open(number, first) {
                Ok(segment) => segment,
                // A segment leaves the table before its file goes.
                Err(error) => match self.shared.find(next) {
                    Err(_) if next > from => break,
                    Err(oldest) => return Ok(Chunk::Trimmed { oldest }),
                    Ok(_) => return Err(error),
                },
            };
            // What stands behind may not be written yet: a window that held it would have to be read again.
            let bound = segment.offset(end);
            segment.window.bound(bound);
            while next < end.min(enough) {
                match segment.step(next, end, visitor) {
                    Ok(Some(after)) => next = after,
                    Ok(None) => return Ok(Chunk::Read { next, at_frontier: false }),
                    Err(stop) => return Err(self.explain(stop, next)),
                }
            }
        }
        Ok(Chunk::Read { next, at_frontier: next >= frontier })
    }

    /// The oldest position that can be read.
    pub fn oldest(&self) -> Position {
        self.shared.segments().first().map_or(Position::ZERO, |(_, first)| *first)
    }

    /// A position from which [`Reader::read`] comes to `end`: about `bytes` before it, further where a frame is longer, and in
    /// the segment that ends there. `None` if nothing before `end` is kept.
    ///
    /// # Errors
    ///
    /// As [`Reader::read`].
    pub fn before(&mut self, end: Position, bytes: u64) -> Result<Option<Position>, JournalError> {
        let Some(last) = end.get().checked_sub(ALIGNMENT as u64).map(Position::new) else { return Ok(None) };
        let Ok((number, first, _)) = self.shared.find(last) else { return Ok(None) };
        let segment = match self.open(number, first) {
            Ok(segment) => segment,
            // A segment leaves the table before its file goes.
            Err(error) => return self.shared.find(last).map_or(Ok(None), |_| Err(error)),
        };
        let mut bytes = bytes.next_multiple_of(ALIGNMENT as u64);
        loop {
            let from = end.get().saturating_sub(bytes);
            if from <= first.get() {
                return Ok(Some(first));
            }
            match segment.header_between(Position::new(from), end) {
                Ok(Some(header)) => return Ok(Some(header)),
                // In the midst of a frame that is longer.
                Ok(None) => bytes = bytes.saturating_mul(2),
                Err(source) => return Err(self.explain(Stop::Io(source), last)),
            }
        }
    }

    fn open(&mut self, number: u32, first: Position) -> Result<&mut OpenSegment<S::File>, JournalError> {
        let open = match self.open.take() {
            Some(open) if open.number == number => open,
            _ => {
                let name = segment_name(number);
                let file = self.storage.open(&name).map_err(Failure::of("open", &name))?;
                let window = Window::new(file).map_err(Failure::of("read", &name))?;
                OpenSegment { number, name, first, salt: self.manifest.segment_salt(number), window }
            }
        };
        Ok(self.open.insert(open))
    }

    fn explain(&self, stop: Stop, position: Position) -> JournalError {
        let open = self.open.as_ref().expect("a segment was being read");
        match stop {
            Stop::Io(source) => Failure::of("read", &open.name)(source).into(),
            Stop::Damage(damage) => JournalError::Corrupt {
                directory: self.storage.place(),
                file: open.name.clone(),
                offset: open.offset(position),
                position,
                synced: self.shared.frontier(),
                damage,
            },
        }
    }
}

enum Stop {
    Io(std::io::Error),
    Damage(Damage),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::Io(error)
    }
}

impl<F: super::StorageFile> OpenSegment<F> {
    /// Passes one frame header or one record at `at`; returns the position after it, or `None` where the visitor breaks.
    /// `end` bounds what is there.
    fn step(
        &mut self,
        at: Position,
        end: Position,
        visitor: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<Option<Position>, Stop> {
        let offset = self.offset(at);
        let head = self.window.slice(offset, FRAME_HEADER_BYTES)?;
        // A record whose checksum happens to read as a frame's magic fails the header's checksum.
        if let Ok(header) = FrameHeader::decode(head, self.salt, at) {
            let bytes = if header.seal { header.frame_bytes() } else { FRAME_HEADER_BYTES };
            return Ok(Some(at.plus(bytes as u64)));
        }
        let total = record_bytes(&head[..head.len().min(RECORD_HEAD_BYTES)]).ok_or(Stop::Damage(Damage::Record))?;
        if at.plus(total as u64) > end {
            return Err(Stop::Damage(Damage::Record));
        }
        let (record, _) = decode_record(self.window.slice(offset, total)?, at).map_err(Stop::Damage)?;
        Ok(visitor(record).is_continue().then(|| at.plus(total as u64)))
    }

    /// The first frame header from `from` on and before `end`.
    fn header_between(&mut self, from: Position, end: Position) -> std::io::Result<Option<Position>> {
        let bound = self.offset(end);
        self.window.bound(bound);
        let ahead = next_header(&mut self.window, offset_in_segment(from, self.first), self.salt, Some(self.first))?;
        Ok(ahead.header.map(|offset| from.plus(offset - offset_in_segment(from, self.first))))
    }

    fn offset(&self, position: Position) -> u64 {
        offset_in_segment(position, self.first)
    }
}
