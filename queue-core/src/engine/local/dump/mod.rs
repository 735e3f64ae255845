//! A journal told, offline: its events in order, and the state as it was at some moment.
//!
//! Begins at the oldest state that there is to fold from, so that each event has the names of its own moment. Reading and
//! judging the files is the journal's, naming the feed's. Invariant: nothing in the directory is changed.

mod then;
mod told;

use std::ops::ControlFlow;
use std::path::PathBuf;

pub use then::PastEngine;
pub use told::DumpedEvent;

use super::blobs::Blobs;
use super::feed::Draft;
use super::journal_error;
use super::recover::{Recovering, event_of};
use crate::journal::{
    DirStorage, Inspection, JournalError, Position, Record, Recovered, SnapshotHeader, Storage, Torn, VisitError,
    Visitor,
};
use crate::machine::{Event, Restore};
use crate::model::{Error, JobRef, Now};

/// Which events of a journal are told. What is not set lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct DumpFilter {
    /// Of this job; an id means whichever job had it then.
    pub job: Option<JobRef>,
    /// Of this queue and its jobs.
    pub queue: Option<String>,
    /// Of this kind, such as `leased`.
    pub event: Option<String>,
    /// From this wall time on, in milliseconds.
    pub from_ms: Option<u64>,
    /// Up to this wall time, in milliseconds, itself included.
    pub to_ms: Option<u64>,
    /// From this position on.
    pub from_position: Option<u64>,
    /// Up to this position, itself included.
    pub to_position: Option<u64>,
}

/// Where a telling begins: what happened before is in a snapshot, and no more told event by event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Everything before it is in the snapshot; 0 if there is none, and the telling is whole.
    pub position: Position,
    /// The wall time of the snapshot's last event, in milliseconds.
    pub at_ms: u64,
}

/// What a telling came to.
#[derive(Clone, Debug, Default)]
pub struct Dumped {
    /// Where it began; none if that could not be read.
    pub begin: Option<Begin>,
    /// Why it did not begin with an older snapshot that is kept.
    pub skipped: Option<Error>,
    /// A torn tail behind the last event: what the next start would cut.
    pub torn: Vec<Torn>,
    /// Why it ended before the log's end: damage, named with its place. What was told before it is good.
    pub error: Option<Error>,
}

/// Why the state of a moment cannot be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PastError {
    /// What is kept begins later.
    #[error("the moment is before everything that is kept")]
    TooEarly {
        /// The oldest wall time that can be answered, in milliseconds.
        oldest_ms: u64,
    },
    /// The journal cannot be read that far.
    #[error("{0}")]
    Journal(Error),
}

/// A journal to be told. The directory stays this one's until it is dropped.
#[derive(Debug)]
pub struct Dump<S: Storage = DirStorage> {
    inspection: Inspection<S>,
}

impl Dump {
    /// [`Dump::open`] on a directory of the operating system.
    ///
    /// # Errors
    ///
    /// As [`Dump::open`].
    pub fn directory(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open(DirStorage::new(path))
    }
}

impl<S: Storage> Dump<S> {
    /// Takes the lock of a directory that holds a journal. It need not be writable.
    ///
    /// # Errors
    ///
    /// `STATE` if it holds none, is in use, of another version, or cannot be read.
    pub fn open(storage: S) -> Result<Self, Error> {
        Ok(Self { inspection: Inspection::open(storage).map_err(|error| journal_error(&error))? })
    }

    /// Tells the events that pass the filter, in order, until `tell` breaks: those of the log behind the oldest snapshot
    /// that is kept and whole. `begin` is told first where that is.
    pub fn events(
        &self,
        filter: &DumpFilter,
        begin: &mut dyn FnMut(Begin),
        tell: &mut dyn FnMut(DumpedEvent) -> ControlFlow<()>,
    ) -> Dumped {
        let mut telling = Telling {
            filter,
            begin,
            tell,
            fold: Recovering::default(),
            from: Position::ZERO,
            begun: None,
            stopped: false,
        };
        let (outcome, skipped) = self.replay(&mut telling);
        let mut dumped = Dumped { begin: telling.begun, skipped, ..Dumped::default() };
        match outcome {
            Ok((_, torn)) => dumped.torn = torn,
            Err(_) if telling.stopped => {}
            Err(error) => dumped.error = Some(journal_error(&error)),
        }
        dumped
    }

