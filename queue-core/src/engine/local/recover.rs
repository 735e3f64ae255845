//! A store from its journal: the snapshot's parts, then the fold of the records behind it.
//!
//! Leaves reading and checking of bytes to the journal and what they mean to the machine. Invariant: what comes out is the
//! state whose digest the snapshot names, with exactly the blobs that its rows point to, and every fold behind it.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::blobs::Blobs;
use super::store::each_blob;
use crate::journal::{Record, SnapshotHeader, VisitError, Visitor};
use crate::machine::{Blob, Event, Machine, Restore, decode, is_skippable};

/// A part that carries a blob: its position (8 bytes) and its bytes. The machine's own kinds are below.
pub(super) const BLOB_PART: u16 = 0x4000;

/// Who keeps the bytes of blobs.
pub(super) trait KeepBytes: Default {
    /// Keeps `bytes`; positions ascend from call to call.
    fn keep(&mut self, position: u64, bytes: &[u8]);
    /// No row points to the blob any more.
    fn let_go(&mut self, blob: Blob);
}

impl KeepBytes for Blobs {
    fn keep(&mut self, position: u64, bytes: &[u8]) {
        self.insert(position, bytes);
    }

    fn let_go(&mut self, blob: Blob) {
        self.release(blob);
    }
}

/// For a fold that is about rows and handles only.
impl KeepBytes for () {
    fn keep(&mut self, _: u64, _: &[u8]) {}

    fn let_go(&mut self, _: Blob) {}
}

/// What is known so far.
#[derive(Default)]
pub(super) struct Recovering<B: KeepBytes = Blobs> {
    restore: Restore,
    /// The blobs of the snapshot, as they came: ascending.
    kept: Vec<Blob>,
    pub(super) machine: Machine,
    pub(super) blobs: B,
}

impl<B: KeepBytes> Recovering<B> {
    /// Folds the event that a record carries.
    pub(super) fn take(&mut self, record: &Record<'_>, event: &Event<'_>) -> Result<(), VisitError> {
        let Self { machine, blobs, .. } = self;
        guarded(|| {
            each_blob(record.position.get(), event, |position, bytes| blobs.keep(position, bytes));
            fold(machine, record, event, |blob| blobs.let_go(blob));
        })
    }
}

impl<B: KeepBytes> Visitor for Recovering<B> {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        if kind != BLOB_PART {
            let mut taken = Ok(());
            guarded(|| taken = self.restore.part(kind, body))?;
            return Ok(taken?);
        }
        let (blob, bytes) = split_blob(body)?;
        if self.kept.last().is_some_and(|last| last.position >= blob.position) {
            return Err("blobs out of order".into());
        }
        self.kept.push(blob);
        self.blobs.keep(blob.position, bytes);
        Ok(())
    }

    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError> {
        let (restore, mut finished) = (std::mem::take(&mut self.restore), None);
        guarded(|| finished = Some(restore.finish()))?;
        self.machine = finished.expect("it came to an end")?;
        if self.machine.state_hash() != snapshot.state_hash {
            return Err("the state of the snapshot's parts is not the one that its header names".into());
        }
        if self.machine.live_blobs() != std::mem::take(&mut self.kept) {
            return Err("the snapshot's blobs are not those that its jobs have".into());
        }
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        match event_of(&record)? {
            Some(event) => self.take(&record, &event),
            None => Ok(()),
        }
    }
}

/// A blob's part: where the blob is from, and its bytes.
pub(super) fn split_blob(body: &[u8]) -> Result<(Blob, &[u8]), VisitError> {
    let (position, bytes) = body.split_first_chunk().ok_or("a blob without a position")?;
    Ok((Blob { position: u64::from_le_bytes(*position), length: u32::try_from(bytes.len())? }, bytes))
}

/// The event that a record carries; none if it may be passed over.
pub(super) fn event_of<'a>(record: &Record<'a>) -> Result<Option<Event<'a>>, VisitError> {
    match decode(record.kind, record.body) {
        Ok(event) => Ok(Some(event)),
        Err(_) if record.skippable || is_skippable(record.kind) => Ok(None),
        Err(wrong) => Err(wrong.into()),
    }
}

