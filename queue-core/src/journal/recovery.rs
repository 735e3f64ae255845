//! Opening a directory: make it or replay it, and tell a torn tail from corruption.
//!
//! Leaves reading frames to `scan` and every change to an existing log to `cut`.
//! Invariants: until the whole log has been read and judged nothing in the directory is changed; up to the last position
//! that anything on disk names as synced a bad frame is corruption, after it the first bad frame begins the torn tail.

use std::sync::Arc;

use std::io::ErrorKind;

use super::compaction::open_snapshot;
use super::cut;
use super::errors::{Failure, JournalError};
use super::format::{
    Damage, MANIFEST_MAGIC, Manifest, ManifestFault, SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES, SEGMENT_MAGIC,
    SegmentHeader, offset_in_segment,
};
use super::scan::{self, Span, Walk, Window};
use super::segments::{
    MANIFEST_FILE, Preparation, RESTORING_FILE, TEMPORARY_SUFFIX, segment_bytes, segment_name, segment_number,
};
use super::snapshot::SnapshotHeader;
use super::stock::RESERVE_FILES;
use super::storage::{LOCK_FILE, LockFailure, Storage, StorageFile};
use super::{Journal, Options, Position, Record};

/// A visitor's reason for not taking a record.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// Who takes what an opening reads.
pub trait Visitor {
    /// A part of the snapshot. All of them come, in order, before the first record.
    ///
    /// # Errors
    ///
    /// The reason for not taking it: the opening ends with [`JournalError::Refused`].
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError>;

    /// All parts have come, and every byte of them was checked.
    ///
    /// # Errors
    ///
    /// As [`Visitor::part`].
    fn restored(&mut self, snapshot: &SnapshotHeader) -> Result<(), VisitError>;

    /// The next record.
    ///
    /// # Errors
    ///
    /// As [`Visitor::part`].
    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError>;
}

/// A visitor of journals that have no snapshot.
pub(super) struct RecordsOnly<'a>(pub(super) &'a mut dyn FnMut(Record<'_>) -> Result<(), VisitError>);

impl Visitor for RecordsOnly<'_> {
    fn part(&mut self, _: u16, _: &[u8]) -> Result<(), VisitError> {
        Err("this reader knows journals without a snapshot only".into())
    }

    fn restored(&mut self, _: &SnapshotHeader) -> Result<(), VisitError> {
        Err("this reader knows journals without a snapshot only".into())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        (self.0)(record)
    }
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Whether the directory was new.
    pub created: bool,
    /// Whether it is a backup, or what was restored from one, that starts for the first time: all leases are to end, and
    /// then [`Journal::forget_backup`] is to be called, before anything is served.
    pub restored: bool,
    /// Where the snapshot ends that the log was gone on from, if there is one.
    pub snapshot: Option<Position>,
    /// Where the log ended; the next frame begins at or shortly after it.
    pub end: Position,
    /// Whole frames read, seals included.
    pub frames: u64,
    /// Records handed to the visitor.
    pub records: u64,
    /// `at` of the last record, in milliseconds; 0 if there was none.
    pub last_at: u64,
    /// Whether the last run stopped cleanly (or had been idle): everything was sealed, nothing behind it.
    pub clean: bool,
    /// Length of the torn tail that was cut, bytes. None of it was ever acknowledged under policy `always`.
    pub torn_bytes: u64,
    /// The files beside the journal that keep those bytes.
    pub torn_files: Vec<String>,
}

/// A segment's file while it is judged.
#[derive(Debug)]
pub(super) struct Candidate<F> {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) salt: u64,
    pub(super) window: Window<F>,
}

/// The log as it stands on disk, judged and not yet changed.
#[derive(Debug)]
pub(super) struct Log<F> {
    pub(super) end: Position,
    pub(super) chain: u32,
    pub(super) frames: u64,
    pub(super) records: u64,
    pub(super) last_at: u64,
    /// Whether the last frame is a seal.
    pub(super) sealed: bool,
    /// The last position that is named as synced.
    pub(super) claim: Position,
    /// Segments older than that which stay for readers.
    pub(super) history: Vec<Span>,
    /// Number and first position of every segment with a header, from the one that recovery begins with.
    pub(super) spans: Vec<Span>,
    /// The snapshot's header and length.
    pub(super) snapshot: Option<(SnapshotHeader, u64)>,
    /// The last of these, with the offset after its last byte that is not zero.
    pub(super) last: Option<(Candidate<F>, u64)>,
    /// Segments behind it, from the first without a good header on, likewise.
    pub(super) rest: Vec<(Candidate<F>, u64)>,
    /// What is wrong with the first of their headers.
    rest_damage: Damage,
    /// Whether one of them has a good header: then what is before it was synced.
    resumes: bool,
    /// What stands where the next frame would begin.
    stop: Damage,
}

