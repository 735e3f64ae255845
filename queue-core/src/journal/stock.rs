//! The files that are made ahead of need: the next segment, and the reserve for the time when the disk is full.
//!
//! The reserve is two segments and one file for a snapshot. Leaves to `room` who may write into which of them, and to the
//! caller on which thread a step runs. Invariants: a file counts only from when it is allocated, synced and named; one that
//! a step works on stays where it is, at the size that it had; after a failure nothing counts as enough until all of it is
//! there. Sizes are bytes, times milliseconds.

use std::sync::Arc;

use super::Options;
use super::errors::Failure;
use super::format::SEGMENT_HEADER_BYTES;
use super::segments::{ALLOCATION_STEP_BYTES, Preparation, segment_bytes};
use super::storage::{Storage, StorageFile};

/// How long after a failed preparation the next one is tried.
const PREPARATION_RETRY_MS: u64 = 1000;
/// The snapshot's file of the reserve has at least this, or a segment's length where that is less.
const SNAPSHOT_BYTES_MIN: u64 = 1 << 20;

/// Names of the reserve's files: two segments to be, and a snapshot.
pub(super) const RESERVE_FILES: [&str; 3] = ["reserve-1", "reserve-2", "reserve-snapshot"];

/// Places of the stock's files.
const NEXT: usize = 0;
const SEGMENTS: std::ops::Range<usize> = 1..3;
const SNAPSHOT: usize = 3;

/// Why new work should be refused before it is applied: the next segment or the reserve cannot be made.
#[derive(Debug, Clone)]
pub struct Full {
    /// For people: what failed, on which file, and the system's words.
    pub reason: Arc<str>,
    /// Whether what is missing is room on the disk.
    pub is_space: bool,
}

/// A step of making the files that will be needed, which may run on any thread. See [`super::Journal::begin_maintenance`].
#[derive(Debug)]
pub struct Maintenance<S: Storage> {
    storage: S,
    preparation: Preparation<S>,
    place: usize,
    target: u64,
    begun_at: u64,
}

/// A [`Maintenance`] that has run; hand it to [`super::Journal::finish_maintenance`].
#[derive(Debug)]
pub struct Maintained<S: Storage> {
    preparation: Preparation<S>,
    place: usize,
    failure: Option<Failure>,
    begun_at: u64,
}

impl<S: Storage> Maintenance<S> {
    /// Whether it syncs and names the file, which takes longer than allocating a part of it.
    pub fn is_last(&self) -> bool {
        self.target >= self.preparation.wanted_bytes()
    }

    /// Allocates, and at the end syncs and names the file.
    pub fn run(mut self) -> Maintained<S> {
        let failure = self.preparation.advance(&self.storage, self.target).err();
        Maintained { preparation: self.preparation, place: self.place, failure, begun_at: self.begun_at }
    }
}

/// One of the files.
#[derive(Debug)]
struct Place<S: Storage> {
    /// `None` while a step of maintenance, a rotation or a compaction has it.
    preparation: Option<Preparation<S>>,
    /// What of it can be relied on, also while a step of maintenance has it.
    ready: u64,
}

impl<S: Storage> Place<S> {
    fn of(preparation: Preparation<S>) -> Place<S> {
        Place { ready: preparation.ready_bytes(), preparation: Some(preparation) }
    }

    fn take(&mut self) -> Option<Preparation<S>> {
        let taken = self.preparation.take()?;
        self.ready = 0;
        Some(taken)
    }
}

/// The reserve as an opening found it: a file of each name, as far as there is one.
pub(super) type FoundReserve<S> = [Option<(u64, <S as Storage>::File)>; 3];

/// The writer's side: where the files are, and what went wrong last.
#[derive(Debug)]
pub(super) struct Stock<S: Storage> {
    places: Vec<Place<S>>,
    segment_bytes_max: u64,
    /// What the next segment has where no frame asks for more.
    next_bytes: u64,
    /// What the file for a snapshot is to have.
    snapshot_bytes: u64,
    /// The place that a step of maintenance works on.
    out: Option<usize>,
    failure: Option<Full>,
    retry_at: u64,
    /// The places that are left alone until then, a bit each: what is too large for the room there is must not keep what is
    /// smaller from being made.
    given_up: u8,
    /// A frame waits for the next segment: it is made without a pause.
    urgent: bool,
}

impl<S: Storage> Stock<S> {
    /// `expected` is the length of the next snapshot, as far as is known.
    pub(super) fn new(next: Preparation<S>, options: &Options, found: FoundReserve<S>, expected: u64) -> Stock<S> {
        let next_bytes = segment_bytes(options, next.number);
        let mut places = vec![Place::of(next)];
        if options.reserve {
            places.extend(RESERVE_FILES.into_iter().zip(found).map(|(name, found)| {
                let fresh = Preparation::named(name, 0);
                Place::of(match found {
                    Some((bytes, file)) => fresh.found(bytes, file),
                    None => fresh,
                })
            }));
        }
        let segment_bytes_max = options.segment_bytes_max;
        let (out, failure) = (None, None);
        let mut stock = Stock {
            places,
            segment_bytes_max,
            next_bytes,
            snapshot_bytes: 0,
            out,
            failure,
            retry_at: 0,
            given_up: 0,
            urgent: false,
        };
        stock.want_segments(options);
        stock.expect_snapshot(expected);
        stock
    }

