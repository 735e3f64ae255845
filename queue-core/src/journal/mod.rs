//! The append log: opaque records in frames, frames in segments, one write and one sync for each frame.
//!
//! Knows nothing of jobs and encodes no bodies; takes no time and no randomness by itself (both are arguments) and starts
//! no thread: the caller decides where a commit runs. What a snapshot says is the caller's, too.
//! Invariants: a position is a byte address in the endless log and never changes; what was synced comes back, in order,
//! and whole frames only; after a failed write or sync nothing is retried. `docs/journal.md` draws the format.

mod backup;
mod commit;
mod compaction;
mod cut;
mod errors;
pub mod faults;
mod format;
mod frames;
mod inspect;
mod mend;
mod reader;
mod recovery;
mod restore;
mod room;
mod scan;
mod segments;
#[cfg(any(test, feature = "testkit"))]
pub mod sim;
mod snapshot;
mod stock;
mod storage;
mod verify;
mod writer;

pub(crate) use backup::is_ours;
pub use backup::{BackedUp, Backup};
pub use commit::{Commit, Committed, FinishedSync, PendingSync};
pub use compaction::{Cleanup, Compacted, Compaction};
pub use errors::JournalError;
pub use format::{ALIGNMENT, COMMAND_BYTES_MAX, Damage, FORMAT_VERSION, FRAME_BYTES_MAX, Record};
pub use inspect::{Inspection, ReadOnly, Torn};
pub use mend::{Base, Hole, Mended, Mending};
pub use reader::{Chunk, Reader};
pub use recovery::{Recovered, VisitError, Visitor};
pub use restore::{Restored, restore};
pub use room::{Level, Reach, Space};
pub use snapshot::{SnapshotFile, SnapshotHeader, SnapshotReader, SnapshotWriter, TakePart};
pub use stock::{Full, Maintained, Maintenance};
pub(crate) use storage::LOCK_FILE;
pub use storage::{DirStorage, LockFailure, Storage, StorageFile};
pub use verify::{Checked, Finding, Progress, Weight};
pub use writer::Journal;

#[cfg(test)]
mod tests;

/// A byte address in the endless log. Records stand at multiples of 8, which leaves three bits to name a record's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// Where every log begins.
    pub const ZERO: Position = Position(0);

    /// The position with this address.
    pub const fn new(address: u64) -> Position {
        Position(address)
    }

    /// The address.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position `bytes` further on.
    pub(crate) const fn plus(self, bytes: u64) -> Position {
        Position(self.0 + bytes)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// When replies may leave, and so which failure they survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FsyncPolicy {
    /// When synced: survives power loss. The default.
    #[default]
    Always,
    /// When the kernel has it: survives `kill -9`. Synced each second, so power loss takes about a second at most;
    /// replies are held back once a sync is two seconds late.
    EverySec,
    /// As `EverySec`, but synced only where a segment ends, at a clean stop and at start.
    No,
}

impl FsyncPolicy {
    /// Its name, as flags take it and `stats` shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            FsyncPolicy::Always => "always",
            FsyncPolicy::EverySec => "everysec",
            FsyncPolicy::No => "no",
        }
    }

    fn code(self) -> u8 {
        match self {
            FsyncPolicy::Always => 0,
            FsyncPolicy::EverySec => 1,
            FsyncPolicy::No => 2,
        }
    }

    fn from_code(code: u8) -> Option<FsyncPolicy> {
        [FsyncPolicy::Always, FsyncPolicy::EverySec, FsyncPolicy::No].into_iter().find(|policy| policy.code() == code)
    }
}

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// When replies may leave. Default: [`FsyncPolicy::Always`].
    pub policy: FsyncPolicy,
    /// Size of a store's first segment; each later one is twice as long, up to `segment_bytes_max`. Default 1 MiB.
    pub segment_bytes_first: u64,
    /// Size of a segment once the store has grown. Default 64 MiB; at least 4 KiB, at most 1 GiB (what users may set
    /// is checked where they set it).
    pub segment_bytes_max: u64,
    /// A random number. Used once, when the directory is made; it keeps bytes of other stores from being taken for ours.
    pub store_salt: u64,
    /// Whether files are kept for the time when the disk is full. Default: yes.
    pub reserve: bool,
}

impl Default for Options {
    /// The defaults named at each field, and a `store_salt` from the operating system.
    fn default() -> Options {
        Options {
            policy: FsyncPolicy::Always,
            segment_bytes_first: 1 << 20,
            segment_bytes_max: 64 << 20,
            store_salt: u64::from_le_bytes(crate::random::bytes()),
            reserve: true,
        }
    }
}
