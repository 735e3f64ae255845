//! Compaction: a newer snapshot, made beside a journal that goes on, and the removal of what it replaces.
//!
//! Hands out what stands before a segment's begin (the old snapshot's parts, the records behind it) and takes the parts of
//! the new snapshot; what they mean, and that the new one is right, is the caller's. Three values for three steps:
//! [`Compaction`] runs on any thread, [`super::Journal::finish_compaction`] takes what came of it, [`Cleanup`] runs on
//! any thread again. Invariants: the manifest names a snapshot only once its file is whole and durable; nothing is removed
//! before the manifest that does without it is durable; the generation before the newest is kept whole, but for a full disk.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::errors::{Failure, JournalError};
use super::format::{Generation, Manifest};
use super::reader::{Chunk, Reader};
use super::recovery::{read_manifest, write_manifest};
use super::scan::{self, Span};
use super::segments::{Preparation, TEMPORARY_SUFFIX, segment_number};
use super::snapshot::{SNAPSHOT_PREFIX, SnapshotFile, SnapshotHeader, SnapshotReader, SnapshotWriter};
use super::storage::Storage;
use super::{Journal, Position, Record, VisitError};

/// Log that is read at once behind the new snapshot.
const READ_BYTES: u64 = 1 << 20;

/// A snapshot to be made. Dropping it gives it up.
#[derive(Debug)]
pub struct Compaction<S: Storage> {
    storage: S,
    manifest: Manifest,
    /// Every segment there is, up to the one at whose begin the new snapshot ends.
    kept: Vec<Span>,
    /// Bytes of log before the new snapshot's end that stay for readers.
    history_bytes: u64,
    /// For what stands behind the new snapshot.
    reader: Reader<S>,
    /// The disk is full: history and the generation before give way.
    gives_way: bool,
    /// The reserve's file for the snapshot, where it is used.
    reserve: RefCell<Option<Preparation<S>>>,
    /// Whether the disk is left to the commits beside it now and then.
    rests: bool,
    /// Raised when the journal is closed or dropped.
    stop: Arc<AtomicBool>,
    /// The directory stays this owner's until the last file is written.
    _lock: Arc<S::Lock>,
}

/// A [`Compaction`] that has come to a new snapshot; hand it to [`super::Journal::finish_compaction`].
#[derive(Debug)]
pub struct Compacted {
    manifest: Manifest,
    /// Everything before it is in the snapshot.
    pub position: Position,
    /// The snapshot's length, bytes.
    pub snapshot_bytes: u64,
}

/// What is left to remove after a compaction.
#[derive(Debug)]
pub struct Cleanup<S: Storage> {
    storage: S,
    manifest: Manifest,
    /// Another owner could have made what this one knows nothing of.
    _lock: Arc<S::Lock>,
}

impl<S: Storage> Journal<S> {
    /// Bytes of log since the newest snapshot, or since the making of a newer one was given up.
    pub fn bytes_since_compaction(&self) -> u64 {
        self.bytes_behind_snapshot().min(self.written().get() - self.given_up_at.get())
    }

