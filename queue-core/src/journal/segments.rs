//! Segments: their names and sizes, and the one that is prepared ahead of need.
//!
//! Leaves the frames in them to `commit` and `recovery`.
//! Invariant: a segment's file has its final name only when it is allocated, all zeros, and synced, and its name is
//! durable before anything is written to it; a file is never used twice. Sizes are bytes.

use std::io::ErrorKind;
use std::sync::Arc;

use super::errors::Failure;
use super::format::{SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES, offset_in_segment};
use super::storage::{Storage, StorageFile};
use super::{Options, Position};

/// How much is allocated at once: made in one go, a large segment stalls commits for tens of milliseconds.
const ALLOCATION_STEP_BYTES: u64 = 1 << 20;
/// How long after a failed preparation the next one is tried.
const PREPARATION_RETRY_MS: u64 = 1000;

pub(super) const MANIFEST_FILE: &str = "MANIFEST";
/// There while a directory is being restored into.
pub(super) const RESTORING_FILE: &str = "RESTORING";
pub(super) const SEGMENT_SUFFIX: &str = ".segment";
pub(super) const TEMPORARY_SUFFIX: &str = ".new";
pub(super) const SET_ASIDE_PREFIX: &str = "set-aside-";
pub(super) const TORN_PREFIX: &str = "torn-";

pub(super) fn segment_name(number: u32) -> String {
    format!("{number:08}{SEGMENT_SUFFIX}")
}

pub(super) fn segment_number(name: &str) -> Option<u32> {
    let number = name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok()?;
    // Only the name that we would give: "1.segment" is somebody's copy.
    (segment_name(number) == name).then_some(number)
}

/// The size of segment `number`: doubling from the first to the largest.
pub(super) fn segment_bytes(options: &Options, number: u32) -> u64 {
    let doublings = number.saturating_sub(1).min(20);
    let wanted = options.segment_bytes_first.max(1) << doublings;
    wanted.clamp(SEGMENT_BYTES_MIN, options.segment_bytes_max.clamp(SEGMENT_BYTES_MIN, 1 << 30))
}

/// A segment in use.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) number: u32,
    pub(super) name: String,
    /// Position of its first frame.
    pub(super) first: Position,
    /// The file's length; frames end before it.
    pub(super) capacity: u64,
    pub(super) file: F,
}

impl<F> Segment<F> {
    /// Where in the file `position` stands.
    pub(super) fn offset(&self, position: Position) -> u64 {
        offset_in_segment(position, self.first)
    }
}

impl<F: StorageFile> Segment<F> {
    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.file.sync().map_err(Failure::of("sync", &self.name))
    }
}

/// The next segment on its way: allocated step by step, then synced, named, and its name synced.
#[derive(Debug)]
pub(super) struct Preparation<S: Storage> {
    pub(super) number: u32,
    /// Size wanted.
    bytes: u64,
    /// Size so far.
    allocated: u64,
    file: Option<S::File>,
    named: bool,
}

impl<S: Storage> Preparation<S> {
    pub(super) fn new(number: u32, bytes: u64) -> Preparation<S> {
        Preparation { number, bytes, allocated: 0, file: None, named: false }
    }

    /// One that an earlier run had finished and not used.
    pub(super) fn found(number: u32, bytes: u64, file: S::File) -> Preparation<S> {
        Preparation { number, bytes, allocated: bytes, file: Some(file), named: true }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.named && self.allocated == self.bytes
    }

    /// Allocates until `target` bytes (at most the segment's size), and finishes when all are there.
    ///
    /// After a failure everything made so far is given up: whoever else needs the disk's last room has it until the next call.
    fn advance(&mut self, storage: &S, target: u64) -> Result<(), Failure> {
        let outcome = self.try_advance(storage, target);
        if outcome.is_err() {
            *self = Preparation::new(self.number, self.bytes);
            // Only room: a file that stays is made anew by the next try, and removed by the next start.
            let _ = storage.remove(&format!("{}{TEMPORARY_SUFFIX}", segment_name(self.number)));
        }
        outcome
    }

    fn try_advance(&mut self, storage: &S, target: u64) -> Result<(), Failure> {
        let name = segment_name(self.number);
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let file = match self.file.take() {
            Some(file) => file,
            None => storage.create(&temporary).map_err(Failure::of("create", &temporary))?,
        };
        let file = self.file.insert(file);
        while self.allocated < target.min(self.bytes) {
            let step = ALLOCATION_STEP_BYTES.min(self.bytes - self.allocated);
            file.allocate(self.allocated, step).map_err(Failure::of("allocate", &temporary))?;
            self.allocated += step;
        }
        if self.allocated == self.bytes {
            file.sync().map_err(Failure::of("sync", &temporary))?;
            if !self.named {
                storage.rename(&temporary, &name).map_err(Failure::of("rename", &temporary))?;
                storage.sync_directory().map_err(Failure::of("sync the directory of", &name))?;
                self.named = true;
            }
        }
        Ok(())
    }

