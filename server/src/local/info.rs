//! INFO: the server's report, in Redis' form of sections and `field:value` lines. It answers also while recovering.

use std::fmt::Write;

use queue_core::engine::EngineExt;
use queue_core::model::{JournalStats, Stats};
use queue_core::process::resident_bytes;
use queue_core::resp::Request as Frame;

use super::{Asked, Next};
use crate::shared::Shared;

/// The version of Redis whose protocol is spoken; clients decide by it what they may send.
const REDIS_VERSION: &str = "7.0.0";

const SECTIONS: [&str; 5] = ["server", "clients", "memory", "persistence", "stats"];

pub(super) fn ask(_: &mut Asked<'_, '_>) -> Next {
    Next::Info
}

/// The sections that were asked for.
pub(super) async fn report(shared: &Shared, frame: Frame<'_>) -> String {
    let asked: Vec<String> =
        frame.arguments().skip(1).map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
    let every = asked.is_empty() || asked.iter().any(|name| matches!(name.as_str(), "all" | "default" | "everything"));
    let stats = match shared.engine() {
        Ok(engine) => engine.stats().await.inspect_err(|error| shared.observe(error)).ok(),
        Err(_) => None,
    };
    let mut report = String::new();
    for section in SECTIONS {
        if every || asked.iter().any(|name| name == section) {
            if !report.is_empty() {
                report.push_str("\r\n");
            }
            let title: String = section[..1].to_ascii_uppercase() + &section[1..];
            line(&mut report, format_args!("# {title}"));
            write_section(&mut report, section, shared, stats.as_ref());
        }
    }
    report
}

fn line(report: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = write!(report, "{text}\r\n");
}

fn write_section(report: &mut String, section: &str, shared: &Shared, stats: Option<&Stats>) {
    let counters = shared.counters();
    let mut put = |field: &str, value: &dyn std::fmt::Display| line(report, format_args!("{field}:{value}"));
    match section {
        "server" => {
            put("longshore_version", &env!("CARGO_PKG_VERSION"));
            put("redis_version", &REDIS_VERSION);
            put("redis_mode", &"standalone");
            put("process_id", &std::process::id());
            put("tcp_port", &shared.port);
            put("uptime_in_seconds", &shared.started.elapsed().as_secs());
        }
        "clients" => {
            put("connected_clients", &counters.connected.get());
            put("blocked_clients", &counters.waiting.get());
            put("maxclients", &shared.limits.connections_max);
        }
        "memory" => {
            put("used_memory_rss", &resident_bytes().unwrap_or(0));
            put("maxmemory", &shared.memory_bytes_max.unwrap_or(0));
            put("blob_bytes", &stats.map_or(0, |stats| stats.blob_bytes));
        }
        "persistence" => {
            put("loading", &u8::from(shared.engine().is_err()));
            put("engine", &stats.map_or("loading", |stats| &stats.engine));
            put("fsync", &stats.map_or("loading", |stats| &stats.fsync));
            if let Some(journal) = stats.and_then(|stats| stats.journal.as_ref()) {
                write_journal(&mut put, journal);
            }
        }
        _ => {
            put("total_connections_received", &counters.accepted.get());
            put("rejected_connections", &counters.rejected.get());
            put("total_commands_processed", &counters.requests.get());
            if let Some(stats) = stats {
                write_stats(&mut put, stats);
            }
        }
    }
}

fn write_journal(put: &mut impl FnMut(&str, &dyn std::fmt::Display), journal: &JournalStats) {
    put("journal_position", &journal.position);
    put("journal_segments", &journal.segments);
    put("snapshot_bytes", &journal.snapshot_bytes);
    put("behind_snapshot_bytes", &journal.behind_snapshot_bytes);
    put("snapshots", &journal.snapshots);
    put("full", &u8::from(journal.full.is_some()));
    put("last_snapshot_status", &if journal.snapshot_failure.is_none() { "ok" } else { "err" });
}

fn write_stats(put: &mut impl FnMut(&str, &dyn std::fmt::Display), stats: &Stats) {
    put("state_hash", &stats.state_hash);
    put("queues", &stats.queues);
    let counts = &stats.counts;
    put("jobs_enqueued", &counts.enqueued);
    put("jobs_waiting", &counts.waiting);
    put("jobs_delayed", &counts.delayed);
    put("jobs_active", &counts.active);
    put("jobs_completed", &counts.completed);
    put("jobs_dead", &counts.dead);
    put("jobs_cancelled", &counts.cancelled);
    put("jobs_removed", &counts.removed);
    put("jobs_aged_out", &counts.aged_out);
}
