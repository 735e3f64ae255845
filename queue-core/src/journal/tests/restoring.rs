//! What is restored from a backup: all of it or no store, whatever fails and whatever a crash leaves.

use std::path::Path;

use super::super::sim::{self, Plan};
use super::backups::{backed_up, made, no_progress};
use super::compaction::{append_frames, open};
use super::*;

#[test]
fn a_restored_store_has_what_the_backup_has_and_shares_nothing_with_it() {
    let (disk, mut kept) = backed_up();
    let (mut seen, mut last) = (Vec::new(), 0);
    let new = disk.at(Path::new("new"));
    let before = made(&disk, "one").list().expect("listed");
    let restored = restore(&made(&disk, "one"), &new, &mut |done, all| {
        assert!(last <= done && done <= all);
        last = done;
        seen.push((done, all));
    });
    let restored = restored.expect("it is whole");
    assert_eq!((seen.first().map(|seen| seen.0), seen.last().map(|seen| seen.0)), (Some(0), Some(2 * restored.bytes)));
    assert_eq!(restored.files, before.len() as u64 - 1, "all but the manifest");
    let (mut journal, recovered, state) = open(&new).expect("it opens");
    assert_eq!((state.kept.as_slice(), recovered.restored), (kept.as_slice(), true));
    append_frames(&mut journal, &mut kept, 30);
    journal.forget_backup().expect("the disk is well");
    journal.close(1).expect("it closes");
    let (_, recovered, state) = open(&new).expect("it opens again");
    assert_eq!((state.kept.as_slice(), recovered.restored), (kept.as_slice(), false));
    assert_ne!(open(&made(&disk, "one")).expect("a backup stays a store").2.kept, kept);
}

#[test]
fn a_store_is_restored_only_where_nothing_is() {
    let (disk, _) = backed_up();
    let new = disk.at(Path::new("new"));
    let refused = |error: Result<Restored, JournalError>| error.expect_err("refused").to_string();
    assert_eq!(
        refused(restore(&disk.at(Path::new("nothing")), &new, &mut no_progress)),
        "nothing holds no journal: it has no MANIFEST"
    );
    new.create("notes.txt").expect("made");
    let taken = "new is there already; a store is restored into an empty directory, name another one";
    assert_eq!(refused(restore(&made(&disk, "one"), &new, &mut no_progress)), taken);
    assert_eq!(new.list().expect("listed"), ["notes.txt"]);
    new.remove("notes.txt").expect("removed");
    restore(&made(&disk, "one"), &new, &mut no_progress).expect("it is empty");
    assert_eq!(refused(restore(&made(&disk, "one"), &new, &mut no_progress)), taken);
    let lock = made(&disk, "one").lock().expect("nobody has it");
    let error = restore(&made(&disk, "one"), &disk.at(Path::new("other")), &mut no_progress).expect_err("it is in use");
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    drop(lock);
}

#[test]
fn an_interrupted_restore_into_a_file_systems_root_is_run_again() {
    let (disk, kept) = backed_up();
    let new = disk.at(Path::new("new"));
    for name in ["lost+found", "RESTORING", "LOCK", "00000001.segment"] {
        new.create(name).expect("made");
    }
    restore(&made(&disk, "one"), &new, &mut no_progress).expect("it goes on");
    assert_eq!(open(&new).expect("it is a store").2.kept, kept);
}

#[test]
fn a_restore_whose_last_step_fails_leaves_no_store_and_can_be_run_again() {
    let (disk, kept) = backed_up();
    let directory_syncs = |disk: &SimDisk| {
        let whole = SimDisk::with_files(disk.files());
        restore(&made(&whole, "one"), &whole.at(Path::new("new")), &mut no_progress).expect("it is whole");
        whole.history().iter().filter(|call| matches!(call, sim::Call::SyncDirectory { .. })).count()
    };
    for nth in 0..directory_syncs(&disk) {
        let failing = SimDisk::with_files(disk.files());
        let (backup, new) = (made(&failing, "one"), failing.at(Path::new("new")));
        failing.fail_directory_sync_after(nth);
        restore(&backup, &new, &mut no_progress).expect_err("a sync fails");
        assert!(
            !new.list().is_ok_and(|names| names.iter().any(|name| name == "MANIFEST")),
            "sync {nth}: it is a store"
        );
        restore(&backup, &new, &mut no_progress).unwrap_or_else(|error| panic!("sync {nth}: {error}"));
        assert_eq!(open(&new).expect("it is a store").2.kept, kept);
    }
}

