//! `JOB.LEASE` and `JOB.EXTEND`: handing jobs to workers, and giving leases their length again.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::{Arguments, is};
use super::values::{self, mismatch};
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{Command, Error, Extension, JobNumber, LeaseOrder, LeaseRef, LeaseRequest, LeasedJob, Limits};
use crate::resp::{ReplyWriter, Value};

/// Values of a leased job in a reply.
const LEASED_ITEMS: usize = 12;

/// Reads `worker [COUNT n] [BLOCK ms] [LEASE ms] QUEUES queue [queue …]`, which ends the request.
pub(super) fn order(arguments: &mut Arguments<'_>) -> Result<(LeaseOrder, Option<u64>), Error> {
    let mut order =
        LeaseOrder { queues: Vec::new(), limit: 1, worker: arguments.text("worker")?.to_owned(), lease_ms: None };
    let (mut wait_ms, mut named) = (None, false);
    arguments.words(|word, arguments| {
        if is(word, "COUNT") {
            order.limit = arguments.small("COUNT", 1..=Limits::LEASE_JOBS)?;
        } else if is(word, "BLOCK") {
            wait_ms = Some(arguments.wait("BLOCK")?);
        } else if is(word, "LEASE") {
            order.lease_ms = Some(arguments.integer("LEASE", Limits::LEASE_MS_MIN..=Limits::LEASE_MS)?);
        } else if is(word, "QUEUES") {
            named = true;
            while arguments.left() > 0 {
                order.queues.push(arguments.text("queue")?.to_owned());
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    })?;
    if !named {
        // Reading on where nothing is left gives the error that says so.
        arguments.bytes("QUEUES")?;
    }
    Ok((order, wait_ms))
}

/// Writes what [`order`] reads.
pub(super) fn put_order<'a>(words: &mut Words<'a>, order: &'a LeaseOrder, wait_ms: Option<u64>) {
    words.text(&order.worker).text("COUNT").number(u64::from(order.limit));
    words.optional_number("BLOCK", wait_ms).optional_number("LEASE", order.lease_ms).text("QUEUES");
    order.queues.iter().for_each(|queue| {
        words.text(queue);
    });
}

pub(super) fn parse(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let (order, wait_ms) = order(arguments)?;
    let request = match wait_ms {
        Some(wait_ms) => Request::Lease(LeaseRequest { order, wait_ms }),
        None => Request::Execute(Command::Lease(order)),
    };
    Ok(Call { request, context: None, form: Form::Leased })
}

pub(super) fn encode(order: &LeaseOrder, out: &mut BytesMut) -> Form {
    let mut words = Words::new("JOB.LEASE");
    put_order(&mut words, order, None);
    words.write(out);
    Form::Leased
}

pub(super) fn encode_waiting(request: &LeaseRequest, out: &mut BytesMut) -> Form {
    let mut words = Words::new("JOB.LEASE");
    put_order(&mut words, &request.order, Some(request.wait_ms));
    words.write(out);
    Form::Leased
}

pub(super) fn parse_extend(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let (mut leases, mut lease_ms) = (Vec::new(), None);
    while arguments.left() > 0 {
        if arguments.word("LEASE") {
            lease_ms = Some(arguments.integer("LEASE", Limits::LEASE_MS_MIN..=Limits::LEASE_MS)?);
            break;
        }
        leases.push(arguments.lease()?);
    }
    Ok(Call::execute(Command::Extend { leases, lease_ms }, Form::Extended))
}

pub(super) fn encode_extend(leases: &[LeaseRef], lease_ms: Option<u64>, out: &mut BytesMut) -> Form {
    let mut words = Words::new("JOB.EXTEND");
    leases.iter().for_each(|lease| {
        words.lease(*lease);
    });
    words.optional_number("LEASE", lease_ms).write(out);
    Form::Extended
}

pub(super) fn write_leased(writer: &mut ReplyWriter<'_>, leased: &[LeasedJob]) {
    writer.array(leased.len());
    for job in leased {
        writer.array(LEASED_ITEMS);
        writer.integer(job.number.0.cast_signed());
        writer.bulk(job.token.to_string().as_bytes());
        writer.bulk(job.queue.as_bytes());
        writer.bulk(job.name.as_bytes());
        match &job.id {
            Some(id) => writer.bulk(id.as_bytes()),
            None => writer.null(),
        }
        writer.integer(job.attempt.into());
        writer.integer(job.attempts.into());
        writer.integer(job.lease_ms.cast_signed());
        match job.timeout_ms {
            Some(timeout_ms) => writer.integer(timeout_ms.cast_signed()),
            None => writer.null(),
        }
        writer.integer(job.enqueued_at_ms.cast_signed());
        writer.array(job.headers.len() * 2);
        for (name, value) in &job.headers {
            writer.bulk(name.as_bytes());
            writer.bulk(value.as_bytes());
        }
        writer.bulk(&job.payload);
    }
}

pub(super) fn read_leased(value: Value) -> Result<Vec<LeasedJob>, Error> {
    values::items(value)?.map(read_job).collect()
}

fn read_job(value: Value) -> Result<LeasedJob, Error> {
    let mut items = values::items(value)?;
    Ok(LeasedJob {
        number: JobNumber(values::integer(items.next())?),
        token: values::token(items.next())?,
        queue: values::text(items.next())?,
        name: values::text(items.next())?,
        id: values::optional(items.next(), values::text)?,
        attempt: values::small(items.next())?,
        attempts: values::small(items.next())?,
        lease_ms: values::integer(items.next())?,
        timeout_ms: values::optional(items.next(), values::integer)?,
        enqueued_at_ms: values::integer(items.next())?,
        headers: read_headers(items.next())?,
        payload: values::bytes(items.next())?.into(),
    })
}

fn read_headers(value: Option<Value>) -> Result<BTreeMap<String, String>, Error> {
    let mut items = values::items(value.ok_or_else(mismatch)?)?;
    let mut headers = BTreeMap::new();
    while let Some(name) = items.next() {
        headers.insert(values::text(Some(name))?, values::text(items.next())?);
    }
    Ok(headers)
}

pub(super) fn write_extended(writer: &mut ReplyWriter<'_>, extended: &[Extension]) {
    writer.array(extended.len());
    for extension in extended {
        match extension {
            Extension::Extended { lease_ms } => {
                writer.array(2);
                writer.simple("extended");
                writer.integer(lease_ms.cast_signed());
            }
            Extension::Cancel { reason } => {
                writer.array(2);
                writer.simple("cancel");
                writer.bulk(reason.as_bytes());
            }
            Extension::Lost => {
                writer.array(1);
                writer.simple("lost");
            }
        }
    }
}

pub(super) fn read_extended(value: Value) -> Result<Vec<Extension>, Error> {
    values::items(value)?.map(read_extension).collect()
}

fn read_extension(value: Value) -> Result<Extension, Error> {
    let mut items = values::items(value)?;
    match values::text(items.next())?.as_str() {
        "extended" => Ok(Extension::Extended { lease_ms: values::integer(items.next())? }),
        "cancel" => Ok(Extension::Cancel { reason: values::text(items.next())? }),
        "lost" => Ok(Extension::Lost),
        _ => Err(mismatch()),
    }
}
