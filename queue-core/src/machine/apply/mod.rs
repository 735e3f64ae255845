//! Deciding: a command is checked against the state, whole, before its first event.
//!
//! One file per family of commands. Invariant: a command that is refused has emitted nothing.

mod enqueue;
mod failures;
mod lease;
mod queues;
mod read;
mod search;
mod series;
mod settle;
mod size;
mod verbs;

use super::{Blob, By, Chance, Event, Machine, Sink};
use crate::model::{Command, Context, Error, JobNumber, JobRef, Limits, Now, Reply};

pub(super) use queues::CONFIG;
pub(crate) use read::page_after;
pub(super) use read::{Place, Walk, Work};
pub use search::Candidates;
pub use size::check_size;

/// Who did it and why, as one text.
pub(super) fn who(by: By<'_>) -> String {
    match (by.actor, by.reason) {
        ("", "") => String::new(),
        (actor, "") => format!("by {actor}"),
        ("", reason) => reason.to_owned(),
        (actor, reason) => format!("by {actor}: {reason}"),
    }
}

impl<'a> By<'a> {
    /// Who asks and why.
    ///
    /// # Errors
    ///
    /// `BADARG` for an actor that is no name, or a reason that is too long.
    pub fn of(context: &'a Context) -> Result<Self, Error> {
        check_name_or_empty("actor", &context.actor)?;
        if context.reason.len() > Limits::REASON_BYTES {
            return Err(Error::bad_arg("reason", format_args!("{} bytes", context.reason.len()), "at most 1000 bytes"));
        }
        Ok(Self { actor: &context.actor, reason: &context.reason })
    }
}

/// Checks a name: 1 to 255 bytes of text without control characters.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::bad_arg(field, "", "1 to 255 bytes of text without control characters"));
    }
    check_name_or_empty(field, name)
}

fn check_name_or_empty(field: &str, name: &str) -> Result<(), Error> {
    if name.len() > Limits::NAME_BYTES || name.chars().any(char::is_control) {
        return Err(Error::bad_arg(field, name, "1 to 255 bytes of text without control characters"));
    }
    Ok(())
}

/// Checks a size in bytes.
fn check_bytes(field: &str, bytes: usize, max: usize) -> Result<(), Error> {
    if bytes > max {
        return Err(Error::bad_arg(field, format_args!("{bytes} bytes long"), &format!("at most {max} bytes")));
    }
    Ok(())
}

impl Machine {
    /// Applies one command as of `now`: emits its events into `sink`, returns its reply.
    ///
    /// # Errors
    ///
    /// The command was refused and changed nothing.
    pub fn apply(
        &mut self,
        now: Now,
        chance: &mut Chance,
        context: &Context,
        command: &Command,
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        check_size(command)?;
        let reply = match command {
            Command::Enqueue { queue, jobs } => self.enqueue(now, queue, jobs, sink),
            Command::Lease(order) => self.lease(now, order, sink).map(Reply::Leased),
            Command::Settle { settlements, then_lease } => {
                self.settle(now, chance, settlements, then_lease.as_ref(), sink)
            }
            Command::Extend { leases, lease_ms } => self.extend(now, leases, *lease_ms, sink),
            Command::Progress { lease, value } => self.progress(now, *lease, value, sink),
            Command::Log { lease, lines } => self.log(now, *lease, lines, sink),
            Command::Job { job, verb } => self.job_verb(now, By::of(context)?, job, verb, sink),
            Command::SetQueue { queue, patch } => self.set_queue(now, By::of(context)?, queue, patch, sink),
            Command::ApplyConfig { queues } => self.apply_config(now, By::of(context)?, queues, sink),
            Command::Pause { queue } => self.pause(now, By::of(context)?, queue, sink),
            Command::Resume { queue } => self.resume(now, By::of(context)?, queue, sink),
            Command::StartOperation { verb, filter } => {
                self.start_operation(now, By::of(context)?, *verb, filter, sink)
            }
            Command::CancelOperation { operation } => self.cancel_operation(now, By::of(context)?, operation.0, sink),
            Command::ShowJob { job } => self.show_job(job, sink),
            Command::ListJobs { filter, cursor, limit } => self.list_jobs(filter, cursor.as_deref(), *limit, sink),
            Command::ShowLog { job, from } => self.show_log(job, *from, sink),
            Command::ShowQueue { queue } => self.show_queue(now, queue),
            Command::ListQueues { cursor, limit } => self.list_queues(now, cursor.as_deref(), *limit),
            Command::ShowOperation { operation } => self.show_operation(operation.0),
            Command::ListOperations => Ok(self.list_operations()),
            Command::ShowSeries(query) => self.show_series(now, query),
            Command::ListActivity(query) => self.list_activity(now, query),
            Command::ListFailures { filter, order, cursor, limit } => {
                self.list_failures(now, filter, *order, cursor.as_deref(), *limit)
            }
            Command::ShowFailure { fingerprint } => self.show_failure(now, fingerprint),
            Command::Stats => Ok(self.totals(sink)),
        };
        #[cfg(feature = "audit")]
        self.check_invariants();
        reply
    }

    /// The job behind a reference.
    pub(super) fn find(&self, job: &JobRef) -> Result<u64, Error> {
        let found = match job {
            JobRef::Number(number) => self.rows.get(number.0).map(|_| number.0),
            JobRef::Id { queue: Some(queue), id } => {
                let queue = self.queue_id(queue).ok_or_else(|| Error::no_queue(queue))?;
                self.live_id(queue, id)
            }
            JobRef::Id { queue: None, id } => {
                let mut found = (0..self.queues.len() as u32).filter_map(|queue| self.live_id(queue, id));
                let first = found.next();
                if first.is_some() && found.next().is_some() {
                    return Err(Error::bad_arg(
                        "job",
                        id,
                        "an id that one queue knows; say which with the queue's name",
                    ));
                }
                first
            }
        };
        found.ok_or_else(|| Error::no_job(job))
    }

    fn live_id(&self, queue: u32, id: &str) -> Option<u64> {
        let known = self.ids.get(self.ids.digest(queue, id))?;
        (known.gone_until == 0).then_some(known.number)
    }

    /// The queue's number; emits its creation if it does not exist.
    fn ensure_queue(&mut self, now: crate::model::Now, name: &str, sink: &mut impl Sink) -> u32 {
        if let Some(queue) = self.queue_id(name) {
            return queue;
        }
        let queue = self.queues.len() as u32;
        self.emit(now, sink, &Event::QueueCreated { queue, name });
        queue
    }

    fn text(sink: &impl Sink, blob: Blob) -> String {
        String::from_utf8_lossy(&sink.read(blob)).into_owned()
    }
}

/// A reference in an error that concerns a number.
fn number(number: u64) -> JobNumber {
    JobNumber(number)
}

/// `text` with at most `max` bytes, cut at a character.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}