#[test]
fn a_bit_flipped_in_a_backup_is_found_by_a_restore_with_its_file_and_place() {
    let (disk, kept) = backed_up();
    let files = disk.files();
    let mut chance = super::super::sim::Chance(17);
    let mut flips = 0;
    for (name, content) in files.iter().filter(|(name, _)| name.starts_with("backups/one/")) {
        // Every byte of the short ones; of the others such that all kinds of places come.
        let step = (content.len() / 400).max(1);
        for at in (0..content.len()).step_by(step) {
            let mut files = files.clone();
            files.get_mut(name).expect("it is there")[at] ^= 1 << chance.below(8);
            let damaged = SimDisk::with_files(files);
            let new = damaged.at(Path::new("new"));
            let error = match restore(&made(&damaged, "one"), &new, &mut no_progress) {
                Err(error) => error,
                // What is left over at the end of a segment means nothing.
                Ok(_) if content[at] == 0 && open(&new).expect("it opens").2.kept == kept => continue,
                Ok(restored) => panic!("byte {at} of {name}: {restored:?}"),
            };
            let offset = match &error {
                JournalError::BackupDamaged { file, offset, .. } if name.ends_with(file.as_str()) => *offset,
                // The manifest's own first words.
                JournalError::Foreign { .. } | JournalError::UnknownVersion { .. } if name.ends_with("MANIFEST") => 0,
                other => panic!("byte {at} of {name}: {other}"),
            };
            assert!(offset <= at as u64, "byte {at} of {name}: {error}");
            assert_eq!(new.list().expect("listed"), [""; 0], "nothing is left of it");
            flips += 1;
        }
    }
    assert!(flips > 800, "only {flips}");
}

/// What a crash left of a restore: no store that opens unless it is whole, and one once it is restored again.
fn check_restoring(disk: &SimDisk, kept: &[Kept], interrupted: usize) -> Result<(), String> {
    let new = disk.at(Path::new("new"));
    let has = |name: &str| new.open(name).is_ok();
    if has("MANIFEST") {
        let (mut journal, recovered, state) = open(&new).map_err(|error| error.to_string())?;
        // Of each interrupted start there may be the frame below; and only behind one it is a store like any other.
        let more = state.kept.len().saturating_sub(kept.len());
        if !state.kept.starts_with(kept) || more > interrupted || (more == 0 && !recovered.restored) {
            return Err(format!("it is a store, and not the backup's: {more} more, {}", recovered.restored));
        }
        append_frames(&mut journal, &mut Vec::new(), 1);
        journal.forget_backup().map_err(|error| error.to_string())?;
        return if has("RESTORING") { Err("it still says that it is not whole".to_owned()) } else { Ok(()) };
    }
    let files = new.list().map_err(|error| error.to_string())?;
    if !files.is_empty() {
        match open(&new) {
            Err(JournalError::HalfRestored { directory }) if directory == "new" => {}
            Err(error) => return Err(format!("refused in other words: {error}")),
            Ok(_) => return Err(format!("half of it opens: {files:?}")),
        }
    }
    restore(&made(disk, "one"), &new, &mut no_progress).map_err(|error| format!("not again: {error}"))?;
    let state = open(&new).map_err(|error| error.to_string())?.2;
    if state.kept == kept { Ok(()) } else { Err("restored again, it has something else".to_owned()) }
}

/// What follows the crash of a restore is the restore again, or a start.
const RESTORES: Plan =
    Plan { lives: 1, draws: 3, one_in: 1, nested_one_in: [13, 59, 59], images_min: 1_000, place_min: 5 };

#[test]
fn whatever_a_crash_leaves_of_a_restore_is_no_store_or_the_whole_one() {
    let (disk, kept) = backed_up();
    // Without the calls that made it.
    let disk = SimDisk::with_files(disk.files());
    restore(&made(&disk, "one"), &disk.at(Path::new("new")), &mut no_progress).expect("it is whole");
    let places = disk.places();
    sim::run("restore", RESTORES, &["log", "snapshot", "manifest", "mark of a restore", "removal"], &mut |trial, _| {
        trial.crash(&disk, &|image| Some(places[image.point]), &mut |crashed| {
            check_restoring(crashed.disk, &kept, crashed.interrupted)
        })
    });
}
