//! The machine under test with a sink that records: its events as bytes, to be replayed, and its blobs.

use std::collections::BTreeMap;

use bytes::Bytes;
use queue_core::machine::{Blob, Chance, Event, Machine, Sink, decode, encode, kind_of};
use queue_core::model::{Command, Context, Error, Now, Reply};

use crate::twin::Twin;

/// A record as a journal would keep it: position, steady instant, kind, body.
pub(crate) type Record = (u64, u64, u16, Vec<u8>);

#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) records: Vec<Record>,
    pub(crate) next: u64,
    pub(crate) blobs: BTreeMap<u64, Bytes>,
}

impl Sink for Recorder {
    fn append(&mut self, at: u64, event: &Event<'_>) -> u64 {
        let mut body = Vec::new();
        let kind = kind_of(event);
        encode(event, &mut body);
        let position = self.next;
        self.next += (body.len() as u64 + 16).next_multiple_of(8);
        for (ordinal, bytes) in (0..).zip(event.blobs()) {
            if let Some(bytes) = bytes {
                self.blobs.insert(position + ordinal, Bytes::copy_from_slice(bytes));
            }
        }
        self.records.push((position, at, kind, body));
        position
    }

    fn release(&mut self, blob: Blob) {
        let bytes = self.blobs.remove(&blob.position).expect("a blob is let go once");
        assert_eq!(bytes.len(), blob.length as usize, "a handle knows its blob's length");
    }

    fn read(&self, blob: Blob) -> Bytes {
        self.blobs.get(&blob.position).expect("a row's blob is kept").clone()
    }

    fn blob_bytes(&self) -> u64 {
        self.blobs.values().map(|bytes| bytes.len() as u64).sum()
    }
}

/// A machine, its recorder and its chance.
pub(crate) struct Store {
    pub(crate) machine: Machine,
    pub(crate) recorder: Recorder,
    pub(crate) chance: Chance,
    pub(crate) twin: Option<Twin>,
}

impl Store {
    pub(crate) fn new(seed: u64) -> Self {
        Self { machine: Machine::new(), recorder: Recorder::default(), chance: Chance::new(seed), twin: None }
    }

    pub(crate) fn apply(&mut self, now: Now, command: &Command) -> Result<Reply, Error> {
        let before = (self.machine.state_hash(), self.recorder.records.len());
        let reply = self.both(|machine, chance, sink| machine.apply(now, chance, &Context::default(), command, sink));
        if let Err(error) = &reply {
            let after = (self.machine.state_hash(), self.recorder.records.len());
            assert_eq!(after, before, "what was refused with `{error}` changed something");
        }
        reply
    }

    pub(crate) fn elapse(&mut self, now: Now) {
        // Everything that is due before a bulk operation takes its step: the model knows no budgets.
        loop {
            while self.both(|machine, _, sink| machine.elapse(now, sink, usize::MAX)) {}
            if !self.both(|machine, _, sink| machine.advance_operations(now, sink)) {
                return;
            }
        }
    }

    /// Starts the broker; whether removal by age is held for an hour.
    pub(crate) fn start(&mut self, now: Now) -> bool {
        self.both(|machine, chance, sink| machine.start(now, chance, sink))
    }

    /// Notices a jump of the wall clock.
    pub(crate) fn watch_clock(&mut self, now: Now) -> Option<i64> {
        self.both(|machine, _, sink| machine.watch_clock(now, sink))
    }

    /// Takes the machine that the recorded events make instead of the one that made them.
    pub(crate) fn replay(&mut self) {
        let mut replayed = Machine::new();
        for (position, at, kind, body) in &self.recorder.records {
            let event = decode(*kind, body).expect("what was written can be read");
            assert!(replayed.may_fit(&event), "what a log without holes says always may: {event:?}");
            replayed.evolve(*position, *at, &event);
        }
        assert_eq!(replayed.state_hash(), self.machine.state_hash(), "replaying the events gives the same state");
        replayed.assert_invariants();
        // The recorder has let go of these already, and nobody waits for the rest.
        replayed.drain_released().for_each(drop);
        replayed.forget_signals();
        self.machine = replayed;
        self.replay_from_snapshot();
    }

    /// The last of the first `count` events: its kind, its text, and the hashes of the state after them as they were and
    /// with the last one as `change` makes it, where it does.
    pub(crate) fn hashes_with_last_changed(
        &self,
        count: usize,
        change: impl for<'a> Fn(Event<'a>) -> Option<Event<'a>>,
    ) -> (u16, String, Option<(u64, u64)>) {
        let mut machine = Machine::new();
        let mut wrong = Machine::new();
        let (last, before) = self.recorder.records[..count].split_last().expect("at least one");
        for (position, at, kind, body) in before {
            let event = decode(*kind, body).expect("what was written can be read");
            machine.evolve(*position, *at, &event);
            wrong.evolve(*position, *at, &event);
        }
        let (position, at, kind, body) = last;
        let event = decode(*kind, body).expect("what was written can be read");
        machine.evolve(*position, *at, &event);
        let text = format!("{event:?}");
        let hashes = change(event).map(|changed| {
            wrong.evolve(*position, *at, &changed);
            (machine.state_hash(), wrong.state_hash())
        });
        (*kind, text, hashes)
    }

    /// Events so far.
    pub(crate) fn events(&self) -> usize {
        self.recorder.records.len()
    }
}
