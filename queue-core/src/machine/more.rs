//! What most waiting jobs lack: id, tags, headers, timeline, result, log, a cancel asked for.
//!
//! Made when the first of it comes, so that a plain waiting job costs one row.

use smallvec::SmallVec;

use super::event::Blob;
use super::rows::Mix;
use crate::model::LeaseOutcome;

/// The rarer part of a row.
#[derive(Debug, Default)]
pub(crate) struct More {
    pub(crate) id: Option<Box<str>>,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) headers: Option<Blob>,
    /// Steady instant at which it dies unstarted; cleared by its first lease.
    pub(crate) expires_at: Option<u64>,
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
    pub(crate) log: Vec<LogChunk>,
    /// Lines that the log dropped.
    pub(crate) log_dropped: u64,
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
    /// The lease that runs or ran last.
    pub(crate) fn last_lease(&mut self) -> &mut LeaseRow {
        self.timeline.last_mut().expect("a job that was leased has a timeline")
    }

    /// Every blob it holds.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = Blob> + '_ {
        let errors = self.timeline.iter().filter_map(|lease| Some(lease.failure.as_ref()?.error));
        let logs = self.log.iter().map(|chunk| chunk.blob);
        [self.headers, self.result, self.progress].into_iter().flatten().chain(errors).chain(logs)
    }

    pub(crate) fn digest(&self, hash: &mut Mix) {
        let cancel = self.cancel.as_ref().map_or(0, |cancel| cancel.at);
        let last = self.timeline.last().map_or(0, |lease| (lease.outcome as u64) << 56 ^ lease.ended_at);
        hash.add(self.token).add(u64::from(self.leased) << 32 | u64::from(self.rounds));
        hash.add(u64::from(self.returns) << 32 | u64::from(self.lease_ms))
            .add(self.expires_at.unwrap_or(0))
            .add(cancel)
            .add(last);
        hash.add(self.log_dropped).add(self.timeline.len() as u64);
        for blob in self.blobs() {
            hash.add(blob.position);
        }
        if let Some(id) = &self.id {
            hash.add_bytes(id.as_bytes());
        }
        for tag in &self.tags {
            hash.add_bytes(tag.as_bytes());
        }
    }
}
