//! Repair: a new generation beside a damaged journal, and then the manifest that names it.
//!
//! Hands out what a state can be made of (a snapshot, the records behind it up to a place) and what is lost, and takes the
//! snapshot of the state that was made of it; what they mean is the caller's. Leaves finding the damage to `verify`.
//! Invariants: not a byte of the log is written again; whatever the new manifest does without was copied beside, durably,
//! before that manifest is in force; positions of the new log are beyond all that the old one used, so that no cursor and
//! no blob of the one means something in the other; a crash at any point leaves the old state or the new one.

use std::ops::ControlFlow;

use super::compaction::is_replaced;
use super::errors::{Failure, JournalError};
use super::format::{FrameHeader, Generation, Manifest, RECORD_HEAD_BYTES, aligned, offset_in_segment};
use super::frames::{Bad, Frames, Step};
use super::inspect::{Inspection, ReadOnly};
use super::recovery::write_manifest;
use super::scan::{self, Span, WalkError, Window};
use super::segments::{MANIFEST_FILE, Preparation, SET_ASIDE_PREFIX, TEMPORARY_SUFFIX, segment_name, segment_number};
use super::snapshot::{SnapshotFile, SnapshotHeader, SnapshotReader, SnapshotWriter};
use super::storage::{Storage, StorageFile};
use super::verify::Checked;
use super::{Position, Record, VisitError};

/// Length of the new log's first segment; the start that follows makes one of the length that it wants.
const SEGMENT_BYTES: u64 = 4 << 10;

/// Where a state can be folded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The snapshot that a start begins with.
    Newest,
    /// The one before.
    Before,
    /// The begin of the log, where that is still kept.
    Begin,
}

/// What a state is made of: a base, and the whole frames behind it.
#[derive(Debug)]
pub struct Mending<'a, S: Storage> {
    inspection: &'a Inspection<S>,
    base: Generation,
    /// The segments to read, each with its first position.
    spans: Vec<Span>,
    /// Up to where; past bad frames to the end if nobody says.
    until: Option<Position>,
    /// Where a new log would begin.
    beyond: Position,
}

/// A part of the log without a whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Where it begins.
    pub begin: Position,
    /// Where it ends.
    pub end: Position,
    /// Records in it, as the headers of bad frames say.
    pub records: u64,
    /// The bytes in it of which no header says how many records they were.
    pub untold_bytes: u64,
}

impl Hole {
    /// Between two places, if there is anything; `told`: the bytes that are those of `records`.
    fn between(begin: Position, end: Position, records: u64, told: u64) -> Option<Hole> {
        let bytes = end.get().checked_sub(begin.get()).filter(|bytes| *bytes > 0)?;
        Some(Hole { begin, end, records, untold_bytes: bytes.saturating_sub(told) })
    }
}

/// What a repair has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// Where the new log begins, or the position of the snapshot that was rebuilt.
    pub position: Position,
    /// The files that keep what was there.
    pub set_aside: Vec<String>,
}

