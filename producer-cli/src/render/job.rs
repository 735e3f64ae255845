//! Jobs as people read them: a row of a list, everything of one, how one ended.

use queue_core::model::duration::show_ms;
use queue_core::model::typed::backoff;
use queue_core::model::{EndedLease, Job, JobNumber, JobState, JobSummary, LogLine, LogSource};

use super::table::{pairs, table};
use super::{bytes, cut, instant, relative, safe};

/// Longest payload, result and progress that are shown, in characters.
const SHOWN: usize = 4_000;

/// A row of a list.
fn row(job: &JobSummary, now_ms: u64) -> [String; 8] {
    [
        job.number.to_string(),
        cut(&job.queue, 30),
        cut(&job.name, 30),
        state(job),
        tries(job),
        when(job, now_ms),
        job.id.as_deref().filter(|id| !is_derived(id)).map_or(String::new(), |id| cut(id, 40)),
        job.error.as_deref().map_or(String::new(), |error| cut(error, 60)),
    ]
}

/// A table of jobs.
pub(crate) fn list(jobs: &[JobSummary], now_ms: u64) -> String {
    let head = ["JOB", "QUEUE", "NAME", "STATE", "TRIES", "WHEN", "ID", "LAST ERROR"];
    table(head, jobs.iter().map(|job| row(job, now_ms)), "jobs")
}

/// An id that nobody chose tells nobody anything; the number is shorter to type.
fn is_derived(id: &str) -> bool {
    let digits = id.strip_prefix("auto-").or_else(|| id.strip_prefix("file-"));
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn state(job: &JobSummary) -> String {
    let why = job.cause.map(|cause| cause.as_str()).or(job.reason.map(|reason| reason.as_str()));
    why.map_or_else(|| job.state.to_string(), |why| format!("{} ({why})", job.state))
}

fn tries(job: &JobSummary) -> String {
    format!("{}/{}", job.attempt, job.attempts)
}

/// The time that matters in this state.
fn when(job: &JobSummary, now_ms: u64) -> String {
    match (job.state, job.at_ms) {
        (JobState::Delayed, Some(at_ms)) => format!("due {}", relative(at_ms, now_ms)),
        (JobState::Active, Some(at_ms)) => format!("lease ends {}", relative(at_ms, now_ms)),
        (state, Some(at_ms)) if state.is_done() => relative(at_ms, now_ms),
        _ => relative(job.enqueued_at_ms, now_ms),
    }
}

/// Everything there is to say of a job.
pub(crate) fn whole(job: &Job, now_ms: u64) -> String {
    let summary = &job.summary;
    let head = format!("job {}: {} in {}\n", summary.number, safe(&summary.name), safe(&summary.queue));
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    row("state", format!("{}, {}", state(summary), when(summary, now_ms)));
    if job.cancel_requested {
        row("cancel", "asked for; its handler has been told".to_owned());
    }
    if let Some(id) = &summary.id {
        row("id", safe(id));
    }
    row("tries", format!("{} of {}, round {}", summary.attempt, summary.attempts, job.round));
    if job.stalls > 0 {
        row("stalls", job.stalls.to_string());
    }
    row("priority", summary.priority.to_string());
    row("enqueued", instant(summary.enqueued_at_ms));
    if let Some(at_ms) = summary.at_ms {
        row(if summary.state.is_done() { "ended" } else { "next" }, instant(at_ms));
    }
    row("backoff", backoff::show(&job.backoff));
    row("timeout", job.timeout_ms.map_or("none".to_owned(), show_ms));
    if let Some(at_ms) = job.expires_at_ms {
        row("expires", instant(at_ms));
    }
    if let Some(ms) = job.keep_ms {
        row("kept for", show_ms(ms));
    }
    if !summary.tags.is_empty() {
        row("tags", safe(&summary.tags.join(", ")));
    }
    for (name, value) in &job.headers {
        row("header", format!("{}={}", safe(name), safe(value)));
    }
    for (name, value) in [("payload", Some(&job.payload)), ("result", job.result.as_ref())] {
        value.into_iter().for_each(|value| row(name, bytes(value, SHOWN)));
    }
    if let Some(progress) = &job.progress {
        row("progress", bytes(progress, SHOWN));
    }
    if job.log_lines > 0 {
        row("log", format!("{} lines: longshore job logs {}", job.log_lines, summary.number.0));
    }
    head + &pairs(rows) + &timeline(job)
}

fn timeline(job: &Job) -> String {
    if job.leases.is_empty() {
        return String::new();
    }
    let head = ["LEASE", "ATTEMPT", "WORKER", "FROM", "TOOK", "OUTCOME", "ERROR"];
    let rows = job.leases.iter().map(lease_row);
    let left_out = match job.leases_left_out {
        0 => String::new(),
        n => format!("{n} leases between the first and the last are not kept\n"),
    };
    let text = table(head, rows, "leases") + &left_out;
    text.lines().map(|line| format!("  {line}\n")).collect::<String>()
}

fn lease_row(lease: &EndedLease) -> [String; 7] {
    let took = lease.ended_at_ms.map_or(String::new(), |end| show_ms(end.saturating_sub(lease.leased_at_ms)));
    let error = [lease.error_kind.as_deref(), lease.error.as_deref()].into_iter().flatten().collect::<Vec<_>>();
    [
        lease.lease.to_string(),
        lease.attempt.to_string(),
        cut(&lease.worker, 40),
        instant(lease.leased_at_ms),
        took,
        lease.outcome.to_string(),
        cut(&error.join(": "), 80),
    ]
}

/// A job as one line of JSON, with its bytes. Line ends within a payload that is JSON can only be blanks between its
/// parts, so that turning them into blanks changes nothing of its value.
pub(crate) fn json_line(job: &Job) -> String {
    String::from_utf8_lossy(&job.to_json()).replace(['\n', '\r'], " ")
}

/// How a job ended.
pub(crate) fn ending(job: &Job) -> String {
    let summary = &job.summary;
    let line = format!("job {} {}", summary.number, state(summary));
    let error = job.leases.last().and_then(|lease| lease.error.as_deref());
    match (summary.state, &job.result, error) {
        (JobState::Completed, Some(result), _) => format!("{line}: {}\n", bytes(result, SHOWN)),
        (JobState::Dead, _, Some(error)) => format!("{line}: {}\n", safe(error.trim_end())),
        _ => format!("{line}\n"),
    }
}

/// What a verb did.
pub(crate) fn changed(number: JobNumber, verb: &str, state: JobState) -> String {
    match (verb, state) {
        ("remove", _) => format!("job {number} removed\n"),
        ("cancel", JobState::Active) => format!("job {number} is active; its handler is told to stop\n"),
        ("edit", _) => format!("job {number} edited; it is {state}\n"),
        _ => format!("job {number} is {state} now\n"),
    }
}

/// A line of a job's log; what went to standard error is marked.
pub(crate) fn log_line(line: &LogLine) -> String {
    let mark = if line.source == LogSource::Err { "! " } else { "" };
    format!("{mark}{}\n", safe(&line.text))
}
