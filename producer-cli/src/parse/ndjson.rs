//! Jobs from a file: one JSON object a line. Every line is read and checked before anything is sent.
//!
//! Payloads are slices of the file's text, byte for byte; nothing is copied. Line numbers count from 1.
//! A line without an id gets one derived from its text, so that the same file, run again, adds only what is missing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use bytes::Bytes;
use queue_core::model::{Error, JobOptions, NewJob, base64, is_name, json};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use siphasher::sip128::{Hasher128, SipHasher13};

/// What holds for all lines of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    /// The name of jobs whose line has none.
    pub(crate) name: Option<String>,
    /// The field of the payload that is the id.
    pub(crate) id_from: Option<String>,
    /// Goes into derived ids: another key, other ids.
    pub(crate) again: Option<String>,
    /// Options that a line does not set itself.
    pub(crate) defaults: JobOptions,
}

/// A line that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Its number in the file, from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// Reads all jobs of a file; empty lines are skipped.
///
/// # Errors
///
/// Every line that is wrong, in order.
pub(crate) fn read(text: &Bytes, lines: &Lines) -> Result<Vec<NewJob>, Vec<Wrong>> {
    let mut jobs = Vec::new();
    let mut wrong = Vec::new();
    let mut seen = HashMap::new();
    let mut start = 0;
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let here = text.slice(start..start + line.len());
        start += line.len() + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match lines.job(&here, &mut seen) {
            Ok(job) => jobs.push(job),
            Err(error) => wrong.push(Wrong { line: at + 1, message: error.message }),
        }
    }
    if wrong.is_empty() { Ok(jobs) } else { Err(wrong) }
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The fields of an object; the second of one name is not taken for the first, since one of the two would get lost.
struct Once<'a> {
    fields: Fields<'a>,
    twice: Option<String>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Once<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once<'de>, A::Error> {
        let mut once = Once { fields: Fields::new(), twice: None };
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            if once.fields.insert(name.clone(), value).is_some() {
                once.twice = Some(name);
            }
        }
        Ok(once)
    }
}

impl Lines {
    fn job(&self, line: &Bytes, seen: &mut HashMap<u128, u64>) -> Result<NewJob, Error> {
        let Once { mut fields, twice } = serde_json::from_slice(line).map_err(|error| {
            let allowed = format!("a JSON object with name and payload; it breaks at column {}", error.column());
            Error::bad_arg("the line", String::from_utf8_lossy(line), &allowed)
        })?;
        if let Some(name) = twice {
            return Err(Error::bad_arg(&name, "there twice", "each field at most once"));
        }
        let name = self.name_of(fields.remove("name"))?;
        let payload = payload_of(line, fields.remove("payload"), fields.remove("payload_base64"))?;
        let mut options = if fields.is_empty() { self.defaults.clone() } else { self.options_of(&fields)? };
        if let (None, Some(field)) = (&options.id, &self.id_from) {
            options.id = Some(id_from(field, &payload)?);
        }
        if options.id.is_none() {
            options.id = Some(self.derived_id(&name, line, seen));
        }
        let job = NewJob { name, payload, options: Arc::new(options) };
        job.check()?;
        Ok(job)
    }

    fn name_of(&self, value: Option<&RawValue>) -> Result<String, Error> {
        let allowed = "text of 1 to 255 bytes without control characters";
        match value {
            Some(value) => {
                let name: Option<String> = serde_json::from_str(value.get()).ok();
                name.filter(|name| is_name(name)).ok_or_else(|| Error::bad_arg("name", value.get(), allowed))
            }
            None => {
                self.name.clone().ok_or_else(|| Error::bad_arg("name", "missing", &format!("{allowed}; or --name")))
            }
        }
    }

    /// The line's own options, then the defaults.
    fn options_of(&self, fields: &Fields<'_>) -> Result<JobOptions, Error> {
        let object = serde_json::to_vec(fields).expect("an object of JSON values");
        let own: JobOptions = json::read("job", &object, json::JOB_OPTIONS).map_err(with_first_fields)?;
        let defaults = self.defaults.clone();
        // A line that says when it is due does not take the other way of saying it from the defaults.
        let timed = own.delay_ms.is_some() || own.run_at_ms.is_some();
        Ok(JobOptions {
            id: own.id,
            delay_ms: if timed { own.delay_ms } else { defaults.delay_ms },
            run_at_ms: if timed { own.run_at_ms } else { defaults.run_at_ms },
            priority: own.priority.or(defaults.priority),
            lifo: if fields.contains_key("lifo") { own.lifo } else { defaults.lifo },
            attempts: own.attempts.or(defaults.attempts),
            backoff: own.backoff.or(defaults.backoff),
            timeout_ms: own.timeout_ms.or(defaults.timeout_ms),
            expires_in_ms: own.expires_in_ms.or(defaults.expires_in_ms),
            keep_ms: own.keep_ms.or(defaults.keep_ms),
            tags: if fields.contains_key("tags") { own.tags } else { defaults.tags },
            headers: if fields.contains_key("headers") { own.headers } else { defaults.headers },
        })
    }

