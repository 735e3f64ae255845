//! A snapshot's file: a header, then parts in checked blocks, then an end.
//!
//! A part is a kind and bytes; what they mean is the caller's, as with records. Leaves to `compaction` which snapshot is
//! made when, and to `recovery` which one counts. Invariants: a file has its final name only when it is whole and synced;
//! a block's length is trusted only after its head's own checksum; each block is chained to the one before, the first to
//! the header, so that nothing can be left out, repeated or put elsewhere. Lengths and offsets are bytes.

use std::io;
use std::time::Duration;

use super::commit::measured;
use super::errors::{Failure, JournalError};
use super::format::{Damage, FORMAT_VERSION, FRAME_BYTES_MAX, u32_at, u64_at};
use super::scan::Window;
use super::segments::{Preparation, TEMPORARY_SUFFIX};
use super::storage::{Storage, StorageFile};
use super::{Position, VisitError};

pub(super) const SNAPSHOT_PREFIX: &str = "snapshot-";

pub(super) const SNAPSHOT_MAGIC: [u8; 8] = *b"LSHSNAPS";
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const BLOCK_HEAD_BYTES: usize = 16;
pub(super) const PART_HEAD_BYTES: usize = 8;
/// Synced in steps, since a commit's sync that comes meanwhile waits for one: as long as they take no time to speak of.
const SYNC_BYTES_MIN: u64 = 128 << 10;
const SYNC_BYTES_MAX: u64 = 8 << 20;
/// What is no time to speak of: this, or half as long again as the shortest took, where no sync is any faster. With 3 ms and
/// rests as long as the syncs, one commit in a hundred took eight times as long as without a snapshot; so it is three times.
const SYNC_SHORT: Duration = Duration::from_micros(500);
/// A block is closed once it has this much; a larger part has one of its own.
const BLOCK_BYTES: usize = 64 << 10;
/// A part carries at most what a frame does.
const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX + PART_HEAD_BYTES;
/// Set in the count of parts: the last block, whose payload is the number of parts before it.
const FLAG_END: u32 = 1 << 31;

/// The name of the snapshot that covers everything before `position`.
pub(super) fn snapshot_name(position: Position) -> String {
    format!("{SNAPSHOT_PREFIX}{:020}", position.get())
}

/// What a snapshot says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// Everything before it is in the snapshot; a segment begins there.
    pub position: Position,
    /// The digest of the state, as its maker computes it.
    pub state_hash: u64,
    /// The chained checksum of the last frame before `position`.
    pub(super) chain: u32,
}

impl SnapshotHeader {
    /// The error for a snapshot that is whole but that whoever reads it cannot use.
    pub fn refused(&self, kind: u16, source: VisitError) -> JournalError {
        JournalError::Refused { position: self.position, kind, source: source.into() }
    }

    fn encode(&self, salt: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&SNAPSHOT_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.position.get().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.state_hash.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.chain.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], salt: u64, position: Position) -> Result<SnapshotHeader, Damage> {
        if bytes.len() < HEADER_BYTES || bytes[..8] != SNAPSHOT_MAGIC {
            return Err(Damage::Missing);
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(Damage::HeaderChecksum);
        }
        let header = SnapshotHeader {
            position: Position::new(u64_at(bytes, 24)),
            state_hash: u64_at(bytes, 32),
            chain: u32_at(bytes, 40),
        };
        match u32_at(bytes, 8) {
            _ if u64_at(bytes, 16) != salt || header.position != position => Err(Damage::Misplaced),
            FORMAT_VERSION => Ok(header),
            version => Err(Damage::Version(version)),
        }
    }
}

/// How a snapshot is synced beside commits.
#[derive(Debug)]
struct SyncSteps {
    /// Bytes from one sync to the next.
    bytes: u64,
    /// What the quickest took.
    shortest: Duration,
    /// Whether the disk is somebody else's for twice as long as each took.
    rests: bool,
}

impl SyncSteps {
    fn new() -> SyncSteps {
        SyncSteps { bytes: SYNC_BYTES_MIN, shortest: Duration::MAX, rests: false }
    }

    /// Takes note of how long a sync took. Returns how long to rest before going on.
    fn took(&mut self, took: Duration) -> Duration {
        self.shortest = self.shortest.min(took);
        let short = SYNC_SHORT.max(self.shortest.saturating_mul(3) / 2);
        let bytes = if took <= short { self.bytes * 2 } else { self.bytes / 2 };
        self.bytes = bytes.clamp(SYNC_BYTES_MIN, SYNC_BYTES_MAX);
        if self.rests { took * 2 } else { Duration::ZERO }
    }
}

