//! Enqueue, look, act on single jobs, wait.

use bytes::Bytes;
use queue_core::model::Outcome;

use crate::harness::{Store, check, failure, said};

#[test]
fn a_job_goes_in_and_is_shown() {
    let store = Store::new();
    store.file("mail.json", "{\"to\": \"bob\",\n \"n\": 1.50}\n");
    let session = store.session(&[
        "enqueue emails send '{\"to\": \"ann\"}'",
        "enqueue emails send @mail.json --delay 90s --id order-42 --priority 5 --attempts 3 --backoff exponential:5s:1h \
         --jitter 20 --timeout none --expires-in 2h --keep 1d --tag a --tag b --header trace=4bf9",
        "enqueue emails send --id order-42",
        "enqueue reports build 'no json' --raw --json",
        "job list",
        "job list --state delayed --json",
        "job list --queue nowhere",
        "job show 1",
        "job show order-42",
        "job show order-42 --json",
        "job show 3 --json",
        "queue list",
    ]);
    check("a_job_goes_in_and_is_shown", &session);
}

#[test]
fn a_payload_may_come_from_standard_input() {
    let store = Store::new();
    let mut text = said(&store.output_with(&["enqueue", "q", "n", "-"], "{\"a\": 1}\n"));
    text += &said(&store.output_with(&["enqueue", "q", "n", "-", "--raw"], "plain"));
    text += &said(&store.output_with(&["enqueue", "q", "n", "-"], "plain"));
    text += &store.session(&["job list", "job show 1 2 --json"]);
    check("a_payload_may_come_from_standard_input", &text);
}

#[test]
fn a_file_run_again_adds_only_what_is_missing() {
    let store = Store::new();
    let lines =
        "{\"name\":\"send\",\"payload\":{\"order\":\"o-1\"}}\n{\"name\":\"send\",\"payload\":{\"order\":\"o-1\"}}\n";
    store.file("jobs.ndjson", lines);
    store.file("more.ndjson", &format!("{lines}\n{{\"name\":\"send\",\"payload\":3,\"delay_ms\":90000}}\n"));
    let wrong = "{\"name\":\"send\"}\n{\"name\":\n{\"name\":\"send\",\"attempts\":\"five\"}\n{\"payload\":1}\n{\"nam\":\"x\"}\n";
    store.file("wrong.ndjson", wrong);
    let session = store.session(&[
        "enqueue q --file jobs.ndjson",
        "enqueue q --file jobs.ndjson",
        "enqueue q --file more.ndjson --json",
        "enqueue q --file jobs.ndjson --again",
        "enqueue q --file jobs.ndjson --again=monday",
        "enqueue q --file jobs.ndjson --again=monday",
        "enqueue orders --file jobs.ndjson --id-from order",
        "enqueue q --file wrong.ndjson",
        "enqueue q --file nowhere.ndjson",
        "queue list",
    ]);
    check("a_file_run_again_adds_only_what_is_missing", &session);
}

#[test]
fn a_large_file_goes_in_batches() {
    let store = Store::new();
    let lines: String = (0..2_500).map(|number| format!("{{\"payload\":{number}}}\n")).collect();
    let output = store.output_with(&["enqueue", "q", "--file", "-", "--name", "n"], &lines);
    assert_eq!(said(&output), "2500 jobs added to q\n");
    let again = store.output_with(&["enqueue", "q", "--file", "-", "--name", "n"], &lines);
    assert_eq!(said(&again), "0 jobs added to q, 2500 already there\n");
}

#[test]
fn verbs_change_jobs_or_say_why_not() {
    let store = Store::new();
    let session = store.session(&[
        "enqueue q n 1 --delay 1h",
        "job promote 1",
        "job promote 1",
        "job reschedule 1 --delay 95s",
        "job edit 1 --payload '{\"a\": 2}' --priority -7",
        "job show 1",
        "job retry 1",
        "job cancel 1 --because 'not needed'",
        "job cancel 1 --json",
        "job retry 1 --json",
        "job remove 1 2",
        "job remove 2",
        "job show 1",
        "job show x --queue q",
    ]);
    check("verbs_change_jobs_or_say_why_not", &session);
}

#[test]
fn waiting_tells_how_a_job_ended() {
    let store = Store::new();
    store.session(&["enqueue q n 1", "enqueue q n 2 --attempts 1", "enqueue q n 3", "enqueue q n 4"]);
    store.settle("q", Outcome::Complete { result: Some(Bytes::from_static(b"{\"sum\": 42}")) });
    store.settle("q", failure(true));
    store.settle("q", failure(true));
    let session = store.session(&[
        "job wait 1",
        "job wait 1 --json",
        "job wait 1 2",
        "job wait 4 --timeout 50ms",
        "enqueue q n 5 --wait 50ms",
        "job wait 99",
        "job logs 1",
        "job logs 1 --follow --json",
        "job show 2",
        "job list --cause retry",
    ]);
    check("waiting_tells_how_a_job_ended", &session);
}

#[test]
fn a_reader_that_went_away_does_not_hide_how_it_ended() {
    let store = Store::new();
    store.session(&["enqueue q n 1 --attempts 1", "enqueue q n 2"]);
    store.settle("q", failure(true));
    let code = |words: &[&str]| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        store.command(words).stdout(writer).status().expect("the program runs").code()
    };
    assert_eq!(code(&["job", "list"]), Some(0));
    assert_eq!(code(&["job", "wait", "1"]), Some(6));
    assert_eq!(code(&["job", "cancel", "2", "77"]), Some(3));
}

#[test]
fn a_long_list_is_followed_page_by_page() {
    let store = Store::new();
    let lines: String = (0..2_500).map(|number| format!("{{\"payload\":{number}}}\n")).collect();
    store.output_with(&["enqueue", "q", "--file", "-", "--name", "n"], &lines);
    let rows = |limit: &str| {
        let output = store.output(&["job", "list", "--json", "--limit", limit]);
        String::from_utf8(output.stdout).expect("text").lines().count()
    };
    assert_eq!([rows("1"), rows("1000"), rows("1001"), rows("9999")], [1, 1_000, 1_001, 2_500]);
    let table = said(&store.output(&["job", "list", "--limit", "2"]));
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.ends_with("[err] 2 are shown, and there may be more: --limit\n"), "{table}");
    let json = said(&store.output(&["job", "list", "--limit", "2", "--json"]));
    assert!(json.ends_with("[err] 2 are shown, and there may be more: --limit\n"), "{json}");
}

#[test]
fn jobs_are_found_by_what_stands_in_their_payloads() {
    let store = Store::new();
    let lines: String = (0..2_500).map(|number| format!("{{\"payload\":{{\"order\":\"o-{number}\"}}}}\n")).collect();
    said(&store.output_with(&["enqueue", "q", "--file", "-", "--name", "n"], &lines));
    let session = store.session(&[
        "enqueue emails send '{\"to\": \"ann@example.com\"}'",
        "job list --contains ann@example.com",
        "job list --contains ANN",
        "job list --contains '\"o-2400\"' --json",
        "job list --queue q --contains o-24 --limit 3",
        "dead list --contains o-1",
        "job list --contains ''",
        "dead redrive --contains o-1",
    ]);
    check("jobs_are_found_by_what_stands_in_their_payloads", &session);
}
