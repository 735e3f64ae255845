//! A disk in memory that remembers every call, so that a crash can be put after each.
//!
//! Knows nothing of journals: it keeps [`Storage`]'s contract and promises nothing beyond it. What a crash leaves is the
//! part below, `crash`; `nested` crashes the starts on that as well. Invariant: the calls, applied in order to what the disk
//! began with, give its files.

mod crash;
mod nested;

pub use crash::{Chance, Crashes, Image, Loss, SECTOR_BYTES};
pub use nested::{Crashed, Plan, STARTS, Start, Trial, run, seed};

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::storage::{LockFailure, Storage, StorageFile};

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
    /// An existing file was emptied, because it was created again.
    Truncate {
        /// The file.
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
    /// A file got shorter.
    Cut {
        /// The file.
        file: usize,
        /// Its length from then on, unless it was shorter.
        length: u64,
    },
    /// A file's content became durable.
    Sync {
        /// The file.
        file: usize,
    },
    /// A sync failed: what it was to make durable is forgotten, though it can still be read.
    FailedSync {
        /// The file.
        file: usize,
    },
    /// A file got a second name.
    Link {
        /// The second name.
        name: String,
        /// The file, by number.
        file: usize,
    },
    /// A file's name changed, or a directory's, and with it the names of all that is in it.
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
    /// An empty directory was removed.
    RemoveDirectory {
        /// The directory.
        name: String,
    },
    /// The names in a directory became durable.
    SyncDirectory {
        /// The directory: empty for the one that the disk began with.
        directory: String,
    },
}

/// A directory of a disk in memory: at first the journal's, whose files have plain names. The names of files in other
/// directories have the directory before them. A directory is there when something is in it: making it takes no call, and
/// what is lost of it is only ever what was in it. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    directory: Arc<Path>,
}

impl Default for SimDisk {
    fn default() -> SimDisk {
        SimDisk::with_files(BTreeMap::new())
    }
}

