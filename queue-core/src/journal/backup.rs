//! A backup of a journal that goes on: a directory of its own, which is a valid data directory.
//!
//! It has the newest snapshot, the segments behind it, and a manifest; files that never change again are hard-linked where
//! the system can, all else is copied. Runs on any thread beside the journal; leaves to the caller when, and that leases
//! end in what starts from it. Invariants: no compaction runs meanwhile, so that no file goes away; a file that may still be
//! written is never linked; every byte was checked before the manifest is written; a backup has its name only when it is
//! whole and durable. Lengths are bytes.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::errors::{Failure, JournalError};
use super::format::{Damage, FRAME_HEADER_BYTES, FrameHeader, Manifest, offset_in_segment};
use super::inspect::ReadOnly;
use super::recovery::{self, Visitor, lock, write_manifest};
use super::scan::{self, Span, Window};
use super::segments::{MANIFEST_FILE, RESTORING_FILE, TEMPORARY_SUFFIX, segment_name, segment_number};
use super::snapshot::{SNAPSHOT_PREFIX, SnapshotHeader};
use super::storage::{LOCK_FILE, Storage, StorageFile};
use super::{FsyncPolicy, Journal, Position, Record, VisitError};

/// Copied at once; allocated in steps of this, since more would stall the commits beside it.
const COPY_BYTES: u64 = 1 << 20;
/// Synced in steps, so that no commit's sync has to wait for gigabytes at once.
const SYNC_BYTES: u64 = 8 << 20;
/// Before the name of a backup that is being made: whatever has such a name in a directory of backups is removed by the
/// next one, so it must be one that nobody gives to anything else.
const UNFINISHED_PREFIX: &str = ".backup-";

/// A backup to be made. Dropping it gives it up.
#[derive(Debug)]
pub struct Backup<S: Storage> {
    storage: S,
    manifest: Manifest,
    /// The segments behind the snapshot, up to the one that holds the end.
    spans: Vec<Span>,
    /// Everything before it is in the backup.
    end: Position,
    /// What was synced when the backup began.
    synced: Position,
    policy: FsyncPolicy,
    /// Raised when the journal is closed or dropped.
    stop: Arc<AtomicBool>,
    /// The directory stays this owner's until the last file is read.
    _lock: Arc<S::Lock>,
}

/// A file of the store that a backup is made of.
#[derive(Debug)]
struct Source {
    name: String,
    length: u64,
    /// What a copy takes of it.
    bytes: u64,
    /// It never changes again, so that both can have the one file.
    is_settled: bool,
}

/// What a backup came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// The backup's directory.
    pub place: String,
    /// Everything before it is in the backup.
    pub position: Position,
    /// Bytes of files that the store shares with it.
    pub linked_bytes: u64,
    /// Bytes of files of its own.
    pub copied_bytes: u64,
    /// Directories of backups that came to nothing, which could not be removed: somebody uses them.
    pub left: Vec<String>,
}

impl<S: Storage> Journal<S> {
    /// Hands out the making of a backup of everything that may leave by now; appending does not wait for it. Until
    /// [`Journal::finish_backup`] no compaction begins.
    ///
    /// `None` while a compaction or its removal, or another backup, runs, if the journal has failed, and before its first
    /// commit.
    pub fn begin_backup(&mut self) -> Option<Backup<S>> {
        if self.failed.is_some() || self.compacting.is_some() || self.backing_up.is_some() {
            return None;
        }
        let end = self.frontier();
        let mut spans = self.shared.segments();
        spans.retain(|(number, first)| *number >= self.manifest.newest.first_segment && *first <= end);
        if spans.is_empty() {
            return None;
        }
        Some(Backup {
            storage: self.storage.clone(),
            manifest: self.manifest.clone(),
            spans,
            end,
            synced: self.synced(),
            policy: self.options.policy,
            stop: Arc::clone(self.backing_up.insert(Arc::default())),
            _lock: Arc::clone(&self.lock),
        })
    }

    /// Whether a backup is being made.
    pub fn is_backing_up(&self) -> bool {
        self.backing_up.is_some()
    }

    /// The end of a backup, whatever came of it.
    pub fn finish_backup(&mut self) {
        self.backing_up = None;
    }

    /// For a store that [was restored](super::Recovered::restored): makes what was committed durable, and seals it where
    /// there is room for a seal, and then this a store like any other.
    ///
    /// # Errors
    ///
    /// [`JournalError::OutcomeUnknown`] and [`JournalError::Io`]: the next start finds it restored, still or not.
    pub fn forget_backup(&mut self) -> Result<(), JournalError> {
        if self.has_seal_room() {
            self.seal()?;
        } else {
            self.sync_here()?;
        }
        let manifest = Manifest { backup_end: None, ..self.manifest.clone() };
        write_manifest(&self.storage, &manifest)?;
        self.manifest = manifest;
        Ok(())
    }
}

