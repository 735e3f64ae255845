//! Bulk operations: a verb on every job that a filter means, advanced a step a turn, also after a restart.
//!
//! An operation is a row like any other: what a step did stands in an event. Jobs enqueued after it began are not its
//! own, nor, for verbs that send jobs to work, is a job's next round: each is taken once. Ended ones are kept to be read,
//! the last 100.

use std::collections::BTreeSet;

use super::apply::{Place, Walk, Work};
use super::digest::Mix;
use super::elapse::NOBODY;
use super::rows::Row;
use super::{By, Event, Machine, Sink};
use crate::model::{
    BulkVerb, Error, JobFilter, JobNumber, JobState, JobVerb, LeaseToken, Limits, Now, OperationNumber, OperationState,
    OperationView, Reply, Word,
};

/// Jobs taken in one step.
const STEP: usize = 200;
/// Ended operations that are kept to be read.
const KEPT: usize = 100;

/// One operation.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) verb: BulkVerb,
    pub(super) filter: JobFilter,
    /// The newest token when it began.
    pub(super) last_token: LeaseToken,
    pub(super) state: OperationState,
    pub(super) cursor: String,
    pub(super) looked_at: u64,
    pub(super) changed: u64,
    pub(super) actor: String,
    pub(super) reason: String,
    pub(super) started_at: u64,
    pub(super) ended_at: Option<u64>,
    /// Of what it began as.
    pub(super) begun_digest: u64,
}

impl Operation {
    /// One that has done nothing yet; `filter` is JSON.
    pub(super) fn begin(
        verb: BulkVerb,
        last_token: LeaseToken,
        filter: &str,
        by: By<'_>,
        at: u64,
    ) -> serde_json::Result<Self> {
        let mut begun = Mix(verb as u64);
        begun.add_bytes(filter.as_bytes()).add_bytes(by.actor.as_bytes()).add_bytes(by.reason.as_bytes());
        Ok(Self {
            verb,
            filter: serde_json::from_str(filter)?,
            last_token,
            state: OperationState::Running,
            cursor: String::new(),
            looked_at: 0,
            changed: 0,
            actor: by.actor.to_owned(),
            reason: by.reason.to_owned(),
            started_at: at,
            ended_at: None,
            begun_digest: begun.add(last_token.0).add(at).0,
        })
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == OperationState::Running
    }
}

const fn job_verb(verb: BulkVerb) -> JobVerb {
    match verb {
        BulkVerb::Promote => JobVerb::Promote,
        BulkVerb::Cancel => JobVerb::Cancel,
        BulkVerb::Retry => JobVerb::Retry,
        BulkVerb::Remove => JobVerb::Remove { force: false },
    }
}

/// Whether the verb changes a job in this state. What is cancelled already is left alone, or an operation would meet
/// again what it has cancelled itself.
fn changes(verb: &JobVerb, state: JobState) -> bool {
    verb.allows(state) && (verb, state) != (&JobVerb::Cancel, JobState::Cancelled)
}

/// Whether the operation had this job already: a job that it sent to work and that came back was leased since it began,
/// and one that it called off is on its way out, wherever its lease stands now.
fn is_taken(verb: &JobVerb, row: &Row, last_token: LeaseToken) -> bool {
    let Some(runs) = row.runs() else { return false };
    match verb {
        JobVerb::Promote | JobVerb::Retry => LeaseToken(runs.token) > last_token,
        JobVerb::Cancel => runs.cancel.is_some(),
        _ => false,
    }
}

impl Machine {
    pub(super) fn start_operation(
        &mut self,
        now: Now,
        by: By<'_>,
        verb: BulkVerb,
        filter: &JobFilter,
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        filter.check()?;
        if let Some(text) = &filter.contains {
            // Its steps would have to read payloads while everybody else waits.
            let allowed = "no text to search for: list the jobs that have it first, then name them by number";
            return Err(Error::bad_arg("filter.contains", text, allowed));
        }
        if self.running.len() >= Limits::RUNNING_OPERATIONS {
            let text = format!(
                "{} bulk operations are running, as many as may; wait for one to end, or cancel one",
                self.running.len()
            );
            return Err(Error::new(Word::Full, text));
        }
        if let Some(queue) = &filter.queue {
            self.queue_id(queue).ok_or_else(|| Error::no_queue(queue))?;
        }
        let up_to = filter.up_to.unwrap_or(JobNumber(self.last_number)).min(JobNumber(self.last_number));
        let filter = JobFilter { up_to: Some(up_to), ..filter.clone() };
        let filter = serde_json::to_string(&filter).expect("a filter is plain data");
        let operation = self.last_operation + 1;
        let last_token = self.last_token;
        self.emit(now, sink, &Event::OperationStarted { operation, verb, last_token, filter: &filter, by });
        self.show_operation(operation)
    }

    pub(super) fn cancel_operation(
        &mut self,
        now: Now,
        by: By<'_>,
        operation: u64,
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        let running = self.operations.get(&operation).ok_or_else(|| Error::no_operation(operation))?.is_running();
        if !running {
            return Err(Error::new(Word::State, format!("operation {operation} has ended; cancel needs running")));
        }
        self.end_operation(now, operation, OperationState::Cancelled, by, sink);
        self.show_operation(operation)
    }

