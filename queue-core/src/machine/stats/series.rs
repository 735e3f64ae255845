//! A series: counts and durations in buckets of 10 s for an hour and of 1 min for a day.
//!
//! Events count into one open bucket; when the next begins it is closed: written as bytes, and added to the minute's, which
//! is closed likewise. Closed buckets stand in chunks, which come and go whole. Invariant: what a series takes follows
//! from its contents alone, so that it is the same after a restart.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::super::memory::allocated;
use super::histogram::{CELL_BYTES, CELLS, Histogram};
use super::{Happened, KINDS};
use crate::model::{SeriesCounts, Step};

/// Buckets of 10 s in a minute.
const TO_A_MINUTE: u64 = 6;

/// Buckets in a chunk.
const fn span(step: Step) -> u64 {
    match step {
        Step::Seconds => 18,
        Step::Minute => 60,
    }
}

/// A bucket's contents.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Its number: instant by step.
    pub(crate) index: u64,
    pub(crate) counts: [u32; KINDS],
    pub(crate) wait: Histogram,
    pub(crate) run: Histogram,
}

impl Bucket {
    pub(crate) fn is_empty(&self) -> bool {
        self.counts == [0; KINDS]
    }

    fn note(&mut self, happened: &Happened) -> u64 {
        let mut kinds = happened.kinds;
        while kinds != 0 {
            let count = &mut self.counts[kinds.trailing_zeros() as usize];
            *count = count.saturating_add(1);
            kinds &= kinds - 1;
        }
        happened.wait.map_or(0, |ms| self.wait.add(ms)) + happened.run.map_or(0, |ms| self.run.add(ms))
    }

    pub(crate) fn merge(&mut self, other: &Self) -> u64 {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.wait.merge(&other.wait) + self.run.merge(&other.run)
    }

    pub(crate) fn named(&self) -> SeriesCounts {
        named(self.counts.map(u64::from))
    }

    fn cell_bytes(&self) -> u64 {
        (self.wait.cells() + self.run.cells()) * CELL_BYTES
    }

    /// Appends what it holds, but for its number.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let used = (0..KINDS).filter(|&kind| self.counts[kind] != 0);
        out.extend_from_slice(&used.clone().fold(0, |bits, kind| bits | 1_u16 << kind).to_le_bytes());
        used.for_each(|kind| put(out, self.counts[kind].into()));
        for histogram in [&self.wait, &self.run] {
            put(out, histogram.cells());
            let mut next = 0;
            for (cell, count) in histogram.iter() {
                put(out, u64::from(cell) - next);
                put(out, count.into());
                next = u64::from(cell) + 1;
            }
        }
    }

    /// Reads what [`Bucket::write`] wrote over what is here; `None` if it is not that.
    pub(crate) fn read(&mut self, index: u64, bytes: &mut &[u8]) -> Option<()> {
        let (bits, rest) = bytes.split_first_chunk()?;
        (self.index, *bytes) = (index, rest);
        let bits = u16::from_le_bytes(*bits);
        if bits == 0 || bits >> KINDS != 0 {
            return None;
        }
        for kind in 0..KINDS {
            self.counts[kind] = if bits & 1 << kind == 0 { 0 } else { count(bytes)? };
        }
        for histogram in [&mut self.wait, &mut self.run] {
            histogram.clear();
            let mut next = 0_u64;
            for _ in 0..take(bytes)? {
                let cell = next.checked_add(take(bytes)?).filter(|&cell| cell < CELLS as u64)?;
                histogram.add_to(cell as u16, count(bytes)?);
                next = cell + 1;
            }
        }
        Some(())
    }
}

/// Counts by their names.
const fn named(counts: [u64; KINDS]) -> SeriesCounts {
    let [
        enqueued,
        started,
        completed,
        failed,
        timed_out,
        stalled,
        returned,
        dead,
        cancelled,
        retried,
        removed,
        aged_out,
    ] = counts;
    SeriesCounts {
        enqueued,
        started,
        completed,
        failed,
        timed_out,
        stalled,
        returned,
        dead,
        cancelled,
        retried,
        removed,
        aged_out,
    }
}

