//! The law of snapshots: a machine restored from another's parts is the other, in everything that comes after.

use std::fmt::Debug;

use queue_core::machine::{Blob, Chance, Machine, Restore, Wrong, decode};

use crate::store::{Record, Recorder, Store};

/// Damaged copies of each snapshot that are tried.
const DAMAGES: usize = 20;

type Parts = Vec<(u16, Vec<u8>)>;

/// A restored machine that does whatever the first one does, and what it was restored from.
pub(crate) struct Twin {
    machine: Machine,
    recorder: Recorder,
    chance: Chance,
    parts: Parts,
    /// Events before.
    events: usize,
}

fn save(machine: &Machine) -> Parts {
    let mut parts = Parts::new();
    machine.save(&mut |kind, body| parts.push((kind, body.to_vec())));
    parts
}

fn try_restore(parts: &Parts) -> Result<Machine, Wrong> {
    let mut restore = Restore::new();
    parts.iter().try_for_each(|(kind, body)| restore.part(*kind, body))?;
    restore.finish()
}

fn restore(parts: &Parts) -> Machine {
    try_restore(parts).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn fold(machine: &mut Machine, records: &[Record]) {
    for (position, at, kind, body) in records {
        machine.evolve(*position, *at, &decode(*kind, body).expect("what was written can be read"));
    }
}

/// Does one piece of damage; what it was.
fn damage(parts: &mut Parts, chance: &mut Chance) -> String {
    if parts.is_empty() {
        return "nothing is left".to_owned();
    }
    let mut below = |bound: usize| (chance.next_u64() % bound as u64) as usize;
    let (at, other) = (below(parts.len()), below(parts.len()));
    let (kind, body) = &mut parts[at];
    let what = format!("part {at} of kind {kind}, {} bytes", body.len());
    if body.is_empty() {
        return what;
    }
    let byte = below(body.len());
    match below(7) {
        0 => body.truncate(byte),
        1 => drop(body.drain(byte..(byte + below(16)).min(body.len()))),
        2 => parts.swap(at, other),
        3 => drop(parts.remove(at)),
        4 => parts.insert(other, parts[at].clone()),
        5 => body[byte] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
        _ => body[byte] ^= 1 << below(8),
    }
    format!("{what}: byte {byte} or part {other}")
}

/// Damaged parts are refused, or make a machine that keeps its invariants.
fn check_damaged(parts: &Parts, chance: &mut Chance) {
    let mut damaged = parts.clone();
    let done: Vec<String> = (0..=chance.next_u64() % 3).map(|_| damage(&mut damaged, chance)).collect();
    let kept = std::panic::catch_unwind(|| {
        if let Ok(machine) = try_restore(&damaged) {
            machine.assert_invariants();
        }
    });
    kept.unwrap_or_else(|_| panic!("damage was not refused: {done:?}"));
}

impl Store {
    /// After each event the state can be restored, and the events after it make of that what they made.
    pub(crate) fn restore_after_each_event(&self) {
        let mut machine = Machine::new();
        for (at, record) in self.recorder.records.iter().enumerate() {
            fold(&mut machine, std::slice::from_ref(record));
            let parts = save(&machine);
            let mut restored = restore(&parts);
            assert_eq!(restored.state_hash(), machine.state_hash(), "event {at}");
            assert!(save(&restored) == parts, "event {at}");
            restored.assert_invariants();
            fold(&mut restored, &self.recorder.records[at + 1..]);
            assert_eq!(restored.state_hash(), self.machine.state_hash(), "event {at}");
            assert!(save(&restored) == save(&self.machine), "event {at}");
        }
    }

    /// Restores a twin of the machine, which from now on does the same beside it.
    pub(crate) fn fork(&mut self) {
        let parts = save(&self.machine);
        let machine = restore(&parts);
        assert_eq!(machine.state_hash(), self.machine.state_hash(), "a restored machine has the same state");
        assert_eq!(machine.next_due(), self.machine.next_due());
        assert!(save(&machine) == parts, "a restored machine has the same parts");
        machine.assert_invariants();
        let kept = self.recorder.blobs.iter().map(|(&position, bytes)| Blob { position, length: bytes.len() as u32 });
        assert!(kept.eq(self.machine.live_blobs()), "the rows' blobs are those that were not let go");
        let recorder = Recorder { records: Vec::new(), next: self.recorder.next, blobs: self.recorder.blobs.clone() };
        let (chance, events) = (self.chance.clone(), self.events());
        let mut damage = Chance::new(chance.clone().next_u64());
        (0..DAMAGES).for_each(|_| check_damaged(&parts, &mut damage));
        self.twin = Some(Twin { machine, recorder, chance, parts, events });
    }

    /// Does the same to the machine and to its twin, which must give the same answer, events and state.
    pub(crate) fn both<T: Debug + PartialEq>(
        &mut self,
        what: impl Fn(&mut Machine, &mut Chance, &mut Recorder) -> T,
    ) -> T {
        let before = self.events();
        let answer = what(&mut self.machine, &mut self.chance, &mut self.recorder);
        if let Some(Twin { machine, recorder, chance, .. }) = &mut self.twin {
            assert_eq!(what(machine, chance, recorder), answer, "a restored machine answers the same");
            assert!(recorder.records.drain(..).eq(self.recorder.records[before..].iter().cloned()), "events");
            assert_eq!(machine.state_hash(), self.machine.state_hash(), "a restored machine stays the same");
            assert_eq!(machine.next_due(), self.machine.next_due());
        }
        answer
    }

    /// What the events since make of the last snapshot is what all events made.
    pub(crate) fn replay_from_snapshot(&self) {
        let Some(Twin { parts, events, .. }) = &self.twin else { return };
        let mut machine = restore(parts);
        fold(&mut machine, &self.recorder.records[*events..]);
        assert_eq!(machine.state_hash(), self.machine.state_hash(), "a snapshot and what came after it give the state");
        assert!(save(&machine) == save(&self.machine), "and its parts");
    }
}
