//! Storages that make another one slow or unreliable, for tests and the benchmark.
//!
//! They leave the files to the storage below. Invariant: without a plan they change nothing.
//! Delays are durations added to each sync of a file; counts begin at zero.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::storage::{LockFailure, Storage, StorageFile};

/// What can be asked of a storage or of one of its files, and can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the method of the same name")]
pub enum Call {
    MakeDirectory,
    Lock,
    List,
    Create,
    Open,
    Rename,
    Link,
    Remove,
    RemoveDirectory,
    SyncDirectory,
    Length,
    Read,
    Write,
    Allocate,
    Cut,
    Sync,
}

impl Call {
    /// Every kind of call.
    pub const ALL: [Call; 16] = [
        Call::MakeDirectory,
        Call::Lock,
        Call::List,
        Call::Create,
        Call::Open,
        Call::Rename,
        Call::Link,
        Call::Remove,
        Call::RemoveDirectory,
        Call::SyncDirectory,
        Call::Length,
        Call::Read,
        Call::Write,
        Call::Allocate,
        Call::Cut,
        Call::Sync,
    ];
}

/// How often one kind of call was made, and which of them fail.
#[derive(Debug, Default)]
struct Counter {
    made: AtomicU64,
    /// The numbers of the first and the last call that fail; the first is 1, and 0 is never.
    first_failing: AtomicU64,
    last_failing: AtomicU64,
}

/// What a [`FaultyStorage`] counts, and which calls it fails.
#[derive(Debug, Default)]
pub struct Plan {
    counters: [Counter; Call::ALL.len()],
    /// Whether a write that fails stores the first half of its bytes.
    short_writes: AtomicBool,
    /// Whether a link that fails is made all the same.
    lost_answers: AtomicBool,
    /// Only calls on files whose names begin so fail.
    only: Mutex<String>,
    sync_delay_nanos: AtomicU64,
    /// Whether syncs wait before they reach the disk.
    held: Mutex<bool>,
    released: Condvar,
}

impl Plan {
    /// Calls of this kind begun so far.
    pub fn calls(&self, call: Call) -> u64 {
        self.counters[call as usize].made.load(Ordering::SeqCst)
    }

    /// Lets `more` further calls of this kind succeed; all later ones fail (an allocation as on a full disk, others with EIO).
    pub fn fail_after(&self, call: Call, more: u64) {
        self.fail_between(call, more, u64::MAX);
    }

    /// Lets `more` further calls of this kind succeed; the next one fails, and no other.
    pub fn fail_once_after(&self, call: Call, more: u64) {
        self.fail_between(call, more, self.calls(call) + more + 1);
    }

    fn fail_between(&self, call: Call, more: u64, last: u64) {
        let counter = &self.counters[call as usize];
        counter.last_failing.store(last, Ordering::SeqCst);
        counter.first_failing.store(self.calls(call) + more + 1, Ordering::SeqCst);
    }

    /// Whether writes that fail store the first half of their bytes before they do.
    pub fn write_short(&self, short: bool) {
        self.short_writes.store(short, Ordering::SeqCst);
    }

    /// Whether links that fail are made before they do: only the answer is lost, as with a disk behind a network.
    pub fn lose_answers(&self, lose: bool) {
        self.lost_answers.store(lose, Ordering::SeqCst);
    }