pub(super) fn open<S: Storage>(
    storage: S,
    options: Options,
    visitor: &mut dyn Visitor,
) -> Result<(Journal<S>, Recovered), JournalError> {
    let place = storage.place();
    open_here(storage, options, visitor).map_err(|error| error.within(&place))
}

fn open_here<S: Storage>(
    storage: S,
    options: Options,
    visitor: &mut dyn Visitor,
) -> Result<(Journal<S>, Recovered), JournalError> {
    storage.make_directory().map_err(Failure::of("make the directory", &storage.place()))?;
    // Twice: before the lock file is made in a directory of somebody else's, and once nobody else can change it.
    survey(&storage)?;
    let lock = lock(&storage)?;
    let (manifest, created) = match survey(&storage)? {
        Some(manifest) => (manifest, false),
        None => (create(&storage, &options)?, true),
    };
    let log = replay(&storage, &manifest, visitor)?;
    let mut recovered = log.recovered();
    recovered.created = created;
    recovered.restored = manifest.backup_end.is_some();
    let start = cut::settle(&storage, &options, manifest, log, lock, &mut recovered)?;
    let has_frames = start.current.is_some();
    let mut journal = Journal::start(storage, options, start);
    if !recovered.clean && has_frames {
        journal.seal()?;
    }
    Ok((journal, recovered))
}

impl<F> Log<F> {
    /// What it comes to, before anything is cut.
    pub(super) fn recovered(&self) -> Recovered {
        Recovered {
            created: false,
            restored: false,
            snapshot: self.snapshot.map(|(snapshot, _)| snapshot.position),
            end: self.end,
            frames: self.frames,
            records: self.records,
            last_at: self.last_at,
            clean: self.is_clean(),
            torn_bytes: 0,
            torn_files: Vec::new(),
        }
    }

    /// Whether the last frame is a seal and nothing stands behind it; also a log that never had a frame.
    pub(super) fn is_clean(&self) -> bool {
        let tail_used = self.last.as_ref().is_some_and(|(_, used)| {
            let first = self.spans.last().expect("the last segment has a span").1;
            // A segment with a header and no frame was being begun.
            first == self.end || *used > offset_in_segment(self.end, first)
        });
        let rest_used = self.rest.iter().any(|(_, used)| *used > 0);
        (self.sealed || self.last.is_none()) && !tail_used && !rest_used
    }
}

pub(super) fn lock<S: Storage>(storage: &S) -> Result<S::Lock, JournalError> {
    storage.lock().map_err(|failure| not_locked(storage, failure))
}

pub(super) fn not_locked<S: Storage>(storage: &S, failure: LockFailure) -> JournalError {
    match failure {
        LockFailure::Held { owner } => JournalError::Locked { directory: storage.place(), owner },
        LockFailure::Io(error) => Failure::of("lock", LOCK_FILE)(error).into(),
    }
}

/// Looks at what the directory is: a journal (its manifest), new (`None`), or nothing that may be touched.
pub(super) fn survey<S: Storage>(storage: &S) -> Result<Option<Manifest>, JournalError> {
    let names = storage.list().map_err(Failure::of("list", &storage.place()))?;
    if names.iter().any(|name| name == MANIFEST_FILE) {
        return read_manifest(storage).map(Some);
    }
    if names.iter().any(|name| name == RESTORING_FILE) {
        return Err(JournalError::HalfRestored { directory: storage.place() });
    }
    let first = segment_name(1);
    let ours =
        [LOCK_FILE.to_owned(), format!("{MANIFEST_FILE}{TEMPORARY_SUFFIX}"), format!("{first}{TEMPORARY_SUFFIX}")];
    // Whatever else lies there, and in which order the file system names it: a segment that was begun had a manifest.
    for name in names.iter().filter(|name| segment_number(name).is_some()) {
        if *name != first || has_header(storage, name)? {
            return Err(damaged(storage, MANIFEST_FILE, Damage::FileMissing));
        }
    }
    for name in names {
        // A file system's root has a `lost+found`.
        let is_ours = name == first || ours.contains(&name) || RESERVE_FILES.contains(&name.as_str());
        if !is_ours && name != "lost+found" {
            return Err(JournalError::Foreign { directory: storage.place(), found: name });
        }
    }
    Ok(None)
}