    /// The state after the last event that happened at `until_ms` (wall milliseconds) or earlier.
    ///
    /// # Errors
    ///
    /// [`PastError`].
    pub fn until(&self, until_ms: u64) -> Result<PastEngine, PastError> {
        let last = self.last_at(until_ms)?;
        let mut until = Until { fold: Recovering::default(), last, stopped: false };
        // The newer snapshot is enough for what is behind it, and less to read.
        let outcome = match last < self.inspection.begin() {
            true => self.inspection.replay_before(&mut until).unwrap_or_else(|| self.inspection.replay(&mut until)),
            false => self.inspection.replay(&mut until),
        };
        match outcome {
            Err(error) if !until.stopped => Err(PastError::Journal(journal_error(&error))),
            _ => Ok(PastEngine::new(until.fold.machine, until.fold.blobs, until_ms, last)),
        }
    }

    /// The position of the last event at `until_ms` or earlier. The wall clock may have gone back since, so all are looked at.
    fn last_at(&self, until_ms: u64) -> Result<Position, PastError> {
        let mut finding = Finding::new(until_ms);
        let (outcome, _) = self.replay(&mut finding);
        match (outcome, finding.found, finding.oldest_ms) {
            // Where the log cannot be read any more it had passed the moment already.
            (Err(error), ..) if !finding.passed => Err(PastError::Journal(journal_error(&error))),
            (_, Some(found), _) => Ok(found),
            (_, None, Some(oldest_ms)) => Err(PastError::TooEarly { oldest_ms }),
            (_, None, None) => Ok(Position::ZERO),
        }
    }

    /// Reads from the oldest snapshot on that is whole. The error is that of an older one that is kept and cannot be read.
    fn replay(&self, visitor: &mut dyn Again) -> (Replayed, Option<Error>) {
        match self.inspection.replay_before(visitor) {
            Some(Err(error)) if !visitor.has_records() => {
                visitor.again();
                (self.inspection.replay(visitor), Some(journal_error(&error)))
            }
            Some(outcome) => (outcome, None),
            None => (self.inspection.replay(visitor), None),
        }
    }
}

/// What reading a log comes to.
type Replayed = Result<(Recovered, Vec<Torn>), JournalError>;

/// A visitor that can begin anew as long as it has seen no record.
trait Again: Visitor {
    fn has_records(&self) -> bool;
    fn again(&mut self);
}

/// The visitor's own wish to end.
fn enough() -> VisitError {
    "enough was read".into()
}

/// Tells events while it folds them.
struct Telling<'a> {
    filter: &'a DumpFilter,
    begin: &'a mut dyn FnMut(Begin),
    tell: &'a mut dyn FnMut(DumpedEvent) -> ControlFlow<()>,
    fold: Recovering<()>,
    /// Where the snapshot ends that the fold began with.
    from: Position,
    begun: Option<Begin>,
    stopped: bool,
}

impl Again for Telling<'_> {
    fn has_records(&self) -> bool {
        self.begun.is_some()
    }

    fn again(&mut self) {
        (self.fold, self.from) = (Recovering::default(), Position::ZERO);
    }
}

impl Visitor for Telling<'_> {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        self.fold.part(kind, body)
    }

    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError> {
        self.from = snapshot.position;
        self.fold.restored(snapshot)
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        if self.begun.is_none() {
            let begin = Begin { position: self.from, at_ms: self.fold.machine.wall() };
            (self.begin)(*self.begun.insert(begin));
        }
        if self.filter.to_position.is_some_and(|to| record.position.get() > to) {
            self.stopped = true;
            return Err(enough());
        }
        let Some(event) = event_of(&record)? else { return Ok(()) };
        let told = self.tell_around(&record, &event)?;
        if told.is_some_and(|told| (self.tell)(told).is_break()) {
            self.stopped = true;
            return Err(enough());
        }
        Ok(())
    }
}

