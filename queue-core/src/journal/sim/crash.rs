//! What a crash can leave of a [`SimDisk`]: every point, and at each the things it can take.
//!
//! Leaves it to the tests to say what must be found on an image.
//! Invariants: an image holds what was synced, and of the rest whatever its [`Loss`] says; the same calls and loss give
//! the same image. Sectors are 512 bytes and are written whole or not at all.

use std::collections::BTreeMap;

use super::{Call, SimDisk, index, lengthen, write};

/// What a disk writes whole or not at all, bytes.
pub const SECTOR_BYTES: u64 = 512;

/// What of the unsynced a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing of it.
    Everything,
    /// All of it: the process died, the machine did not.
    Nothing,
    /// For each sector and each name, what the seed says.
    Sectors(u64),
    /// All of it but the last write, of which only the first bytes (as many as the seed says) arrived.
    TornLastWrite(u64),
}

/// What a crash left, as a disk that holds it durably.
#[derive(Debug)]
pub struct Image {
    /// How many calls were made before the crash.
    pub point: usize,
    /// What it took.
    pub loss: Loss,
    /// The disk afterwards.
    pub disk: SimDisk,
}

/// The points at which a crash can happen, in order, each with the images it can leave.
#[derive(Debug)]
pub struct Crashes {
    calls: Vec<Call>,
    done: usize,
    /// What is on the disk for certain.
    durable: Vec<Vec<u8>>,
    durable_names: BTreeMap<String, usize>,
    /// What was done to files' contents since their file's last sync; names since the directory's.
    pending: Vec<Call>,
    pending_names: Vec<Call>,
}

impl Crashes {
    pub(super) fn new(origin: (BTreeMap<String, usize>, Vec<Vec<u8>>), calls: Vec<Call>) -> Crashes {
        let (durable_names, durable) = origin;
        Crashes { calls, done: 0, durable, durable_names, pending: Vec::new(), pending_names: Vec::new() }
    }

    /// How many calls were made before this crash.
    pub fn point(&self) -> usize {
        self.done
    }

    /// Goes on by one call; false at the end.
    pub fn advance(&mut self) -> bool {
        let Some(call) = self.calls.get(self.done).cloned() else { return false };
        self.done += 1;
        match &call {
            Call::Sync { file } => self.settle(*file),
            Call::FailedSync { file: failed } => self.pending.retain(|call| match call {
                Call::Truncate { file }
                | Call::Write { file, .. }
                | Call::Allocate { file, .. }
                | Call::Cut { file, .. } => file != failed,
                _ => true,
            }),
            Call::SyncDirectory { directory } => self.settle_names(directory),
            Call::Truncate { .. } | Call::Write { .. } | Call::Allocate { .. } | Call::Cut { .. } => {
                self.pending.push(call);
            }
            Call::Create { file, .. } => {
                let files = self.durable.len().max(file + 1);
                self.durable.resize(files, Vec::new());
                self.pending_names.push(call);
            }
            Call::Link { .. } | Call::Rename { .. } | Call::Remove { .. } | Call::RemoveDirectory { .. } => {
                self.pending_names.push(call);
            }
        }
        true
    }

    /// Makes the names in a directory durable.
    fn settle_names(&mut self, directory: &str) {
        let pending = std::mem::take(&mut self.pending_names);
        let (settled, mut rest): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|call| directory_of(call) == directory);
        for call in settled {
            apply_name(&mut self.durable_names, &call);
            if let Call::Rename { from, to } = &call {
                // What is pending within a directory goes along with it.
                rest.iter_mut().for_each(|call| move_along(call, from, to));
            }
        }
        self.pending_names = rest;
    }

    fn settle(&mut self, synced: usize) {
        let durable = &mut self.durable;
        self.pending.retain(|call| match call {
            Call::Truncate { file } if *file == synced => {
                durable[synced].clear();
                false
            }
            Call::Write { file, offset, bytes } if *file == synced => {
                write(&mut durable[synced], bytes, *offset);
                false
            }
            Call::Allocate { file, length } if *file == synced => {
                lengthen(&mut durable[synced], *length);
                false
            }
            Call::Cut { file, length } if *file == synced => {
                durable[synced].truncate(index(*length));
                false
            }
            _ => true,
        });
    }

    /// The losses that make a difference here, those that chance decides `draws` times each.
    pub fn losses(&self, chance: &mut Chance, draws: usize) -> Vec<Loss> {
        let mut losses = vec![Loss::Nothing];
        if !self.pending.is_empty() || !self.pending_names.is_empty() {
            losses.push(Loss::Everything);
            losses.extend((0..draws).map(|_| Loss::Sectors(chance.draw())));
        }
        if matches!(self.pending.last(), Some(Call::Write { .. })) {
            losses.extend((0..draws).map(|_| Loss::TornLastWrite(chance.draw())));
        }
        losses
    }

    /// The disk as this crash and this loss leave it.
    pub fn image(&self, loss: Loss) -> SimDisk {
        let mut chance = Chance(match loss {
            Loss::Sectors(seed) | Loss::TornLastWrite(seed) => seed,
            _ => 0,
        });
        let mut files = self.durable.clone();
        let mut names = self.durable_names.clone();
        if loss != Loss::Everything {
            for name in &self.pending_names {
                if !matches!(loss, Loss::Sectors(_)) || chance.coin() {
                    apply_name(&mut names, name);
                }
            }
            for (at, call) in self.pending.iter().enumerate() {
                apply_content(&mut files, call, loss, at + 1 == self.pending.len(), &mut chance);
            }
        }
        SimDisk::with_names(names, files)
    }
}

