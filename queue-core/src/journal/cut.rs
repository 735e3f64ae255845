//! The end of recovery: the torn tail is kept beside and cut, the surviving tail written again and synced.
//!
//! Leaves judging to `recovery`: what arrives here is known not to be corruption.
//! Invariants: bytes are removed only after their copy is durable; nothing is served that rests on a page which only the
//! cache held; a crash at any point leaves a log that recovers to the same frames.

use std::io::ErrorKind;
use std::sync::Arc;

use super::compaction::is_replaced;
use super::errors::{Failure, JournalError, lacks_space};
use super::format::{Manifest, SEGMENT_BYTES_MIN, offset_in_segment};
use super::recovery::{Candidate, Log, Recovered, shared};
use super::scan::Window;
use super::segments::{
    MANIFEST_FILE, Preparation, RESTORING_FILE, SEGMENT_SUFFIX, SET_ASIDE_PREFIX, Segment, TEMPORARY_SUFFIX,
    TORN_PREFIX, segment_bytes,
};
use super::snapshot::SNAPSHOT_PREFIX;
use super::stock::{FoundReserve, RESERVE_FILES};
use super::storage::{Storage, StorageFile, write_zeros};
use super::writer::Start;
use super::{Options, Position};

/// Makes the directory what the writer may go on from.
pub(super) fn settle<S: Storage>(
    storage: &S,
    options: &Options,
    manifest: Manifest,
    mut log: Log<S::File>,
    lock: S::Lock,
    recovered: &mut Recovered,
) -> Result<Start<S>, JournalError> {
    match making_room(storage, &manifest, || keep_torn(storage, &mut log, recovered)) {
        // A start on a full disk comes first; that nothing is kept is told.
        Err(error) if error.is_space() => recovered.torn_files.clear(),
        kept => kept?,
    }
    if let (Some((last, used)), Some((_, first))) = (&mut log.last, log.spans.last()) {
        rewrite_tail(last, *used, *first, log.claim, log.end).map_err(Failure::of("rewrite", &last.name))?;
    }
    let number = log.spans.last().map_or(manifest.newest.first_segment, |(number, _)| number + 1);
    let mut next = None;
    // From behind, each before the next: what is left of them after a crash has no gap, which would be a segment that is lost.
    for (candidate, used) in log.rest.into_iter().rev() {
        let bytes = candidate.window.length();
        let mut fresh = Preparation::<S>::new(number, segment_bytes(options, number));
        // One of another size will do: it was of the reserve, or the options were others.
        let usable = candidate.number == number && used == 0 && bytes >= SEGMENT_BYTES_MIN;
        if usable && is_there(candidate.window.file(), 0, bytes).map_err(Failure::of("allocate", &candidate.name))? {
            next = Some(fresh.found(bytes, candidate.window.into_file()));
        } else if candidate.number == number && log.last.is_none() {
            // The only segment: a manifest without any would read as damage, so it is replaced, not removed.
            let made = fresh.finish(storage, log.end, 0)?;
            next = Some(Preparation::new(number, made.capacity).found(made.capacity, made.file));
        } else {
            storage.remove(&candidate.name).map_err(Failure::of("remove", &candidate.name))?;
            storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
        }
    }
    // What this manifest does without may go only once no crash brings the one before it back.
    storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
    remove_leftovers(storage, &manifest)?;
    // Also where nothing was renamed or removed here: the names may rest on an earlier run's cache.
    storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
    let current = match log.last.zip(log.spans.last()) {
        Some(((last, _), (_, first))) => Some(Arc::new(segment(last, *first, log.end)?)),
        None => None,
    };
    Ok(Start {
        manifest,
        shared: shared([log.history, log.spans.clone()].concat(), log.end),
        snapshot_bytes: log.snapshot.map_or(0, |(_, bytes)| bytes),
        current,
        reserve: if options.reserve { found_reserve(storage)? } else { [const { None }; 3] },
        next: next.unwrap_or_else(|| Preparation::new(number, segment_bytes(options, number))),
        chain: log.chain,
        end: log.end,
        lock,
    })
}

