//! The journal's writer: the open frame, what is written and synced, when the next commit is due.
//!
//! Leaves the calls to the disk to `commit` and `segments`, and threads and time to the caller.
//! Invariants: at most one commit runs at a time; synced ≤ written ≤ end; the frontier never goes back; once a write or
//! sync has failed, nothing is begun any more. Times are milliseconds of one clock that does not go back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::commit::{Commit, Committed, FinishedSync, PendingSync, Target};
use super::format::{
    COMMAND_BYTES_MAX, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameHeader, Manifest, RECORD_HEAD_BYTES,
    SEGMENT_HEADER_BYTES, close_record,
};
use super::reader::{Reader, Shared};
use super::recovery::{self, RecordsOnly, Recovered, VisitError, Visitor};
use super::segments::{Preparation, Segment};
use super::stock::{FoundReserve, Full, Maintained, Maintenance, Stock};
use super::storage::Storage;
use super::{FsyncPolicy, JournalError, Options, Position, Record};

/// After this long without a write the last data is sealed.
const SEAL_AFTER_MS: u64 = 100;
/// Under `everysec`: from the first write that is not synced to the sync.
const SYNC_AFTER_MS: u64 = 1000;
/// Under `everysec`: a sync this late holds replies back.
const SYNC_LATE_MS: u64 = 2000;
/// Where records begin in a frame's buffer.
const PREFIX_BYTES: usize = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES;
/// A buffer that one large frame blew up is given back beyond this.
const BUFFER_KEPT_BYTES: usize = 4 << 20;

/// The append log of one directory, held by its only owner.
///
/// Dropping it writes nothing: what was appended and not committed is gone. [`Journal::close`] is the clean stop.
#[derive(Debug)]
pub struct Journal<S: Storage> {
    pub(super) storage: S,
    pub(super) options: Options,
    pub(super) manifest: Manifest,
    pub(super) shared: Arc<Shared>,
    pub(super) open: OpenFrame,
    /// The other of the two buffers that frames take turns in.
    spare: Vec<u8>,
    pub(super) current: Option<Arc<Segment<S::File>>>,
    pub(super) stock: Stock<S>,
    /// Up to where frames go into the segment that the last frame went into.
    pub(super) room_end: Position,
    /// The same, once it is known which file that segment is.
    pub(super) room_to_come: Position,
    /// The next frame begins a segment, also where the current one has room.
    pub(super) rotate_next: bool,
    /// Whether it is to be closed: nothing that a later run can make is begun.
    pub(super) closing: bool,
    chain: u32,
    written: Position,
    synced: Position,
    frontier: Position,
    pub(super) committing: bool,
    /// Whether the commit that runs also syncs what earlier ones wrote: a seal, or the end of a segment.
    /// Never beside a sync of its own: the system names a lost write to one of the two only, and it would not be known to which.
    sealing: bool,
    pub(super) syncing: bool,
    pub(super) maintaining: bool,
    /// Whether a frame was written that no seal names yet.
    unsealed: bool,
    last_write_at: u64,
    /// When the oldest write that is not synced began.
    unsynced_since: Option<u64>,
    pub(super) failed: Option<JournalError>,
    /// Set while a snapshot is being made; raised, it ends that.
    pub(super) compacting: Option<Arc<AtomicBool>>,
    /// Likewise while a backup is being made.
    pub(super) backing_up: Option<Arc<AtomicBool>>,
    /// Length of the snapshot that a start begins with; 0 without one.
    pub(super) snapshot_bytes: u64,
    /// The segment in use when a compaction was last begun because the disk is full, and what the reserve had for it, as long
    /// as it has not come to a snapshot.
    pub(super) made_room_in: Option<(u32, u64)>,
    /// How far the log was when the making of a snapshot was last given up.
    pub(super) given_up_at: Position,
    /// Shared with a compaction or backup, which may outlive the journal for as long as it takes to notice.
    pub(super) lock: Arc<S::Lock>,
}

impl<S: Storage> Drop for Journal<S> {
    fn drop(&mut self) {
        self.stop_background();
    }
}

/// The frame that records are being appended to.
#[derive(Debug)]
pub(super) struct OpenFrame {
    buffer: Vec<u8>,
    pub(super) start: Position,
    pub(super) records: u32,
}

impl OpenFrame {
    fn new(start: Position, mut buffer: Vec<u8>) -> OpenFrame {
        buffer.clear();
        if buffer.capacity() > BUFFER_KEPT_BYTES {
            buffer.shrink_to(BUFFER_KEPT_BYTES);
        }
        buffer.resize(PREFIX_BYTES, 0);
        OpenFrame { buffer, start, records: 0 }
    }

