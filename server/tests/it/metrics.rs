//! `/metrics` of a server under work: what it says is what the protocol says, and every figure stands in the table.

use std::sync::Arc;

use metrics::Program;
use metrics::testkit::{check_whole, get, scrape};
use queue_core::engine::{Engine, LocalEngine, LocalOptions};
use queue_core::model::{Error, Limits, QueueView, Stats};
use queue_core::resp::Value;

use crate::common::{Client, Server, config};

fn on_disk(directory: &tempfile::TempDir) -> impl Future<Output = Result<Arc<dyn Engine>, Error>> + Send + 'static {
    let path = directory.path().join("data");
    async move {
        let (engine, _) = LocalEngine::log(path, LocalOptions::default())?;
        Ok(Arc::new(engine) as Arc<dyn Engine>)
    }
}

fn served(admin: &str, engine: impl Future<Output = Result<Arc<dyn Engine>, Error>> + Send + 'static) -> Server {
    let config = server::Config { admin: Some(admin.to_owned()), ..config() };
    let server = Server::opening(config, engine);
    while get(server.bound.admin.expect("an admin address"), "/readyz").1 != "ready\n" {
        std::thread::yield_now();
    }
    server
}

/// Every number and text of a reply, in order.
fn flatten(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| flatten(item, texts)),
        Value::Map(pairs) => pairs.into_iter().for_each(|(_, value)| flatten(value, texts)),
        Value::Integer(number) => texts.push(number.to_string()),
        Value::Simple(text) => texts.push(text),
        Value::Bulk(bytes) => texts.push(String::from_utf8_lossy(&bytes).into_owned()),
        _ => {}
    }
}

/// Jobs of both queues in all kinds of states.
fn work(client: &mut Client) {
    for queue in ["emails", "other"] {
        for _ in 0..20 {
            client.text(&format!("JOB.ADD {queue} send 1"));
        }
        client.text(&format!("JOB.LEASE w COUNT 8 QUEUES {queue}"));
    }
}

#[test]
fn figures_agree_with_what_the_protocol_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = served("127.0.0.1:0", on_disk(&directory));
    let (admin, mut client) = (server.bound.admin.expect("an admin address"), server.client());
    work(&mut client);
    client.text("JOB.ADD emails send 1 '{\"delay_ms\":3600000}'");
    client.text("JOB.ADD idle send 1 '{\"delay_ms\":3600000}'");
    client.text("WORKER.BEAT '{\"worker\":\"w\",\"state\":\"quiet\"}'");
    let samples = scrape(admin);
    let sample = |name: &str| *samples.get(name).unwrap_or_else(|| panic!("{name} is missing: {samples:#?}"));
    let same = |name: &str, value: u64| assert_eq!(sample(name), value as f64, "{name}");
    for queue in ["emails", "other"] {
        let view: QueueView = serde_json::from_str(&client.text(&format!("QUEUE.GET {queue}"))).expect("a queue");
        let counts = view.counts;
        assert!(counts.active == 8 && counts.waiting == 12, "{counts:?}");
        same(&format!("longshore_jobs{{queue=\"{queue}\",state=\"waiting\"}}"), counts.waiting);
        same(&format!("longshore_jobs{{queue=\"{queue}\",state=\"delayed\"}}"), counts.delayed);
        same(&format!("longshore_jobs{{queue=\"{queue}\",state=\"active\"}}"), counts.active);
        same(&format!("longshore_jobs_enqueued_total{{queue=\"{queue}\"}}"), counts.enqueued);
        let oldest = sample(&format!("longshore_queue_oldest_waiting_seconds{{queue=\"{queue}\"}}"));
        assert!(oldest <= view.oldest_waiting_ms.expect("jobs wait") as f64 / 1_000.0, "{oldest} s");
    }
    let stats: Stats = serde_json::from_str(&client.text("STATS")).expect("totals");
    let journal = stats.journal.expect("a log");
    same("longshore_journal_bytes_total", journal.position);
    same("longshore_journal_segments", journal.segments);
    same("longshore_snapshots_total", journal.snapshots);
    same("longshore_memory_bytes{kind=\"blobs\"}", stats.blob_bytes);
    same("longshore_queues", 3);
    same("longshore_queue_oldest_waiting_seconds{queue=\"idle\"}", 0);
    same("longshore_wait_seconds_count", 16);
    same("longshore_workers{state=\"quiet\"}", 1);
    same("longshore_connections", 1);
    same("longshore_disk_level", 0);
    let frames = sample("longshore_frame_records_count");
    assert!(frames >= 1.0 && sample("longshore_frame_records_sum") >= 41.0, "{frames}");
    assert!(sample("longshore_fsync_seconds_count") >= 1.0 && sample("longshore_fsync_seconds_sum") > 0.0);
    check_whole(Program::Server, &samples, &["longshore_memory_max_bytes"]);
}

