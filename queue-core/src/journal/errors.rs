//! What can go wrong with the journal, in words that say what to do next.
//!
//! Leaves logging and exit codes to the callers.
//! Invariant: an error that means "the bytes may or may not be on disk" is [`JournalError::OutcomeUnknown`], no other.

use std::io;
use std::sync::Arc;

use super::format::{Damage, FORMAT_VERSION};
use super::{Position, Record, VisitError};

/// Why the journal could not be opened, written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process, or another engine of this one, owns the directory. Retrying helps once that one has ended.
    #[error("{directory} is in use by {owner}; one directory has one owner at a time: stop it, or ask it")]
    Locked {
        /// The data directory.
        directory: String,
        /// Who holds the lock, as far as the lock file tells.
        owner: String,
    },
    /// The directory has files, but they are not a journal's. Nothing was changed in it.
    #[error(
        "{directory} is not a longshore data directory: it has no MANIFEST but contains {found}; name an empty one"
    )]
    Foreign {
        /// The directory.
        directory: String,
        /// One of the files found there.
        found: String,
    },
    /// There is no journal to look at. Nothing was changed.
    #[error("{directory} holds no journal: it has no MANIFEST")]
    NoJournal {
        /// The directory.
        directory: String,
    },
    /// The directory was written by another version of this program.
    #[error(
        "{directory} has format version {version}, this program knows version {FORMAT_VERSION}: use the program that wrote it"
    )]
    UnknownVersion {
        /// The data directory.
        directory: String,
        /// The version found.
        version: u32,
    },
    /// Bytes that were synced are not what was written. Retrying does not help.
    #[error(
        "{file} is damaged at offset {offset} (position {position}): {damage}; \
         everything before position {synced} had been synced, so this is not a torn tail; \
         nothing was changed; keep a copy of {directory} as it is, then start with a backup or an empty directory"
    )]
    Corrupt {
        /// The data directory.
        directory: String,
        /// The file in it.
        file: String,
        /// Offset in the file, bytes.
        offset: u64,
        /// Position in the log.
        position: Position,
        /// The last position that the journal itself names as synced.
        synced: Position,
        /// What is wrong there.
        damage: Damage,
    },
    /// A snapshot is not what was written. Retrying does not help.
    #[error(
        "{file} is damaged at offset {offset}: {damage}; nothing was changed; keep a copy of {directory} as it is, \
         then start with a backup or an empty directory"
    )]
    SnapshotDamaged {
        /// The data directory.
        directory: String,
        /// The file in it.
        file: String,
        /// Offset in the file, bytes.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// A record is whole but whoever reads it cannot use it.
    #[error("the record at position {position} (kind {kind}) cannot be applied")]
    Refused {
        /// The record's position.
        position: Position,
        /// The record's kind.
        kind: u16,
        /// The reader's reason.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// An operation on a file failed while nothing was at stake (opening, reading). Retrying may help.
    #[error("failed to {action} {file}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// The journal was closed while a snapshot was made: it is given up, and nothing is lost.
    #[error("the journal was closed while a snapshot was being made")]
    Stopped,
    /// A write or sync failed: what was appended since the last success may or may not be stored.
    ///
    /// Final: the journal accepts nothing more, and nothing is retried. Open the directory again.
    #[error("failed to {action} {file}: what was not acknowledged may or may not be stored")]
    OutcomeUnknown {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
}

impl JournalError {
    /// Whether the journal refuses everything from now on.
    pub fn is_final(&self) -> bool {
        matches!(self, JournalError::OutcomeUnknown { .. })
    }
}

impl Record<'_> {
    /// The error for a record that is whole but that whoever reads it cannot use.
    pub(super) fn refused(&self, source: VisitError) -> JournalError {
        JournalError::Refused { position: self.position, kind: self.kind, source: source.into() }
    }
}

/// A failed file operation, before it is known whether it is final.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) action: &'static str,
    pub(super) file: String,
    pub(super) source: Arc<io::Error>,
}

impl Failure {
    /// For `map_err`: names what was tried on which file.
    pub(super) fn of(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Failure {
        let file = file.to_owned();
        move |source| Failure { action, file, source: Arc::new(source) }
    }

    pub(super) fn unknown(self) -> JournalError {
        JournalError::OutcomeUnknown { action: self.action, file: self.file, source: self.source }
    }
}

impl From<Failure> for JournalError {
    fn from(failure: Failure) -> JournalError {
        JournalError::Io { action: failure.action, file: failure.file, source: failure.source }
    }
}
