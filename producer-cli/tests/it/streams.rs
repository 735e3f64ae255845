//! Answers that go on: the feed, and readers that go away.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{Store, check};

#[test]
fn the_feed_is_told_line_by_line() {
    let store = Store::new();
    let lines = "{\"payload\":1}\n{\"payload\":2}\n";
    store.output_with(&["enqueue", "q", "--file", "-", "--name", "n"], lines);
    let session = store.session(&["watch --from 0 --limit 3 --queue q", "watch --from 0 --limit 2 --json --queue q"]);
    check("the_feed_is_told_line_by_line", &session);
}

#[test]
fn the_newest_events_are_told_first_on_request() {
    let store = Store::new();
    store.output_with(
        &["enqueue", "q", "--file", "-", "--name", "n"],
        "{\"payload\":1}\n{\"payload\":2}\n{\"payload\":3}\n",
    );
    store.output(&["enqueue", "other", "n"]);
    let session = store.session(&[
        "watch --last 1 --limit 1 --queue other",
        "watch --last 2 --limit 2 --queue q",
        "watch --last 100 --limit 4 --queue q",
        "watch --last 0",
        "watch --last 2 --from 0",
    ]);
    check("the_newest_events_are_told_first_on_request", &session);
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let store = Store::new();
    let lines: String = (0..5_000).map(|number| format!("{{\"payload\":{number}}}\n")).collect();
    store.output_with(&["enqueue", "q", "--file", "-", "--name", "n"], &lines);
    let mut child = store
        .command(&["job", "list", "--limit", "5000", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a first line");
    assert!(line.starts_with("{\"number\":5000,"), "{line}");
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn without_a_terminal_there_is_no_colour_and_no_bar() {
    let store = Store::new();
    let lines: String = (0..1_500).map(|number| format!("{{\"payload\":{number}}}\n")).collect();
    let output = store.output_with(&["enqueue", "q", "--file", "-", "--name", "n"], &lines);
    let refused = store.output(&["job", "show", "0"]);
    for text in [output.stdout, output.stderr, refused.stderr] {
        assert!(!text.contains(&0x1b), "{}", String::from_utf8_lossy(&text));
    }
}
