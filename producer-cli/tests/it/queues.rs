//! Queues, dead letters, operations, totals.

use queue_core::model::Outcome;

use crate::harness::{Store, check, failure};

#[test]
fn a_queue_is_set_paused_and_shown() {
    let store = Store::new();
    let session = store.session(&[
        "queue list",
        "queue set emails attempts=5 backoff=exponential:5s:1h lease=1m keep-completed=all",
        "queue pause emails --because 'mail server is down'",
        "queue show emails",
        "queue set emails attempts=default keep-completed=default",
        "queue resume emails --json",
        "queue show emails --json",
        "queue show nowhere",
        "queue pause nowhere",
    ]);
    check("a_queue_is_set_paused_and_shown", &session);
}

#[test]
fn dead_jobs_are_listed_sent_back_and_taken_out() {
    let store = Store::new();
    store.session(&["enqueue q n 1", "enqueue q m 2", "enqueue q n 3 --tag t"]);
    for _ in 0..3 {
        store.settle("q", failure(false));
    }
    let session = store.session(&[
        "dead list",
        "dead list --reason exhausted",
        "dead list --name m --json",
        "dead redrive --queue q --tag t --because 'server is back'",
        "dead purge --queue q --name n",
        "dead purge --queue q --name n --yes",
        "dead redrive --json",
        "queue list",
        "operation list",
        "operation show 1",
        "operation show 9",
        "operation cancel 1",
        "dead redrive --queue nowhere",
    ]);
    check("dead_jobs_are_listed_sent_back_and_taken_out", &session);
}

#[test]
fn totals_and_ping_answer() {
    let store = Store::new();
    store.session(&["enqueue q n 1"]);
    store.settle("q", Outcome::Complete { result: None });
    let session = store.session(&["stats", "stats --json", "ping", "ping --count 3", "ping --json"]);
    check("totals_and_ping_answer", &session);
}

#[test]
fn what_happened_is_counted_and_failures_are_grouped() {
    let store = Store::new();
    store.session(&["enqueue q mail 1", "enqueue q mail 2", "enqueue q scan 3"]);
    store.settle("q", failure(false));
    store.settle("q", failure(true));
    store.settle("q", Outcome::Complete { result: None });
    let session = store.session(&[
        "queue stats q --name mail --last 10m",
        "queue stats q --json --last 24h",
        "queue stats --last 2d",
        "queue stats --name n",
        "queue stats nowhere",
        "error list",
        "error list --queue q --name scan",
        "error show 'exit: mail server N said no'",
        "error show 'exit: nothing'",
        "error list --by count",
        "error list --json --since 1h",
    ]);
    check("what_happened_is_counted_and_failures_are_grouped", &session);
}
