//! Damage anywhere in a sealed store: every bit flipped, every cut, every block zeroed, every two blocks swapped.
//!
//! What opens has to hold exactly what was stored; what does not has to name the file and the header, frame or block in which
//! the first changed byte stands. A run tries a sample that its seed draws (`LONGSHORE_SEED` draws it again);
//! `LONGSHORE_DAMAGE=all` tries all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::sim::Chance;
use super::*;

/// One case in so many is tried, unless all are.
const SAMPLE: u64 = 50;
const BLOCK: usize = 512;
const STORE_BYTES: u64 = 64 << 10;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip { bit: usize },
    Cut { length: usize },
    Zero { block: usize },
    Swap { one: usize, other: usize },
}

impl Harm {
    fn apply(self, bytes: &mut Vec<u8>) {
        let block = |number: usize, length: usize| number * BLOCK..length.min((number + 1) * BLOCK);
        match self {
            Harm::Flip { bit } => bytes[bit / 8] ^= 1 << (bit % 8),
            Harm::Cut { length } => bytes.truncate(length),
            Harm::Zero { block: number } => {
                let range = block(number, bytes.len());
                bytes[range].fill(0);
            }
            Harm::Swap { one, other } => {
                let (head, tail) = bytes.split_at_mut(other * BLOCK);
                let length = tail.len().min(BLOCK);
                head[one * BLOCK..one * BLOCK + length].swap_with_slice(&mut tail[..length]);
            }
        }
    }

    /// Everything that can be done to a file of this length.
    fn all(length: usize) -> impl Iterator<Item = Harm> {
        let blocks = length.div_ceil(BLOCK);
        let flips = (0..length * 8).map(|bit| Harm::Flip { bit });
        let cuts = (0..length).map(|length| Harm::Cut { length });
        let zeros = (0..blocks).map(|block| Harm::Zero { block });
        let swaps = (0..blocks).flat_map(move |one| (one + 1..blocks).map(move |other| Harm::Swap { one, other }));
        flips.chain(cuts).chain(zeros).chain(swaps)
    }
}

/// A part or a record, as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Part(u16, Vec<u8>),
    Record(Kept),
}

/// A store, what it holds, and where in each of its files something begins that is checked as a whole.
struct Store {
    files: BTreeMap<String, Vec<u8>>,
    items: Vec<Item>,
    units: BTreeMap<String, Vec<u64>>,
}

/// Compares what is read with what was stored.
struct Comparing<'a> {
    left: std::slice::Iter<'a, Item>,
    same: bool,
}

impl Visitor for Comparing<'_> {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        self.same &= matches!(self.left.next(), Some(Item::Part(wanted, bytes)) if *wanted == kind && bytes == body);
        Ok(())
    }

    fn restored(&mut self, _: &SnapshotHeader) -> Result<(), VisitError> {
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        let Record { position, kind, skippable, at, body } = record;
        self.same &= matches!(self.left.next(), Some(Item::Record(kept)) if kept.body == body
            && (kept.position, kept.kind, kept.skippable, kept.at) == (position, kind, skippable, at));
        Ok(())
    }
}

fn options() -> Options {
    Options { segment_bytes_first: STORE_BYTES, segment_bytes_max: STORE_BYTES, store_salt: 7, ..Options::default() }
}

/// Frames of one to three records each, up to `bytes` of log.
fn fill(journal: &mut Journal<SimDisk>, bytes: u64, items: &mut Vec<Item>) {
    let mut chance = Chance(bytes);
    let end = journal.end().plus(bytes);
    while journal.end() < end {
        for _ in 0..=chance.below(3) {
            let (at, byte, length) = (journal.end().get(), chance.below(250) as u8, chance.below(900));
            items.push(Item::Record(append(journal, at, byte, length)));
        }
        commit(journal, 0);
    }
}

impl Store {
    /// A log without a snapshot that fills its only segment.
    fn log() -> Store {
        let (disk, mut items) = (SimDisk::new(), Vec::new());
        let (mut journal, _) = Journal::open(disk.clone(), options(), &mut |_| Ok(())).expect("a new store");
        fill(&mut journal, STORE_BYTES - (4 << 10), &mut items);
        journal.close(1).expect("it closes");
        Store::of(&disk, items)
    }

    /// A snapshot with a log behind it, and the log before.
    fn with_snapshot() -> Store {
        let (disk, mut before) = (SimDisk::new(), Vec::new());
        let (mut journal, _) = Journal::open(disk.clone(), options(), &mut |_| Ok(())).expect("a new store");
        fill(&mut journal, STORE_BYTES, &mut before);
        let compaction = journal.begin_compaction(0).expect("a segment was left");
        let mut writer = compaction.writer(1).expect("it begins");
        let mut items = Vec::new();
        for number in 0..400_u16 {
            let body = vec![number as u8; usize::from(number % 251)];
            writer.part(number, &[&body]).expect("it is written");
            items.push(Item::Part(number, body));
        }
        // Of the segment in use nothing is in the snapshot.
        let position = compaction.position();
        items.extend(before.into_iter().filter(|item| matches!(item, Item::Record(kept) if kept.position > position)));
        let file = compaction.finish(writer).expect("it is finished");
        let compacted = compaction.put_in_force(file).expect("it is in force");
        journal.finish_compaction(Some(compacted)).expect("something to remove").run().expect("it is removed");
        journal.finish_cleanup();
        fill(&mut journal, STORE_BYTES / 2, &mut items);
        journal.close(1).expect("it closes");
        Store::of(&disk, items)
    }

