//! Reading JSON objects that people and programs wrote, with errors that name the field and what it may hold.
//!
//! The first pass is serde's alone. Only where that fails does a second pass look for the field to blame, because
//! serde's own messages name types of this program, and none of its fields.
//! Invariant: both passes judge by the same type, so the second never refuses what the first would take.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Error;

/// A field's name, and what it may hold, in words.
pub type Field = (&'static str, &'static str);

const INTEGER_MS: &str = "milliseconds as an integer from 0 to 315360000000 (10 years)";
const KEPT_JOBS: &str = "a number of jobs, an integer from 0";
const BACKOFF: &str = "an object with kind (fixed or exponential) and delay_ms, perhaps factor_thousandths, max_ms, \
                       jitter_percent, all integers from 0";
const TEXT: &str = "text of at most 255 bytes";

/// The fields of [`super::JobOptions`].
pub const JOB_OPTIONS: &[Field] = &[
    ("id", "text of 1 to 255 bytes with at least one character that is not a digit"),
    ("delay_ms", INTEGER_MS),
    ("run_at_ms", "milliseconds since 1970 as an integer from 0 to 253402300799999 (the end of the year 9999)"),
    ("priority", "an integer from -1000 to 1000"),
    ("lifo", "true or false"),
    ("attempts", "an integer from 1 to 10000"),
    ("backoff", BACKOFF),
    ("timeout_ms", INTEGER_MS),
    ("expires_in_ms", INTEGER_MS),
    ("keep_ms", INTEGER_MS),
    ("tags", "a list of at most 32 texts, each of 1 to 255 bytes"),
    ("headers", "an object of texts, at most 8192 bytes in all"),
];

/// The fields of [`super::QueueSettings`].
pub const QUEUE_SETTINGS: &[Field] = &[
    ("attempts", "an integer from 1 to 10000"),
    ("backoff", BACKOFF),
    ("timeout_ms", INTEGER_MS),
    ("expires_in_ms", INTEGER_MS),
    ("lease_ms", "milliseconds as an integer from 100 to 86400000 (24 h)"),
    ("stalls", "an integer from 0 to 10000"),
    ("keep_completed", KEPT_JOBS),
    ("keep_completed_ms", INTEGER_MS),
    ("keep_cancelled", KEPT_JOBS),
    ("keep_cancelled_ms", INTEGER_MS),
    ("keep_dead_ms", INTEGER_MS),
    ("remember_ids_ms", INTEGER_MS),
];

/// The fields of [`super::JobFilter`].
pub const JOB_FILTER: &[Field] = &[
    ("queue", TEXT),
    ("states", "a list of at most 7 states: waiting, delayed, active, waiting-children, completed, dead, cancelled"),
    ("cause", "scheduled, retry or snooze"),
    ("reason", "exhausted, rejected, poison, looping, expired, child or unreadable"),
    ("name", TEXT),
    ("tag", TEXT),
    ("fingerprint", TEXT),
    ("contains", "text of 1 to 255 bytes that stands in the payload, as it stands there"),
    ("since_ms", "milliseconds since 1970 as an integer from 0"),
    ("until_ms", "milliseconds since 1970 as an integer, later than since_ms"),
    ("up_to", "a job number, an integer from 0"),
];

/// The fields of [`super::FailureFilter`].
pub const FAILURE_FILTER: &[Field] = &[
    ("queue", TEXT),
    ("name", TEXT),
    ("contains", "text of 1 to 255 bytes that stands in the fingerprint, as it stands there"),
    ("since_ms", "milliseconds since 1970 as an integer from 0"),
];

/// The fields of [`super::Beat`].
pub const BEAT: &[Field] = &[
    ("worker", "text of 1 to 255 bytes without control characters"),
    ("host", TEXT),
    ("pid", "an integer from 0 to 4294967295"),
    ("version", TEXT),
    ("queues", "a list of at most 1000 names, each of 1 to 255 bytes"),
    ("concurrency", "an integer from 0 to 4294967295"),
    ("leases", "a list of at most 10000 objects with number and token"),
    ("reconnected", "true or false"),
    ("leaving", "true or false"),
    ("state", "running, quiet or stopping"),
    ("uptime_ms", INTEGER_MS),
    ("rss_bytes", "an integer from 0 to 18446744073709551615, or null"),
];

