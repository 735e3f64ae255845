//! Repair of a damaged directory: what each choice would come to, and carrying one out.
//!
//! Leaves the files to the journal. Invariants: before anything is put in force the new snapshot was read back as the
//! state that it was made of; a snapshot that is rebuilt has the digest that the damaged one names, where that can be read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::super::compact::{Material, fold_all, reads_back, refused, write};
use super::super::feed::Draft;
use super::super::journal_error;
use super::super::recover::event_of;
use super::numbers::Unnamed;
use super::skip::{Past, fold_past};
use super::{Choice, Offline};
use crate::journal::{
    Base, Inspection, JournalError, Mended, Mending, Position, Progress, ReadOnly, Record, SnapshotFile,
    SnapshotReader, SnapshotWriter, Storage, VisitError,
};
use crate::machine::{Blob, Event, Given, Machine, Wrong};
use crate::model::{Error, JobNumber, Word};

/// Something that was stored and is no more in the state after a repair.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lost {
    /// Where in the log it stands.
    pub position: u64,
    /// When it happened: wall milliseconds, as far as can be told.
    pub at_ms: u64,
    /// What happened, as the feed calls it.
    pub event: String,
    /// The job, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<JobNumber>,
    /// The queue, where it is about one and that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

/// What a choice comes to.
#[derive(Clone, Debug)]
pub struct Repair {
    /// The choice.
    pub choice: Choice,
    /// What the state is made of: the name of a snapshot, or the begin of the log.
    pub base: String,
    /// Up to where the log belongs to the state.
    pub until: Position,
    /// Jobs in the store afterwards.
    pub jobs: u64,
    /// Events that are lost and can still be read.
    pub lost_events: u64,
    /// Jobs that they are about.
    pub lost_jobs: u64,
    /// Jobs of which not all is known any more: their name, policy or queue, or a worker's name, stood in what is lost.
    pub unnamed: Vec<Unnamed>,
    /// The number of the next job, where jobs may be lost: none that was given is given again.
    pub next_number: Option<JobNumber>,
    /// What was lost has given these, and at most so many more.
    pub(super) behind: (Given, u64),
    /// Once it is carried out: the files that keep what was there.
    pub set_aside: Option<Vec<String>>,
}

impl<S: Storage> Offline<S> {
    /// What a choice would come to; changes nothing. `lost` is told what would be lost, in order; `progress` how many bytes
    /// of the log are folded, of how many, for each state that is made of it.
    ///
    /// # Errors
    ///
    /// `STATE` if this choice cannot be made here.
    pub fn plan(
        &self,
        choice: Choice,
        lost: &mut dyn FnMut(&Lost),
        progress: &mut Progress<'_>,
    ) -> Result<Repair, Error> {
        self.carry_out(choice, false, lost, progress)
    }

    /// Carries a choice out. A crash at any point leaves the old state or the new one; what was there is kept beside.
    ///
    /// # Errors
    ///
    /// As [`Offline::plan`], and if a file cannot be written.
    pub fn apply(
        self,
        choice: Choice,
        lost: &mut dyn FnMut(&Lost),
        progress: &mut Progress<'_>,
    ) -> Result<Repair, Error> {
        self.carry_out(choice, true, lost, progress)
    }

    fn carry_out(
        &self,
        choice: Choice,
        apply: bool,
        lost: &mut dyn FnMut(&Lost),
        progress: &mut Progress<'_>,
    ) -> Result<Repair, Error> {
        let inspection = self.inspection.as_ref().filter(|_| self.verified.choices.contains(&choice));
        let Some(inspection) = inspection else {
            let (choice, directory) = (choice.as_str(), &self.verified.directory);
            if !self.verified.is_damaged() {
                return Err(Error::new(Word::State, format!("nothing is damaged in {directory}")));
            }
            return Err(Error::new(Word::State, format!("{choice} is no choice for what is wrong with {directory}")));
        };
        let repair = match choice {
            Choice::RebuildSnapshot => self.rebuild(inspection, apply, progress),
            Choice::ForgetHistory => self.forget(inspection, apply),
            Choice::Skip => self.skip(inspection, apply, lost, progress),
            Choice::Cut => self.cut(inspection, apply, lost, progress),
        };
        repair.map_err(|error| journal_error(&error))
    }

