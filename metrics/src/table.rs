//! Every metric: its name, type, labels, where it is exposed, and what it says.
//!
//! Names follow Prometheus' conventions: base units, `_total` for what only grows, one unit for each name.

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only grows, but for a restart of what counts it.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many values fell below which bound, their number and their sum.
    Histogram,
}

impl Type {
    /// The word as the exposition has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Which program exposes a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `longshore-server`.
    Server,
    /// `longshore-worker`.
    Worker,
    /// `longshore-dashboard`, also within `longshore dev`.
    Dashboard,
}

impl Program {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Server, Self::Worker, Self::Dashboard];

    /// Its name, as it is started.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "longshore-server",
            Self::Worker => "longshore-worker",
            Self::Dashboard => "longshore-dashboard",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub of: Type,
    /// Its labels, in their order.
    pub labels: &'static [&'static str],
    /// What its values are: `jobs`, `seconds`, `bytes` …
    pub unit: &'static str,
    /// Who exposes it.
    pub programs: &'static [Program],
    /// What it says.
    pub help: &'static str,
}

impl Metric {
    /// The metric of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }
}

macro_rules! metrics {
    ($($($program:ident)|+ $of:ident $name:literal [$($label:literal),*] $unit:literal $help:literal;)+) => {
        /// Every metric, in the order of the exposition.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            of: Type::$of,
            labels: &[$($label),*],
            unit: $unit,
            programs: &[$(Program::$program),+],
            help: $help,
        }),+];
    };
}

