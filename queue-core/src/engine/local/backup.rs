//! Backups of a log engine while it runs, restoring one, and the first start of what was restored.
//!
//! Leaves files and checksums to the journal. A backup is made in the background and goes on when its caller is gone.
//! Invariants: it has everything that was acknowledged before it was asked for; what was restored is served only once all
//! its leases have ended, durably.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::store::Store;
use super::{Shared, background, closed, journal_error, room};
use crate::engine::clock::{Clock, SystemClock};
use crate::journal::{self, BackedUp, Backup, DirStorage, JournalError, Reach, Storage};
use crate::model::{BackupReport, Error, Limits, RestoreReport, Word};

/// What an engine's backup was refused, or came to.
type Outcome = Result<BackupReport, Error>;

/// Where the backups of the store in `directory` are kept unless somebody says otherwise: beside it, so that files can be
/// shared between the two.
pub(super) fn beside(directory: &Path) -> PathBuf {
    // Such as `.`: only the whole path has a last name.
    let whole = if directory.file_name().is_none() { directory.canonicalize().ok() } else { None };
    let directory = whole.as_deref().unwrap_or(directory);
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push("-backups");
    directory.with_file_name(name)
}

/// Makes a store in `directory`, which must be empty or missing, of the backup in `backup`; see
/// [`journal::restore`]. Its first start ends all leases.
///
/// # Errors
///
/// `STATE`, or `FULL` where there is no room: the message names file, place and what to do. Then there is no store in `directory`.
pub fn restore(
    backup: impl Into<PathBuf>,
    directory: impl Into<PathBuf>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<RestoreReport, Error> {
    let (from, to) = (DirStorage::new(backup), DirStorage::new(directory));
    let clock = SystemClock::default();
    let restored = journal::restore(&from, &to, progress).map_err(|error| not_made(&error))?;
    Ok(RestoreReport {
        backup: from.place(),
        path: to.place(),
        position: restored.position.get(),
        files: restored.files,
        bytes: restored.bytes,
        took_ms: clock.steady_ms(),
    })
}

/// Why there is no backup, or no store of one. Unlike at a start, which nobody asks for twice, room is worth another try.
fn not_made(error: &JournalError) -> Error {
    let Error { word, message } = journal_error(error);
    Error::new(if error.is_space() { Word::Full } else { word }, message)
}

/// The UTC time as a name: `2026-11-21T183336Z`.
fn name_of(wall_ms: u64) -> String {
    let time = i64::try_from(wall_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.unwrap_or_default().strftime("%Y-%m-%dT%H%M%SZ").to_string()
}

impl<S: Storage> Shared<S> {
    /// Makes a backup; see [`crate::engine::Engine::backup`].
    pub(super) async fn backup(self: &Arc<Self>, name: Option<String>) -> Outcome {
        let name = name.unwrap_or_else(|| name_of(self.clock.wall_ms()));
        BackupReport::check_name(&name)?;
        let begun = self.clock.steady_ms();
        let (backup, backups) = self.begin_backup().await?;
        let (tell, told) = oneshot::channel();
        let tell = Arc::new(Mutex::new(Some(tell)));
        let (shared, named) = (Arc::downgrade(self), name.clone());
        let end = move |outcome: Option<Result<BackedUp, JournalError>>| {
            let Some(shared) = shared.upgrade() else { return };
            let outcome = shared.backed_up(named, begun, outcome.unwrap_or(Err(JournalError::Stopped)));
            if let Some(tell) = tell.lock().ok().and_then(|mut tell| tell.take()) {
                // Who asked may be gone; the backup is there all the same.
                let _ = tell.send(outcome);
            }
        };
        background::spawn("backup", move || backup.run(&backups, &name), end);
        told.await.map_err(|_| closed())?
    }

    /// Begins a backup once no compaction runs.
    async fn begin_backup(&self) -> Result<(Backup<S>, S), Error> {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            {
                let mut store = self.lock();
                store.check_open()?;
                let (Some(journal), Some(backups)) = (store.files.tail.journal(), &self.backups) else {
                    let text = "the memory engine keeps nothing on disk, so there is nothing to back up";
                    return Err(Error::new(Word::Unsupported, text));
                };
                if journal.is_backing_up() {
                    return Err(Error::new(Word::State, "a backup is being made; one at a time: wait for its end"));
                }
                if let Some(backup) = journal.begin_backup() {
                    return Ok((backup, backups.clone()));
                }
            }
            moved.await;
        }
    }

    /// Takes back what came of a backup.
    fn backed_up(self: &Arc<Self>, name: String, begun: u64, outcome: Result<BackedUp, JournalError>) -> Outcome {
        if let Some(journal) = self.lock().files.tail.journal() {
            journal.finish_backup();
        }
        // Whoever closes the engine waits for this.
        self.moved.notify_waiters();
        // One may have become due meanwhile.
        self.compact_if_due();
        let BackedUp { place, position, linked_bytes, copied_bytes, left } = outcome.map_err(|error| {
            let error = not_made(&error);
            tracing::warn!("backup {name} was not made: {}", error.message);
            error
        })?;
        let took_ms = self.clock.steady_ms().saturating_sub(begun);
        if !left.is_empty() {
            tracing::warn!("what backups that came to nothing left is in use and stays: {}", left.join(", "));
        }
        let bytes = linked_bytes + copied_bytes;
        tracing::info!("backup {name} has everything before position {position}: {bytes} bytes in {place}");
        let position = position.get();
        Ok(BackupReport { name, path: place, position, bytes, linked_bytes, copied_bytes, took_ms })
    }

    /// The first start of what was restored, before anybody else is there: ends every lease, uncounted, and then forgets
    /// that it was a backup.
    pub(super) fn end_leases(&self) -> Result<(), Error> {
        let mut store = self.lock();
        let leases = store.machine.leases();
        tracing::info!("restored from a backup, or repaired: {} leases end", leases.len());
        let mut leases = &leases[..];
        while !leases.is_empty() {
            let ended = store.guarded(|store| {
                let room = store.room_now(Reach::Second, room::TIMED) / room::TIMED;
                let some = leases.len().min(Limits::BATCH_JOBS).min(usize::try_from(room).unwrap_or(usize::MAX));
                let now = store.now();
                store.machine.void_leases(now, &leases[..some], &mut store.files);
                some
            })?;
            leases = &leases[ended..];
            store.commit_here()?;
            if ended == 0 {
                // Nobody else is there to make the next segment.
                store.files.tail.journal().map_or(Ok(()), |journal| room::make(journal, room::TIMED, Reach::Second))?;
            }
        }
        // The start itself, where there was no lease.
        store.commit_here()?;
        let forgotten = store.files.tail.journal().map_or(Ok(()), |journal| journal.forget_backup());
        forgotten.map_err(|error| journal_error(&error))
    }
}

impl<S: Storage> Store<S> {
    /// Without the preparation of another segment beside it, which the next one could have to wait for.
    fn commit_here(&mut self) -> Result<(), Error> {
        let Some(commit) = self.begin_commit() else { return Ok(()) };
        let committed = commit.run();
        let journal = self.files.tail.journal().expect("it was just committed to");
        let finished = journal.finish_commit(committed).map(drop);
        finished.map_err(|error| self.fail(journal_error(&error).message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
    use crate::journal::FsyncPolicy;
    use crate::journal::sim::{self, Loss, Plan, SimDisk};
    use crate::model::{LeaseOrder, LeaseToken, NewJob};

    /// When these tests' stores began.
    const BEGIN_MS: u64 = 1_795_000_000_000;

    fn order(limit: u32) -> LeaseOrder {
        LeaseOrder { queues: vec!["q".into()], limit, worker: "w".into(), lease_ms: None }
    }

    fn options(clock: &Arc<ManualClock>) -> LocalOptions {
        LocalOptions { clock: Arc::clone(clock) as Arc<dyn Clock>, segment_bytes: 64 << 10, ..LocalOptions::default() }
    }

    /// A disk that holds a restored store, in `new`, in which leases run and have expired; and the newest of their tokens.
    async fn restored(clock: &Arc<ManualClock>) -> (SimDisk, LeaseToken) {
        let disk = SimDisk::new();
        let (engine, _) = LocalEngine::on(disk.clone(), options(clock)).expect("a new store");
        let jobs = (0..30).map(|at| NewJob::new("n", at.to_string())).collect();
        engine.enqueue("q", jobs).await.expect("enqueued");
        engine.lease_now(order(5)).await.expect("leased");
        clock.advance(60_000);
        let leased = engine.lease_now(order(20)).await.expect("leased");
        assert_eq!(leased.len(), 20);
        clock.advance(20_000);
        engine.lease_now(order(4)).await.expect("leased");
        clock.advance(15_000);
        let newest = engine.lease_now(order(1)).await.expect("leased")[0].token;
        assert_eq!(engine.queue("q").await.expect("there").counts.active, 5, "the others have expired, and wait");
        let made = engine.backup(Some("one".into())).await.expect("a backup is made");
        assert_eq!(made.path, "data-backups/one");
        engine.close().await.expect("closed");
        // Without the calls that made it.
        let disk = SimDisk::with_files(disk.files());
        let (from, to) = (disk.at(Path::new("data-backups/one")), disk.at(Path::new("new")));
        journal::restore(&from, &to, &mut |_, _| {}).expect("it is whole");
        (SimDisk::with_files(disk.files()), newest)
    }

    /// Starts the restored store: no lease can be settled any more, and no token returns.
    async fn check_start(disk: &SimDisk, clock: &Arc<ManualClock>, newest: LeaseToken) {
        let (engine, _) = LocalEngine::on(disk.at(Path::new("new")), options(clock)).expect("it opens");
        assert_eq!(engine.shared.lock().machine.leases(), [], "all leases have ended");
        assert_eq!(engine.queue("q").await.expect("there").counts.waiting, 30);
        let leased = engine.lease_now(order(30)).await.expect("leased");
        assert!(leased.len() == 30 && leased.iter().all(|job| job.token > newest && job.attempt == 1));
    }

    const PLAN: Plan =
        Plan { lives: 1, draws: 2, one_in: 1, nested_one_in: [11, 37, 37], images_min: 300, place_min: 10 };

    #[test]
    fn whatever_a_crash_leaves_of_the_first_start_of_a_restored_store_has_no_leases() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it can be made");
        let clock = Arc::new(ManualClock::new(BEGIN_MS));
        let (disk, newest) = runtime.block_on(restored(&clock));
        let start = |disk: &SimDisk| LocalEngine::on(disk.at(Path::new("new")), options(&clock)).map(drop);
        let _in_it = runtime.enter();
        start(&disk).expect("it opens");
        sim::run("first start of a restored store", PLAN, &["start"], &mut |trial, _| {
            trial.crash(&disk, &|_| Some("start"), &mut |crashed| {
                // What is done to look is done to another disk.
                let copy = SimDisk::with_files(crashed.disk.files());
                runtime.block_on(check_start(&copy, &clock, newest));
                start(crashed.disk).map_err(|error| error.to_string())
            })
        });
    }

    /// A disk with a restored store in `new` in which no lease runs.
    async fn restored_at_rest(clock: &Arc<ManualClock>) -> SimDisk {
        let disk = SimDisk::new();
        let (engine, _) = LocalEngine::on(disk.clone(), options(clock)).expect("a new store");
        engine.enqueue("q", vec![NewJob::new("n", "1"); 3]).await.expect("enqueued");
        engine.backup(Some("one".into())).await.expect("a backup is made");
        engine.close().await.expect("closed");
        let disk = SimDisk::with_files(disk.files());
        let (from, to) = (disk.at(Path::new("data-backups/one")), disk.at(Path::new("new")));
        journal::restore(&from, &to, &mut |_, _| {}).expect("it is whole");
        SimDisk::with_files(disk.files())
    }

    async fn first_token(disk: &SimDisk, options: LocalOptions) -> LeaseToken {
        let (engine, _) = LocalEngine::on(disk.at(Path::new("new")), options).expect("it opens");
        engine.lease_now(order(1)).await.expect("leased")[0].token
    }

    #[tokio::test]
    async fn whatever_a_crash_leaves_of_the_first_start_of_a_restored_store_its_epoch_is_ahead() {
        let clock = Arc::new(ManualClock::new(BEGIN_MS));
        let disk = restored_at_rest(&clock).await;
        LocalEngine::on(disk.at(Path::new("new")), options(&clock)).expect("it opens");
        // More starts than the original could have made by then.
        let ahead = LeaseToken::at_epoch((BEGIN_MS / 1_000) as u32 + 100_000);
        let mut images = 0;
        for image in disk.images(7, 2) {
            let token = first_token(&image.disk, options(&clock)).await;
            assert!(token > ahead, "image {images}: {token}");
            images += 1;
        }
        assert!(images >= 20, "only {images} images");
    }

    #[tokio::test]
    async fn no_token_returns_after_a_power_failure_under_any_policy() {
        for fsync in [FsyncPolicy::Always, FsyncPolicy::EverySec, FsyncPolicy::No] {
            let clock = Arc::new(ManualClock::new(BEGIN_MS));
            let disk = restored_at_rest(&clock).await;
            let options = || LocalOptions { fsync, ..options(&clock) };
            // The epoch is ahead of the clock by now: each start takes the next one.
            first_token(&disk, options()).await;
            let disk = SimDisk::with_files(disk.files());
            let given = first_token(&disk, options()).await;
            let after = disk.after_power_loss(Loss::Everything);
            let next = first_token(&after, options()).await;
            assert!(next > given, "{fsync:?}: {next} after {given}");
        }
    }

    #[tokio::test]
    async fn stores_restored_from_one_backup_at_one_instant_hand_out_other_tokens() {
        let clock = Arc::new(ManualClock::new(BEGIN_MS));
        let (disk, _) = restored(&clock).await;
        let mut tokens = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let disk = SimDisk::with_files(disk.files());
            let (engine, _) = LocalEngine::on(disk.at(Path::new("new")), options(&clock)).expect("it opens");
            let leased = engine.lease_now(order(30)).await.expect("leased");
            tokens.extend(leased.iter().map(|job| job.token));
        }
        assert_eq!(tokens.len(), 90);
    }

    #[tokio::test]
    async fn a_backup_on_a_full_disk_is_refused_as_full_and_the_store_goes_on() {
        let disk = SimDisk::new();
        let (engine, _) = LocalEngine::on(disk.clone(), LocalOptions::default()).expect("a new store");
        engine.enqueue("q", vec![NewJob::new("n", "1")]).await.expect("enqueued");
        disk.set_capacity(Some(disk.files().values().map(|file| file.len() as u64).sum()));
        let error = engine.backup(Some("one".into())).await.expect_err("there is no room");
        assert_eq!(error.word, Word::Full, "{error}");
        assert!(error.message.starts_with("failed to find room in data-backups/.backup-one: "), "{error}");
        assert!(error.message.ends_with(" are free; the disk is full: make room"), "{error}");
        assert_eq!(engine.queue("q").await.expect("there").counts.waiting, 1, "the store goes on");
        disk.set_capacity(None);
        engine.backup(Some("one".into())).await.expect("there is room");
    }

    #[test]
    fn backups_are_beside_the_store() {
        for (directory, expected) in
            [("jobs", "jobs-backups"), ("./jobs/", "./jobs-backups"), ("/srv/a/jobs", "/srv/a/jobs-backups")]
        {
            assert_eq!(beside(Path::new(directory)), Path::new(expected));
        }
        let here = std::env::current_dir().and_then(|here| here.canonicalize()).expect("it is there");
        assert_eq!(beside(Path::new(".")), beside(&here));
    }

    #[test]
    fn a_backup_without_a_name_is_called_by_its_time() {
        assert_eq!(name_of(1_795_286_016_789), "2026-11-21T183336Z");
        assert_eq!(BackupReport::check_name(&name_of(u64::MAX)), Ok(()));
    }
}
