//! Requests: forms, limits, error texts, and what hostile ones cost.

use super::super::{RequestLimits, RequestReader, RequestWriter};
use super::{arguments, requests_of};
use bytes::BytesMut;

fn check(input: &str, expected: &[&[&str]]) {
    let expected: Vec<_> = expected.iter().map(|request| arguments(request)).collect();
    assert_eq!(requests_of(RequestLimits::AUTHENTICATED, [input.as_bytes()]), (expected, None), "{input:?}");
}

fn check_error(limits: RequestLimits, input: &[u8], expected: &str) {
    let (_, error) = requests_of(limits, [input]);
    let text = error.map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some(expected), "{:?}", input.escape_ascii().to_string());
}

const SMALL: RequestLimits = RequestLimits {
    arguments_max: 4,
    argument_bytes_max: 10,
    inline_bytes_max: 8,
    request_bytes_max: 40,
    authenticated: true,
};

#[test]
fn arrays_and_lines_are_requests_and_empty_ones_are_skipped() {
    check("", &[]);
    check("*1\r\n$4\r\nPING\r\n", &[&["PING"]]);
    check("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", &[&["ECHO", ""]]);
    check("*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\nPING\r\n", &[&["ECHO", "a\r\nb"], &["PING"]]);
    check("PING\r\nPING\n", &[&["PING"], &["PING"]]);
    check("set a \"b c\"\r\n", &[&["set", "a", "b c"]]);
    check("\r\n\n  \r\n*0\r\n*-1\r\n*-9\r\nPING\r\n", &[&["PING"]]);
    check("*1\r\n$4\r\nPING\r\n\r\nPING\r\n*1\r\n", &[&["PING"], &["PING"]]);
}

#[test]
fn a_request_waits_for_its_last_byte() {
    for whole in ["*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", "ECHO hi\r\n"] {
        for cut in 0..whole.len() {
            check(&whole[..cut], &[]);
        }
    }
}

#[test]
fn errors_begin_with_the_words_of_redis() {
    fn check(input: &str, expected: &str) {
        check_error(RequestLimits::AUTHENTICATED, input.as_bytes(), expected);
    }
    let lengths = "allowed are 0 to 1048576";
    check("*abc\r\n", &format!("Protocol error: invalid multibulk length 'abc', {lengths}"));
    check("*\r\n", &format!("Protocol error: invalid multibulk length '', {lengths}"));
    check("*03\r\n", &format!("Protocol error: invalid multibulk length '03', {lengths}"));
    check("*1048577\r\n", &format!("Protocol error: invalid multibulk length '1048577', {lengths}"));
    check("*9999999999999\r\n", &format!("Protocol error: invalid multibulk length '9999999999999', {lengths}"));
    let bytes = "allowed are 0 to 16777216";
    check("*1\r\n$-1\r\n", &format!("Protocol error: invalid bulk length '-1', {bytes}"));
    check("*1\r\n$4\x01\r\n", &format!("Protocol error: invalid bulk length '4\\x01', {bytes}"));
    check("*1\r\n$16777217\r\n", &format!("Protocol error: invalid bulk length '16777217', {bytes}"));
    check("*1\r\nPING\r\n", "Protocol error: expected '$', got 'P'");
    check("*1\r\n\r\n", "Protocol error: expected '$', got '\\r'");
    check("*1\r\n$1\r\nPING\r\n", "Protocol error: expected CRLF after an argument");
    check("*1\rX", "Protocol error: expected CRLF after a length");
    check(&"*".repeat(33), "Protocol error: too big mbulk count string");
    check(&format!("*1\r\n${}", "1".repeat(32)), "Protocol error: too big bulk count string");
    check("ECHO \"a\r\n", "Protocol error: unbalanced quotes in request");
    check(&"a".repeat(65537), "Protocol error: too big inline request, allowed are 65536 bytes");
}

