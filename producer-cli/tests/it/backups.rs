//! Backups and what is restored from them, and every way in which they are refused.

use crate::harness::Store;

/// Runs one command and checks how it ends and what it says of it.
fn check(store: &Store, line: &str, exit: i32, said: &str) {
    let output = store.output(&line.split(' ').collect::<Vec<_>>());
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text")).concat();
    assert_eq!(output.status.code(), Some(exit), "{line}: {text}");
    assert!(text.contains(said), "{line}: {text}");
}

#[test]
fn a_store_is_backed_up_and_restored_and_what_is_in_the_way_is_named() {
    let store = Store::new();
    check(&store, "enqueue q n 1", 0, "job #1");
    check(&store, "backup nightly", 0, "store-backups/nightly\nit has everything before position ");
    check(&store, "backup nightly", 1, "store-backups/nightly is there already; give the backup another name");
    check(&store, "backup a/b", 2, "name is a/b; allowed: a name of 1 to 200 bytes without a slash");
    check(&store, "backup --engine memory:", 1, "the memory engine keeps nothing on disk");
    check(
        &store,
        "restore store-backups/nightly restored",
        0,
        "restored is restored from store-backups/nightly: 1 file, ",
    );
    check(&store, "job show 1 --engine log:restored", 0, "waiting");
    check(
        &store,
        "restore store-backups/nightly restored",
        1,
        "restored is there already; a store is restored into an empty",
    );
    check(&store, "restore nowhere other", 1, "nowhere");
    check(&store, "restore store-backups/nightly other --json", 0, "\"files\":1");
}

#[test]
fn a_damaged_backup_and_half_a_restore_are_named() {
    let store = Store::new();
    check(&store, "enqueue q n 1", 0, "job #1");
    check(&store, "backup one", 0, "made");
    let segment = store.path().join("store-backups/one/00000001.segment");
    let mut bytes = std::fs::read(&segment).expect("it is there");
    bytes[200] ^= 1;
    std::fs::write(&segment, &bytes).expect("written");
    check(
        &store,
        "restore store-backups/one restored",
        1,
        "00000001.segment of store-backups/one is damaged at offset ",
    );
    let left: Vec<_> = std::fs::read_dir(store.path().join("restored")).expect("made").collect();
    assert_eq!(left.len(), 1, "but for LOCK nothing is left: {left:?}");
    bytes[200] ^= 1;
    std::fs::write(&segment, &bytes).expect("written");
    // As an interrupted restore leaves it.
    std::fs::write(store.path().join("restored/RESTORING"), "").expect("written");
    std::fs::copy(&segment, store.path().join("restored/00000001.segment")).expect("copied");
    check(
        &store,
        "job list --engine log:restored",
        1,
        "restored holds a restore that did not come to its end: run it again",
    );
    check(&store, "restore store-backups/one restored", 0, "restored is restored");
    check(&store, "job list --engine log:restored", 0, "#1");
}
