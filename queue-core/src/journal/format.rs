//! The journal's bytes: manifest, segment header, frame header, record head.
//!
//! Knows layouts and checksums and nothing of files; `docs/journal.md` draws the same.
//! Invariant: what `encode` wrote, `decode` gives back, and nothing else decodes.
//! All integers are little-endian; lengths are bytes; times are milliseconds of the machine's steady clock.

use super::{FsyncPolicy, Position};

/// The version of everything in this file. Another one is refused, never guessed at.
pub const FORMAT_VERSION: u32 = 1;
/// Largest payload of one frame (all its records together): 32 MiB.
pub const FRAME_BYTES_MAX: usize = 32 << 20;
/// What one command may append at most, so that a frame with less than this left is committed first: 24 MiB.
pub const COMMAND_BYTES_MAX: usize = 24 << 20;
/// Records, and so frames, begin at multiples of this.
pub const ALIGNMENT: usize = 8;

pub(super) const MANIFEST_MAGIC: [u8; 8] = *b"LSHMANIF";
pub(super) const SEGMENT_MAGIC: [u8; 8] = *b"LSHSEGMT";
pub(super) const FRAME_MAGIC: [u8; 4] = *b"LSFR";

/// A field of the manifest: the store is a backup, and its log ends at this position.
const FIELD_BACKUP: u16 = 1;
/// Set in a field's number: who does not know it may pass over it.
const FIELD_SKIPPABLE: u16 = 1 << 15;
const FIELD_HEAD_BYTES: usize = 6;

const MANIFEST_HEAD_BYTES: usize = 28;
const GENERATION_HEAD_BYTES: usize = 16;
/// A manifest without a snapshot; names of snapshots and a second generation make it longer.
pub(super) const MANIFEST_BYTES_MIN: usize = MANIFEST_HEAD_BYTES + GENERATION_HEAD_BYTES + 4;
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;
pub(super) const FRAME_HEADER_BYTES: usize = 48;
pub(super) const RECORD_HEAD_BYTES: usize = 16;

/// A record's length takes the low 28 bits of its field; the high 4 are flags.
const BODY_LENGTH_MASK: u32 = (1 << 28) - 1;
const FLAG_SKIPPABLE: u32 = 1 << 31;
const FLAGS_KNOWN: u32 = FLAG_SKIPPABLE | BODY_LENGTH_MASK;
const FRAME_FLAG_SEAL: u8 = 1;
const FRAME_FLAG_ECHO: u8 = 2;
/// What a disk writes, and may lose, as a whole: a seal and its echo never stand in the block of the data before them alone.
pub(super) const BLOCK_BYTES: u64 = 512;
/// The longest seal: its header, what is left of the block, and its echo.
pub(super) const SEAL_BYTES_MAX: u64 = 2 * FRAME_HEADER_BYTES as u64 + BLOCK_BYTES;
/// No segment's file is shorter.
pub(super) const SEGMENT_BYTES_MIN: u64 = 4096;
/// `at` shares eight bytes with the kind: 48 bits of milliseconds are 8,900 years.
pub(super) const AT_MAX: u64 = (1 << 48) - 1;

/// What is wrong with bytes that should have been a frame or a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Where a header should begin there is none.
    #[error("no header begins there")]
    Missing,
    /// A header is there, but its own checksum differs.
    #[error("the header's checksum differs")]
    HeaderChecksum,
    /// The header is whole but belongs to another place: other segment, other position, other store.
    #[error("the header belongs to another place")]
    Misplaced,
    /// The header is whole, and another version of this program wrote it.
    #[error("the header has format version {0}")]
    Version(u32),
    /// The header is whole but has a policy or flag that this version does not know.
    #[error("the header has a flag that this version does not know")]
    UnknownFlag,
    /// The header names a length that its segment or the format does not allow.
    #[error("the header's length is impossible")]
    Length,
    /// The payload's checksum, which is chained to the frame before, differs.
    #[error("the payload's checksum differs")]
    PayloadChecksum,
    /// The frame is whole but a record in it is not.
    #[error("a record's checksum or length differs")]
    Record,
    /// A segment begins somewhere other than where the one before ends.
    #[error("the next segment begins elsewhere: frames are missing")]
    Gap,
    /// A segment's file is not there.
    #[error("the file is missing")]
    FileMissing,
    /// A segment's file is shorter than it was made, which no crash does.
    #[error("the file is cut off there")]
    CutOff,
    /// The manifest's checksum or length differs.
    #[error("the manifest's checksum or length differs")]
    Manifest,
}