impl Telling<'_> {
    /// Folds the event, and names it by the state in which its job is there: before it takes the job away, else after it.
    fn tell_around(&mut self, record: &Record<'_>, event: &Event<'_>) -> Result<Option<DumpedEvent>, VisitError> {
        if matches!(event, Event::Removed { .. } | Event::AgedOut { .. }) {
            let told = self.told(record, event);
            self.fold.take(record, event)?;
            return Ok(told);
        }
        self.fold.take(record, event)?;
        Ok(self.told(record, event))
    }

    fn told(&self, record: &Record<'_>, event: &Event<'_>) -> Option<DumpedEvent> {
        let DumpFilter { job, queue, event: kind, from_ms, to_ms, from_position, .. } = self.filter;
        if from_position.is_some_and(|from| record.position.get() < from) {
            return None;
        }
        let machine = &self.fold.machine;
        let number = event.number();
        let is_job = |job: &JobRef| match job {
            JobRef::Number(wanted) => number == Some(*wanted),
            JobRef::Id { id, .. } => number.is_some_and(|number| machine.id_of(number.0) == Some(id)),
        };
        if !job.as_ref().is_none_or(is_job) {
            return None;
        }
        let draft = Draft::of_event(record.position.get(), record.at, event)?;
        let named = draft.named(machine);
        let passes = kind.as_ref().is_none_or(|kind| *kind == named.event)
            && queue.as_ref().is_none_or(|queue| named.queue.as_ref() == Some(queue))
            && from_ms.is_none_or(|from| named.at_ms >= from)
            && to_ms.is_none_or(|to| named.at_ms <= to);
        passes.then(|| DumpedEvent::new(record.position, named, told::bytes_of(event)))
    }
}

/// Looks for the last event of a moment, by the clocks alone.
struct Finding {
    until_ms: u64,
    /// For the snapshot's first part, which has the clocks.
    restore: Restore,
    /// An instant on both clocks, from which others follow.
    clocks: Now,
    found: Option<Position>,
    /// The first moment that is kept.
    oldest_ms: Option<u64>,
    /// Whether something happened after the moment.
    passed: bool,
    has_records: bool,
}

impl Finding {
    fn new(until_ms: u64) -> Self {
        let (restore, clocks) = (Restore::new(), Now::default());
        Self { until_ms, restore, clocks, found: None, oldest_ms: None, passed: false, has_records: false }
    }

    fn look(&mut self, position: Position, wall: u64) {
        self.oldest_ms.get_or_insert(wall);
        if wall <= self.until_ms {
            self.found = Some(position);
        } else {
            self.passed = true;
        }
    }
}

impl Again for Finding {
    fn has_records(&self) -> bool {
        self.has_records
    }

    fn again(&mut self) {
        *self = Self::new(self.until_ms);
    }
}

impl Visitor for Finding {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        if self.restore.clocks().is_none() {
            self.restore.part(kind, body)?;
        }
        Ok(())
    }

    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError> {
        self.clocks = self.restore.clocks().ok_or("a snapshot without clocks")?;
        self.look(snapshot.position, self.clocks.wall);
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        self.has_records = true;
        if let Some(Event::Started { wall, .. } | Event::ClockMoved { wall, .. }) = event_of(&record)? {
            self.clocks = Now { steady: record.at, wall };
        }
        let since = record.at.cast_signed().wrapping_sub(self.clocks.steady.cast_signed());
        self.look(record.position, self.clocks.wall.saturating_add_signed(since));
        Ok(())
    }
}

/// Folds up to a position, bytes and all.
struct Until {
    fold: Recovering<Blobs>,
    last: Position,
    stopped: bool,
}

impl Visitor for Until {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        self.fold.part(kind, body)
    }

    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError> {
        self.fold.restored(snapshot)
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        if record.position > self.last {
            self.stopped = true;
            return Err(enough());
        }
        self.fold.record(record)
    }
}

#[cfg(test)]
mod tests;
