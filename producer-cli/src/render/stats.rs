//! The store's totals and its workers as people read them.

use queue_core::model::{Stats, WorkerView};

use super::queue::counts;
use super::table::pairs;
use super::worker;

/// Totals, then workers.
pub(crate) fn totals(stats: &Stats, workers: &[WorkerView], now_ms: u64) -> String {
    let head = format!("engine {}, fsync {}, version {}\n", stats.engine, stats.fsync, stats.version);
    let mut rows = vec![("queues".to_owned(), stats.queues.to_string())];
    rows.extend(counts(&stats.counts));
    rows.push(("bytes kept".to_owned(), stats.blob_bytes.to_string()));
    rows.push(("state".to_owned(), stats.state_hash.clone()));
    if let Some(journal) = &stats.journal {
        rows.push(("segments kept".to_owned(), journal.segments.to_string()));
        rows.push(("snapshot bytes".to_owned(), journal.snapshot_bytes.to_string()));
        rows.push(("log bytes behind it".to_owned(), journal.behind_snapshot_bytes.to_string()));
        if let Some(failure) = &journal.snapshot_failure {
            rows.push(("no snapshot".to_owned(), failure.clone()));
        }
        if let Some(full) = &journal.full {
            rows.push(("full".to_owned(), full.clone()));
        }
    }
    head + &pairs(rows) + &worker::list(workers, now_ms)
}
