//! Compaction of a log engine: a second machine folds what the journal has sealed, and its state is the next snapshot.
//!
//! The second machine has rows and handles only; payloads and the like are copied from file to file. Runs on a thread of
//! its own, at the lowest priority, beside an engine that goes on. Invariants: a snapshot counts only after the fold has
//! reproduced a digest that the live machine wrote behind it, where it had written one by then, and after its file has been
//! read back as that state; whatever goes wrong, the journal is what it was, and a later try begins anew.

use std::iter::Peekable;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use super::recover::{BLOB_PART, event_of, fold, guarded, split_blob};
use super::room::full_text;
use super::{Shared, Store, background, journal_error};
use crate::journal::{
    Compacted, Compaction, JournalError, Position, Record, SnapshotReader, SnapshotWriter, Storage, VisitError,
};
use crate::machine::{Blob, Event, Machine, Restore};
use crate::model::JournalStats;

/// Makes a snapshot in the background and tells the engine, if there still is one.
pub(super) fn spawn<S: Storage>(compaction: Compaction<S>, shared: Weak<Shared<S>>) {
    let end = move |outcome: Option<Result<Compacted, JournalError>>| {
        if let Some(shared) = shared.upgrade() {
            shared.compacted(outcome.unwrap_or(Err(JournalError::Stopped)));
        }
    };
    background::spawn("compaction", move || compact(compaction), end);
}

/// What a state, and then a snapshot of it, is made of: an older snapshot and the records behind it.
pub(super) trait Material {
    /// Where it is read from.
    type Storage: Storage;
    /// The older snapshot, if there is one.
    fn snapshot(&self) -> Result<Option<SnapshotReader<Self::Storage>>, JournalError>;
    /// Visits the records behind it, in order.
    fn records(&self, visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>) -> Result<(), JournalError>;
    /// An error once nobody wants it any more.
    fn go_on(&self) -> Result<(), JournalError> {
        Ok(())
    }
}

impl<S: Storage> Material for Compaction<S> {
    type Storage = S;

    fn snapshot(&self) -> Result<Option<SnapshotReader<S>>, JournalError> {
        self.snapshot()
    }

    fn records(&self, visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>) -> Result<(), JournalError> {
        self.records(visitor)
    }

    fn go_on(&self) -> Result<(), JournalError> {
        self.go_on()
    }
}

/// Makes the snapshot, from the old one and the log behind it.
pub(super) fn compact<S: Storage>(mut compaction: Compaction<S>) -> Result<Compacted, JournalError> {
    let machine = fold_all(&compaction)?;
    let mut writer = compaction.writer(machine.state_hash())?;
    let live = write(&compaction, &machine, &mut writer)?;
    check_digest(&mut compaction, machine)?;
    let file = compaction.finish(writer)?;
    if !reads_back(&compaction, &mut compaction.reopen(&file)?, &live)? {
        let position = compaction.position();
        return Err(refused(position, "the new snapshot does not read back as what it was made of"));
    }
    compaction.put_in_force(file)
}

/// The state that the material comes to.
pub(super) fn fold_all(material: &impl Material) -> Result<Machine, JournalError> {
    let mut machine = begin(material)?;
    material.records(&mut |record| {
        let Some(event) = event_of(&record)? else { return Ok(()) };
        guarded(|| fold(&mut machine, &record, &event, drop))
    })?;
    Ok(machine)
}

/// The state that the material begins with.
pub(super) fn begin(material: &impl Material) -> Result<Machine, JournalError> {
    match material.snapshot()? {
        Some(mut old) => load(material, &mut old, None),
        None => Ok(Machine::new()),
    }
}

/// Writes a state, then the bytes behind its handles, which come from the material. Answers the handles.
pub(super) fn write<S: Storage>(
    material: &impl Material,
    machine: &Machine,
    writer: &mut SnapshotWriter<S>,
) -> Result<Vec<Blob>, JournalError> {
    let mut written = Ok(());
    machine.save(&mut |kind, body| {
        if written.is_ok() {
            written = material.go_on().and_then(|()| writer.part(kind, &[body]));
        }
    });
    written?;
    let live = machine.live_blobs();
    copy_blobs(material, &live, writer)?;
    Ok(live)
}

/// The machine of a snapshot. Its blobs, which come last, are read only where somebody wants to know of them.
fn load<S: Storage>(
    material: &impl Material,
    snapshot: &mut SnapshotReader<S>,
    mut blobs: Option<&mut Vec<Blob>>,
) -> Result<Machine, JournalError> {
    let mut restore = Restore::new();
    loop {
        let mut at_blobs = false;
        let more = snapshot.next_block(&mut |kind, body| {
            if kind != BLOB_PART {
                return Ok(restore.part(kind, body)?);
            }
            at_blobs = true;
            if let Some(blobs) = &mut blobs {
                blobs.push(split_blob(body)?.0);
            }
            Ok(())
        })?;
        material.go_on()?;
        if !more || (at_blobs && blobs.is_none()) {
            break;
        }
    }
    restore.finish().map_err(|wrong| snapshot.header().refused(0, wrong.into()))
}

/// Whether a snapshot reads back as a state with these blobs, before anything rests on it.
pub(super) fn reads_back<S: Storage>(
    material: &impl Material,
    snapshot: &mut SnapshotReader<S>,
    live: &[Blob],
) -> Result<bool, JournalError> {
    let mut blobs = Vec::new();
    let machine = load(material, snapshot, Some(&mut blobs))?;
    Ok(machine.state_hash() == snapshot.header().state_hash && blobs == live)
}

