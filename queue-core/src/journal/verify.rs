//! Every byte of a journal that nobody runs, looked at: each bad place is named, and weighed by what it costs.
//!
//! Leaves to the caller what the records and parts mean, and to `recovery` what a start does with them. Invariants: nothing
//! is changed; what would make a start impossible is found, unless the bytes are whole and only do not fit together; up to
//! the last position that anything names as synced a bad frame is damage, after it the first one begins the torn tail.
//! Offsets are bytes.

use std::io::{self, ErrorKind};

use super::errors::JournalError;
use super::format::{Damage, Generation, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::frames::{Frames, Step, next_header};
use super::inspect::Inspection;
use super::scan::{Span, Window};
use super::segments::{MANIFEST_FILE, segment_name, segment_number};
use super::snapshot::SnapshotReader;
use super::storage::{Storage, StorageFile};
use super::{Position, VisitError};

/// What a bad place costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// A torn tail: normal after a crash, cut by the next start, never acknowledged under policy `always`.
    Torn,
    /// What only readers of the past, and a repair, would want: a start does not read it.
    History,
    /// A start is impossible.
    Start,
}

impl Weight {
    /// Its name, as programs read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Weight::Torn => "torn",
            Weight::History => "history",
            Weight::Start => "start",
        }
    }
}

/// A bad place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file in the directory.
    pub file: String,
    /// Where in it, bytes.
    pub offset: u64,
    /// How many bytes are concerned, as far as can be told.
    pub bytes: u64,
    /// Where in the log; none for a snapshot or the manifest.
    pub position: Option<Position>,
    /// What is wrong there.
    pub what: String,
    /// What it costs.
    pub weight: Weight,
}

/// Bytes done, and bytes in all.
pub type Progress<'a> = dyn FnMut(u64, u64) + 'a;

/// What [`Inspection::check`] came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Every bad place: snapshots first, then the log in order.
    pub findings: Vec<Finding>,
    /// Snapshots, segments with content, frames and records that were looked at.
    pub snapshots: u64,
    /// Likewise.
    pub segments: u64,
    /// Whole frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Length of all those files.
    pub bytes: u64,
    /// Where the log ends, as far as it is whole from the newest snapshot on.
    pub end: Position,
    /// No record of this log stands at or behind it.
    pub beyond: Position,
    /// Whether something may be whole and could not be read: the system refused it, or another version wrote it. Then
    /// nothing is known to be lost, and nothing may be given up.
    pub unread: bool,
    /// Number and first position of the segments that have content and a first position that is known.
    pub(super) spans: Vec<Span>,
}

impl Checked {
    /// Of a directory of which nothing else can be looked at.
    pub fn nothing_but(finding: Finding) -> Checked {
        Checked { findings: vec![finding], ..Checked::default() }
    }

    /// The worst there is; `None` where all is well.
    pub fn worst(&self) -> Option<Weight> {
        self.findings.iter().map(|finding| finding.weight).max()
    }

    /// Where in which file a position stands.
    pub fn place(&self, position: Position) -> (String, u64) {
        let behind = self.spans.partition_point(|(_, first)| *first <= position);
        match behind.checked_sub(1).map(|at| self.spans[at]) {
            Some((number, first)) => (segment_name(number), super::format::offset_in_segment(position, first)),
            None => (MANIFEST_FILE.to_owned(), 0),
        }
    }
}

/// What is known while the log is gone through.
struct Check<'a, S: Storage> {
    inspection: &'a Inspection<S>,
    checked: Checked,
    /// Where the segment before ended, and the chain there; unknown behind a bad frame.
    end: Option<(Position, Option<u32>)>,
    /// The file of that segment, and the offset there.
    before: Option<(String, u64)>,
    /// The last position that anything names as synced.
    claim: Position,
    /// Bad places of the log, to be weighed once every claim is known; whether it must never be cut.
    bad: Vec<(Finding, u32, bool)>,
    total: u64,
    progress: &'a mut Progress<'a>,
}