/// Reads a little-endian field of `N` bytes at `offset`.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("the slice has the array's length")
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(field(bytes, offset))
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(field(bytes, offset))
}

/// Rounds up to the next record boundary.
pub(super) const fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// The store's anchor: which bytes are its, and from where its log is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Drawn once for the store; every segment's salt follows from it.
    pub(super) store_salt: u64,
    /// Number of the oldest segment that is kept, for readers and for the generation before.
    pub(super) oldest_segment: u32,
    /// What a start begins with.
    pub(super) newest: Generation,
    /// What it would have begun with before the last compaction; kept whole, should the newest snapshot be damaged.
    pub(super) before: Option<Generation>,
    /// Set in a backup, in what was restored from one and in what a repair made that gave something up, until it has
    /// started: where its log ends. All leases end with that start, since the store that it was made of has gone on.
    pub(super) backup_end: Option<Position>,
}

/// A snapshot and the place in the log from which it is gone on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generation {
    /// The snapshot's file; none for the begin of the log.
    pub(super) snapshot: Option<String>,
    /// Number of the first segment that the snapshot does not cover.
    pub(super) first_segment: u32,
    /// Where that segment begins.
    pub(super) first_position: Position,
}

/// Why a manifest cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ManifestFault {
    Foreign,
    Version(u32),
    /// A field that this version does not know and may not pass over.
    Field(u16),
    Damaged,
}

impl Manifest {
    /// The manifest of a new store: no snapshot, and a log that begins with segment 1.
    pub(super) fn new(store_salt: u64) -> Manifest {
        let newest = Generation { snapshot: None, first_segment: 1, first_position: Position::ZERO };
        Manifest { store_salt, oldest_segment: 1, newest, before: None, backup_end: None }
    }