/// The segment to go on in. Where there is no room for what is still empty of it, it ends where the log does.
fn segment<F: StorageFile>(candidate: Candidate<F>, first: Position, end: Position) -> Result<Segment<F>, Failure> {
    let (used, length) = (offset_in_segment(end, first), candidate.window.length());
    let is_there = is_there(candidate.window.file(), used, length).map_err(Failure::of("allocate", &candidate.name))?;
    Ok(Segment {
        number: candidate.number,
        name: candidate.name,
        first,
        capacity: if is_there { length } else { used },
        file: candidate.window.into_file(),
    })
}

/// Makes sure that the zeros from `from` to `to` are really there: a copy of a directory may have holes in their place.
/// `false` where the disk has no room for them.
fn is_there(file: &impl StorageFile, from: u64, to: u64) -> std::io::Result<bool> {
    if from >= to {
        return Ok(true);
    }
    match file.allocate(from, to - from) {
        Err(error) if lacks_space(&error) => Ok(false),
        made => made.map(|()| true),
    }
}

/// What an earlier run kept for a full disk. A file whose room is not there is removed.
fn found_reserve<S: Storage>(storage: &S) -> Result<FoundReserve<S>, JournalError> {
    let mut found = [const { None }; 3];
    for (name, found) in RESERVE_FILES.into_iter().zip(&mut found) {
        let file = match storage.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::of("open", name)(error).into()),
        };
        let bytes = file.length().map_err(Failure::of("read", name))?;
        if bytes >= SEGMENT_BYTES_MIN && is_there(&file, 0, bytes).map_err(Failure::of("allocate", name))? {
            *found = Some((bytes, file));
        } else {
            storage.remove(name).map_err(Failure::of("remove", name))?;
        }
    }
    Ok(found)
}

/// Tries again as long as something can be removed that is not needed, or only kept for a time like this.
fn making_room<S: Storage>(
    storage: &S,
    manifest: &Manifest,
    mut attempt: impl FnMut() -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    loop {
        match attempt() {
            Err(error) if error.is_space() && give_way(storage, manifest)? => {}
            outcome => return outcome,
        }
    }
}

/// Removes what can best be missed. `false` if there is nothing.
fn give_way<S: Storage>(storage: &S, manifest: &Manifest) -> Result<bool, JournalError> {
    let names = storage.list().map_err(Failure::of("list", &storage.place()))?;
    let left_over = names.iter().any(|name| is_left_over(manifest, name));
    if left_over {
        storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
        remove_leftovers(storage, manifest)?;
        return Ok(true);
    }
    let last = RESERVE_FILES.into_iter().rfind(|reserve| names.iter().any(|name| name == reserve));
    let Some(reserve) = last else { return Ok(false) };
    storage.remove(reserve).map_err(Failure::of("remove", reserve))?;
    Ok(true)
}

/// Writes what may rest only on the cache again, zeros over the torn tail, and syncs.
///
/// After a failed sync the kernel calls its pages clean although the disk never had them; only writing them again
/// makes the next sync mean something. What is named as synced needs none of that.
fn rewrite_tail<F: StorageFile>(
    last: &mut Candidate<F>,
    used: u64,
    first: Position,
    claim: Position,
    end: Position,
) -> std::io::Result<()> {
    let offset = |position| offset_in_segment(position, first);
    // Nothing in this segment is named: its header may be in the cache only, too.
    let from = if claim > first { offset(claim.min(end)) } else { 0 };
    last.window.pieces(from, offset(end), |file, piece, at| file.write_at(piece, at))?;
    let torn = used.saturating_sub(offset(end));
    write_zeros(last.window.file(), offset(end), torn)?;
    last.window.file().sync()
}

