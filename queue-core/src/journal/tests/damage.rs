//! Torn tails, flipped bits, missing and foreign files, two owners.

use std::collections::BTreeMap;

use super::super::sim::Loss;
use super::*;

/// A store of `frames` frames, each sealed by what follows but the last.
fn files(frames: u8) -> (BTreeMap<String, Vec<u8>>, Vec<Kept>) {
    let (disk, records) = filled(FsyncPolicy::Always, frames);
    (disk.files(), records)
}

fn check(files: BTreeMap<String, Vec<u8>>, whole: &[Kept], torn: bool) {
    let disk = SimDisk::with_files(files.clone());
    let (journal, recovered, found) = reopen(&disk, FsyncPolicy::Always).expect("a torn tail is cut");
    assert_eq!(found, whole);
    assert_eq!(recovered.torn_bytes > 0, torn, "{recovered:?}");
    assert_eq!(recovered.torn_files.len(), usize::from(torn));
    for name in &recovered.torn_files {
        let (kept, from) = (&disk.files()[name], usize::try_from(recovered.end.get()).expect("small") + 64);
        assert_eq!(recovered.torn_bytes, kept.len() as u64, "all of it is in one file");
        assert_eq!(kept, &files["00000001.segment"][from..from + kept.len()]);
    }
    drop(journal);
    let (mut journal, again, found) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert_eq!((found.as_slice(), again.clean, again.torn_bytes), (whole, true, 0));
    let more = append(&mut journal, 50, 50, 50);
    commit(&mut journal, 50);
    drop(journal);
    let (_, _, found) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert_eq!(found, [whole, &[more]].concat());
}

#[test]
fn a_tail_cut_at_any_byte_loses_only_its_frame() {
    let (files, records) = files(3);
    let name = "00000001.segment";
    let used = files[name].iter().rposition(|byte| *byte != 0).expect("it is used") + 1;
    let last_frame = usize::try_from(records[4].position.get()).expect("small") - 48 + 64;
    for cut in last_frame..used {
        let mut files = files.clone();
        let segment = files.get_mut(name).expect("it is there");
        segment[cut..].fill(0);
        let torn = segment[last_frame..].iter().any(|byte| *byte != 0);
        check(files, &records[..4], torn);
    }
}

#[test]
fn a_flipped_bit_in_the_last_frame_cuts_it_and_before_it_is_corruption() {
    let (files, records) = files(3);
    let name = "00000001.segment";
    let last_frame = usize::try_from(records[4].position.get()).expect("small") - 48 + 64;
    let used = files[name].iter().rposition(|byte| *byte != 0).expect("it is used") + 1;
    for byte in 0..used {
        let mut files = files.clone();
        files.get_mut(name).expect("it is there")[byte] ^= 1 << (byte % 8);
        if byte >= last_frame {
            check(files, &records[..4], true);
            continue;
        }
        let disk = SimDisk::with_files(files.clone());
        let error = reopen(&disk, FsyncPolicy::Always).expect_err("corruption");
        assert!(matches!(error, JournalError::Corrupt { .. }), "byte {byte}: {error}");
        assert_eq!(disk.files(), files, "nothing was changed");
    }
}

#[test]
fn a_flipped_bit_in_a_sealed_log_loses_no_record_silently() {
    let (disk, records) = filled(FsyncPolicy::Always, 40);
    reopen(&disk, FsyncPolicy::Always).expect("it opens").0.close(1).expect("it closes");
    let (mut refused, mut whole) = (0, 0);
    for (name, bytes) in disk.files().iter().filter(|(name, _)| name.ends_with(".segment")) {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for byte in 0..used {
            let mut files = disk.files();
            files.get_mut(name).expect("it is there")[byte] ^= 1 << (byte % 8);
            match reopen(&SimDisk::with_files(files), FsyncPolicy::Always) {
                Ok((_, _, found)) => {
                    assert_eq!(found, records, "{name}, byte {byte}");
                    whole += 1;
                }
                Err(JournalError::Corrupt { file, offset, .. }) => {
                    assert_eq!(&file, name, "byte {byte}");
                    assert!(offset <= byte as u64, "{name}, byte {byte}: named at {offset}");
                    refused += 1;
                }
                Err(error) => panic!("{name}, byte {byte}: {error}"),
            }
        }
    }
    // Only the seal itself can go unnoticed, with the room and the echo behind it: then the log ends before it.
    assert!((48..48 + 512 + 48).contains(&whole), "{whole}");
    assert!(refused > 8000, "{refused}");
}

