//! A job's log on its way to the engine: lines wait here until there are 100 of them, or for 200 ms, or until the job
//! is settled.
//!
//! Bounded as the job's log is (1,000 lines, 64 KiB): a handler that logs faster than the engine takes loses its oldest
//! lines, and the log says how many. `outbox` sends them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use queue_core::model::{LeaseRef, Limits, LogLine, LogSource};
use tokio::time::Instant;

/// Lines in one command, at most, and as many as do not wait any longer.
pub(crate) const CHUNK_LINES: usize = 100;
/// How long a line waits for others.
const LINGER: Duration = Duration::from_millis(200);

/// The waiting lines of one lease.
#[derive(Debug)]
pub(crate) struct JobLog {
    pub(crate) lease: LeaseRef,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<LogLine>,
    bytes: usize,
    left_out: u64,
    since: Option<Instant>,
    closed: bool,
}

/// What a new line asks of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is the first of a new lot: remember this log.
    First,
    /// The lot is full: send it now.
    Full,
    /// Nothing.
    Joined,
}

impl JobLog {
    pub(crate) fn new(lease: LeaseRef) -> Self {
        Self { lease, waiting: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic under this lock leaves at worst one line half counted.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one line (without line end).
    pub(crate) fn push(&self, source: LogSource, text: &str) -> Pushed {
        let mut waiting = self.lock();
        if waiting.closed {
            return Pushed::Joined;
        }
        let text = text[..text.floor_char_boundary(Limits::LOG_LINE_BYTES)].to_owned();
        waiting.bytes += text.len();
        waiting.lines.push_back(LogLine { source, text });
        while waiting.lines.len() > Limits::LOG_LINES || waiting.bytes > Limits::LOG_BYTES {
            let oldest = waiting.lines.pop_front().expect("a bound is exceeded only by lines");
            waiting.bytes -= oldest.text.len();
            waiting.left_out += 1;
        }
        match waiting.since {
            None => {
                waiting.since = Some(Instant::now());
                Pushed::First
            }
            Some(_) if waiting.lines.len() == CHUNK_LINES => Pushed::Full,
            Some(_) => Pushed::Joined,
        }
    }

    /// When its lines are to be sent; `None` if there are none.
    pub(crate) fn due(&self) -> Option<Instant> {
        let waiting = self.lock();
        let since = waiting.since?;
        Some(if waiting.lines.len() >= CHUNK_LINES { since } else { since + LINGER })
    }

    /// Takes all lines, in chunks for one command each.
    pub(crate) fn take(&self) -> Vec<Vec<LogLine>> {
        let mut waiting = self.lock();
        let left_out = std::mem::take(&mut waiting.left_out);
        let mut lines = Vec::from(std::mem::take(&mut waiting.lines));
        (waiting.bytes, waiting.since) = (0, None);
        drop(waiting);
        if left_out > 0 {
            let text = format!("({left_out} earlier lines left out: they came faster than they could be stored)");
            lines.insert(0, LogLine { source: LogSource::Err, text });
        }
        lines.chunks(CHUNK_LINES).map(<[LogLine]>::to_vec).collect()
    }

    /// Takes what is left; later lines are dropped, since their lease has ended.
    pub(crate) fn close(&self) -> Vec<Vec<LogLine>> {
        self.lock().closed = true;
        self.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> JobLog {
        JobLog::new(LeaseRef { number: Default::default(), token: Default::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn lines_wait_for_others_but_not_when_there_are_enough() {
        let log = log();
        assert_eq!(log.due(), None);
        assert_eq!(log.push(LogSource::Out, "1"), Pushed::First);
        assert_eq!(log.due(), Some(Instant::now() + LINGER));
        for _ in 2..CHUNK_LINES {
            assert_eq!(log.push(LogSource::Out, "2"), Pushed::Joined);
        }
        assert_eq!(log.push(LogSource::Out, "100"), Pushed::Full);
        assert_eq!(log.due(), Some(Instant::now()));
        assert_eq!(log.take().len(), 1);
        assert_eq!(log.due(), None);
        assert_eq!(log.push(LogSource::Err, "next lot"), Pushed::First);
    }

    #[tokio::test]
    async fn the_oldest_lines_go_and_the_log_says_so() {
        let log = log();
        for line in 0..1_500 {
            log.push(LogSource::Out, &line.to_string());
        }
        let chunks = log.take();
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 1_001);
        assert!(chunks[0][0].text.starts_with("(500 earlier lines left out"));
        assert_eq!(chunks[0][1].text, "500");
    }

    #[tokio::test]
    async fn bytes_are_bounded_and_long_lines_cut_between_characters() {
        let log = log();
        for _ in 0..100 {
            log.push(LogSource::Out, &"ä".repeat(10_000));
        }
        let bytes: usize = log.take().iter().flatten().map(|line| line.text.len()).sum();
        assert!(bytes <= Limits::LOG_BYTES + 200, "{bytes}");
    }

    #[tokio::test]
    async fn a_closed_log_takes_no_line() {
        let log = log();
        log.push(LogSource::Out, "last");
        assert_eq!(log.close().len(), 1);
        log.push(LogSource::Out, "late");
        assert!(log.take().is_empty());
    }
}
