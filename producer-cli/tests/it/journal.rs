//! A data directory looked into without a server: its events, and the state as it was.

use std::path::Path;

use bytes::Bytes;
use queue_core::model::Outcome;

use crate::harness::{Store, check, failure, said};

/// A store with a little life: completed, failed and to be retried, waiting, removed.
fn lived() -> Store {
    let store = Store::new();
    store.session(&["enqueue emails send '{\"to\": \"ann\"}' --id order-1 --header trace=4b", "enqueue emails send 2"]);
    store.settle("emails", Outcome::Complete { result: Some(Bytes::from_static(b"{\"sum\": 42}")) });
    store.settle("emails", failure(true));
    store.session(&["enqueue reports build 'no json' --raw", "job remove 2 --because 'sent by hand'"]);
    store
}

/// The wall time of the first event of this kind.
fn time_of(store: &Store, kind: &str) -> String {
    let output = store.output(&["journal", "dump", "store", "--event", kind]);
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    let (_, rest) = text.split_once("\"at\":\"").unwrap_or_else(|| panic!("no {kind}"));
    rest.split_once('"').expect("a text ends").0.to_owned()
}

fn bytes_of(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().expect("text"), std::fs::read(entry.path()).expect("a file")))
        .filter(|(name, _)| name != "LOCK")
        .collect();
    files.sort();
    files
}

#[test]
fn a_directory_tells_its_events() {
    let store = lived();
    let before = bytes_of(&store.path().join("store"));
    let session = store.session(&[
        "journal dump store",
        "journal dump store --job 1 --payloads",
        "journal dump store --job order-1 --queue emails --event completed",
        "journal dump store --queue reports --payloads",
        "journal dump store --job 2 --event removed",
        "journal dump store --queue nowhere",
    ]);
    check("a_directory_tells_its_events", &session);
    assert_eq!(bytes_of(&store.path().join("store")), before);
}

#[test]
fn a_directory_tells_the_state_as_it_was() {
    let store = lived();
    let (completed, failed) = (time_of(&store, "completed"), time_of(&store, "failed"));
    let dump = |flags: &str| format!("journal dump store --until {flags}");
    let lines = [
        dump(&completed),
        dump(&format!("{completed} --json")),
        dump(&format!("{failed} --job 2")),
        dump(&format!("{failed} --job order-1 --json")),
        dump(&format!("{failed} --queue reports")),
        dump("2020-01-01T00:00:00Z"),
        dump(&format!("{failed} --event failed")),
    ];
    check("a_directory_tells_the_state_as_it_was", &store.session(&lines.each_ref().map(String::as_str)));
}

/// Changes bytes of the first segment, from the first that `find` names on.
fn change(store: &Store, find: &[u8], with: &[u8]) {
    let path = store.path().join("store/00000001.segment");
    let mut bytes = std::fs::read(&path).expect("a segment");
    let at = bytes.windows(find.len()).position(|window| window == find).expect("it is there");
    bytes[at..at + with.len()].copy_from_slice(with);
    std::fs::write(&path, bytes).expect("written");
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let store = lived();
    change(&store, b"{\"sum\": 42}", b"{\"sum\": 43}");
    let output = store.output(&["journal", "dump", "store"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.lines().count() > 3 && !told.contains("completed"), "what is good before it is told: {told}");
    let text = said(&output);
    assert!(text.contains("[err] longshore: 00000001.segment is damaged at offset "), "{text}");
    assert!(text.ends_with("[exit 1]\n"), "{text}");
}

#[test]
fn a_torn_tail_is_a_warning() {
    let store = lived();
    let path = store.path().join("store/00000001.segment");
    let mut bytes = std::fs::read(&path).expect("a segment");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("written") + 1;
    bytes[end.next_multiple_of(8)..][..5].copy_from_slice(b"half ");
    std::fs::write(&path, bytes).expect("written");
    let output = store.output(&["journal", "dump", "store", "--event", "removed"]);
    let text = said(&output);
    assert!(text.contains("[err] 00000001.segment has a torn tail of 5 bytes at offset "), "{text}");
    assert!(text.starts_with("{\"position\":") && output.status.success(), "{text}");
}

#[test]
fn what_is_no_journal_or_in_use_is_refused() {
    let store = lived();
    std::fs::create_dir(store.path().join("other")).expect("a directory");
    store.file("other/notes.txt", "hello");
    std::fs::create_dir(store.path().join("empty")).expect("a directory");
    let in_use = store.with_engine(async |_| said(&store.output(&["journal", "dump", "store"])));
    assert!(in_use.contains("store is in use by process") && in_use.ends_with("[exit 1]\n"), "{in_use}");
    let session = store.session(&[
        "journal dump nowhere",
        "journal dump other",
        "journal dump empty",
        "journal dump other/notes.txt",
    ]);
    check("what_is_no_journal_or_in_use_is_refused", &session);
    assert!(!store.path().join("empty/LOCK").exists() && !store.path().join("nowhere").exists());
}
