//! Times and durations: relative, with the absolute one beside it for whoever points at it.
//!
//! `now_ms` is the wall clock of whoever renders; the page's script goes on from the same `datetime`.

use jiff::Timestamp;
use maud::{Markup, html};
use queue_core::model::duration::show_ms;

/// A time in full, UTC.
pub(crate) fn instant(at_ms: u64) -> String {
    let time = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{at_ms} ms since 1970"), |time| format!("{time:.3}"))
}

/// `5s ago`, `in 2m 5s`.
pub(crate) fn relative(at_ms: u64, now_ms: u64) -> String {
    // Whole seconds: nobody reads the milliseconds of an age.
    let shown = |ms: u64| show_ms(ms / 1_000 * 1_000).replace("0ms", "0s");
    if at_ms > now_ms { format!("in {}", shown(at_ms - now_ms)) } else { format!("{} ago", shown(now_ms - at_ms)) }
}

/// A time, relative, kept going by script.
pub(crate) fn ago(at_ms: u64, now_ms: u64) -> Markup {
    let absolute = instant(at_ms);
    html! { time datetime=(absolute) title=(absolute) { (relative(at_ms, now_ms)) } }
}

/// A duration: ms, then s, then m s, then h m.
pub(crate) fn took(ms: u64) -> String {
    show_ms(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_and_exact() {
        assert_eq!(relative(10_000, 15_999), "5s ago");
        assert_eq!(relative(15_250, 10_000), "in 5s");
        assert_eq!(relative(10_000, 10_400), "0s ago");
        assert_eq!(relative(0, 3_600_000), "1h ago");
        assert_eq!(
            ago(1_796_119_200_007, 1_796_119_260_007).into_string(),
            "<time datetime=\"2026-12-01T10:00:00.007Z\" title=\"2026-12-01T10:00:00.007Z\">1m ago</time>"
        );
    }
}