    pub(super) fn failure(&self) -> Option<&Full> {
        self.failure.as_ref()
    }

    /// Whether there is to be a reserve.
    pub(super) fn has_reserve(&self) -> bool {
        self.places.len() > 1
    }

    /// When what failed is tried again.
    pub(super) fn retry_due(&self) -> Option<u64> {
        let is_behind = |preparation: &Preparation<S>| preparation.is_behind(preparation.wanted_bytes());
        let behind = || self.places.iter().filter_map(|place| place.preparation.as_ref()).any(is_behind);
        let possible = self.failure.is_some() && self.out.is_none() && self.places[NEXT].preparation.is_some();
        (possible && (behind() || self.is_whole())).then_some(self.retry_at)
    }

    /// What failed is tried again at once: somebody has made room.
    pub(super) fn retry_now(&mut self) {
        self.retry_at = 0;
        self.given_up = 0;
    }

    /// The next segment is to hold a frame of so many bytes, and at once.
    pub(super) fn want_next(&mut self, frame_bytes: u64) {
        self.urgent = true;
        if let Some(next) = &mut self.places[NEXT].preparation {
            next.want(next.wanted_bytes().max(frame_bytes + SEGMENT_HEADER_BYTES as u64));
        }
    }

    /// The reserve's segments are to be as long as the next one, whose number is known here.
    fn want_segments(&mut self, options: &Options) {
        let Some(next) = &self.places[NEXT].preparation else { return };
        let bytes = segment_bytes(options, next.number);
        self.want(SEGMENTS, bytes);
    }

    fn want(&mut self, places: std::ops::Range<usize>, bytes: u64) {
        for place in self.places.iter_mut().take(places.end).skip(places.start) {
            if let Some(preparation) = &mut place.preparation {
                preparation.want(bytes);
            }
        }
    }

    /// A snapshot begun now would have about so many bytes.
    pub(super) fn expect_snapshot(&mut self, bytes: u64) {
        let min = SNAPSHOT_BYTES_MIN.min(self.segment_bytes_max);
        self.snapshot_bytes = bytes.saturating_add(bytes / 4).max(min).next_multiple_of(4096);
        self.want(SNAPSHOT..SNAPSHOT + 1, self.snapshot_bytes);
        self.forget_failure_if_whole();
    }

    /// Whether a snapshot of about `bytes` would need at most half of what is expected, and a segment's length less.
    pub(super) fn snapshot_could_halve(&self, bytes: u64) -> bool {
        let segment = self.spares().next_back().unwrap_or(u64::MAX);
        let less = self.snapshot_bytes.saturating_sub(bytes.saturating_add(bytes / 4));
        less >= self.snapshot_bytes / 2 && less >= segment
    }

    /// Sizes of the segments that a rotation can rely on, in the order in which it takes them.
    pub(super) fn spares(&self) -> impl DoubleEndedIterator<Item = u64> + Clone {
        self.places[..self.places.len().min(SEGMENTS.end)].iter().map(|place| place.ready).filter(|ready| *ready > 0)
    }

    /// What of the next segment can be relied on, bytes; 0 while a rotation has it.
    pub(super) fn next_ready(&self) -> u64 {
        self.places[NEXT].ready
    }

    /// The next segment for a frame of `frame_bytes`; and, where that is not there yet, what takes its place should it
    /// turn out that there is no room for it. `None` while maintenance has what is needed.
    pub(super) fn rotate(&mut self, frame_bytes: u64) -> Option<(Preparation<S>, Option<Preparation<S>>)> {
        let needed = frame_bytes + SEGMENT_HEADER_BYTES as u64;
        if self.out == Some(NEXT) || self.places[NEXT].preparation.is_none() {
            return None;
        }
        let mut fallback = None;
        if self.places[NEXT].ready < needed {
            let fits = |place: &Place<S>| place.ready >= needed;
            let found = self.places.iter().take(SEGMENTS.end).skip(SEGMENTS.start).position(fits);
            if let Some(index) = found.map(|index| index + SEGMENTS.start) {
                // A step that works on it ends soon.
                fallback = Some(self.places[index].take()?);
            }
        }
        Some((self.places[NEXT].take()?, fallback))
    }