    pub(super) fn payload_bytes(&self) -> usize {
        self.buffer.len() - PREFIX_BYTES
    }

    /// The frame's length in the log.
    pub(super) fn frame_bytes(&self) -> u64 {
        (self.buffer.len() - SEGMENT_HEADER_BYTES) as u64
    }

    /// Where the next record will stand.
    fn next(&self) -> Position {
        self.start.plus(self.frame_bytes())
    }

    fn end(&self) -> Position {
        if self.records == 0 { self.start } else { self.next() }
    }
}

/// What recovery found, and the writer goes on from.
pub(super) struct Start<S: Storage> {
    pub(super) manifest: Manifest,
    pub(super) shared: Arc<Shared>,
    pub(super) current: Option<Arc<Segment<S::File>>>,
    pub(super) next: Preparation<S>,
    pub(super) reserve: FoundReserve<S>,
    pub(super) chain: u32,
    pub(super) end: Position,
    pub(super) snapshot_bytes: u64,
    pub(super) lock: S::Lock,
}

impl<S: Storage> Journal<S> {
    /// Takes the directory's lock, makes its first files if it is new, hands every record in order to `visitor`, cuts a
    /// torn tail (keeping its bytes beside), makes what is left durable, and is ready to append.
    ///
    /// # Errors
    ///
    /// [`JournalError::Locked`], [`JournalError::Foreign`], [`JournalError::UnknownVersion`] and
    /// [`JournalError::Corrupt`] change nothing in the directory; [`JournalError::Refused`] carries the visitor's
    /// reason. Opening may be tried again after any of them, and after a crash at any point.
    pub fn open(
        storage: S,
        options: Options,
        visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>,
    ) -> Result<(Journal<S>, Recovered), JournalError> {
        recovery::open(storage, options, &mut RecordsOnly(visitor))
    }

    /// As [`Journal::open`], for a journal that may have a snapshot: its parts come first.
    ///
    /// # Errors
    ///
    /// As [`Journal::open`], and [`JournalError::SnapshotDamaged`].
    pub fn open_with(
        storage: S,
        options: Options,
        visitor: &mut dyn Visitor,
    ) -> Result<(Journal<S>, Recovered), JournalError> {
        recovery::open(storage, options, visitor)
    }

    pub(super) fn start(storage: S, options: Options, start: Start<S>) -> Journal<S> {
        let room_end = start.current.as_ref().map_or(start.end, |current| current.end());
        Journal {
            storage,
            stock: Stock::new(start.next, &options, start.reserve, start.snapshot_bytes),
            room_end,
            room_to_come: room_end,
            rotate_next: false,
            closing: false,
            options,
            manifest: start.manifest,
            shared: start.shared,
            open: OpenFrame::new(start.end, Vec::new()),
            spare: Vec::new(),
            current: start.current,
            chain: start.chain,
            written: start.end,
            synced: start.end,
            frontier: start.end,
            committing: false,
            sealing: false,
            syncing: false,
            maintaining: false,
            unsealed: false,
            last_write_at: 0,
            unsynced_since: None,
            failed: None,
            compacting: None,
            backing_up: None,
            snapshot_bytes: start.snapshot_bytes,
            made_room_in: None,
            given_up_at: Position::ZERO,
            lock: Arc::new(start.lock),
        }
    }

    /// Appends a record to the open frame, in memory, and returns where it stands.
    ///
    /// `body` must only push to the vector: what is in it belongs to the frame. `at` is the machine's steady clock in
    /// milliseconds, below 2^48. The record is stored once the frontier has passed its position.
    ///
    /// # Panics
    ///
    /// If the frame would exceed [`FRAME_BYTES_MAX`]; [`Journal::must_commit`] tells in time, before a command.
    pub fn append(&mut self, kind: u16, skippable: bool, at: u64, body: impl FnOnce(&mut Vec<u8>)) -> Position {
        let position = self.open.next();
        let buffer = &mut self.open.buffer;
        let start = buffer.len();
        buffer.resize(start + RECORD_HEAD_BYTES, 0);
        body(buffer);
        assert!(buffer.len() >= start + RECORD_HEAD_BYTES, "a body only adds to the frame");
        close_record(buffer, start, kind, skippable, at);
        self.open.records += 1;
        assert!(self.open.payload_bytes() <= FRAME_BYTES_MAX, "a command fits what is left of its frame");
        position
    }

    /// The position after the last appended record.
    pub fn end(&self) -> Position {
        self.open.end()
    }