    /// What keeps the ids of one key apart from those of another.
    fn salt(&self) -> u128 {
        self.again.as_ref().map_or(0, |key| {
            let mut hasher = SipHasher13::new_with_keys(0, 0);
            hasher.write(key.as_bytes());
            hasher.finish128().as_u128()
        })
    }

    /// `file-` and 128 bits over name, text and how often this text came before: equal lines are different jobs, and
    /// the same file gives the same ids.
    fn derived_id(&self, name: &str, line: &[u8], seen: &mut HashMap<u128, u64>) -> String {
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        hasher.write(&self.salt().to_le_bytes());
        hasher.write(&(name.len() as u64).to_le_bytes());
        hasher.write(name.as_bytes());
        hasher.write(line.trim_ascii());
        let text = hasher.finish128().as_u128();
        let times = seen.entry(text).or_insert(0);
        hasher.write(&times.to_le_bytes());
        *times += 1;
        format!("file-{:032x}", hasher.finish128().as_u128())
    }
}

/// `json::read` knows the options only; a line has three fields more.
fn with_first_fields(error: Error) -> Error {
    let first = "allowed: name, payload, payload_base64, id,";
    Error { message: error.message.replacen("allowed: id,", first, 1), ..error }
}

fn payload_of(line: &Bytes, json: Option<&RawValue>, text: Option<&RawValue>) -> Result<Bytes, Error> {
    match (json, text) {
        (Some(_), Some(_)) => {
            Err(Error::bad_arg("payload_base64", "there", "either payload or payload_base64, not both"))
        }
        (Some(json), None) => Ok(line.slice_ref(json.get().as_bytes())),
        (None, Some(text)) => {
            let bytes = serde_json::from_str(text.get()).ok().and_then(|text: String| base64::decode(&text));
            bytes.map(Bytes::from).ok_or_else(|| Error::bad_arg("payload_base64", text.get(), "base64 with padding"))
        }
        (None, None) => Ok(Bytes::from_static(b"null")),
    }
}

