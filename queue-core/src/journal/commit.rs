//! A commit and a sync as values: begun by the writer, run on any thread, finished by the writer.
//!
//! Leaves when to commit to the writer. Here is the order of calls that durability rests on.
//! Invariants: a frame is one write; a segment is synced before the next one is touched; a seal is written only after
//! what it names is synced. Times are milliseconds as the caller counts them.

use std::sync::Arc;
use std::time::Duration;

use super::errors::{Failure, at};
use super::format::{FrameHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::segments::{Preparation, Segment};
use super::storage::{Storage, StorageFile};
use super::{FsyncPolicy, Position};

/// Where a frame goes.
#[derive(Debug)]
pub(super) enum Target<S: Storage> {
    /// Into the current segment.
    Stay(Arc<Segment<S::File>>),
    /// Into the next one.
    Rotate {
        /// The segment that ends here, unless the frame is the store's first.
        leave: Option<Arc<Segment<S::File>>>,
        next: Preparation<S>,
        /// A file of the reserve, should there be no room for a next one that is not there yet.
        reserve: Option<Preparation<S>>,
        salt: u64,
    },
}

/// A closed frame on its way to the disk. Run it, then hand the result to [`super::Journal::finish_commit`].
#[derive(Debug)]
pub struct Commit<S: Storage> {
    pub(super) storage: S,
    pub(super) target: Target<S>,
    /// Room for a segment's header, the frame's header, the records.
    pub(super) buffer: Vec<u8>,
    pub(super) header: FrameHeader,
    pub(super) chain_before: u32,
    /// Sync the segment's earlier frames first: the seal is about to name them.
    pub(super) sync_before: bool,
    pub(super) sync_after: bool,
    pub(super) begun_at: u64,
}

/// A [`Commit`] that has run.
#[derive(Debug)]
pub struct Committed<S: Storage> {
    pub(super) outcome: Result<Arc<Segment<S::File>>, Failure>,
    pub(super) buffer: Vec<u8>,
    pub(super) header: FrameHeader,
    pub(super) end: Position,
    pub(super) synced: Position,
    pub(super) begun_at: u64,
    /// What a rotation had at hand of the reserve and did not need.
    pub(super) reserve: Option<Preparation<S>>,
    took: Duration,
}

impl<S: Storage> Committed<S> {
    /// How long write and sync took together.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Records of the frame.
    pub fn records(&self) -> u64 {
        self.header.records.into()
    }
}

impl<S: Storage> Commit<S> {
    /// Whether running it syncs, which may take long.
    pub fn syncs(&self) -> bool {
        self.sync_after || self.sync_before || matches!(self.target, Target::Rotate { .. })
    }

    /// Whether running it does more than write and sync its frame: sync what plain writes left, or make what is missing
    /// of a segment.
    pub fn is_long(&self) -> bool {
        let rotates_long = match &self.target {
            Target::Stay(_) => false,
            Target::Rotate { leave, next, .. } => {
                !next.is_ready() || (leave.is_some() && self.header.policy != FsyncPolicy::Always)
            }
        };
        self.sync_before || rotates_long
    }

    /// The frame's length in the log, bytes.
    pub fn bytes(&self) -> usize {
        self.header.frame_bytes()
    }

    /// Writes and syncs as the policy asks. Blocks; may run on any thread.
    pub fn run(self) -> Committed<S> {
        let Commit { storage, target, mut buffer, mut header, chain_before, sync_before, sync_after, begun_at } = self;
        let mut unused = None;
        let ((chain, outcome), took) = measured(|| {
            let chain = header.encode(chain_before, &mut buffer[SEGMENT_HEADER_BYTES..]);
            let outcome = match target {
                Target::Stay(segment) => append(segment, &header, &buffer, sync_before),
                Target::Rotate { leave, mut next, reserve, salt } => {
                    unused = reserve;
                    let left = leave.map_or(Ok(()), |left| left.sync());
                    left.and_then(|()| take_into_use(&storage, &mut next, &mut unused, &header))
                        .and_then(|segment| begin(segment, salt, &header, chain_before, &mut buffer))
                }
            };
            let outcome =
                outcome.and_then(|segment| if sync_after { segment.sync().map(|()| segment) } else { Ok(segment) });
            (chain, outcome)
        });
        header.chain = chain;
        let end = header.first.plus(header.frame_bytes() as u64);
        let synced = if sync_after { end } else { header.synced };
        Committed { outcome, buffer, header, end, synced, begun_at, reserve: unused, took }
    }
}

/// Writes a frame behind the one before.
fn append<F: StorageFile>(
    segment: Arc<Segment<F>>,
    header: &FrameHeader,
    buffer: &[u8],
    sync_before: bool,
) -> Result<Arc<Segment<F>>, Failure> {
    if sync_before {
        segment.sync()?;
    }
    let offset = segment.offset(header.first);
    let written = segment.file.write_at(&buffer[SEGMENT_HEADER_BYTES..], offset).map_err(at(offset));
    written.map_err(Failure::of("write", &segment.name))?;
    Ok(segment)
}

/// The segment that a rotation goes on in: the next one, or a file of the reserve where there is no room to finish that.
fn take_into_use<S: Storage>(
    storage: &S,
    next: &mut Preparation<S>,
    reserve: &mut Option<Preparation<S>>,
    header: &FrameHeader,
) -> Result<Segment<S::File>, Failure> {
    match next.finish(storage, header.first, header.frame_bytes() as u64) {
        Err(failure) if failure.is_space() => match reserve.take() {
            Some(reserve) => reserve.become_segment(storage, next.number, header.first),
            None => Err(failure),
        },
        finished => finished,
    }
}

/// Begins a segment: its header and its first frame are one write.
fn begin<F: StorageFile>(
    segment: Segment<F>,
    salt: u64,
    header: &FrameHeader,
    chain: u32,
    buffer: &mut [u8],
) -> Result<Arc<Segment<F>>, Failure> {
    let segment_header =
        SegmentHeader { number: segment.number, salt, first: header.first, chain, bytes: segment.capacity };
    segment_header.encode(&mut buffer[..SEGMENT_HEADER_BYTES]);
    segment.file.write_at(buffer, 0).map_err(at(0)).map_err(Failure::of("write", &segment.name))?;
    Ok(Arc::new(segment))
}

/// A sync beside the commits (policy `everysec`). Run it, then hand the result to [`super::Journal::finish_sync`].
#[derive(Debug)]
pub struct PendingSync<S: Storage> {
    pub(super) segment: Arc<Segment<S::File>>,
    pub(super) up_to: Position,
    pub(super) begun_at: u64,
}

/// A [`PendingSync`] that has run.
#[derive(Debug)]
pub struct FinishedSync {
    pub(super) outcome: Result<(), Failure>,
    pub(super) up_to: Position,
    pub(super) begun_at: u64,
    took: Duration,
}

impl FinishedSync {
    /// How long it took.
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl<S: Storage> PendingSync<S> {
    /// Syncs. Blocks; may run on any thread, also while a commit runs.
    pub fn run(self) -> FinishedSync {
        let (outcome, took) = measured(|| self.segment.sync());
        FinishedSync { outcome, up_to: self.up_to, begun_at: self.begun_at, took }
    }
}

/// Runs `work` and tells how long it took.
#[expect(clippy::disallowed_methods, reason = "no outcome is decided by the duration: it is reported, or rested for")]
pub(super) fn measured<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = std::time::Instant::now();
    let outcome = work();
    (outcome, begun.elapsed())
}
