//! The commands of the Redis protocol that are Longshore's own: what they are called, their arguments, their replies.
//!
//! One file per family holds both directions side by side, so that the server, which parses requests and writes
//! replies, cannot drift from the remote engine, which does the opposite. Pure: leaves frames to `resp`, sockets to
//! whoever calls, and every rule about jobs to the engine; here stands only what an argument looks like.
//! Invariant: whatever [`encode`] writes, [`Parser::parse`] reads back equal, and replies likewise in both versions.

mod add;
mod arguments;
mod failure;
mod feed;
mod job;
mod journal;
mod lease;
mod operation;
mod queue;
mod reply;
mod series;
mod settle;
mod table;
#[cfg(test)]
mod tests;
mod values;
mod verb;
mod words;
mod worker;

pub use reply::{Form, Response, read, write, write_error, write_reply};
pub use table::{COMMANDS, CommandSpec, Kind};
pub(crate) use values::mismatch;

use bytes::BytesMut;

use crate::model::{Beat, Command, Context, Error, EventsBack, JobRef, LeaseRequest, WorkerOrder};
use crate::resp;

/// Everything that a client can ask an engine for over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A command that is applied and answered at once.
    Execute(Command),
    /// A lease that may wait.
    Lease(LeaseRequest),
    /// Waits until a job is done.
    Wait {
        /// Which job.
        job: JobRef,
        /// How long at most: 0 to 3,600,000 ms.
        timeout_ms: u64,
    },
    /// Reads the feed.
    Events {
        /// Where to begin; `None`: from now on.
        cursor: Option<String>,
        /// 1 to 10,000 events; default 1,000.
        limit: u32,
        /// How long to wait for the first: 0 to 3,600,000 ms; default 0.
        wait_ms: u64,
    },
    /// Reads the feed back.
    EventsBack(EventsBack),
    /// A worker's sign of life.
    Beat(Box<Beat>),
    /// Reads a page of the registry of workers.
    Workers {
        /// Where the page before ended.
        cursor: Option<String>,
        /// 1 to 1,000 workers; default 100.
        limit: u32,
    },
    /// Reads one worker.
    Worker {
        /// Which.
        worker: String,
    },
    /// Orders a worker.
    OrderWorker {
        /// Which.
        worker: String,
        /// To do what.
        order: WorkerOrder,
    },
    /// Makes a backup of this name, or one called by its time.
    Backup {
        /// 1 to 200 bytes.
        name: Option<String>,
    },
}

impl Request {
    /// Whether answering may take long, so that nothing behind it on the same connection is read meanwhile.
    pub fn waits(&self) -> bool {
        match self {
            Self::Lease(request) => request.wait_ms > 0,
            Self::Wait { timeout_ms, .. } => *timeout_ms > 0,
            Self::Events { wait_ms, .. } => *wait_ms > 0,
            Self::Backup { .. } => true,
            Self::Execute(_) | Self::EventsBack(_) | Self::Beat(_) => false,
            Self::Workers { .. } | Self::Worker { .. } | Self::OrderWorker { .. } => false,
        }
    }
}

/// A request as it was read: with who asks and why, and the form in which its reply is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Actor and reason; `None` for commands that are not administrative and take neither.
    pub context: Option<Context>,
    /// How the reply looks.
    pub form: Form,
}

impl Call {
    fn execute(command: Command, form: Form) -> Self {
        Self { request: Request::Execute(command), context: None, form }
    }
}

/// Reads the requests of one connection. It remembers the options that it read last, since most jobs have the same.
#[derive(Debug, Default)]
pub struct Parser {
    options: add::OptionsCache,
}

impl Parser {
    /// Reads a request; `None` if the command is none of Longshore's own.
    ///
    /// What it returns owns its bytes: nothing outlives the request by holding a slice of the read buffer.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the argument, its value and what is allowed, or the argument that is missing.
    pub fn parse(&mut self, frame: resp::Request<'_>) -> Option<Result<Call, Error>> {
        let spec = table::find(frame.name())?;
        let mut arguments = arguments::Arguments::new(frame, spec.syntax);
        let call = (spec.parse)(&mut arguments, &mut self.options);
        Some(call.and_then(|call| arguments.finish().map(|()| call)))
    }
}

/// Appends `request` to `out` as a client sends it; returns the form in which its reply will come.
///
/// `context` travels with administrative commands only; nothing else records who asked.
pub fn encode(request: &Request, context: &Context, out: &mut BytesMut) -> Form {
    match request {
        Request::Execute(command) => encode_command(command, context, out),
        Request::Lease(request) => lease::encode_waiting(request, out),
        Request::Wait { job, timeout_ms } => job::encode_wait(job, *timeout_ms, out),
        Request::Events { cursor, limit, wait_ms } => feed::encode_events(cursor.as_deref(), *limit, *wait_ms, out),
        Request::EventsBack(back) => feed::encode_back(back, out),
        Request::Beat(beat) => worker::encode_beat(beat, out),
        Request::Workers { cursor, limit } => worker::encode_list(cursor.as_deref(), *limit, out),
        Request::Worker { worker } => worker::encode_show(worker, out),
        Request::OrderWorker { worker, order } => worker::encode_order(worker, *order, context, out),
        Request::Backup { name } => journal::encode_backup(name.as_deref(), out),
    }
}

/// As [`encode`], for a command.
pub fn encode_command(command: &Command, context: &Context, out: &mut BytesMut) -> Form {
    match command {
        Command::Enqueue { queue, jobs } => add::encode(queue, jobs, out),
        Command::Lease(order) => lease::encode(order, out),
        Command::Settle { settlements, then_lease } => settle::encode(settlements, then_lease.as_ref(), out),
        Command::Extend { leases, lease_ms } => lease::encode_extend(leases, *lease_ms, out),
        Command::Progress { lease, value } => job::encode_progress(*lease, value, out),
        Command::Log { lease, lines } => job::encode_log(*lease, lines, out),
        Command::Job { job, verb } => verb::encode(job, verb, context, out),
        Command::SetQueue { queue, patch } => queue::encode_set(queue, patch, context, out),
        Command::ApplyConfig { queues } => queue::encode_config(queues, context, out),
        Command::Pause { queue } => queue::encode_pause("QUEUE.PAUSE", queue, context, out),
        Command::Resume { queue } => queue::encode_pause("QUEUE.RESUME", queue, context, out),
        Command::StartOperation { verb, filter } => operation::encode_start(*verb, filter, context, out),
        Command::CancelOperation { operation } => operation::encode_cancel(*operation, context, out),
        Command::ShowJob { job } => job::encode_show(job, out),
        Command::ListJobs { filter, cursor, limit } => job::encode_list(filter, cursor.as_deref(), *limit, out),
        Command::ShowLog { job, from } => job::encode_logs(job, *from, out),
        Command::ShowQueue { queue } => queue::encode_show(queue, out),
        Command::ListQueues { cursor, limit } => queue::encode_list(cursor.as_deref(), *limit, out),
        Command::ShowOperation { operation } => operation::encode_show(*operation, out),
        Command::ListOperations => operation::encode_list(out),
        Command::ShowSeries(query) => series::encode_show(query, out),
        Command::ListActivity(query) => series::encode_activity(query, out),
        Command::ListFailures { filter, order, cursor, limit } => {
            failure::encode_list(filter, *order, cursor.as_deref(), *limit, out)
        }
        Command::ShowFailure { fingerprint } => failure::encode_show(fingerprint, out),
        Command::Stats => job::encode_stats(out),
    }
}