    pub(super) fn show_operation(&self, operation: u64) -> Result<Reply, Error> {
        let found = self.operations.get(&operation).ok_or_else(|| Error::no_operation(operation))?;
        Ok(Reply::Operation(Box::new(self.view(operation, found))))
    }

    pub(super) fn list_operations(&self) -> Reply {
        Reply::Operations(self.operations.iter().rev().map(|(&number, found)| self.view(number, found)).collect())
    }

    fn view(&self, number: u64, operation: &Operation) -> OperationView {
        OperationView {
            operation: OperationNumber(number),
            verb: operation.verb,
            filter: operation.filter.clone(),
            state: operation.state,
            looked_at: operation.looked_at,
            changed: operation.changed,
            actor: operation.actor.clone(),
            reason: operation.reason.clone(),
            started_at_ms: self.to_wall(operation.started_at),
            ended_at_ms: operation.ended_at.map(|at| self.to_wall(at)),
        }
    }

    /// Ends an operation; the one that ended first is forgotten once too many are kept.
    fn end_operation(&mut self, now: Now, operation: u64, state: OperationState, by: By<'_>, sink: &mut impl Sink) {
        let ended = self.operations.iter().filter_map(|(&number, row)| Some((row.ended_at?, number)));
        let ended: BTreeSet<_> = ended.collect();
        let forget = ended.first().filter(|_| ended.len() >= KEPT).map(|&(_, number)| number);
        self.emit(now, sink, &Event::OperationEnded { operation, state, forget, by });
    }

    /// One step of the oldest running operation. Returns whether there was one.
    pub fn advance_operations(&mut self, now: Now, sink: &mut impl Sink) -> bool {
        let Some(&number) = self.running.first() else { return false };
        self.advance_operation(now, number, STEP, sink);
        true
    }

    /// The running operations, oldest first: number, verb, and the length of actor and reason, which each job's event has.
    pub fn running_operations(&self) -> impl Iterator<Item = (u64, BulkVerb, usize)> {
        let described = |number: &u64| {
            let operation = &self.operations[number];
            (*number, operation.verb, operation.actor.len() + operation.reason.len())
        };
        self.running.iter().map(described)
    }

    /// One step of a running operation, of at most `jobs` jobs.
    pub fn advance_operation(&mut self, now: Now, number: u64, jobs: usize, sink: &mut impl Sink) {
        self.advance(now, number, jobs.min(STEP), sink);
        #[cfg(feature = "audit")]
        self.check_invariants();
    }

    fn advance(&mut self, now: Now, number: u64, jobs: usize, sink: &mut impl Sink) {
        let operation = &self.operations[&number];
        let last_token = operation.last_token;
        let (verb, filter) = (job_verb(operation.verb), operation.filter.clone());
        let (actor, reason) = (operation.actor.clone(), operation.reason.clone());
        let by = By { actor: &actor, reason: &reason };
        let cursor = match operation.cursor.as_str() {
            "" => Place::START,
            text => Place::parse(text).expect("an operation's cursor is one that a step wrote"),
        };
        // Only the states that the verb allows: a job it changed is in none of them and is not met again.
        let walk = Walk::of_operation(&filter, |state| changes(&verb, state));
        let Ok((found, next)) = self.scan(&walk, cursor, jobs, &mut Work::of_a_call()) else {
            self.end_operation(now, number, OperationState::Finished, NOBODY, sink);
            return;
        };
        let looked_at = found.len() as u64;
        let mut changed = 0;
        for Place { number: job, .. } in found {
            let row = self.rows.get(job).expect("a job in an order is there");
            if self.matches(&filter, job, row) && !is_taken(&verb, row, last_token) {
                self.carry_out(now, by, job, &verb, sink);
                changed += 1;
            }
        }
        let text = next.map(|place| place.text()).unwrap_or_default();
        let step = Event::OperationAdvanced { operation: number, cursor: &text, looked_at, changed };
        self.emit(now, sink, &step);
        if next.is_none() {
            self.end_operation(now, number, OperationState::Finished, NOBODY, sink);
        }
    }

    pub(super) fn fold_operation(&mut self, event: &Event<'_>) {
        let at = self.steady;
        match *event {
            Event::OperationStarted { operation, verb, last_token, filter, by } => {
                self.last_operation = self.last_operation.max(operation);
                let started = Operation::begin(verb, last_token, filter, by, at);
                let started = started.expect("a filter in the journal is the model's");
                self.operations.insert(operation, started);
                self.running.insert(operation);
            }
            Event::OperationAdvanced { operation, cursor, looked_at, changed } => {
                let row = self.operations.get_mut(&operation).expect("an operation that advances is there");
                row.cursor = cursor.to_owned();
                row.looked_at += looked_at;
                row.changed += changed;
            }
            Event::OperationEnded { operation, state, forget, .. } => {
                let row = self.operations.get_mut(&operation).expect("an operation that ends is there");
                row.state = state;
                row.ended_at = Some(at);
                self.running.remove(&operation);
                if let Some(old) = forget {
                    self.operations.remove(&old);
                }
            }
            _ => unreachable!("an operation's event"),
        }
    }
}
