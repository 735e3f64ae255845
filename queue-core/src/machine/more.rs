//! What most waiting jobs lack, in two boxes: what came with the enqueue, and within it what leases left.
//!
//! Each is made when the first of it comes, so that a plain waiting job costs one row, and one with an id little more.

use std::num::NonZeroU64;

use smallvec::SmallVec;

use super::digest::{Mix, SequenceDigest};
use super::event::Blob;
use super::memory::allocated;
use crate::model::LeaseOutcome;

/// The rarer part of a row: what came with the enqueue.
#[derive(Debug, Default)]
pub(crate) struct More {
    pub(crate) id: Option<Box<str>>,
    pub(crate) tags: Box<[Box<str>]>,
    pub(crate) headers: Option<Box<Blob>>,
    /// Steady instant at which it dies unstarted; cleared by its first lease.
    pub(crate) expires_at: Option<NonZeroU64>,
    pub(crate) runs: Option<Box<Runs>>,
}

/// What leases and retries left with a job.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// The newest lease's token.
    pub(crate) token: u64,
    /// The newest lease's length in milliseconds, as it was last given: a start gives it again.
    pub(crate) lease_ms: u32,
    /// Leases ever.
    pub(crate) leased: u32,
    /// Rounds ended by a retry.
    pub(crate) rounds: u32,
    /// Releases and snoozes in a row.
    pub(crate) returns: u32,
    pub(crate) timeline: SmallVec<[LeaseRow; 1]>,
    pub(crate) result: Option<Blob>,
    pub(crate) progress: Option<Blob>,
    pub(crate) log: Option<Box<Log>>,
    pub(crate) cancel: Option<Box<CancelMark>>,
}

/// A lease in the timeline.
#[derive(Debug)]
pub(crate) struct LeaseRow {
    pub(crate) worker: u32,
    pub(crate) lease: u32,
    pub(crate) attempt: u16,
    pub(crate) round: u32,
    pub(crate) outcome: LeaseOutcome,
    pub(crate) leased_at: u64,
    pub(crate) ended_at: u64,
    pub(crate) failure: Option<Box<Failure>>,
}

/// What failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Box<str>,
    pub(crate) fingerprint: Box<str>,
    pub(crate) error: Blob,
    digest: u64,
}

/// The lines that a job's handlers said.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) chunks: Vec<LogChunk>,
    /// Lines that went since.
    pub(crate) dropped: u64,
    digest: SequenceDigest,
}

/// Lines logged together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogChunk {
    pub(crate) lines: u32,
    pub(crate) blob: Blob,
}

/// A cancel of an active job.
#[derive(Debug)]
pub(crate) struct CancelMark {
    pub(crate) at: u64,
    pub(crate) text: Box<str>,
}

impl More {
    /// Every blob it holds.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = Blob> + '_ {
        let runs = self.runs.as_deref();
        self.headers.as_deref().copied().into_iter().chain(runs.into_iter().flat_map(Runs::blobs))
    }

    pub(crate) fn digest(&self, hash: &mut Mix) {
        hash.add_bytes(self.id.as_deref().unwrap_or("").as_bytes()).add(self.tags.len() as u64);
        for tag in &self.tags {
            hash.add_bytes(tag.as_bytes());
        }
        add_blob(hash, self.headers.as_deref());
        hash.add(self.expires_at.map_or(0, NonZeroU64::get));
        if let Some(runs) = &self.runs {
            runs.digest(hash);
        }
    }

    /// Bytes that it takes, its own box included.
    pub(crate) fn bytes(&self) -> u64 {
        let tags = self.tags.iter().map(|tag| allocated(tag.len())).sum::<u64>();
        let headers = if self.headers.is_some() { allocated(size_of::<Blob>()) } else { 0 };
        let runs = self.runs.as_ref().map_or(0, |runs| runs.bytes());
        let id = self.id.as_ref().map_or(0, |id| allocated(id.len()));
        allocated(size_of::<Self>()) + id + allocated(size_of_val(&*self.tags)) + tags + headers + runs
    }
}

impl Runs {
    /// The lease that runs or ran last.
    pub(crate) fn last_lease(&mut self) -> &mut LeaseRow {
        self.timeline.last_mut().expect("a job that was leased has a timeline")
    }

    /// The newest failure that the timeline shows.
    pub(crate) fn last_failure(&self) -> Option<&Failure> {
        self.timeline.iter().rev().find_map(|lease| lease.failure.as_deref())
    }

