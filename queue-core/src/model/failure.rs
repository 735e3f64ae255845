//! Groups of failures: what failed attempts of one fingerprint have in common, counted when they failed.
//!
//! Counted in whole minutes and hours of the broker's steady clock; answers carry wall times, in milliseconds since the
//! Unix epoch.

use serde::{Deserialize, Serialize};

use super::JobNumber;

/// Which groups a list means; every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailureFilter {
    /// Seen in this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Seen with this job name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose fingerprint has this text in it: 1 to 255 bytes, upper and lower case told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Seen at this time or later: wall milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
}

super::job::words! {
    /// What groups of failures are ordered by, always the largest or newest first.
    FailureOrder {
        /// When it was seen last.
        Last = "last",
        /// When it was seen first.
        First = "first",
        /// How often within an hour.
        Hour = "hour",
        /// How often within a day.
        Day = "day",
        /// How often within a week.
        Week = "week",
    }
}

/// In which queue, or with which job name, failures were seen, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureShare {
    /// The queue's or the job's name.
    pub name: String,
    /// How often, since it is among those kept: the 8 of a group, of which the rarest makes room for a new one.
    pub count: u64,
}

/// A group of failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureGroup {
    /// What its failures share: kind and message without numbers, ids and quoted parts, at most 200 bytes. The same text
    /// as in a job's timeline and in [`super::JobFilter::fingerprint`].
    pub fingerprint: String,
    /// The kind of the newest: a short word such as `exit` or `timeout`.
    pub kind: String,
    /// When it was seen first, since the group exists: wall milliseconds.
    pub first_at_ms: u64,
    /// When it was seen last.
    pub last_at_ms: u64,
    /// How often, since the group exists.
    pub count: u64,
    /// How often in the minute that runs and the one before.
    pub minute: u64,
    /// How often in the minute that runs and the 59 before.
    pub hour: u64,
    /// How often in the hour that runs and the 23 before.
    pub day: u64,
    /// How often in the hour that runs and the 167 before.
    pub week: u64,
    /// In each of the last 60 minutes, oldest first; the last one runs.
    pub minutes: Vec<u64>,
    /// In each of the last 168 hours, oldest first; the last one runs. Empty in a list, but for `ERROR.GET`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<u64>,
    /// In which queues, the most frequent first; at most 8.
    pub queues: Vec<FailureShare>,
    /// With which job names, the most frequent first; at most 8.
    pub names: Vec<FailureShare>,
    /// The newest jobs that failed so, the newest first; at most 5. Some may be gone.
    pub jobs: Vec<JobNumber>,
}

/// A page of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailurePage {
    /// The groups, in the order asked for.
    pub groups: Vec<FailureGroup>,
    /// Where to go on; absent at the end.
    pub cursor: Option<String>,
    /// Groups there are in all, whatever the filter: at most 1,000. A new one then takes the place of the one that was seen
    /// longest ago.
    pub kept: u64,
}
