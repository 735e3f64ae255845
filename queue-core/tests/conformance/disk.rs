//! A simulated disk that a case can break and hold.
//!
//! Below it is the journal's `SimDisk`; what a crash leaves of it is asked there. Invariant: while nothing is asked of
//! it, it changes nothing.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use queue_core::journal::sim::{Loss, SimDisk, SimFile, SimLock};
use queue_core::journal::{LockFailure, Storage, StorageFile};

/// What the case wants of the disk.
#[derive(Debug, Default)]
struct Wishes {
    fail: AtomicBool,
    syncs: AtomicU64,
    hold: Mutex<bool>,
    released: Condvar,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestDisk {
    below: SimDisk,
    wishes: Arc<Wishes>,
}

/// One of its files.
#[derive(Debug)]
pub(crate) struct TestFile {
    below: SimFile,
    wishes: Arc<Wishes>,
}

impl TestDisk {
    /// The disk as it is after kill -9: all that was written, for the kernel has it.
    pub(crate) fn after_kill(&self) -> Self {
        Self { below: SimDisk::with_files(self.below.files()), wishes: Arc::default() }
    }

    /// The disk as it is after a power cut that took everything not synced.
    pub(crate) fn after_power_cut(&self) -> Self {
        Self { below: self.below.after_power_loss(Loss::Everything), wishes: Arc::default() }
    }

    pub(crate) fn fail_writes(&self) {
        self.wishes.fail.store(true, Ordering::SeqCst);
    }

    pub(crate) fn hold_syncs(&self, hold: bool) {
        *self.wishes.hold.lock().expect("no holder panics") = hold;
        self.wishes.released.notify_all();
    }

    /// Syncs begun.
    pub(crate) fn syncs(&self) -> u64 {
        self.wishes.syncs.load(Ordering::SeqCst)
    }

    fn file(&self, below: SimFile) -> TestFile {
        TestFile { below, wishes: Arc::clone(&self.wishes) }
    }
}

impl Storage for TestDisk {
    type File = TestFile;
    type Lock = SimLock;

    fn place(&self) -> String {
        self.below.place()
    }

    fn make_directory(&self) -> io::Result<()> {
        self.below.make_directory()
    }

    fn lock(&self) -> Result<SimLock, LockFailure> {
        self.below.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.below.list()
    }

    fn create(&self, name: &str) -> io::Result<TestFile> {
        self.below.create(name).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<TestFile> {
        self.below.open(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.below.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.below.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.below.sync_directory()
    }
}

impl StorageFile for TestFile {
    fn length(&self) -> io::Result<u64> {
        self.below.length()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.below.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.wishes.fail.load(Ordering::SeqCst) {
            true => Err(io::Error::other("injected by the test")),
            false => self.below.write_at(bytes, offset),
        }
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.below.allocate(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.wishes.syncs.fetch_add(1, Ordering::SeqCst);
        let held = self.wishes.hold.lock().expect("no holder panics");
        drop(self.wishes.released.wait_while(held, |hold| *hold).expect("no holder panics"));
        self.below.sync()
    }
}