/// A snapshot that is being written, under a temporary name until it is whole. Dropped before that, it is removed.
#[derive(Debug)]
pub struct SnapshotWriter<S: Storage> {
    storage: S,
    name: String,
    temporary: String,
    position: Position,
    file: S::File,
    /// Where the next block goes, and up to where the file was synced.
    offset: u64,
    synced: u64,
    steps: SyncSteps,
    chain: u32,
    /// The open block, its head's room first.
    block: Vec<u8>,
    /// Parts in the open block, and in all before it.
    open_parts: u32,
    parts: u64,
    /// Whether the file may be longer than what is written.
    has_room: bool,
    renamed: bool,
}

impl<S: Storage> SnapshotWriter<S> {
    /// `reserve` is a file that has room already.
    pub(super) fn create(
        storage: &S,
        salt: u64,
        header: &SnapshotHeader,
        reserve: Option<Preparation<S>>,
    ) -> Result<SnapshotWriter<S>, JournalError> {
        let name = snapshot_name(header.position);
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let has_room = reserve.is_some();
        let renamed = reserve.map(|reserve| reserve.rename(storage, temporary.clone())).transpose()?;
        let file = match renamed.and_then(Preparation::into_file) {
            Some(file) => file,
            None => storage.create(&temporary).map_err(Failure::of("create", &temporary))?,
        };
        let bytes = header.encode(salt);
        file.write_at(&bytes, 0).map_err(Failure::of("write", &temporary))?;
        Ok(SnapshotWriter {
            storage: storage.clone(),
            name,
            temporary,
            position: header.position,
            file,
            offset: HEADER_BYTES as u64,
            synced: 0,
            steps: SyncSteps::new(),
            chain: crc32c::crc32c(&bytes),
            block: vec![0; BLOCK_HEAD_BYTES],
            open_parts: 0,
            parts: 0,
            has_room,
            renamed: false,
        })
    }

    /// Leaves the disk to those who commit beside it, for twice as long as each sync takes.
    pub(super) fn resting(mut self, rests: bool) -> SnapshotWriter<S> {
        self.steps.rests = rests;
        self
    }

    /// Adds a part: `kind`, and what stands in `body`, one slice after the other, at most 32 MiB in all.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`].
    pub fn part(&mut self, kind: u16, body: &[&[u8]]) -> Result<(), JournalError> {
        let bytes: usize = body.iter().map(|piece| piece.len()).sum();
        assert!(bytes <= FRAME_BYTES_MAX, "a part carries at most what a record does");
        if self.open_parts > 0 && self.block.len() + PART_HEAD_BYTES + bytes > BLOCK_HEAD_BYTES + BLOCK_BYTES {
            self.write_block(self.open_parts)?;
        }
        self.block.extend_from_slice(&u32::try_from(bytes).expect("checked above").to_le_bytes());
        self.block.extend_from_slice(&kind.to_le_bytes());
        self.block.extend_from_slice(&[0; 2]);
        body.iter().for_each(|piece| self.block.extend_from_slice(piece));
        self.open_parts += 1;
        self.parts += 1;
        Ok(())
    }

    fn write_block(&mut self, count: u32) -> Result<(), JournalError> {
        let (head, payload) = self.block.split_at_mut(BLOCK_HEAD_BYTES);
        head[..4].copy_from_slice(&u32::try_from(payload.len()).expect("a block is at most a part").to_le_bytes());
        head[4..8].copy_from_slice(&count.to_le_bytes());
        self.chain = crc32c::crc32c_append(crc32c::crc32c_append(self.chain, &head[..8]), payload);
        head[8..12].copy_from_slice(&self.chain.to_le_bytes());
        let checksum = crc32c::crc32c(&head[..12]);
        head[12..].copy_from_slice(&checksum.to_le_bytes());
        self.file.write_at(&self.block, self.offset).map_err(Failure::of("write", &self.temporary))?;
        self.offset += self.block.len() as u64;
        if self.offset - self.synced >= self.steps.bytes {
            let (synced, took) = measured(|| self.file.sync());
            synced.map_err(Failure::of("sync", &self.temporary))?;
            self.synced = self.offset;
            std::thread::sleep(self.steps.took(took));
        }
        self.block.truncate(BLOCK_HEAD_BYTES);
        self.open_parts = 0;
        Ok(())
    }