impl<S: Storage> Backup<S> {
    /// Makes the backup: a directory of this name in `backups`, which is made if it is missing. Removes what earlier
    /// backups that did not come to their end left there.
    ///
    /// # Errors
    ///
    /// [`JournalError::Taken`] for a name that is there, [`JournalError::Locked`] while another store makes a backup there,
    /// [`JournalError::Corrupt`] and [`JournalError::SnapshotDamaged`] for a store whose files are not what was written,
    /// [`JournalError::Io`], [`JournalError::Stopped`]. Then there is no such backup.
    pub fn run(self, backups: &S, name: &str) -> Result<BackedUp, JournalError> {
        backups.make_directory().map_err(Failure::of("make the directory", &backups.place()))?;
        // Held while it is made: what another one is making looks like what one left that was interrupted.
        let _lock = lock(backups)?;
        let there = backups.list().map_err(Failure::of("list", &backups.place()))?;
        if there.iter().any(|other| other == name) {
            let place = backups.at(&backups.path().join(name)).place();
            return Err(JournalError::Taken { place, hint: "give the backup another name" });
        }
        let temporary = format!("{UNFINISHED_PREFIX}{name}");
        let mut left = Vec::new();
        for other in there.into_iter().filter(|name| name.starts_with(UNFINISHED_PREFIX)) {
            match discard(backups, &other) {
                // Somebody runs it, or keeps something in it: that is in no other backup's way.
                Err(_) if other != temporary => left.push(other),
                discarded => discarded?,
            }
        }
        // What is found there was linked, or copied a moment ago: what is wrong with it is wrong with the store.
        let filled = self.fill(&backups.at(&backups.path().join(&temporary)));
        let filled = filled.map_err(|error| error.of_directory(&self.storage.place()));
        let made = filled.and_then(|(linked_bytes, copied_bytes)| {
            put_in_place(backups, &temporary, name)?;
            let place = backups.at(&backups.path().join(name)).place();
            Ok(BackedUp { place, position: self.end, linked_bytes, copied_bytes, left })
        });
        if made.is_err() {
            // It may hold the disk's last room. What cannot be removed now is removed by the next backup.
            let _ = discard(backups, &temporary);
        }
        made
    }

    /// Puts everything into the backup's directory, the manifest last. Answers what was linked and what was copied, bytes.
    fn fill(&self, target: &S) -> Result<(u64, u64), JournalError> {
        target.make_directory().map_err(Failure::of("make the directory", &target.place()))?;
        let bytes = self.fill_files(target)?;
        let manifest = self.manifest.of_backup(self.end.plus(FRAME_HEADER_BYTES as u64));
        let mut check = Check { stop: &self.stop, progress: &mut |_| {} };
        let log = recovery::replay(&ReadOnly(target.clone()), &manifest, &mut check);
        // What was refused for the stop's sake is no damage.
        go_on(&self.stop)?;
        let log = log?;
        if !log.is_clean() {
            let (file, offset, damage) = log.place_of_damage();
            let (directory, position, synced) = (target.place(), log.end, self.end);
            return Err(JournalError::Corrupt { directory, file, offset, position, synced, damage });
        }
        write_manifest(target, &manifest)?;
        Ok(bytes)
    }

    /// Links what the store shares, and copies the rest, once there is room for it. Returns the bytes of either.
    fn fill_files(&self, target: &S) -> Result<(u64, u64), JournalError> {
        let files = self.files()?;
        let mut links = true;
        check_room(target, files.iter().filter(|file| !file.is_settled).map(|file| file.length).sum())?;
        let (mut linked, mut copied) = (0, 0);
        for (at, file) in files.iter().enumerate() {
            if links && file.is_settled {
                links = self.link(target, &file.name)?;
                if links {
                    linked += file.length;
                    continue;
                }
                // What cannot be linked here can be nowhere.
                check_room(target, files[at..].iter().map(|file| file.length).sum())?;
            }
            copied += match self.spans.last() {
                Some((number, first)) if at + 1 == files.len() => self.copy_last(target, *number, *first)?,
                _ => self.copy(target, &file.name, file.bytes, file.length)?.0,
            };
        }
        Ok((linked, copied))
    }

