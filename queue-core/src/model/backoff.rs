//! Backoff: how long a failed job waits before its next attempt. The rule itself; chance comes in as a number.
//!
//! All durations in milliseconds; the factor in thousandths, so that no float decides anything.

use serde::{Deserialize, Serialize};

use super::{Error, Limits};

/// How the pause grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffKind {
    /// Always `delay_ms`.
    Fixed,
    /// `delay_ms × factor^(attempt − 1)`, at most `max_ms`.
    Exponential,
}

/// Pause before the next attempt, with a cap and jitter.
///
/// The default is the store's: exponential from 5 s, doubling, at most 1 h, then 0–20 % more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// Fixed or exponential.
    pub kind: BackoffKind,
    /// The first pause: 0 to 10 years.
    pub delay_ms: u64,
    /// Growth per attempt in thousandths: 1,000 to 10,000; default 2,000 (doubling). Unused where fixed.
    #[serde(default = "Backoff::doubling")]
    pub factor_thousandths: u32,
    /// Largest pause before jitter; default 1 h. Unused where fixed.
    #[serde(default = "Backoff::one_hour")]
    pub max_ms: u64,
    /// Largest random addition, in percent of the pause: 0 to 100; default 0.
    #[serde(default)]
    pub jitter_percent: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { jitter_percent: 20, ..Self::exponential(5_000) }
    }
}

impl Backoff {
    const fn doubling() -> u32 {
        2_000
    }

    const fn one_hour() -> u64 {
        3_600_000
    }

    /// The same pause each time, no jitter.
    pub const fn fixed(delay_ms: u64) -> Self {
        Self {
            kind: BackoffKind::Fixed,
            delay_ms,
            factor_thousandths: Self::doubling(),
            max_ms: Limits::DURATION_MS,
            jitter_percent: 0,
        }
    }

    /// Doubling from `delay_ms`, at most 1 h, no jitter.
    pub const fn exponential(delay_ms: u64) -> Self {
        Self {
            kind: BackoffKind::Exponential,
            delay_ms,
            factor_thousandths: Self::doubling(),
            max_ms: Self::one_hour(),
            jitter_percent: 0,
        }
    }

    /// The pause after failed attempt `attempt` (counted from 1): the rule of BullMQ's and Sidekiq's
    /// exponential retries, `delay × factor^(attempt − 1)` cut at `max_ms`, plus `chance` of the jitter.
    ///
    /// `chance` is a uniform 32-bit number: 0 adds nothing, `u32::MAX` the whole jitter.
    ///
    /// # Examples
    ///
    /// ```
    /// use queue_core::model::Backoff;
    /// let backoff = Backoff { max_ms: 60_000, ..Backoff::exponential(1_000) };
    /// // A fixed pause has no cap but its own length.
    /// assert_eq!(Backoff { max_ms: 3_600_000, ..Backoff::fixed(7_200_000) }.pause_ms(1, 0), 7_200_000);
    /// assert_eq!([1, 2, 3, 9].map(|attempt| backoff.pause_ms(attempt, 0)), [1_000, 2_000, 4_000, 60_000]);
    /// ```
    pub fn pause_ms(&self, attempt: u32, chance: u32) -> u64 {
        let cap = match self.kind {
            BackoffKind::Fixed => Limits::DURATION_MS,
            BackoffKind::Exponential => self.max_ms.min(Limits::DURATION_MS),
        };
        let mut pause = self.delay_ms.min(cap);
        if self.kind == BackoffKind::Exponential {
            for _ in 1..attempt {
                if pause == 0 || pause >= cap || self.factor_thousandths <= 1_000 {
                    break;
                }
                // At least one more, so that a small pause with a small factor still grows.
                pause = (pause * u64::from(self.factor_thousandths) / 1_000).max(pause + 1).min(cap);
            }
        }
        let jitter = u128::from(pause) * u128::from(self.jitter_percent) * u128::from(chance);
        pause + (jitter / 100 / u128::from(u32::MAX)) as u64
    }

    /// Checks the ranges given at each field.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and its range.
    pub fn check(&self) -> Result<(), Error> {
        let duration = "milliseconds from 0 to 315360000000 (10 years)";
        if self.delay_ms > Limits::DURATION_MS {
            return Err(Error::bad_arg("backoff.delay_ms", self.delay_ms, duration));
        }
        if self.max_ms > Limits::DURATION_MS {
            return Err(Error::bad_arg("backoff.max_ms", self.max_ms, duration));
        }
        if !(1_000..=10_000).contains(&self.factor_thousandths) {
            return Err(Error::bad_arg("backoff.factor_thousandths", self.factor_thousandths, "1000 to 10000"));
        }
        if self.jitter_percent > 100 {
            return Err(Error::bad_arg("backoff.jitter_percent", self.jitter_percent, "0 to 100"));
        }
        Ok(())
    }
}