    fn of(disk: &SimDisk, items: Vec<Item>) -> Store {
        let mut files = disk.files();
        // The segment that is prepared ahead holds nothing.
        files.retain(|_, bytes| bytes.iter().any(|byte| *byte != 0));
        let units = files.iter().map(|(name, bytes)| (name.clone(), units(name, bytes))).collect();
        let store = Store { files, items, units };
        assert!(store.open(SimDisk::with_files(store.files.clone())).expect("it opens"), "it holds what was stored");
        store
    }

    /// Whether the disk holds what was stored.
    fn open(&self, disk: SimDisk) -> Result<bool, JournalError> {
        let mut comparing = Comparing { left: self.items.iter(), same: true };
        Journal::open_with(disk, options(), &mut comparing)?;
        Ok(comparing.same && comparing.left.next().is_none())
    }

    /// Whether a store with this harm still opens, as it must: with all that was stored.
    fn check(&self, name: &str, harm: Harm) -> bool {
        let mut files = self.files.clone();
        let (bytes, whole) = (files.get_mut(name).expect("it is there"), &self.files[name]);
        harm.apply(bytes);
        let changed = bytes.iter().zip(whole).position(|(now, before)| now != before).unwrap_or(bytes.len());
        let error = match self.open(SimDisk::with_files(files)) {
            Ok(same) => {
                assert!(same, "{name}, {harm:?}: it opens with something else");
                return true;
            }
            Err(error) => error,
        };
        assert!(changed < whole.len(), "{name}, {harm:?}: nothing was changed: {error}");
        let place = match &error {
            JournalError::Corrupt { file, offset, .. } | JournalError::SnapshotDamaged { file, offset, .. } => {
                (file.as_str(), *offset)
            }
            // A manifest is one place.
            JournalError::FileDamaged { file, .. } | JournalError::UnknownVersion { file, .. } => (file.as_str(), 0),
            JournalError::Foreign { found, .. } if found.contains("MANIFEST") => ("MANIFEST", 0),
            _ => panic!("{name}, {harm:?}: {error}"),
        };
        let units = &self.units[name];
        let unit = units[units.partition_point(|begin| *begin <= changed as u64) - 1];
        let offset = match harm {
            // A segment says how long it is.
            Harm::Cut { length } if name.ends_with(".segment") => length as u64,
            _ => unit,
        };
        assert_eq!(place, (name, offset), "{harm:?}, first at {changed}: {error}");
        false
    }
}

/// Where headers, frames and blocks begin.
fn units(name: &str, bytes: &[u8]) -> Vec<u64> {
    let mut units = vec![0];
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut at = 64;
    if name.ends_with(".segment") {
        while bytes[at..].starts_with(b"LSFR") {
            units.push(at as u64);
            at += 48 + number(at + 28);
        }
        units.push(at as u64);
    } else if name.starts_with("snapshot-") {
        while at < bytes.len() {
            units.push(at as u64);
            at += 16 + number(at);
        }
    }
    units
}

/// Tries the files whose names satisfy `tried`; returns how many cases were refused and how many opened as they were.
fn try_all(store: &Store, tried: impl Fn(&str) -> bool) -> (usize, usize) {
    let all = std::env::var("LONGSHORE_DAMAGE").is_ok_and(|wanted| wanted == "all");
    let seed = std::env::var("LONGSHORE_SEED").ok().map(|text| text.parse().expect("LONGSHORE_SEED is a number"));
    let seed = seed.unwrap_or_else(|| u64::from_le_bytes(crate::random::bytes()));
    println!("seed {seed}");
    let names = store.files.keys().filter(|name| tried(name));
    let cases: Vec<(&str, Harm)> = names
        .flat_map(|name| {
            let mut chance = Chance(seed);
            // What is short is tried whole, and so is every block.
            let whole = all || store.files[name].len() < 4 << 10;
            let drawn =
                move |harm: &Harm| whole || matches!(harm, Harm::Zero { .. }) || chance.below(SAMPLE as usize) == 0;
            Harm::all(store.files[name].len()).filter(drawn).map(|harm| (name.as_str(), harm))
        })
        .collect();
    let (next, opened) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((name, harm)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    opened.fetch_add(usize::from(store.check(name, *harm)), Ordering::Relaxed);
                }
            });
        }
    });
    let opened = opened.into_inner();
    println!("{} cases: {} refused by name, {opened} opened as they were", cases.len(), cases.len() - opened);
    (cases.len() - opened, opened)
}

#[test]
fn damage_anywhere_in_a_log_changes_nothing_or_is_named() {
    let store = Store::log();
    assert_eq!(store.files["00000001.segment"].len() as u64, STORE_BYTES);
    let (refused, opened) = try_all(&store, |_| true);
    // What may be lost without being missed is the seal and what stands behind it.
    assert!(opened < refused / 5, "{refused} refused, {opened} opened");
}

#[test]
fn damage_anywhere_in_a_snapshot_and_the_log_behind_it_changes_nothing_or_is_named() {
    let store = Store::with_snapshot();
    let (refused, opened) = try_all(&store, |name| name != "00000001.segment");
    assert!(opened < refused, "{refused} refused, {opened} opened");
}

#[test]
fn damage_in_what_a_start_does_not_need_changes_nothing() {
    let store = Store::with_snapshot();
    let (refused, _) = try_all(&store, |name| name == "00000001.segment");
    assert_eq!(refused, 0, "the log before the snapshot is for readers");
}
