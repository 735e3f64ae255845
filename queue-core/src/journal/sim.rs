//! A disk in memory that remembers every call, and what could be on it after a crash.
//!
//! Knows nothing of journals: it keeps [`Storage`]'s contract and promises nothing beyond it.
//! Invariants: an image contains what was synced, and of the rest whatever its [`Loss`] says; the same calls, loss and
//! seed give the same image. Sectors are 512 bytes and are written whole or not at all.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::storage::{LockFailure, Storage, StorageFile};

/// What a disk writes whole or not at all, bytes.
pub const SECTOR_BYTES: u64 = 512;

/// One call that changed the disk or made a change durable.
#[derive(Debug, Clone)]
pub enum Call {
    /// A new file got this name.
    Create {
        /// The name.
        name: String,
        /// The file, by number.
        file: usize,
    },
    /// Bytes were written to a file.
    Write {
        /// The file.
        file: usize,
        /// Where.
        offset: u64,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// A file got longer, by zeros.
    Allocate {
        /// The file.
        file: usize,
        /// Its length from then on, unless it was longer.
        length: u64,
    },
    /// A file's content became durable.
    Sync {
        /// The file.
        file: usize,
    },
    /// A name changed.
    Rename {
        /// The old name.
        from: String,
        /// The new one.
        to: String,
    },
    /// A name was removed.
    Remove {
        /// The name.
        name: String,
    },
    /// The names became durable.
    SyncDirectory,
}

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

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    calls: Vec<Call>,
    /// The names and files that the disk began with.
    origin: BTreeMap<String, Vec<u8>>,
    locked: bool,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// A disk that durably holds these files.
    pub fn with_files(origin: BTreeMap<String, Vec<u8>>) -> SimDisk {
        let files: Vec<Vec<u8>> = origin.values().cloned().collect();
        let names = origin.keys().cloned().zip(0..).collect();
        SimDisk { state: Arc::new(Mutex::new(State { names, files, calls: Vec::new(), origin, locked: false })) }
    }

    /// How many calls were made so far; a crash can be put after each.
    pub fn calls(&self) -> usize {
        self.state().calls.len()
    }

    /// The calls themselves.
    pub fn history(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The files as they are now.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        state.names.iter().map(|(name, file)| (name.clone(), state.files[*file].clone())).collect()
    }

    /// Walks through all points at which a crash can happen. See [`Crashes`].
    pub fn crashes(&self) -> Crashes {
        let state = self.state();
        Crashes::new(&state.origin, state.calls.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl State {
    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }
}

/// A file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    file: usize,
}

/// The lock of a [`SimDisk`].
#[derive(Debug)]
pub struct SimLock {
    disk: SimDisk,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locked = false;
    }
}

