//! Storages that make another one slow or unreliable, for tests and the benchmark.
//!
//! They leave the files to the storage below. Invariant: without a plan they change nothing.
//! Delays are durations added to each sync of a file; counts begin at zero.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::storage::{LockFailure, Storage, StorageFile};

/// What a [`FaultyStorage`] counts, and which call it fails.
#[derive(Debug, Default)]
pub struct Plan {
    syncs: AtomicU64,
    writes: AtomicU64,
    allocations: AtomicU64,
    sync_delay_nanos: AtomicU64,
    /// The number of the first call that fails, plus one; 0 is never.
    failing_sync: AtomicU64,
    failing_write: AtomicU64,
    failing_allocation: AtomicU64,
    /// Whether syncs wait before they reach the disk.
    held: Mutex<bool>,
    released: Condvar,
}

impl Plan {
    /// File syncs begun so far.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    /// Writes so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Adds `delay` to each file sync from now on.
    pub fn delay_syncs(&self, delay: Duration) {
        self.sync_delay_nanos.store(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Lets `more` further syncs succeed; all later ones fail (EIO).
    pub fn fail_syncs_after(&self, more: u64) {
        self.failing_sync.store(self.syncs() + more + 1, Ordering::SeqCst);
    }

    /// Lets `more` further writes succeed; all later ones fail (EIO).
    pub fn fail_writes_after(&self, more: u64) {
        self.failing_write.store(self.writes() + more + 1, Ordering::SeqCst);
    }

    /// Lets `more` further allocations succeed; all later ones fail as on a full disk (ENOSPC).
    pub fn fail_allocations_after(&self, more: u64) {
        self.failing_allocation.store(self.allocations.load(Ordering::SeqCst) + more + 1, Ordering::SeqCst);
    }

    /// Holds every sync that begins from now on back, with its thread, until it is told otherwise.
    pub fn hold_syncs(&self, hold: bool) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = hold;
        self.released.notify_all();
    }

    /// Lets everything succeed again.
    pub fn heal(&self) {
        for failing in [&self.failing_sync, &self.failing_write, &self.failing_allocation] {
            failing.store(0, Ordering::SeqCst);
        }
    }

    fn count(counter: &AtomicU64, failing: &AtomicU64, error: io::ErrorKind) -> io::Result<()> {
        let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
        let first_failing = failing.load(Ordering::SeqCst);
        if first_failing != 0 && number >= first_failing {
            return Err(io::Error::new(error, "injected by the test"));
        }
        Ok(())
    }
}

/// A storage that counts, delays and fails calls as its [`Plan`] says.
#[derive(Debug, Clone)]
pub struct FaultyStorage<S> {
    below: S,
    plan: Arc<Plan>,
}

impl<S: Storage> FaultyStorage<S> {
    /// Puts itself above `below`, changing nothing yet.
    pub fn new(below: S) -> FaultyStorage<S> {
        FaultyStorage { below, plan: Arc::default() }
    }

    /// A storage whose file syncs take `delay` longer: it shows a missing group commit where the real disk is too fast to.
    pub fn slow(below: S, delay: Duration) -> FaultyStorage<S> {
        let storage = FaultyStorage::new(below);
        storage.plan.delay_syncs(delay);
        storage
    }

    /// The storage below.
    pub fn below(&self) -> &S {
        &self.below
    }

    /// The counts and the plan, shared by all clones and their files.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }
}

/// A file of a [`FaultyStorage`].
#[derive(Debug)]
pub struct FaultyFile<F> {
    below: F,
    plan: Arc<Plan>,
}

impl<S: Storage> Storage for FaultyStorage<S> {
    type File = FaultyFile<S::File>;
    type Lock = S::Lock;

    fn place(&self) -> String {
        self.below.place()
    }

    fn make_directory(&self) -> io::Result<()> {
        self.below.make_directory()
    }

    fn lock(&self) -> Result<S::Lock, LockFailure> {
        self.below.lock()
    }

    fn lock_to_read(&self) -> Result<Option<S::Lock>, LockFailure> {
        self.below.lock_to_read()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.below.list()
    }

    fn create(&self, name: &str) -> io::Result<FaultyFile<S::File>> {
        Ok(FaultyFile { below: self.below.create(name)?, plan: Arc::clone(&self.plan) })
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile<S::File>> {
        Ok(FaultyFile { below: self.below.open(name)?, plan: Arc::clone(&self.plan) })
    }

    fn open_to_read(&self, name: &str) -> io::Result<FaultyFile<S::File>> {
        Ok(FaultyFile { below: self.below.open_to_read(name)?, plan: Arc::clone(&self.plan) })
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

impl<F: StorageFile> StorageFile for FaultyFile<F> {
    fn length(&self) -> io::Result<u64> {
        self.below.length()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.below.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        Plan::count(&self.plan.writes, &self.plan.failing_write, io::ErrorKind::Other)?;
        self.below.write_at(bytes, offset)
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        Plan::count(&self.plan.allocations, &self.plan.failing_allocation, io::ErrorKind::StorageFull)?;
        self.below.allocate(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let counted = Plan::count(&self.plan.syncs, &self.plan.failing_sync, io::ErrorKind::Other);
        let held = self.plan.held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.plan.released.wait_while(held, |held| *held).unwrap_or_else(PoisonError::into_inner));
        let delay = Duration::from_nanos(self.plan.sync_delay_nanos.load(Ordering::SeqCst));
        if !delay.is_zero() {
            // The delay is what this wrapper is for, not a wait for something else.
            std::thread::sleep(delay);
        }
        counted?;
        self.below.sync()
    }
}