    /// What a backup of this store begins with: the newest generation and nothing before it.
    pub(super) fn of_backup(&self, end: Position) -> Manifest {
        let newest = self.newest.clone();
        Manifest {
            store_salt: self.store_salt,
            oldest_segment: newest.first_segment,
            newest,
            before: None,
            backup_end: Some(end),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let generations: Vec<&Generation> = [Some(&self.newest), self.before.as_ref()].into_iter().flatten().collect();
        let mut bytes = Vec::with_capacity(2 * MANIFEST_BYTES_MIN);
        bytes.extend_from_slice(&MANIFEST_MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.oldest_segment.to_le_bytes());
        bytes.extend_from_slice(&self.store_salt.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(generations.len()).expect("one or two").to_le_bytes());
        for generation in generations {
            let name = generation.snapshot.as_deref().unwrap_or("");
            bytes.extend_from_slice(&generation.first_segment.to_le_bytes());
            bytes.extend_from_slice(&generation.first_position.get().to_le_bytes());
            bytes.extend_from_slice(&u32::try_from(name.len()).expect("a file name is short").to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
        }
        if let Some(end) = self.backup_end {
            push_field(&mut bytes, FIELD_BACKUP, &end.get().to_le_bytes());
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, ManifestFault> {
        if bytes.len() < 12 || bytes[..8] != MANIFEST_MAGIC {
            return Err(ManifestFault::Foreign);
        }
        // The version is looked at before the checksum: another version may keep its checksum elsewhere.
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(ManifestFault::Version(version));
        }
        let (body, checksum) = bytes.split_at(bytes.len() - 4);
        if bytes.len() < MANIFEST_BYTES_MIN || crc32c::crc32c(body) != u32_at(checksum, 0) {
            return Err(ManifestFault::Damaged);
        }
        let mut rest = &body[MANIFEST_HEAD_BYTES..];
        let mut generation = || Generation::split_from(&mut rest).ok_or(ManifestFault::Damaged);
        let (newest, before) = match u32_at(bytes, 24) {
            1 => (generation()?, None),
            2 => (generation()?, Some(generation()?)),
            _ => return Err(ManifestFault::Damaged),
        };
        let (store_salt, oldest_segment) = (u64_at(bytes, 16), u32_at(bytes, 12));
        let mut manifest = Manifest { store_salt, oldest_segment, newest, before, backup_end: None };
        while !rest.is_empty() {
            let (number, value) = split_field(&mut rest).ok_or(ManifestFault::Damaged)?;
            match number {
                FIELD_BACKUP if value.len() == 8 && manifest.backup_end.is_none() => {
                    manifest.backup_end = Some(Position::new(u64_at(value, 0)));
                }
                FIELD_BACKUP => return Err(ManifestFault::Damaged),
                unknown if unknown & FIELD_SKIPPABLE != 0 => {}
                unknown => return Err(ManifestFault::Field(unknown)),
            }
        }
        if manifest.is_ordered() { Ok(manifest) } else { Err(ManifestFault::Damaged) }
    }

    /// Whether it keeps what it names: a start removes the segments before the oldest.
    fn is_ordered(&self) -> bool {
        let first = |generation: &Generation| (generation.first_segment, generation.first_position);
        let oldest_needed = self.before.as_ref().unwrap_or(&self.newest);
        (1..=oldest_needed.first_segment).contains(&self.oldest_segment) && first(oldest_needed) <= first(&self.newest)
    }

    /// The salt of segment `number`: known without the segment's header, so that a search works where that is lost.
    pub(super) fn segment_salt(&self, number: u32) -> u64 {
        // SplitMix64's finisher: neighbouring numbers give unrelated salts.
        let mut mixed = self.store_salt ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The value that the first frame of the store is chained to.
    pub(super) fn first_chain(&self) -> u32 {
        crc32c::crc32c(&self.store_salt.to_le_bytes())
    }
}

fn push_field(bytes: &mut Vec<u8>, number: u16, value: &[u8]) {
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(value.len()).expect("a field is short").to_le_bytes());
    bytes.extend_from_slice(value);
}

fn split_field<'a>(bytes: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (head, rest) = bytes.split_at_checked(FIELD_HEAD_BYTES)?;
    let (value, rest) = rest.split_at_checked(u32_at(head, 2) as usize)?;
    *bytes = rest;
    Some((u16::from_le_bytes([head[0], head[1]]), value))
}

impl Generation {
    fn split_from(bytes: &mut &[u8]) -> Option<Generation> {
        let (head, rest) = bytes.split_at_checked(GENERATION_HEAD_BYTES)?;
        let (name, rest) = rest.split_at_checked(u32_at(head, 12) as usize)?;
        let name = std::str::from_utf8(name).ok()?;
        *bytes = rest;
        Some(Generation {
            snapshot: (!name.is_empty()).then(|| name.to_owned()),
            first_segment: u32_at(head, 0),
            first_position: Position::new(u64_at(head, 4)),
        })
    }
}

/// First bytes of a segment. Written with the segment's first frame, in one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u32,
    pub(super) salt: u64,
    /// Position of the first frame. Everything before it was synced when this was written.
    pub(super) first: Position,
    /// The chained checksum of the frame before, so that a segment can be read without its predecessor.
    pub(super) chain: u32,
    /// Length of the file, which had it before this was written.
    pub(super) bytes: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self, into: &mut [u8]) {
        into[..8].copy_from_slice(&SEGMENT_MAGIC);
        into[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        into[12..16].copy_from_slice(&self.number.to_le_bytes());
        into[16..24].copy_from_slice(&self.salt.to_le_bytes());
        into[24..32].copy_from_slice(&self.first.get().to_le_bytes());
        into[32..36].copy_from_slice(&self.chain.to_le_bytes());
        into[36..44].copy_from_slice(&self.bytes.to_le_bytes());
        into[44..60].fill(0);
        let checksum = crc32c::crc32c(&into[..60]);
        into[60..64].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Checks everything that the caller knows beforehand: the number and the salt.
    pub(super) fn decode(bytes: &[u8], number: u32, salt: u64) -> Result<SegmentHeader, Damage> {
        if bytes.len() < SEGMENT_HEADER_BYTES || bytes[..8] != SEGMENT_MAGIC {
            return Err(Damage::Missing);
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(Damage::HeaderChecksum);
        }
        let header = SegmentHeader {
            number: u32_at(bytes, 12),
            salt: u64_at(bytes, 16),
            first: Position::new(u64_at(bytes, 24)),
            chain: u32_at(bytes, 32),
            bytes: u64_at(bytes, 36),
        };
        match u32_at(bytes, 8) {
            _ if header.number != number || header.salt != salt => Err(Damage::Misplaced),
            FORMAT_VERSION => Ok(header),
            version => Err(Damage::Version(version)),
        }
    }
}

/// First bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) policy: FsyncPolicy,
    /// An empty frame that only names what is synced.
    pub(super) seal: bool,
    /// A seal's header once more, which is no frame of the chain.
    pub(super) echo: bool,
    pub(super) salt: u64,
    /// Position of this header.
    pub(super) first: Position,
    pub(super) records: u32,
    pub(super) payload_bytes: u32,
    /// Everything before this position was known to be synced when the frame was written.
    pub(super) synced: Position,
    /// Checksum of header and payload, chained to the frame before.
    pub(super) chain: u32,
}

impl FrameHeader {
    /// Writes the header, computing its chained checksum over `payload`; returns that value for the next frame.
    pub(super) fn encode(mut self, chain_before: u32, frame: &mut [u8]) -> u32 {
        let (head, payload) = frame.split_at_mut(FRAME_HEADER_BYTES);
        head[..4].copy_from_slice(&FRAME_MAGIC);
        head[4] = self.policy.code();
        head[5] = (u8::from(self.seal) * FRAME_FLAG_SEAL) | (u8::from(self.echo) * FRAME_FLAG_ECHO);
        head[6..8].fill(0);
        head[8..16].copy_from_slice(&self.salt.to_le_bytes());
        head[16..24].copy_from_slice(&self.first.get().to_le_bytes());
        head[24..28].copy_from_slice(&self.records.to_le_bytes());
        head[28..32].copy_from_slice(&self.payload_bytes.to_le_bytes());
        head[32..40].copy_from_slice(&self.synced.get().to_le_bytes());
        self.chain = chain(chain_before, head, payload);
        head[40..44].copy_from_slice(&self.chain.to_le_bytes());
        let checksum = crc32c::crc32c(&head[..44]);
        head[44..48].copy_from_slice(&checksum.to_le_bytes());
        self.chain
    }

