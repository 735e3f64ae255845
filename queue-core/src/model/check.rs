//! The ranges of a new job, a filter and a beat: the one place for machine, files and command line.
//!
//! What may stand in a field is told once, in `json`; here it is only compared.

use std::fmt::Display;

use super::{Beat, Error, FailureFilter, JobFilter, JobOptions, JobState, Limits, NewJob, WorkerState, json};

impl JobOptions {
    /// Checks the ranges given at each field.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and its range.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(id) = &self.id {
            // `#42` is how a number is shown and may be typed, so it is no id either.
            let digits = id.strip_prefix('#').unwrap_or(id);
            check(is_name(id) && !digits.bytes().all(|byte| byte.is_ascii_digit()), "id", id)?;
        }
        for (field, value) in [
            ("delay_ms", self.delay_ms),
            ("timeout_ms", self.timeout_ms),
            ("expires_in_ms", self.expires_in_ms),
            ("keep_ms", self.keep_ms),
        ] {
            let value = value.unwrap_or_default();
            check(value <= Limits::DURATION_MS, field, value)?;
        }
        if let (Some(_), Some(run_at_ms)) = (self.delay_ms, self.run_at_ms) {
            return Err(Error::bad_arg("run_at_ms", run_at_ms, "either delay_ms or run_at_ms, not both"));
        }
        check(
            self.run_at_ms.unwrap_or_default() <= Limits::RUN_AT_MS,
            "run_at_ms",
            self.run_at_ms.unwrap_or_default(),
        )?;
        let priority = self.priority.unwrap_or_default();
        check((-Limits::PRIORITY..=Limits::PRIORITY).contains(&priority), "priority", priority)?;
        let attempts = self.attempts.unwrap_or(1);
        check((1..=Limits::ATTEMPTS).contains(&attempts), "attempts", attempts)?;
        self.backoff.map_or(Ok(()), |backoff| backoff.check())?;
        let tags = self.tags.len() <= Limits::TAGS && self.tags.iter().all(|tag| is_name(tag));
        check(tags, "tags", self.tags.join(" "))?;
        let header_bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        check(header_bytes <= Limits::HEADER_BYTES, "headers", format_args!("{header_bytes} bytes"))?;
        self.headers.keys().try_for_each(|name| check(is_name(name), "headers", name))
    }
}

impl JobFilter {
    /// Checks the lengths of texts and lists, and that its times are in order.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and what it may hold.
    pub fn check(&self) -> Result<(), Error> {
        for (field, text) in
            [("queue", &self.queue), ("name", &self.name), ("tag", &self.tag), ("fingerprint", &self.fingerprint)]
        {
            let text = text.as_deref().unwrap_or_default();
            check_in("filter", json::JOB_FILTER, text.len() <= Limits::NAME_BYTES, field, text)?;
        }
        if let Some(text) = &self.contains {
            check_in("filter", json::JOB_FILTER, (1..=Limits::NAME_BYTES).contains(&text.len()), "contains", text)?;
        }
        let (since, until) = (self.since_ms.unwrap_or_default(), self.until_ms.unwrap_or(u64::MAX));
        check_in("filter", json::JOB_FILTER, since < until, "until_ms", until)?;
        let states = self.states.len() <= JobState::ALL.len();
        check_in("filter", json::JOB_FILTER, states, "states", format_args!("a list of {}", self.states.len()))
    }
}

impl FailureFilter {
    /// Checks the lengths of texts.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and what it may hold.
    pub fn check(&self) -> Result<(), Error> {
        for (field, text, least) in
            [("queue", &self.queue, 0), ("name", &self.name, 0), ("contains", &self.contains, 1)]
        {
            let bytes = text.as_ref().map_or(least, String::len);
            let text = text.as_deref().unwrap_or_default();
            check_in("filter", json::FAILURE_FILTER, (least..=Limits::NAME_BYTES).contains(&bytes), field, text)?;
        }
        Ok(())
    }
}

