//! What a producer says of a new job: its name, its payload, and options.
//!
//! An option that is absent falls to the queue's setting, then to the server's default; the resolved value stands
//! in the job's event.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Backoff;

/// A job to enqueue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Which handler runs it: 1 to 255 bytes.
    pub name: String,
    /// JSON by convention, any bytes by right; kept exactly; at most 1 MiB.
    pub payload: Bytes,
    /// Shared, because the jobs of a batch mostly have the same.
    pub options: Arc<JobOptions>,
}

impl NewJob {
    /// A job with default options.
    pub fn new(name: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { name: name.into(), payload: payload.into(), options: Arc::default() }
    }

    /// The same job with other options.
    #[must_use]
    pub fn with(self, options: JobOptions) -> Self {
        Self { options: Arc::new(options), ..self }
    }
}

/// The options of a new job; the JSON argument of `JOB.ADD`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobOptions {
    /// Chosen by the producer: 1 to 255 bytes, at least one not a digit, unique in its queue while the job is kept
    /// and for 24 h after. Enqueueing it again returns the first job's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Not leased before this long after the enqueue: 0 to 10 years; default 0. Excludes `run_at_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Not leased before this wall time, in milliseconds since the Unix epoch. A past time means now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at_ms: Option<u64>,
    /// −1000 to 1000, default 0; the larger number runs first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Joins the front of its priority instead of the back; default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lifo: bool,
    /// Tries in all, not retries: 1 to 10,000; default 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// Pause between attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Time for one attempt; 0 means none; default 30 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Dead, reason `expired`, if nobody started it this long after the enqueue; 0 means never, the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    /// How long the job is kept once completed, whatever the queue keeps; 0 removes it at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
    /// Words to find it by: at most 32, each 1 to 255 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Text for handlers and tools, such as a trace id: at most 8 KiB in all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}