    /// Reads a header that must belong to the segment with `salt` and stand at `position`.
    pub(super) fn decode(bytes: &[u8], salt: u64, position: Position) -> Result<FrameHeader, Damage> {
        let header = FrameHeader::decode_anywhere(bytes, salt)?;
        if header.first == position { Ok(header) } else { Err(Damage::Misplaced) }
    }

    /// Reads a header of the segment with `salt`, whatever position it names.
    pub(super) fn decode_anywhere(bytes: &[u8], salt: u64) -> Result<FrameHeader, Damage> {
        if bytes.len() < FRAME_HEADER_BYTES || bytes[..4] != FRAME_MAGIC {
            return Err(Damage::Missing);
        }
        if crc32c::crc32c(&bytes[..44]) != u32_at(bytes, 44) {
            return Err(Damage::HeaderChecksum);
        }
        // A policy or flag that this version does not know may change what the frame means.
        let policy = FsyncPolicy::from_code(bytes[4]);
        let known = policy.is_some() && bytes[5] & !(FRAME_FLAG_SEAL | FRAME_FLAG_ECHO) == 0 && bytes[6..8] == [0; 2];
        let header = FrameHeader {
            policy: policy.unwrap_or_default(),
            seal: bytes[5] & FRAME_FLAG_SEAL != 0,
            echo: bytes[5] & FRAME_FLAG_ECHO != 0,
            salt: u64_at(bytes, 8),
            first: Position::new(u64_at(bytes, 16)),
            records: u32_at(bytes, 24),
            payload_bytes: u32_at(bytes, 28),
            synced: Position::new(u64_at(bytes, 32)),
            chain: u32_at(bytes, 40),
        };
        let payload_bytes = header.payload_bytes as usize;
        if header.salt != salt {
            Err(Damage::Misplaced)
        } else if !known {
            Err(Damage::UnknownFlag)
        } else if payload_bytes > FRAME_BYTES_MAX || !payload_bytes.is_multiple_of(ALIGNMENT) {
            Err(Damage::Length)
        } else {
            Ok(header)
        }
    }

    /// The header of a seal without a payload, which names everything before it as synced.
    pub(super) fn seal(policy: FsyncPolicy, salt: u64, first: Position) -> FrameHeader {
        let (records, payload_bytes, chain) = (0, 0, 0);
        FrameHeader { policy, seal: true, echo: false, salt, first, records, payload_bytes, synced: first, chain }
    }

