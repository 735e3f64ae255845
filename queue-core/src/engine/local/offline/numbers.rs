//! What the log's own numbers stand for, behind places where it is lost.
//!
//! A job's name, its policy, a worker and a queue stand in the log once, beside a number; what comes later says the number.
//! A hole may have held such a naming, of a number that was new or of one that nobody had any more. So each number is read
//! as what the log named it last, and given to the machine as the number that this has for it. Leaves folding to `skip`.
//! Invariant: what an event is taken to name is what the log named, or a placeholder that nobody can give, or it is told
//! that it may be another's.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use crate::journal::{Hole, Position};
use crate::machine::{Event, Interned, Machine, NewRow, Policy, Value};
use crate::model::{JobNumber, Limits};

/// No record is shorter that removes a job or names something, in bytes.
const RECORD_BYTES: u64 = 32;
/// Leases that a job shows at most: a removal takes a worker from that many.
const LEASES: u64 = (Limits::TIMELINE_FIRST + Limits::TIMELINE_LAST) as u64;

/// What became of something whose name is lost, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// It was named in what is lost: the jobs have a placeholder instead.
    Replaced,
    /// Its number may have been given to another in what is lost: the jobs have the one that had it before.
    Doubtful,
    /// It was named in what is lost, and no job can be without it: these jobs are lost, too.
    Gone,
}

/// Jobs of which not all is known any more, though they stand behind the damage.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unnamed {
    /// What became of it.
    pub doubt: Doubt,
    /// What it is: `name`, `worker`, `policy` or `queue`.
    pub of: &'static str,
    /// What the jobs have now; the number that nothing stands behind, where they are gone.
    pub text: String,
    /// The jobs, ascending.
    pub jobs: Vec<JobNumber>,
}

/// What is to be told, by jobs.
type Told = BTreeMap<(Doubt, &'static str, String), Vec<JobNumber>>;

/// Whether a number still is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sure {
    Yes,
    /// The last hole may have held that it is another's.
    NotYet,
    /// So may one before.
    No,
}

/// What the numbers of one kind stand for.
struct Table<T> {
    of: &'static str,
    known: BTreeMap<u32, (T, Sure)>,
    numbers: HashMap<T, u32>,
    /// Had by a job that was there before the last hole and is behind it: nobody else was given the number in between.
    seen: HashSet<T>,
    /// Taken to be this since the last hole, by jobs.
    taken: HashMap<T, Vec<JobNumber>>,
}

impl<T: Value> Table<T> {
    fn of(of: &'static str, interned: &Interned<T>) -> Self {
        let mut table =
            Self { of, known: BTreeMap::new(), numbers: HashMap::new(), seen: HashSet::new(), taken: HashMap::new() };
        for (number, value) in (0..).zip(interned.iter()) {
            value.into_iter().for_each(|value| table.name(number, value.clone()));
        }
        table
    }

    /// The log says it.
    fn name(&mut self, number: u32, value: T) {
        // A value has one number at a time: where it has another now, the old one is somebody else's or nobody's.
        if let Some(before) = self.numbers.insert(value.clone(), number).filter(|before| *before != number) {
            self.known.remove(&before);
        }
        let before = self.known.insert(number, (value, Sure::Yes));
        if let Some((before, _)) = before.filter(|(before, _)| *before != self.known[&number].0) {
            self.numbers.remove(&before);
        }
    }

    /// What a job names.
    fn take(&mut self, number: u32, job: JobNumber, text: impl Fn(&T) -> String, told: &mut Told) -> Option<T> {
        let (value, sure) = self.known.get(&number)?;
        match sure {
            Sure::Yes => {}
            Sure::NotYet => self.taken.entry(value.clone()).or_default().push(job),
            Sure::No => told.entry((Doubt::Doubtful, self.of, text(value))).or_default().push(job),
        }
        Some(value.clone())
    }

    /// Somebody who had it before the last hole has it still.
    fn see<Q: ?Sized + Hash + Eq + ToOwned<Owned: Into<T>>>(&mut self, value: &Q)
    where
        T: Borrow<Q>,
    {
        if !self.seen.contains(value) {
            self.seen.insert(value.to_owned().into());
        }
    }