#[test]
fn limits_hold_at_their_edges() {
    let within: [&[u8]; 4] = [
        b"*4\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n",
        b"*1\r\n$10\r\n0123456789\r\n",
        b"12345678\r\n",
        b"*3\r\n$10\r\n0123456789\r\n$4\r\n0123\r\n$0\r\n\r\n",
    ];
    assert_eq!(within[3].len(), 37);
    for input in within {
        let (requests, error) = requests_of(SMALL, [input]);
        assert_eq!((requests.len(), error), (1, None), "{:?}", input.escape_ascii().to_string());
    }
    check_error(SMALL, b"*5\r\n", "Protocol error: invalid multibulk length '5', allowed are 0 to 4");
    check_error(SMALL, b"*1\r\n$11\r\n", "Protocol error: invalid bulk length '11', allowed are 0 to 10");
    check_error(SMALL, b"123456789\r\n", "Protocol error: too big inline request, allowed are 8 bytes");
    // Refused at the header that would exceed it, before its bytes come.
    check_error(
        SMALL,
        b"*3\r\n$10\r\n0123456789\r\n$9\r\n012345678\r\n$1\r\n",
        "Protocol error: too big request, allowed are 40 bytes",
    );
}

#[test]
fn before_authentication_errors_say_so() {
    let limits = RequestLimits::UNAUTHENTICATED;
    check_error(
        limits,
        b"*11\r\n",
        "Protocol error: unauthenticated multibulk length 11, allowed are 0 to 10 before AUTH",
    );
    check_error(
        limits,
        b"*1\r\n$16385\r\n",
        "Protocol error: unauthenticated bulk length 16385, allowed are 0 to 16384 before AUTH",
    );
    check_error(limits, b"*x\r\n", "Protocol error: invalid multibulk length 'x', allowed are 0 to 10");
}

#[test]
fn new_limits_hold_from_the_next_request_on() {
    let mut reader = RequestReader::new(RequestLimits::UNAUTHENTICATED);
    reader.buffer_mut().extend_from_slice(b"AUTH secret\r\n*11\r\n");
    assert!(reader.next_request().is_ok_and(|request| request.is_some()));
    reader.set_limits(RequestLimits::AUTHENTICATED);
    assert!(reader.next_request().is_ok_and(|request| request.is_none()));
}

#[test]
fn declared_lengths_allocate_nothing() {
    let mut reader = RequestReader::new(RequestLimits::AUTHENTICATED);
    reader.buffer_mut().extend_from_slice(b"*1048576\r\n$16777216\r\nx");
    assert!(reader.next_request().is_ok_and(|request| request.is_none()));
    assert!(reader.buffer_mut().capacity() < 64 * 1024);
}

#[test]
fn a_big_request_gives_its_memory_back() {
    let mut reader = RequestReader::new(RequestLimits::AUTHENTICATED);
    let payload = vec![b'x'; 1024 * 1024];
    let mut wire = BytesMut::new();
    RequestWriter::write(&mut wire, &[b"ECHO", &payload]);
    reader.buffer_mut().extend_from_slice(&wire);
    assert_eq!(reader.next_request().expect("valid").expect("whole").argument(1), Some(&payload[..]));
    assert!(reader.next_request().is_ok_and(|request| request.is_none()));
    assert!(reader.buffer_mut().capacity() < 64 * 1024);
}

#[test]
fn what_was_handed_out_is_no_longer_unread() {
    let mut reader = RequestReader::new(RequestLimits::AUTHENTICATED);
    reader.buffer_mut().extend_from_slice(b"PING\r\n*1\r\n$4\r\nPING\r\n*1");
    assert_eq!(reader.unread_bytes(), 22);
    assert_eq!(reader.next_request().expect("valid").expect("whole").wire_bytes(), 6);
    assert_eq!(reader.unread_bytes(), 16);
    assert_eq!(reader.next_request().expect("valid").expect("whole").wire_bytes(), 14);
    assert!(reader.next_request().is_ok_and(|request| request.is_none()));
    assert_eq!(reader.unread_bytes(), 2);
}

#[test]
fn a_long_array_parses_byte_by_byte() {
    // Starting again at each read would look at 10^10 bytes here.
    let items: Vec<Vec<u8>> = (0..20_000).map(|number| format!("item-{number}").into_bytes()).collect();
    let mut wire = BytesMut::new();
    RequestWriter::write(&mut wire, &items.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let (requests, error) = requests_of(RequestLimits::AUTHENTICATED, wire.chunks(1));
    assert_eq!((requests, error), (vec![items], None));
}