    fn mending<'a>(
        &self,
        inspection: &'a Inspection<S>,
        base: Base,
        until: Position,
    ) -> Result<Mending<'a, S>, JournalError> {
        let mending = inspection.mend(&self.verified.checked, base, until);
        mending.ok_or_else(|| refused(until, "what a state could be made of is not kept"))
    }

    fn rebuild(
        &self,
        inspection: &Inspection<S>,
        apply: bool,
        progress: &mut Progress<'_>,
    ) -> Result<Repair, JournalError> {
        let position = inspection.begin();
        let base = self.leads_to(position).unwrap_or(Base::Before);
        let mending = self.mending(inspection, base, position)?;
        let machine = fold_all(&Told::new(&mending, position, progress))?;
        let named = inspection.newest_header().map(|header| header.state_hash);
        if named.is_some_and(|hash| hash != machine.state_hash()) {
            return Err(refused(position, "the log does not come to the state that the damaged snapshot names"));
        }
        // The log behind it must go on from that state, or nothing is won.
        let end = self.verified.checked.end;
        let whole = fold_all(&Told::new(&self.mending(inspection, base, end)?, end, progress))?;
        let mut repair = Repair::of(Choice::RebuildSnapshot, &mending, end, &whole);
        if apply {
            let mut writer = mending.writer_of_newest(machine.state_hash())?;
            let live = write(&mending, &machine, &mut writer)?;
            let mended = put(&mending, writer, &live, Mending::keep_newest)?;
            repair.set_aside = Some(mended.set_aside);
        }
        Ok(repair)
    }

    fn forget(&self, inspection: &Inspection<S>, apply: bool) -> Result<Repair, JournalError> {
        let mending = self.mending(inspection, Base::Newest, self.verified.checked.end)?;
        let mut repair = Repair::of(Choice::ForgetHistory, &mending, self.verified.checked.end, &Machine::new());
        repair.jobs = self.verified.jobs.unwrap_or(0);
        if apply {
            repair.set_aside = Some(inspection.forget_history()?.set_aside);
        }
        Ok(repair)
    }

    fn cut(
        &self,
        inspection: &Inspection<S>,
        apply: bool,
        lost: &mut dyn FnMut(&Lost),
        progress: &mut Progress<'_>,
    ) -> Result<Repair, JournalError> {
        let base = self.base().unwrap_or(Base::Newest);
        let until = self.whole_up_to(base).unwrap_or(Position::ZERO);
        let mending = self.mending(inspection, base, until)?;
        let machine = fold_all(&Told::new(&mending, until, progress))?;
        let queues = (0..).zip(machine.queues().map(Into::into)).collect();
        let past = Past { machine, dropped: BTreeSet::new(), queues, unnamed: Vec::new() };
        renew(Choice::Cut, until, &mending, past, apply, lost)
    }

    fn skip(
        &self,
        inspection: &Inspection<S>,
        apply: bool,
        lost: &mut dyn FnMut(&Lost),
        progress: &mut Progress<'_>,
    ) -> Result<Repair, JournalError> {
        let base = self.base().unwrap_or(Base::Newest);
        let until = self.whole_up_to(base).unwrap_or(Position::ZERO);
        let mending = inspection.mend_past(&self.verified.checked, base);
        let mending = mending.ok_or_else(|| refused(until, "what a state could be made of is not kept"))?;
        let told = Told::new(&mending, self.verified.checked.beyond, progress);
        let past = fold_past(&told, until, &mending.holes()?)?;
        renew(Choice::Skip, until, &mending, past, apply, lost)
    }
}

/// What a state is made of, with somebody told how much of the log is folded.
struct Told<'a, 'p, S: Storage> {
    mending: &'a Mending<'a, S>,
    end: Position,
    progress: RefCell<&'a mut Progress<'p>>,
}

impl<'a, 'p, S: Storage> Told<'a, 'p, S> {
    fn new(mending: &'a Mending<'a, S>, end: Position, progress: &'a mut Progress<'p>) -> Self {
        Self { mending, end, progress: RefCell::new(progress) }
    }
}

impl<S: Storage> Material for Told<'_, '_, S> {
    type Storage = ReadOnly<S>;

    fn snapshot(&self) -> Result<Option<SnapshotReader<ReadOnly<S>>>, JournalError> {
        self.mending.snapshot()
    }

    fn records(&self, visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>) -> Result<(), JournalError> {
        let begin = self.mending.begin().get();
        let all = self.end.get().saturating_sub(begin);
        let mut progress = self.progress.borrow_mut();
        self.mending.records(&mut |record| {
            progress(record.position.get().saturating_sub(begin).min(all), all);
            visitor(record)
        })?;
        progress(all, all);
        Ok(())
    }
}