/// Copies the torn tail into files of its own, and makes them durable before anything is cut.
fn keep_torn<S: Storage>(storage: &S, log: &mut Log<S::File>, recovered: &mut Recovered) -> Result<(), JournalError> {
    let end = log.end;
    let first = log.spans.last().map_or(end, |(_, first)| *first);
    let tail = log.last.iter_mut().map(|(last, used)| (last, offset_in_segment(end, first), *used));
    let rest = log.rest.iter_mut().map(|(candidate, used)| (candidate, 0, *used));
    let mut torn: Vec<_> = tail.chain(rest).filter(|(_, from, to)| from < to).collect();
    recovered.torn_bytes = torn.iter().map(|(_, from, to)| to - from).sum();
    recovered.torn_files.clear();
    for (candidate, from, to) in &mut torn {
        recovered.torn_files.push(keep(storage, candidate, *from, *to, end)?);
    }
    if !recovered.torn_files.is_empty() {
        storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
    }
    Ok(())
}

/// Keeps one file's torn bytes. A recovery that was itself interrupted finds its own copy and makes no second one.
fn keep<S: Storage>(
    storage: &S,
    candidate: &mut Candidate<S::File>,
    from: u64,
    to: u64,
    end: Position,
) -> Result<String, JournalError> {
    let names = storage.list().map_err(Failure::of("list", &storage.place()))?;
    for copy in 1.. {
        let name = format!("{TORN_PREFIX}{:020}-{:08}.{copy}", end.get(), candidate.number);
        if !names.contains(&name) {
            copy_out(storage, &mut candidate.window, from, to, &name)?;
            return Ok(name);
        }
        if is_copy(storage, &mut candidate.window, from, to, &name)? {
            return Ok(name);
        }
    }
    unreachable!("a directory has fewer files than there are numbers")
}

fn copy_out<S: Storage>(
    storage: &S,
    window: &mut Window<S::File>,
    from: u64,
    to: u64,
    name: &str,
) -> Result<(), JournalError> {
    let temporary = format!("{name}{TEMPORARY_SUFFIX}");
    let file = storage.create(&temporary).map_err(Failure::of("create", &temporary))?;
    window
        .pieces(from, to, |_, piece, at| file.write_at(piece, at - from))
        .and_then(|()| file.sync())
        .and_then(|()| storage.rename(&temporary, name))
        .map_err(Failure::of("write", &temporary))?;
    Ok(())
}

fn is_copy<S: Storage>(
    storage: &S,
    window: &mut Window<S::File>,
    from: u64,
    to: u64,
    name: &str,
) -> Result<bool, JournalError> {
    let file = storage.open(name).map_err(Failure::of("open", name))?;
    let mut same = file.length().map_err(Failure::of("read", name))? == to - from;
    let mut kept = Vec::new();
    window
        .pieces(from, to, |_, piece, at| {
            kept.resize(piece.len(), 0);
            let read = file.read_at(&mut kept, at - from)?;
            same &= read == piece.len() && kept == piece;
            Ok(())
        })
        .map_err(Failure::of("read", name))?;
    Ok(same)
}

/// Removes what an interrupted preparation, recovery or compaction left: files under a temporary name, and what the manifest
/// has no use for.
fn remove_leftovers<S: Storage>(storage: &S, manifest: &Manifest) -> Result<(), JournalError> {
    let names = storage.list().map_err(Failure::of("list", &storage.place()))?;
    for name in names.iter().filter(|name| is_left_over(manifest, name)) {
        storage.remove(name).map_err(Failure::of("remove", name))?;
    }
    Ok(())
}

fn is_left_over(manifest: &Manifest, name: &str) -> bool {
    let is_temporary = name.strip_suffix(TEMPORARY_SUFFIX).is_some_and(|name| {
        let prefixes = [TORN_PREFIX, SNAPSHOT_PREFIX, SET_ASIDE_PREFIX];
        name == MANIFEST_FILE
            || name.ends_with(SEGMENT_SUFFIX)
            || RESERVE_FILES.contains(&name)
            || prefixes.iter().any(|ours| name.starts_with(ours))
    });
    is_temporary || is_replaced(manifest, name) || name == RESTORING_FILE
}
