//! Taking a reply's values apart. What is not as expected means a peer of another version, and is one error.

use crate::model::{Error, LeaseToken, Word};
use crate::resp::Value;

/// The other side's reply is none that belongs to the request.
pub(crate) fn mismatch() -> Error {
    Error::new(Word::Err, "the server's reply does not belong to the request; are both sides of one version?")
}

/// An error as the protocol carries it: its word, a blank, its message.
pub(super) fn error(text: &str) -> Error {
    match text.split_once(' ') {
        // A word that is not ours stays in the message, since it is all that says what happened.
        Some((word, message)) if Word::parse(word) != Word::Err || word == "ERR" => {
            Error::new(Word::parse(word), message)
        }
        _ => Error::new(Word::Err, text),
    }
}

pub(super) fn items(value: Value) -> Result<std::vec::IntoIter<Value>, Error> {
    match value {
        Value::Array(items) => Ok(items.into_iter()),
        _ => Err(mismatch()),
    }
}

pub(super) fn integer(value: Option<Value>) -> Result<u64, Error> {
    match value {
        Some(Value::Integer(number)) => u64::try_from(number).map_err(|_| mismatch()),
        _ => Err(mismatch()),
    }
}

pub(super) fn small(value: Option<Value>) -> Result<u32, Error> {
    u32::try_from(integer(value)?).map_err(|_| mismatch())
}

pub(super) fn bytes(value: Option<Value>) -> Result<Vec<u8>, Error> {
    match value {
        Some(Value::Bulk(bytes)) => Ok(bytes),
        Some(Value::Simple(text)) => Ok(text.into_bytes()),
        _ => Err(mismatch()),
    }
}

pub(super) fn text(value: Option<Value>) -> Result<String, Error> {
    String::from_utf8(bytes(value)?).map_err(|_| mismatch())
}

pub(super) fn token(value: Option<Value>) -> Result<LeaseToken, Error> {
    text(value)?.parse().map_err(|_| mismatch())
}

/// A value that may be null.
pub(super) fn optional<T>(
    value: Option<Value>,
    read: impl FnOnce(Option<Value>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    match value {
        Some(Value::Null) => Ok(None),
        value => read(value).map(Some),
    }
}

pub(super) fn json<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_slice(&bytes(Some(value))?).map_err(|_| mismatch())
}
