//! Opening a directory: make it or replay it, and tell a torn tail from corruption.
//!
//! Leaves reading frames to `scan` and every change to an existing log to `cut`.
//! Invariants: until the whole log has been read and judged nothing in the directory is changed; up to the last position
//! that anything on disk names as synced a bad frame is corruption, after it the first bad frame begins the torn tail.

use std::sync::Arc;

use super::cut;
use super::errors::{Failure, JournalError};
use super::format::{
    Damage, MANIFEST_MAGIC, Manifest, ManifestFault, SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, SegmentHeader,
    offset_in_segment,
};
use super::scan::{self, Walk, WalkError, Window};
use super::segments::{MANIFEST_FILE, Preparation, TEMPORARY_SUFFIX, segment_bytes, segment_name, segment_number};
use super::storage::{LOCK_FILE, LockFailure, Storage, StorageFile};
use super::{Journal, Options, Position, Record};

/// A visitor's reason for not taking a record.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Whether the directory was new.
    pub created: bool,
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
    /// Number and first position of every segment with a header.
    pub(super) spans: Vec<(u32, Position)>,
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
    visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>,
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
    let mut recovered = Recovered {
        created,
        end: log.end,
        frames: log.frames,
        records: log.records,
        last_at: log.last_at,
        clean: log.is_clean(),
        torn_bytes: 0,
        torn_files: Vec::new(),
    };
    let start = cut::settle(&storage, &options, manifest, log, lock, &mut recovered)?;
    let has_frames = start.current.is_some();
    let mut journal = Journal::start(storage, options, start);
    if !recovered.clean && has_frames {
        journal.seal()?;
    }
    Ok((journal, recovered))
}

impl<F> Log<F> {
    /// Whether the last frame is a seal and nothing stands behind it; also a log that never had a frame.
    fn is_clean(&self) -> bool {
        let tail_used = self.last.as_ref().is_some_and(|(_, used)| {
            let first = self.spans.last().expect("the last segment has a span").1;
            // A segment with a header and no frame was being begun.
            first == self.end || *used > offset_in_segment(self.end, first)
        });
        let rest_used = self.rest.iter().any(|(_, used)| *used > 0);
        (self.sealed || self.last.is_none()) && !tail_used && !rest_used
    }
}

fn lock<S: Storage>(storage: &S) -> Result<S::Lock, JournalError> {
    storage.lock().map_err(|failure| match failure {
        LockFailure::Held { owner } => JournalError::Locked { directory: storage.place(), owner },
        LockFailure::Io(error) => Failure::of("lock", LOCK_FILE)(error).into(),
    })
}

