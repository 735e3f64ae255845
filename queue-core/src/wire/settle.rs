//! `JOB.COMPLETE`, `JOB.FAIL`, `JOB.RELEASE`, `JOB.SNOOZE`, and `JOB.SETTLE`: many of them, and then perhaps a lease.

use bytes::{Bytes, BytesMut};

use super::add::OptionsCache;
use super::arguments::{Arguments, is};
use super::values::{self, mismatch};
use super::words::Words;
use super::{Call, Form, lease};
use crate::model::{Command, Error, LeaseOrder, LeasedJob, Limits, Outcome, Reply, Settled, Settlement, Word};
use crate::resp::{ReplyWriter, Value};

/// A snooze as long as the job's backoff says.
const AS_BACKOFF: &str = "-";

fn one(
    arguments: &mut Arguments<'_>,
    outcome: impl Fn(&mut Arguments<'_>) -> Result<Outcome, Error>,
) -> Result<Call, Error> {
    let settlement = Settlement { lease: arguments.lease()?, outcome: outcome(arguments)? };
    Ok(Call::execute(Command::Settle { settlements: vec![settlement], then_lease: None }, Form::SettledOne))
}

fn result(arguments: &mut Arguments<'_>) -> Result<Outcome, Error> {
    let bytes = arguments.bytes("result")?;
    Ok(Outcome::Complete { result: Some(Bytes::copy_from_slice(bytes)) })
}

fn failure(arguments: &mut Arguments<'_>) -> Result<(String, String), Error> {
    Ok((arguments.text("kind")?.to_owned(), arguments.prose("error")?))
}

fn delay_ms(arguments: &mut Arguments<'_>) -> Result<Option<u64>, Error> {
    match arguments.word(AS_BACKOFF) {
        true => Ok(None),
        false => arguments.integer("delay_ms", 0..=Limits::DURATION_MS).map(Some),
    }
}

pub(super) fn parse_complete(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    one(arguments, |arguments| match arguments.left() {
        0 => Ok(Outcome::Complete { result: None }),
        _ => result(arguments),
    })
}

pub(super) fn parse_fail(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    one(arguments, |arguments| {
        let (kind, error) = failure(arguments)?;
        Ok(Outcome::Fail { kind, error, retryable: !arguments.word("FINAL") })
    })
}

pub(super) fn parse_release(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    one(arguments, |_| Ok(Outcome::Release))
}

pub(super) fn parse_snooze(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    one(arguments, |arguments| match arguments.left() {
        0 => Ok(Outcome::Snooze { delay_ms: None }),
        _ => Ok(Outcome::Snooze { delay_ms: delay_ms(arguments)? }),
    })
}

pub(super) fn parse_many(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let count = usize::try_from(arguments.integer("count", 0..=Limits::BATCH_JOBS as u64)?).unwrap_or(usize::MAX);
    let mut settlements = Vec::with_capacity(count.min(arguments.left() / 3 + 1));
    for _ in 0..count {
        settlements.push(settlement(arguments)?);
    }
    let mut then_lease = None;
    if arguments.left() > 0 {
        let word = arguments.bytes("LEASE")?;
        if !is(word, "LEASE") {
            return Err(Error::bad_arg(
                "argument",
                String::from_utf8_lossy(word),
                "LEASE, after as many settlements as count says",
            ));
        }
        let (order, wait_ms) = lease::order(arguments)?;
        if let Some(wait_ms) = wait_ms {
            return Err(Error::bad_arg("BLOCK", wait_ms, "nothing: JOB.SETTLE does not wait, JOB.LEASE does"));
        }
        then_lease = Some(order);
    }
    Ok(Call::execute(Command::Settle { settlements, then_lease }, Form::Settled))
}

fn settlement(arguments: &mut Arguments<'_>) -> Result<Settlement, Error> {
    let word = arguments.bytes("outcome")?;
    let lease = arguments.lease()?;
    let outcome = match () {
        () if is(word, "COMPLETE") => Outcome::Complete { result: None },
        () if is(word, "RESULT") => result(arguments)?,
        () if is(word, "FAIL") || is(word, "REJECT") => {
            let (kind, error) = failure(arguments)?;
            Outcome::Fail { kind, error, retryable: is(word, "FAIL") }
        }
        () if is(word, "RELEASE") => Outcome::Release,
        () if is(word, "SNOOZE") => Outcome::Snooze { delay_ms: delay_ms(arguments)? },
        () => {
            let allowed = "COMPLETE, RESULT, FAIL, REJECT, RELEASE or SNOOZE";
            return Err(Error::bad_arg("outcome", String::from_utf8_lossy(word), allowed));
        }
    };
    Ok(Settlement { lease, outcome })
}

pub(super) fn encode(settlements: &[Settlement], then_lease: Option<&LeaseOrder>, out: &mut BytesMut) -> Form {
    let mut words = Words::new("JOB.SETTLE");
    words.reserve(settlements.len() * 4 + 2);
    words.number(settlements.len() as u64);
    settlements.iter().for_each(|settlement| put(&mut words, settlement));
    if let Some(order) = then_lease {
        words.text("LEASE");
        lease::put_order(&mut words, order, None);
    }
    words.write(out);
    Form::Settled
}

fn put<'a>(words: &mut Words<'a>, settlement: &'a Settlement) {
    let lease = settlement.lease;
    match &settlement.outcome {
        Outcome::Complete { result: None } => words.text("COMPLETE").lease(lease),
        Outcome::Complete { result: Some(result) } => words.text("RESULT").lease(lease).bytes(result),
        Outcome::Fail { kind, error, retryable } => {
            words.text(if *retryable { "FAIL" } else { "REJECT" }).lease(lease).text(kind).text(error)
        }
        Outcome::Release => words.text("RELEASE").lease(lease),
        Outcome::Snooze { delay_ms: None } => words.text("SNOOZE").lease(lease).text(AS_BACKOFF),
        Outcome::Snooze { delay_ms: Some(delay_ms) } => words.text("SNOOZE").lease(lease).number(*delay_ms),
    };
}

/// Each settlement is an array that begins with a word: how it counted, or an error's word with its message. An error
/// in an array would make some clients throw the whole reply away.
pub(super) fn write_settled(writer: &mut ReplyWriter<'_>, settled: &[Result<Settled, Error>], leased: &[LeasedJob]) {
    writer.array(2);
    writer.array(settled.len());
    for one in settled {
        match one {
            Ok(settled) => {
                writer.array(1);
                writer.simple(settled.as_str());
            }
            Err(error) => {
                writer.array(2);
                writer.simple(error.word.as_str());
                writer.bulk(error.message.as_bytes());
            }
        }
    }
    lease::write_leased(writer, leased);
}

pub(super) fn read_settled(value: Value) -> Result<Reply, Error> {
    let mut items = values::items(value)?;
    let settled = values::items(items.next().ok_or_else(mismatch)?)?;
    let settled = settled.map(read_one).collect::<Result<_, Error>>()?;
    Ok(Reply::Settled { settled, leased: lease::read_leased(items.next().ok_or_else(mismatch)?)? })
}

/// The reply to a single settlement.
pub(super) fn read_word(value: Value) -> Result<Settled, Error> {
    Settled::parse(&values::text(Some(value))?).ok_or_else(mismatch)
}

fn read_one(value: Value) -> Result<Result<Settled, Error>, Error> {
    let mut items = values::items(value)?;
    let word = values::text(items.next())?;
    match Settled::parse(&word) {
        Some(settled) => Ok(Ok(settled)),
        None => Ok(Err(Error::new(Word::parse(&word), values::text(items.next())?))),
    }
}