    /// What the backup is made of; the segment that the end is in comes last.
    fn files(&self) -> Result<Vec<Source>, JournalError> {
        let mut files = Vec::new();
        if let Some(snapshot) = &self.manifest.newest.snapshot {
            let length = self.length(snapshot)?;
            files.push(Source { name: snapshot.clone(), length, bytes: length, is_settled: true });
        }
        for (at, (number, first)) in self.spans.iter().enumerate() {
            let name = segment_name(*number);
            let behind = self.spans.get(at + 1).map_or(self.end, |(_, behind)| *behind);
            // After a power failure the log may end in a segment whose successor was not synced, and is written there.
            let is_settled = at + 1 < self.spans.len() && behind < self.synced;
            let length = self.length(&name)?;
            // A copy is as long as its header says that it is.
            let bytes = if is_settled { length } else { offset_in_segment(behind, *first) };
            files.push(Source { name, length, bytes, is_settled });
        }
        Ok(files)
    }

    /// Gives a file its name in the backup, too; whether that is possible.
    fn link(&self, target: &S, name: &str) -> Result<bool, JournalError> {
        if self.storage.link(name, target).is_ok() {
            return Ok(true);
        }
        // Another file system, or one that cannot. What else may be wrong, copying says as well. But where the answer was
        // lost and not the call, the name is there and leads to the store's own file, which a copy would empty.
        match target.remove(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::of("remove", name)(error).into()),
            _ => Ok(false),
        }
    }

    fn length(&self, name: &str) -> Result<u64, JournalError> {
        let length = self.storage.open_to_read(name).and_then(|file| file.length());
        Ok(length.map_err(Failure::of("open", name))?)
    }

    fn copy(&self, target: &S, name: &str, bytes: u64, length: u64) -> Result<(u64, S::File), JournalError> {
        copy(&self.storage, target, name, bytes, length, &mut |_| go_on(&self.stop))
    }

    /// Copies the segment that the end is in, and closes it with a seal: damage to its end will not look like a torn tail.
    fn copy_last(&self, target: &S, number: u32, first: Position) -> Result<u64, JournalError> {
        let name = segment_name(number);
        let length = self.length(&name)?;
        let (end, salt) = (offset_in_segment(self.end, first), self.manifest.segment_salt(number));
        let seal = FrameHeader::seal(self.policy, salt, self.end);
        let mut frame = [vec![0; FRAME_HEADER_BYTES], seal.echo(end)].concat();
        let length = length.max(end + frame.len() as u64);
        let file = self.copy(target, &name, end, length)?.1;
        let chain = self.chain_at_end(target, number, first)?;
        let payload_bytes = u32::try_from(frame.len() - FRAME_HEADER_BYTES).expect("an echo is short");
        FrameHeader { payload_bytes, ..seal }.encode(chain, &mut frame);
        file.write_at(&frame, end).map_err(Failure::of("write", &name))?;
        file.sync().map_err(Failure::of("sync", &name))?;
        Ok(length)
    }

    /// The chained checksum of the copy's last frame.
    fn chain_at_end(&self, target: &S, number: u32, first: Position) -> Result<u32, JournalError> {
        let (mut window, header) = scan::open_segment(target, &self.manifest, (number, first))?;
        let walk = scan::walk(&mut window, &header, &mut |_| go_on(&self.stop));
        let walk = walk.map_err(|error| error.reading(&segment_name(number)))?;
        if walk.end == self.end {
            return Ok(walk.chain);
        }
        Err(JournalError::Corrupt {
            directory: self.storage.place(),
            file: segment_name(number),
            offset: offset_in_segment(walk.end, first),
            position: walk.end,
            synced: self.end,
            damage: walk.stop,
        })
    }
}

fn go_on(stop: &AtomicBool) -> Result<(), JournalError> {
    if stop.load(Ordering::Relaxed) { Err(JournalError::Stopped) } else { Ok(()) }
}

/// Reads a store for its checksums alone.
pub(super) struct Check<'a> {
    pub(super) stop: &'a AtomicBool,
    /// Told how many more bytes were read.
    pub(super) progress: &'a mut dyn FnMut(u64),
}

impl Check<'_> {
    fn passed(&mut self, bytes: usize) -> Result<(), VisitError> {
        (self.progress)(bytes as u64);
        Ok(go_on(self.stop)?)
    }
}

impl Visitor for Check<'_> {
    fn part(&mut self, _: u16, body: &[u8]) -> Result<(), VisitError> {
        self.passed(body.len())
    }

    fn restored(&mut self, _: &SnapshotHeader) -> Result<(), VisitError> {
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        self.passed(record.body.len())
    }
}