#[test]
fn a_damaged_segment_header_is_named_at_its_place() {
    let (files, _) = files(100);
    for (byte, damage) in [(0, Damage::Missing), (12, Damage::HeaderChecksum), (24, Damage::HeaderChecksum)] {
        let mut files = files.clone();
        files.get_mut("00000002.segment").expect("it is there")[byte] ^= 1;
        let error = reopen(&SimDisk::with_files(files), FsyncPolicy::Always).expect_err("corruption");
        let JournalError::Corrupt { file, offset, damage: found, .. } = &error else { panic!("{error}") };
        assert_eq!((file.as_str(), *offset, *found), ("00000002.segment", 0, damage), "{error}");
    }
}

#[test]
fn the_first_place_is_named_where_the_next_segments_header_is_gone_too() {
    let (disk, records) = filled(FsyncPolicy::Always, 40);
    reopen(&disk, FsyncPolicy::Always).expect("it opens").0.close(1).expect("it closes");
    let mut files = disk.files();
    let bytes = files.get_mut("00000001.segment").expect("it is there");
    // A frame of which only zeros are left, with others behind it.
    let frame = usize::try_from(records[2].position.get()).expect("small") - 48 + 64;
    let next = usize::try_from(records[3].position.get()).expect("small") - 48 + 64;
    assert!(frame < next && bytes[next..].iter().any(|byte| *byte != 0), "{frame} {next}");
    bytes[frame..next].fill(0);
    files.get_mut("00000002.segment").expect("in use")[..64].fill(0);
    let error = reopen(&SimDisk::with_files(files), FsyncPolicy::Always).expect_err("corruption");
    let JournalError::Corrupt { file, offset, .. } = &error else { panic!("{error}") };
    assert_eq!((file.as_str(), *offset), ("00000001.segment", frame as u64), "{error}");
}

#[test]
fn a_frame_with_an_unknown_flag_is_refused_and_not_cut() {
    let (files, records) = files(3);
    let last_frame = usize::try_from(records[4].position.get()).expect("small") - 48 + 64;
    for byte in [4, 5, 6, 7] {
        let mut files = files.clone();
        let frame = &mut files.get_mut("00000001.segment").expect("it is there")[last_frame..];
        frame[byte] |= 0x10;
        let checksum = crc32c::crc32c(&frame[..44]);
        frame[44..48].copy_from_slice(&checksum.to_le_bytes());
        let error = reopen(&SimDisk::with_files(files), FsyncPolicy::Always).expect_err("not understood");
        assert!(matches!(error, JournalError::Corrupt { damage: Damage::UnknownFlag, .. }), "{error}");
    }
}

#[test]
fn a_segment_that_begins_elsewhere_is_corruption() {
    let (mut files, _) = files(100);
    let third = files["00000003.segment"].clone();
    // The second one again, as if the third had been lost and a copy put in its place.
    files.insert("00000003.segment".to_owned(), files["00000002.segment"].clone());
    assert!(reopen(&SimDisk::with_files(files.clone()), FsyncPolicy::Always).is_err());
    files.insert("00000003.segment".to_owned(), third);
    assert!(reopen(&SimDisk::with_files(files), FsyncPolicy::Always).is_ok());
}

#[test]
fn corruption_names_file_offset_positions_and_the_command() {
    let (mut files, records) = files(3);
    files.get_mut("00000001.segment").expect("it is there")[64 + 60] ^= 1;
    let error = reopen(&SimDisk::with_files(files), FsyncPolicy::Always).expect_err("corruption").to_string();
    let synced = records[4].position.get() - 48;
    let expected = format!(
        "00000001.segment is damaged at offset 64 (position 0): the payload's checksum differs; everything before \
         position {synced} had been synced, so this is not a torn tail; nothing was changed; run \
         `longshore journal verify simulated disk`, then `longshore journal repair simulated disk`"
    );
    assert_eq!(error, expected);
}