/// Appends a number, seven bits to a byte, the lowest first; the top bit says that more follow.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A count that is not zero.
fn count(bytes: &mut &[u8]) -> Option<u32> {
    u32::try_from(take(bytes)?).ok().filter(|&count| count != 0)
}

/// Closed buckets of some time: the first is numbered at least `key` times the span.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) key: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Chunk {
    /// Room grows by as much.
    const GROWTH: usize = 64;

    fn takes(&self) -> u64 {
        // Of the list that it stands in half may be free.
        allocated(self.bytes.len().next_multiple_of(Self::GROWTH)) + 2 * size_of::<Self>() as u64
    }

    /// Hands out its buckets in order; `None` if its bytes are none.
    fn each(&self, span: u64, mut visit: impl FnMut(&Bucket)) -> Option<()> {
        let (mut bytes, mut bucket, mut next) = (&self.bytes[..], Bucket::default(), 0);
        while !bytes.is_empty() {
            let place = take(&mut bytes)?.checked_add(next).filter(|&place| place < span)?;
            bucket.read(self.key.checked_mul(span)?.checked_add(place)?, &mut bytes)?;
            visit(&bucket);
            next = place + 1;
        }
        Some(())
    }
}

/// Closed buckets of one step, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    chunks: VecDeque<Chunk>,
    /// The place after the last bucket's within the last chunk.
    next: u64,
}

impl Ring {
    fn push(&mut self, step: Step, bucket: &Bucket, bytes: &mut u64) {
        let (key, place) = (bucket.index / span(step), bucket.index % span(step));
        let old = (bucket.index + 1).saturating_sub(step.kept().into());
        self.drop_while(bytes, |chunk| (chunk.key + 1) * span(step) <= old);
        if self.chunks.back().is_none_or(|chunk| chunk.key != key) {
            let chunk = Chunk { key, bytes: Vec::new() };
            *bytes += chunk.takes();
            self.chunks.push_back(chunk);
            self.next = 0;
        }
        let chunk = self.chunks.back_mut().expect("it was just made");
        *bytes -= chunk.takes();
        let mut written = Vec::with_capacity(128);
        put(&mut written, place - self.next);
        bucket.write(&mut written);
        let wanted = (chunk.bytes.len() + written.len()).next_multiple_of(Chunk::GROWTH);
        chunk.bytes.reserve_exact(wanted - chunk.bytes.len());
        chunk.bytes.extend_from_slice(&written);
        *bytes += chunk.takes();
        self.next = place + 1;
    }

    fn drop_while(&mut self, bytes: &mut u64, goes: impl Fn(&Chunk) -> bool) {
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| goes(chunk)) {
            *bytes -= chunk.takes();
        }
        if self.chunks.len() < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
    }

    /// The number of the last bucket.
    fn last(&self, step: Step) -> Option<u64> {
        Some(self.chunks.back()?.key * span(step) + self.next - 1)
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.iter()
    }

    /// Adds a chunk that was written down. `None` if it is none, or not later than the last.
    pub(crate) fn load(&mut self, step: Step, chunk: Chunk) -> Option<()> {
        let (mut next, mut buckets) = (0, 0);
        chunk.each(span(step), |bucket| (next, buckets) = (bucket.index % span(step) + 1, buckets + 1))?;
        let later = self.chunks.back().is_none_or(|last| last.key < chunk.key);
        if buckets == 0 || !later {
            return None;
        }
        let mut bytes = Vec::new();
        bytes.reserve_exact(chunk.bytes.len().next_multiple_of(Chunk::GROWTH));
        bytes.extend_from_slice(&chunk.bytes);
        self.chunks.push_back(Chunk { bytes, ..chunk });
        self.next = next;
        Some(())
    }
}

/// What happened to some jobs, over time.
#[derive(Debug, Default)]
pub(crate) struct Series {
    /// The 10 s that run, or ran when something happened last.
    pub(crate) open: Bucket,
    /// The closed ones of a minute that is not closed yet.
    pub(crate) minute: Bucket,
    pub(crate) rings: [Ring; 2],
}

impl Series {
    /// Counts what happened in the bucket of this number; `bytes` follows what is held.
    pub(super) fn note(&mut self, index: u64, happened: &Happened, bytes: &mut u64) {
        if index != self.open.index {
            self.turn(index, bytes);
        }
        *bytes += self.open.note(happened) * CELL_BYTES;
    }

