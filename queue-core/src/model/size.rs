//! How many bytes of a client's own an engine has to store for a job or a settlement: what batches are measured by.
//!
//! Counted is what events carry of it: payloads, headers as JSON, ids, tags, results, failures. What a record puts around
//! them is the engine's.

use std::collections::BTreeMap;

use super::{JobOptions, Limits, NewJob, Outcome};

impl NewJob {
    /// Bytes that count against [`Limits::BATCH_BYTES`].
    pub fn stored_bytes(&self) -> usize {
        self.payload.len() + self.options.stored_bytes()
    }
}

impl JobOptions {
    /// Bytes of id, tags and headers.
    pub(crate) fn stored_bytes(&self) -> usize {
        let id = self.id.as_ref().map_or(0, String::len);
        id + self.tags.iter().map(String::len).sum::<usize>() + headers_bytes(&self.headers)
    }
}

impl Outcome {
    /// Bytes that count against [`Limits::BATCH_BYTES`].
    pub fn stored_bytes(&self) -> usize {
        match self {
            Self::Complete { result } => result.as_ref().map_or(0, bytes::Bytes::len),
            Self::Fail { kind, error, .. } => kind.len() + error.len().min(Limits::ERROR_BYTES),
            Self::Release | Self::Snooze { .. } => 0,
        }
    }
}

/// Bytes of the headers as they are stored: a JSON object, or nothing.
fn headers_bytes(headers: &BTreeMap<String, String>) -> usize {
    let pairs: usize = headers.iter().map(|(name, value)| json_bytes(name) + json_bytes(value) + 2).sum();
    if pairs == 0 { 0 } else { pairs + 1 }
}

/// Bytes of a text as JSON, quotes included.
pub(crate) fn json_bytes(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(escaped).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::headers_bytes;

    proptest! {
        #[test]
        fn headers_are_counted_as_they_are_stored(
            pairs in prop::collection::vec(("[\\x00-\\x7fé]{0,9}", "[\\x00-\\x7f\"é🚢]{0,40}"), 1..5)
        ) {
            let headers: BTreeMap<String, String> = pairs.into_iter().collect();
            prop_assert_eq!(headers_bytes(&headers), serde_json::to_vec(&headers).expect("JSON").len());
        }
    }
}