    /// Before a hole, and at the end: tells what was taken for sure and is not.
    fn settle(&mut self, text: impl Fn(&T) -> String, told: &mut Told) {
        for (value, sure) in self.known.values_mut().filter(|(_, sure)| *sure == Sure::NotYet) {
            *sure = if self.seen.contains(value) { Sure::Yes } else { Sure::No };
        }
        for (value, jobs) in self.taken.drain().filter(|(value, _)| !self.seen.contains(value)) {
            told.entry((Doubt::Doubtful, self.of, text(&value))).or_default().extend(jobs);
        }
        self.seen.clear();
    }

    /// A number becomes another's once all who had it are removed, `each` at most by one record, and one names it anew.
    fn doubt(&mut self, interned: &Interned<T>, lost: u64, each: u64) {
        for (value, sure) in self.known.values_mut().filter(|(_, sure)| *sure == Sure::Yes) {
            let uses = interned.find(value).map_or(0, |number| interned.uses(number));
            if uses.div_ceil(each) < lost {
                *sure = Sure::NotYet;
            }
        }
    }
}

/// A value that the machine does not have yet, and the number that it will have there.
pub(super) enum Addition {
    Name(u32, Box<str>),
    Worker(u32, Box<str>),
    Policy(u32, Policy),
}

impl Addition {
    /// The event that adds it.
    pub(super) fn event(&self) -> Event<'_> {
        match self {
            Self::Name(name, text) => Event::NameAdded { name: *name, text },
            Self::Worker(worker, text) => Event::WorkerAdded { worker: *worker, text },
            Self::Policy(policy, value) => Event::PolicyAdded { policy: *policy, value: *value },
        }
    }
}

/// What an event comes to.
pub(super) enum Read<'a> {
    /// It names something, and does no more.
    Naming,
    /// The event with the machine's numbers, and what has to be added before.
    Event(Event<'a>, Vec<Addition>),
    /// It is about something that nothing is known of.
    Unknown,
}

/// What all numbers stand for.
pub(super) struct Numbers {
    names: Table<Box<str>>,
    workers: Table<Box<str>>,
    policies: Table<Policy>,
    queues: BTreeMap<u32, Box<str>>,
    /// Records that are lost so far, at most.
    lost: u64,
    /// Where the last hole begins; the last job's number and the last instant before it.
    hole: Position,
    last_before: JobNumber,
    steady_before: u64,
    told: Told,
}

fn policy_text(policy: &Policy) -> String {
    serde_json::to_string(policy).expect("a policy is plain data")
}

/// The number that the machine has for a value, or that it will have once it was added.
fn number_in<T: Value>(
    interned: &Interned<T>,
    value: T,
    addition: fn(u32, T) -> Addition,
    additions: &mut Vec<Addition>,
) -> u32 {
    interned.find(&value).unwrap_or_else(|| {
        let number = interned.next();
        additions.push(addition(number, value));
        number
    })
}

impl Numbers {
    /// As the machine has them: up to here the log is whole.
    pub(super) fn new(machine: &Machine, until: Position) -> Self {
        Self {
            names: Table::of("name", machine.names()),
            workers: Table::of("worker", machine.workers()),
            policies: Table::of("policy", machine.policies()),
            queues: (0..).zip(machine.queues().map(Into::into)).collect(),
            lost: 0,
            hole: until,
            last_before: machine.last_number(),
            steady_before: machine.steady(),
            told: Told::new(),
        }
    }

    /// Something is missing here.
    pub(super) fn hole(&mut self, machine: &Machine, hole: &Hole) {
        self.settle();
        (self.hole, self.last_before, self.steady_before) = (hole.begin, machine.last_number(), machine.steady());
        self.lost += hole.records + hole.untold_bytes / RECORD_BYTES;
        self.names.doubt(machine.names(), self.lost, 1);
        self.policies.doubt(machine.policies(), self.lost, 1);
        self.workers.doubt(machine.workers(), self.lost, LEASES);
    }

    /// What is there and was not folded is as good as lost.
    pub(super) fn dropped(&mut self) {
        self.lost += 1;
    }

    fn settle(&mut self) {
        self.names.settle(ToString::to_string, &mut self.told);
        self.workers.settle(ToString::to_string, &mut self.told);
        self.policies.settle(policy_text, &mut self.told);
    }

