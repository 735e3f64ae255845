//! The round trips: whatever a client writes the server reads, and the other way round, in both versions; and what the
//! documentation says of each command.

mod replies;
mod requests;

use proptest::prelude::*;

use crate::model::{Error, JobNumber, LeaseRef, LeaseToken, Word};

/// Text with anything in it.
fn text(most: usize) -> BoxedStrategy<String> {
    proptest::collection::vec(any::<char>(), 0..=most).prop_map(String::from_iter).boxed()
}

fn name() -> BoxedStrategy<String> {
    prop_oneof!["[a-z]{1,12}", proptest::collection::vec(any::<char>(), 1..60).prop_map(String::from_iter)].boxed()
}

fn bytes() -> BoxedStrategy<bytes::Bytes> {
    prop_oneof![
        Just(bytes::Bytes::from_static(b"null")),
        Just(bytes::Bytes::from_static(br#"{"to": [1.50, "ann"]}"#)),
        proptest::collection::vec(any::<u8>(), 0..64).prop_map(bytes::Bytes::from),
    ]
    .boxed()
}

/// Numbers that counters and clocks can reach.
fn number() -> BoxedStrategy<u64> {
    prop_oneof![0..100u64, 0..=i64::MAX.unsigned_abs()].boxed()
}

fn lease() -> BoxedStrategy<LeaseRef> {
    (number(), any::<u64>())
        .prop_map(|(number, token)| LeaseRef { number: JobNumber(number), token: LeaseToken(token) })
        .boxed()
}

/// An error as the protocol can carry it: one line.
fn error() -> BoxedStrategy<Error> {
    (proptest::sample::select(&Word::ALL[..]), "[ -~é…]{0,80}").prop_map(|(word, text)| Error::new(word, text)).boxed()
}