/// The directory whose names a call changes.
fn directory_of(call: &Call) -> &str {
    let (Call::Create { name, .. }
    | Call::Link { name, .. }
    | Call::Remove { name }
    | Call::RemoveDirectory { name }
    | Call::Rename { from: name, .. }) = call
    else {
        unreachable!("no name changes")
    };
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The name of what is in directory `from`, once that is called `to`.
pub(super) fn moved(name: &str, from: &str, to: &str) -> Option<String> {
    let rest = name.strip_prefix(from)?;
    rest.starts_with('/').then(|| format!("{to}{rest}"))
}

fn move_along(call: &mut Call, directory: &str, to: &str) {
    let along = |name: &mut String| {
        if let Some(moved) = moved(name, directory, to) {
            *name = moved;
        }
    };
    match call {
        Call::Create { name, .. }
        | Call::Link { name, .. }
        | Call::Remove { name }
        | Call::RemoveDirectory { name } => {
            along(name);
        }
        Call::Rename { from, to } => [from, to].into_iter().for_each(along),
        _ => {}
    }
}

pub(super) fn apply_name(names: &mut BTreeMap<String, usize>, call: &Call) {
    match call {
        Call::Create { name, file } | Call::Link { name, file } => {
            names.insert(name.clone(), *file);
        }
        Call::Rename { from, to } => {
            // A name whose creation was lost cannot be renamed.
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
            let inside: Vec<_> = names.keys().filter_map(|name| Some((name.clone(), moved(name, from, to)?))).collect();
            for (name, moved) in inside {
                let file = names.remove(&name).expect("it was just found");
                names.insert(moved, file);
            }
        }
        // A directory that is gone for certain had nothing in it any more.
        Call::RemoveDirectory { name } => names.retain(|file, _| moved(file, name, "").is_none()),
        Call::Remove { name } => {
            names.remove(name);
        }
        _ => {}
    }
}

fn apply_content(files: &mut [Vec<u8>], call: &Call, loss: Loss, last: bool, chance: &mut Chance) {
    match (call, loss) {
        (Call::Truncate { .. } | Call::Allocate { .. } | Call::Cut { .. }, Loss::Sectors(_)) if chance.coin() => {}
        (Call::Truncate { file }, _) => files[*file].clear(),
        (Call::Allocate { file, length }, _) => lengthen(&mut files[*file], *length),
        (Call::Cut { file, length }, _) => files[*file].truncate(index(*length)),
        (Call::Write { file, offset, bytes }, Loss::Sectors(_)) => {
            for (from, sector) in sectors(*offset, bytes) {
                if chance.coin() {
                    write(&mut files[*file], sector, from);
                }
            }
        }
        (Call::Write { file, offset, bytes }, Loss::TornLastWrite(_)) if last => {
            let arrived = chance.below(bytes.len());
            write(&mut files[*file], &bytes[..arrived], *offset);
        }
        (Call::Write { file, offset, bytes }, _) => write(&mut files[*file], bytes, *offset),
        _ => {}
    }
}

/// Cuts a write at the disk's sector boundaries.
fn sectors(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let from = offset + at as u64;
        let room = index(SECTOR_BYTES - from % SECTOR_BYTES);
        let sector = &bytes[at..bytes.len().min(at + room)];
        at += sector.len();
        (!sector.is_empty()).then_some((from, sector))
    })
}

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("64 bits").max(1);
        usize::try_from(self.draw() % bound).expect("below a usize")
    }

    /// True half of the time.
    pub fn coin(&mut self) -> bool {
        self.draw() & 1 == 1
    }
}
