//! The files of a journal, as `docs/journal.md` draws them: made, and their checksums put right.
//!
//! Written from the page and not from the code, so that the two are compared with each other.

/// Salt of the stores made here.
pub const SALT: u64 = 7;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Puts the checksum of everything before `at` there.
fn seal(bytes: &mut [u8], at: usize) {
    let checksum = crc32c::crc32c(&bytes[..at]);
    put(bytes, at, &checksum.to_le_bytes());
}

fn segment_salt(number: u32) -> u64 {
    let mut mixed = SALT ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The value that a store's first frame is chained to.
pub fn first_chain() -> u32 {
    crc32c::crc32c(&SALT.to_le_bytes())
}

/// A manifest that names a snapshot, or none where the name is empty, and where segment 1 begins.
pub fn manifest(snapshot: &str, position: u64) -> Vec<u8> {
    let mut bytes = b"LSHMANIF\x01\0\0\0\x01\0\0\0".to_vec();
    bytes.extend(SALT.to_le_bytes());
    bytes.extend([1, 0, 0, 0, 1, 0, 0, 0]);
    bytes.extend(position.to_le_bytes());
    bytes.extend((snapshot.len() as u32).to_le_bytes());
    bytes.extend(snapshot.as_bytes());
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// Segment 1, of at least `length` bytes, with a header and these bytes behind it.
pub fn segment(first: u64, chain: u32, body: &[u8], length: usize) -> Vec<u8> {
    let length = length.max(64 + body.len());
    let mut bytes = b"LSHSEGMT\x01\0\0\0\x01\0\0\0".to_vec();
    bytes.extend(segment_salt(1).to_le_bytes());
    bytes.extend(first.to_le_bytes());
    bytes.extend(chain.to_le_bytes());
    bytes.extend((length as u64).to_le_bytes());
    bytes.resize(64, 0);
    seal(&mut bytes, 60);
    bytes.extend(body);
    bytes.resize(length, 0);
    bytes
}

/// A frame for [`fix_segment`] to complete: a header with a magic and a length alone, and records.
pub fn frame(records: &[(u16, u64, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"LSFR".to_vec();
    bytes.resize(48, 0);
    for (kind, at, body) in records {
        bytes.extend([0; 4]);
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend((at << 16 | u64::from(*kind)).to_le_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let payload = (bytes.len() - 48) as u32;
    put(&mut bytes, 28, &payload.to_le_bytes());
    bytes
}

/// Puts the checksums of a file right, whatever it is by its first bytes.
pub fn fix(bytes: &mut [u8]) {
    match bytes.get(..8) {
        Some(b"LSHMANIF") if bytes.len() > 12 => seal(bytes, bytes.len() - 4),
        Some(b"LSHSEGMT") => fix_segment(bytes),
        Some(b"LSHSNAPS") => fix_snapshot(bytes),
        _ => {}
    }
}

/// Puts positions, counts and checksums of a segment right, as far as frames follow each other.
pub fn fix_segment(bytes: &mut [u8]) {
    if bytes.len() < 64 {
        return;
    }
    seal(bytes, 60);
    let (salt, first, mut chain) = (u64_at(bytes, 16), u64_at(bytes, 24), u32_at(bytes, 32));
    let mut at = 64;
    while at + 48 <= bytes.len() && bytes[at..].starts_with(b"LSFR") {
        let room = (bytes.len() - at - 48) & !7;
        // A bit that no frame has says that from here on all stays as it is.
        if bytes[at + 7] & 0x80 != 0 {
            return;
        }
        let length = (u32_at(bytes, at + 28) as usize & !7).min(room);
        let position = first.wrapping_add((at - 64) as u64);
        let frame = &mut bytes[at..at + 48 + length];
        frame[4] %= 3;
        frame[5] &= 1;
        let records = if frame[5] == 1 { 0 } else { fix_records(&mut frame[48..]) };
        let synced = u64_at(frame, 32).min(position);
        put(frame, 6, &[0; 2]);
        put(frame, 8, &salt.to_le_bytes());
        put(frame, 16, &position.to_le_bytes());
        put(frame, 24, &records.to_le_bytes());
        put(frame, 28, &(length as u32).to_le_bytes());
        put(frame, 32, &synced.to_le_bytes());
        chain = crc32c::crc32c_append(crc32c::crc32c_append(chain, &frame[..40]), &frame[48..]);
        put(frame, 40, &chain.to_le_bytes());
        seal(frame, 44);
        at += 48 + length;
    }
}

/// Makes records of a payload, the last of which ends where it does; how many there are.
fn fix_records(payload: &mut [u8]) -> u32 {
    let (mut at, mut records) = (0, 0);
    while at + 16 <= payload.len() {
        let flag = u32_at(payload, at + 4) & 1 << 31;
        let room = payload.len() - at - 16;
        let mut length = (u32_at(payload, at + 4) as usize & 0xFFFF).min(room);
        // What is left must have room for a head.
        if room - length.next_multiple_of(8).min(room) == 8 {
            length = room;
        }
        put(payload, at + 4, &(length as u32 | flag).to_le_bytes());
        let checksum = crc32c::crc32c(&payload[at + 4..at + 16 + length]);
        put(payload, at, &checksum.to_le_bytes());
        at += 16 + length.next_multiple_of(8);
        records += 1;
    }
    records
}

/// A snapshot of everything before `position`, of parts in blocks of about `block` bytes.
pub fn snapshot(position: u64, hash: u64, parts: &[(u16, Vec<u8>)], block: usize) -> Vec<u8> {
    let mut bytes = b"LSHSNAPS\x01\0\0\0\0\0\0\0".to_vec();
    bytes.extend(SALT.to_le_bytes());
    bytes.extend(position.to_le_bytes());
    bytes.extend(hash.to_le_bytes());
    bytes.resize(64, 0);
    let (mut payload, mut count) = (Vec::new(), 0_u32);
    for (at, (kind, body)) in parts.iter().enumerate() {
        payload.extend((body.len() as u32).to_le_bytes());
        payload.extend(kind.to_le_bytes());
        payload.extend([0; 2]);
        payload.extend(body);
        count += 1;
        if payload.len() >= block || at + 1 == parts.len() {
            push_block(&mut bytes, count, &payload);
            payload.clear();
            count = 0;
        }
    }
    push_block(&mut bytes, 1 << 31, &(parts.len() as u64).to_le_bytes());
    fix_snapshot(&mut bytes);
    bytes
}

fn push_block(bytes: &mut Vec<u8>, count: u32, payload: &[u8]) {
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(payload);
}

/// Puts the checksums of a snapshot right, as far as its blocks follow each other.
fn fix_snapshot(bytes: &mut [u8]) {
    if bytes.len() < 64 {
        return;
    }
    seal(bytes, 60);
    let mut chain = crc32c::crc32c(&bytes[..64]);
    let mut at = 64;
    while at + 16 <= bytes.len() {
        let length = (u32_at(bytes, at) as usize).min(bytes.len() - at - 16);
        let block = &mut bytes[at..at + 16 + length];
        put(block, 0, &(length as u32).to_le_bytes());
        chain = crc32c::crc32c_append(crc32c::crc32c_append(chain, &block[..8]), &block[16..]);
        put(block, 8, &chain.to_le_bytes());
        seal(block, 12);
        at += 16 + length;
    }
}