impl<S: Storage> Inspection<S> {
    /// What a state as of `until` can be made of, from that base on; `None` if the base is not kept.
    pub fn mend(&self, checked: &Checked, base: Base, until: Position) -> Option<Mending<'_, S>> {
        self.mend_up_to(checked, base, Some(until))
    }

    /// As [`Inspection::mend`], of everything that is whole, also behind bad places.
    pub fn mend_past(&self, checked: &Checked, base: Base) -> Option<Mending<'_, S>> {
        self.mend_up_to(checked, base, None)
    }

    fn mend_up_to(&self, checked: &Checked, base: Base, until: Option<Position>) -> Option<Mending<'_, S>> {
        let begin = Generation { snapshot: None, first_segment: 1, first_position: Position::ZERO };
        let base = match base {
            Base::Newest => self.manifest.newest.clone(),
            Base::Before => self.manifest.before.clone()?,
            Base::Begin if checked.spans.first() == Some(&(1, Position::ZERO)) => begin,
            Base::Begin => return None,
        };
        let mut spans = checked.spans.clone();
        spans.retain(|(number, _)| *number >= base.first_segment);
        let beyond = Position::new(aligned(usize::try_from(checked.beyond.get()).ok()?) as u64);
        Some(Mending { inspection: self, base, spans, until, beyond })
    }

    /// The name of the newest snapshot, if there is one.
    pub fn newest_snapshot(&self) -> Option<&str> {
        self.manifest.newest.snapshot.as_deref()
    }

    /// What the newest snapshot says of itself, where that can be read.
    pub fn newest_header(&self) -> Option<SnapshotHeader> {
        let name = self.newest_snapshot()?;
        let reader = SnapshotReader::open(&self.storage, name, self.manifest.store_salt, self.begin());
        Some(*reader.ok()?.header())
    }

    /// The snapshot that ends at this position.
    pub fn snapshot_at(&self, position: Position) -> Option<&str> {
        let mut generations = self.generations().filter(|generation| generation.first_position == position);
        generations.find_map(|generation| generation.snapshot.as_deref())
    }

    /// The begin of the whole frame that holds this position.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn frame_of(&self, checked: &Checked, position: Position) -> Result<Option<Position>, JournalError> {
        let Some(mending) = self.mend(checked, Base::Newest, position) else { return Ok(None) };
        let mut found = None;
        mending.visit(&mut |_, part| match part {
            Part::Kept(header) => {
                found = Some(header.first);
                Ok(ControlFlow::Continue(()))
            }
            Part::Lost(_) | Part::Bad(_) => Ok(ControlFlow::Break(())),
        })?;
        Ok(found)
    }

    /// Lets go what a start does without: the generation before, and the history. Copies it beside first.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]: then the old manifest is in force, or the new one, and both are right.
    pub fn forget_history(&self) -> Result<Mended, JournalError> {
        let newest = self.manifest.newest.clone();
        let position = newest.first_position;
        // A backup stays one, whatever its log has lost.
        let backup_end = self.manifest.backup_end.map(|end| end.min(newest.first_position));
        let manifest = Manifest {
            oldest_segment: newest.first_segment,
            newest,
            before: None,
            backup_end,
            ..self.manifest.clone()
        };
        self.put_in_force(&manifest, position)
    }

    /// Sets aside what the manifest does without, puts it in force, and only then removes that under its old names.
    fn put_in_force(&self, manifest: &Manifest, position: Position) -> Result<Mended, JournalError> {
        let storage = &self.storage.0;
        let mut replaced = self.names()?;
        replaced.retain(|name| is_replaced(manifest, name));
        let mut set_aside = Vec::new();
        for name in replaced.iter().map(String::as_str).chain([MANIFEST_FILE]) {
            set_aside.extend(self.set_aside(name, position)?);
        }
        storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
        write_manifest(storage, manifest)?;
        for name in &replaced {
            storage.remove(name).map_err(Failure::of("remove", name))?;
        }
        storage.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
        Ok(Mended { position, set_aside })
    }

    fn has(&self, name: &str) -> bool {
        self.storage.open(name).is_ok()
    }

    fn names(&self) -> Result<Vec<String>, JournalError> {
        let mut names = self.storage.list().map_err(Failure::of("list", &self.storage.place()))?;
        names.sort();
        Ok(names)
    }

    /// Copies a file beside, durably but for its name. Nothing if it has no content.
    fn set_aside(&self, name: &str, position: Position) -> Result<Option<String>, JournalError> {
        let kept = set_aside_name(name, position);
        let temporary = format!("{kept}{TEMPORARY_SUFFIX}");
        let file = self.storage.open(name).map_err(Failure::of("open", name))?;
        let mut window = Window::new(file).map_err(Failure::of("read", name))?;
        let length = window.length();
        let mut empty = true;
        let looked = window.pieces(0, length, |_, piece, _| {
            empty &= piece.iter().all(|byte| *byte == 0);
            Ok(())
        });
        looked.map_err(Failure::of("read", name))?;
        if empty {
            return Ok(None);
        }
        let storage = &self.storage.0;
        let copy = storage.create(&temporary).map_err(Failure::of("create", &temporary))?;
        window
            .pieces(0, length, |_, piece, at| copy.write_at(piece, at))
            .and_then(|()| copy.sync())
            .and_then(|()| storage.rename(&temporary, &kept))
            .map_err(Failure::of("write", &temporary))?;
        Ok(Some(kept))
    }
}

/// What stands next in the log.
enum Part {
    /// A whole frame that belongs to the state.
    Kept(FrameHeader),
    /// A whole frame that does not.
    Lost(FrameHeader),
    Bad(Bad),
}

