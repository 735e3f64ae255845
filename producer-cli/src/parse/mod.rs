//! Words of the command line to values. Pure, but for the files that a payload is read from.
//!
//! Each reader gets the name of its flag, so that an error names field, value and what is allowed.

pub(crate) mod ndjson;
pub(crate) mod payload;

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use queue_core::model::{Error, Limits, duration, is_name, typed};

/// A duration such as `30s`.
pub(crate) fn duration(flag: &str, text: &str) -> Result<u64, Error> {
    duration::parse_ms(flag, text)
}

/// A duration, or `none` for no bound (0). Zero itself is refused: it would mean no bound by accident.
pub(crate) fn duration_or_none(flag: &str, text: &str) -> Result<u64, Error> {
    match text {
        "none" => Ok(0),
        _ => match duration::parse_ms(flag, text) {
            Ok(ms) if ms > 0 => Ok(ms),
            Ok(_) => Err(Error::bad_arg(flag, text, "more than zero, or none")),
            Err(error) => Err(Error { message: format!("{}, or none", error.message), ..error }),
        },
    }
}

/// An integer within a range.
pub(crate) fn integer<T: FromStr + PartialOrd + Display>(flag: &str, text: &str, min: T, max: T) -> Result<T, Error> {
    let value = text.parse().ok().filter(|value| *value >= min && *value <= max);
    value.ok_or_else(|| Error::bad_arg(flag, text, &format!("an integer from {min} to {max}")))
}

/// A time with its zone, in milliseconds since the Unix epoch.
pub(crate) fn time(flag: &str, text: &str) -> Result<u64, Error> {
    let instant: Option<Timestamp> = text.parse().ok();
    let ms = instant.and_then(|instant| u64::try_from(instant.as_millisecond()).ok());
    let allowed = "a time since 1970 with its zone, such as 2026-12-01T10:00:00Z or 2026-12-01T10:00:00+01:00";
    ms.ok_or_else(|| Error::bad_arg(flag, text, allowed))
}

/// The name of a queue, job, tag.
pub(crate) fn name(flag: &str, text: &str) -> Result<String, Error> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    let shown = if text.len() > Limits::NAME_BYTES { format!("{} bytes long", text.len()) } else { text.to_owned() };
    Err(Error::bad_arg(flag, shown, "text of 1 to 255 bytes without control characters"))
}

/// A text that is looked for.
pub(crate) fn text(flag: &str, text: &str) -> Result<String, Error> {
    match text.len() {
        1..=Limits::NAME_BYTES => Ok(text.to_owned()),
        bytes => Err(Error::bad_arg(flag, format_args!("{bytes} bytes long"), "text of 1 to 255 bytes")),
    }
}

/// A job's own id.
pub(crate) fn id(flag: &str, text: &str) -> Result<String, Error> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let allowed = "text of 1 to 255 bytes with at least one character that is not a digit";
        return Err(Error::bad_arg(flag, text, allowed));
    }
    name(flag, text)
}

/// `NAME=VALUE`.
pub(crate) fn pair(flag: &str, text: &str) -> Result<(String, String), Error> {
    match text.split_once('=') {
        Some((key, value)) if is_name(key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::bad_arg(flag, text, "NAME=VALUE, such as trace=4bf92f35")),
    }
}

/// A size in bytes; `none` is no bound.
pub(crate) fn history(text: &str) -> Result<u64, Error> {
    let bytes = if text.eq_ignore_ascii_case("none") { Some(u64::MAX) } else { typed::size(text) };
    bytes.ok_or_else(|| Error::bad_arg("--history", text, "a size with a unit, such as 512mb or 2gb, or none"))
}

/// A size in bytes that a segment of the journal may have.
pub(crate) fn segment_bytes(text: &str) -> Result<u64, Error> {
    let fits = |bytes: &u64| (64 << 10..=1 << 30).contains(bytes);
    let bytes = typed::size(text).filter(fits);
    bytes.ok_or_else(|| Error::bad_arg("--segment-bytes", text, "a size from 64kb to 1gb"))
}

/// One of a list of words.
pub(crate) fn word<T: Copy + Display>(flag: &str, text: &str, all: &[T]) -> Result<T, Error> {
    let words: Vec<String> = all.iter().map(T::to_string).collect();
    let at = words.iter().position(|word| word == text);
    at.map(|at| all[at]).ok_or_else(|| Error::bad_arg(flag, text, &words.join(", ")))
}

#[cfg(test)]
mod tests {
    use queue_core::model::{Error, JobState};

    fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, expected: &str) {
        assert_eq!(answer.expect_err(expected).message, expected);
    }

    #[test]
    fn times_need_a_zone() {
        assert_eq!(super::time("--at", "2026-12-01T10:00:00Z").expect("a time"), 1_796_119_200_000);
        assert_eq!(super::time("--at", "2026-12-01T11:00:00+01:00").expect("a time"), 1_796_119_200_000);
        let allowed = "a time since 1970 with its zone, such as 2026-12-01T10:00:00Z or 2026-12-01T10:00:00+01:00";
        for text in ["2026-12-01T10:00:00", "tomorrow", "1969-01-01T00:00:00Z"] {
            refused(super::time("--at", text), &format!("--at is {text}; allowed: {allowed}"));
        }
    }

    #[test]
    fn values_out_of_range_are_refused_by_flag_and_value() {
        refused(super::integer("--attempts", "0", 1, 10_000), "--attempts is 0; allowed: an integer from 1 to 10000");
        refused(super::integer("--priority", "x", -5, 5), "--priority is x; allowed: an integer from -5 to 5");
        let allowed = "text of 1 to 255 bytes with at least one character that is not a digit";
        refused(super::id("--id", "42"), &format!("--id is 42; allowed: {allowed}"));
        refused(super::id("--id", ""), &format!("--id is empty; allowed: {allowed}"));
        refused(super::pair("--header", "a"), "--header is a; allowed: NAME=VALUE, such as trace=4bf92f35");
        let unit = "a number with a unit: 0s, 500ms, 5m, 2h, 1d, or none";
        refused(super::duration_or_none("--timeout", "0"), &format!("--timeout is 0; allowed: {unit}"));
        refused(super::duration_or_none("--timeout", "0s"), "--timeout is 0s; allowed: more than zero, or none");
    }

    #[test]
    fn words_are_listed_when_one_is_wrong() {
        assert_eq!(super::word("--state", "dead", JobState::ALL).expect("a state"), JobState::Dead);
        let states = "waiting, delayed, active, waiting-children, completed, dead, cancelled";
        refused(super::word("--state", "done", JobState::ALL), &format!("--state is done; allowed: {states}"));
    }
}