    /// Whatever is missing, now; then the segment, beginning at `first`. A frame that is larger than the segment
    /// (`frame_bytes`) gets one of its size.
    pub(super) fn finish(
        mut self,
        storage: &S,
        first: Position,
        frame_bytes: u64,
    ) -> Result<Segment<S::File>, Failure> {
        self.bytes = self.bytes.max(frame_bytes + SEGMENT_HEADER_BYTES as u64);
        if !self.is_ready() {
            self.try_advance(storage, self.bytes)?;
        }
        let file = self.file.take().expect("a finished preparation has a file");
        Ok(Segment { number: self.number, name: segment_name(self.number), first, capacity: self.bytes, file })
    }

    /// How far allocation should be when `used` of the current segment's `capacity` is: done when that is half full.
    pub(super) fn target(&self, used: u64, capacity: u64) -> u64 {
        let wanted = u128::from(self.bytes) * u128::from(used) * 2 / u128::from(capacity.max(1));
        u64::try_from(wanted).unwrap_or(self.bytes).min(self.bytes)
    }

    /// Whether [`Preparation::advance`] to `target` has anything to do.
    pub(super) fn is_behind(&self, target: u64) -> bool {
        !self.is_ready() && (self.allocated < target || self.allocated == self.bytes)
    }
}

/// Why new work should be refused before it is applied: the next segment cannot be prepared.
#[derive(Debug, Clone)]
pub struct Full {
    /// For people: what failed, on which file, and the system's words.
    pub reason: Arc<str>,
    /// Whether what is missing is room on the disk.
    pub is_space: bool,
}

/// A step of preparing the next segment, which may run on any thread. See [`super::Journal::begin_maintenance`].
#[derive(Debug)]
pub struct Maintenance<S: Storage> {
    pub(super) storage: S,
    pub(super) preparation: Preparation<S>,
    pub(super) target: u64,
    pub(super) begun_at: u64,
}

/// A [`Maintenance`] that has run; hand it to [`super::Journal::finish_maintenance`].
#[derive(Debug)]
pub struct Maintained<S: Storage> {
    preparation: Preparation<S>,
    failure: Option<Failure>,
    begun_at: u64,
}

impl<S: Storage> Maintenance<S> {
    /// Whether it syncs and names the file, which takes longer than allocating a part of it.
    pub fn is_last(&self) -> bool {
        self.target >= self.preparation.bytes
    }

    /// Allocates, and at the end syncs and names the file.
    pub fn run(mut self) -> Maintained<S> {
        let failure = self.preparation.advance(&self.storage, self.target).err();
        Maintained { preparation: self.preparation, failure, begun_at: self.begun_at }
    }
}

/// The writer's side of preparation: where the next segment is, and what went wrong last.
#[derive(Debug)]
pub(super) struct Next<S: Storage> {
    /// `None` while a step of maintenance or a rotation has it.
    preparation: Option<Preparation<S>>,
    failure: Option<Full>,
    retry_at: u64,
}

impl<S: Storage> Next<S> {
    pub(super) fn new(preparation: Preparation<S>) -> Next<S> {
        Next { preparation: Some(preparation), failure: None, retry_at: 0 }
    }

    pub(super) fn failure(&self) -> Option<&Full> {
        self.failure.as_ref()
    }

    /// When a preparation that failed is tried again.
    pub(super) fn retry_due(&self) -> Option<u64> {
        (self.failure.is_some() && self.preparation.is_some()).then_some(self.retry_at)
    }

    /// For a rotation. `None` while maintenance has it.
    pub(super) fn take(&mut self) -> Option<Preparation<S>> {
        self.preparation.take()
    }

    pub(super) fn begin(&mut self, storage: &S, used: u64, capacity: u64, now_ms: u64) -> Option<Maintenance<S>> {
        let preparation = self.preparation.as_ref()?;
        let target = preparation.target(used, capacity);
        if now_ms < self.retry_at || !preparation.is_behind(target) {
            return None;
        }
        let preparation = self.preparation.take()?;
        let target = target.min(preparation.allocated + ALLOCATION_STEP_BYTES);
        Some(Maintenance { storage: storage.clone(), preparation, target, begun_at: now_ms })
    }

    pub(super) fn finish(&mut self, maintained: Maintained<S>) {
        self.retry_at = 0;
        self.failure = maintained.failure.map(|failure| {
            self.retry_at = maintained.begun_at + PREPARATION_RETRY_MS;
            let is_space = matches!(failure.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            let reason = format!("failed to {} {}: {}", failure.action, failure.file, failure.source).into();
            Full { reason, is_space }
        });
        self.preparation = Some(maintained.preparation);
    }
}
