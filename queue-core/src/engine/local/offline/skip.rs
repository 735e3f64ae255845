//! The fold past bad places: records that do not fit the state any more are dropped.
//!
//! Leaves it to the caller to tell which they are. Up to the first bad place everything must fit, as at a start. Invariant:
//! what comes of it is a state in which every invariant of the machine holds; a record that broke one is taken out again.

use std::collections::BTreeSet;

use super::super::compact::{Material, begin, refused};
use super::super::recover::{event_of, fold, guarded};
use crate::journal::{JournalError, Mending, Position, Record, Storage};
use crate::machine::{Event, Machine, Restore};

/// Records that are folded before the state is written down again.
const STEP: usize = 1_024;
/// Records that broke the fold: each costs a restore of the state. What is plainly missing is seen before and not counted.
const BREAKS_MAX: usize = 10_000;

/// A record of one's own.
struct Kept {
    position: Position,
    kind: u16,
    skippable: bool,
    at: u64,
    body: Vec<u8>,
}

impl Kept {
    fn of(record: &Record<'_>) -> Self {
        let Record { position, kind, skippable, at, body } = *record;
        Self { position, kind, skippable, at, body: body.to_vec() }
    }

    fn record(&self) -> Record<'_> {
        let Self { position, kind, skippable, at, .. } = *self;
        Record { position, kind, skippable, at, body: &self.body }
    }
}

/// A fold that can take a step back.
struct Tolerant {
    machine: Machine,
    /// The state as parts, and what was folded since.
    parts: Vec<(u16, Vec<u8>)>,
    since: Vec<Kept>,
    dropped: BTreeSet<Position>,
    breaks: usize,
}

/// The state that everything whole comes to, and the records that were dropped. Before `until` all must fit.
pub(super) fn fold_past<S: Storage>(
    mending: &Mending<'_, S>,
    until: Position,
) -> Result<(Machine, BTreeSet<Position>), JournalError> {
    let machine = begin(mending)?;
    let mut fold = Tolerant { machine, parts: Vec::new(), since: Vec::new(), dropped: BTreeSet::new(), breaks: 0 };
    Material::records(mending, &mut |record| {
        if record.position < until {
            let Some(event) = event_of(&record)? else { return Ok(()) };
            return guarded(|| super::super::recover::fold(&mut fold.machine, &record, &event, drop));
        }
        if fold.breaks > BREAKS_MAX {
            return Err("too much does not fit the state any more".into());
        }
        fold.take(&record);
        Ok(())
    })?;
    let Tolerant { machine, dropped, .. } = fold;
    guarded(|| machine.assert_invariants())
        .map_err(|_| refused(until, "what is whole behind the damage comes to no state"))?;
    Ok((machine, dropped))
}

impl Tolerant {
    fn take(&mut self, record: &Record<'_>) {
        let event = match event_of(record) {
            // The live state's digest is that of a state that had what is lost.
            Ok(None | Some(Event::Digest { .. })) => return,
            Ok(Some(event)) if self.may_fit(&event) => event,
            _ => {
                self.dropped.insert(record.position);
                return;
            }
        };
        if self.parts.is_empty() || self.since.len() >= STEP {
            self.write_down();
        }
        let machine = &mut self.machine;
        if guarded(|| fold(machine, record, &event, drop)).is_ok() {
            self.since.push(Kept::of(record));
            return;
        }
        self.breaks += 1;
        self.dropped.insert(record.position);
        self.step_back();
    }

    /// Whether the job, the queue that it is about is there, or is not there where it begins with this.
    fn may_fit(&self, event: &Event<'_>) -> bool {
        let has_queue = |queue: u32| self.machine.queue_name(queue).is_some();
        let has_job = |number: u64| self.machine.queue_of(number).is_some();
        match event {
            Event::Enqueued(row) => has_queue(row.queue) && !has_job(row.number.0),
            Event::QueueCreated { queue, .. } => !has_queue(*queue),
            _ => event.number().is_none_or(|number| has_job(number.0)) && event.queue().is_none_or(has_queue),
        }
    }

    fn write_down(&mut self) {
        let parts = &mut self.parts;
        parts.clear();
        self.machine.save(&mut |kind, body| parts.push((kind, body.to_vec())));
        self.since.clear();
    }

    /// The state before the record that broke the fold.
    fn step_back(&mut self) {
        let mut restore = Restore::new();
        for (kind, body) in &self.parts {
            restore.part(*kind, body).expect("it was just saved");
        }
        self.machine = restore.finish().expect("it was just saved");
        for kept in &self.since {
            let record = kept.record();
            let event = event_of(&record).ok().flatten().expect("it was folded before");
            fold(&mut self.machine, &record, &event, drop);
        }
    }
}
