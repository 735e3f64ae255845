//! Requests of the Redis protocol, as a server reads them: frames, then commands.
//!
//! The first bytes say how the others come in: in how many pieces, under which limits. However they are cut, the requests,
//! what they mean, and the error at the end are the same; and what a request means is what it means once it was written anew.

use bytes::BytesMut;
use queue_core::resp::{RequestLimits, RequestReader};
use queue_core::wire::{Call, Parser, encode};

use crate::Input;

/// What a connection read: requests, each with its meaning, and how it ended.
type Read = (Vec<(Vec<Vec<u8>>, String)>, String);

/// Limits that a short input reaches.
const TIGHT: RequestLimits = RequestLimits {
    arguments_max: 5,
    argument_bytes_max: 40,
    inline_bytes_max: 60,
    request_bytes_max: 120,
    authenticated: true,
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let limits = match input.number(1) % 3 {
        0 => RequestLimits::AUTHENTICATED,
        1 => RequestLimits::UNAUTHENTICATED,
        _ => TIGHT,
    };
    let mut cuts = Input(input.take(8));
    let bytes = input.0;
    let whole = read(limits, std::iter::once(bytes));
    let mut rest = bytes;
    let pieces = std::iter::from_fn(|| {
        let length = if cuts.is_empty() { 1 + rest.len() / 16 } else { cuts.number(1) as usize };
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        let more = !rest.is_empty();
        rest = behind;
        more.then_some(piece)
    });
    assert_eq!(read(limits, pieces), whole, "pieces are read as the whole is");
}

fn read<'a>(limits: RequestLimits, pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let (mut reader, mut parser, mut requests) = (RequestReader::new(limits), Parser::default(), Vec::new());
    for piece in pieces {
        reader.buffer_mut().extend_from_slice(piece);
        loop {
            match reader.next_request() {
                Ok(None) => break,
                Ok(Some(request)) => {
                    let arguments = request.arguments().map(<[u8]>::to_vec).collect();
                    let meaning = parser.parse(request);
                    if let Some(Ok(call)) = &meaning {
                        check_written(call);
                    }
                    requests.push((arguments, format!("{meaning:?}")));
                }
                Err(error) => {
                    let again = reader.next_request().map(|_| ());
                    assert_eq!(again, Err(error.clone()), "an error is repeated for ever");
                    return (requests, format!("{error:?}"));
                }
            }
        }
    }
    (requests, format!("{} bytes are left", reader.unread_bytes()))
}

/// What a client writes for this call means the same.
fn check_written(call: &Call) {
    let context = call.context.clone().unwrap_or_default();
    let mut out = BytesMut::new();
    encode(&call.request, &context, &mut out);
    let mut reader = RequestReader::new(RequestLimits::AUTHENTICATED);
    reader.buffer_mut().extend_from_slice(&out);
    let request = reader.next_request().expect("what was written is read").expect("all of it is there");
    let again = Parser::default().parse(request).expect("it is a command").expect("it is sound");
    assert_eq!(again.request, call.request, "written and read again");
}
