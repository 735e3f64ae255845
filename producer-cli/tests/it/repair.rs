//! A damaged data directory: what is said of it, what can be done, and that it is done.

use std::path::PathBuf;
use std::sync::Arc;

use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{LeaseOrder, LeaseRef, Outcome};

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

/// Leases the next job as this worker and completes it.
async fn work(engine: &Arc<dyn Engine>, worker: &str) {
    let order = LeaseOrder { queues: vec!["emails".into()], limit: 1, worker: worker.into(), lease_ms: None };
    let job = engine.lease_now(order).await.expect("a good order").pop().expect("a job waits");
    let lease = LeaseRef { number: job.number, token: job.token };
    engine.settle(lease, Outcome::Complete { result: None }).await.expect("held");
}

/// Where a text stands in the newest segment that has it.
fn find(store: &Store, text: &str) -> (PathBuf, usize) {
    let found = files(store, "0").into_iter().rev().find_map(|path| {
        let bytes = std::fs::read(&path).expect("a file");
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
        Some((path, at))
    });
    found.expect("it stands there")
}

#[test]
fn what_a_worker_did_is_kept_where_its_name_is_lost() {
    let store = Store::new();
    store.session(&[
        "enqueue emails send 1",
        "enqueue emails send 2",
        "enqueue emails send 3",
        "enqueue emails send 4",
    ]);
    store.with_engine(async |engine| {
        work(engine, "ann").await;
        for _ in 0..2 {
            work(engine, "bert").await;
        }
    });
    // The name of the second worker, and with it the lease of #2: what it did with #3 stands behind it, whole.
    let (path, at) = find(&store, "bert");
    damage(&path, at);
    let text = store.session(&[
        "journal repair store",
        "journal repair store --apply skip",
        "journal repair store --json",
        "journal verify store",
        "job show 3",
        "job show 3 --json",
        "job list",
    ]);
    check("what_a_worker_did_is_kept_where_its_name_is_lost", &text);
    store.with_engine(async |engine| {
        for worker in ["bert", "carl"] {
            work(engine, worker).await;
        }
    });
    let shown = store.session(&["journal compact store", "job show 2", "job show 3", "job show 4"]);
    assert!(shown.contains("bert") && shown.contains("carl") && shown.contains("unknown worker 1"), "{shown}");
}

#[test]
fn jobs_whose_name_or_policy_is_lost_are_told() {
    let store = Store::new();
    store.session(&["enqueue emails send 1", "enqueue emails build 2", "enqueue emails build 3"]);
    store.session(&[
        "enqueue emails build 4 --attempts 7",
        "enqueue emails build 5 --attempts 7",
        "enqueue emails send 6",
    ]);
    for text in ["build", "\u{7}\0\0\0"] {
        let (path, at) = find(&store, text);
        damage(&path, at);
    }
    let text = store.session(&[
        "journal repair store --json",
        "journal repair store --apply skip",
        "job list",
        "enqueue emails build 7",
        "journal verify store",
    ]);
    check("jobs_whose_name_or_policy_is_lost_are_told", &text);
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
