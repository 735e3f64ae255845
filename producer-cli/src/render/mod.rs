//! Answers as people read them: text from plain values, without any I/O.
//!
//! Ages are told relative to `now_ms`, wall milliseconds, which the caller passes in. What is cut ends in an ellipsis.

pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod job;
pub(crate) mod operation;
pub(crate) mod queue;
pub(crate) mod series;
pub(crate) mod stats;
pub(crate) mod table;
pub(crate) mod worker;

use jiff::Timestamp;
use queue_core::model::duration::show_ms;

/// `3m 5s ago`, or `in 5s`.
pub(crate) fn relative(at_ms: u64, now_ms: u64) -> String {
    // Whole seconds: nobody reads the milliseconds of an age.
    let seconds = |ms: u64| show_ms(if ms >= 1_000 { ms / 1_000 * 1_000 } else { ms });
    match at_ms.checked_sub(now_ms) {
        Some(left) if left > 0 => format!("in {}", seconds(left)),
        _ => format!("{} ago", seconds(now_ms - at_ms)),
    }
}

/// A time in full, UTC, with milliseconds.
pub(crate) fn instant(at_ms: u64) -> String {
    let time = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{at_ms} ms since 1970"), |time| format!("{time:.3}"))
}

/// The time of day, UTC, with milliseconds.
pub(crate) fn clock_time(at_ms: u64) -> String {
    let of_day = at_ms % 86_400_000;
    let (seconds, ms) = (of_day / 1_000, of_day % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The first line of `text`, without control characters, at most `max` characters long.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let whole = line.chars().count() <= max && text.trim().lines().count() <= 1;
    if whole {
        return line.chars().map(clean).collect();
    }
    line.chars().map(clean).take(max.saturating_sub(1)).chain(['…']).collect()
}

/// Text that a job brought, safe to show: control characters other than line ends and tabs do not reach the terminal.
pub(crate) fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Counts as a line of at most `columns` bars, neighbours added together where there are more; a blank is none.
pub(crate) fn spark(counts: &[u64], columns: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let sums: Vec<u64> = counts.chunks(counts.len().div_ceil(columns).max(1)).map(|part| part.iter().sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(0);
    let bar = |&sum: &u64| match sum {
        0 => ' ',
        _ => BARS[((sum * 8).div_ceil(most) - 1) as usize],
    };
    sums.iter().map(bar).collect()
}

/// Bytes that are JSON by convention, as text; others by their number.
pub(crate) fn bytes(bytes: &[u8], max: usize) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().count() <= max => safe(text.trim_end()),
        Ok(text) => {
            let start: String = safe(text).chars().take(max).collect();
            format!("{start}… ({} bytes; all of them: --json)", bytes.len())
        }
        Err(_) => format!("no text, of {} B; all of it: --json", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_read_well() {
        assert_eq!(super::relative(10_000, 15_000), "5s ago");
        assert_eq!(super::relative(15_250, 10_000), "in 5s");
        assert_eq!(super::relative(10_000, 10_000), "0ms ago");
        assert_eq!(super::instant(1_796_119_200_007), "2026-12-01T10:00:00.007Z");
        assert_eq!(super::instant(u64::MAX), "18446744073709551615 ms since 1970");
        assert_eq!(super::clock_time(1_796_119_200_007), "10:00:00.007");
    }

    #[test]
    fn counts_are_drawn_as_bars() {
        assert_eq!(super::spark(&[0, 1, 4, 8, 0], 5), " ▁▄█ ");
        assert_eq!(super::spark(&[1, 1, 2, 2, 0], 3), "▄█ ", "two and two together");
        assert_eq!(super::spark(&[0, 0], 5), "  ");
        assert_eq!(super::spark(&[], 5), "");
    }

    #[test]
    fn what_jobs_bring_cannot_steer_the_terminal() {
        assert_eq!(super::safe("a\x1b[31mb\tc\n"), "a\u{fffd}[31mb\tc\n");
        assert_eq!(super::cut("a\x07b", 9), "a b");
        assert_eq!(super::cut("two\nlines", 9), "two…");
        assert_eq!(super::cut("ten letters", 5), "ten …");
        assert_eq!(super::bytes(b"\xff\xfe", 9), "no text, of 2 B; all of it: --json");
        assert_eq!(super::bytes(b"123456", 3), "123… (6 bytes; all of them: --json)");
    }
}
