//! The state as it was: an engine over a fold that ended at some moment, which answers and changes nothing.
//!
//! Whatever shows the state of an engine shows this one's. Invariant: commands that could change something are refused,
//! so the machine never emits.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::super::blobs::Blobs;
use crate::engine::{Answer, Engine};
use crate::journal::Position;
use crate::machine::{Blob, Chance, Event, Machine, Sink};
use crate::model::{
    BackupReport, Beat, Capabilities, Command, Context, Error, EventPage, EventsBack, Figures, Job, JobRef,
    LeaseRequest, LeasedJob, Now, Orders, Reply, Word, WorkerOrder, WorkerPage, WorkerView,
};

/// A store as it was at some moment. Everything that would change it is refused with `UNSUPPORTED`.
#[derive(Debug)]
pub struct PastEngine {
    state: Mutex<(Machine, Kept)>,
    at_ms: u64,
    position: Position,
}

/// The bytes of that moment.
#[derive(Debug)]
struct Kept(Blobs);

impl Sink for Kept {
    fn append(&mut self, _: u64, _: &Event<'_>) -> u64 {
        unreachable!("only what changes nothing is asked of the past")
    }

    fn release(&mut self, _: Blob) {
        unreachable!("only what changes nothing is asked of the past")
    }

    fn read(&self, blob: Blob) -> Bytes {
        self.0.get(blob)
    }

    fn blob_bytes(&self) -> u64 {
        self.0.live_bytes()
    }
}

impl PastEngine {
    pub(super) fn new(machine: Machine, blobs: Blobs, at_ms: u64, position: Position) -> Self {
        Self { state: Mutex::new((machine, Kept(blobs))), at_ms, position }
    }

    /// The moment: wall milliseconds since the Unix epoch.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// The position of the last event in this state.
    pub fn position(&self) -> Position {
        self.position
    }

    fn answer(&self, context: &Context, command: &Command) -> Answer {
        if !command.reads() {
            return Err(unsupported());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (machine, kept) = &mut *state;
        // As much later than the last event as the moment is.
        let steady = machine.steady() + self.at_ms.saturating_sub(machine.wall());
        let now = Now { steady, wall: self.at_ms };
        let mut reply = machine.apply(now, &mut Chance::new(0), context, command, kept)?;
        if let Reply::Stats(stats) = &mut reply {
            "past".clone_into(&mut stats.engine);
            "none".clone_into(&mut stats.fsync);
        }
        Ok(reply)
    }
}

#[async_trait]
impl Engine for PastEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities { engine: "past", durable: false, history: false, resends: false, backup: false }
    }

    async fn execute(&self, context: &Context, commands: Vec<Command>) -> Result<Vec<Answer>, Error> {
        Ok(commands.iter().map(|command| self.answer(context, command)).collect())
    }

    async fn lease(&self, _: &Context, _: LeaseRequest) -> Result<Vec<LeasedJob>, Error> {
        Err(unsupported())
    }

    async fn wait(&self, _: JobRef, _: u64) -> Result<Job, Error> {
        Err(unsupported())
    }

    async fn events(&self, _: Option<String>, _: u32, _: u64) -> Result<EventPage, Error> {
        Err(unsupported())
    }

    async fn events_back(&self, _: EventsBack) -> Result<EventPage, Error> {
        Err(unsupported())
    }

    async fn beat(&self, _: Beat) -> Result<Orders, Error> {
        Err(unsupported())
    }

    async fn workers(&self, _: Option<String>, _: u32) -> Result<WorkerPage, Error> {
        Ok(WorkerPage::default())
    }

    async fn worker(&self, worker: String) -> Result<WorkerView, Error> {
        Err(Error::no_worker(&worker))
    }

    async fn order_worker(&self, _: &Context, _: String, _: WorkerOrder) -> Result<WorkerView, Error> {
        Err(unsupported())
    }

    async fn figures(&self) -> Result<Figures, Error> {
        Err(unsupported())
    }

    async fn backup(&self, _: Option<String>) -> Result<BackupReport, Error> {
        Err(unsupported())
    }

    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn unsupported() -> Error {
    Error::new(Word::Unsupported, "what was cannot be changed, and nothing happens there any more: it can only be read")
}
