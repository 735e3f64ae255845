//! The end of recovery: the torn tail is kept beside and cut, the surviving tail written again and synced.
//!
//! Leaves judging to `recovery`: what arrives here is known not to be corruption.
//! Invariants: bytes are removed only after their copy is durable; nothing is served that rests on a page which only the
//! cache held; a crash at any point leaves a log that recovers to the same frames.

use std::sync::Arc;

use super::compaction::is_replaced;
use super::errors::{Failure, JournalError};
use super::format::{Manifest, offset_in_segment};
use super::recovery::{Candidate, Log, Recovered, shared};
use super::scan::Window;
use super::segments::{
    MANIFEST_FILE, Preparation, RESTORING_FILE, SEGMENT_SUFFIX, SET_ASIDE_PREFIX, Segment, TEMPORARY_SUFFIX,
    TORN_PREFIX, segment_bytes,
};
use super::snapshot::SNAPSHOT_PREFIX;
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
    keep_torn(storage, &mut log, recovered)?;
    if let (Some((last, used)), Some((_, first))) = (&mut log.last, log.spans.last()) {
        rewrite_tail(last, *used, *first, log.claim, log.end).map_err(Failure::of("rewrite", &last.name))?;
    }
    let number = log.spans.last().map_or(manifest.newest.first_segment, |(number, _)| number + 1);
    let mut next = None;
    for (candidate, used) in log.rest {
        let bytes = candidate.window.length();
        if candidate.number == number && used == 0 && bytes == segment_bytes(options, number) {
            next = Some(Preparation::found(number, bytes, candidate.window.into_file()));
        } else if candidate.number == number && log.last.is_none() {
            // The only segment: a manifest without any would read as damage, so it is replaced, not removed.
            let fresh = Preparation::<S>::new(number, segment_bytes(options, number)).finish(storage, log.end, 0)?;
            next = Some(Preparation::found(number, fresh.capacity, fresh.file));
        } else {
            storage.remove(&candidate.name).map_err(Failure::of("remove", &candidate.name))?;
        }
    }
    // What this manifest does without may go only once no crash brings the one before it back.
    storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
    remove_leftovers(storage, &manifest)?;
    // Also where nothing was renamed or removed here: the names may rest on an earlier run's cache.
    storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
    Ok(Start {
        manifest,
        shared: shared([log.history, log.spans.clone()].concat(), log.end),
        snapshot_bytes: log.snapshot.map_or(0, |(_, bytes)| bytes),
        current: log.last.map(|(last, _)| Arc::new(segment(last, log.spans.last().expect("it has a span").1))),
        next: next.unwrap_or_else(|| Preparation::new(number, segment_bytes(options, number))),
        chain: log.chain,
        end: log.end,
        lock,
    })
}

fn segment<F: StorageFile>(candidate: Candidate<F>, first: Position) -> Segment<F> {
    Segment {
        number: candidate.number,
        name: candidate.name,
        first,
        capacity: candidate.window.length(),
        file: candidate.window.into_file(),
    }
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
    last.window.forget();
    last.window.file().sync()
}

/// Copies the torn tail into files of its own, and makes them durable before anything is cut.
fn keep_torn<S: Storage>(storage: &S, log: &mut Log<S::File>, recovered: &mut Recovered) -> Result<(), JournalError> {
    let end = log.end;
    let first = log.spans.last().map_or(end, |(_, first)| *first);
    let tail = log.last.iter_mut().map(|(last, used)| (last, offset_in_segment(end, first), *used));
    let rest = log.rest.iter_mut().map(|(candidate, used)| (candidate, 0, *used));
    for (candidate, from, to) in tail.chain(rest).filter(|(_, from, to)| from < to) {
        recovered.torn_bytes += to - from;
        recovered.torn_files.push(keep(storage, candidate, from, to, end)?);
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
    let ours = |name: &str| {
        name.strip_suffix(TEMPORARY_SUFFIX).is_some_and(|name| {
            let prefixes = [TORN_PREFIX, SNAPSHOT_PREFIX, SET_ASIDE_PREFIX];
            name == MANIFEST_FILE
                || name.ends_with(SEGMENT_SUFFIX)
                || prefixes.iter().any(|ours| name.starts_with(ours))
        })
    };
    for name in names.iter().filter(|name| ours(name) || is_replaced(manifest, name) || *name == RESTORING_FILE) {
        storage.remove(name).map_err(Failure::of("remove", name))?;
    }
    Ok(())
}
