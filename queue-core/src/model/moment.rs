//! Moments as people type them: how long ago, a day, or a time with its zone. Now comes from whoever asks.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{Error, duration};

/// A moment as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So many milliseconds ago, whenever it is asked.
    Ago(u64),
    /// Milliseconds since the Unix epoch.
    At(u64),
}

impl Moment {
    /// Reads a moment; `field` names it in the error.
    ///
    /// # Errors
    ///
    /// `BADARG` for a time without its zone, one before 1970, and what is no time.
    ///
    /// # Examples
    ///
    /// ```
    /// use queue_core::model::Moment;
    /// assert_eq!(Moment::parse("since", "1h")?, Moment::Ago(3_600_000));
    /// assert_eq!(Moment::parse("since", "2026-12-01")?, Moment::At(1_796_083_200_000));
    /// assert_eq!(Moment::parse("since", "2026-12-01T10:00Z")?.at(0), 1_796_119_200_000);
    /// # Ok::<(), queue_core::model::Error>(())
    /// ```
    pub fn parse(field: &str, text: &str) -> Result<Self, Error> {
        let ago = duration::parse_ms(field, text).ok().map(Self::Ago);
        let at = || Some(Self::At(u64::try_from(instant(text)?.as_millisecond()).ok()?));
        let allowed = "how long ago, such as 1h or 2d; a day in UTC, such as 2026-12-01; or a time since 1970 with its \
            zone, such as 2026-12-01T10:00Z or 2026-12-01T10:00:00+01:00";
        ago.or_else(at).ok_or_else(|| Error::bad_arg(field, text, allowed))
    }

    /// The moment in milliseconds since the Unix epoch, where it is `now_ms`.
    pub const fn at(self, now_ms: u64) -> u64 {
        match self {
            Self::Ago(ms) => now_ms.saturating_sub(ms),
            Self::At(ms) => ms,
        }
    }
}

/// A time with its zone, or the beginning of a day in UTC.
fn instant(text: &str) -> Option<Timestamp> {
    // A day's own reader would take a time without its zone for a day.
    let day = || text.parse::<Date>().ok().filter(|_| text.len() == "2026-12-01".len());
    let begin = || Some(day()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    text.parse().ok().or_else(begin)
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in
            ["", "1", "yesterday", "2026-12-01T10:00", "2026-13-01", "1969-12-31", "1969-12-31T23:59:59Z", "-1h"]
        {
            let error = Moment::parse("since", text).expect_err(text);
            let shown = if text.is_empty() { "empty" } else { text };
            assert!(
                error.message.starts_with(&format!("since is {shown}; allowed: how long ago")),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn what_is_long_ago_is_not_before_1970() {
        assert_eq!(Moment::Ago(10).at(4), 0);
        assert_eq!(Moment::parse("since", "1970-01-01"), Ok(Moment::At(0)));
    }
}
