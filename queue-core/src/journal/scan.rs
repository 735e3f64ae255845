//! Reading a segment's bytes: a window over the file, the walk over its frames, the search behind the last good one.
//!
//! Judges bytes only; what a bad frame means (torn tail or corruption) is `recovery`'s decision.
//! Invariant: nothing is handed out whose checksums were not checked. Offsets and lengths are bytes.

use std::io;

use super::errors::{Failure, JournalError, at};
use super::format::{ALIGNMENT, Damage, Manifest, SEGMENT_HEADER_BYTES, SegmentHeader, offset_in_segment};
use super::frames::{Frames, header_at, next_header};
use super::segments::segment_name;
use super::storage::{Storage, StorageFile};
use super::{Position, Record};

/// A segment's number and the position of its first frame.
pub(super) type Span = (u32, Position);

/// How much is read at once, unless a frame is longer.
const READ_BYTES: u64 = 256 << 10;

/// A file with the part of it that was read last.
#[derive(Debug)]
pub(super) struct Window<F> {
    file: F,
    length: u64,
    /// Offset beyond which nothing is read.
    bound: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl<F: StorageFile> Window<F> {
    pub(super) fn new(file: F) -> io::Result<Window<F>> {
        let length = file.length()?;
        Ok(Window { length, bound: length, file, buffer: Vec::new(), start: 0 })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn file(&self) -> &F {
        &self.file
    }

    pub(super) fn into_file(self) -> F {
        self.file
    }

    /// Reads nothing from `offset` on.
    pub(super) fn bound(&mut self, offset: u64) {
        self.bound = offset.min(self.length);
    }

    /// The `bytes` bytes from `offset` on; fewer only at the file's end or bound.
    pub(super) fn slice(&mut self, offset: u64, bytes: usize) -> io::Result<&[u8]> {
        let bytes = usize::try_from(self.bound.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes);
        let inside = offset >= self.start && offset - self.start + bytes as u64 <= self.buffer.len() as u64;
        if !inside {
            let ahead = READ_BYTES.max(bytes as u64).min(self.bound.saturating_sub(offset));
            self.buffer.resize(usize::try_from(ahead).expect("a window fits memory"), 0);
            let read = self.file.read_at(&mut self.buffer, offset).map_err(at(offset))?;
            self.buffer.truncate(read);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).expect("inside the window");
        Ok(&self.buffer[from..(from + bytes).min(self.buffer.len())])
    }

    /// Hands the bytes from `from` to `to` on, a piece at a time, each with its offset.
    pub(super) fn pieces(
        &mut self,
        from: u64,
        to: u64,
        mut piece: impl FnMut(&F, &[u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut offset = from;
        while offset < to.min(self.length) {
            let bytes = usize::try_from((to - offset).min(READ_BYTES)).expect("bounded");
            let read = self.slice(offset, bytes)?.len();
            if read == 0 {
                break;
            }
            let start = usize::try_from(offset - self.start).expect("inside the window");
            piece(&self.file, &self.buffer[start..start + read], offset)?;
            offset += read as u64;
        }
        Ok(())
    }
}

/// What the frames from a segment's beginning came to, and why the walk ended.
#[derive(Debug)]
pub(super) struct Walk {
    /// Position after the last good frame.
    pub(super) end: Position,
    pub(super) chain: u32,
    pub(super) frames: u64,
    pub(super) records: u64,
    /// `at` of the last record, if there was one.
    pub(super) last_at: Option<u64>,
    /// Whether the last frame is a seal.
    pub(super) sealed: bool,
    /// The last position that a frame names as synced.
    pub(super) claim: Position,
    /// What stands where the next frame would begin.
    pub(super) stop: Damage,
}

/// Why a walk was given up.
pub(super) enum WalkError {
    Io(io::Error),
    Visitor(JournalError),
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> WalkError {
        WalkError::Io(error)
    }
}

impl WalkError {
    /// As the error of whoever read the segment of this name.
    pub(super) fn reading(self, name: &str) -> JournalError {
        match self {
            WalkError::Io(source) => Failure::of("read", name)(source).into(),
            WalkError::Visitor(error) => error,
        }
    }
}

/// Opens a segment that is known to be there and to begin at this position.
pub(super) fn open_segment<S: Storage>(
    storage: &S,
    manifest: &Manifest,
    (number, first): Span,
) -> Result<(Window<S::File>, SegmentHeader), JournalError> {
    let name = segment_name(number);
    let file = storage.open(&name).map_err(Failure::of("open", &name))?;
    let mut window = Window::new(file).map_err(Failure::of("read", &name))?;
    let head = window.slice(0, SEGMENT_HEADER_BYTES).map_err(Failure::of("read", &name))?;
    match SegmentHeader::decode(head, number, manifest.segment_salt(number)) {
        Ok(header) if header.first == first => Ok((window, header)),
        Ok(_) => Err(corrupt(storage, &name, 0, first, first, Damage::Gap)),
        Err(damage) => Err(corrupt(storage, &name, 0, first, first, damage)),
    }
}

/// Visits the records of segments that follow each other, up to where the last of them begins. All of that was synced.
pub(super) fn walk_spans<S: Storage>(
    storage: &S,
    manifest: &Manifest,
    spans: &[Span],
    visitor: &mut dyn FnMut(Record<'_>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    for pair in spans.windows(2) {
        let (span, (_, end)) = (pair[0], pair[1]);
        let (mut window, header) = open_segment(storage, manifest, span)?;
        let name = segment_name(span.0);
        let walk = walk(&mut window, &header, visitor).map_err(|error| error.reading(&name))?;
        if walk.end != end {
            return Err(corrupt(storage, &name, offset_in_segment(walk.end, span.1), walk.end, end, walk.stop));
        }
    }
    Ok(())
}

/// The error for a bad place in a segment that a later one follows.
fn corrupt<S: Storage>(
    storage: &S,
    name: &str,
    offset: u64,
    position: Position,
    synced: Position,
    damage: Damage,
) -> JournalError {
    let (directory, file) = (storage.place(), name.to_owned());
    JournalError::Corrupt { directory, file, offset, position, synced, damage }
}

/// Visits the records of all frames of a segment, in order, until one is not good.
pub(super) fn walk<F: StorageFile>(
    window: &mut Window<F>,
    segment: &SegmentHeader,
    visitor: &mut dyn FnMut(Record<'_>) -> Result<(), JournalError>,
) -> Result<Walk, WalkError> {
    let mut walk = Walk {
        end: segment.first,
        chain: segment.chain,
        frames: 0,
        records: 0,
        last_at: None,
        sealed: false,
        claim: segment.first,
        stop: Damage::Missing,
    };
    let mut frames = Frames::new(window, segment.salt, segment.first, Some(segment.chain));
    loop {
        let header = match frames.next()? {
            Ok(header) => header,
            Err((damage, _)) => {
                walk.stop = damage;
                return Ok(walk);
            }
        };
        frames.records(&header, |record| {
            walk.last_at = Some(record.at);
            walk.records += 1;
            visitor(record).map_err(WalkError::Visitor)
        })?;
        walk.end = frames.position();
        walk.chain = header.chain;
        walk.frames += 1;
        walk.sealed = header.seal;
        walk.claim = walk.claim.max(header.synced);
    }
}

/// What stands in a segment behind the last good frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remains {
    /// The last position that any whole header there names as synced; zero if there is none.
    pub(super) claim: Position,
    /// Offset after the last byte that is not zero; `from` if all are.
    pub(super) used: u64,
}

/// Searches from offset `from` on at every 8 bytes for frame headers, wherever they say that they stand: damage may have put
/// them elsewhere, and what a header with the segment's own salt names as synced was synced all the same.
pub(super) fn search<F: StorageFile>(window: &mut Window<F>, from: u64, salt: u64) -> io::Result<Remains> {
    let mut remains = Remains { claim: Position::ZERO, used: from };
    let mut offset = from;
    loop {
        let ahead = next_header(window, offset, salt, None)?;
        remains.used = if ahead.used > offset { ahead.used } else { remains.used };
        let Some(at) = ahead.header else { return Ok(remains) };
        let header = header_at(window, at, salt, None)?.expect("it was just found");
        remains.claim = remains.claim.max(header.synced);
        offset = at + ALIGNMENT as u64;
        remains.used = offset;
    }
}
