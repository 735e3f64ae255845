//! The format is what `docs/journal.md` says, and stays so: a change here is a new format version.

use super::super::format::*;
use super::*;

const PAGE: &str = include_str!("../../../../docs/journal.md");

#[test]
fn the_page_names_the_sizes_that_the_code_uses() {
    for (what, bytes) in [
        ("manifest without a snapshot's name", MANIFEST_BYTES_MIN),
        ("segment header", SEGMENT_HEADER_BYTES),
        ("snapshot header", snapshot::HEADER_BYTES),
        ("snapshot block head", snapshot::BLOCK_HEAD_BYTES),
        ("snapshot part head", snapshot::PART_HEAD_BYTES),
        ("frame header", FRAME_HEADER_BYTES),
        ("record head", RECORD_HEAD_BYTES),
        ("alignment of frames and records", ALIGNMENT),
        ("largest payload of a frame", FRAME_BYTES_MAX),
    ] {
        let row = format!("| {what} | {bytes} |");
        assert!(PAGE.contains(&row), "docs/journal.md lacks: {row}");
    }
    assert!(PAGE.contains(&format!("Format version {FORMAT_VERSION}.")));
    for magic in [&MANIFEST_MAGIC[..], &SEGMENT_MAGIC, &snapshot::SNAPSHOT_MAGIC, &FRAME_MAGIC] {
        let magic = std::str::from_utf8(magic).expect("magics are letters");
        assert!(PAGE.contains(&format!("`{magic}`")), "docs/journal.md lacks {magic}");
    }
}

/// Little-endian integer of a field, as the page's tables give it.
fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
    bytes[offset..offset + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn a_store_reads_as_the_page_draws_it() {
    let disk = SimDisk::new();
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::EverySec).expect("it opens");
    let record = append(&mut journal, 0x0102_0304_0506, 42, 5);
    journal.close(1).expect("it closes");
    let files = disk.files();

    let manifest = &files["MANIFEST"];
    assert_eq!(manifest.len(), 48);
    let fields = [(8, 4), (12, 4), (16, 8), (24, 4), (28, 4), (32, 8), (40, 4)];
    assert_eq!(fields.map(|(at, n)| number(manifest, at, n)), [1, 1, 7, 1, 1, 0, 0]);
    assert_eq!(number(manifest, 44, 4), u64::from(crc32c::crc32c(&manifest[..44])));

    let segment = &files["00000001.segment"];
    let salt = number(segment, 16, 8);
    assert_eq!([(8, 4), (12, 4), (24, 8), (36, 8)].map(|(at, n)| number(segment, at, n)), [1, 1, 0, 4096]);
    let first_chain = crc32c::crc32c(&7_u64.to_le_bytes());
    assert_eq!(number(segment, 32, 4), u64::from(first_chain));
    assert_eq!(number(segment, 60, 4), u64::from(crc32c::crc32c(&segment[..60])));

    let frame = &segment[64..64 + 48 + 24];
    assert_eq!(&frame[..8], b"LSFR\x01\0\0\0");
    let fields = [(8, 8), (16, 8), (24, 4), (28, 4), (32, 8)].map(|(at, n)| number(frame, at, n));
    assert_eq!(fields, [salt, 0, 1, 24, 0]);
    let chain = crc32c::crc32c_append(crc32c::crc32c_append(first_chain, &frame[..40]), &frame[48..]);
    assert_eq!(number(frame, 40, 4), u64::from(chain));
    assert_eq!(number(frame, 44, 4), u64::from(crc32c::crc32c(&frame[..44])));

    assert_eq!(record.position, Position::new(48));
    let record = &frame[48..];
    assert_eq!(number(record, 0, 4), u64::from(crc32c::crc32c(&record[4..16 + 5])));
    assert_eq!([(4, 4), (8, 2), (10, 6)].map(|(at, n)| number(record, at, n)), [1 << 31 | 5, 42, 0x0102_0304_0506]);
    assert_eq!(record[16..], [42, 42, 42, 42, 42, 0, 0, 0]);

    let fields = [(5, 1), (16, 8), (24, 4), (28, 4), (32, 8)];
    let seal = &segment[64 + 72..64 + 72 + 48];
    assert_eq!(fields.map(|(at, n)| number(seal, at, n)), [1, 72, 0, 512 - (64 + 72), 72]);
    assert!(segment[64 + 72 + 48..512].iter().all(|byte| *byte == 0));
    let echo = &segment[512..512 + 48];
    assert_eq!(fields.map(|(at, n)| number(echo, at, n)), [3, 512 - 64, 0, 0, 72]);
    assert_eq!(number(echo, 44, 4), u64::from(crc32c::crc32c(&echo[..44])));
    assert!(segment[512 + 48..].iter().all(|byte| *byte == 0));
}

