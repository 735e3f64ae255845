//! The fold past bad places: records that do not fit the state any more are dropped.
//!
//! Leaves it to the caller to tell which they are. Up to the first bad place everything must fit, as at a start. Invariant:
//! what comes of it is a state in which every invariant of the machine holds; a record that broke one is taken out again.

use std::collections::{BTreeMap, BTreeSet};

use super::super::compact::{Material, begin, refused};
use super::super::recover::{event_of, fold, guarded, tried};
use super::numbers::{Addition, Numbers, Read, Unnamed};
use crate::journal::{Hole, JournalError, Position, Record};
use crate::machine::{Event, Machine, Restore, encode, kind_of};

/// Bytes of records, at least, that are folded before the state is written down again: never fewer than the state itself
/// took, so that writing it down keeps step with the folding, however large it is.
const STEP_BYTES: usize = 256 << 10;
/// Records that broke the fold: each costs a restore of the state. What is plainly missing is seen before and not counted.
const BREAKS_MAX: usize = 10_000;

/// An event of one's own, as it was folded.
struct Kept {
    position: Position,
    kind: u16,
    at: u64,
    body: Vec<u8>,
}

impl Kept {
    fn of(record: &Record<'_>, event: &Event<'_>) -> Self {
        let mut body = Vec::new();
        encode(event, &mut body);
        Self { position: record.position, kind: kind_of(event), at: record.at, body }
    }

    fn record(&self) -> Record<'_> {
        let Self { position, kind, at, .. } = *self;
        Record { position, kind, skippable: false, at, body: &self.body }
    }
}

/// A fold that can take a step back.
struct Tolerant {
    machine: Machine,
    numbers: Numbers,
    /// The state as parts, and what was folded since, each with its bytes.
    parts: Vec<(u16, Vec<u8>)>,
    parts_bytes: usize,
    since: Vec<Kept>,
    since_bytes: usize,
    dropped: BTreeSet<Position>,
    breaks: usize,
}

/// What everything whole comes to.
pub(super) struct Past {
    pub(super) machine: Machine,
    /// The records that do not belong to it.
    pub(super) dropped: BTreeSet<Position>,
    /// The queues by the log's numbers.
    pub(super) queues: BTreeMap<u32, Box<str>>,
    pub(super) unnamed: Vec<Unnamed>,
}

/// Folds everything whole. Before `until` all must fit; behind it something is missing in each of `holes`.
pub(super) fn fold_past(material: &impl Material, until: Position, holes: &[Hole]) -> Result<Past, JournalError> {
    let (mut machine, mut past) = (Some(begin(material)?), None);
    let mut holes = holes.iter().peekable();
    material.records(&mut |record| {
        if let Some(machine) = machine.as_mut().filter(|_| record.position < until) {
            let Some(event) = event_of(&record)? else { return Ok(()) };
            return guarded(|| fold(machine, &record, &event, drop));
        }
        let fold = past.get_or_insert_with(|| Tolerant::new(machine.take().expect("it is there until then"), until));
        while let Some(hole) = holes.next_if(|hole| hole.begin < record.position) {
            fold.numbers.hole(&fold.machine, hole);
        }
        if fold.breaks > BREAKS_MAX {
            return Err("too much does not fit the state any more".into());
        }
        fold.take(&record);
        Ok(())
    })?;
    let fold = past.or_else(|| machine.map(|machine| Tolerant::new(machine, until))).expect("the one or the other");
    let Tolerant { machine, numbers, dropped, .. } = fold;
    guarded(|| machine.assert_invariants())
        .map_err(|_| refused(until, "what is whole behind the damage comes to no state"))?;
    let (queues, unnamed) = numbers.end(&machine);
    Ok(Past { machine, dropped, queues, unnamed })
}

impl Tolerant {
    /// The log is whole up to there.
    fn new(machine: Machine, until: Position) -> Self {
        let numbers = Numbers::new(&machine, until);
        let (parts, since, dropped) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { machine, numbers, parts, parts_bytes: 0, since, since_bytes: 0, dropped, breaks: 0 }
    }

    fn take(&mut self, record: &Record<'_>) {
        let event = match event_of(record) {
            // The live state's digest is that of a state that had what is lost.
            Ok(None | Some(Event::Digest { .. })) => return,
            Ok(Some(event)) => event,
            Err(_) => return self.drop(record),
        };
        let (event, additions) = match self.numbers.read(event, &self.machine) {
            Read::Naming => return,
            Read::Event(event, additions) if self.machine.may_fit(&event) => (event, additions),
            Read::Event(..) | Read::Unknown => return self.drop(record),
        };
        if self.parts.is_empty() || self.since_bytes >= STEP_BYTES.max(self.parts_bytes) {
            self.write_down();
        }
        let machine = &mut self.machine;
        let events: Vec<Event<'_>> = additions.iter().map(Addition::event).chain([event]).collect();
        if tried(|| events.iter().for_each(|event| fold(machine, record, event, drop))).is_ok() {
            for kept in events.iter().map(|event| Kept::of(record, event)) {
                self.since_bytes += size_of::<Kept>() + kept.body.len();
                self.since.push(kept);
            }
            return;
        }
        self.breaks += 1;
        self.drop(record);
        self.step_back();
    }

