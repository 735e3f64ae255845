//! A damaged data directory: what is said of it, what can be done, and that it is done.

use std::path::PathBuf;

use queue_core::model::Outcome;

use crate::harness::{Store, check, said};

/// A store with two snapshots, and a log behind them.
fn lived() -> Store {
    let store = Store::new();
    for round in ["1", "2", "3"] {
        if round != "1" {
            let compacted = store.output(&["journal", "compact", "store"]);
            assert!(compacted.status.success(), "{}", said(&compacted));
        }
        store.session(&["enqueue emails send 1", "enqueue emails send 2", "enqueue reports build 3"]);
        store.settle("emails", Outcome::Complete { result: None });
    }
    store
}

/// Files whose names begin so, ascending.
fn files(store: &Store, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(store.path().join("store")).expect("a directory");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    files.sort();
    files
}

/// Flips a bit.
fn damage(path: &PathBuf, at: usize) {
    let mut bytes = std::fs::read(path).expect("a file");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

const LOOK: [&str; 5] = [
    "--engine log:store stats",
    "journal verify store",
    "journal verify store --json",
    "journal repair store",
    "journal repair store --json",
];

fn look_and_apply(name: &str, store: &Store, choice: &str) {
    let mut text = store.session(&LOOK);
    let apply = format!("journal repair store --apply {choice}");
    text.push_str(&store.session(&[&apply, "journal verify store", "queue list --json", "enqueue emails send 4"]));
    check(name, &text);
    assert!(!files(store, "set-aside-").is_empty());
}

#[test]
fn a_sound_directory_is_said_to_be() {
    let store = lived();
    let session = store.session(&[
        "journal verify store",
        "journal verify store --json",
        "journal repair store",
        "journal repair store --apply cut",
        "journal compact store",
        "journal compact store --json",
        "journal verify nowhere",
        "journal compact nowhere",
    ]);
    check("a_sound_directory_is_said_to_be", &session);
    assert!(!store.path().join("nowhere").exists());
}

#[test]
fn a_damaged_log_is_cut() {
    let store = lived();
    let last =
        files(&store, "0").into_iter().rfind(|path| std::fs::read(path).expect("a file").iter().any(|byte| *byte != 0));
    damage(&last.expect("one in use"), 64 + 48 + 700);
    look_and_apply("a_damaged_log_is_cut", &store, "cut");
}

#[test]
fn bad_frames_are_skipped() {
    let store = lived();
    let last =
        files(&store, "0").into_iter().rfind(|path| std::fs::read(path).expect("a file").iter().any(|byte| *byte != 0));
    damage(&last.expect("one in use"), 64 + 48 + 700);
    check("bad_frames_are_skipped", &store.session(&["journal repair store --apply skip", "journal verify store"]));
}

#[test]
fn a_damaged_snapshot_is_rebuilt() {
    let store = lived();
    damage(files(&store, "snapshot-").last().expect("two"), 100);
    look_and_apply("a_damaged_snapshot_is_rebuilt", &store, "rebuild-snapshot");
}

#[test]
fn damage_of_the_past_is_let_go() {
    let store = lived();
    damage(files(&store, "snapshot-").first().expect("two"), 100);
    damage(files(&store, "0").first().expect("segments"), 64 + 100);
    let mut text = store.session(&LOOK[1..]);
    text.push_str(&store.session(&["journal repair store --apply forget-history", "journal verify store"]));
    check("damage_of_the_past_is_let_go", &text);
}

#[test]
fn what_is_in_use_is_left_alone() {
    let store = lived();
    let said = store.with_engine(async |_| {
        ["verify", "repair", "compact"].map(|tool| said(&store.output(&["journal", tool, "store"])))
    });
    for said in said {
        assert!(said.contains("store is in use by process") && said.ends_with("[exit 1]\n"), "{said}");
    }
}