    /// Everything before it was handed to the kernel.
    pub fn written(&self) -> Position {
        self.written
    }

    /// Everything before it was synced.
    pub fn synced(&self) -> Position {
        self.synced
    }

    /// What the policy lets leave: replies about records before it may be sent.
    pub fn frontier(&self) -> Position {
        self.frontier
    }

    /// Whether the open frame must be committed before another command of up to [`COMMAND_BYTES_MAX`] is applied.
    pub fn must_commit(&self) -> bool {
        self.open.payload_bytes() > FRAME_BYTES_MAX - COMMAND_BYTES_MAX
    }

    /// Whether a commit, a sync, a step of maintenance, a compaction or a backup runs that has to be finished before [`Journal::close`].
    pub fn is_busy(&self) -> bool {
        self.committing || self.syncing || self.maintaining || self.compacting.is_some() || self.backing_up.is_some()
    }

    /// The number of the segment in use.
    pub fn segment(&self) -> Option<u32> {
        self.current.as_ref().map(|segment| segment.number)
    }

    /// The failure that ended this journal, if one did.
    pub fn failed(&self) -> Option<&JournalError> {
        self.failed.as_ref()
    }

    /// Set from when the next segment or the reserve cannot be made until all of it is there: new work must be refused
    /// before it is applied.
    pub fn full(&self) -> Option<Full> {
        self.stock.failure().cloned()
    }

    /// A reader with file handles of its own, which may live on any thread.
    pub fn reader(&self) -> Reader<S> {
        Reader::new(self.storage.clone(), Arc::clone(&self.shared), self.manifest.clone())
    }

    /// Closes what there is to write and hands it out: the open frame, or a seal when one is due.
    ///
    /// `None` if there is nothing, if a commit is running, if the journal has failed, or if the frame needs the next
    /// segment while maintenance has it or a sync runs (try again once that is finished). Appending goes on meanwhile, into the next
    /// frame. Call it between commands only: a frame holds whole commands.
    pub fn begin_commit(&mut self, now_ms: u64) -> Option<Commit<S>> {
        if self.open.records > 0 {
            self.begin_frame(now_ms, false)
        } else if self.rotate_next || self.seal_due().is_some_and(|due| due <= now_ms) {
            self.begin_frame(now_ms, true)
        } else {
            None
        }
    }

    /// Takes a commit back that has run. Returns the frontier.
    ///
    /// # Errors
    ///
    /// [`JournalError::OutcomeUnknown`] if the write or the sync failed, now or before: final.
    pub fn finish_commit(&mut self, committed: Committed<S>) -> Result<Position, JournalError> {
        assert!(self.committing, "a commit is finished where it was begun");
        self.committing = false;
        self.sealing = false;
        self.spare = committed.buffer;
        let segment = self.unless_failed(committed.outcome)?;
        if self.current.as_ref().is_none_or(|current| current.number != segment.number) {
            self.stock.rotated(&self.options, segment.number + 1, committed.reserve);
            (self.room_end, self.room_to_come) = (segment.end(), segment.end());
            self.shared.add_segment(segment.number, segment.first);
            self.current = Some(segment);
        }
        self.chain = committed.header.chain;
        self.written = committed.end;
        self.synced = self.synced.max(committed.synced);
        self.unsealed = !committed.header.seal;
        self.last_write_at = committed.begun_at;
        if self.synced == self.written {
            self.unsynced_since = None;
        } else if self.synced == committed.header.first || self.unsynced_since.is_none() {
            self.unsynced_since = Some(committed.begun_at);
        }
        Ok(self.move_frontier(committed.begun_at))
    }

    /// Under `everysec`: hands out the sync that is due, which may run beside a commit.
    pub fn begin_sync(&mut self, now_ms: u64) -> Option<PendingSync<S>> {
        if self.failed.is_some() || self.syncing || self.sealing || self.sync_due().is_none_or(|due| due > now_ms) {
            return None;
        }
        let segment = Arc::clone(self.current.as_ref()?);
        self.syncing = true;
        Some(PendingSync { segment, up_to: self.written, begun_at: now_ms })
    }

    /// Takes a sync back that has run. Returns the frontier.
    ///
    /// # Errors
    ///
    /// [`JournalError::OutcomeUnknown`] if it failed, now or before: final.
    pub fn finish_sync(&mut self, finished: FinishedSync) -> Result<Position, JournalError> {
        self.syncing = false;
        self.unless_failed(finished.outcome)?;
        self.synced = self.synced.max(finished.up_to);
        // Whatever was written since the sync began is at most that old.
        self.unsynced_since = (self.written > self.synced).then_some(finished.begun_at);
        Ok(self.move_frontier(finished.begun_at))
    }