/// Reads a JSON object into `T`, every field of which has a default. `what` names the object in errors.
///
/// # Errors
///
/// `BADARG` naming the field that is unknown or holds what it may not, or where the JSON is broken.
///
/// # Examples
///
/// ```
/// use queue_core::model::{JobOptions, json};
/// let read = |text: &str| json::read::<JobOptions>("options", text.as_bytes(), json::JOB_OPTIONS);
/// assert_eq!(read(r#"{"attempts": 3}"#)?.attempts, Some(3));
/// let error = read(r#"{"attempts": "many"}"#).unwrap_err();
/// assert_eq!(error.message, r#"options.attempts is "many"; allowed: an integer from 1 to 10000"#);
/// # Ok::<(), queue_core::model::Error>(())
/// ```
pub fn read<T: DeserializeOwned>(what: &str, json: &[u8], fields: &[Field]) -> Result<T, Error> {
    // An array of the fields' values would do for serde, but nobody means one.
    let object = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let value = if object { serde_json::from_slice(json).ok() } else { None };
    value.ok_or_else(|| blame::<T>(what, json, fields))
}

/// Which field of an object that `T` does not take is the one to change.
fn blame<T: DeserializeOwned>(what: &str, json: &[u8], fields: &[Field]) -> Error {
    let shown = String::from_utf8_lossy(json);
    let object = match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Error::bad_arg(what, shown, "a JSON object"),
        Err(error) => return Error::bad_arg(what, shown, &format!("a JSON object; this is none: {error}")),
    };
    for (name, value) in object {
        let Some((_, allowed)) = fields.iter().find(|(field, _)| *field == name) else {
            let names: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
            return Error::bad_arg(&format!("a field of {what}"), name, &names.join(", "));
        };
        let shown = value.to_string();
        let alone = Value::Object(Map::from_iter([(name.clone(), value)]));
        if serde_json::from_value::<T>(alone).is_err() {
            return Error::bad_arg(&format!("{what}.{name}"), shown, allowed);
        }
    }
    // Every field is good by itself, so one stands there twice.
    Error::bad_arg(what, shown, "a JSON object with each field at most once")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Beat, JobFilter, JobOptions, QueueSettings};

    #[test]
    fn every_field_of_every_object_is_listed() {
        fn check<T: serde::Serialize>(full: T, fields: &[Field]) {
            let Ok(Value::Object(object)) = serde_json::to_value(full) else { panic!("an object") };
            let mut written: Vec<_> = object.keys().map(String::as_str).collect();
            let mut listed: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            written.sort_unstable();
            listed.sort_unstable();
            assert_eq!(written, listed);
        }
        check(QueueSettings::defaults(), QUEUE_SETTINGS);
        check(Beat::default(), BEAT);
        let options = r#"{"id":"a","delay_ms":1,"run_at_ms":1,"priority":1,"lifo":true,"attempts":1,
            "backoff":{"kind":"fixed","delay_ms":1},"timeout_ms":1,"expires_in_ms":1,"keep_ms":1,"tags":["t"],
            "headers":{"a":"b"}}"#;
        check(read::<JobOptions>("options", options.as_bytes(), JOB_OPTIONS).expect("options"), JOB_OPTIONS);
        let filter = r#"{"queue":"q","states":["dead"],"cause":"retry","reason":"poison","name":"n","tag":"t",
            "fingerprint":"f","contains":"c","since_ms":1,"until_ms":2,"up_to":9}"#;
        check(read::<JobFilter>("filter", filter.as_bytes(), JOB_FILTER).expect("filter"), JOB_FILTER);
    }

    #[test]
    fn errors_name_the_field_and_what_is_allowed() {
        fn check(json: &str, expected: &str) {
            let error = read::<JobOptions>("options", json.as_bytes(), JOB_OPTIONS).expect_err(json);
            assert!(error.message.starts_with(expected), "{}\n{expected}", error.message);
            for word in ["u64", "i64", "struct", "String", "Option"] {
                assert!(!error.message.contains(word), "{}", error.message);
            }
        }
        check("{", "options is {; allowed: a JSON object; this is none: EOF while parsing");
        check("[]", "options is []; allowed: a JSON object");
        check(r#"{"atempts":1}"#, "a field of options is atempts; allowed: id, delay_ms,");
        check(r#"{"attempts":-1}"#, "options.attempts is -1; allowed: an integer from 1 to 10000");
        check(r#"{"delay_ms":"5s"}"#, r#"options.delay_ms is "5s"; allowed: milliseconds as an integer"#);
        check(r#"{"tags":"a"}"#, r#"options.tags is "a"; allowed: a list of at most 32 texts"#);
        check(r#"{"backoff":{"kind":"linear"}}"#, r#"options.backoff is {"kind":"linear"}; allowed: an object"#);
        check(r#"{"id":"a","id":"b"}"#, r#"options is {"id":"a","id":"b"}; allowed: a JSON object with each field"#);
    }
}