    /// The payload of a seal whose header will stand at `offset` of its file: room, and an echo of the header in the next block.
    /// Whatever block is lost then, the data before or a header that names it is left.
    pub(super) fn echo(&self, offset: u64) -> Vec<u8> {
        let room = (offset.next_multiple_of(BLOCK_BYTES) - offset).saturating_sub(FRAME_HEADER_BYTES as u64);
        if offset.is_multiple_of(BLOCK_BYTES) {
            return Vec::new();
        }
        let room = usize::try_from(room).expect("less than a block");
        let mut payload = vec![0; room + FRAME_HEADER_BYTES];
        let first = self.first.plus((FRAME_HEADER_BYTES + room) as u64);
        FrameHeader { first, echo: true, payload_bytes: 0, ..*self }.encode(0, &mut payload[room..]);
        payload
    }

    /// The whole frame's length, header included.
    pub(super) fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload_bytes as usize
    }
}

/// The checksum of a frame: over its header's first 40 bytes and its payload, seeded with the frame before.
pub(super) fn chain(before: u32, header: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(before, &header[..40]), payload)
}

/// One record as it is read back: its head, and the body as it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it stands; a multiple of 8.
    pub position: Position,
    /// What the body is. The journal does not interpret it.
    pub kind: u16,
    /// Whether a reader that does not know `kind` may pass over it.
    pub skippable: bool,
    /// The machine's steady clock when it was appended, in milliseconds.
    pub at: u64,
    /// The bytes that were appended.
    pub body: &'a [u8],
}

/// Fills in the head of the record that begins at `start` of `buffer` and ends at its end, and pads it.
pub(super) fn close_record(buffer: &mut Vec<u8>, start: usize, kind: u16, skippable: bool, at: u64) {
    let body_bytes = buffer.len() - start - RECORD_HEAD_BYTES;
    assert!(body_bytes <= FRAME_BYTES_MAX, "a record's body fits a frame");
    assert!(at <= AT_MAX, "the steady clock counts milliseconds in 48 bits");
    let length = u32::try_from(body_bytes).expect("checked above") | if skippable { FLAG_SKIPPABLE } else { 0 };
    let record = &mut buffer[start..];
    record[4..8].copy_from_slice(&length.to_le_bytes());
    record[8..16].copy_from_slice(&(at << 16 | u64::from(kind)).to_le_bytes());
    let checksum = crc32c::crc32c(&record[4..]);
    record[..4].copy_from_slice(&checksum.to_le_bytes());
    // The frame begins at a multiple of 8 of the buffer too, so the buffer's length can be rounded.
    buffer.resize(aligned(buffer.len()), 0);
}

/// Where in its segment's file `position` stands; `first` is the position of the segment's first frame.
pub(super) fn offset_in_segment(position: Position, first: Position) -> u64 {
    position.get() - first.get() + SEGMENT_HEADER_BYTES as u64
}

/// Bytes that the record beginning `bytes` takes with its padding, from its head alone; unchecked.
pub(super) fn record_bytes(bytes: &[u8]) -> Option<usize> {
    let length = u32_at(bytes.get(..RECORD_HEAD_BYTES)?, 4) & BODY_LENGTH_MASK;
    Some(aligned(RECORD_HEAD_BYTES + length as usize))
}

/// Reads the record that begins `bytes` and stands at `position`; returns it with its padded length.
pub(super) fn decode_record(bytes: &[u8], position: Position) -> Result<(Record<'_>, usize), Damage> {
    let (record, total) = parse_record(bytes, position).ok_or(Damage::Record)?;
    let checksum = crc32c::crc32c(&bytes[4..RECORD_HEAD_BYTES + record.body.len()]);
    if checksum == u32_at(bytes, 0) { Ok((record, total)) } else { Err(Damage::Record) }
}

/// The same without the checksum, for bytes that were checked before.
pub(super) fn parse_record(bytes: &[u8], position: Position) -> Option<(Record<'_>, usize)> {
    let total = record_bytes(bytes)?;
    let length = u32_at(bytes, 4);
    if total > bytes.len() || length & !FLAGS_KNOWN != 0 {
        return None;
    }
    let kind_and_at = u64_at(bytes, 8);
    let record = Record {
        position,
        kind: (kind_and_at & 0xFFFF) as u16,
        skippable: length & FLAG_SKIPPABLE != 0,
        at: kind_and_at >> 16,
        body: &bytes[RECORD_HEAD_BYTES..RECORD_HEAD_BYTES + (length & BODY_LENGTH_MASK) as usize],
    };
    Some((record, total))
}
