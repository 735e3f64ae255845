//! Durations as people write them: `30s`, `500ms`, `5m`, `1h30m`, `2d`. A bare number is refused, since it hides its unit.

use super::{Error, Limits};

/// Reads a duration into milliseconds; `field` names it in the error.
///
/// # Errors
///
/// `BADARG` if a number has no unit, a unit is unknown, or the whole exceeds 10 years.
///
/// # Examples
///
/// ```
/// use queue_core::model::duration;
/// assert_eq!(duration::parse_ms("timeout", "1h30m")?, 5_400_000);
/// let error = duration::parse_ms("timeout", "30").unwrap_err();
/// assert_eq!(error.message, "timeout is 30; allowed: a number with a unit: 30s, 500ms, 5m, 2h, 1d");
/// # Ok::<(), queue_core::model::Error>(())
/// ```
pub fn parse_ms(field: &str, text: &str) -> Result<u64, Error> {
    let allowed = "a number with a unit: 30s, 500ms, 5m, 2h, 1d";
    let allowed = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() && text.len() < 10 {
        allowed.replacen("30", text, 1)
    } else {
        allowed.to_owned()
    };
    let total = sum_ms(text).filter(|&total| total <= Limits::DURATION_MS);
    total.ok_or_else(|| Error::bad_arg(field, text, &allowed))
}

fn sum_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        rest = tail.trim_start();
    }
    Some(total)
}

/// Milliseconds exactly, as they are typed: `1h30m15s`, `2s500ms`.
///
/// # Examples
///
/// ```
/// use queue_core::model::duration;
/// assert_eq!(duration::exact_ms(5_415_000), "1h30m15s");
/// assert_eq!(duration::parse_ms("lease", "2s500ms")?, 2_500);
/// # Ok::<(), queue_core::model::Error>(())
/// ```
pub fn exact_ms(ms: u64) -> String {
    let mut left = ms;
    let mut text = String::new();
    for (unit, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= unit_ms {
            text.push_str(&format!("{}{unit}", left / unit_ms));
            left %= unit_ms;
        }
    }
    if text.is_empty() { "0ms".to_owned() } else { text }
}

/// Milliseconds as people read them: the two largest units, such as `1h 30m`, `2.5s`, `340ms`.
pub fn show_ms(ms: u64) -> String {
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit} {small}{small_unit}"),
    };
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        1_000..60_000 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => two(ms / 60_000, "m", ms % 60_000 / 1_000, "s"),
        3_600_000..86_400_000 => two(ms / 3_600_000, "h", ms % 3_600_000 / 60_000, "m"),
        _ => two(ms / 86_400_000, "d", ms % 86_400_000 / 3_600_000, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, exact_ms, parse_ms, show_ms};

    #[test]
    fn what_is_shown_can_be_read_again() {
        for (ms, text) in [(0, "0ms"), (340, "340ms"), (30_000, "30s"), (5_400_000, "1h 30m"), (90_000_000, "1d 1h")] {
            assert_eq!(show_ms(ms), text);
            assert_eq!(parse_ms("d", text).expect(text), ms);
        }
    }

    #[test]
    fn what_is_shown_exactly_is_read_as_the_same_number() {
        for (ms, text) in [(0, "0ms"), (2_500, "2s500ms"), (5_415_000, "1h30m15s"), (86_400_001, "1d1ms")] {
            assert_eq!(exact_ms(ms), text);
        }
        let some = (0..60).flat_map(|bit| [1u64 << bit, (1u64 << bit) - 1, (1u64 << bit) / 3 * 5]);
        for ms in some.chain([Limits::DURATION_MS]).filter(|&ms| ms <= Limits::DURATION_MS) {
            assert_eq!(parse_ms("d", &exact_ms(ms)), Ok(ms));
        }
    }

    #[test]
    fn what_has_no_unit_or_is_too_long_is_refused() {
        for text in ["", "30", "s", "5x", "1h30", "-5s", "99999999999d", "1.5h"] {
            parse_ms("d", text).expect_err(text);
        }
    }
}
