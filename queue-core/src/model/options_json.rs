//! Job options from JSON, and their ranges: the one place for wire, files and command line.
//!
//! Read field by field, so that an error names the field, its value and what is allowed, and never a Rust type.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Error, JobOptions, Limits, NewJob};

const DURATION: &str = "milliseconds, an integer from 0 to 315360000000 (10 years)";
const RUN_AT: &str = "milliseconds since 1970, an integer from 0 to 18446744073709551615";
const ID: &str = "text of 1 to 255 bytes with at least one character that is not a digit";
const PRIORITY: &str = "an integer from -1000 to 1000";
const ATTEMPTS: &str = "an integer from 1 to 10000";
const TAGS: &str = "at most 32 texts of 1 to 255 bytes each";
const HEADERS: &str = "an object of texts, names of 1 to 255 bytes, at most 8192 bytes in all";
const BACKOFF: &str = "an object {\"kind\": \"fixed\" or \"exponential\", \"delay_ms\": integer}, perhaps with integers \
                       max_ms, factor_thousandths (1000 to 10000) and jitter_percent (0 to 100)";
const NAME: &str = "text of 1 to 255 bytes without control characters";

impl JobOptions {
    /// The names of all options.
    pub const FIELDS: [&'static str; 12] = [
        "id",
        "delay_ms",
        "run_at_ms",
        "priority",
        "lifo",
        "attempts",
        "backoff",
        "timeout_ms",
        "expires_in_ms",
        "keep_ms",
        "tags",
        "headers",
    ];

    /// Reads the JSON object of `JOB.ADD` and checks it; empty text means no options.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and what is allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use queue_core::model::JobOptions;
    /// assert_eq!(JobOptions::from_json(br#"{"attempts": 5}"#)?.attempts, Some(5));
    /// let error = JobOptions::from_json(br#"{"attempts": "five"}"#).unwrap_err();
    /// assert_eq!(error.message, "attempts is \"five\"; allowed: an integer from 1 to 10000");
    /// # Ok::<(), queue_core::model::Error>(())
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let mut options = Self::default();
        if json.is_empty() {
            return Ok(options);
        }
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(json).map_err(|_| {
            Error::bad_arg("options", String::from_utf8_lossy(json), "a JSON object of job options, or nothing")
        })?;
        for (field, value) in fields {
            options.set_json(&field, value.get())?;
        }
        options.check()?;
        Ok(options)
    }

    /// Sets one option from its JSON text; `null` takes it back. Ranges are checked by [`JobOptions::check`].
    ///
    /// # Errors
    ///
    /// `BADARG` for an option that does not exist or a value of another type.
    pub fn set_json(&mut self, field: &str, json: &str) -> Result<(), Error> {
        match field {
            "id" => self.id = read(field, json, ID)?,
            "delay_ms" => self.delay_ms = read(field, json, DURATION)?,
            "run_at_ms" => self.run_at_ms = read(field, json, RUN_AT)?,
            "priority" => self.priority = read(field, json, PRIORITY)?,
            "lifo" => self.lifo = read::<Option<bool>>(field, json, "true or false")?.unwrap_or_default(),
            "attempts" => self.attempts = read(field, json, ATTEMPTS)?,
            "backoff" => self.backoff = read(field, json, BACKOFF)?,
            "timeout_ms" => self.timeout_ms = read(field, json, DURATION)?,
            "expires_in_ms" => self.expires_in_ms = read(field, json, DURATION)?,
            "keep_ms" => self.keep_ms = read(field, json, DURATION)?,
            "tags" => self.tags = read::<Option<_>>(field, json, TAGS)?.unwrap_or_default(),
            "headers" => self.headers = read::<Option<_>>(field, json, HEADERS)?.unwrap_or_default(),
            _ => return Err(Error::bad_arg("option", field, &Self::FIELDS.join(", "))),
        }
        Ok(())
    }

    /// Checks the ranges given at each field.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and its range.
    pub fn check(&self) -> Result<(), Error> {
        let check = |good: bool, field: &str, value: &dyn std::fmt::Display, allowed: &str| match good {
            true => Ok(()),
            false => Err(Error::bad_arg(field, value, allowed)),
        };
        if let Some(id) = &self.id {
            check(is_name(id) && !id.bytes().all(|byte| byte.is_ascii_digit()), "id", id, ID)?;
        }
        for (field, value) in [
            ("delay_ms", self.delay_ms),
            ("timeout_ms", self.timeout_ms),
            ("expires_in_ms", self.expires_in_ms),
            ("keep_ms", self.keep_ms),
        ] {
            let value = value.unwrap_or_default();
            check(value <= Limits::DURATION_MS, field, &value, DURATION)?;
        }
        if let (Some(_), Some(run_at_ms)) = (self.delay_ms, self.run_at_ms) {
            check(false, "run_at_ms", &run_at_ms, "either delay_ms or run_at_ms, not both")?;
        }
        let priority = self.priority.unwrap_or_default();
        check((-Limits::PRIORITY..=Limits::PRIORITY).contains(&priority), "priority", &priority, PRIORITY)?;
        let attempts = self.attempts.unwrap_or(1);
        check((1..=Limits::ATTEMPTS).contains(&attempts), "attempts", &attempts, ATTEMPTS)?;
        self.backoff.map_or(Ok(()), |backoff| backoff.check())?;
        let tags = self.tags.len() <= Limits::TAGS && self.tags.iter().all(|tag| is_name(tag));
        check(tags, "tags", &self.tags.join(" "), TAGS)?;
        let header_bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        check(header_bytes <= Limits::HEADER_BYTES, "headers", &format_args!("{header_bytes} bytes"), HEADERS)?;
        self.headers.keys().try_for_each(|name| check(is_name(name), "headers", name, HEADERS))
    }
}