fn has_header<S: Storage>(storage: &S, name: &str) -> Result<bool, JournalError> {
    let mut magic = [0; SEGMENT_MAGIC.len()];
    let file = storage.open(name).map_err(Failure::of("open", name))?;
    file.read_at(&mut magic, 0).map_err(Failure::of("read", name))?;
    Ok(magic == SEGMENT_MAGIC)
}

pub(super) fn read_manifest<S: Storage>(storage: &S) -> Result<Manifest, JournalError> {
    let file = storage.open(MANIFEST_FILE).map_err(Failure::of("open", MANIFEST_FILE))?;
    let length = file.length().map_err(Failure::of("read", MANIFEST_FILE))?;
    // A manifest is short; a long file of that name is somebody else's.
    let mut bytes = vec![0; usize::try_from(length.min(64 << 10)).expect("bounded")];
    let read = file.read_at(&mut bytes, 0).map_err(Failure::of("read", MANIFEST_FILE))?;
    bytes.truncate(read);
    let directory = storage.place();
    match Manifest::decode(&bytes) {
        Ok(manifest) => Ok(manifest),
        Err(ManifestFault::Foreign) if bytes.len() >= MANIFEST_MAGIC.len() => {
            Err(JournalError::Foreign { directory, found: format!("a {MANIFEST_FILE} that is not ours") })
        }
        Err(ManifestFault::Version(version)) => {
            Err(JournalError::UnknownVersion { directory, file: MANIFEST_FILE.to_owned(), version })
        }
        Err(ManifestFault::Field(field)) => Err(JournalError::UnknownField { directory, field }),
        Err(ManifestFault::Foreign | ManifestFault::Damaged) => Err(damaged(storage, MANIFEST_FILE, Damage::Manifest)),
    }
}

/// Makes a store: the first segment, then the manifest, whose appearance is the moment the store exists.
fn create<S: Storage>(storage: &S, options: &Options) -> Result<Manifest, JournalError> {
    let manifest = Manifest::new(options.store_salt);
    Preparation::<S>::new(1, segment_bytes(options, 1)).finish(storage, Position::ZERO, 0)?;
    write_manifest(storage, &manifest)?;
    Ok(manifest)
}

/// Puts a manifest in force, durably: the old one or this one, whenever a crash comes.
pub(super) fn write_manifest<S: Storage>(storage: &S, manifest: &Manifest) -> Result<(), JournalError> {
    let temporary = format!("{MANIFEST_FILE}{TEMPORARY_SUFFIX}");
    let file = storage.create(&temporary).map_err(Failure::of("create", &temporary))?;
    file.write_at(&manifest.encode(), 0).map_err(Failure::of("write", &temporary))?;
    file.sync().map_err(Failure::of("sync", &temporary))?;
    storage.rename(&temporary, MANIFEST_FILE).map_err(Failure::of("rename", &temporary))?;
    storage.sync_directory().map_err(Failure::of("sync the directory of", MANIFEST_FILE))?;
    Ok(())
}

