//! What happened over time: series by queue and by job name, and groups of failures.
//!
//! Folded from events like all else, but no state: nothing is decided by it, and it is in no digest. It has a bound of
//! its own, in bytes: what is oldest goes first. Deterministic: it follows from the events alone, whether they were
//! folded at once or a snapshot lies between them. Instants are steady milliseconds.

mod failures;
mod histogram;
mod names;
mod series;

pub(super) use failures::{Failures, Group, HOURS, MINUTES, SAMPLES, SHARES, Share};
pub(super) use histogram::Sum;
pub(super) use names::{Candidate, Names, Pair};
pub(super) use series::{Bucket, Chunk, Series, put, take};

use super::happened::{Happened, KINDS};
use super::memory::allocated;
use super::tables::Interned;
use super::{Event, Machine};

/// What all of it may take: 64 MiB.
const BYTES: u64 = 64 << 20;
/// How much room is made at once.
const ROOM_BYTES: u64 = 1 << 20;
/// A series beside what is in its buckets: the least that its lists take.
const SERIES_BYTES: u64 = allocated(size_of::<Series>()) + 512;
/// The series of a queue.
#[derive(Debug, Default)]
pub(super) struct QueueStats {
    /// Of all its jobs.
    pub(super) all: Series,
    /// Of those whose names have no series of their own.
    pub(super) other: Option<Box<Series>>,
}

/// Everything that is counted over time.
#[derive(Debug, Default)]
pub(super) struct Stats {
    /// Of the whole store.
    pub(super) store: Series,
    pub(super) queues: Vec<Option<Box<QueueStats>>>,
    pub(super) names: Names,
    pub(super) failures: Failures,
    /// What series and names take beside the struct itself.
    pub(super) bytes: u64,
}

impl Stats {
    /// Counts what happened at `at`.
    fn note(&mut self, at: u64, happened: &Happened, names: &Interned<Box<str>>) {
        let index = at / 10_000;
        let bytes = &mut self.bytes;
        self.store.note(index, happened, bytes);
        let queue = happened.queue as usize;
        if self.queues.len() <= queue {
            self.queues.resize_with(queue + 1, || None);
        }
        let of_queue = self.queues[queue].get_or_insert_with(|| {
            *bytes += SERIES_BYTES + allocated(size_of::<QueueStats>() - size_of::<Series>());
            Box::default()
        });
        of_queue.all.note(index, happened, bytes);
        match self.names.series(at, happened, names, bytes) {
            Some(series) => series.note(index, happened, bytes),
            None => {
                let other = of_queue.other.get_or_insert_with(|| {
                    *bytes += SERIES_BYTES;
                    Box::default()
                });
                other.note(index, happened, bytes);
            }
        }
        if self.total_bytes() > BYTES {
            self.make_room(BYTES - ROOM_BYTES);
        }
    }

    /// The series of a queue, if something happened in it.
    pub(super) fn of_queue(&self, queue: u32) -> Option<&QueueStats> {
        self.queues.get(queue as usize)?.as_deref()
    }

    /// What all of it takes.
    pub(super) fn total_bytes(&self) -> u64 {
        self.bytes + self.failures.bytes()
    }

    /// Bytes that all of it takes where it is written down, about.
    pub(super) fn stored_bytes(&self) -> u64 {
        // A series that little happened in is a few bytes, not the room that its lists have.
        let series = 1 + self.queues.len() as u64 + self.names.len() as u64;
        self.total_bytes().saturating_sub(series * (SERIES_BYTES - 200))
    }

    fn each_series(&self) -> impl Iterator<Item = &Series> {
        let queues = self.queues.iter().flatten();
        let queues = queues.flat_map(|queue| std::iter::once(&queue.all).chain(queue.other.as_deref()));
        let pairs = self.names.pairs().map(|pair| &pair.series);
        std::iter::once(&self.store).chain(queues).chain(pairs)
    }

    /// Lets go of what is oldest until no more than `target` is held. What goes at once is the longer the less a step
    /// freed, so that the whole is looked at but a few times.
    fn make_room(&mut self, target: u64) {
        let Some(oldest) = self.each_series().filter_map(Series::oldest).min() else { return };
        let newest = self.store.open.index * 10_000;
        let mut step = 60_000;
        while self.total_bytes() > target && oldest + step <= newest {
            self.drop_before(oldest + step);
            step *= 2;
        }
        // What is left is of the last moments, of very many queues.
        for queue in 0..self.queues.len() {
            if self.total_bytes() <= target {
                break;
            }
            self.drop_queue(queue);
        }
    }

    fn drop_before(&mut self, instant: u64) {
        let bytes = &mut self.bytes;
        self.store.drop_before(instant, bytes);
        self.names.drop_before(instant, bytes);
        for queue in 0..self.queues.len() {
            let Some(stats) = &mut self.queues[queue] else { continue };
            stats.all.drop_before(instant, &mut self.bytes);
            if let Some(other) = &mut stats.other {
                other.drop_before(instant, &mut self.bytes);
                if other.oldest().is_none() {
                    self.bytes -= SERIES_BYTES;
                    stats.other = None;
                }
            }
            if stats.all.oldest().is_none() {
                self.drop_queue(queue);
            }
        }
    }

    fn drop_queue(&mut self, queue: usize) {
        if let Some(gone) = self.queues[queue].take() {
            self.bytes -= Self::takes(&gone);
        }
    }

    fn takes(queue: &QueueStats) -> u64 {
        let other = queue.other.as_ref().map_or(0, |other| SERIES_BYTES + other.takes());
        let beside = allocated(size_of::<QueueStats>() - size_of::<Series>());
        SERIES_BYTES + beside + queue.all.takes() + other
    }

    /// What series and names take, added up anew.
    pub(super) fn recount(&self) -> u64 {
        let queues = self.queues.iter().flatten().map(|queue| Self::takes(queue)).sum::<u64>();
        queues + self.store.takes() + self.names.takes()
    }
}

impl Machine {
    /// Counts what `event` is for, before it is folded.
    pub(super) fn observe(&mut self, event: &Event<'_>, happened: &Happened) {
        let at = self.steady;
        self.stats.note(at, happened, &self.names);
        if let Event::Failed { number, kind, fingerprint, .. } = *event {
            let name = self.names.get(happened.name);
            self.stats.failures.note(at, number.0, (kind, fingerprint), happened.queue, name);
        }
    }
}

#[cfg(test)]
mod tests;