    /// What the log still has.
    pub(crate) fn log_chunks(&self) -> &[LogChunk] {
        self.log.as_ref().map_or(&[], |log| &log.chunks)
    }

    fn blobs(&self) -> impl Iterator<Item = Blob> + '_ {
        let errors = self.timeline.iter().filter_map(|lease| Some(lease.failure.as_ref()?.error));
        let logs = self.log_chunks().iter().map(|chunk| chunk.blob);
        [self.result, self.progress].into_iter().flatten().chain(errors).chain(logs)
    }

    fn digest(&self, hash: &mut Mix) {
        hash.add(self.token).add(u64::from(self.leased) << 32 | u64::from(self.rounds));
        hash.add(u64::from(self.returns) << 32 | u64::from(self.lease_ms)).add(self.timeline.len() as u64);
        for lease in &self.timeline {
            hash.add(u64::from(lease.worker) << 32 | u64::from(lease.lease));
            hash.add(u64::from(lease.round) << 32 | u64::from(lease.attempt) << 8 | lease.outcome as u64);
            hash.add(lease.leased_at).add(lease.ended_at);
            hash.add(lease.failure.as_ref().map_or(0, |failure| failure.digest));
        }
        add_blob(hash, self.result.as_ref());
        add_blob(hash, self.progress.as_ref());
        if let Some(log) = &self.log {
            log.digest.add_to(hash.add(log.dropped));
        }
        if let Some(cancel) = &self.cancel {
            hash.add(cancel.at).add_bytes(cancel.text.as_bytes());
        }
    }

    fn bytes(&self) -> u64 {
        let spilled = if self.timeline.spilled() { self.timeline.capacity() * size_of::<LeaseRow>() } else { 0 };
        let failures = self.timeline.iter().filter_map(|lease| lease.failure.as_ref());
        let failures = failures.map(|failure| failure.bytes()).sum::<u64>();
        let log = self.log.as_ref().map_or(0, |log| log.bytes());
        let mark = |cancel: &CancelMark| allocated(size_of::<CancelMark>()) + allocated(cancel.text.len());
        let cancel = self.cancel.as_deref().map_or(0, mark);
        allocated(size_of::<Self>()) + allocated(spilled) + failures + log + cancel
    }
}

impl Failure {
    pub(crate) fn new(kind: &str, fingerprint: &str, error: Blob) -> Self {
        let mut digest = Mix(0);
        digest.add_bytes(kind.as_bytes()).add_bytes(fingerprint.as_bytes());
        add_blob(&mut digest, Some(&error));
        Self { kind: kind.into(), fingerprint: fingerprint.into(), error, digest: digest.0 }
    }

    const fn bytes(&self) -> u64 {
        allocated(size_of::<Self>()) + allocated(self.kind.len()) + allocated(self.fingerprint.len())
    }
}

impl Log {
    pub(crate) fn push(&mut self, chunk: LogChunk) {
        self.digest.push(chunk.digest());
        self.chunks.push(chunk);
    }

    /// Drops the oldest `count` chunks, and hands over their blobs.
    pub(crate) fn drop_oldest(&mut self, count: usize) -> impl Iterator<Item = Blob> + '_ {
        self.chunks.drain(..count).map(|old| {
            self.digest.pop(old.digest());
            self.dropped += u64::from(old.lines);
            old.blob
        })
    }

    const fn bytes(&self) -> u64 {
        allocated(size_of::<Self>()) + allocated(self.chunks.capacity() * size_of::<LogChunk>())
    }
}

impl LogChunk {
    fn digest(&self) -> u64 {
        let mut hash = Mix(u64::from(self.lines));
        add_blob(&mut hash, Some(&self.blob));
        hash.0
    }
}

fn add_blob(hash: &mut Mix, blob: Option<&Blob>) {
    // No blob is at the end of the address space.
    let (position, length) = blob.map_or((u64::MAX, 0), |blob| (blob.position, blob.length));
    hash.add(position).add(u64::from(length));
}

#[cfg(test)]
mod tests {
    use super::{More, Runs};

    #[test]
    fn what_an_id_costs_stays_small() {
        assert!(size_of::<More>() <= 56, "{} bytes", size_of::<More>());
        assert!(size_of::<Runs>() <= 160, "{} bytes", size_of::<Runs>());
    }
}