#[test]
fn leases_are_counted_by_how_they_ended() {
    let server = served("127.0.0.1:0", crate::common::memory());
    let (admin, mut client) = (server.bound.admin.expect("an admin address"), server.client());
    let settle = |client: &mut Client, how: &str, more: &str| {
        client.text("JOB.ADD q send 1");
        let mut leased = Vec::new();
        flatten(client.ask("JOB.LEASE w QUEUES q"), &mut leased);
        let token = leased.iter().find(|text| text.contains('-')).unwrap_or_else(|| panic!("a token: {leased:?}"));
        assert_eq!(client.text(&format!("{how} {} {token} {more}", leased[0])), "counted", "{leased:?}");
    };
    (0..3).for_each(|_| settle(&mut client, "JOB.COMPLETE", ""));
    settle(&mut client, "JOB.FAIL", "exit status FINAL");
    settle(&mut client, "JOB.SNOOZE", "60000");
    let samples = scrape(admin);
    let of = |outcome: &str| samples[&format!("longshore_attempts_total{{queue=\"q\",outcome=\"{outcome}\"}}")];
    assert_eq!(["completed", "failed", "released", "snoozed", "expired"].map(of), [3.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!((samples["longshore_wait_seconds_count"], samples["longshore_run_seconds_count"]), (5.0, 4.0));
}

#[test]
fn of_many_queues_the_first_stand_by_name_and_the_rest_together() {
    let server = served("127.0.0.1:0", crate::common::memory());
    let (admin, mut client) = (server.bound.admin.expect("an admin address"), server.client());
    let queues = Limits::FIGURE_QUEUES + 50;
    client.text("JOB.ADD other send 1");
    for queue in 1..queues {
        client.text(&format!("JOB.ADD q{queue} send 1"));
    }
    let samples = scrape(admin);
    let waiting: Vec<(&String, &f64)> = samples.iter().filter(|(name, _)| name.contains("state=\"waiting\"")).collect();
    assert_eq!(waiting.len(), Limits::FIGURE_QUEUES, "199 by name, the rest as one");
    assert_eq!(waiting.iter().map(|(_, value)| **value).sum::<f64>(), queues as f64, "none is lost");
    assert_eq!(samples["longshore_jobs{queue=\"other\",state=\"waiting\"}"], 51.0, "the queue of that name among them");
}

#[test]
fn a_scrape_does_not_grow_with_the_queues_and_jobs_that_there_are() {
    let server = served("127.0.0.1:0", crate::common::memory());
    let (admin, mut client) = (server.bound.admin.expect("an admin address"), server.client());
    let mut size = |from: usize, to: usize, jobs: usize| {
        for queue in from..to {
            (0..jobs).for_each(|_| drop(client.text(&format!("JOB.ADD queue-{queue:04} send 1"))));
        }
        (scrape(admin).len(), get(admin, "/metrics").1.len())
    };
    let (samples, bytes) = size(0, Limits::FIGURE_QUEUES + 1, 1);
    let (samples_later, bytes_later) = size(Limits::FIGURE_QUEUES + 1, 1_000, 5);
    assert_eq!(samples_later, samples, "what is beyond the first queues adds nothing");
    assert!(bytes_later < bytes + 5_000 && bytes < 500_000, "{bytes}, then {bytes_later}");
}

#[test]
fn before_the_engine_is_open_the_page_says_so() {
    let config = server::Config { admin: Some("127.0.0.1:0".to_owned()), ..config() };
    let (open, opened) = tokio::sync::oneshot::channel::<()>();
    let server = Server::opening(config, async {
        let _sent = opened.await;
        crate::common::memory().await
    });
    let admin = server.bound.admin.expect("an admin address");
    let samples = scrape(admin);
    assert_eq!(samples["longshore_ready"], 0.0);
    assert!(!samples.contains_key("longshore_queues"));
    drop(open);
    while scrape(admin)["longshore_ready"] == 0.0 {
        std::thread::yield_now();
    }
    assert!(scrape(admin).contains_key("longshore_queues"));
}