/// Reads the whole log and judges what stands behind its last good frame. Changes nothing.
pub(super) fn replay<S: Storage>(
    storage: &S,
    manifest: &Manifest,
    visitor: &mut dyn Visitor,
) -> Result<Log<S::File>, JournalError> {
    let snapshot = restore(storage, manifest, visitor)?;
    let begin = manifest.newest.first_position;
    let mut log = Log {
        end: begin,
        chain: snapshot.map_or(manifest.first_chain(), |(snapshot, _)| snapshot.chain),
        frames: 0,
        records: 0,
        last_at: 0,
        sealed: false,
        claim: begin,
        history: history(storage, manifest)?,
        spans: Vec::new(),
        snapshot,
        last: None,
        rest: Vec::new(),
        rest_damage: Damage::Missing,
        resumes: false,
        stop: Damage::Missing,
    };
    let mut visitor = |record: Record<'_>| visitor.record(record).map_err(|source| record.refused(source));
    for (number, name) in segments(storage, manifest)? {
        let file = storage.open(&name).map_err(Failure::of("open", &name))?;
        let window = Window::new(file).map_err(Failure::of("read", &name))?;
        let mut candidate = Candidate { number, salt: manifest.segment_salt(number), name, window };
        let head = candidate.window.slice(0, SEGMENT_HEADER_BYTES).map_err(Failure::of("read", &candidate.name))?;
        let header = SegmentHeader::decode(head, number, candidate.salt);
        // The file had its whole length before its header: what is missing at its end is not torn.
        let length = candidate.window.length();
        if length < header.as_ref().map_or(SEGMENT_BYTES_MIN, |header| header.bytes) {
            return Err(log.corrupt_at(storage, (candidate.name, length, Damage::CutOff), log.claim));
        }
        match header {
            // Once one segment has no header, those behind it are only searched for what they claim.
            Ok(header) if log.rest.is_empty() => log.follow(storage, candidate, &header, &mut visitor)?,
            Ok(header) => {
                log.resumes = true;
                log.claim = log.claim.max(header.first);
                log.rest.push((candidate, 0));
            }
            // A header that is whole begins no torn tail, whoever wrote it.
            Err(Damage::Version(version)) => {
                return Err(JournalError::UnknownVersion { directory: storage.place(), file: candidate.name, version });
            }
            Err(damage) => {
                if log.rest.is_empty() {
                    log.rest_damage = damage;
                }
                log.rest.push((candidate, 0));
            }
        }
    }
    log.judge(storage)?;
    match manifest.backup_end {
        // Its end was synced when its manifest was written.
        Some(end) if log.end < end => Err(log.corrupt(storage, end)),
        _ => Ok(log),
    }
}

/// Hands the snapshot that the manifest names to the visitor.
fn restore<S: Storage>(
    storage: &S,
    manifest: &Manifest,
    visitor: &mut dyn Visitor,
) -> Result<Option<(SnapshotHeader, u64)>, JournalError> {
    let Some(mut snapshot) = open_snapshot(storage, manifest)? else { return Ok(None) };
    while snapshot.next_block(&mut |kind, body| visitor.part(kind, body))? {}
    let header = *snapshot.header();
    visitor.restored(&header).map_err(|source| header.refused(0, source))?;
    Ok(Some((header, snapshot.length())))
}

/// The segments before the one that recovery begins with, as far back as they follow each other.
pub(super) fn history<S: Storage>(storage: &S, manifest: &Manifest) -> Result<Vec<Span>, JournalError> {
    let mut spans = Vec::new();
    for number in (manifest.oldest_segment..manifest.newest.first_segment).rev() {
        let name = segment_name(number);
        let mut head = [0; SEGMENT_HEADER_BYTES];
        match storage.open(&name) {
            Ok(file) => file.read_at(&mut head, 0).map_err(Failure::of("read", &name))?,
            // Nothing but what readers may still want: they are told how far back they can go.
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(Failure::of("open", &name)(error).into()),
        };
        let Ok(header) = SegmentHeader::decode(&head, number, manifest.segment_salt(number)) else { break };
        spans.push((number, header.first));
    }
    spans.reverse();
    Ok(spans)
}

/// The segments' files from the manifest's first on. There is no gap among them, be what stands behind it only prepared:
/// the newest of those in use may be the one that is missing.
fn segments<S: Storage>(storage: &S, manifest: &Manifest) -> Result<Vec<(u32, String)>, JournalError> {
    let names = storage.list().map_err(Failure::of("list", &storage.place()))?;
    let mut found: Vec<(u32, String)> =
        names.into_iter().filter_map(|name| Some((segment_number(&name)?, name))).collect();
    let begin = manifest.newest.first_segment;
    found.retain(|(number, _)| *number >= begin);
    found.sort();
    let whole = found.iter().zip(begin..).take_while(|((number, _), wanted)| number == wanted).count();
    if whole == 0 || whole < found.len() {
        let missing = begin + u32::try_from(whole).expect("as many as numbers");
        return Err(damaged(storage, &segment_name(missing), Damage::FileMissing));
    }
    Ok(found)
}

