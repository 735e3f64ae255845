//! Looking at a journal that nobody runs: the first half of an opening, which changes nothing.
//!
//! Holds the directory's lock while it looks, also on a disk that cannot be written. Leaves reading and judging to
//! `recovery`, and what a damaged place means to `verify`. Invariant: not a byte and not a name is changed, but for the
//! lock file; and that is made only in a directory that is a journal's.

use std::io;
use std::path::Path;

use super::errors::JournalError;
use super::format::{Manifest, offset_in_segment};
use super::recovery::{self, Log, Recovered, VisitError, Visitor};
use super::scan;
use super::storage::{LockFailure, Storage};
use super::{Position, Record};

/// A journal that is looked at. It stays this one's until it is dropped.
#[derive(Debug)]
pub struct Inspection<S: Storage> {
    pub(super) storage: ReadOnly<S>,
    pub(super) manifest: Manifest,
    _lock: Option<S::Lock>,
}

/// A torn tail, or a part of it: what the next start would cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file in the directory.
    pub file: String,
    /// Where in it the tail begins, bytes.
    pub offset: u64,
    /// Up to its last byte that is not zero.
    pub bytes: u64,
}

impl<S: Storage> Inspection<S> {
    /// Makes sure that the directory holds a journal, and takes its lock.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoJournal`], [`JournalError::Locked`], [`JournalError::Foreign`],
    /// [`JournalError::UnknownVersion`], [`JournalError::Corrupt`] if the manifest is damaged, [`JournalError::Io`].
    pub fn open(storage: S) -> Result<Inspection<S>, JournalError> {
        let place = storage.place();
        Inspection::open_here(ReadOnly(storage)).map_err(|error| error.within(&place))
    }

    fn open_here(storage: ReadOnly<S>) -> Result<Inspection<S>, JournalError> {
        let manifest =
            || recovery::survey(&storage)?.ok_or_else(|| JournalError::NoJournal { directory: storage.place() });
        // Twice, as an opening does: before the lock file is made, and once nobody else can change anything.
        manifest()?;
        let lock = recovery::lock(&storage)?;
        let manifest = manifest()?;
        Ok(Inspection { storage, manifest, _lock: lock })
    }

    /// Reads what a start would read, in its order, and judges it as a start would.
    ///
    /// # Errors
    ///
    /// What would make a start impossible: as [`super::Journal::open_with`].
    pub fn replay(&self, visitor: &mut dyn Visitor) -> Result<(Recovered, Vec<Torn>), JournalError> {
        self.replay_from(&self.manifest, visitor)
    }

    /// As [`Inspection::replay`], from the snapshot before the newest on, and the log behind that; `None` if it is not kept.
    ///
    /// # Errors
    ///
    /// As [`Inspection::replay`].
    pub fn replay_before(&self, visitor: &mut dyn Visitor) -> Option<Result<(Recovered, Vec<Torn>), JournalError>> {
        let newest = self.manifest.before.clone()?;
        let manifest = Manifest { newest, before: None, ..self.manifest.clone() };
        Some(self.replay_from(&manifest, visitor))
    }

    fn replay_from(
        &self,
        manifest: &Manifest,
        visitor: &mut dyn Visitor,
    ) -> Result<(Recovered, Vec<Torn>), JournalError> {
        let log = recovery::replay(&self.storage, manifest, visitor);
        let log = log.map_err(|error| error.within(&self.storage.place()))?;
        Ok((log.recovered(), log.torn()))
    }

    /// Where the snapshot that a start begins with ends; the log's begin without one.
    pub fn begin(&self) -> Position {
        self.manifest.newest.first_position
    }

    /// Visits the records before those that [`Inspection::replay`] reads, in order, as far back as they are kept.
    /// Returns where they begin; they end where the snapshot that a start begins with does.
    ///
    /// # Errors
    ///
    /// [`JournalError::Corrupt`] names the first bad place, [`JournalError::Refused`] carries the visitor's reason.
    pub fn history(
        &self,
        visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>,
    ) -> Result<Position, JournalError> {
        let spans = recovery::history(&self.storage, &self.manifest)?;
        let end = (self.manifest.newest.first_segment, self.manifest.newest.first_position);
        let mut visitor = |record: Record<'_>| visitor(record).map_err(|source| record.refused(source));
        scan::walk_spans(&self.storage, &self.manifest, &[&spans[..], &[end]].concat(), &mut visitor)?;
        Ok(spans.first().map_or(end.1, |(_, first)| *first))
    }
}

impl<F> Log<F> {
    /// What stands behind its end and is not zero.
    pub(super) fn torn(&self) -> Vec<Torn> {
        let first = self.spans.last().map_or(self.end, |(_, first)| *first);
        let tail = self.last.iter().map(|(last, used)| (last, offset_in_segment(self.end, first), *used));
        let rest = self.rest.iter().map(|(candidate, used)| (candidate, 0, *used));
        tail.chain(rest)
            .filter(|(_, from, to)| from < to)
            .map(|(candidate, from, to)| Torn { file: candidate.name.clone(), offset: from, bytes: to - from })
            .collect()
    }
}

/// A storage that is read and never written.
#[derive(Debug, Clone)]
pub struct ReadOnly<S>(pub(super) S);

impl<S: Storage> Storage for ReadOnly<S> {
    type File = S::File;
    type Lock = Option<S::Lock>;

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, directory: &Path) -> Self {
        Self(self.0.at(directory))
    }

    fn place(&self) -> String {
        self.0.place()
    }

    fn make_directory(&self) -> io::Result<()> {
        Err(refused())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn lock(&self) -> Result<Option<S::Lock>, LockFailure> {
        self.0.lock_to_read()
    }

    fn lock_to_read(&self) -> Result<Option<Option<S::Lock>>, LockFailure> {
        self.0.lock_to_read().map(Some)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn create(&self, _: &str) -> io::Result<S::File> {
        Err(refused())
    }

    fn open(&self, name: &str) -> io::Result<S::File> {
        self.0.open_to_read(name)
    }

    fn open_to_read(&self, name: &str) -> io::Result<S::File> {
        self.0.open_to_read(name)
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(refused())
    }

    fn link(&self, _: &str, _: &Self) -> io::Result<()> {
        Err(refused())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(refused())
    }

    fn remove_directory(&self, _: &str) -> io::Result<()> {
        Err(refused())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Err(refused())
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it is only being looked at")
}