impl<S: Storage> Mending<'_, S> {
    /// The base's snapshot, if it has one.
    ///
    /// # Errors
    ///
    /// [`JournalError::SnapshotDamaged`], [`JournalError::Io`].
    pub fn snapshot(&self) -> Result<Option<SnapshotReader<ReadOnly<S>>>, JournalError> {
        let Inspection { storage, manifest, .. } = self.inspection;
        let open = |name: &String| SnapshotReader::open(storage, name, manifest.store_salt, self.base.first_position);
        self.base.snapshot.as_ref().map(open).transpose()
    }

    /// What the state is made of, for people.
    pub fn base(&self) -> &str {
        self.base.snapshot.as_deref().unwrap_or("the begin of the log")
    }

    /// Where the log behind it begins.
    pub fn begin(&self) -> Position {
        self.base.first_position
    }

    /// Visits the records behind the snapshot, in order, that belong to the state.
    ///
    /// # Errors
    ///
    /// [`JournalError::Corrupt`] if there is a bad frame where none was expected, [`JournalError::Refused`] carries the
    /// visitor's reason, [`JournalError::Io`].
    pub fn records(&self, visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>) -> Result<(), JournalError> {
        self.visit(&mut |frames, part| match part {
            Part::Kept(header) => {
                let take =
                    |record: Record<'_>| visitor(record).map_err(|source| WalkError::Visitor(record.refused(source)));
                frames.records(&header, take).map(ControlFlow::Continue)
            }
            Part::Lost(_) => Ok(ControlFlow::Break(())),
            Part::Bad(bad) => {
                let Some(until) = self.until.filter(|until| bad.position < *until) else {
                    return Ok(ControlFlow::Continue(()));
                };
                let (file, offset) = self.place(bad.position);
                let directory = self.inspection.storage.place();
                let (position, synced, damage) = (bad.position, until, bad.damage);
                Err(WalkError::Visitor(JournalError::Corrupt { directory, file, offset, position, synced, damage }))
            }
        })
    }

    /// Visits the records that are whole and do not belong to the state: those behind it, those in bad frames, and of the
    /// others those that were `dropped`.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn lost(
        &self,
        dropped: &dyn Fn(Position) -> bool,
        visitor: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), JournalError> {
        self.visit(&mut |frames, part| {
            let kept = matches!(part, Part::Kept(_));
            let take = |record: Record<'_>| {
                if !kept || dropped(record.position) {
                    visitor(record);
                }
                Ok::<(), WalkError>(())
            };
            match part {
                Part::Kept(header) => frames.records(&header, take),
                Part::Lost(header) => frames.records(&header, take),
                Part::Bad(bad) => frames.leftovers(&bad, take),
            }
            .map(ControlFlow::Continue)
        })
    }

    /// How many records, at most, stood in what cannot be read behind the base.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn unread_records(&self) -> Result<u64, JournalError> {
        let unread: u64 = self.holes()?.iter().map(|hole| hole.end.get() - hole.begin.get()).sum();
        Ok(unread.div_ceil(RECORD_HEAD_BYTES as u64))
    }

    /// Where there is no whole frame behind the base, in order: bad places, and what was in segments that are gone.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn holes(&self) -> Result<Vec<Hole>, JournalError> {
        let (mut next, mut holes) = (self.begin(), Vec::new());
        let (mut end, mut records, mut told) = (next.max(self.inspection.begin()), 0, 0);
        self.visit(&mut |_, part| {
            match part {
                Part::Kept(header) | Part::Lost(header) => {
                    holes.extend(Hole::between(next, header.first, records, told));
                    (records, told) = (0, 0);
                    next = next.max(header.first.plus(header.frame_bytes() as u64));
                }
                Part::Bad(bad) => {
                    let bytes = bad.end - bad.offset;
                    end = end.max(bad.position.plus(bytes));
                    if let Some(header) = bad.header {
                        records += u64::from(header.records);
                        told += bytes.min(header.frame_bytes() as u64);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        holes.extend(Hole::between(next, end, records, told));
        Ok(holes)
    }

    fn visit(&self, visitor: &mut VisitPart<'_, S::File>) -> Result<(), JournalError> {
        for &(number, first) in &self.spans {
            let name = segment_name(number);
            let file = self.inspection.storage.open(&name).map_err(Failure::of("open", &name))?;
            let mut window = Window::new(file).map_err(Failure::of("read", &name))?;
            // Chains were checked when the damage was looked for; `until` is where they break.
            let mut frames = Frames::new(&mut window, self.inspection.manifest.segment_salt(number), first, None);
            while let Some(step) = frames.step().map_err(Failure::of("read", &name))? {
                let part = match step {
                    Step::Good(header) if self.until.is_none_or(|until| header.first < until) => Part::Kept(header),
                    Step::Good(header) => Part::Lost(header),
                    Step::Bad(bad) => Part::Bad(bad),
                };
                if visitor(&mut frames, part).map_err(|error| error.reading(&name))?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn place(&self, position: Position) -> (String, u64) {
        let behind = self.spans.partition_point(|(_, first)| *first <= position);
        let (number, first) = self.spans[behind.saturating_sub(1)];
        (segment_name(number), offset_in_segment(position, first))
    }

    /// Begins the snapshot of the state that has this digest, for a log that goes on beyond everything that there is.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn writer(&self, state_hash: u64) -> Result<SnapshotWriter<S>, JournalError> {
        // Nothing stands before the new log's first frame that it could be chained to.
        let header = SnapshotHeader { position: self.beyond, state_hash, chain: 0 };
        SnapshotWriter::create(&self.inspection.storage.0, self.inspection.manifest.store_salt, &header, None)
    }

    /// Writes the end of a snapshot and opens it, to be read back before it has the name that a manifest may know.
    ///
    /// # Errors
    ///
    /// As [`Mending::snapshot`].
    pub fn read_back(&self, writer: &mut SnapshotWriter<S>) -> Result<SnapshotReader<S>, JournalError> {
        writer.end()?;
        writer.reopen(self.inspection.manifest.store_salt)
    }

    /// Gives a snapshot that was read back its name.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn finish(&self, writer: SnapshotWriter<S>) -> Result<SnapshotFile<S>, JournalError> {
        writer.give_name()
    }

    /// Puts the new snapshot in force, with an empty log behind it. What was there is set aside before that.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]: then the old state is in force, or the new one, and the repair can be made again.
    pub fn renew(&self, mut file: SnapshotFile<S>) -> Result<Mended, JournalError> {
        let Inspection { storage: ReadOnly(storage), manifest, .. } = self.inspection;
        let numbers = self.inspection.names()?.iter().filter_map(|name| segment_number(name)).max();
        let last = numbers.unwrap_or(0).max(manifest.newest.first_segment);
        let number = last.checked_add(1).ok_or_else(|| {
            let why =
                format!("{} has the last number there is: take it away if it is none of the log's", segment_name(last));
            JournalError::refused(self.beyond, why.into())
        })?;
        Preparation::<S>::new(number, SEGMENT_BYTES).finish(storage, self.beyond, 0)?;
        let newest =
            Generation { snapshot: Some(file.name.clone()), first_segment: number, first_position: self.beyond };
        // What was leased and settled behind the cut is forgotten: as with a backup, all leases end with the next start.
        let backup_end = Some(self.beyond);
        let manifest = Manifest { oldest_segment: number, newest, before: None, backup_end, ..manifest.clone() };
        // A manifest that names it may be in force whatever this comes to; the next start removes what none names.
        file.stays = true;
        self.inspection.put_in_force(&manifest, self.beyond)
    }

    /// Begins the newest snapshot anew, for the log that is there. The bad one is set aside first.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]; [`JournalError::Corrupt`] if the first segment behind it has no good header.
    pub fn writer_of_newest(&self, state_hash: u64) -> Result<SnapshotWriter<S>, JournalError> {
        let Inspection { storage, manifest, .. } = self.inspection;
        let newest = (manifest.newest.first_segment, manifest.newest.first_position);
        let chain = scan::open_segment(storage, manifest, newest)?.1.chain;
        let header = SnapshotHeader { position: newest.1, state_hash, chain };
        if let Some(bad) = manifest.newest.snapshot.as_ref().filter(|name| self.inspection.has(name)) {
            self.inspection.set_aside(bad, newest.1)?;
            storage.0.sync_directory().map_err(Failure::of("sync", &storage.place()))?;
        }
        SnapshotWriter::create(&storage.0, manifest.store_salt, &header, None)
    }

    /// Keeps the newest snapshot that was made anew: it has taken the place of the bad one.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn keep_newest(&self, mut file: SnapshotFile<S>) -> Result<Mended, JournalError> {
        file.stays = true;
        let position = self.inspection.begin();
        let kept = set_aside_name(&file.name, position);
        let set_aside = self.inspection.names()?.into_iter().filter(|name| *name == kept).collect();
        Ok(Mended { position, set_aside })
    }
}

type VisitPart<'a, F> = dyn FnMut(&mut Frames<'_, F>, Part) -> Result<ControlFlow<()>, WalkError> + 'a;

/// The name under which a repair to this position keeps a file.
fn set_aside_name(name: &str, position: Position) -> String {
    format!("{SET_ASIDE_PREFIX}{:020}-{name}", position.get())
}