impl<F: StorageFile> Log<F> {
    /// Goes on into a segment with a good header, which must begin where the log ends so far.
    fn follow<S: Storage<File = F>>(
        &mut self,
        storage: &S,
        mut candidate: Candidate<F>,
        header: &SegmentHeader,
        visitor: &mut dyn FnMut(Record<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        // The header was written after everything before it had been synced: a claim like a frame's.
        if header.first != self.end || header.chain != self.chain {
            if self.stop == Damage::Missing {
                self.stop = Damage::Gap;
            }
            return Err(self.corrupt(storage, header.first));
        }
        let walk = scan::walk(&mut candidate.window, header, visitor);
        let walk = walk.map_err(|error| error.reading(&candidate.name))?;
        self.take(&walk);
        self.spans.push((header.number, header.first));
        self.last = Some((candidate, 0));
        Ok(())
    }

    fn take(&mut self, walk: &Walk) {
        self.end = walk.end;
        self.chain = walk.chain;
        self.frames += walk.frames;
        self.records += walk.records;
        self.last_at = walk.last_at.unwrap_or(self.last_at);
        self.sealed = walk.sealed;
        self.claim = self.claim.max(walk.claim);
        self.stop = walk.stop;
    }

    /// Searches everything behind the end for what it names as synced.
    fn judge<S: Storage<File = F>>(&mut self, storage: &S) -> Result<(), JournalError> {
        let mut claim = self.claim;
        if let (Some((last, used)), Some((_, first))) = (&mut self.last, self.spans.last()) {
            let from = offset_in_segment(self.end, *first);
            let remains = scan::search(&mut last.window, from, last.salt);
            let remains = remains.map_err(Failure::of("read", &last.name))?;
            *used = remains.used;
            claim = claim.max(remains.claim);
        }
        for (candidate, used) in &mut self.rest {
            let remains = scan::search(&mut candidate.window, 0, candidate.salt);
            let remains = remains.map_err(Failure::of("read", &candidate.name))?;
            *used = remains.used;
            claim = claim.max(remains.claim);
        }
        // What is whole and not understood is no torn tail: cutting it would lose what another version stored.
        if self.resumes || self.stop == Damage::UnknownFlag || claim > self.end {
            Err(self.corrupt(storage, claim))
        } else {
            Ok(())
        }
    }

    /// The error for a log that ends although something names a later position as synced.
    fn corrupt<S: Storage>(&self, storage: &S, synced: Position) -> JournalError {
        self.corrupt_at(storage, self.place_of_damage(), synced)
    }

    fn corrupt_at<S: Storage>(
        &self,
        storage: &S,
        (file, offset, damage): (String, u64, Damage),
        synced: Position,
    ) -> JournalError {
        JournalError::Corrupt { directory: storage.place(), file, offset, position: self.end, synced, damage }
    }

    /// Where the log breaks off: behind its last frame, or in the next segment's header if nothing but zeros stands there
    /// and that segment has content.
    pub(super) fn place_of_damage(&self) -> (String, u64, Damage) {
        let behind = self.last.as_ref().zip(self.spans.last()).map(|((last, used), (_, first))| {
            let end = offset_in_segment(self.end, *first);
            (last.name.clone(), end, *used <= end && self.stop == Damage::Missing)
        });
        let next =
            self.rest.first().filter(|(_, used)| *used > 0).map(|(next, _)| (next.name.clone(), 0, self.rest_damage));
        match (behind, next) {
            (Some((.., true)) | None, Some(next)) => next,
            (Some((last, end, _)), _) => (last, end, self.stop),
            (None, None) => (MANIFEST_FILE.to_owned(), 0, self.stop),
        }
    }
}

/// The error for a file that is missing or bad as a whole.
fn damaged<S: Storage>(storage: &S, file: &str, damage: Damage) -> JournalError {
    JournalError::FileDamaged { directory: storage.place(), file: file.to_owned(), damage }
}

/// Shares the segments with the readers to come.
pub(super) fn shared(spans: Vec<Span>, end: Position) -> Arc<super::reader::Shared> {
    Arc::new(super::reader::Shared::new(spans, end))
}