/// The id that a field of the payload holds.
fn id_from(field: &str, payload: &Bytes) -> Result<String, Error> {
    let allowed = "text of 1 to 255 bytes with at least one character that is not a digit";
    let fields: Fields<'_> = serde_json::from_slice(payload)
        .map_err(|_| Error::bad_arg("payload", String::from_utf8_lossy(payload), "an object, for --id-from"))?;
    let value = fields.get(field).ok_or_else(|| {
        let known = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        Error::bad_arg("--id-from", field, &format!("a field of the payload; this one has: {known}"))
    })?;
    match serde_json::from_str::<String>(value.get()) {
        Ok(id) if is_name(&id) && !id.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id),
        _ => Err(Error::bad_arg(&format!("payload.{field}"), value.get(), allowed)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use queue_core::model::{JobOptions, NewJob};

    use super::{Lines, Wrong, read};

    fn jobs(text: &str, lines: &Lines) -> Vec<NewJob> {
        read(&Bytes::copy_from_slice(text.as_bytes()), lines).expect(text)
    }

    fn ids(text: &str, lines: &Lines) -> Vec<String> {
        jobs(text, lines).iter().map(|job| job.options.id.clone().expect("every job has one")).collect()
    }

    fn refused(line: &str, expected: &str) {
        let wrong = read(&Bytes::copy_from_slice(line.as_bytes()), &Lines::default()).expect_err(line);
        assert!(wrong[0].message.starts_with(expected), "{line}: {}", wrong[0].message);
        for rust in ["u64", "i64", "struct", "Option", "line 1"] {
            assert!(!wrong[0].message.contains(rust), "{line}: {}", wrong[0].message);
        }
    }

    #[test]
    fn a_line_is_a_job_with_its_payload_exactly() {
        let text = "{\"name\":\"send\",\"payload\":{\"to\": 1.50},\"delay_ms\":5,\"id\":\"a\"}\r\n\n\
                    {\"name\":\"send\",\"payload_base64\":\"/w==\"}\n{\"name\":\"tick\"}";
        let jobs = jobs(text, &Lines::default());
        let payloads: Vec<&[u8]> = jobs.iter().map(|job| &job.payload[..]).collect();
        assert_eq!(payloads, [&b"{\"to\": 1.50}"[..], b"\xff", b"null"]);
        assert_eq!((jobs[0].options.delay_ms, jobs[0].options.id.as_deref()), (Some(5), Some("a")));
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused_by_name() {
        refused(r#"{"name":"a","payload":1,"payload":2}"#, "payload is there twice; allowed: each field at most once");
        refused(r#"{"name":"a","priority":1,"priority":1}"#, "priority is there twice; allowed: each field");
    }

    #[test]
    fn the_same_file_gives_the_same_ids_and_equal_lines_are_different_jobs() {
        let lines = Lines { name: Some("n".into()), ..Lines::default() };
        let text = "{\"payload\":1}\n{\"payload\":1}\n{\"payload\":2}\n";
        let first = ids(text, &lines);
        assert_eq!(first, ids(text, &lines));
        assert_eq!(first, ids(&format!("{text}{{\"payload\":3}}"), &lines)[..3]);
        assert_eq!(std::collections::BTreeSet::from_iter(&first).len(), 3);
        let again = Lines { again: Some("k".into()), ..lines.clone() };
        assert_eq!(ids(text, &again), ids(text, &again), "a run with the same key adds what is missing");
        assert!(ids(text, &again).iter().all(|id| !first.contains(id)));
        assert_ne!(first, ids(text, &Lines { name: Some("m".into()), ..lines }));
        // The ids are kept by queues for long: how they are derived must not change.
        assert_eq!(first[0], "file-03a9b5d280e47991203978b61d8546ca");
    }

    #[test]
    fn an_id_comes_from_the_payload_where_asked() {
        let lines = Lines { name: Some("n".into()), id_from: Some("order".into()), ..Lines::default() };
        assert_eq!(ids("{\"payload\":{\"order\":\"o-1\"}}", &lines), ["o-1"]);
        let wrong = |text: &str| read(&Bytes::copy_from_slice(text.as_bytes()), &lines).expect_err(text);
        let message = "--id-from is order; allowed: a field of the payload; this one has: a".to_owned();
        assert_eq!(wrong("{\"payload\":{\"a\":1}}"), [Wrong { line: 1, message }]);
        let message =
            "payload.order is 5; allowed: text of 1 to 255 bytes with at least one character that is not a digit";
        assert_eq!(wrong("\n{\"payload\":{\"order\":5}}"), [Wrong { line: 2, message: message.to_owned() }]);
    }

    #[test]
    fn flags_are_the_defaults_of_lines() {
        let defaults =
            JobOptions { delay_ms: Some(1), attempts: Some(2), tags: vec!["t".into()], ..Default::default() };
        let lines = Lines { name: Some("n".into()), defaults, ..Lines::default() };
        let jobs = jobs("{\"run_at_ms\":9,\"tags\":[]}\n{\"attempts\":7}", &lines);
        let options = &jobs[0].options;
        assert_eq!((options.delay_ms, options.run_at_ms, options.attempts), (None, Some(9), Some(2)));
        assert!(options.tags.is_empty());
        assert_eq!((jobs[1].options.delay_ms, jobs[1].options.attempts), (Some(1), Some(7)));
    }

    #[test]
    fn wrong_lines_are_refused_by_field_and_value() {
        refused(
            "{\"name\":\"n\"",
            "the line is {\"name\":\"n\"; allowed: a JSON object with name and payload; it breaks",
        );
        refused("[1]", "the line is [1]; allowed: a JSON object with name and payload");
        refused("{}", "name is missing; allowed: text of 1 to 255 bytes without control characters; or --name");
        refused("{\"name\":5}", "name is 5; allowed: text of 1 to 255 bytes");
        refused(
            "{\"name\":\"n\",\"dely_ms\":5}",
            "a field of job is dely_ms; allowed: name, payload, payload_base64, id,",
        );
        refused("{\"name\":\"n\",\"delay_ms\":\"5s\"}", "job.delay_ms is \"5s\"; allowed: milliseconds");
        refused("{\"name\":\"n\",\"priority\":5000}", "priority is 5000; allowed: an integer from -1000 to 1000");
        refused("{\"name\":\"n\",\"payload_base64\":\"?\"}", "payload_base64 is \"?\"; allowed: base64");
        refused("{\"name\":\"n\",\"payload\":1,\"payload_base64\":\"\"}", "payload_base64 is there; allowed: either");
    }
}
