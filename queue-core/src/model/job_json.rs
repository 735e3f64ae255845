//! A job as JSON: its fields, and its bytes as `payload`, `result` and `progress` where they are JSON themselves.
//!
//! Bytes that are JSON stand there as they are, digit for digit; others as `payload_base64` and so on, so that what is
//! read back is exactly what was written. Used by the protocol's reads and by the command line's `--json`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Error, Job, Word, base64};

/// Some bytes as JSON shows them: one of two fields.
pub(crate) enum Shown<'a> {
    /// As they are.
    Json(&'a RawValue),
    /// Under the field's name with `_base64` behind it.
    Base64(String),
}

impl<'a> Shown<'a> {
    /// How these bytes are shown.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        match serde_json::from_slice::<&RawValue>(bytes) {
            // Blanks around a value are no part of it, so bytes that have any would not come back as they were.
            Ok(raw) if raw.get().len() == bytes.len() => Self::Json(raw),
            _ => Self::Base64(base64::encode(bytes)),
        }
    }

    fn fields(bytes: Option<&'a Bytes>) -> (Option<&'a RawValue>, Option<String>) {
        match bytes.map(|bytes| Shown::of(bytes)) {
            None => (None, None),
            Some(Self::Json(raw)) => (Some(raw), None),
            Some(Self::Base64(text)) => (None, Some(text)),
        }
    }
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    job: &'a Job,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_base64: Option<String>,
}

/// Takes one of the byte fields out of a job's object.
fn bytes(fields: &mut BTreeMap<&str, &RawValue>, raw: &str, base64: &str) -> Result<Option<Bytes>, Error> {
    if let Some(raw) = fields.remove(raw) {
        return Ok(Some(Bytes::copy_from_slice(raw.get().as_bytes())));
    }
    let Some(text) = fields.remove(base64) else { return Ok(None) };
    let text: String = serde_json::from_str(text.get()).map_err(|_| unreadable())?;
    base64::decode(&text).map(|bytes| Some(bytes.into())).ok_or_else(unreadable)
}

fn unreadable() -> Error {
    Error::new(Word::Err, "a job's JSON cannot be read; are both sides of one version?")
}

impl Job {
    /// The job as one JSON object.
    pub fn to_json(&self) -> Vec<u8> {
        let (payload, payload_base64) = Shown::fields(Some(&self.payload));
        let (result, result_base64) = Shown::fields(self.result.as_ref());
        let (progress, progress_base64) = Shown::fields(self.progress.as_ref());
        let written = Written { job: self, payload, payload_base64, result, result_base64, progress, progress_base64 };
        serde_json::to_vec(&written).expect("a job is plain data with text keys")
    }

    /// The job behind [`Job::to_json`]'s text, with exactly its bytes.
    ///
    /// # Errors
    ///
    /// `ERR` if the text is no job: the other side is broken or of another version.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_slice(json).map_err(|_| unreadable())?;
        let payload = bytes(&mut fields, "payload", "payload_base64")?.unwrap_or_default();
        let result = bytes(&mut fields, "result", "result_base64")?;
        let progress = bytes(&mut fields, "progress", "progress_base64")?;
        // The rest goes without the bytes: reading a job whole would look into them, and refuse a number it can't hold.
        let rest = serde_json::to_vec(&fields).map_err(|_| unreadable())?;
        let job: Self = serde_json::from_slice(&rest).map_err(|_| unreadable())?;
        Ok(Self { payload, result, progress, ..job })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Backoff, JobNumber, JobState, JobSummary};

    fn job(payload: &'static [u8], result: Option<&'static [u8]>) -> Job {
        let summary = JobSummary {
            number: JobNumber(42),
            id: None,
            queue: "emails".to_owned(),
            name: "send".to_owned(),
            state: JobState::Completed,
            cause: None,
            reason: None,
            priority: -5,
            attempt: 1,
            attempts: 16,
            enqueued_at_ms: 1_795_263_000_000,
            at_ms: Some(1_795_263_000_100),
            tags: Vec::new(),
            error: None,
        };
        Job {
            summary,
            payload: Bytes::from_static(payload),
            result: result.map(Bytes::from_static),
            progress: None,
            headers: [("trace".to_owned(), "a".to_owned())].into(),
            backoff: Backoff::default(),
            timeout_ms: None,
            expires_at_ms: None,
            keep_ms: None,
            round: 1,
            stalls: 0,
            cancel_requested: false,
            leases: Vec::new(),
            leases_left_out: 0,
            log_lines: 0,
        }
    }

    #[test]
    fn bytes_come_back_exactly() {
        for payload in [&b"{\"to\": 1.50,\n\"a\":1e400}"[..], b"null", b" {}", b"{} ", b"", b"\xff\xfe", b"plain"] {
            for result in [None, Some(&b"null"[..]), Some(b""), Some(b"[1, 2]")] {
                let job = job(payload, result);
                assert_eq!(Job::from_json(&job.to_json()).expect("a job"), job, "{payload:?} {result:?}");
            }
        }
    }

    #[test]
    fn json_stands_as_json_and_other_bytes_as_base64() {
        let text = |payload| String::from_utf8(job(payload, None).to_json()).expect("JSON is UTF-8");
        assert!(text(br#"{"to": "ann"}"#).contains(r#""payload":{"to": "ann"}"#));
        assert!(text(b"\xff").contains(r#""payload_base64":"/w==""#));
        assert!(text(b"{}").starts_with(r#"{"number":42,"queue":"emails","name":"send","state":"completed""#));
    }
}