metrics! {
    Server | Worker | Dashboard Gauge "longshore_build_info" ["version"] "1" "Always 1; the label is the program's version.";
    Server | Worker Gauge "longshore_ready" [] "0 or 1"
        "Whether it serves: 0 while a server recovers, while the engine of a worker does not answer, and while either stops.";
    Server | Worker | Dashboard Gauge "longshore_uptime_seconds" [] "seconds" "Time since the program was started.";
    Server Gauge "longshore_jobs" ["queue", "state"] "jobs"
        "Jobs of a queue that are in a state; exact.";
    Server Gauge "longshore_jobs_retrying" ["queue"] "jobs"
        "Delayed jobs that wait for another try after a failure; they are among those of state delayed.";
    Server Gauge "longshore_queue_oldest_waiting_seconds" ["queue"] "seconds"
        "How long the job of a queue has waited that has waited longest, since it became ready or was given back; 0 where none waits.";
    Server Gauge "longshore_queues" [] "queues" "Queues that there are.";
    Server Counter "longshore_jobs_enqueued_total" ["queue"] "jobs"
        "Jobs ever enqueued; from the books, so a restart does not reset it.";
    Server Counter "longshore_jobs_removed_total" ["queue"] "jobs"
        "Jobs that somebody took out; from the books.";
    Server Counter "longshore_jobs_aged_out_total" ["queue"] "jobs" "Jobs that retention took out; from the books.";
    Server Counter "longshore_attempts_total" ["queue", "outcome"] "leases"
        "Leases that ended, by how: completed, failed (timeouts and rejections among them), released, snoozed, expired (stalls).";
    Server Histogram "longshore_wait_seconds" [] "seconds"
        "From when a job became ready, or was given back, until it was handed out.";
    Server Histogram "longshore_run_seconds" [] "seconds" "From a lease until its job was completed or failed.";
    Server Gauge "longshore_workers" ["state"] "workers"
        "Workers by state: running, quiet, stopping, and gone (fell silent within a day without taking their leave).";
    Server Gauge "longshore_connections" [] "connections" "Connections of clients that are open.";
    Server Gauge "longshore_connections_waiting" [] "connections" "Of these, those that wait for jobs, a job's end or events.";
    Server Counter "longshore_connections_accepted_total" [] "connections" "Connections ever accepted.";
    Server Counter "longshore_connections_rejected_total" [] "connections" "Connections turned away because there were too many.";
    Server Counter "longshore_requests_total" [] "requests" "Requests read.";
    Server Gauge "longshore_memory_bytes" ["kind"] "bytes"
        "What jobs take: rows (and what hangs on them), blobs (payloads, results, errors, logs).";
    Server Gauge "longshore_memory_max_bytes" [] "bytes" "What both kinds may take together; absent without --max-memory.";
    Server | Worker | Dashboard Gauge "process_resident_memory_bytes" [] "bytes" "Memory that the process has resident.";
    Server Counter "longshore_journal_bytes_total" [] "bytes" "Where the log ends: bytes ever written to it.";
    Server Gauge "longshore_journal_segments" [] "files" "Segments that are kept, for a start and for readers of the feed.";
    Server Gauge "longshore_journal_behind_snapshot_bytes" [] "bytes" "Log that a start would read behind the snapshot.";
    Server Gauge "longshore_snapshot_bytes" [] "bytes" "Length of the snapshot that a start begins with; 0 without one.";
    Server Counter "longshore_snapshots_total" [] "snapshots" "Snapshots made.";
    Server Counter "longshore_snapshot_failures_total" [] "snapshots" "Snapshots that came to nothing; the log says why.";
    Server Histogram "longshore_fsync_seconds" [] "seconds"
        "Time to write a frame of the journal and sync it, and of each sync beside the frames.";
    Server Histogram "longshore_frame_records" [] "records"
        "Records of each frame of the journal: how much shares one sync.";
    Server Gauge "longshore_disk_level" [] "0 to 3"
        "What is refused for lack of room on the disk: 0 nothing, 1 new work, 2 leases too, 3 all that has to be written.";
    Server Counter "longshore_clock_jumps_total" [] "jumps" "Jumps of the wall clock by more than a minute.";
    Worker Counter "longshore_worker_attempts_total" ["outcome"] "attempts"
        "Attempts that ended here: completed, failed, released, snoozed, cancelled, lost (nothing of that run counts).";
    Worker Histogram "longshore_worker_run_seconds" [] "seconds" "How long handlers ran.";
    Worker Histogram "longshore_worker_idle_seconds" [] "seconds"
        "How long places were free until jobs came for them; those that the answer to a settlement fills at once are not counted.";
    Worker Gauge "longshore_worker_leases" [] "leases"
        "Jobs that it holds: those that run, and those whose end the engine has not counted yet.";
    Worker Gauge "longshore_worker_concurrency" [] "jobs" "How many jobs it runs at once, at most.";
    Worker Gauge "longshore_worker_state" ["state"] "0 or 1" "1 for what it does: running, quiet, stopping.";
    Worker Gauge "longshore_worker_connected" [] "0 or 1" "Whether the engine answers.";
    Worker Counter "longshore_worker_reconnects_total" [] "connections" "How often the engine was found again after it had not answered.";
    Dashboard Counter "longshore_dashboard_requests_total" ["route", "status"] "requests"
        "Requests answered, by the route of the table that they were for (none: no such page, or refused before), and the status.";
    Dashboard Histogram "longshore_dashboard_request_seconds" ["route"] "seconds"
        "From a request until its answer began; of a stream of updates the begin alone.";
    Dashboard Counter "longshore_dashboard_logins_total" ["outcome"] "logins"
        "Logins: accepted, wrong (name or password), limited (refused for too many tries, without a look at either).";
    Dashboard Gauge "longshore_dashboard_viewers" [] "pages" "Pages that are open and kept up to date.";
    Dashboard Gauge "longshore_dashboard_topics" [] "regions" "Regions of pages that somebody watches, each once for a role.";
    Dashboard Counter "longshore_dashboard_renderings_total" [] "renderings"
        "Times that a region was rendered; once for all who watch it.";
    Dashboard Counter "longshore_dashboard_updates_total" [] "updates" "Updates sent to pages, each of one or more regions that changed.";
}

#[cfg(test)]
mod tests {
    use super::{METRICS, Type};

    #[test]
    fn names_are_unlike_and_follow_the_conventions() {
        for (at, metric) in METRICS.iter().enumerate() {
            let name = metric.name;
            assert!(METRICS[..at].iter().all(|other| other.name != name), "{name} stands there twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(metric.of == Type::Counter, name.ends_with("_total"), "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains(['|', '\n']), "{name}: {}", metric.help);
            for unit in ["seconds", "bytes"] {
                let named = name.trim_end_matches("_total").ends_with(unit);
                assert_eq!(named, metric.unit == unit, "{name} is in {}", metric.unit);
            }
        }
    }
}
