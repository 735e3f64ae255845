//! Wrong command lines: each names what is wrong, its value and what is allowed, and changes nothing.

use crate::harness::{Store, check, said};

/// Each line with its exit code and what it must say.
const WRONG: [(&str, i32, &[&str]); 34] = [
    ("enqueue", 2, &["<QUEUE> <NAME>", "longshore enqueue --help"]),
    ("enqueue q", 2, &["<NAME>"]),
    ("enqueue q n {a}", 2, &["PAYLOAD is {a}", "allowed: JSON"]),
    ("enqueue q n @nowhere", 2, &["cannot read nowhere", "no such file"]),
    ("enqueue q n 1 --delay 30", 2, &["--delay is 30", "allowed: a number with a unit: 30s"]),
    ("enqueue q n 1 --delay 11y", 2, &["--delay is 11y", "allowed"]),
    ("enqueue q n 1 --at tomorrow", 2, &["--at is tomorrow", "allowed: a time", "2026-12-01T10:00:00Z"]),
    ("enqueue q n 1 --priority 1001", 2, &["--priority is 1001", "-1000 to 1000"]),
    ("enqueue q n 1 --attempts 0", 2, &["--attempts is 0", "1 to 10000"]),
    ("enqueue q n 1 --backoff slowly", 2, &["--backoff is slowly", "exponential:DELAY[:MAX]"]),
    ("enqueue q n 1 --jitter 5", 2, &["--backoff"]),
    ("enqueue q n 1 --timeout 0s", 2, &["--timeout is 0s", "or none"]),
    ("enqueue q n 1 --id 42", 2, &["--id is 42", "not a digit"]),
    ("enqueue q n 1 --header x", 2, &["--header is x", "NAME=VALUE"]),
    ("enqueue q n 1 --file f", 2, &["--file", "cannot be used with"]),
    ("enqueue q --file f --wait", 2, &["--wait", "cannot be used with"]),
    ("job show 0", 2, &["job is 0", "from 1 to 18446744073709551615"]),
    ("job show 99999999999999999999", 2, &["job is 99999999999999999999", "from 1 to"]),
    ("job list --state done", 2, &["--state is done", "waiting, delayed, active"]),
    ("job list --cause lazy", 2, &["--cause is lazy", "scheduled, retry, snooze"]),
    ("job list --limit -1", 2, &["-1"]),
    ("job edit 1", 2, &["--payload"]),
    ("job reschedule 1", 2, &["--delay"]),
    ("queue set q attempts", 2, &["SETTING is attempts", "NAME=VALUE"]),
    ("queue set q lease=30", 2, &["lease is 30", "30s"]),
    ("dead list --reason bored", 2, &["--reason is bored", "exhausted, rejected, poison"]),
    ("--engine localhost queue list", 2, &["engine is localhost", "longshore://HOST:PORT"]),
    ("journal repair store --apply all", 2, &["--apply is all", "rebuild-snapshot, forget-history, skip, cut"]),
    ("journal compact store --history 5", 2, &["--history is 5", "512mb"]),
    ("journal dump", 2, &["<DIR>"]),
    ("journal dump store --event lost", 2, &["--event is lost", "enqueued, came-due, leased"]),
    ("journal dump store --until yesterday", 2, &["--until is yesterday", "allowed: a time"]),
    ("journal dump store --job 0", 2, &["job is 0", "from 1 to"]),
    ("completions tcsh", 2, &["tcsh", "bash, elvish, fish"]),
];

#[test]
fn wrong_command_lines_name_field_value_and_what_is_allowed() {
    let store = Store::new();
    for (line, exit, parts) in WRONG {
        let output = store.output(&line.split(' ').collect::<Vec<_>>());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(exit), "{line}: {text}");
        assert!(output.stdout.is_empty(), "{line}: {text}");
        assert!(text.starts_with("[err] longshore: "), "{line}: {text}");
        assert!(text.contains("\n[err]   "), "{line} says nothing to do next: {text}");
        parts.iter().for_each(|part| assert!(text.contains(part), "{line} does not say {part}: {text}"));
        for rust in ["u64", "i64", "usize", "Option", "Err(", "Some(", "invalid digit", "::", "panicked", "os error"] {
            assert!(!text.contains(rust), "{line} says {rust}: {text}");
        }
    }
    assert!(!store.path().join("store").exists(), "a wrong command line opens no store");
}

#[test]
fn what_is_not_there_or_not_allowed_has_its_own_exit_code() {
    let store = Store::new();
    store.session(&["enqueue q n 1"]);
    let session = store.session(&[
        "job show 77",
        "job show nobody",
        "queue show nowhere",
        "operation show 5",
        "job promote 1",
        "--engine postgres://u:secret@h/db queue list",
        "--engine longshore://secret@h queue list",
        "--engine log:/proc/nowhere queue list",
        "jb list",
        "job lst",
        "stats --jsn",
    ]);
    check("what_is_not_there_or_not_allowed_has_its_own_exit_code", &session);
}

#[test]
fn a_directory_that_another_process_has_is_said_with_what_to_do() {
    let store = Store::new();
    let text = store.with_engine(async |_| said(&store.output(&["queue", "list"])));
    assert!(text.contains("is in use by process") && text.contains("another engine: --engine"), "{text}");
    assert!(text.ends_with("[exit 1]\n"), "{text}");
}