/// Looks at what the directory is: a journal (its manifest), new (`None`), or nothing that may be touched.
fn survey<S: Storage>(storage: &S) -> Result<Option<Manifest>, JournalError> {
    let names = storage.list().map_err(Failure::of("list", &storage.place()))?;
    if names.iter().any(|name| name == MANIFEST_FILE) {
        return read_manifest(storage).map(Some);
    }
    let first = segment_name(1);
    let ours =
        [LOCK_FILE.to_owned(), format!("{MANIFEST_FILE}{TEMPORARY_SUFFIX}"), format!("{first}{TEMPORARY_SUFFIX}")];
    for name in names {
        let begun = segment_number(&name).is_some() && (name != first || has_header(storage, &name)?);
        if begun {
            return Err(damaged(storage, MANIFEST_FILE, Damage::FileMissing));
        }
        // A file system's root has a `lost+found`.
        if name != first && !ours.contains(&name) && name != "lost+found" {
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

fn read_manifest<S: Storage>(storage: &S) -> Result<Manifest, JournalError> {
    let file = storage.open(MANIFEST_FILE).map_err(Failure::of("open", MANIFEST_FILE))?;
    let length = file.length().map_err(Failure::of("read", MANIFEST_FILE))?;
    // A manifest is short; a long file of that name is somebody else's.
    let mut bytes = vec![0; usize::try_from(length.min(64 << 10)).expect("bounded")];
    let read = file.read_at(&mut bytes, 0).map_err(Failure::of("read", MANIFEST_FILE))?;
    bytes.truncate(read);
    let directory = storage.place();
    match Manifest::decode(&bytes) {
        Ok(Manifest { snapshot: Some(_), .. }) => Err(JournalError::UnknownVersion { directory, version: 2 }),
        Ok(manifest) => Ok(manifest),
        Err(ManifestFault::Foreign) if bytes.len() >= MANIFEST_MAGIC.len() => {
            Err(JournalError::Foreign { directory, found: format!("a {MANIFEST_FILE} that is not ours") })
        }
        Err(ManifestFault::Version(version)) => Err(JournalError::UnknownVersion { directory, version }),
        Err(ManifestFault::Foreign | ManifestFault::Damaged) => Err(damaged(storage, MANIFEST_FILE, Damage::Manifest)),
    }
}

/// Makes a store: the first segment, then the manifest, whose appearance is the moment the store exists.
fn create<S: Storage>(storage: &S, options: &Options) -> Result<Manifest, JournalError> {
    let manifest =
        Manifest { store_salt: options.store_salt, first_segment: 1, first_position: Position::ZERO, snapshot: None };
    Preparation::<S>::new(1, segment_bytes(options, 1)).finish(storage, Position::ZERO, 0)?;
    let temporary = format!("{MANIFEST_FILE}{TEMPORARY_SUFFIX}");
    let file = storage.create(&temporary).map_err(Failure::of("create", &temporary))?;
    file.write_at(&manifest.encode(), 0).map_err(Failure::of("write", &temporary))?;
    file.sync().map_err(Failure::of("sync", &temporary))?;
    storage.rename(&temporary, MANIFEST_FILE).map_err(Failure::of("rename", &temporary))?;
    storage.sync_directory().map_err(Failure::of("sync the directory of", MANIFEST_FILE))?;
    Ok(manifest)
}

/// Reads the whole log and judges what stands behind its last good frame. Changes nothing.
fn replay<S: Storage>(
    storage: &S,
    manifest: &Manifest,
    visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>,
) -> Result<Log<S::File>, JournalError> {
    let mut log = Log {
        end: manifest.first_position,
        chain: manifest.first_chain(),
        frames: 0,
        records: 0,
        last_at: 0,
        sealed: false,
        claim: manifest.first_position,
        spans: Vec::new(),
        last: None,
        rest: Vec::new(),
        rest_damage: Damage::Missing,
        resumes: false,
        stop: Damage::Missing,
    };
    let mut visitor = |record: Record<'_>| {
        visitor(record).map_err(|source| JournalError::Refused {
            position: record.position,
            kind: record.kind,
            source: source.into(),
        })
    };
    for (number, name) in segments(storage, manifest)? {
        let file = storage.open(&name).map_err(Failure::of("open", &name))?;
        let window = Window::new(file).map_err(Failure::of("read", &name))?;
        let mut candidate = Candidate { number, salt: manifest.segment_salt(number), name, window };
        let head = candidate.window.slice(0, SEGMENT_HEADER_BYTES).map_err(Failure::of("read", &candidate.name))?;
        match SegmentHeader::decode(head, number, candidate.salt) {
            // Once one segment has no header, those behind it are only searched for what they claim.
            Ok(header) if log.rest.is_empty() => log.follow(storage, candidate, &header, &mut visitor)?,
            Ok(header) => {
                log.resumes = true;
                log.claim = log.claim.max(header.first);
                log.rest.push((candidate, 0));
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
    Ok(log)
}

/// The segments' files from the manifest's first on. Behind a gap only prepared ones are allowed, and passed over.
fn segments<S: Storage>(storage: &S, manifest: &Manifest) -> Result<Vec<(u32, String)>, JournalError> {
    let names = storage.list().map_err(Failure::of("list", &storage.place()))?;
    let mut found: Vec<(u32, String)> =
        names.into_iter().filter_map(|name| Some((segment_number(&name)?, name))).collect();
    found.retain(|(number, _)| *number >= manifest.first_segment);
    found.sort();
    let whole = found.iter().zip(manifest.first_segment..).take_while(|((number, _), wanted)| number == wanted).count();
    for (_, name) in &found[whole..] {
        if has_header(storage, name)? {
            let missing = manifest.first_segment + u32::try_from(whole).expect("as many as numbers");
            return Err(damaged(storage, &segment_name(missing), Damage::FileMissing));
        }
    }
    if whole == 0 {
        return Err(damaged(storage, &segment_name(manifest.first_segment), Damage::FileMissing));
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
        let is_first = self.spans.is_empty();
        if header.first != self.end || (!is_first && header.chain != self.chain) {
            if self.stop == Damage::Missing {
                self.stop = Damage::Gap;
            }
            return Err(self.corrupt(storage, header.first));
        }
        let walk = scan::walk(&mut candidate.window, header, visitor).map_err(|error| match error {
            WalkError::Io(source) => Failure::of("read", &candidate.name)(source).into(),
            WalkError::Visitor(error) => error,
        })?;
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
            let remains = scan::search(&mut last.window, from, last.salt, Some(*first));
            let remains = remains.map_err(Failure::of("read", &last.name))?;
            *used = remains.used;
            claim = claim.max(remains.claim);
        }
        for (index, (candidate, used)) in self.rest.iter_mut().enumerate() {
            let first = (index == 0).then_some(self.end);
            let remains = scan::search(&mut candidate.window, 0, candidate.salt, first);
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
        let (file, offset, damage) = self.place_of_damage();
        JournalError::Corrupt { directory: storage.place(), file, offset, position: self.end, synced, damage }
    }

    /// Where the log breaks off: behind its last frame, or in the next segment's header if nothing but zeros stands there
    /// and that segment has content.
    fn place_of_damage(&self) -> (String, u64, Damage) {
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
    JournalError::Corrupt {
        directory: storage.place(),
        file: file.to_owned(),
        offset: 0,
        position: Position::ZERO,
        synced: Position::ZERO,
        damage,
    }
}

/// Shares the segments with the readers to come.
pub(super) fn shared(spans: Vec<(u32, Position)>, end: Position) -> Arc<super::reader::Shared> {
    Arc::new(super::reader::Shared::new(spans, end))
}