    /// Hands out the next step of preparing the segment to come, paced by what was written, and then the reserve: at most
    /// 1 MiB of it.
    ///
    /// One that fails sets [`Journal::full`]; it is tried again after a second.
    pub fn begin_maintenance(&mut self, now_ms: u64) -> Option<Maintenance<S>> {
        if self.failed.is_some() || self.closing {
            return None;
        }
        let snapshot_first = self.lacks_space() && self.has_sealed_log();
        let step = self.stock.begin(&self.storage, self.usage(), snapshot_first, now_ms);
        self.maintaining |= step.is_some();
        step
    }

    /// Takes a step of maintenance back that has run.
    pub fn finish_maintenance(&mut self, maintained: Maintained<S>) {
        self.maintaining = false;
        self.stock.finish(maintained);
    }

    /// All maintenance that is due, here and now.
    pub fn maintain(&mut self, now_ms: u64) {
        while let Some(step) = self.begin_maintenance(now_ms) {
            self.finish_maintenance(step.run());
        }
    }

    /// When [`Journal::begin_commit`], [`Journal::begin_sync`] or, after a failed preparation,
    /// [`Journal::begin_maintenance`] will have something to do although nothing is appended.
    pub fn next_due(&self) -> Option<u64> {
        if self.failed.is_some() {
            return None;
        }
        let sync = if self.syncing || self.sealing { None } else { self.sync_due() };
        [self.seal_due(), sync, self.stock.retry_due()].into_iter().flatten().min()
    }

    /// The clean stop: commits what is open, syncs, seals, and gives up the lock. Returns the last frontier.
    ///
    /// # Errors
    ///
    /// [`JournalError::OutcomeUnknown`] if a write or sync failed, now or before.
    ///
    /// # Panics
    ///
    /// While the journal [is busy](Journal::is_busy).
    pub fn close(mut self, now_ms: u64) -> Result<Position, JournalError> {
        if self.open.records > 0 {
            self.commit_here(now_ms, false)?;
        }
        // Without one the next start writes the end of the log again, which needs no room.
        if self.unsealed && self.has_seal_room() {
            self.commit_here(now_ms, true)?;
        }
        let frontier = self.frontier;
        self.unless_failed(Ok(frontier))
    }

    /// Writes and syncs a seal here and now: the end of recovery.
    pub(super) fn seal(&mut self) -> Result<(), JournalError> {
        self.commit_here(0, true)
    }

    /// Goes on in the next segment, here and now: its first frame is a seal. Nothing if no segment is in use yet.
    ///
    /// # Errors
    ///
    /// [`JournalError::OutcomeUnknown`] if a write or sync failed, now or before: final.
    ///
    /// # Panics
    ///
    /// While the journal [is busy](Journal::is_busy), or has something to commit.
    pub fn rotate(&mut self) -> Result<(), JournalError> {
        assert!(self.open.records == 0, "what is open belongs to the segment in use");
        let Some(current) = &self.current else { return Ok(()) };
        let number = current.number;
        self.rotate_next = true;
        self.commit_here(self.last_write_at, true)?;
        debug_assert!(self.segment() > Some(number), "a seal was written to the next segment");
        Ok(())
    }

    /// Makes what was committed durable here and now, under every policy: the end of a start.
    ///
    /// # Errors
    ///
    /// [`JournalError::OutcomeUnknown`] if a write or sync failed, now or before: final.
    ///
    /// # Panics
    ///
    /// While a commit or a sync runs.
    pub fn sync_here(&mut self) -> Result<(), JournalError> {
        assert!(!self.committing && !self.syncing, "nothing else writes");
        if self.synced < self.written {
            let synced = self.current.as_ref().map_or(Ok(()), |segment| segment.sync());
            self.unless_failed(synced)?;
            // A segment is synced when it is left, so that only the one in use was not.
            self.synced = self.written;
            self.unsynced_since = None;
            self.move_frontier(self.last_write_at);
        }
        Ok(())
    }

    fn commit_here(&mut self, now_ms: u64, seal: bool) -> Result<(), JournalError> {
        self.unless_failed(Ok(()))?;
        let commit = self.begin_frame(now_ms, seal).expect("no commit and no maintenance is running");
        self.finish_commit(commit.run()).map(|_| ())
    }