    /// Writes what is open and the end, syncs, and gives the file its name, durably.
    ///
    /// # Errors
    ///
    /// As [`SnapshotWriter::part`].
    pub(super) fn finish(mut self) -> Result<SnapshotFile<S>, JournalError> {
        self.end()?;
        self.give_name()
    }

    /// Writes what is open and the end, and syncs. Called once.
    pub(super) fn end(&mut self) -> Result<(), JournalError> {
        if self.open_parts > 0 {
            self.write_block(self.open_parts)?;
        }
        self.block.extend_from_slice(&self.parts.to_le_bytes());
        self.write_block(FLAG_END)?;
        if self.has_room {
            self.file.cut(self.offset).map_err(Failure::of("cut", &self.temporary))?;
        }
        self.file.sync().map_err(Failure::of("sync", &self.temporary))?;
        Ok(())
    }

    /// Opens what has its end, under the name that it still has.
    pub(super) fn reopen(&self, salt: u64) -> Result<SnapshotReader<S>, JournalError> {
        SnapshotReader::open(&self.storage, &self.temporary, salt, self.position)
    }

    /// Gives what has its end its name, durably.
    pub(super) fn give_name(mut self) -> Result<SnapshotFile<S>, JournalError> {
        self.storage.rename(&self.temporary, &self.name).map_err(Failure::of("rename", &self.temporary))?;
        self.storage.sync_directory().map_err(Failure::of("sync the directory of", &self.name))?;
        self.renamed = true;
        let (storage, name) = (self.storage.clone(), std::mem::take(&mut self.name));
        Ok(SnapshotFile { storage, name, bytes: self.offset, stays: false })
    }
}

impl<S: Storage> Drop for SnapshotWriter<S> {
    fn drop(&mut self) {
        if !self.renamed {
            // It may hold the disk's last room. What cannot be removed now is removed by the next start.
            let _ = self.storage.remove(&self.temporary);
        }
    }
}

/// A whole snapshot that no manifest names yet. Dropped, it is removed.
#[derive(Debug)]
pub struct SnapshotFile<S: Storage> {
    storage: S,
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Whether a manifest may name it.
    pub(super) stays: bool,
}

impl<S: Storage> Drop for SnapshotFile<S> {
    fn drop(&mut self) {
        if !self.stays {
            let _ = self.storage.remove(&self.name);
        }
    }
}

/// Who takes parts: kind and body.
pub type TakePart<'a> = dyn FnMut(u16, &[u8]) -> Result<(), VisitError> + 'a;

/// A snapshot being read; every byte of it is checked before it is handed out.
#[derive(Debug)]
pub struct SnapshotReader<S: Storage> {
    directory: String,
    name: String,
    window: Window<S::File>,
    header: SnapshotHeader,
    offset: u64,
    chain: u32,
    parts: u64,
    ended: bool,
}

