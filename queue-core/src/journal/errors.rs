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
    /// A file was written by another version of this program. Nothing was changed.
    #[error(
        "{file} in {directory} has format version {version}, this program knows version {FORMAT_VERSION}: \
         nothing was changed; use the program that wrote it"
    )]
    UnknownVersion {
        /// The data directory.
        directory: String,
        /// The file in it.
        file: String,
        /// The version found.
        version: u32,
    },
    /// The manifest has a field that this version does not know, and that changes what the store is.
    #[error(
        "{directory} has a MANIFEST with field {field}, which this program does not know: use the program that wrote it"
    )]
    UnknownField {
        /// The data directory.
        directory: String,
        /// The field's number.
        field: u16,
    },
    /// What was being restored here is not whole yet. Restoring again helps.
    #[error(
        "{directory} holds a restore that did not come to its end: run it again, longshore restore BACKUP {directory}"
    )]
    HalfRestored {
        /// The directory.
        directory: String,
    },
    /// There is something already where a backup or a restored store is to go. Nothing was changed.
    #[error("{place} is there already; {hint}")]
    Taken {
        /// The directory.
        place: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// What should be restored is the directory of a store that was killed, not a backup. Nothing was made of it.
    #[error(
        "{directory} is no backup but a store that was not closed: {file} has no end at offset {offset}; \
         nothing was restored; start longshore-server on it and stop it, then restore it, or restore a backup"
    )]
    NotClosed {
        /// The store's directory.
        directory: String,
        /// The file in it.
        file: String,
        /// Offset in the file, bytes.
        offset: u64,
    },
    /// What should be restored is not whole. Nothing was made of it.
    #[error("{file} of {backup} is damaged at offset {offset}: {damage}; nothing was restored: use another backup")]
    BackupDamaged {
        /// The backup's directory.
        backup: String,
        /// The file in it.
        file: String,
        /// Offset in the file, bytes.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// Bytes that were synced are not what was written. Retrying does not help.
    #[error(
        "{file} is damaged at offset {offset} (position {position}): {damage}; \
         everything before position {synced} had been synced, so this is not a torn tail; \
         nothing was changed; run `longshore journal verify {directory}`, then `longshore journal repair {directory}`"
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
        "{file} is damaged at offset {offset}: {damage}; nothing was changed; \
         run `longshore journal verify {directory}`, then `longshore journal repair {directory}`"
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
    /// A file that the store cannot do without is not there, or is bad as a whole. Retrying does not help.
    #[error(
        "{file} in {directory} cannot be used: {damage}; nothing was changed; put the file back if it was taken away, \
         else run `longshore journal verify {directory}`, then `longshore journal repair {directory}`"
    )]
    FileDamaged {
        /// The data directory.
        directory: String,
        /// The file in it.
        file: String,
        /// What is wrong with it.
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
    /// The journal was closed while a snapshot or a backup was made: it is given up, and nothing is lost.
    #[error("the journal was closed while a snapshot or a backup was being made")]
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
    /// The error for files that are whole but do not go together.
    pub fn refused(position: Position, source: VisitError) -> JournalError {
        JournalError::Refused { position, kind: 0, source: source.into() }
    }

    /// What can be done about it, where the sentence does not say it: about what the system answered.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            JournalError::Io { source, .. } => Some(advice(source.kind())),
            JournalError::OutcomeUnknown { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("nothing is tried again; make room and start again: what was acknowledged is there")
            }
            JournalError::OutcomeUnknown { .. } => {
                Some("nothing is tried again; look at the disk and start again: what was acknowledged is there")
            }
            _ => None,
        }
    }

    /// The same error with the directory before the file's name, for whoever has not been told which it is.
    #[must_use]
    pub(super) fn within(self, directory: &str) -> JournalError {
        match self {
            JournalError::Io { action, file, source } if file != directory => {
                JournalError::Io { action, file: format!("{directory}/{file}"), source }
            }
            error => error,
        }
    }

    /// The same error, told of this directory: it was found in files that are shared with it, or copies of its own.
    #[must_use]
    pub(super) fn of_directory(mut self, place: &str) -> JournalError {
        if let JournalError::Corrupt { directory, .. }
        | JournalError::SnapshotDamaged { directory, .. }
        | JournalError::FileDamaged { directory, .. } = &mut self
        {
            place.clone_into(directory);
        }
        self
    }

    /// Whether the journal refuses everything from now on.
    pub fn is_final(&self) -> bool {
        matches!(self, JournalError::OutcomeUnknown { .. })
    }

    /// Whether there was no room on the disk.
    pub fn is_space(&self) -> bool {
        match self {
            JournalError::Io { source, .. } | JournalError::OutcomeUnknown { source, .. } => lacks_space(source),
            _ => false,
        }
    }
}

impl Record<'_> {
    /// The error for a record that is whole but that whoever reads it cannot use.
    pub(super) fn refused(&self, source: VisitError) -> JournalError {
        JournalError::Refused { position: self.position, kind: self.kind, source: source.into() }
    }
}

/// What to do about a file that the system refuses.
fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => "whoever runs this must own it, or be allowed to read and write it",
        io::ErrorKind::ReadOnlyFilesystem => {
            "a read-only disk can be looked at (longshore journal dump), and no more: mount it writable"
        }
        io::ErrorKind::NotFound => "something else takes its files away, or its name leads nowhere",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands where a directory should: name another"
        }
        io::ErrorKind::IsADirectory => {
            "a directory stands where a file should: something else uses this place, name another"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full: make room",
        _ => "look at the disk and at the system's log, then try again",
    }
}

/// Names the place in a file at which a read or write failed.
pub(super) fn at(offset: u64) -> impl FnOnce(io::Error) -> io::Error {
    move |source| io::Error::new(source.kind(), At { offset, source })
}

#[derive(Debug, thiserror::Error)]
#[error("at offset {offset}")]
struct At {
    offset: u64,
    source: io::Error,
}

/// A failed file operation, before it is known whether it is final.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) action: &'static str,
    pub(super) file: String,
    pub(super) source: Arc<io::Error>,
}

/// Whether a call failed because there is no room.
pub(super) fn lacks_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Failure {
    /// Whether there was no room on the disk.
    pub(super) fn is_space(&self) -> bool {
        lacks_space(&self.source)
    }

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