    /// The event as the machine has to be told it. What names something is taken note of.
    pub(super) fn read<'a>(&mut self, mut event: Event<'a>, machine: &Machine) -> Read<'a> {
        self.see(&event, machine);
        let mut additions = Vec::new();
        match event {
            Event::NameAdded { name, text } => self.names.name(name, text.into()),
            Event::WorkerAdded { worker, text } => self.workers.name(worker, text.into()),
            Event::PolicyAdded { policy, value } => self.policies.name(policy, value),
            Event::QueueCreated { queue, name } => return self.queue_created(queue, name, machine),
            Event::Enqueued(ref mut row) => {
                if self.enqueued(row, machine, &mut additions).is_none() {
                    return Read::Unknown;
                }
                return Read::Event(event, additions);
            }
            Event::Leased { number, ref mut worker, .. } => {
                let name = self.workers.take(*worker, number, ToString::to_string, &mut self.told);
                let name = name.unwrap_or_else(|| self.placeholder("worker", *worker, number));
                *worker = number_in(machine.workers(), name, Addition::Worker, &mut additions);
                return Read::Event(event, additions);
            }
            _ => {
                let Some(queue) = event.queue() else { return Read::Event(event, additions) };
                let Some(queue) = self.queues.get(&queue).and_then(|name| machine.queue_id(name)) else {
                    return Read::Unknown;
                };
                event.set_queue(queue);
                return Read::Event(event, additions);
            }
        }
        Read::Naming
    }

    fn queue_created<'a>(&mut self, queue: u32, name: &'a str, machine: &Machine) -> Read<'a> {
        self.queues.insert(queue, name.into());
        match machine.queue_id(name) {
            Some(_) => Read::Naming,
            None => Read::Event(Event::QueueCreated { queue: machine.queues().count() as u32, name }, Vec::new()),
        }
    }

    /// Gives the row the machine's numbers; `None` if there cannot be such a job any more.
    fn enqueued(&mut self, row: &mut NewRow<'_>, machine: &Machine, additions: &mut Vec<Addition>) -> Option<()> {
        let job = row.number;
        let queue = self.queues.get(&row.queue).and_then(|name| machine.queue_id(name));
        let Some(queue) = queue else { return self.gone("queue", row.queue, job) };
        let policy = self.policies.take(row.policy, job, policy_text, &mut self.told);
        let Some(policy) = policy else { return self.gone("policy", row.policy, job) };
        let name = self.names.take(row.name, job, ToString::to_string, &mut self.told);
        let name = name.unwrap_or_else(|| self.placeholder("name", row.name, job));
        row.queue = queue;
        row.policy = number_in(machine.policies(), policy, Addition::Policy, additions);
        row.name = number_in(machine.names(), name, Addition::Name, additions);
        Some(())
    }

    fn gone(&mut self, of: &'static str, number: u32, job: JobNumber) -> Option<()> {
        self.told.entry((Doubt::Gone, of, number.to_string())).or_default().push(job);
        None
    }

    /// What stands for a name that is lost: with a tab, which nobody's name may have, and unlike that of any other hole.
    fn placeholder(&mut self, of: &'static str, number: u32, job: JobNumber) -> Box<str> {
        let text = format!("unknown\t{of} {number} (lost at {})", self.hole);
        self.told.entry((Doubt::Replaced, of, text.clone())).or_default().push(job);
        text.into()
    }

    /// A job that was there before the hole has all that it had.
    fn see(&mut self, event: &Event<'_>, machine: &Machine) {
        let Some(job) = event.number().filter(|job| *job <= self.last_before) else { return };
        let Some((name, policy)) = machine.name_of(job.0).zip(machine.policy_of(job.0)) else { return };
        self.names.see(name);
        self.policies.see(policy);
        for worker in machine.lasting_workers_of(job.0, self.steady_before) {
            self.workers.see(worker);
        }
    }

    /// The queues by the log's numbers, and all that there is to tell of jobs that are in `machine`, or of those that are not.
    pub(super) fn end(mut self, machine: &Machine) -> (BTreeMap<u32, Box<str>>, Vec<Unnamed>) {
        self.settle();
        let told = self.told.into_iter().map(|((doubt, of, text), mut jobs)| {
            jobs.sort_unstable();
            jobs.dedup();
            jobs.retain(|job| doubt == Doubt::Gone || machine.queue_of(job.0).is_some());
            Unnamed { doubt, of, text, jobs }
        });
        let told = told.filter(|unnamed| !unnamed.jobs.is_empty()).collect();
        (self.queues, told)
    }
}