impl<S: Storage> Inspection<S> {
    /// Looks at every byte of both generations and of every segment that is kept.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`] if the directory cannot be listed. A file that cannot be read is a bad place.
    pub fn check<'a>(&'a self, progress: &'a mut Progress<'a>) -> Result<Checked, JournalError> {
        let segments = self.segments()?;
        let mut check = Check {
            inspection: self,
            checked: Checked { beyond: self.manifest.newest.first_position, ..Checked::default() },
            end: None,
            before: None,
            claim: self.manifest.newest.first_position,
            bad: Vec::new(),
            total: self.total_bytes(&segments),
            progress,
        };
        check.snapshots();
        let last = segments.iter().rev().find(|(_, used)| *used).map_or(0, |(number, _)| *number);
        let last = last.max(self.manifest.newest.first_segment);
        let mut next = self.manifest.oldest_segment;
        for number in segments.iter().map(|(number, _)| *number).filter(|number| *number <= last) {
            if next < number {
                check.missing(next);
            }
            check.segment(number);
            next = number.saturating_add(1);
        }
        let prepared = segments.iter().map(|(number, _)| *number).find(|number| *number > last);
        if next <= self.manifest.newest.first_segment {
            check.missing(self.manifest.newest.first_segment);
        } else if prepared.is_some_and(|prepared| next < prepared) {
            // Nothing was written to what stands behind it: it was the newest.
            check.missing(next);
        }
        Ok(check.weigh())
    }

    /// The numbers of the segments there are, ascending, and whether anything was written to them.
    fn segments(&self) -> Result<Vec<(u32, bool)>, JournalError> {
        let names = self.storage.list().map_err(super::errors::Failure::of("list", &self.storage.place()))?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.retain(|number| *number >= self.manifest.oldest_segment);
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| (number, self.is_used(number))).collect())
    }

    /// Whether a segment has content; one that cannot be read is taken to.
    fn is_used(&self, number: u32) -> bool {
        let salt = self.manifest.segment_salt(number);
        let ahead = self
            .storage
            .open(&segment_name(number))
            .and_then(Window::new)
            .and_then(|mut window| next_header(&mut window, 0, salt, None));
        ahead.map_or(true, |ahead| ahead.header.is_some() || ahead.used > 0)
    }

    fn total_bytes(&self, segments: &[(u32, bool)]) -> u64 {
        let length = |name: &str| self.storage.open(name).and_then(|file| file.length()).unwrap_or(0);
        let snapshots: u64 = self.generations().filter_map(|it| it.snapshot.as_deref()).map(length).sum();
        snapshots + segments.iter().map(|(number, _)| length(&segment_name(*number))).sum::<u64>()
    }

    /// The newest generation, then the one before, if it is kept.
    pub(super) fn generations(&self) -> impl Iterator<Item = &Generation> {
        [Some(&self.manifest.newest), self.manifest.before.as_ref()].into_iter().flatten()
    }
}