#[test]
fn a_bad_frame_that_a_seal_names_is_corruption() {
    let disk = SimDisk::new();
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    append(&mut journal, 1, 1, 10);
    journal.close(1).expect("it closes");
    let mut files = disk.files();
    files.get_mut("00000001.segment").expect("it is there")[64 + 50] ^= 1;
    let error = reopen(&SimDisk::with_files(files), FsyncPolicy::Always).expect_err("corruption");
    assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
}

#[test]
fn a_frame_of_another_history_does_not_continue_this_one() {
    let stores: Vec<_> = [1, 2]
        .map(|byte| {
            let disk = SimDisk::new();
            let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
            let first = append(&mut journal, 1, byte, 40);
            let begin = usize::try_from(commit(&mut journal, 1).get()).expect("small") + 64;
            append(&mut journal, 2, 3, 40);
            commit(&mut journal, 2);
            (disk.files(), first, begin)
        })
        .into();
    // Same store, same place, same length, and whole: only what it is chained to differs.
    let (mut files, first, begin) = stores[0].clone();
    let other = &stores[1].0["00000001.segment"];
    files.get_mut("00000001.segment").expect("it is there")[begin..].copy_from_slice(&other[begin..]);
    check(files, &[first], true);
}

#[test]
fn a_missing_segment_is_named() {
    let (mut files, _) = files(100);
    files.remove("00000002.segment");
    let error = reopen(&SimDisk::with_files(files), FsyncPolicy::Always).expect_err("corruption");
    assert!(
        matches!(&error, JournalError::FileDamaged { file, damage: Damage::FileMissing, .. } if file == "00000002.segment"),
        "{error}"
    );
}

#[test]
fn a_missing_or_damaged_manifest_is_named() {
    let (whole, _) = files(3);
    let mut missing = whole.clone();
    missing.remove("MANIFEST");
    let mut damaged = whole.clone();
    damaged.get_mut("MANIFEST").expect("it is there")[20] ^= 1;
    let mut empty = whole;
    empty.get_mut("MANIFEST").expect("it is there").clear();
    for files in [missing, damaged, empty] {
        let error = reopen(&SimDisk::with_files(files), FsyncPolicy::Always).expect_err("corruption");
        assert!(matches!(&error, JournalError::FileDamaged { file, .. } if file == "MANIFEST"), "{error}");
    }
}

#[test]
fn an_unknown_version_is_refused() {
    let (mut files, _) = files(3);
    files.get_mut("MANIFEST").expect("it is there")[8] = 9;
    let error = reopen(&SimDisk::with_files(files), FsyncPolicy::Always).expect_err("unknown");
    assert!(matches!(error, JournalError::UnknownVersion { version: 9, .. }), "{error}");
}