/// Refuses to begin what the disk has no room for, so that nobody else finds it full meanwhile.
pub(super) fn check_room<S: Storage>(to: &S, bytes: u64) -> Result<(), JournalError> {
    let free = to.free_bytes().map_err(Failure::of("look at", &to.place()))?;
    if bytes <= free {
        return Ok(());
    }
    let lack = Error::new(ErrorKind::StorageFull, format!("{bytes} bytes are needed and {free} are free"));
    Err(Failure::of("find room in", &to.place())(lack).into())
}

/// Copies the first `bytes` bytes of a file, which becomes `length` long and durable. Returns that and the copy. Zeros are
/// allocated and not written.
pub(super) fn copy<F: Storage, T: Storage>(
    from: &F,
    to: &T,
    name: &str,
    bytes: u64,
    length: u64,
    step: &mut dyn FnMut(u64) -> Result<(), JournalError>,
) -> Result<(u64, T::File), JournalError> {
    let (source_name, target_name) = (format!("{}/{name}", from.place()), format!("{}/{name}", to.place()));
    let source = from.open_to_read(name).map_err(Failure::of("open", &source_name))?;
    let mut window = Window::new(source).map_err(Failure::of("read", &source_name))?;
    window.bound(bytes);
    let file = to.create(name).map_err(Failure::of("create", &target_name))?;
    let mut offset = 0;
    while offset < length {
        let wanted = COPY_BYTES.min(length - offset);
        file.allocate(offset, wanted).map_err(Failure::of("allocate", &target_name))?;
        let piece = window.slice(offset, usize::try_from(wanted).expect("a piece is small"));
        let piece = piece.map_err(Failure::of("read", &source_name))?;
        if piece.iter().any(|byte| *byte != 0) {
            file.write_at(piece, offset).map_err(Failure::of("write", &target_name))?;
        }
        offset += wanted;
        if offset % SYNC_BYTES == 0 {
            file.sync().map_err(Failure::of("sync", &target_name))?;
        }
        step(wanted)?;
    }
    file.sync().map_err(Failure::of("sync", &target_name))?;
    Ok((length, file))
}

/// Whether a file of this name is one that a backup or a restore makes.
pub(crate) fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name);
    [MANIFEST_FILE, LOCK_FILE, RESTORING_FILE].contains(&name)
        || segment_number(name).is_some()
        || name.starts_with(SNAPSHOT_PREFIX)
}

/// Gives a backup its name, durably.
fn put_in_place<S: Storage>(backups: &S, temporary: &str, name: &str) -> Result<(), JournalError> {
    backups.rename(temporary, name).map_err(Failure::of("rename", temporary))?;
    backups.sync_directory().map_err(|error| {
        // What is said not to have been made has no name. A crash may still bring that back: then it is whole.
        let _ = backups.rename(name, temporary);
        Failure::of("sync", &backups.place())(error).into()
    })
}

/// Removes a directory that was to become a backup. Files that no backup has, and so the directory, are left, and whatever
/// is no directory, or in use.
fn discard<S: Storage>(backups: &S, name: &str) -> Result<(), JournalError> {
    let directory = backups.at(&backups.path().join(name));
    let list = || directory.list().map_err(Failure::of("list", &directory.place()));
    match list() {
        Ok(_) => {}
        Err(failure) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&failure.source.kind()) => {
            return Ok(());
        }
        Err(failure) => return Err(failure.into()),
    }
    let held = lock(&directory)?;
    let files = list()?;
    for file in files.iter().filter(|file| is_ours(file) && *file != LOCK_FILE) {
        directory.remove(file).map_err(Failure::of("remove", file))?;
    }
    // A network file system keeps a removed file, under another name, for as long as somebody has it open.
    drop(held);
    if files.iter().any(|file| file == LOCK_FILE) {
        directory.remove(LOCK_FILE).map_err(Failure::of("remove", LOCK_FILE))?;
    }
    backups.remove_directory(name).map_err(Failure::of("remove", name))?;
    Ok(())
}

/// The damage that an error is about, told of the backup that the file came from.
pub(super) fn of_backup(error: JournalError, backup: &str) -> JournalError {
    let told = |file: String, offset: u64, damage: Damage| JournalError::BackupDamaged {
        backup: backup.to_owned(),
        file,
        offset,
        damage,
    };
    match error {
        JournalError::Corrupt { file, offset, damage, .. } => told(file, offset, damage),
        JournalError::SnapshotDamaged { file, offset, damage, .. } => told(file, offset, damage),
        JournalError::FileDamaged { file, damage, .. } => told(file, 0, damage),
        other => other,
    }
}