/// Tells what is lost, and with `apply` puts the state in force with an empty log behind it.
fn renew<S: Storage>(
    choice: Choice,
    until: Position,
    mending: &Mending<'_, S>,
    past: Past,
    apply: bool,
    lost: &mut dyn FnMut(&Lost),
) -> Result<Repair, JournalError> {
    let Past { mut machine, dropped, queues, unnamed } = past;
    let mut repair = Repair { unnamed, ..Repair::of(choice, mending, until, &machine) };
    let mut telling = Telling::new(&machine, queues, lost);
    mending.lost(&|position| dropped.contains(&position), &mut |record| telling.record(&record))?;
    (repair.lost_events, repair.lost_jobs) = (telling.events, telling.jobs.len() as u64);
    if telling.unknown {
        return Err(refused(
            repair.until,
            "another version wrote some of what would be lost: use the program that did",
        ));
    }
    repair.behind = (telling.given, mending.unread_records()?);
    repair.next_number = Some(machine.go_on_behind(repair.behind.0, repair.behind.1));
    if apply {
        let mut writer = mending.writer(machine.state_hash())?;
        let live = write(mending, &machine, &mut writer)?;
        repair.set_aside = Some(put(mending, writer, &live, Mending::renew)?.set_aside);
    }
    Ok(repair)
}

/// Reads a new snapshot back, then gives it its name and puts it in force.
fn put<'a, S: Storage>(
    mending: &Mending<'a, S>,
    mut writer: SnapshotWriter<S>,
    live: &[Blob],
    in_force: impl FnOnce(&Mending<'a, S>, SnapshotFile<S>) -> Result<Mended, JournalError>,
) -> Result<Mended, JournalError> {
    let mut snapshot = mending.read_back(&mut writer)?;
    if !reads_back(mending, &mut snapshot, live)? {
        let position = snapshot.header().position;
        return Err(refused(position, "the new snapshot does not read back as what it was made of"));
    }
    in_force(mending, mending.finish(writer)?)
}

impl Repair {
    fn of<S: Storage>(choice: Choice, mending: &Mending<'_, S>, until: Position, machine: &Machine) -> Self {
        let (base, jobs) = (mending.base().to_owned(), machine.jobs());
        let (next_number, behind) = (None, (Given::default(), 0));
        let (unnamed, set_aside) = (Vec::new(), None);
        Self { choice, base, until, jobs, lost_events: 0, lost_jobs: 0, unnamed, next_number, behind, set_aside }
    }
}

/// Tells what is lost, with the names that are known for it.
struct Telling<'a> {
    machine: &'a Machine,
    lost: &'a mut dyn FnMut(&Lost),
    events: u64,
    given: Given,
    /// Whether there is something that only another version can read.
    unknown: bool,
    /// The jobs it was about, and the queues of those that were added in what is lost.
    jobs: BTreeMap<u64, Option<String>>,
    /// Queues by the log's numbers, also those that were made in it.
    queues: BTreeMap<u32, Box<str>>,
}

impl<'a> Telling<'a> {
    fn new(machine: &'a Machine, queues: BTreeMap<u32, Box<str>>, lost: &'a mut dyn FnMut(&Lost)) -> Self {
        let (given, unknown) = (Given::default(), false);
        Self { machine, lost, events: 0, given, unknown, jobs: BTreeMap::new(), queues }
    }

    fn record(&mut self, record: &Record<'_>) {
        let event = match event_of(record) {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(why) => {
                self.unknown |= Wrong::is_unknown(&*why);
                return;
            }
        };
        self.given.note(&event);
        // Bookkeeping is nobody's job.
        let Some(draft) = Draft::of(record.position.get(), record.kind, record.at, record.body) else { return };
        let told = draft.named(self.machine);
        // The machine may have other numbers for its queues than the log.
        let of_job = || self.machine.queue_of(event.number()?.0).map(str::to_owned);
        let queue = self.queue(&event).or_else(of_job);
        if let Some(JobNumber(number)) = told.number {
            let known = self.jobs.entry(number).or_default();
            *known = known.take().or_else(|| queue.clone());
        }
        let queue = queue.or_else(|| self.jobs.get(&told.number?.0).cloned().flatten());
        self.events += 1;
        let (position, at_ms) = (record.position.get(), told.at_ms);
        (self.lost)(&Lost { position, at_ms, event: told.event, number: told.number, queue });
    }

    /// The queue that an event names by its number, where it was made in what is lost.
    fn queue(&mut self, event: &Event<'_>) -> Option<String> {
        if let Event::QueueCreated { queue, name } = event {
            self.queues.insert(*queue, (*name).into());
        }
        let number = match event {
            Event::Enqueued(row) => row.queue,
            _ => event.queue()?,
        };
        self.queues.get(&number).map(ToString::to_string)
    }
}
