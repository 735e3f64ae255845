//! Tests of the whole folder: requests, replies, and properties that hold however the bytes are cut.
//!
//! `requests_of` and `replies_of` feed a reader chunk by chunk, as a socket would, and take what is whole after each.

mod properties;
mod replies;
mod requests;

use super::{ReplyError, ReplyLimits, ReplyReader, RequestError, RequestLimits, RequestReader, Value};

type Arguments = Vec<Vec<u8>>;

fn arguments(texts: &[&str]) -> Arguments {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What a connection with these limits hears of `chunks`: the requests, and the error that ended it.
fn requests_of<'a>(
    limits: RequestLimits,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Arguments>, Option<RequestError>) {
    let mut reader = RequestReader::new(limits);
    let mut requests = Vec::new();
    for chunk in chunks {
        reader.buffer_mut().extend_from_slice(chunk);
        loop {
            match reader.next_request() {
                Ok(Some(request)) => requests.push(request.arguments().map(<[u8]>::to_vec).collect()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_request().err(), Some(error.clone()), "an error is final");
                    return (requests, Some(error));
                }
            }
        }
    }
    (requests, None)
}

/// What a client with these limits hears of `chunks`: the replies, and the error that ended it.
fn replies_of<'a>(limits: ReplyLimits, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Value>, Option<ReplyError>) {
    let mut reader = ReplyReader::new(limits);
    let mut replies = Vec::new();
    for chunk in chunks {
        reader.buffer_mut().extend_from_slice(chunk);
        loop {
            match reader.next_reply() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_reply(), Err(error.clone()), "an error is final");
                    return (replies, Some(error));
                }
            }
        }
    }
    (replies, None)
}