impl Beat {
    /// Checks names and the lengths of texts and lists.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and what it may hold.
    pub fn check(&self) -> Result<(), Error> {
        let check = |good, field, value: &dyn Display| check_in("beat", json::BEAT, good, field, value);
        check(is_name(&self.worker), "worker", &self.worker)?;
        check(self.host.len() <= Limits::NAME_BYTES, "host", &self.host)?;
        check(self.version.len() <= Limits::NAME_BYTES, "version", &self.version)?;
        let (queues, leases) = (self.queues.len(), self.leases.len());
        check(queues <= Limits::LEASE_QUEUES, "queues", &format_args!("a list of {queues}"))?;
        self.queues.iter().try_for_each(|queue| check(is_name(queue), "queues", queue))?;
        check(leases <= Limits::BEAT_LEASES, "leases", &format_args!("a list of {leases}"))?;
        check(
            self.uptime_ms.unwrap_or_default() <= Limits::DURATION_MS,
            "uptime_ms",
            &self.uptime_ms.unwrap_or_default(),
        )?;
        check(self.state != WorkerState::Gone, "state", &self.state)
    }
}

impl NewJob {
    /// Checks name, payload and options.
    ///
    /// # Errors
    ///
    /// `BADARG` naming the field, its value and its range.
    pub fn check(&self) -> Result<(), Error> {
        self.check_name_and_payload()?;
        self.options.check()
    }

    /// What [`NewJob::check`] checks but the options, for batches whose jobs share theirs.
    pub(crate) fn check_name_and_payload(&self) -> Result<(), Error> {
        if !is_name(&self.name) {
            return Err(Error::bad_arg("name", &self.name, "text of 1 to 255 bytes without control characters"));
        }
        if self.payload.len() > Limits::PAYLOAD_BYTES {
            let size = format!("{} bytes long", self.payload.len());
            return Err(Error::bad_arg("payload", size, "at most 1048576 bytes (1 MiB)"));
        }
        Ok(())
    }
}

/// Whether `text` can name a queue, job, tag, header or worker: 1 to 255 bytes without control characters.
pub fn is_name(text: &str) -> bool {
    (1..=Limits::NAME_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

/// Checks how long a call may wait; `field` is what the caller knows that by.
pub(crate) fn check_wait(field: &str, ms: u64) -> Result<(), Error> {
    if ms <= Limits::WAIT_MS {
        return Ok(());
    }
    Err(Error::bad_arg(field, ms, "milliseconds from 0 to 3600000 (1 h)"))
}

fn check(good: bool, field: &str, value: impl Display) -> Result<(), Error> {
    if good { Ok(()) } else { Err(Error::bad_arg(field, value, allowed(json::JOB_OPTIONS, field))) }
}

/// As [`check`], for a field of an object that is named in the message.
fn check_in(object: &str, fields: &[json::Field], good: bool, field: &str, value: impl Display) -> Result<(), Error> {
    match good {
        true => Ok(()),
        false => Err(Error::bad_arg(&format!("{object}.{field}"), value, allowed(fields, field))),
    }
}

fn allowed(fields: &[json::Field], field: &str) -> &'static str {
    fields.iter().find(|(name, _)| *name == field).map_or("", |(_, allowed)| allowed)
}

#[cfg(test)]
mod tests {
    use super::super::{JobOptions, NewJob, json};

    fn check(options: &str, expected: &str) {
        let read: JobOptions = json::read("options", options.as_bytes(), json::JOB_OPTIONS).expect(options);
        let error = read.check().expect_err(options);
        assert!(error.message.starts_with(expected), "{options}: {}", error.message);
    }

    #[test]
    fn options_out_of_range_are_refused_by_field_value_and_what_is_allowed() {
        check(r#"{"timeout_ms": 315360000001}"#, "timeout_ms is 315360000001; allowed: milliseconds");
        check(r#"{"delay_ms": 1, "run_at_ms": 2}"#, "run_at_ms is 2; allowed: either");
        check(r#"{"priority": 1001}"#, "priority is 1001; allowed: an integer from -1000 to 1000");
        check(r#"{"attempts": 0}"#, "attempts is 0; allowed: an integer from 1 to 10000");
        check(r#"{"backoff": {"kind":"fixed","delay_ms":1,"jitter_percent":101}}"#, "backoff.jitter_percent is 101");
        check(r#"{"id": "42"}"#, "id is 42; allowed: text of 1 to 255 bytes");
        check(r##"{"id": "#42"}"##, "id is #42; allowed: text");
        check(r#"{"id": ""}"#, "id is empty; allowed: text");
        check(r#"{"tags": [""]}"#, "tags is empty; allowed: a list");
        check(r#"{"headers": {"": "1"}}"#, "headers is empty; allowed: an object");
        check(&format!(r#"{{"headers": {{"a": "{}"}}}}"#, "x".repeat(8192)), "headers is 8193 bytes; allowed");
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
