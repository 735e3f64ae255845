//! Segments: their names and sizes, and how a file gets the room that it needs before it is needed.
//!
//! Leaves the frames in them to `commit` and `recovery`, and which files are made when to `stock`.
//! Invariant: a segment's file is allocated, all zeros, and synced before it has its final name, and again where it grows
//! under that; its name is durable before anything is written to it; a file is never used twice. Sizes are bytes.

use super::errors::Failure;
use super::format::{SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES, offset_in_segment};
use super::storage::{Storage, StorageFile};
use super::{Options, Position};

/// How much is allocated at once: made in one go, a large segment stalls commits for tens of milliseconds.
pub(super) const ALLOCATION_STEP_BYTES: u64 = 1 << 20;

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

    /// The position up to which it has room.
    pub(super) fn end(&self) -> Position {
        self.first.plus(self.capacity.saturating_sub(SEGMENT_HEADER_BYTES as u64))
    }
}

impl<F: StorageFile> Segment<F> {
    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.file.sync().map_err(Failure::of("sync", &self.name))
    }
}

/// A file on its way: allocated step by step, then synced, named, and its name synced. One that has its name may still grow.
#[derive(Debug)]
pub(super) struct Preparation<S: Storage> {
    /// The segment's number; 0 for a file of the reserve, which has none yet.
    pub(super) number: u32,
    name: String,
    /// Size wanted.
    bytes: u64,
    /// Size so far.
    allocated: u64,
    /// The size that can be relied on: allocated, synced, and under its name. 0 until then.
    ready: u64,
    file: Option<S::File>,
}

impl<S: Storage> Preparation<S> {
    pub(super) fn new(number: u32, bytes: u64) -> Preparation<S> {
        Preparation { number, ..Preparation::named(segment_name(number), bytes) }
    }

    /// A file of this name, which is no segment yet.
    pub(super) fn named(name: impl Into<String>, bytes: u64) -> Preparation<S> {
        Preparation { number: 0, name: name.into(), bytes, allocated: 0, ready: 0, file: None }
    }

    /// One that an earlier run had finished and not used: a file of `found` bytes, all of them really there.
    pub(super) fn found(self, found: u64, file: S::File) -> Preparation<S> {
        Preparation { allocated: found, ready: found, file: Some(file), ..self }
    }

    /// Whether all that is wanted is there.
    pub(super) fn is_ready(&self) -> bool {
        self.ready > 0 && self.ready >= self.bytes
    }

    /// The size that can be relied on, 0 if there is no file.
    pub(super) fn ready_bytes(&self) -> u64 {
        self.ready
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.allocated
    }

    pub(super) fn wanted_bytes(&self) -> u64 {
        self.bytes
    }

    /// From now on so much is wanted.
    pub(super) fn want(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// More than twice of what is wanted: then the rest is given back.
    fn is_far_too_large(&self) -> bool {
        self.ready / 2 > self.bytes
    }

    fn temporary(&self) -> String {
        format!("{}{TEMPORARY_SUFFIX}", self.name)
    }

    /// Allocates until `target` bytes (at most what is wanted), and finishes when all are there.
    ///
    /// After a failure everything made since the file could last be relied on is given up: whoever else needs the disk's
    /// last room has it until the next call.
    pub(super) fn advance(&mut self, storage: &S, target: u64) -> Result<(), Failure> {
        let outcome = self.try_advance(storage, target);
        if outcome.is_err() {
            match &self.file {
                // Only room: what stays behind is allocated and empty, and nobody relies on it.
                Some(file) if self.ready > 0 => drop(file.cut(self.ready)),
                // A file that stays is made anew by the next try, and removed by the next start.
                _ => {
                    self.file = None;
                    let _ = storage.remove(&self.temporary());
                }
            }
            self.allocated = self.ready;
        }
        outcome
    }

    fn try_advance(&mut self, storage: &S, target: u64) -> Result<(), Failure> {
        let temporary = self.temporary();
        let far_too_large = self.is_far_too_large();
        let file = match self.file.take() {
            Some(file) => file,
            None => storage.create(&temporary).map_err(Failure::of("create", &temporary))?,
        };
        let file = self.file.insert(file);
        let name = if self.ready > 0 { &self.name } else { &temporary };
        if far_too_large {
            file.cut(self.bytes).map_err(Failure::of("cut", name))?;
            (self.allocated, self.ready) = (self.bytes, self.bytes);
            return file.sync().map_err(Failure::of("sync", name));
        }
        while self.allocated < target.min(self.bytes) {
            let step = ALLOCATION_STEP_BYTES.min(self.bytes - self.allocated);
            file.allocate(self.allocated, step).map_err(Failure::of("allocate", name))?;
            self.allocated += step;
        }
        if self.allocated >= self.bytes && self.ready < self.allocated {
            file.sync().map_err(Failure::of("sync", name))?;
            if self.ready == 0 {
                rename(storage, &temporary, &self.name)?;
            }
            self.ready = self.allocated;
        }
        Ok(())
    }

    /// Whatever the first frame (`frame_bytes`) lacks, now; then the segment, beginning at `first`. A frame that is larger than
    /// the segment gets one of its size.
    pub(super) fn finish(
        &mut self,
        storage: &S,
        first: Position,
        frame_bytes: u64,
    ) -> Result<Segment<S::File>, Failure> {
        let needed = frame_bytes + SEGMENT_HEADER_BYTES as u64;
        // What is there and fits is taken as it is: there may be no room to make it larger.
        if self.ready < needed {
            self.bytes = self.bytes.max(needed);
            self.advance(storage, self.bytes)?;
        }
        let file = self.file.take().expect("a finished preparation has a file");
        Ok(Segment { number: self.number, name: self.name.clone(), first, capacity: self.ready, file })
    }

    /// The file under another name, durably. It keeps the size that it has.
    pub(super) fn rename(self, storage: &S, name: String) -> Result<Preparation<S>, Failure> {
        rename(storage, &self.name, &name)?;
        Ok(Preparation { name, bytes: self.ready, ..self })
    }

    /// A file of the reserve as segment `number`, beginning at `first`.
    pub(super) fn become_segment(self, storage: &S, number: u32, first: Position) -> Result<Segment<S::File>, Failure> {
        Preparation { number, ..self.rename(storage, segment_name(number))? }.finish(storage, first, 0)
    }

    /// The file itself.
    pub(super) fn into_file(self) -> Option<S::File> {
        self.file
    }

    /// How far allocation should be when `used` of the current segment's `capacity` is: done when that is half full.
    pub(super) fn target(&self, used: u64, capacity: u64) -> u64 {
        let wanted = u128::from(self.bytes) * u128::from(used) * 2 / u128::from(capacity.max(1));
        u64::try_from(wanted).unwrap_or(self.bytes).min(self.bytes)
    }

    /// Whether [`Preparation::advance`] to `target` has anything to do.
    pub(super) fn is_behind(&self, target: u64) -> bool {
        let unready = !self.is_ready() && (self.allocated < target || self.allocated >= self.bytes);
        unready || self.is_far_too_large()
    }
}

fn rename<S: Storage>(storage: &S, from: &str, to: &str) -> Result<(), Failure> {
    storage.rename(from, to).map_err(Failure::of("rename", from))?;
    storage.sync_directory().map_err(Failure::of("sync the directory of", to))
}
