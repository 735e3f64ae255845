//! `JOB.ADD` and `JOB.MADD`: enqueueing one job, and a batch of which all or none are added.
//!
//! A job is name, payload and options. The payload is an argument of its own, kept byte for byte; the options are one
//! JSON object, and `=` in a batch means the options of the job before.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::arguments::Arguments;
use super::values::{self, mismatch};
use super::words::Words;
use super::{Call, Form};
use crate::model::{Added, Command, Enqueued, Error, JobNumber, JobOptions, Limits, NewJob, json};
use crate::resp::{ReplyWriter, Value};

/// Stands for the options of the job before.
const AS_BEFORE: &[u8] = b"=";

/// How many different options a connection remembers.
const REMEMBERED: usize = 4;

/// Options longer than this are parsed each time: remembering them would cost each connection its memory.
const REMEMBERED_BYTES_MAX: usize = 1_024;

/// The options that a connection sent last: equal bytes are parsed once and share one value.
#[derive(Debug, Default)]
pub(super) struct OptionsCache {
    none: Arc<JobOptions>,
    known: Vec<(Box<[u8]>, Arc<JobOptions>)>,
    oldest: usize,
}

impl OptionsCache {
    fn parse(&mut self, json: &[u8]) -> Result<Arc<JobOptions>, Error> {
        if let Some((_, options)) = self.known.iter().find(|(known, _)| **known == *json) {
            return Ok(Arc::clone(options));
        }
        let options: Arc<JobOptions> = Arc::new(json::read("options", json, json::JOB_OPTIONS)?);
        // An id is one job's alone, so options with one never come again.
        if options.id.is_none() && json.len() <= REMEMBERED_BYTES_MAX {
            let entry = (json.into(), Arc::clone(&options));
            if self.known.len() < REMEMBERED {
                self.known.push(entry);
            } else {
                self.known[self.oldest] = entry;
                self.oldest = (self.oldest + 1) % REMEMBERED;
            }
        }
        Ok(options)
    }
}

fn job(arguments: &mut Arguments<'_>) -> Result<(String, Bytes), Error> {
    let name = arguments.text("name")?.to_owned();
    let payload = arguments.bytes("payload")?;
    // The one copy: nothing that outlives its request holds a slice of a read buffer.
    Ok((name, Bytes::copy_from_slice(payload)))
}

pub(super) fn parse_one(arguments: &mut Arguments<'_>, cache: &mut OptionsCache) -> Result<Call, Error> {
    let queue = arguments.text("queue")?.to_owned();
    let (name, payload) = job(arguments)?;
    let options = match arguments.left() {
        0 => Arc::clone(&cache.none),
        _ => cache.parse(arguments.bytes("options")?)?,
    };
    Ok(Call::execute(Command::Enqueue { queue, jobs: vec![NewJob { name, payload, options }] }, Form::Added))
}

pub(super) fn parse_many(arguments: &mut Arguments<'_>, cache: &mut OptionsCache) -> Result<Call, Error> {
    let queue = arguments.text("queue")?.to_owned();
    let count = usize::try_from(arguments.integer("count", 1..=Limits::BATCH_JOBS as u64)?).unwrap_or(usize::MAX);
    // The arguments have come, so this is no allocation for a length that somebody only declares.
    let mut jobs = Vec::with_capacity(count.min(arguments.left() / 3 + 1));
    let mut options = Arc::clone(&cache.none);
    for _ in 0..count {
        let (name, payload) = job(arguments)?;
        let given = arguments.bytes("options")?;
        if given != AS_BEFORE {
            options = cache.parse(given)?;
        }
        jobs.push(NewJob { name, payload, options: Arc::clone(&options) });
    }
    Ok(Call::execute(Command::Enqueue { queue, jobs }, Form::AddedMany))
}

pub(super) fn encode(queue: &str, jobs: &[NewJob], out: &mut BytesMut) -> Form {
    if let [job] = jobs {
        let mut words = Words::new("JOB.ADD");
        words.text(queue).text(&job.name).bytes(&job.payload);
        if *job.options != JobOptions::default() {
            words.json(&*job.options);
        }
        words.write(out);
        return Form::Added;
    }
    let mut words = Words::new("JOB.MADD");
    words.reserve(jobs.len() * 3 + 2);
    words.text(queue).number(jobs.len() as u64);
    let none = Arc::default();
    let mut before: &Arc<JobOptions> = &none;
    for job in jobs {
        words.text(&job.name).bytes(&job.payload);
        if Arc::ptr_eq(before, &job.options) || **before == *job.options {
            words.bytes(AS_BEFORE);
        } else {
            words.json(&*job.options);
            before = &job.options;
        }
    }
    words.write(out);
    Form::AddedMany
}

pub(super) fn write_added(writer: &mut ReplyWriter<'_>, enqueued: &Enqueued) {
    writer.array(2);
    writer.integer(enqueued.number.0.cast_signed());
    writer.simple(enqueued.added.as_str());
}

pub(super) fn read_added(value: Value) -> Result<Enqueued, Error> {
    let mut items = values::items(value)?;
    let number = JobNumber(values::integer(items.next())?);
    let added = Added::parse(&values::text(items.next())?).ok_or_else(mismatch)?;
    Ok(Enqueued { number, added })
}