impl NewJob {
    /// Checks name, payload and options.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and its range.
    pub fn check(&self) -> Result<(), Error> {
        if !is_name(&self.name) {
            return Err(Error::bad_arg("name", &self.name, NAME));
        }
        if self.payload.len() > Limits::PAYLOAD_BYTES {
            let size = format!("{} bytes long", self.payload.len());
            return Err(Error::bad_arg("payload", size, "at most 1048576 bytes (1 MiB)"));
        }
        self.options.check()
    }
}

/// Whether `text` can name a queue, job, tag, header, worker: 1 to 255 bytes without control characters.
pub fn is_name(text: &str) -> bool {
    (1..=Limits::NAME_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

fn read<'a, T: Deserialize<'a>>(field: &str, json: &'a str, allowed: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|_| Error::bad_arg(field, json, allowed))
}

#[cfg(test)]
mod tests {
    use super::super::{JobOptions, NewJob};

    fn check(json: &str, expected: &str) {
        let error = JobOptions::from_json(json.as_bytes()).expect_err(json);
        assert!(error.message.contains(expected), "{json}: {}", error.message);
        for rust in ["u64", "i64", "struct", "Option", "serde", "line 1 column"] {
            assert!(!error.message.contains(rust), "{json}: {}", error.message);
        }
    }

    #[test]
    fn every_option_is_read_and_written_alike() {
        let json = r#"{"id":"a","delay_ms":1,"priority":-5,"lifo":true,"attempts":3,"backoff":{"kind":"fixed",
            "delay_ms":5},"timeout_ms":0,"expires_in_ms":9,"keep_ms":0,"tags":["x"],"headers":{"k":"v"}}"#;
        let options = JobOptions::from_json(json.as_bytes()).expect("good options");
        let written = serde_json::to_vec(&options).expect("plain data");
        assert_eq!(JobOptions::from_json(&written).expect("what was written"), options);
        assert_eq!(JobOptions::from_json(b"").expect("nothing"), JobOptions::default());
        let fields: serde_json::Map<_, _> = serde_json::from_slice(&written).expect("an object");
        assert!(fields.keys().all(|field| JobOptions::FIELDS.contains(&field.as_str())));
        assert_eq!(fields.len() + 1, JobOptions::FIELDS.len(), "all but run_at_ms, which excludes delay_ms");
    }

    #[test]
    fn wrong_options_are_refused_by_field_value_and_what_is_allowed() {
        check("[]", "options is []; allowed: a JSON object");
        check("{", "options is {; allowed: a JSON object");
        check(r#"{"dely_ms": 1}"#, "option is dely_ms; allowed: id, delay_ms");
        check(r#"{"delay_ms": "30s"}"#, "delay_ms is \"30s\"; allowed: milliseconds");
        check(r#"{"delay_ms": -1}"#, "delay_ms is -1; allowed: milliseconds");
        check(r#"{"timeout_ms": 315360000001}"#, "timeout_ms is 315360000001; allowed");
        check(r#"{"delay_ms": 1, "run_at_ms": 2}"#, "run_at_ms is 2; allowed: either");
        check(r#"{"priority": 1001}"#, "priority is 1001; allowed: an integer from -1000 to 1000");
        check(r#"{"attempts": 0}"#, "attempts is 0; allowed: an integer from 1 to 10000");
        check(r#"{"lifo": 1}"#, "lifo is 1; allowed: true or false");
        check(r#"{"backoff": "fast"}"#, "backoff is \"fast\"; allowed: an object");
        check(r#"{"backoff": {"kind":"fixed","delay_ms":1,"jitter_percent":101}}"#, "backoff.jitter_percent is 101");
        check(r#"{"id": "42"}"#, "id is 42; allowed: text");
        check(r#"{"id": ""}"#, "id is empty; allowed: text");
        check(r#"{"tags": [""]}"#, "tags is empty; allowed");
        check(r#"{"headers": {"a": 1}}"#, "headers is {\"a\": 1}; allowed");
    }

    #[test]
    fn names_and_payloads_have_bounds() {
        let error = NewJob::new("", "1").check().expect_err("an empty name");
        assert_eq!(error.message, "name is empty; allowed: text of 1 to 255 bytes without control characters");
        let error = NewJob::new("send", vec![b' '; (1 << 20) + 1]).check().expect_err("a long payload");
        assert_eq!(error.message, "payload is 1048577 bytes long; allowed: at most 1048576 bytes (1 MiB)");
        NewJob::new("send", vec![b' '; 1 << 20]).check().expect("the longest payload");
    }
}
