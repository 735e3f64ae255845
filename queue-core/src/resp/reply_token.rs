//! One token of a reply: a scalar as a whole, or the header of an aggregate.
//!
//! Pure; leaves nesting and the read buffer to the reply reader. A token that has not all come is looked at again after
//! the next read: that costs a constant, since headers are short and a line's search goes on where it stopped.

use super::header::{Header, header, integer, printable};
use super::reply_error::ReplyError;
use super::reply_reader::ReplyLimits;
use super::value::Value;

/// What an aggregate's items become.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aggregate {
    Array,
    Map,
    Set,
    Push,
    /// Remarks on the value after them, of no use to us: read and dropped.
    Attribute,
}

/// What stands at the start of the unread bytes.
#[derive(Debug)]
pub(super) enum Token {
    Scalar(Value),
    /// An aggregate, and how many values it has.
    Open(Aggregate, usize),
}

/// Reads the token at the start of `input`, and how many bytes it takes; `None` until it has all come.
///
/// `searched` is kept between calls for one token, and is 0 for a new one: how much of a line has no line end.
pub(super) fn token(
    input: &[u8],
    limits: &ReplyLimits,
    searched: &mut usize,
) -> Result<Option<(Token, usize)>, ReplyError> {
    let Some((kind, rest)) = input.split_first() else { return Ok(None) };
    let token = match kind {
        b'+' | b'-' | b'(' | b',' => line(*kind, rest, limits, searched)?.map(scalar),
        b':' => number(rest)?.map(|(value, bytes)| scalar((Value::Integer(value), bytes))),
        b'_' | b'#' => word(*kind, rest)?.map(scalar),
        b'$' | b'!' | b'=' => bulk(*kind, rest, limits)?.map(scalar),
        b'*' => open(Aggregate::Array, rest, limits)?,
        b'%' => open(Aggregate::Map, rest, limits)?,
        b'~' => open(Aggregate::Set, rest, limits)?,
        b'>' => open(Aggregate::Push, rest, limits)?,
        b'|' => open(Aggregate::Attribute, rest, limits)?,
        other => return Err(ReplyError::UnknownType { found: printable(&[*other]) }),
    };
    Ok(token.map(|(token, bytes)| (token, bytes + 1)))
}

fn scalar((value, bytes): (Value, usize)) -> (Token, usize) {
    (Token::Scalar(value), bytes)
}

/// A value of free length up to CRLF.
fn line(
    kind: u8,
    rest: &[u8],
    limits: &ReplyLimits,
    searched: &mut usize,
) -> Result<Option<(Value, usize)>, ReplyError> {
    let end = memchr::memchr(b'\n', &rest[*searched..]).map(|offset| *searched + offset);
    let line = &rest[..end.unwrap_or(rest.len())];
    let text = line.strip_suffix(b"\r");
    let max = limits.line_bytes_max;
    if text.unwrap_or(line).len() > max {
        return Err(ReplyError::TooBig { what: "bytes in a line", max });
    }
    let Some(end) = end else {
        *searched = rest.len();
        return Ok(None);
    };
    let text = text.ok_or_else(|| invalid("line that ends with CRLF", line))?;
    let value = match kind {
        b'+' => Value::Simple(owned(text)),
        b'-' => Value::Error(owned(text)),
        b',' => Value::Double(double(text).ok_or_else(|| invalid("double", text))?),
        _ if is_big_number(text) => Value::BigNumber(owned(text)),
        _ => return Err(invalid("big number", text)),
    };
    Ok(Some((value, end + 1)))
}

/// Null or a truth value: one fixed word each.
fn word(kind: u8, rest: &[u8]) -> Result<Option<(Value, usize)>, ReplyError> {
    let Some((text, bytes)) = short_line(rest)? else { return Ok(None) };
    let value = match (kind, text) {
        (b'_', b"") => Value::Null,
        (b'#', b"t") => Value::Boolean(true),
        (b'#', b"f") => Value::Boolean(false),
        (b'_', _) => return Err(invalid("null", text)),
        _ => return Err(invalid("boolean", text)),
    };
    Ok(Some((value, bytes)))
}

/// A value whose length is declared; copied once all of it has come.
fn bulk(kind: u8, rest: &[u8], limits: &ReplyLimits) -> Result<Option<(Value, usize)>, ReplyError> {
    let Some((declared, start)) = number(rest)? else { return Ok(None) };
    if declared == -1 && kind == b'$' {
        return Ok(Some((Value::Null, start)));
    }
    let length = bounded(declared, limits.bulk_bytes_max, "bytes in a bulk string")?;
    let end = start + length;
    match rest.get(end..end + 2) {
        None => return Ok(None),
        Some(b"\r\n") => {}
        Some(_) => return Err(ReplyError::ExpectedLineEnd { what: "bulk string" }),
    }
    let bytes = &rest[start..end];
    let value = match kind {
        b'$' => Value::Bulk(bytes.to_vec()),
        b'!' => Value::Error(owned(bytes)),
        // A verbatim string begins with its format: three letters and a colon.
        _ => match bytes.split_at_checked(4) {
            Some((format, text)) if format.ends_with(b":") => Value::Bulk(text.to_vec()),
            _ => return Err(invalid("verbatim string", bytes)),
        },
    };
    Ok(Some((value, end + 2)))
}

fn open(kind: Aggregate, rest: &[u8], limits: &ReplyLimits) -> Result<Option<(Token, usize)>, ReplyError> {
    let Some((declared, bytes)) = number(rest)? else { return Ok(None) };
    if declared == -1 && matches!(kind, Aggregate::Array) {
        return Ok(Some((Token::Scalar(Value::Null), bytes)));
    }
    let length = bounded(declared, limits.items_max, "items in an aggregate")?;
    let values =
        if matches!(kind, Aggregate::Map | Aggregate::Attribute) { length.checked_mul(2) } else { Some(length) };
    let values = values.ok_or(ReplyError::TooBig { what: "items in an aggregate", max: limits.items_max })?;
    Ok(Some((Token::Open(kind, values), bytes)))
}

fn bounded(declared: i64, max: usize, what: &'static str) -> Result<usize, ReplyError> {
    match usize::try_from(declared) {
        Ok(length) if length <= max => Ok(length),
        Ok(_) => Err(ReplyError::TooBig { what, max }),
        Err(_) => Err(ReplyError::Invalid { what: "length", found: declared.to_string() }),
    }
}

fn number(rest: &[u8]) -> Result<Option<(i64, usize)>, ReplyError> {
    let Some((text, bytes)) = short_line(rest)? else { return Ok(None) };
    let number = integer(text).ok_or_else(|| invalid("number", text))?;
    Ok(Some((number, bytes)))
}

fn short_line(rest: &[u8]) -> Result<Option<(&[u8], usize)>, ReplyError> {
    match header(rest) {
        Header::Whole { text, bytes } => Ok(Some((text, bytes))),
        Header::Partial => Ok(None),
        Header::Long => Err(invalid("number", rest)),
        Header::Broken => Err(ReplyError::ExpectedLineEnd { what: "number" }),
    }
}

fn double(text: &[u8]) -> Option<f64> {
    str::from_utf8(text).ok()?.parse().ok()
}

fn is_big_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Texts are for people: what is no UTF-8 in them is replaced.
fn owned(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn invalid(what: &'static str, found: &[u8]) -> ReplyError {
    ReplyError::Invalid { what, found: printable(&found[..found.len().min(32)]) }
}