    /// A rotation came to its end: the segment behind the new one is `number`; `unused` was not needed after all.
    pub(super) fn rotated(&mut self, options: &Options, number: u32, unused: Option<Preparation<S>>) {
        self.next_bytes = segment_bytes(options, number);
        self.places[NEXT] = Place::of(Preparation::new(number, self.next_bytes));
        self.urgent = false;
        let mut unused = unused;
        for (at, place) in self.places.iter_mut().enumerate().take(SEGMENTS.end).skip(SEGMENTS.start) {
            if place.preparation.is_none() && self.out != Some(at) {
                let name = RESERVE_FILES[at - 1];
                *place = Place::of(unused.take().unwrap_or_else(|| Preparation::named(name, 0)));
            }
        }
        self.want_segments(options);
    }

    /// What there is of the file for a snapshot, bytes.
    pub(super) fn snapshot_room(&self) -> u64 {
        self.places.get(SNAPSHOT).map_or(0, |place| place.ready)
    }

    /// The file for a snapshot, if it is there; it is made again after [`Stock::snapshot_ended`].
    pub(super) fn take_snapshot(&mut self) -> Option<Preparation<S>> {
        let place = self.places.get_mut(SNAPSHOT).filter(|place| place.ready > 0)?;
        place.take()
    }

    /// What was taken for a snapshot is one by now, or gone, or was not needed.
    pub(super) fn snapshot_ended(&mut self, storage: &S) {
        if self.out == Some(SNAPSHOT) {
            return;
        }
        if let Some(place) = self.places.get_mut(SNAPSHOT).filter(|place| place.preparation.is_none()) {
            let name = RESERVE_FILES[SNAPSHOT - 1];
            let fresh = Preparation::named(name, self.snapshot_bytes);
            let unused = storage.open(name).and_then(|file| Ok((file.length()?, file))).ok();
            *place = Place::of(match unused.filter(|(bytes, _)| *bytes > 0) {
                Some((bytes, file)) => fresh.found(bytes, file),
                None => fresh,
            });
            self.forget_failure_if_whole();
        }
    }

    fn forget_failure_if_whole(&mut self) {
        if self.is_whole() {
            self.failure = None;
        }
    }

    /// The next step, if something is behind: the next segment before the reserve, that one as far as `used` of the current
    /// segment's `capacity` asks for; the file for a snapshot before both where one would give room back.
    pub(super) fn begin(
        &mut self,
        storage: &S,
        (used, capacity): (u64, u64),
        snapshot_first: bool,
        now_ms: u64,
    ) -> Option<Maintenance<S>> {
        if now_ms >= self.retry_at {
            self.given_up = 0;
            // All but what a frame was too large for.
            self.forget_failure_if_whole();
        }
        // While a rotation has the next segment it is not known how it ends.
        let next = self.places[NEXT].preparation.as_ref()?;
        if self.out.is_some() {
            return None;
        }
        let paced = self.failure.is_none() && !self.urgent;
        let paced_to = if paced { next.target(used, capacity) } else { next.wanted_bytes() };
        let first = self.places.get(SNAPSHOT).filter(|_| snapshot_first).map(|place| (SNAPSHOT, place));
        let (place, target) = first.into_iter().chain(self.places.iter().enumerate()).find_map(|(at, place)| {
            let preparation = place.preparation.as_ref()?;
            let target = if at == NEXT { paced_to } else { preparation.wanted_bytes() };
            let is_open = self.given_up & (1 << at) == 0;
            (is_open && preparation.is_behind(target)).then_some((at, target))
        })?;
        let preparation = self.places[place].preparation.take()?;
        self.out = Some(place);
        let target = target.min(preparation.allocated_bytes() + ALLOCATION_STEP_BYTES);
        Some(Maintenance { storage: storage.clone(), preparation, place, target, begun_at: now_ms })
    }

    pub(super) fn finish(&mut self, maintained: Maintained<S>) {
        self.out = None;
        let all_before = self.failure.take();
        self.places[maintained.place] = Place::of(maintained.preparation);
        if let Some(failure) = maintained.failure {
            self.retry_at = maintained.begun_at + PREPARATION_RETRY_MS;
            self.given_up |= 1 << maintained.place;
            let reason = format!("failed to {} {}: {}", failure.action, failure.file, failure.source).into();
            self.failure = Some(Full { reason, is_space: failure.is_space() });
            if maintained.place == NEXT {
                // The frame that asked for more is refused; what it asked for must not keep out what fits.
                self.want(NEXT..NEXT + 1, self.next_bytes);
            }
        } else if !self.is_whole() {
            // What is there again is not enough yet.
            self.failure = all_before;
        }
        self.urgent &=
            self.failure.is_none() && !self.places[NEXT].preparation.as_ref().is_some_and(Preparation::is_ready);
    }

    /// Whether everything is there.
    fn is_whole(&self) -> bool {
        self.places.iter().all(|place| place.preparation.as_ref().is_some_and(Preparation::is_ready))
    }
}
