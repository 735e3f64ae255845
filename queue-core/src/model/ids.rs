//! Names of things: job numbers, job references, lease tokens, and the two-clock instant `Now`.
//!
//! All are small copies. Text forms are what people type and what the wire carries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, Limits};

/// A job's number: unique in the store, ascending from 1, never used again. Shown as `#42`, typed as `42` or `#42`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobNumber(pub u64);

impl fmt::Display for JobNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A bulk operation's number: unique in the store, ascending from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationNumber(pub u64);

impl fmt::Display for OperationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Proof of holding a lease: the epoch of the broker's start (upper 32 bits) and a counter (lower 32 bits).
///
/// Tokens only grow and never return, also across restarts, because an epoch is at least one more than the last
/// and at least the seconds since 1970 at its start. Shown as `EPOCH-COUNTER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken(pub u64);

impl LeaseToken {
    /// The last token that belongs to the time before `epoch`'s first lease.
    pub const fn at_epoch(epoch: u32) -> Self {
        Self((epoch as u64) << 32)
    }

    /// The epoch this token was made in.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The token after this one. A full counter runs over into the next epoch, which keeps tokens growing.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for LeaseToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = text.split_once('-').and_then(|(epoch, counter)| {
            let epoch: u32 = epoch.parse().ok()?;
            let counter: u32 = counter.parse().ok()?;
            Some(Self((u64::from(epoch) << 32) | u64::from(counter)))
        });
        parsed.ok_or_else(|| Error::bad_arg("token", text, "EPOCH-COUNTER as the lease gave it, such as 1795263000-17"))
    }
}

impl Serialize for LeaseToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LeaseToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: Error| serde::de::Error::custom(error.message))
    }
}

/// A lease as its holder names it: the job and the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRef {
    /// The leased job.
    pub number: JobNumber,
    /// The token that the lease gave.
    pub token: LeaseToken,
}

/// How a verb names a job: by number, or by the id its producer chose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobRef {
    /// `42` or `#42`.
    Number(JobNumber),
    /// A producer's id; `queue` is needed only where two queues know the id.
    Id {
        /// The queue that the id belongs to, if it was said.
        queue: Option<String>,
        /// The id: up to 255 bytes with at least one character that is not a digit.
        id: String,
    },
}

impl JobRef {
    /// Reads what a user typed: digits, or `#` and digits, are a number; everything else is an id.
    ///
    /// # Errors
    ///
    /// `BADARG` if the text is empty, longer than 255 bytes, or a number out of range (1 to 2^64 − 1); and for a queue
    /// beside a number, since the number alone names the job, perhaps of another queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use queue_core::model::{JobNumber, JobRef};
    /// assert_eq!(JobRef::parse("#42", None)?, JobRef::Number(JobNumber(42)));
    /// assert_eq!(JobRef::parse("order-42", None)?, JobRef::Id { queue: None, id: "order-42".into() });
    /// assert!(JobRef::parse("42", Some("emails")).is_err());
    /// # Ok::<(), queue_core::model::Error>(())
    /// ```
    pub fn parse(text: &str, queue: Option<&str>) -> Result<Self, Error> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match digits.parse() {
                Ok(number) if number > 0 => match queue {
                    None => Ok(Self::Number(JobNumber(number))),
                    Some(queue) => {
                        Err(Error::bad_arg("queue", queue, "only beside an id; a number names its job alone"))
                    }
                },
                _ => Err(Error::bad_arg("job", text, "a job number from 1 to 18446744073709551615")),
            };
        }
        if text.is_empty() || text.len() > Limits::NAME_BYTES {
            return Err(Error::bad_arg("job", text, "a job number such as 42, or an id of 1 to 255 bytes"));
        }
        Ok(Self::Id { queue: queue.map(str::to_owned), id: text.to_owned() })
    }
}

impl From<JobNumber> for JobRef {
    fn from(number: JobNumber) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Id { id, .. } => f.write_str(id),
        }
    }
}

/// An instant as the state machine sees it: two clocks, both in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Never goes back and follows the monotonic clock; leases, delays, backoff and retention count in it.
    pub steady: u64,
    /// Milliseconds since the Unix epoch; may jump. Only times given as times look at it.
    pub wall: u64,
}