impl Storage for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn place(&self) -> String {
        "simulated disk".to_owned()
    }

    fn make_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> Result<SimLock, LockFailure> {
        if std::mem::replace(&mut self.state().locked, true) {
            return Err(LockFailure::Held { owner: "another journal".to_owned() });
        }
        Ok(SimLock { disk: self.clone() })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut state = self.state();
        let file = state.files.len();
        state.files.push(Vec::new());
        state.names.insert(name.to_owned(), file);
        state.calls.push(Call::Create { name: name.to_owned(), file });
        Ok(SimFile { disk: self.clone(), file })
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        Ok(SimFile { file: self.state().find(name)?, disk: self.clone() })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        state.calls.push(Call::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.find(name)?;
        state.names.remove(name);
        state.calls.push(Call::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.state().calls.push(Call::SyncDirectory);
        Ok(())
    }
}

impl StorageFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let content = state.files[self.file].get(index(offset)..).unwrap_or(&[]);
        let count = content.len().min(into.len());
        into[..count].copy_from_slice(&content[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        write(&mut state.files[self.file], bytes, offset);
        state.calls.push(Call::Write { file: self.file, offset, bytes: bytes.into() });
        Ok(())
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let length = offset + bytes;
        lengthen(&mut state.files[self.file], length);
        state.calls.push(Call::Allocate { file: self.file, length });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state().calls.push(Call::Sync { file: self.file });
        Ok(())
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a simulated file fits memory")
}

fn lengthen(content: &mut Vec<u8>, length: u64) {
    content.resize(content.len().max(index(length)), 0);
}

fn write(content: &mut Vec<u8>, bytes: &[u8], offset: u64) {
    lengthen(content, offset + bytes.len() as u64);
    content[index(offset)..index(offset) + bytes.len()].copy_from_slice(bytes);
}

/// The points at which a crash can happen, in order, each with the images it can leave.
#[derive(Debug)]
pub struct Crashes {
    calls: Vec<Call>,
    done: usize,
    /// What is on the disk for certain.
    durable: Vec<Vec<u8>>,
    durable_names: BTreeMap<String, usize>,
    /// Writes and allocations since their file's last sync; names since the directory's.
    pending: Vec<Call>,
    pending_names: Vec<Call>,
}

impl Crashes {
    fn new(origin: &BTreeMap<String, Vec<u8>>, calls: Vec<Call>) -> Crashes {
        Crashes {
            calls,
            done: 0,
            durable: origin.values().cloned().collect(),
            durable_names: origin.keys().cloned().zip(0..).collect(),
            pending: Vec::new(),
            pending_names: Vec::new(),
        }
    }

    /// How many calls were made before this crash.
    pub fn point(&self) -> usize {
        self.done
    }

    /// The last call before this crash.
    pub fn last_call(&self) -> Option<&Call> {
        self.done.checked_sub(1).map(|at| &self.calls[at])
    }

    /// Goes on by one call; false at the end.
    pub fn advance(&mut self) -> bool {
        let Some(call) = self.calls.get(self.done).cloned() else { return false };
        self.done += 1;
        match &call {
            Call::Sync { file } => self.settle(*file),
            Call::SyncDirectory => {
                for name in std::mem::take(&mut self.pending_names) {
                    apply_name(&mut self.durable_names, &name);
                }
            }
            Call::Write { .. } | Call::Allocate { .. } => self.pending.push(call),
            Call::Create { file, .. } => {
                let files = self.durable.len().max(file + 1);
                self.durable.resize(files, Vec::new());
                self.pending_names.push(call);
            }
            Call::Rename { .. } | Call::Remove { .. } => self.pending_names.push(call),
        }
        true
    }

    fn settle(&mut self, synced: usize) {
        let durable = &mut self.durable;
        self.pending.retain(|call| match call {
            Call::Write { file, offset, bytes } if *file == synced => {
                write(&mut durable[synced], bytes, *offset);
                false
            }
            Call::Allocate { file, length } if *file == synced => {
                lengthen(&mut durable[synced], *length);
                false
            }
            _ => true,
        });
    }

    /// Whether `loss` makes a difference here, so that its image is worth a test.
    pub fn matters(&self, loss: Loss) -> bool {
        let open = !self.pending.is_empty() || !self.pending_names.is_empty();
        match loss {
            Loss::Nothing => true,
            Loss::Everything | Loss::Sectors(_) => open,
            Loss::TornLastWrite(_) => matches!(self.pending.last(), Some(Call::Write { .. })),
        }
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
        SimDisk::with_files(names.into_iter().map(|(name, file)| (name, std::mem::take(&mut files[file]))).collect())
    }
}

fn apply_name(names: &mut BTreeMap<String, usize>, call: &Call) {
    match call {
        Call::Create { name, file } => {
            names.insert(name.clone(), *file);
        }
        Call::Rename { from, to } => {
            // A name whose creation was lost cannot be renamed.
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Call::Remove { name } => {
            names.remove(name);
        }
        _ => {}
    }
}

fn apply_content(files: &mut [Vec<u8>], call: &Call, loss: Loss, last: bool, chance: &mut Chance) {
    match (call, loss) {
        (Call::Allocate { .. }, Loss::Sectors(_)) if chance.coin() => {}
        (Call::Allocate { file, length }, _) => lengthen(&mut files[*file], *length),
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
