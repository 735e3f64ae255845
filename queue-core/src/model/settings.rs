//! A queue's settings: what was set, by whom, and what holds.
//!
//! Precedence: the job's options, then the queue's settings, then the server's defaults. What concerns a job is
//! resolved when it is enqueued; what concerns the queue (lease, stalls, kept) is read when it is used.

use serde::{Deserialize, Serialize};

use super::{Backoff, Error, Limits, json};

/// Everything that can be set on a queue. `None`: not set, the server's default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// Tries of a job in all: 1 to 10,000; default 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// Pause between attempts; default exponential from 5 s, at most 1 h, 20 % jitter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Time for one attempt, 0 for none; default 30 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Unstarted jobs die after this long, 0 for never; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    /// Length of a lease: 100 ms to 24 h; default 30 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// Lease expiries allowed in a round: 0 to 10,000; default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalls: Option<u64>,
    /// Completed jobs kept: a number, default 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_completed: Option<u64>,
    /// Completed jobs kept for at most this long, 0 for without end; default 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_completed_ms: Option<u64>,
    /// Cancelled jobs kept: a number, default 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_cancelled: Option<u64>,
    /// Cancelled jobs kept for at most this long, 0 for without end; default 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_cancelled_ms: Option<u64>,
    /// Dead jobs kept for at most this long, 0 for without end; default 90 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_dead_ms: Option<u64>,
    /// Ids of gone jobs are remembered this long; default 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remember_ids_ms: Option<u64>,
}

impl QueueSettings {
    /// The server's defaults: every field set.
    pub fn defaults() -> Self {
        Self {
            attempts: Some(16),
            backoff: Some(Backoff::default()),
            timeout_ms: Some(30 * 60_000),
            expires_in_ms: Some(0),
            lease_ms: Some(30_000),
            stalls: Some(3),
            keep_completed: Some(1_000),
            keep_completed_ms: Some(86_400_000),
            keep_cancelled: Some(1_000),
            keep_cancelled_ms: Some(86_400_000),
            keep_dead_ms: Some(90 * 86_400_000),
            remember_ids_ms: Some(86_400_000),
        }
    }

    /// Checks the ranges given at each field.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and its range.
    pub fn check(&self) -> Result<(), Error> {
        let range = |field: &str, value: Option<u64>, min: u64, max: u64| match value {
            Some(value) if value < min || value > max => {
                Err(Error::bad_arg(field, value, &format!("an integer from {min} to {max}")))
            }
            _ => Ok(()),
        };
        range("attempts", self.attempts, 1, Limits::ATTEMPTS)?;
        range("timeout_ms", self.timeout_ms, 0, Limits::DURATION_MS)?;
        range("expires_in_ms", self.expires_in_ms, 0, Limits::DURATION_MS)?;
        range("lease_ms", self.lease_ms, Limits::LEASE_MS_MIN, Limits::LEASE_MS)?;
        range("stalls", self.stalls, 0, Limits::ATTEMPTS)?;
        range("keep_completed_ms", self.keep_completed_ms, 0, Limits::DURATION_MS)?;
        range("keep_cancelled_ms", self.keep_cancelled_ms, 0, Limits::DURATION_MS)?;
        range("keep_dead_ms", self.keep_dead_ms, 0, Limits::DURATION_MS)?;
        range("remember_ids_ms", self.remember_ids_ms, 0, Limits::DURATION_MS)?;
        self.backoff.map_or(Ok(()), |backoff| backoff.check())
    }
}

/// A change of settings: what to set, and which to give back to the default. In JSON a field that is `null` is given back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// Fields that are `Some` are set.
    pub set: QueueSettings,
    /// Names of fields to give back to the server's default.
    pub reset: Vec<String>,
}

impl SettingsPatch {
    /// Reads the JSON object of `QUEUE.SET`.
    ///
    /// # Errors
    ///
    /// `BADARG` for a field that does not exist, a value of the wrong type or out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use queue_core::model::SettingsPatch;
    /// let patch = SettingsPatch::from_json(br#"{"attempts": 5, "timeout_ms": null}"#)?;
    /// assert_eq!((patch.set.attempts, patch.reset), (Some(5), vec!["timeout_ms".to_owned()]));
    /// # Ok::<(), queue_core::model::Error>(())
    /// ```
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        let set: QueueSettings = json::read("settings", text, json::QUEUE_SETTINGS)?;
        // What is null reads as not set; a second look tells it from what is absent.
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).unwrap_or_default();
        let reset = fields.into_iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name).collect();
        set.check()?;
        Ok(Self { set, reset })
    }

    /// The JSON object that [`SettingsPatch::from_json`] reads.
    pub fn to_json(&self) -> Vec<u8> {
        let mut value = serde_json::to_value(&self.set).expect("settings are plain data");
        let object = value.as_object_mut().expect("settings are an object");
        for name in &self.reset {
            object.insert(name.clone(), serde_json::Value::Null);
        }
        value.to_string().into_bytes()
    }
}

/// Where a setting's effective value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "from", content = "actor")]
pub enum SettingSource {
    /// The server's default.
    Default,
    /// The server's configuration file.
    Config,
    /// Somebody set it on the queue.
    Queue(String),
}

/// One setting as it holds, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    /// The field's name in [`QueueSettings`].
    pub setting: String,
    /// The value that holds.
    pub value: serde_json::Value,
    /// Where it comes from.
    #[serde(flatten)]
    pub source: SettingSource,
}
