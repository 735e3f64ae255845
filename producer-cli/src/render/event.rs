//! Events as people read them: a line each.

use queue_core::model::EventRecord;
use serde_json::Value;

use super::{clock_time, cut, safe};

/// Time, queue, job, what happened, and what else there is to say.
pub(crate) fn line(event: &EventRecord) -> String {
    let mut text = clock_time(event.at_ms);
    for part in [event.queue.as_deref().map(safe), event.number.map(|number| number.to_string())] {
        text.extend(part.map(|part| format!(" {part}")));
    }
    text.push_str(&format!(" {}", safe(&event.event)));
    if let Value::Object(detail) = &event.detail {
        let nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        for (name, value) in detail.iter().filter(|(_, value)| !nothing(value)) {
            let shown = value.as_str().map_or_else(|| value.to_string(), |text| cut(text, 80));
            text.push_str(&format!(" {name}={shown}"));
        }
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use queue_core::model::{EventRecord, JobNumber};

    #[test]
    fn an_event_is_a_line() {
        let event = EventRecord {
            cursor: "8".to_owned(),
            at_ms: 1_796_119_200_007,
            event: "failed".to_owned(),
            number: Some(JobNumber(42)),
            queue: Some("emails".to_owned()),
            detail: serde_json::json!({"attempt": 2, "error": "two\nlines", "id": null, "tags": []}),
        };
        assert_eq!(super::line(&event), "10:00:00.007 emails #42 failed attempt=2 error=two…\n");
    }
}