    /// Whether there are segments that a snapshot could replace.
    pub(super) fn has_sealed_log(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.number != self.manifest.newest.first_segment)
    }

    /// Whether a snapshot is being made.
    pub fn is_compacting(&self) -> bool {
        self.compacting.is_some()
    }

    /// Bytes of log that a start would have to read behind its snapshot.
    pub fn bytes_behind_snapshot(&self) -> u64 {
        self.written().get() - self.manifest.newest.first_position.get()
    }

    /// How many segments are kept.
    pub fn segments(&self) -> u64 {
        self.shared.segments().len() as u64
    }

    /// Length of the snapshot that a start begins with; 0 without one.
    pub fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes
    }

    /// Hands out the making of a snapshot of everything before the segment in use, which appending does not wait for.
    /// Readers may go back `history_bytes` from there, and at least as far as the generation before.
    ///
    /// On a full disk it uses the reserve's file, and history and the generation before give way to it.
    ///
    /// `None` if the segment in use is the one that the newest snapshot ends at, if one is being made, or a backup, or if
    /// the journal has failed; on a full disk also if one was made for this segment since the disk is full.
    pub fn begin_compaction(&mut self, history_bytes: u64) -> Option<Compaction<S>> {
        let current = self.current.as_ref()?.number;
        let busy = self.compacting.is_some() || self.backing_up.is_some();
        if self.failed.is_some() || busy || !self.has_sealed_log() {
            return None;
        }
        let gives_way = self.lacks_space();
        let room = self.stock.snapshot_room();
        // Another try at the same only where there is more room for it than there was.
        if gives_way && self.made_room_in.is_some_and(|(segment, had)| segment == current && had >= room) {
            return None;
        }
        self.made_room_in = gives_way.then_some((current, room));
        let reserve = RefCell::new(if gives_way { self.stock.take_snapshot() } else { None });
        let stop = Arc::clone(self.compacting.insert(Arc::default()));
        let mut kept = self.shared.segments();
        kept.retain(|(number, _)| *number <= current);
        let (storage, manifest) = (self.storage.clone(), self.manifest.clone());
        let (reader, lock) = (self.reader(), Arc::clone(&self.lock));
        let rests = false;
        Some(Compaction {
            storage,
            manifest,
            kept,
            history_bytes,
            gives_way,
            reserve,
            reader,
            rests,
            stop,
            _lock: lock,
        })
    }

    /// Lets the compaction or backup that runs, if one does, come to nothing as soon as it looks; it is taken back as any
    /// other.
    pub fn stop_background(&mut self) {
        self.closing = true;
        for stop in [&self.compacting, &self.backing_up].into_iter().flatten() {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Whether [`Journal::stop_background`] was called: nothing is prepared any more.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Takes back what came of a compaction: the new snapshot, or `None` if it was given up and may begin anew.
    /// Returns what is left to remove; the compaction ends with [`Journal::finish_cleanup`].
    pub fn finish_compaction(&mut self, compacted: Option<Compacted>) -> Option<Cleanup<S>> {
        let Some(compacted) = compacted else {
            self.given_up_at = self.written();
            self.finish_cleanup();
            return None;
        };
        self.snapshot_bytes = compacted.snapshot_bytes;
        self.shared.remove_before(compacted.manifest.oldest_segment);
        self.manifest = compacted.manifest;
        let (storage, manifest, lock) = (self.storage.clone(), self.manifest.clone(), Arc::clone(&self.lock));
        Some(Cleanup { storage, manifest, _lock: lock })
    }

    /// The end of a compaction that came to a snapshot: what it replaces was removed, as far as it could be.
    pub fn finish_cleanup(&mut self) {
        self.compacting = None;
        self.stock.snapshot_ended(&self.storage);
        self.stock.retry_now();
    }
}

impl<S: Storage> Compaction<S> {
    /// The new snapshot covers everything before it.
    pub fn position(&self) -> Position {
        self.end().1
    }

    fn end(&self) -> Span {
        *self.kept.last().expect("a compaction ends at a segment's begin")
    }

    /// The old snapshot, if there is one.
    ///
    /// # Errors
    ///
    /// [`JournalError::SnapshotDamaged`], [`JournalError::Io`].
    pub fn snapshot(&self) -> Result<Option<SnapshotReader<S>>, JournalError> {
        open_snapshot(&self.storage, &self.manifest)
    }

    /// Visits the records behind the old snapshot and before [`Compaction::position`], in order.
    ///
    /// # Errors
    ///
    /// [`JournalError::Corrupt`] names the place, [`JournalError::Refused`] carries the visitor's reason.
    pub fn records(&self, visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>) -> Result<(), JournalError> {
        let mut visitor = |record: Record<'_>| {
            self.go_on()?;
            visitor(record).map_err(|source| record.refused(source))
        };
        let behind = self.kept.partition_point(|(number, _)| *number < self.manifest.newest.first_segment);
        scan::walk_spans(&self.storage, &self.manifest, &self.kept[behind..], &mut visitor)
    }

    /// Visits records that stand behind [`Compaction::position`] by now, in order, until the visitor breaks; none of them is
    /// in the new snapshot.
    ///
    /// # Errors
    ///
    /// As [`Compaction::records`].
    pub fn records_behind(
        &mut self,
        visitor: &mut dyn FnMut(Record<'_>) -> Result<ControlFlow<()>, VisitError>,
    ) -> Result<(), JournalError> {
        let mut next = self.position();
        let (mut broken, mut refusal) = (false, None);
        while !broken {
            self.go_on()?;
            let chunk = self.reader.read(next, READ_BYTES, &mut |record| {
                let flow = visitor(record).unwrap_or_else(|source| {
                    refusal = Some(record.refused(source));
                    ControlFlow::Break(())
                });
                broken = flow.is_break();
                flow
            })?;
            match chunk {
                Chunk::Read { next: after, at_frontier: false } => next = after,
                _ => break,
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// An error once the journal is closed: then nothing more is to be written to its directory.
    ///
    /// # Errors
    ///
    /// [`JournalError::Stopped`].
    pub fn go_on(&self) -> Result<(), JournalError> {
        if self.stop.load(Ordering::Relaxed) { Err(JournalError::Stopped) } else { Ok(()) }
    }

    /// Leaves the disk to those who commit beside it now and then, unless it is full: then all wait for this.
    #[must_use]
    pub fn resting(mut self) -> Compaction<S> {
        self.rests = true;
        self
    }

    /// Begins the new snapshot, whose state has this digest.
    ///
    /// # Errors
    ///
    /// [`JournalError::Corrupt`] if the segment that it ends at has no good header; [`JournalError::Io`].
    pub fn writer(&self, state_hash: u64) -> Result<SnapshotWriter<S>, JournalError> {
        let (number, position) = self.end();
        let chain = scan::open_segment(&self.storage, &self.manifest, (number, position))?.1.chain;
        let header = SnapshotHeader { position, state_hash, chain };
        let writer = SnapshotWriter::create(&self.storage, self.manifest.store_salt, &header, self.reserve.take())?;
        Ok(writer.resting(self.rests && !self.gives_way))
    }

    /// Finishes the snapshot's file.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn finish(&self, writer: SnapshotWriter<S>) -> Result<SnapshotFile<S>, JournalError> {
        self.go_on()?;
        writer.finish()
    }

    /// Opens the new snapshot, to read it back.
    ///
    /// # Errors
    ///
    /// As [`Compaction::snapshot`].
    pub fn reopen(&self, file: &SnapshotFile<S>) -> Result<SnapshotReader<S>, JournalError> {
        SnapshotReader::open(&self.storage, &file.name, self.manifest.store_salt, self.position())
    }

    /// Names the new snapshot in the manifest: from then on a start begins with it.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]: whether the old or the new manifest is in force is seen at the next start, and both are right.
    pub fn put_in_force(self, mut file: SnapshotFile<S>) -> Result<Compacted, JournalError> {
        self.go_on()?;
        let (number, position) = self.end();
        let before = self.manifest.newest.clone();
        // Readers may go on in what the history still holds, and the generation before is kept whole.
        let history = self.kept.iter().find(|(_, first)| position.get() - first.get() <= self.history_bytes);
        let oldest = history.map_or(number, |(number, _)| *number).min(before.first_segment);
        // On a full disk they would be the room that nothing else can come from.
        let (oldest, before) = if self.gives_way { (number, None) } else { (oldest, Some(before)) };
        let newest = Generation { snapshot: Some(file.name.clone()), first_segment: number, first_position: position };
        let manifest = Manifest { newest, before, oldest_segment: oldest, ..self.manifest };
        let written = write_manifest(&self.storage, &manifest);
        // After a failure the file goes only where the manifest that can be seen does without it for certain.
        file.stays = written.is_ok() || !read_manifest(&self.storage).is_ok_and(|seen| seen.newest != manifest.newest);
        written?;
        Ok(Compacted { manifest, position, snapshot_bytes: file.bytes })
    }
}

impl<S: Storage> Cleanup<S> {
    /// Removes the segments and snapshots that the manifest has no use for.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]; what is left is removed after the next compaction, or by the next start.
    pub fn run(self) -> Result<(), JournalError> {
        let names = self.storage.list().map_err(Failure::of("list", &self.storage.place()))?;
        for name in names.iter().filter(|name| is_replaced(&self.manifest, name)) {
            match self.storage.remove(name) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Failure::of("remove", name)(error).into());
                }
                _ => {}
            }
        }
        // Not synced: a name that a crash brings back is removed again.
        Ok(())
    }
}

/// Whether a file is a segment or snapshot that the manifest has no use for.
pub(super) fn is_replaced(manifest: &Manifest, name: &str) -> bool {
    if let Some(number) = segment_number(name) {
        return number < manifest.oldest_segment;
    }
    let named = [Some(&manifest.newest), manifest.before.as_ref()].into_iter().flatten();
    let mut named = named.filter_map(|generation| generation.snapshot.as_deref());
    name.starts_with(SNAPSHOT_PREFIX) && !name.ends_with(TEMPORARY_SUFFIX) && !named.any(|snapshot| snapshot == name)
}

/// The snapshot that the manifest names, if it names one.
pub(super) fn open_snapshot<S: Storage>(
    storage: &S,
    manifest: &Manifest,
) -> Result<Option<SnapshotReader<S>>, JournalError> {
    let newest = &manifest.newest;
    let open = |name: &String| SnapshotReader::open(storage, name, manifest.store_salt, newest.first_position);
    newest.snapshot.as_ref().map(open).transpose()
}