/// The error for files that are whole but do not go together.
pub(super) fn refused(position: Position, why: &'static str) -> JournalError {
    JournalError::refused(position, why.into())
}

/// Blobs that are still to come, ascending.
struct Wanted<'a, S: Storage> {
    blobs: Peekable<std::slice::Iter<'a, Blob>>,
    writer: &'a mut SnapshotWriter<S>,
}

impl<S: Storage> Wanted<'_, S> {
    /// Writes the blob if it is the next one that is wanted.
    fn meet(&mut self, position: u64, bytes: &[u8]) -> Result<(), VisitError> {
        if self.blobs.next_if(|wanted| wanted.position == position && wanted.length as usize == bytes.len()).is_some() {
            self.writer.part(BLOB_PART, &[&position.to_le_bytes(), bytes])?;
        }
        Ok(())
    }
}

/// Copies the blobs in one ascending pass: first those of the old snapshot, then those of the log behind it.
fn copy_blobs<S: Storage>(
    material: &impl Material,
    live: &[Blob],
    writer: &mut SnapshotWriter<S>,
) -> Result<(), JournalError> {
    let mut wanted = Wanted { blobs: live.iter().peekable(), writer };
    if let Some(mut snapshot) = material.snapshot()? {
        let mut copy = |kind, body: &[u8]| {
            if kind != BLOB_PART {
                return Ok(());
            }
            let (blob, bytes) = split_blob(body)?;
            wanted.meet(blob.position, bytes)
        };
        while snapshot.next_block(&mut copy)? {
            material.go_on()?;
        }
    }
    material.records(&mut |record| {
        let Some(event) = event_of(&record)? else { return Ok(()) };
        for (ordinal, bytes) in event.blobs().into_iter().enumerate() {
            if let Some(bytes) = bytes {
                wanted.meet(record.position.get() + ordinal as u64, bytes)?;
            }
        }
        Ok(())
    })?;
    match wanted.blobs.next() {
        None => Ok(()),
        Some(missing) => Err(refused(Position::new(missing.position), "a job's bytes are in no file")),
    }
}

/// Folds on to the next digest that the live machine wrote, which the fold asserts.
fn check_digest<S: Storage>(compaction: &mut Compaction<S>, mut machine: Machine) -> Result<(), JournalError> {
    compaction.records_behind(&mut |record| {
        let Some(event) = event_of(&record)? else { return Ok(ControlFlow::Continue(())) };
        guarded(|| fold(&mut machine, &record, &event, drop))?;
        Ok(if matches!(event, Event::Digest { .. }) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

impl<S: Storage> Store<S> {
    /// What the log says of itself, if there is one.
    pub(super) fn journal_stats(&mut self) -> Option<JournalStats> {
        let (snapshots, snapshot_failure) = (self.snapshots, self.snapshot_failure.clone());
        let journal = self.files.tail.journal()?;
        Some(JournalStats {
            position: journal.end().get(),
            segments: journal.segments(),
            snapshot_bytes: journal.snapshot_bytes(),
            behind_snapshot_bytes: journal.bytes_behind_snapshot(),
            snapshots,
            snapshot_failure,
            full: full_text(journal),
        })
    }
}

impl<S: Storage> Shared<S> {
    /// Begins a compaction if enough has been written since the last.
    pub(super) fn compact_if_due(self: &Arc<Self>) {
        let compaction = {
            let mut store = self.lock();
            let Some(journal) = store.files.tail.journal() else { return };
            // A snapshot copies all that is alive: half of that in new log pays for it.
            let due = journal.bytes_since_compaction() >= self.compact_after.max(journal.snapshot_bytes() / 2);
            // On a full disk it is the one way to more room that is in our hands.
            let due = due || journal.lacks_space();
            if due { journal.begin_compaction(self.history).map(Compaction::resting) } else { None }
        };
        if let Some(compaction) = compaction {
            spawn(compaction, Arc::downgrade(self));
        }
    }

    /// Takes back what came of a compaction.
    fn compacted(&self, outcome: Result<Compacted, JournalError>) {
        let failure = match &outcome {
            Ok(Compacted { position, snapshot_bytes, .. }) => {
                tracing::info!("a snapshot of {snapshot_bytes} bytes covers the log before position {position}");
                None
            }
            Err(JournalError::Stopped) => None,
            Err(error) => {
                let message = journal_error(error).message;
                tracing::error!("no snapshot was made, the log stays as it is: {message}");
                Some(message)
            }
        };
        let cleanup = {
            let mut store = self.lock();
            store.snapshots += u64::from(outcome.is_ok());
            store.meters.snapshot_failures += u64::from(failure.is_some());
            store.snapshot_failure = failure;
            store.files.tail.journal().and_then(|journal| journal.finish_compaction(outcome.ok()))
        };
        if let Some(cleanup) = cleanup {
            if let Err(error) = cleanup.run() {
                tracing::warn!("what a snapshot replaces is still there: {}", journal_error(&error).message);
            }
            if let Some(journal) = self.lock().files.tail.journal() {
                journal.finish_cleanup();
            }
        }
        // What was removed is room for what could not be made.
        self.wake.notify_one();
        // Whoever closes the engine waits for this.
        self.moved.notify_waiters();
    }
}