impl<S: Storage> Check<'_, S> {
    fn passed(&mut self, bytes: u64) {
        self.checked.bytes += bytes;
        (self.progress)(self.checked.bytes.min(self.total), self.total);
    }

    /// Every block of both snapshots.
    fn snapshots(&mut self) {
        let inspection = self.inspection;
        for (index, generation) in inspection.generations().enumerate() {
            let Some(name) = &generation.snapshot else { continue };
            let weight = if index == 0 { Weight::Start } else { Weight::History };
            let (salt, position) = (inspection.manifest.store_salt, generation.first_position);
            let mut reader = match SnapshotReader::open(&inspection.storage, name, salt, position) {
                Ok(reader) => reader,
                Err(error) => {
                    self.snapshot_finding(name, weight, error);
                    continue;
                }
            };
            self.checked.snapshots += 1;
            loop {
                let at = reader.offset();
                let more = reader.next_block(&mut |_, _| Ok::<(), VisitError>(()));
                self.passed(reader.offset() - at);
                match more {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        self.snapshot_finding(name, weight, error);
                        // Where a block's length is known the ones behind it can be looked at.
                        if reader.offset() == at {
                            break;
                        }
                    }
                }
            }
            self.passed(reader.length().saturating_sub(reader.offset()));
        }
    }

    fn snapshot_finding(&mut self, name: &str, weight: Weight, error: JournalError) {
        self.checked.unread |= matches!(error, JournalError::UnknownVersion { .. } | JournalError::Io { .. });
        let (offset, what) = match error {
            JournalError::SnapshotDamaged { offset, damage, .. } => (offset, damage.to_string()),
            JournalError::FileDamaged { damage, .. } => (0, damage.to_string()),
            JournalError::UnknownVersion { version, .. } => (0, Damage::Version(version).to_string()),
            JournalError::Io { action, source, .. } => (0, format!("failed to {action} it: {source}")),
            other => (0, other.to_string()),
        };
        let (file, position) = (name.to_owned(), None);
        self.checked.findings.push(Finding { file, offset, bytes: 0, position, what, weight });
    }

    fn bad(&mut self, number: u32, offset: u64, bytes: u64, position: Position, damage: Damage) {
        self.checked.unread |= matches!(damage, Damage::UnknownFlag | Damage::Version(_));
        let never_cut = matches!(damage, Damage::UnknownFlag | Damage::FileMissing | Damage::Version(_));
        let (file, what) = (segment_name(number), damage.to_string());
        let finding = Finding { file, offset, bytes, position: Some(position), what, weight: Weight::Torn };
        self.bad.push((finding, number, never_cut));
    }

    /// Where the next segment should begin, as far as can be told.
    fn expected(&self) -> Position {
        self.end.map_or(self.checked.beyond, |(position, _)| position)
    }

    fn missing(&mut self, number: u32) {
        self.bad(number, 0, 0, self.expected(), Damage::FileMissing);
        (self.end, self.before) = (None, None);
    }

    fn segment(&mut self, number: u32) {
        if let Err(error) = self.try_segment(number) {
            self.checked.unread = true;
            let what = format!("failed to read it: {error}");
            let position = Some(self.expected());
            let finding =
                Finding { file: segment_name(number), offset: 0, bytes: 0, position, what, weight: Weight::Start };
            self.bad.push((finding, number, true));
            (self.end, self.before) = (None, None);
        }
    }

    fn try_segment(&mut self, number: u32) -> io::Result<()> {
        let (name, salt) = (segment_name(number), self.inspection.manifest.segment_salt(number));
        let file = match self.inspection.storage.open(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.missing(number);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut window = Window::new(file)?;
        let length = window.length();
        let header = SegmentHeader::decode(window.slice(0, SEGMENT_HEADER_BYTES)?, number, salt);
        let ahead = next_header(&mut window, 0, salt, None)?;
        if header.is_err() && ahead.header.is_none() && ahead.used == 0 && !self.is_needed(number) {
            self.passed(length);
            return Ok(());
        }
        let first = match header {
            Ok(header) => {
                self.join(&header);
                header.first
            }
            Err(damage) => {
                // One that was prepared and never written to is as it should be, also as the only one.
                if ahead.header.is_some() || ahead.used > 0 {
                    self.bad(number, 0, ahead.used.max(1), self.expected(), damage);
                }
                self.first_by_frames(&mut window, salt)?
            }
        };
        self.checked.segments += 1;
        self.checked.spans.push((number, first));
        self.frames(&mut window, number, first, header.ok().map(|header| header.chain))?;
        // The last segment of a log may be all but empty: nothing stands behind its last byte, but nobody knows.
        self.checked.beyond = self.checked.beyond.max(first.plus(length.saturating_sub(SEGMENT_HEADER_BYTES as u64)));
        self.passed(length);
        Ok(())
    }

    /// Whether a start cannot do without this segment's file, be there anything in it or not.
    fn is_needed(&self, number: u32) -> bool {
        number == self.inspection.manifest.newest.first_segment
    }

    /// A segment with a good header must begin where the log has come to.
    fn join(&mut self, header: &SegmentHeader) {
        self.claim = self.claim.max(header.first);
        let Some((end, chain)) = self.end else { return };
        let fits = header.first == end && chain.is_none_or(|chain| chain == header.chain);
        if let (false, Some((file, offset))) = (fits, self.before.clone()) {
            let bytes = header.first.get().saturating_sub(end.get());
            let (position, what) = (Some(end), Damage::Gap.to_string());
            let number = segment_number(&file).expect("it is a segment's name");
            let finding = Finding { file, offset, bytes, position, what, weight: Weight::Start };
            self.bad.push((finding, number, true));
        }
    }

    /// Where a segment without a header begins: where the log has come to if a frame agrees, else as its first one says.
    fn first_by_frames(&self, window: &mut Window<S::File>, salt: u64) -> io::Result<Position> {
        let (begin, expected) = (SEGMENT_HEADER_BYTES as u64, self.expected());
        if next_header(window, begin, salt, Some(expected))?.header.is_some() {
            return Ok(expected);
        }
        let Some(offset) = next_header(window, begin, salt, None)?.header else { return Ok(expected) };
        let header = super::frames::header_at(window, offset, salt, None)?.expect("it was just found");
        Ok(Position::new(header.first.get().saturating_sub(offset - begin)))
    }

    fn frames(
        &mut self,
        window: &mut Window<S::File>,
        number: u32,
        first: Position,
        chain: Option<u32>,
    ) -> io::Result<()> {
        let mut frames = Frames::new(window, self.inspection.manifest.segment_salt(number), first, chain);
        let mut broken = false;
        while let Some(step) = frames.step()? {
            match step {
                Step::Good(header) => {
                    broken = false;
                    self.checked.frames += 1;
                    self.checked.records += u64::from(header.records);
                    self.claim = self.claim.max(header.synced);
                }
                Step::Bad(bad) => {
                    broken = true;
                    // The header of a bad frame claims as any other.
                    self.claim = self.claim.max(bad.header.map_or(Position::ZERO, |header| header.synced));
                    self.bad(number, bad.offset, bad.end - bad.offset, bad.position, bad.damage);
                }
            }
        }
        let chain = frames.chain();
        self.end = (!broken).then(|| (frames.position(), chain));
        self.before = Some((segment_name(number), frames.offset()));
        Ok(())
    }

    /// Once every claim is known: what is damage, and where the torn tail begins.
    fn weigh(mut self) -> Checked {
        let newest = &self.inspection.manifest.newest;
        self.checked.end = self.expected();
        let (mut torn, mut ended) = (None, false);
        for (mut finding, number, never_cut) in std::mem::take(&mut self.bad) {
            let position = finding.position.expect("the log has positions");
            finding.weight = match () {
                () if number < newest.first_segment => Weight::History,
                () if never_cut || position < self.claim => Weight::Start,
                () => Weight::Torn,
            };
            if finding.weight != Weight::History && !ended {
                ended = true;
                self.checked.end = position;
            }
            if finding.weight != Weight::Torn {
                self.checked.findings.push(finding);
            } else if torn.is_none() {
                // Whatever stands behind it goes with it.
                torn = Some(finding);
            }
        }
        self.checked.findings.extend(torn);
        self.checked
    }
}
