//! A compaction by hand, of a directory that nobody runs.
//!
//! Opens the directory as a start does, which also cuts a torn tail, goes on in a fresh segment, and makes a snapshot of all
//! that is before it, as the running engine would. Invariant: no event is added, so the state stays what it was.

use super::super::compact::compact as make;
use super::super::journal_error;
use super::super::recover::Recovering;
use crate::journal::{Inspection, Journal, JournalError, LOCK_FILE, Options, Position, Storage, StorageFile, is_ours};
use crate::model::Error;

/// How a directory is compacted by hand.
#[derive(Clone, Copy, Debug)]
pub struct CompactOptions {
    /// Bytes of log before the snapshot that stay for the feed, beside what the generation before it needs.
    pub history: u64,
    /// Longest segment of the journal in bytes.
    pub segment_bytes: u64,
}

/// What a compaction by hand has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CompactedDirectory {
    /// Length of the journal's files before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
    /// The new snapshot covers everything before it.
    pub position: u64,
    /// The snapshot's length; 0 if there was nothing new to put into one.
    pub snapshot_bytes: u64,
    /// Bytes that the start's half of it cut from a torn tail; they are kept in files beside.
    pub torn_bytes: u64,
}

/// Makes a snapshot of everything and removes what it replaces.
///
/// # Errors
///
/// `STATE` if the directory is in use, not a journal, of another version, damaged, or cannot be written.
pub fn compact<S: Storage>(storage: S, options: CompactOptions) -> Result<CompactedDirectory, Error> {
    run(storage, options).map_err(|error| journal_error(&error))
}

fn run<S: Storage>(storage: S, options: CompactOptions) -> Result<CompactedDirectory, JournalError> {
    // An opening would make a journal where there is none.
    drop(Inspection::open(storage.clone())?);
    let bytes_before = total_bytes(&storage);
    let journal_options = Options {
        segment_bytes_max: options.segment_bytes,
        segment_bytes_first: Options::default().segment_bytes_first.min(options.segment_bytes),
        ..Options::default()
    };
    let mut recovering = Recovering::<()>::default();
    let (mut journal, recovered) = Journal::open_with(storage.clone(), journal_options, &mut recovering)?;
    drop(recovering);
    let mut position = recovered.snapshot.unwrap_or(Position::ZERO);
    let mut snapshot_bytes = 0;
    if recovered.records > 0 {
        journal.rotate()?;
        if let Some(compaction) = journal.begin_compaction(options.history) {
            let compacted = make(compaction)?;
            (position, snapshot_bytes) = (compacted.position, compacted.snapshot_bytes);
            if let Some(cleanup) = journal.finish_compaction(Some(compacted)) {
                cleanup.run()?;
                journal.finish_cleanup();
            }
        }
    }
    journal.close(0)?;
    let bytes_after = total_bytes(&storage);
    let torn_bytes = recovered.torn_bytes;
    Ok(CompactedDirectory { bytes_before, bytes_after, position: position.get(), snapshot_bytes, torn_bytes })
}

/// Length of the journal's own files, but for the one that says who has it and those that keep room. What cannot be asked counts nothing: the work does not hang on a figure.
fn total_bytes<S: Storage>(storage: &S) -> u64 {
    let names = storage.list().unwrap_or_default();
    let own = names.iter().filter(|name| is_ours(name) && *name != LOCK_FILE);
    own.filter_map(|name| storage.open_to_read(name).ok()?.length().ok()).sum()
}