    /// From now on only calls on files whose names begin with `prefix` fail.
    pub fn fail_only(&self, prefix: &str) {
        prefix.clone_into(&mut self.only.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// File syncs begun so far.
    pub fn syncs(&self) -> u64 {
        self.calls(Call::Sync)
    }

    /// Writes so far.
    pub fn writes(&self) -> u64 {
        self.calls(Call::Write)
    }

    /// Adds `delay` to each file sync from now on.
    pub fn delay_syncs(&self, delay: Duration) {
        self.sync_delay_nanos.store(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Lets `more` further syncs succeed; all later ones fail (EIO).
    pub fn fail_syncs_after(&self, more: u64) {
        self.fail_after(Call::Sync, more);
    }

    /// Lets `more` further writes succeed; all later ones fail (EIO).
    pub fn fail_writes_after(&self, more: u64) {
        self.fail_after(Call::Write, more);
    }

    /// Lets `more` further allocations succeed; all later ones fail as on a full disk (ENOSPC).
    pub fn fail_allocations_after(&self, more: u64) {
        self.fail_after(Call::Allocate, more);
    }

    /// Holds every sync that begins from now on back, with its thread, until it is told otherwise.
    pub fn hold_syncs(&self, hold: bool) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = hold;
        self.released.notify_all();
    }

    /// Lets everything succeed again.
    pub fn heal(&self) {
        for counter in &self.counters {
            counter.first_failing.store(0, Ordering::SeqCst);
        }
    }

    fn count(&self, call: Call, name: &str) -> io::Result<()> {
        let counter = &self.counters[call as usize];
        let number = counter.made.fetch_add(1, Ordering::SeqCst) + 1;
        let first = counter.first_failing.load(Ordering::SeqCst);
        let is_meant = || name.starts_with(self.only.lock().unwrap_or_else(PoisonError::into_inner).as_str());
        if first != 0 && number >= first && number <= counter.last_failing.load(Ordering::SeqCst) && is_meant() {
            let kind = if call == Call::Allocate { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
            return Err(io::Error::new(kind, "injected by the test"));
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

    fn file<F>(&self, below: F, name: &str) -> FaultyFile<F> {
        FaultyFile { below, name: name.into(), plan: Arc::clone(&self.plan) }
    }
}

/// A file of a [`FaultyStorage`].
#[derive(Debug)]
pub struct FaultyFile<F> {
    below: F,
    name: Box<str>,
    plan: Arc<Plan>,
}

impl<S: Storage> Storage for FaultyStorage<S> {
    type File = FaultyFile<S::File>;
    type Lock = S::Lock;

    fn path(&self) -> &Path {
        self.below.path()
    }

    fn at(&self, directory: &Path) -> FaultyStorage<S> {
        FaultyStorage { below: self.below.at(directory), plan: Arc::clone(&self.plan) }
    }

    fn place(&self) -> String {
        self.below.place()
    }

    fn make_directory(&self) -> io::Result<()> {
        self.plan.count(Call::MakeDirectory, "")?;
        self.below.make_directory()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.below.free_bytes()
    }

    fn lock(&self) -> Result<S::Lock, LockFailure> {
        self.plan.count(Call::Lock, "").map_err(LockFailure::Io)?;
        self.below.lock()
    }

    fn lock_to_read(&self) -> Result<Option<S::Lock>, LockFailure> {
        self.plan.count(Call::Lock, "").map_err(LockFailure::Io)?;
        self.below.lock_to_read()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.plan.count(Call::List, "")?;
        self.below.list()
    }

    fn create(&self, name: &str) -> io::Result<FaultyFile<S::File>> {
        self.plan.count(Call::Create, name)?;
        Ok(self.file(self.below.create(name)?, name))
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile<S::File>> {
        self.plan.count(Call::Open, name)?;
        Ok(self.file(self.below.open(name)?, name))
    }

    fn open_to_read(&self, name: &str) -> io::Result<FaultyFile<S::File>> {
        self.plan.count(Call::Open, name)?;
        Ok(self.file(self.below.open_to_read(name)?, name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.count(Call::Rename, from)?;
        self.below.rename(from, to)
    }

    fn link(&self, name: &str, to: &FaultyStorage<S>) -> io::Result<()> {
        let counted = self.plan.count(Call::Link, name);
        if counted.is_err() && self.plan.lost_answers.load(Ordering::SeqCst) {
            self.below.link(name, &to.below)?;
        }
        counted?;
        self.below.link(name, &to.below)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.plan.count(Call::Remove, name)?;
        self.below.remove(name)
    }

    fn remove_directory(&self, name: &str) -> io::Result<()> {
        self.plan.count(Call::RemoveDirectory, name)?;
        self.below.remove_directory(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.plan.count(Call::SyncDirectory, "")?;
        self.below.sync_directory()
    }
}

impl<F: StorageFile> StorageFile for FaultyFile<F> {
    fn length(&self) -> io::Result<u64> {
        self.plan.count(Call::Length, &self.name)?;
        self.below.length()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.plan.count(Call::Read, &self.name)?;
        self.below.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let counted = self.plan.count(Call::Write, &self.name);
        if counted.is_err() && self.plan.short_writes.load(Ordering::SeqCst) {
            self.below.write_at(&bytes[..bytes.len() / 2], offset)?;
        }
        counted?;
        self.below.write_at(bytes, offset)
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.plan.count(Call::Allocate, &self.name)?;
        self.below.allocate(offset, bytes)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.plan.count(Call::Cut, &self.name)?;
        self.below.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        let counted = self.plan.count(Call::Sync, &self.name);
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