    fn begin_frame(&mut self, now_ms: u64, seal: bool) -> Option<Commit<S>> {
        if self.committing || self.failed.is_some() {
            return None;
        }
        // What no reader would take must never reach the disk: behind it a seal would make the whole log corrupt.
        assert!(self.open.payload_bytes() <= FRAME_BYTES_MAX, "a command fitted what was left of its frame");
        let seal_in =
            |number| FrameHeader::seal(self.options.policy, self.manifest.segment_salt(number), self.open.start);
        let echo = self.current.as_ref().filter(|_| seal).map_or(Vec::new(), |segment| {
            // Without it a lost block could take the data and the seal that names it along.
            seal_in(segment.number).echo(segment.offset(self.open.start))
        });
        let target = self.target(echo.len())?;
        self.open.buffer.extend_from_slice(&echo);
        self.rotate_next = false;
        self.committing = true;
        self.sealing = seal || matches!(target, Target::Rotate { .. });
        let number = match &target {
            Target::Stay(segment) => segment.number,
            Target::Rotate { next, .. } => next.number,
        };
        let header = FrameHeader {
            records: self.open.records,
            payload_bytes: u32::try_from(self.open.payload_bytes()).expect("a frame is at most 32 MiB"),
            // A seal and a rotation sync what is before them first.
            synced: if self.sealing { self.open.start } else { self.synced },
            seal,
            ..FrameHeader::seal(self.options.policy, self.manifest.segment_salt(number), self.open.start)
        };
        let end = header.first.plus(header.frame_bytes() as u64);
        let next = OpenFrame::new(end, std::mem::take(&mut self.spare));
        let closed = std::mem::replace(&mut self.open, next);
        Some(Commit {
            storage: self.storage.clone(),
            target,
            buffer: closed.buffer,
            header,
            chain_before: self.chain,
            sync_before: seal && self.synced < self.written,
            sync_after: seal || self.options.policy == FsyncPolicy::Always,
            begun_at: now_ms,
        })
    }

    /// The current segment if the open frame and `more` bytes fit it, else the next. `None` while maintenance has that, or a
    /// sync runs.
    fn target(&mut self, more: usize) -> Option<Target<S>> {
        let frame_bytes = self.open.frame_bytes() + more as u64;
        if let Some(current) = &self.current
            && !self.rotate_next
            && current.offset(self.open.start) + frame_bytes <= current.capacity
        {
            return Some(Target::Stay(Arc::clone(current)));
        }
        if self.syncing {
            return None;
        }
        let (next, reserve) = self.stock.rotate(frame_bytes)?;
        let salt = self.manifest.segment_salt(next.number);
        // Until it is known which file it is, nothing more fits behind this frame.
        let behind_header = |ready: u64| ready.saturating_sub(SEGMENT_HEADER_BYTES as u64);
        let ready = behind_header(next.ready_bytes());
        let room = if ready >= frame_bytes { ready } else { frame_bytes };
        let to_come = reserve.as_ref().map_or(0, |reserve| behind_header(reserve.ready_bytes()));
        self.room_end = self.open.start.plus(room);
        self.room_to_come = self.open.start.plus(room.max(to_come));
        Some(Target::Rotate { leave: self.current.clone(), next, reserve, salt })
    }

    /// Bytes used of the current segment, and its size.
    fn usage(&self) -> (u64, u64) {
        self.current.as_ref().map_or((0, 0), |current| (current.offset(self.written), current.capacity))
    }

    fn seal_due(&self) -> Option<u64> {
        let idle = self.unsealed && !self.committing && !self.syncing && self.open.records == 0 && self.has_seal_room();
        (idle && self.options.policy != FsyncPolicy::No).then_some(self.last_write_at + SEAL_AFTER_MS)
    }

    fn sync_due(&self) -> Option<u64> {
        let since = self.unsynced_since?;
        (self.options.policy == FsyncPolicy::EverySec).then_some(since + SYNC_AFTER_MS)
    }

    fn move_frontier(&mut self, now_ms: u64) -> Position {
        let late = self.sync_due().is_some_and(|due| now_ms >= due + SYNC_LATE_MS);
        let open_to = if self.options.policy == FsyncPolicy::Always || late { self.synced } else { self.written };
        self.frontier = self.frontier.max(open_to);
        self.shared.set_frontier(self.frontier);
        self.frontier
    }

    /// Passes `outcome` on, or makes its failure the journal's end. An earlier failure comes first.
    fn unless_failed<T>(&mut self, outcome: Result<T, super::errors::Failure>) -> Result<T, JournalError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        outcome.map_err(|failure| self.failed.insert(failure.unknown()).clone())
    }
}