/// Gives the header that begins a file another version, and a checksum that fits.
fn with_version(file: &mut [u8], version: u8) {
    file[8] = version;
    let checksum = crc32c::crc32c(&file[..60]);
    file[60..64].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn a_segment_of_another_version_is_refused_by_name_and_never_cut() {
    let (whole, _) = files(100);
    // Also the last one, which would otherwise be taken for a torn tail.
    for name in whole.keys().filter(|name| name.ends_with(".segment") && whole[*name][0] != 0) {
        let mut files = whole.clone();
        with_version(files.get_mut(name).expect("it is there"), 2);
        let disk = SimDisk::with_files(files.clone());
        let error = reopen(&disk, FsyncPolicy::Always).expect_err("unknown");
        let expected = format!("{name} in simulated disk has format version 2, this program knows version 1");
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(disk.files(), files);
    }
}

#[test]
fn a_directory_of_another_program_is_left_alone() {
    for name in ["PG_VERSION", "MANIFEST"] {
        let files: BTreeMap<_, _> = [(name.to_owned(), b"something else".to_vec())].into();
        let disk = SimDisk::with_files(files.clone());
        let error = reopen(&disk, FsyncPolicy::Always).expect_err("foreign");
        assert!(matches!(error, JournalError::Foreign { .. }), "{error}");
        assert_eq!((disk.files(), disk.calls()), (files, 0));
    }
}

#[test]
fn a_manifest_is_missed_whatever_else_lies_beside_the_segments() {
    let (mut files, _) = files(3);
    files.remove("MANIFEST").expect("it is there");
    // Before and after the segments in the order of names, which is that of this disk's listing.
    for name in ["!", "zzz"] {
        files.insert(name.to_owned(), b"something else".to_vec());
        let error = reopen(&SimDisk::with_files(files.clone()), FsyncPolicy::Always).expect_err("no manifest");
        assert!(
            error.to_string().contains("MANIFEST in simulated disk cannot be used: the file is missing"),
            "{error}"
        );
        files.remove(name);
    }
}

#[test]
fn a_store_whose_names_were_not_synced_is_not_served_before_they_are() {
    // A new store syncs its directory twice: for the first segment's name, and for the manifest's.
    for first in 0..2 {
        let disk = SimDisk::new();
        disk.fail_directory_sync_after(first);
        reopen(&disk, FsyncPolicy::Always).expect_err("a sync failed");
        let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
        let record = append(&mut journal, 1, 1, 10);
        // Without maintenance, which syncs the directory for its own sake.
        let running = journal.begin_commit(1).expect("something to commit");
        journal.finish_commit(running.run()).expect("the disk is well");
        drop(journal);
        let left = disk.after_power_loss(Loss::Everything);
        assert_eq!(reopen(&left, FsyncPolicy::Always).expect("it opens").2, [record]);
    }
}

#[test]
fn a_second_owner_is_refused_until_the_first_ends() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let storage = DirStorage::new(directory.path().join("data"));
    let (journal, ..) = reopen(&storage, FsyncPolicy::Always).expect("it opens");
    let error = reopen(&storage, FsyncPolicy::Always).expect_err("locked");
    let owner = format!("process {}", std::process::id());
    assert!(matches!(&error, JournalError::Locked { owner: found, .. } if *found == owner), "{error}");
    drop(journal);
    reopen(&storage, FsyncPolicy::Always).expect("it opens");
}

#[test]
fn a_visitor_that_refuses_stops_the_opening_and_changes_nothing() {
    let (disk, _) = filled(FsyncPolicy::Always, 3);
    let before = disk.files();
    let error = Journal::open(disk.clone(), small(FsyncPolicy::Always), &mut |_| Err("unknown kind".into()))
        .expect_err("refused");
    assert_eq!(error.to_string(), "the record at position 48 (kind 0) cannot be applied");
    assert_eq!(std::error::Error::source(&error).expect("a reason").to_string(), "unknown kind");
    assert_eq!(disk.files(), before);
}

#[test]
fn what_an_interruption_left_under_a_temporary_name_goes_at_the_next_start() {
    let (mut files, records) = files(3);
    for left in ["MANIFEST.new", "00000009.segment.new", "torn-1-1.1.new", "snapshot-1.new", "notes.new"] {
        files.insert(left.to_owned(), vec![1; 9]);
    }
    let disk = SimDisk::with_files(files);
    let (_, _, found) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert_eq!(found, records);
    let left: Vec<String> = disk.files().into_keys().filter(|name| name.ends_with(".new")).collect();
    assert_eq!(left, ["notes.new"], "what is not ours stays");
}

#[test]
fn bytes_in_a_prepared_segment_are_a_torn_tail_behind_a_sealed_log_too() {
    let (disk, records) = filled(FsyncPolicy::Always, 40);
    reopen(&disk, FsyncPolicy::Always).expect("it opens").0.close(1).expect("it closes");
    let mut files = disk.files();
    let mut prepared = files.iter_mut().filter(|(name, _)| name.ends_with(".segment"));
    let (_, bytes) = prepared.find(|(_, bytes)| bytes.iter().all(|byte| *byte == 0)).expect("one is prepared");
    bytes[100] = 7;
    let disk = SimDisk::with_files(files);
    let (_, recovered, found) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    assert_eq!((found, recovered.clean, recovered.torn_bytes), (records, false, 101));
}