    /// Closes what is open and begins a bucket.
    fn turn(&mut self, index: u64, bytes: &mut u64) {
        let open = std::mem::replace(&mut self.open, Bucket { index, ..Bucket::default() });
        *bytes -= open.cell_bytes();
        if open.is_empty() {
            return;
        }
        self.rings[Step::Seconds as usize].push(Step::Seconds, &open, bytes);
        let minute = open.index / TO_A_MINUTE;
        if self.minute.index != minute {
            let closed = std::mem::replace(&mut self.minute, Bucket { index: minute, ..Bucket::default() });
            *bytes -= closed.cell_bytes();
            if !closed.is_empty() {
                self.rings[Step::Minute as usize].push(Step::Minute, &closed, bytes);
            }
        }
        *bytes += self.minute.merge(&open) * CELL_BYTES;
    }

    /// Hands out the buckets of these numbers that are not empty, in order.
    pub(crate) fn visit(&self, step: Step, range: &RangeInclusive<u64>, visit: &mut impl FnMut(&Bucket)) {
        let span = span(step);
        let wanted = self.rings[step as usize]
            .chunks()
            .filter(|chunk| *range.start() < (chunk.key + 1) * span && chunk.key * span <= *range.end());
        let mut within = |bucket: &Bucket| {
            if !bucket.is_empty() && range.contains(&bucket.index) {
                visit(bucket);
            }
        };
        for chunk in wanted {
            chunk.each(span, &mut within).expect("what was written can be read");
        }
        if step == Step::Seconds {
            within(&self.open);
            return;
        }
        let index = self.open.index / TO_A_MINUTE;
        let open = Bucket { index, ..self.open.clone() };
        if index == self.minute.index {
            let mut both = self.minute.clone();
            both.merge(&open);
            within(&both);
        } else {
            within(&self.minute);
            within(&open);
        }
    }

    /// When the first of what it holds ended, or will: steady milliseconds.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let chunk = |step: Step| {
            let first = self.rings[step as usize].chunks.front()?;
            Some((first.key + 1) * span(step) * step.ms())
        };
        let bucket = |step: Step, bucket: &Bucket| (!bucket.is_empty()).then(|| (bucket.index + 1) * step.ms());
        let open = [bucket(Step::Minute, &self.minute), bucket(Step::Seconds, &self.open)];
        [chunk(Step::Seconds), chunk(Step::Minute)].into_iter().chain(open).flatten().min()
    }

    /// Lets go of what ended before this instant.
    pub(super) fn drop_before(&mut self, instant: u64, bytes: &mut u64) {
        for step in [Step::Seconds, Step::Minute] {
            self.rings[step as usize].drop_while(bytes, |chunk| (chunk.key + 1) * span(step) * step.ms() <= instant);
        }
        for (step, bucket) in [(Step::Minute, &mut self.minute), (Step::Seconds, &mut self.open)] {
            if (bucket.index + 1) * step.ms() <= instant {
                *bytes -= bucket.cell_bytes();
                *bucket = Bucket { index: bucket.index, ..Bucket::default() };
            }
        }
    }

    /// Whether everything in it stands in its order, and nothing after the instant `steady`.
    pub(crate) fn fits(&self, steady: u64) -> bool {
        let before = |ring: &Ring, step, index| ring.last(step).is_none_or(|last| last < index);
        let now = steady / Step::Seconds.ms();
        let open = if self.open.is_empty() { now } else { self.open.index };
        let minute = if self.minute.is_empty() { open / TO_A_MINUTE } else { self.minute.index };
        let [seconds, minutes] = &self.rings;
        open <= now
            && minute <= open / TO_A_MINUTE
            && before(seconds, Step::Seconds, open)
            && before(minutes, Step::Minute, minute)
    }

    /// What it takes beside its own struct.
    pub(super) fn takes(&self) -> u64 {
        let chunks = self.rings.iter().flat_map(Ring::chunks).map(Chunk::takes).sum::<u64>();
        chunks + self.open.cell_bytes() + self.minute.cell_bytes()
    }
}