    fn drop(&mut self, record: &Record<'_>) {
        self.numbers.dropped();
        self.dropped.insert(record.position);
    }

    fn write_down(&mut self) {
        let parts = &mut self.parts;
        parts.clear();
        self.machine.save(&mut |kind, body| parts.push((kind, body.to_vec())));
        self.parts_bytes = parts.iter().map(|(_, body)| body.len()).sum();
        self.since.clear();
        self.since_bytes = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{By, NewRow, Policy};
    use crate::model::{Backoff, JobNumber, LeaseToken};

    /// Feeds events to a fold, one after the other.
    struct Feeding {
        fold: Tolerant,
        position: u64,
        /// Bytes of what was folded, and of what was written down on the way.
        folded: usize,
        written: usize,
    }

    impl Feeding {
        /// With a queue, a name, a policy and a worker, each with number 0.
        fn new() -> Self {
            let mut feeding =
                Self { fold: Tolerant::new(Machine::new(), Position::ZERO), position: 64, folded: 0, written: 0 };
            let value = Policy {
                attempts: 3,
                backoff: Backoff::default(),
                timeout_ms: None,
                expires_in_ms: None,
                keep_ms: None,
            };
            feeding.take(&Event::StoreCreated { key: [1, 2] });
            feeding.take(&Event::QueueCreated { queue: 0, name: "q" });
            feeding.take(&Event::NameAdded { name: 0, text: "send" });
            feeding.take(&Event::PolicyAdded { policy: 0, value });
            feeding.take(&Event::WorkerAdded { worker: 0, text: "w" });
            feeding
        }

        /// Whether it was folded, and not dropped.
        fn take(&mut self, event: &Event<'_>) -> bool {
            let mut body = Vec::new();
            encode(event, &mut body);
            self.position += 64 + body.len() as u64;
            let (position, before) = (Position::new(self.position), self.fold.since.len());
            self.fold.take(&Record { position, kind: kind_of(event), skippable: false, at: 1, body: &body });
            if self.fold.since.len() <= before {
                self.written += self.fold.parts_bytes;
            }
            self.folded += size_of::<Kept>() + body.len();
            !self.fold.dropped.contains(&position)
        }

        fn enqueue(&mut self, number: u64) -> bool {
            self.take(&Event::Enqueued(NewRow {
                number: JobNumber(number),
                queue: 0,
                name: 0,
                policy: 0,
                priority: 0,
                rank: number.cast_signed(),
                due: None,
                expires_at: None,
                id: None,
                tags: Vec::new(),
                headers: b"",
                payload: b"{}",
            }))
        }
    }

    #[test]
    fn what_broke_in_the_middle_of_its_fold_leaves_no_trace() {
        let mut feeding = Feeding::new();
        assert!(feeding.enqueue(1) && feeding.enqueue(2));
        let number = JobNumber(1);
        assert!(feeding.take(&Event::Leased {
            number,
            token: LeaseToken::at_epoch(1),
            worker: 0,
            expires_at: 9,
            forget: None
        }));
        let before = feeding.fold.machine.state_hash();
        // It is said that the lease had expired: the job has left its state before the fold finds that it never did.
        assert!(!feeding.take(&Event::Completed { number, late: true, result: None }));
        assert_eq!((feeding.fold.breaks, feeding.fold.machine.state_hash()), (1, before));
        feeding.fold.machine.assert_invariants();
        assert!(feeding.take(&Event::Completed { number, late: false, result: None }), "it goes on from there");
        feeding.fold.machine.assert_invariants();
    }

    #[test]
    fn what_is_plainly_missing_costs_no_step_back() {
        let mut feeding = Feeding::new();
        assert!(feeding.enqueue(1));
        let number = JobNumber(1);
        let token = LeaseToken::at_epoch(1);
        assert!(!feeding.take(&Event::Completed { number, late: false, result: None }), "it was never leased");
        let number = JobNumber(7);
        assert!(!feeding.take(&Event::Leased { number, token, worker: 0, expires_at: 9, forget: None }), "none is #7");
        assert!(!feeding.enqueue(1), "a second time");
        assert!(!feeding.take(&Event::QueuePaused { queue: 2, by: By::default() }), "there is no queue 2");
        assert_eq!(feeding.fold.breaks, 0);
    }

    #[test]
    fn writing_down_keeps_step_with_the_folding_however_large_the_state_is() {
        let mut feeding = Feeding::new();
        for number in 1..=20_000 {
            assert!(feeding.enqueue(number));
        }
        let Feeding { fold, folded, written, .. } = feeding;
        assert_eq!((fold.machine.jobs(), fold.breaks), (20_000, 0));
        // Each job takes more in the state than in the log; every so many records it would be the square of them.
        assert!(written > 0 && written <= 4 * folded, "{written} bytes written down for {folded} folded");
    }
}
