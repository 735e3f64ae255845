//! Homes of the local engines: memory, and log on a disk that can lose, fail and hold.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use queue_core::engine::{Clock, Engine, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::faults::FaultyStorage;
use queue_core::journal::sim::{Loss, SimDisk};
use queue_core::journal::{FsyncPolicy, Storage, restore};
use queue_core::testkit::Home;

/// The wall clock when a case begins: 2026.
const BEGIN_MS: u64 = 1_795_000_000_000;

fn options(clock: &Arc<ManualClock>) -> LocalOptions {
    LocalOptions { clock: Arc::clone(clock) as Arc<dyn Clock>, seed: 7, ..LocalOptions::default() }
}

/// A store in memory, under a clock that the case drives.
pub(crate) struct MemoryHome {
    clock: Arc<ManualClock>,
}

impl MemoryHome {
    pub(crate) fn new() -> Self {
        Self { clock: Arc::new(ManualClock::new(BEGIN_MS)) }
    }
}

#[async_trait]
impl Home for MemoryHome {
    async fn open(&self) -> Arc<dyn Engine> {
        Arc::new(LocalEngine::memory(options(&self.clock)))
    }

    fn advance(&self, ms: u64) -> bool {
        self.clock.advance(ms);
        true
    }

    fn shift_wall(&self, ms: i64) {
        self.clock.set_wall(self.clock.wall_ms().saturating_add_signed(ms));
    }
}

/// A disk that can lose, fail and hold.
type TestDisk = FaultyStorage<SimDisk>;

/// A store on a simulated disk, under a clock that the case drives.
pub(crate) struct LogHome {
    clock: Arc<ManualClock>,
    disk: Mutex<TestDisk>,
    fsync: FsyncPolicy,
    segment_bytes: u64,
    compact_after: u64,
}

impl LogHome {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(BEGIN_MS));
        Self {
            clock,
            disk: Mutex::new(TestDisk::new(SimDisk::new())),
            fsync: FsyncPolicy::Always,
            segment_bytes: 64 << 20,
            compact_after: 1 << 30,
        }
    }

    /// Synced each second; survives kill -9 like the others.
    pub(crate) fn everysec() -> Self {
        Self { fsync: FsyncPolicy::EverySec, ..Self::new() }
    }

    /// Never synced; survives kill -9 like the others.
    pub(crate) fn unsynced() -> Self {
        Self { fsync: FsyncPolicy::No, ..Self::new() }
    }

    /// With the smallest segments there are, so that a case runs through many, and a snapshot with each.
    pub(crate) fn small_segments() -> Self {
        Self { segment_bytes: 64 << 10, compact_after: 0, ..Self::new() }
    }

    fn disk(&self) -> TestDisk {
        self.disk.lock().expect("no holder panics").clone()
    }

    /// The engine goes, and the store is on another disk from now on; whatever still holds the old one harms nobody.
    fn leave(&self, engine: Arc<dyn Engine>, next: impl FnOnce(&SimDisk) -> SimDisk) {
        let old = self.disk();
        *self.disk.lock().expect("no holder panics") = TestDisk::new(next(old.below()));
        old.plan().hold_syncs(false);
        drop(engine);
    }
}

#[async_trait]
impl Home for LogHome {
    async fn open(&self) -> Arc<dyn Engine> {
        let Self { fsync, segment_bytes, compact_after, .. } = *self;
        let options = LocalOptions { fsync, segment_bytes, compact_after, ..options(&self.clock) };
        let (engine, _) = LocalEngine::on(self.disk(), options).expect("the store opens");
        Arc::new(engine)
    }

    fn advance(&self, ms: u64) -> bool {
        self.clock.advance(ms);
        true
    }

    fn shift_wall(&self, ms: i64) {
        self.clock.set_wall(self.clock.wall_ms().saturating_add_signed(ms));
    }

    async fn crash(&self, engine: Arc<dyn Engine>) {
        // All that was written: the kernel has it.
        self.leave(engine, |disk| SimDisk::with_files(disk.files()));
    }

    async fn power_cut(&self, engine: Arc<dyn Engine>) {
        // Nothing but what was synced.
        self.leave(engine, |disk| disk.after_power_loss(Loss::Everything));
    }

    async fn open_backup(&self, name: &str) -> Arc<dyn Engine> {
        let disk = self.disk();
        let restored = disk.at(Path::new(&format!("restored-{name}")));
        restore(&disk.at(&Path::new("data-backups").join(name)), &restored, &mut |_, _| {}).expect("it is whole");
        let (engine, _) = LocalEngine::on(restored, options(&self.clock)).expect("the store opens");
        Arc::new(engine)
    }

    fn fail_writes(&self) {
        self.disk().plan().fail_writes_after(0);
    }

    fn hold_syncs(&self) {
        self.disk().plan().hold_syncs(true);
    }

    fn release_syncs(&self) {
        self.disk().plan().hold_syncs(false);
    }

    fn syncs(&self) -> u64 {
        self.disk().plan().syncs()
    }
}
