//! Properties: how bytes are cut changes nothing, what is written is read, and no bytes make a reader panic.

use super::super::{ReplyLimits, ReplyWriter, RequestLimits, RequestWriter, Value, Version};
use super::{Arguments, replies_of, requests_of};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A request in one of its forms, or one that counts as none.
#[derive(Debug, Clone)]
enum Sent {
    Array(Arguments),
    Line(Arguments),
    Empty(&'static str),
}

impl Sent {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Array(arguments) => {
                RequestWriter::write(out, &arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            Self::Line(arguments) => {
                for argument in arguments {
                    let escaped: String = argument.iter().map(|byte| format!("\\x{byte:02x}")).collect();
                    out.extend_from_slice(format!(" \"{escaped}\"").as_bytes());
                }
                out.extend_from_slice(b"\r\n");
            }
            Self::Empty(text) => out.extend_from_slice(text.as_bytes()),
        }
    }

    fn expected(self) -> Option<Arguments> {
        match self {
            Self::Array(arguments) | Self::Line(arguments) => Some(arguments),
            Self::Empty(_) => None,
        }
    }
}

fn any_request() -> impl Strategy<Value = Sent> {
    let arguments = || vec(vec(any::<u8>(), 0..40), 1..12);
    prop_oneof![
        4 => arguments().prop_map(Sent::Array),
        2 => arguments().prop_map(Sent::Line),
        1 => prop_oneof![Just("\r\n"), Just("\n"), Just("*0\r\n"), Just("*-1\r\n"), Just(" \t\r\n")].prop_map(Sent::Empty),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = "[ -~ü]{0,20}";
    let scalar = prop_oneof![
        Just(Value::Null),
        text.prop_map(Value::Simple),
        ("[A-Z]{1,9}", text).prop_map(|(word, text)| Value::Error(format!("{word} {text}"))),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("NaN equals nothing", |number| !number.is_nan()).prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        vec(any::<u8>(), 0..60).prop_map(Value::Bulk),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec(inner.clone(), 0..6).prop_map(Value::Set),
            vec(inner.clone(), 0..6).prop_map(Value::Push),
            vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn put_value(reply: &mut ReplyWriter<'_>, value: &Value) {
    let items = match value {
        Value::Null => return reply.null(),
        Value::Simple(text) => return reply.simple(text),
        Value::Error(text) => {
            let (word, text) = text.split_once(' ').expect("an error has a word and a text");
            return reply.error(word, text);
        }
        Value::Integer(number) => return reply.integer(*number),
        Value::Double(number) => return reply.double(*number),
        Value::Boolean(truth) => return reply.boolean(*truth),
        Value::Bulk(bytes) => return reply.bulk(bytes),
        Value::BigNumber(_) => unreachable!("the writer has none"),
        Value::Map(pairs) => {
            reply.map(pairs.len());
            for (key, value) in pairs {
                put_value(reply, key);
                put_value(reply, value);
            }
            return;
        }
        Value::Array(items) => {
            reply.array(items.len());
            items
        }
        Value::Set(items) => {
            reply.set(items.len());
            items
        }
        Value::Push(items) => {
            reply.push(items.len());
            items
        }
    };
    items.iter().for_each(|item| put_value(reply, item));
}

/// What is left of a value's type in RESP2.
fn in_resp2(value: Value) -> Value {
    match value {
        Value::Double(number) => Value::Bulk(number.to_string().into_bytes()),
        Value::Boolean(truth) => Value::Integer(i64::from(truth)),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            Value::Array(items.into_iter().map(in_resp2).collect())
        }
        Value::Map(pairs) => {
            Value::Array(pairs.into_iter().flat_map(|(key, value)| [in_resp2(key), in_resp2(value)]).collect())
        }
        same => same,
    }
}

/// Cuts `bytes` at these places: as a socket delivers it, empty reads included.
fn cut<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    ends.extend([0, bytes.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|span| &bytes[span[0]..span[1]]).collect()
}

/// Bytes that get deeper into a parser than evenly drawn ones: pieces of the protocol, with a few others between.
fn any_garbage() -> impl Strategy<Value = Vec<u8>> {
    const BYTES: &[u8] = b"\r\n*$+-:_#,(!=%~>|0123tx\"'\\ ";
    const PIECES: &[&[u8]] =
        &[b"\r\n", b"*1\r\n", b"*2\r\n", b"$1\r\n", b"$0\r\n\r\n", b"PING", b"txt:", b"9999999999"];
    let piece = prop_oneof![
        8 => proptest::sample::select(BYTES).prop_map(|byte| vec![byte]),
        8 => proptest::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn requests_are_the_same_however_they_are_cut(
        sent in vec(any_request(), 0..12),
        places in vec(any::<Index>(), 0..20),
    ) {
        let mut wire = BytesMut::new();
        sent.iter().for_each(|request| request.put(&mut wire));
        let expected: Vec<Arguments> = sent.into_iter().filter_map(Sent::expected).collect();
        let (whole, error) = requests_of(RequestLimits::AUTHENTICATED, cut(&wire, &places));
        prop_assert_eq!((&whole, error), (&expected, None));
        let (by_bytes, error) = requests_of(RequestLimits::AUTHENTICATED, wire.chunks(1));
        prop_assert_eq!((by_bytes, error), (expected, None));
    }

    #[test]
    fn what_the_writer_writes_the_reader_reads(
        values in vec(any_value(), 0..6),
        places in vec(any::<Index>(), 0..20),
    ) {
        for version in [Version::Resp2, Version::Resp3] {
            let mut wire = BytesMut::new();
            let mut reply = ReplyWriter::new(&mut wire, version);
            values.iter().for_each(|value| put_value(&mut reply, value));
            let expected: Vec<Value> = match version {
                Version::Resp2 => values.iter().cloned().map(in_resp2).collect(),
                Version::Resp3 => values.clone(),
            };
            let (replies, error) = replies_of(ReplyLimits::default(), cut(&wire, &places));
            prop_assert_eq!((replies, error), (expected, None));
        }
    }

    #[test]
    fn garbage_is_answered_and_the_same_however_it_is_cut(
        garbage in any_garbage(),
        places in vec(any::<Index>(), 0..20),
    ) {
        for limits in [RequestLimits::AUTHENTICATED, RequestLimits::UNAUTHENTICATED] {
            prop_assert_eq!(requests_of(limits, [&garbage[..]]), requests_of(limits, cut(&garbage, &places)));
        }
        let whole = replies_of(ReplyLimits::default(), [&garbage[..]]);
        let parts = replies_of(ReplyLimits::default(), cut(&garbage, &places));
        // Compared as text, where NaN equals itself.
        prop_assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
    }

    #[test]
    fn evenly_drawn_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = requests_of(RequestLimits::AUTHENTICATED, [&bytes[..]]);
        let _ = replies_of(ReplyLimits::default(), [&bytes[..]]);
    }
}