/// The fold asserts what it relies on; a record that breaks it ends the reading, not the process.
pub(super) fn guarded(fold: impl FnOnce()) -> Result<(), VisitError> {
    catch_unwind(AssertUnwindSafe(fold)).map_err(|_| "it does not fit the state before it".into())
}

thread_local! {
    /// Whether a panic on this thread is part of the work.
    static TRYING: Cell<bool> = const { Cell::new(false) };
}

/// As [`guarded`], where breaking is nothing to be told: the panic's message goes nowhere.
pub(super) fn tried(fold: impl FnOnce()) -> Result<(), VisitError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !TRYING.get() {
                told(panic);
            }
        }));
    });
    TRYING.set(true);
    let tried = guarded(fold);
    TRYING.set(false);
    tried
}

/// Folds a record into a machine that nobody waits for.
pub(super) fn fold(machine: &mut Machine, record: &Record<'_>, event: &Event<'_>, released: impl FnMut(Blob)) {
    machine.evolve(record.position.get(), record.at, event);
    machine.drain_released().for_each(released);
    machine.forget_signals();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Position;
    use crate::machine::{encode, kind_of};

    fn record(recovering: &mut Recovering<Blobs>, at: u64, event: &Event<'_>) -> Result<(), VisitError> {
        let mut body = Vec::new();
        encode(event, &mut body);
        let (position, kind) = (Position::new(at * 64), kind_of(event));
        recovering.record(Record { position, kind, skippable: false, at, body: &body })
    }

    #[test]
    fn a_fold_that_comes_to_another_state_than_was_written_down_is_refused() {
        let mut recovering = Recovering::<Blobs>::default();
        record(&mut recovering, 1, &Event::StoreCreated { key: [1, 2] }).expect("it fits");
        let state_hash = recovering.machine.state_hash();
        record(&mut recovering, 2, &Event::Digest { state_hash }).expect("it is the state");
        assert_eq!(recovering.machine.state_hash(), state_hash, "writing it down changes nothing");
        record(&mut recovering, 3, &Event::QueueCreated { queue: 0, name: "q" }).expect("it fits");
        record(&mut recovering, 4, &Event::Digest { state_hash }).expect_err("there is a queue since");
    }

    #[test]
    fn a_number_that_leaves_a_gap_is_refused_and_makes_no_room() {
        let mut recovering = Recovering::default();
        record(&mut recovering, 1, &Event::StoreCreated { key: [1, 2] }).expect("it fits");
        record(&mut recovering, 2, &Event::NameAdded { name: 0, text: "a" }).expect("it fits");
        record(&mut recovering, 3, &Event::NameAdded { name: u32::MAX, text: "b" }).expect_err("1 is next");
        record(&mut recovering, 3, &Event::WorkerAdded { worker: 1, text: "w" }).expect_err("0 is next");
    }

    /// What a process says, this test's own, told by itself that it is the one.
    #[test]
    fn a_fold_that_is_tried_says_nothing_when_it_breaks() {
        if std::env::var_os("LONGSHORE_TRYING").is_some() {
            tried(|| panic!("not to be heard")).expect_err("it broke");
            tried(|| {}).expect("it went well");
            guarded(|| panic!("to be heard")).expect_err("it broke");
            return;
        }
        let name = "engine::local::recover::tests::a_fold_that_is_tried_says_nothing_when_it_breaks";
        let mut again = std::process::Command::new(std::env::current_exe().expect("this program has a path"));
        let said = again.args(["--exact", name, "--nocapture"]).env("LONGSHORE_TRYING", "1").output().expect("it ran");
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.contains("not to be heard") && said.contains("to be heard"), "{said}");
    }

    #[test]
    fn blobs_out_of_order_or_without_a_place_are_refused() {
        let mut recovering = Recovering::<Blobs>::default();
        recovering.part(BLOB_PART, b"short").expect_err("no position");
        recovering.part(BLOB_PART, &[&16_u64.to_le_bytes()[..], b"x"].concat()).expect("the first");
        recovering.part(BLOB_PART, &[&16_u64.to_le_bytes()[..], b"x"].concat()).expect_err("the same again");
        recovering.part(BLOB_PART, &[&8_u64.to_le_bytes()[..], b"x"].concat()).expect_err("one before");
    }
}
