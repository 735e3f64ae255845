//! The snapshot's file by itself: what was written comes back, and nothing else is ever taken for it.

use super::super::format::FRAME_BYTES_MAX;
use super::super::snapshot::{SnapshotHeader, SnapshotReader, SnapshotWriter, snapshot_name};
use super::*;

const SALT: u64 = 7;
const HEADER: SnapshotHeader = SnapshotHeader { position: Position::new(4_096), state_hash: 0x0123_4567, chain: 89 };

type Part = (u16, Vec<u8>);

/// Small parts, an empty one, and one that is larger than a block.
fn parts() -> Vec<Part> {
    let sizes = [0, 1, 7, 100, 70_000, 30_000, 30_000, 30_000, 5];
    sizes.into_iter().zip(1..).map(|(size, kind)| (kind, vec![kind as u8; size])).collect()
}

fn write(disk: &SimDisk, parts: &[Part]) -> (String, u64) {
    let mut writer = SnapshotWriter::create(disk, SALT, &HEADER, None).expect("the disk is well");
    for (kind, body) in parts {
        // In two pieces, as a caller has them who puts a head before bytes that are elsewhere.
        let (head, rest) = body.split_at(body.len() / 2);
        writer.part(*kind, &[head, rest]).expect("the disk is well");
    }
    let mut file = writer.finish().expect("the disk is well");
    file.stays = true;
    (file.name.clone(), file.bytes)
}

fn read(disk: &SimDisk) -> Result<(SnapshotHeader, Vec<Part>), JournalError> {
    let mut reader = SnapshotReader::open(disk, &snapshot_name(HEADER.position), SALT, HEADER.position)?;
    let mut parts = Vec::new();
    let mut keep = |kind, body: &[u8]| {
        parts.push((kind, body.to_vec()));
        Ok(())
    };
    while reader.next_block(&mut keep)? {}
    let header = *reader.header();
    Ok((header, parts))
}

fn with_bytes(bytes: Vec<u8>) -> SimDisk {
    SimDisk::with_files([(snapshot_name(HEADER.position), bytes)].into())
}

#[test]
fn what_was_written_comes_back() {
    for count in 0..=parts().len() {
        let disk = SimDisk::new();
        let parts = parts()[..count].to_vec();
        let (name, bytes) = write(&disk, &parts);
        assert_eq!(disk.files()[&name].len() as u64, bytes);
        assert_eq!(read(&disk).expect("it is whole"), (HEADER, parts));
    }
}

#[test]
fn the_largest_part_comes_back() {
    let disk = SimDisk::new();
    let parts = vec![(1, vec![7; FRAME_BYTES_MAX])];
    write(&disk, &parts);
    assert!(read(&disk).expect("it is whole") == (HEADER, parts));
}

#[test]
fn it_has_its_name_only_once_it_is_whole() {
    let disk = SimDisk::new();
    let mut writer = SnapshotWriter::create(&disk, SALT, &HEADER, None).expect("the disk is well");
    writer.part(1, &[&[0; 200_000]]).expect("the disk is well");
    writer.part(2, &[b"x"]).expect("the disk is well");
    assert_eq!(disk.list().expect("listed"), [format!("{}.new", snapshot_name(HEADER.position))]);
    drop(writer);
    for image in write_images() {
        let names = image.list().expect("listed");
        let named = names.contains(&snapshot_name(HEADER.position));
        assert!(!named || read(&image).is_ok(), "a name leads to a whole file, also after a crash: {names:?}");
    }
}

/// The disks that a crash may leave while a snapshot is written.
fn write_images() -> Vec<SimDisk> {
    let disk = SimDisk::new();
    write(&disk, &parts());
    disk.images(1, 3).map(|image| image.disk).collect()
}

#[test]
fn no_changed_bit_goes_unnoticed() {
    let disk = SimDisk::new();
    let (name, _) = write(&disk, &[(1, b"abc".to_vec()), (2, vec![0; 40]), (3, Vec::new())]);
    let bytes = disk.files()[&name].clone();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        check_damaged(&with_bytes(changed), &format!("bit {bit} of {}", bytes.len() * 8));
    }
}

#[test]
fn no_missing_or_added_byte_goes_unnoticed() {
    let disk = SimDisk::new();
    let (name, _) = write(&disk, &[(1, b"abc".to_vec()), (2, vec![9; 40])]);
    let bytes = disk.files()[&name].clone();
    for length in 0..bytes.len() {
        check_damaged(&with_bytes(bytes[..length].to_vec()), &format!("cut at {length}"));
    }
    let mut longer = bytes;
    longer.push(0);
    check_damaged(&with_bytes(longer), "a byte more");
}

#[test]
fn blocks_cannot_be_swapped_repeated_or_left_out() {
    let disk = SimDisk::new();
    let body = vec![1; 65_528];
    let (name, _) = write(&disk, &[(1, body.clone()), (1, body.clone()), (2, body)]);
    let bytes = disk.files()[&name].clone();
    let block = 16 + 8 + 65_528;
    let (header, blocks) = bytes.split_at(64);
    let piece = |at: usize| &blocks[at * block..(at + 1) * block];
    let end = &blocks[3 * block..];
    for order in [[0, 2, 1], [1, 0, 2], [0, 0, 2], [2, 1, 0]] {
        let pieces: Vec<&[u8]> = order.iter().map(|&at| piece(at)).collect();
        // Equal neighbours are told apart, too: each is chained to what is before it.
        check_damaged(&with_bytes([&[header], pieces.as_slice(), &[end]].concat().concat()), &format!("{order:?}"));
    }
    check_damaged(&with_bytes([header, piece(0), piece(2), end].concat()), "one left out");
}

#[test]
fn another_stores_snapshot_is_refused() {
    let disk = SimDisk::new();
    write(&disk, &parts());
    let name = snapshot_name(HEADER.position);
    let other_salt = SnapshotReader::open(&disk, &name, SALT + 1, HEADER.position);
    let other_position = SnapshotReader::open(&disk, &name, SALT, Position::new(8));
    for refused in [other_salt, other_position] {
        let error = refused.expect_err("it belongs elsewhere");
        assert!(matches!(error, JournalError::SnapshotDamaged { damage: Damage::Misplaced, .. }), "{error}");
    }
}

fn check_damaged(disk: &SimDisk, what: &str) {
    match read(disk) {
        Err(JournalError::SnapshotDamaged { .. }) => {}
        other => panic!("{what}: {other:?}"),
    }
}