/// Where the disk begins.
const ROOT: &str = "data";

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    calls: Vec<Call>,
    /// The names and files that the disk began with.
    origin: (BTreeMap<String, usize>, Vec<Vec<u8>>),
    /// The directories that have an owner.
    locked: BTreeSet<PathBuf>,
    failing_sync: bool,
    /// How many more syncs of the directory succeed before one fails.
    failing_directory_sync: Option<usize>,
    /// Bytes that all files together may have; none for no bound.
    capacity: Option<u64>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// A disk that durably holds these files.
    pub fn with_files(files: BTreeMap<String, Vec<u8>>) -> SimDisk {
        let (names, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        SimDisk::with_names(names.into_iter().zip(0..).collect(), files)
    }

    /// As [`SimDisk::with_files`], where a file may have several names.
    fn with_names(names: BTreeMap<String, usize>, files: Vec<Vec<u8>>) -> SimDisk {
        let origin = (names.clone(), files.clone());
        let state = Arc::new(Mutex::new(State { names, files, origin, ..State::default() }));
        SimDisk { state, directory: Path::new(ROOT).into() }
    }

    /// This directory as the names of its files have it: empty for the first.
    fn prefix(&self) -> String {
        let directory = self.directory.to_str().expect("the tests' directories are text");
        if directory == ROOT { String::new() } else { directory.to_owned() }
    }

    /// A name in this directory as the disk has it.
    fn key(&self, name: &str) -> String {
        let prefix = self.prefix();
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    /// Lets the next sync of a file fail, as kernels do it: the unsynced pages are called clean and stay in the cache, so
    /// that they read as if all were well and no later sync writes them.
    pub fn fail_next_sync(&self) {
        self.state().failing_sync = true;
    }

    /// Lets one sync of the directory fail, after `more` others. Its names can be read all the same, and a later sync
    /// makes them durable.
    pub fn fail_directory_sync_after(&self, more: usize) {
        self.state().failing_directory_sync = Some(more);
    }

    /// Bounds what all files together may have, each counted in whole blocks: what would need more fails as on a full disk.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes that all files together have, each counted in whole blocks.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// The disk as `loss` leaves it after the last call so far.
    pub fn after_power_loss(&self, loss: Loss) -> SimDisk {
        let mut crashes = self.crashes();
        while crashes.advance() {}
        crashes.image(loss)
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

    /// Every image that a crash can leave: after each call so far, each kind of loss that makes a difference there,
    /// sector subsets and torn writes `draws` times each. The same seed gives the same images.
    pub fn images(&self, seed: u64, draws: usize) -> impl Iterator<Item = Image> {
        let mut crashes = self.crashes();
        let mut chance = Chance(seed);
        let mut here = crashes.losses(&mut chance, draws);
        std::iter::from_fn(move || {
            while here.is_empty() {
                if !crashes.advance() {
                    return None;
                }
                here = crashes.losses(&mut chance, draws);
            }
            let loss = here.pop()?;
            Some(Image { point: crashes.point(), loss, disk: crashes.image(loss) })
        })
    }

    /// Walks through all points at which a crash can happen. See [`Crashes`].
    pub fn crashes(&self) -> Crashes {
        let state = self.state();
        Crashes::new(state.origin.clone(), state.calls.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

/// What a disk gives out, bytes.
const BLOCK_BYTES: u64 = 4096;

impl State {
    /// What a removed file had is free at once, though somebody may have it open.
    fn used(&self) -> u64 {
        self.names.values().map(|file| (self.files[*file].len() as u64).next_multiple_of(BLOCK_BYTES)).sum()
    }

    /// Fails where a file of now `from` bytes cannot have `to`.
    fn check_room(&self, from: usize, to: u64) -> io::Result<()> {
        let more = to.next_multiple_of(BLOCK_BYTES).saturating_sub((from as u64).next_multiple_of(BLOCK_BYTES));
        match self.capacity {
            Some(capacity) if more > 0 && self.used() + more > capacity => {
                Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the simulated disk"))
            }
            _ => Ok(()),
        }
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn is_directory(&self, name: &str) -> bool {
        self.names.keys().any(|file| file.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
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
        self.disk.state().locked.remove(&*self.disk.directory);
    }
}

impl Storage for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn path(&self) -> &Path {
        &self.directory
    }

    fn at(&self, directory: &Path) -> SimDisk {
        SimDisk { state: Arc::clone(&self.state), directory: directory.into() }
    }

    fn place(&self) -> String {
        match self.prefix().as_str() {
            "" => "simulated disk".to_owned(),
            directory => directory.to_owned(),
        }
    }

    fn make_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.state();
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }

    fn lock(&self) -> Result<SimLock, LockFailure> {
        if !self.state().locked.insert(self.directory.to_path_buf()) {
            return Err(LockFailure::Held { owner: "another journal".to_owned() });
        }
        Ok(SimLock { disk: self.clone() })
    }

    fn lock_to_read(&self) -> Result<Option<SimLock>, LockFailure> {
        self.lock().map(Some)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let prefix = self.key("");
        let state = self.state();
        let inside = state.names.keys().filter_map(|name| name.strip_prefix(&prefix));
        // Of what is in a directory below, the directory; the first directory has none.
        let names = inside.filter_map(|name| match name.split_once('/') {
            Some((directory, _)) if !prefix.is_empty() => Some(directory.to_owned()),
            Some(_) => None,
            None => Some(name.to_owned()),
        });
        Ok(names.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let name = self.key(name);
        let mut state = self.state();
        if let Ok(file) = state.find(&name) {
            state.files[file].clear();
            state.calls.push(Call::Truncate { file });
            return Ok(SimFile { disk: self.clone(), file });
        }
        // A name takes room, too, though less than a block.
        state.check_room(0, 1)?;
        let file = state.files.len();
        state.files.push(Vec::new());
        state.names.insert(name.clone(), file);
        state.calls.push(Call::Create { name, file });
        Ok(SimFile { disk: self.clone(), file })
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        Ok(SimFile { file: self.state().find(&self.key(name))?, disk: self.clone() })
    }

    fn open_to_read(&self, name: &str) -> io::Result<SimFile> {
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.key(from), self.key(to));
        let mut state = self.state();
        let call = Call::Rename { from: from.clone(), to: to.clone() };
        match state.find(&from) {
            Ok(_) => {}
            Err(_) if state.is_directory(&from) && !state.is_directory(&to) => {}
            Err(error) => return Err(error),
        }
        crash::apply_name(&mut state.names, &call);
        state.calls.push(call);
        Ok(())
    }

    fn link(&self, name: &str, to: &SimDisk) -> io::Result<()> {
        let (from, name) = (self.key(name), to.key(name));
        let mut state = self.state();
        let file = state.find(&from)?;
        if state.names.contains_key(&name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the name is taken"));
        }
        state.names.insert(name.clone(), file);
        state.calls.push(Call::Link { name, file });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let name = self.key(name);
        let mut state = self.state();
        state.find(&name)?;
        state.names.remove(&name);
        state.calls.push(Call::Remove { name });
        Ok(())
    }

    fn remove_directory(&self, name: &str) -> io::Result<()> {
        let name = self.key(name);
        let mut state = self.state();
        if state.is_directory(&name) {
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "files are in it"));
        }
        state.calls.push(Call::RemoveDirectory { name });
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let directory = self.prefix();
        let mut state = self.state();
        state.failing_directory_sync = match state.failing_directory_sync {
            Some(0) => {
                state.failing_directory_sync = None;
                return Err(io::Error::other("injected by the test"));
            }
            more => more.map(|more| more - 1),
        };
        state.calls.push(Call::SyncDirectory { directory });
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
        state.check_room(state.files[self.file].len(), offset + bytes.len() as u64)?;
        write(&mut state.files[self.file], bytes, offset);
        state.calls.push(Call::Write { file: self.file, offset, bytes: bytes.into() });
        Ok(())
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let length = offset + bytes;
        state.check_room(state.files[self.file].len(), length)?;
        lengthen(&mut state.files[self.file], length);
        state.calls.push(Call::Allocate { file: self.file, length });
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.files[self.file].truncate(index(length));
        state.calls.push(Call::Cut { file: self.file, length });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if std::mem::take(&mut state.failing_sync) {
            state.calls.push(Call::FailedSync { file: self.file });
            return Err(io::Error::other("injected by the test"));
        }
        state.calls.push(Call::Sync { file: self.file });
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