impl<S: Storage> SnapshotReader<S> {
    /// Opens the snapshot of this name, which must be this store's and cover `position`.
    pub(super) fn open(storage: &S, name: &str, salt: u64, position: Position) -> Result<Self, JournalError> {
        let directory = storage.place();
        let file = match storage.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(JournalError::FileDamaged {
                    directory,
                    file: name.to_owned(),
                    damage: Damage::FileMissing,
                });
            }
            Err(error) => return Err(Failure::of("open", name)(error).into()),
        };
        let mut window = Window::new(file).map_err(Failure::of("read", name))?;
        let bytes = window.slice(0, HEADER_BYTES).map_err(Failure::of("read", name))?;
        let header = SnapshotHeader::decode(bytes, salt, position).map_err(|damage| match damage {
            Damage::Version(version) => {
                JournalError::UnknownVersion { directory: directory.clone(), file: name.to_owned(), version }
            }
            damage => damaged(&directory, name, 0, damage),
        })?;
        let chain = crc32c::crc32c(bytes);
        let offset = HEADER_BYTES as u64;
        Ok(Self { directory, name: name.to_owned(), window, header, offset, chain, parts: 0, ended: false })
    }

    /// What it says of itself.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// Where the next block begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The file's length, bytes.
    pub fn length(&self) -> u64 {
        self.window.length()
    }

    /// Hands the parts of the next block to `visitor`, in order. Answers whether there may be more.
    ///
    /// # Errors
    ///
    /// [`JournalError::SnapshotDamaged`] names the place, behind which it may go on if the block's length is known;
    /// [`JournalError::Refused`] carries the visitor's reason.
    pub fn next_block(&mut self, visitor: &mut TakePart<'_>) -> Result<bool, JournalError> {
        if self.ended {
            return Ok(false);
        }
        let (bytes, count) = self.block_head()?;
        let offset = self.offset + BLOCK_HEAD_BYTES as u64;
        let payload = self.window.slice(offset, bytes).map_err(Failure::of("read", &self.name))?;
        // `block_head` has checked the payload against its chained checksum.
        if count & FLAG_END != 0 {
            let whole = payload == self.parts.to_le_bytes() && offset + bytes as u64 == self.window.length();
            self.ended = true;
            return if whole { Ok(false) } else { Err(self.damaged(Damage::Length)) };
        }
        let mut rest = payload;
        for _ in 0..count {
            let (kind, body) = match split_part(rest) {
                Some((kind, body, behind)) => {
                    rest = behind;
                    (kind, body)
                }
                None => return Err(damaged(&self.directory, &self.name, self.offset, Damage::Record)),
            };
            visitor(kind, body).map_err(|source| self.header.refused(kind, source))?;
        }
        if !rest.is_empty() {
            return Err(damaged(&self.directory, &self.name, self.offset, Damage::Record));
        }
        self.parts += u64::from(count);
        self.offset = offset + bytes as u64;
        Ok(true)
    }

    /// The payload's length and the count of the block at the offset, once head and payload proved whole.
    fn block_head(&mut self) -> Result<(usize, u32), JournalError> {
        let head = self.window.slice(self.offset, BLOCK_HEAD_BYTES).map_err(Failure::of("read", &self.name))?;
        if head.len() < BLOCK_HEAD_BYTES {
            return Err(self.damaged(Damage::Missing));
        }
        let head: [u8; BLOCK_HEAD_BYTES] = head.try_into().expect("its length was just checked");
        if crc32c::crc32c(&head[..12]) != u32_at(&head, 12) {
            return Err(self.damaged(Damage::HeaderChecksum));
        }
        let bytes = u32_at(&head, 0) as usize;
        let offset = self.offset + BLOCK_HEAD_BYTES as u64;
        if bytes > PAYLOAD_BYTES_MAX || offset + bytes as u64 > self.window.length() {
            return Err(self.damaged(Damage::Length));
        }
        let payload = self.window.slice(offset, bytes).map_err(Failure::of("read", &self.name))?;
        let chain = crc32c::crc32c_append(crc32c::crc32c_append(self.chain, &head[..8]), payload);
        let count = u32_at(&head, 4);
        let whole = chain == u32_at(&head, 8);
        self.chain = u32_at(&head, 8);
        if whole {
            return Ok((bytes, count));
        }
        let damaged = self.damaged(Damage::PayloadChecksum);
        // Who wants to know of every bad block goes on behind this one: its head says where that is.
        self.offset = offset + bytes as u64;
        self.ended = count & FLAG_END != 0;
        self.parts += u64::from(count & !FLAG_END);
        Err(damaged)
    }

    fn damaged(&self, damage: Damage) -> JournalError {
        damaged(&self.directory, &self.name, self.offset, damage)
    }
}

/// The part that begins `bytes`, and what stands behind it.
fn split_part(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(PART_HEAD_BYTES)?;
    let (body, behind) = rest.split_at_checked(u32_at(head, 0) as usize)?;
    Some((u16::from_le_bytes([head[4], head[5]]), body, behind))
}

fn damaged(directory: &str, file: &str, offset: u64, damage: Damage) -> JournalError {
    JournalError::SnapshotDamaged { directory: directory.to_owned(), file: file.to_owned(), offset, damage }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(milliseconds: impl IntoIterator<Item = u64>) -> SyncSteps {
        let mut steps = SyncSteps::new();
        for took in milliseconds {
            assert_eq!(steps.took(Duration::from_millis(took)), Duration::ZERO, "nobody is beside it");
        }
        steps
    }

    #[test]
    fn syncs_come_as_often_as_they_take_long() {
        assert_eq!(steps([]).bytes, 128 << 10);
        // A quick disk, and one that takes its time for the least sync.
        assert_eq!(steps([0; 20]).bytes, 8 << 20);
        assert_eq!(steps([10; 20]).bytes, 8 << 20);
        // One that takes longer the more there is.
        let mut steps = SyncSteps::new();
        for _ in 0..20 {
            steps.took(Duration::from_micros(100 + steps.bytes / 700));
        }
        assert!((128 << 10..=512 << 10).contains(&steps.bytes), "{}", steps.bytes);
        let resting = SyncSteps { rests: true, ..SyncSteps::new() }.took(Duration::from_millis(7));
        assert_eq!(resting, Duration::from_millis(14));
    }
}