#[test]
fn record_heads_keep_kind_flag_and_time() {
    for (kind, skippable, at) in [(0, false, 0), (u16::MAX, true, AT_MAX), (7, true, 1 << 40)] {
        let mut bytes = vec![0; RECORD_HEAD_BYTES];
        bytes.extend_from_slice(b"body");
        close_record(&mut bytes, 0, kind, skippable, at);
        let (record, length) = decode_record(&bytes, Position::ZERO).expect("it is whole");
        assert_eq!(record, Record { position: Position::ZERO, kind, skippable, at, body: b"body" });
        assert_eq!((length, bytes.len()), (24, 24));
    }
}

fn manifests() -> [Manifest; 3] {
    let before = Generation { snapshot: None, first_segment: 3, first_position: Position::new(4096) };
    let newest = Generation { snapshot: Some("a-snapshot".to_owned()), first_segment: 5, ..before.clone() };
    let two = Manifest { store_salt: 7, oldest_segment: 2, newest, before: Some(before), backup_end: None };
    let backup = two.of_backup(Position::new(1 << 40));
    [Manifest::new(7), two, backup]
}

/// The manifest with these bytes behind all that it has.
fn with_more(manifest: &Manifest, more: &[u8]) -> Vec<u8> {
    let mut bytes = manifest.encode();
    bytes.truncate(bytes.len() - 4);
    bytes.extend_from_slice(more);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

#[test]
fn a_manifest_comes_back_as_it_was_written() {
    for manifest in manifests() {
        assert_eq!(Manifest::decode(&manifest.encode()).expect("it is whole"), manifest);
    }
}

#[test]
fn a_manifests_field_of_a_later_version_is_passed_over_only_if_it_may_be() {
    for manifest in manifests() {
        let field = |number: u16| [&number.to_le_bytes()[..], &4_u32.to_le_bytes(), b"more"].concat();
        assert_eq!(Manifest::decode(&with_more(&manifest, &field(1 << 15 | 9))).expect("it may be"), manifest);
        assert_eq!(Manifest::decode(&with_more(&manifest, &field(9))), Err(ManifestFault::Field(9)));
        // No field, half a field, a field of ours that is too short.
        for more in [&b"mor"[..], &field(1 << 15)[..9], &field(1)] {
            assert_eq!(Manifest::decode(&with_more(&manifest, more)), Err(ManifestFault::Damaged), "{more:?}");
        }
    }
    let backup = &manifests()[2];
    let field = [&1_u16.to_le_bytes()[..], &8_u32.to_le_bytes(), &(1_u64 << 40).to_le_bytes()].concat();
    assert_eq!(
        backup.encode()[backup.encode().len() - 4 - field.len()..][..field.len()],
        field,
        "as the page draws it"
    );
    assert_eq!(Manifest::decode(&with_more(backup, &field)), Err(ManifestFault::Damaged), "twice");
}

#[test]
fn a_manifest_that_says_too_much_or_too_little_is_damaged() {
    for (at, byte) in [(24, 0), (24, 3), (40, 200)] {
        let mut bytes = manifests()[1].encode();
        bytes.truncate(bytes.len() - 4);
        bytes[at] = byte;
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        assert_eq!(Manifest::decode(&bytes), Err(ManifestFault::Damaged), "{byte} at {at}");
    }
}

#[test]
fn a_manifest_that_names_what_it_does_not_keep_is_damaged() {
    let [new, two, _] = manifests();
    let older =
        |generation: Option<Generation>| generation.map(|generation| Generation { first_segment: 6, ..generation });
    let unordered = [
        Manifest { oldest_segment: 0, ..new.clone() },
        // A start would remove the log.
        Manifest { oldest_segment: 2, ..new },
        Manifest { oldest_segment: 4, ..two.clone() },
        // The generation before begins behind the newest.
        Manifest { before: older(two.before.clone()), ..two },
    ];
    for manifest in unordered {
        assert_eq!(Manifest::decode(&manifest.encode()), Err(ManifestFault::Damaged), "{manifest:?}");
    }
}
