//! An event of the journal as it is told: when and where, with the names of that moment, and its bytes on request.
//!
//! The naming is the feed's. Invariant: names are those of the fold up to that event, never later ones.

use bytes::Bytes;
use serde::Serializer as _;
use serde::ser::SerializeMap as _;
use serde_json::{Map, Value};

use crate::journal::Position;
use crate::machine::Event;
use crate::model::{EventRecord, JobNumber, Shown};

/// One event of a journal.
#[derive(Clone, Debug)]
pub struct DumpedEvent {
    /// Its record's position in the log.
    pub position: Position,
    /// When: wall milliseconds since the Unix epoch, by the clock of that moment.
    pub at_ms: u64,
    /// Which kind, such as `enqueued` or `lease-expired`.
    pub event: String,
    /// The job, where it is about one.
    pub number: Option<JobNumber>,
    /// The queue, where it is about one.
    pub queue: Option<String>,
    /// The job's name.
    pub name: Option<String>,
    /// Everything else that the kind says. Instants within it count on the steady clock.
    pub detail: Map<String, Value>,
    /// Bytes that the event carries, each with its name: payload, headers, result, error, progress, log.
    pub bytes: Vec<(&'static str, Bytes)>,
}

impl DumpedEvent {
    pub(super) fn new(position: Position, record: EventRecord, bytes: Vec<(&'static str, Bytes)>) -> Self {
        let EventRecord { cursor: _, at_ms, event, number, queue, detail } = record;
        let Value::Object(mut detail) = detail else { unreachable!("an event's details have names") };
        let name = detail.remove("name").and_then(|name| name.as_str().map(str::to_owned));
        Self { position, at_ms, event, number, queue, name, detail, bytes }
    }

    /// The event as one line of JSON, without the line's end. `time` is `at_ms` as text. Of the bytes it has the lengths
    /// (`payload_bytes`); with `payloads` themselves, as `payload` where they are JSON (an error: text), else as
    /// `payload_base64`.
    ///
    /// # Panics
    ///
    /// Never: what an event holds is plain data.
    pub fn to_json(&self, time: &str, payloads: bool) -> String {
        let mut json = serde_json::Serializer::new(Vec::new());
        self.write(&mut json, time, payloads).expect("an event is plain data");
        // Line ends within a value that is JSON can only be blanks between its parts.
        String::from_utf8_lossy(&json.into_inner()).replace(['\n', '\r'], " ")
    }

    fn write(
        &self,
        json: &mut serde_json::Serializer<Vec<u8>>,
        time: &str,
        payloads: bool,
    ) -> Result<(), serde_json::Error> {
        let mut line = json.serialize_map(None)?;
        line.serialize_entry("position", &self.position.get())?;
        line.serialize_entry("at", time)?;
        line.serialize_entry("at_ms", &self.at_ms)?;
        line.serialize_entry("event", &self.event)?;
        if let Some(number) = &self.number {
            line.serialize_entry("number", number)?;
        }
        if let Some(queue) = &self.queue {
            line.serialize_entry("queue", queue)?;
        }
        if let Some(name) = &self.name {
            line.serialize_entry("name", name)?;
        }
        for (field, value) in &self.detail {
            line.serialize_entry(field, value)?;
        }
        for (field, bytes) in &self.bytes {
            if !payloads {
                line.serialize_entry(&format!("{field}_bytes"), &bytes.len())?;
                continue;
            }
            match (std::str::from_utf8(bytes), Shown::of(bytes)) {
                (Ok(text), _) if *field == "error" => line.serialize_entry(field, text)?,
                (_, Shown::Json(raw)) => line.serialize_entry(field, raw)?,
                (_, Shown::Base64(text)) => line.serialize_entry(&format!("{field}_base64"), &text)?,
            }
        }
        line.end()
    }
}

/// The bytes that an event carries, by name.
pub(super) fn bytes_of(event: &Event<'_>) -> Vec<(&'static str, Bytes)> {
    let names = match event {
        Event::Enqueued(_) => ["payload", "headers"],
        Event::Completed { .. } => ["result", ""],
        Event::Failed { .. } => ["error", ""],
        Event::Progressed { .. } => ["progress", ""],
        Event::Logged { .. } => ["log", ""],
        Event::Edited { .. } => ["payload", ""],
        _ => return Vec::new(),
    };
    let named = names.into_iter().zip(event.blobs());
    named.filter_map(|(name, bytes)| Some((name, Bytes::copy_from_slice(bytes?)))).collect()
}
