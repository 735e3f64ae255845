//! Restoring: a backup becomes a store in another directory, which owns its bytes.
//!
//! Offline. Leaves to the start that follows that all leases end. Invariants: what is damaged is found before there is a
//! store; until the manifest is there, which comes last, the directory says that it is not whole, and only a restore takes
//! it; nothing of the backup is changed, and no file is shared with it. Lengths are bytes.

use std::sync::atomic::AtomicBool;

use super::Position;
use super::backup::{Check, check_room, copy, is_ours, of_backup};
use super::errors::{Failure, JournalError};
use super::format::Manifest;
use super::inspect::{Inspection, ReadOnly};
use super::recovery::{Log, lock, replay, write_manifest};
use super::segments::{MANIFEST_FILE, RESTORING_FILE, segment_number};
use super::storage::{LOCK_FILE, Storage, StorageFile};

/// What a restore came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where the log ends.
    pub position: Position,
    /// Files copied, the manifest aside.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Makes a store in `to`, which must be empty or missing or hold what an interrupted restore left, of the backup in
/// `from`, and checks every byte of it. `progress` is told how many bytes are done, of how many.
///
/// # Errors
///
/// [`JournalError::BackupDamaged`] names the place; [`JournalError::NotClosed`] if `from` is the directory of a store that
/// was killed; [`JournalError::NoJournal`] if `from` is no store, [`JournalError::Taken`]
/// if `to` is not empty, [`JournalError::Locked`] if it is in use; [`JournalError::Io`]. Then `to` is no store.
pub fn restore<S: Storage>(from: &S, to: &S, progress: &mut dyn FnMut(u64, u64)) -> Result<Restored, JournalError> {
    let backup = Inspection::open(from.clone()).map_err(|error| of_backup(error, &from.place()))?;
    let is_backup = backup.manifest.backup_end.is_some();
    let (manifest, files) = contents(&backup)?;
    to.make_directory().map_err(Failure::of("make the directory", &to.place()))?;
    // Twice: before the lock file is made in a directory of somebody else's, and once nobody else can change it.
    leftovers(to)?;
    let _lock = lock(to)?;
    let left = leftovers(to)?;
    let restored = begin(to, &left).and_then(|()| {
        let log = fill(from, to, &manifest, &files, progress)?;
        if !log.is_clean() {
            let (file, offset, damage) = log.place_of_damage();
            return Err(if is_backup {
                JournalError::BackupDamaged { backup: from.place(), file, offset, damage }
            } else {
                JournalError::NotClosed { directory: from.place(), file, offset }
            });
        }
        let bytes = files.iter().map(|(_, length)| length).sum();
        let restored = Restored { position: log.end, files: files.len() as u64, bytes };
        write_manifest(to, &manifest.of_backup(restored.position))?;
        to.remove(RESTORING_FILE).map_err(Failure::of("remove", RESTORING_FILE))?;
        to.sync_directory().map_err(Failure::of("sync", &to.place()))?;
        Ok(restored)
    });
    if restored.is_err() {
        // As far as it goes: what stays is no store, says so, and is taken by the next restore.
        let _ = clear(to);
    }
    restored
}

/// What a store restored from the backup begins with, and the files of that with their lengths.
fn contents<S: Storage>(backup: &Inspection<S>) -> Result<(Manifest, Vec<(String, u64)>), JournalError> {
    let Inspection { storage, manifest, .. } = backup;
    let newest = &manifest.newest;
    let mut names = storage.list().map_err(Failure::of("list", &storage.place()))?;
    names.retain(|name| {
        let segment = segment_number(name).is_some_and(|number| number >= newest.first_segment);
        segment || newest.snapshot.as_ref() == Some(name)
    });
    names.sort();
    let length = |name: String| {
        let length = storage.open(&name).and_then(|file| file.length()).map_err(Failure::of("open", &name))?;
        Ok((name, length))
    };
    let files = names.into_iter().map(length).collect::<Result<Vec<_>, JournalError>>()?;
    // A store that is no backup is as good as one; where it ends is seen once its log has been read.
    Ok((manifest.of_backup(manifest.backup_end.unwrap_or(newest.first_position)), files))
}

/// What is in a directory that a restore may take.
fn leftovers<S: Storage>(to: &S) -> Result<Vec<String>, JournalError> {
    let names = to.list().map_err(Failure::of("list", &to.place()))?;
    let has = |file: &str| names.iter().any(|name| name == file);
    // A file system's root has it from the start.
    let is_systems = |name: &String| name == "lost+found";
    let own = has(RESTORING_FILE) && !has(MANIFEST_FILE) && names.iter().all(|name| is_ours(name) || is_systems(name));
    if own || names.iter().all(|name| name == LOCK_FILE || is_systems(name)) {
        return Ok(names);
    }
    Err(JournalError::Taken {
        place: to.place(),
        hint: "a store is restored into an empty directory, name another one",
    })
}

/// Says, durably, that what is in the directory is not whole, and removes what an earlier try left.
fn begin<S: Storage>(to: &S, left: &[String]) -> Result<(), JournalError> {
    if !left.iter().any(|name| name == RESTORING_FILE) {
        to.create(RESTORING_FILE).and_then(|file| file.sync()).map_err(Failure::of("create", RESTORING_FILE))?;
    }
    to.sync_directory().map_err(Failure::of("sync", &to.place()))?;
    let rest = left.iter().filter(|name| is_ours(name) && ![RESTORING_FILE, LOCK_FILE].contains(&name.as_str()));
    for name in rest {
        to.remove(name).map_err(Failure::of("remove", name))?;
    }
    Ok(())
}

fn clear<S: Storage>(to: &S) -> std::io::Result<()> {
    let names = to.list()?;
    // The last steps may have failed: then it is a store already.
    if names.iter().any(|name| name == MANIFEST_FILE) {
        to.create(RESTORING_FILE)?;
        to.remove(MANIFEST_FILE)?;
        to.sync_directory()?;
    }
    let names = to.list()?;
    for name in names.iter().filter(|name| is_ours(name) && ![RESTORING_FILE, LOCK_FILE].contains(&name.as_str())) {
        to.remove(name)?;
    }
    // What is not whole goes before what says so.
    to.sync_directory()?;
    to.remove(RESTORING_FILE)?;
    to.sync_directory()
}

/// Copies the files and checks the copies: whatever is wrong with one was wrong with the backup's. Answers what was read.
fn fill<S: Storage>(
    from: &S,
    to: &S,
    manifest: &Manifest,
    files: &[(String, u64)],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Log<<ReadOnly<S> as Storage>::File>, JournalError> {
    let bytes: u64 = files.iter().map(|(_, length)| length).sum();
    check_room(to, bytes)?;
    // Each byte is copied, and read again.
    let (mut done, all) = (0, 2 * bytes);
    progress(done, all);
    for (name, length) in files {
        copy(from, to, name, *length, *length, &mut |step| {
            done += step;
            progress(done, all);
            Ok(())
        })?;
    }
    to.sync_directory().map_err(Failure::of("sync", &to.place()))?;
    let stop = AtomicBool::new(false);
    let mut read = |step| {
        done += step;
        progress(done.min(all), all);
    };
    let log = replay(&ReadOnly(to.clone()), manifest, &mut Check { stop: &stop, progress: &mut read });
    let log = log.map_err(|error| of_backup(error, &from.place()))?;
    progress(all, all);
    Ok(log)
}
