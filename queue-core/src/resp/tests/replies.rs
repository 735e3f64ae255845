//! Replies: what the writer writes, what the reader reads, and what it refuses.

use super::super::{ERROR_TEXT_BYTES_MAX, ReplyLimits, ReplyReader, ReplyWriter, Value, Version};
use super::replies_of;
use bytes::BytesMut;

fn written(version: Version, write: impl Fn(&mut ReplyWriter<'_>)) -> String {
    let mut out = BytesMut::new();
    write(&mut ReplyWriter::new(&mut out, version));
    String::from_utf8(out.to_vec()).expect("the tests write text")
}

fn check_written(write: impl Fn(&mut ReplyWriter<'_>), resp2: &str, resp3: &str) {
    assert_eq!(written(Version::Resp2, &write), resp2);
    assert_eq!(written(Version::Resp3, &write), resp3);
}

fn check(input: &str, expected: Value) {
    assert_eq!(replies_of(ReplyLimits::default(), [input.as_bytes()]), (vec![expected], None), "{input:?}");
}

fn check_error(limits: ReplyLimits, input: &[u8], expected: &str) {
    let (_, error) = replies_of(limits, [input]);
    let text = error.map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some(expected), "{:?}", input.escape_ascii().to_string());
}

#[test]
fn each_version_has_its_own_forms() {
    check_written(|reply| reply.ok(), "+OK\r\n", "+OK\r\n");
    check_written(|reply| reply.simple("PONG"), "+PONG\r\n", "+PONG\r\n");
    check_written(|reply| reply.error("ERR", "no"), "-ERR no\r\n", "-ERR no\r\n");
    check_written(|reply| reply.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
    check_written(|reply| reply.bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n");
    check_written(|reply| reply.null(), "$-1\r\n", "_\r\n");
    check_written(|reply| reply.null_array(), "*-1\r\n", "_\r\n");
    check_written(|reply| reply.array(3), "*3\r\n", "*3\r\n");
    check_written(|reply| reply.map(3), "*6\r\n", "%3\r\n");
    check_written(|reply| reply.set(3), "*3\r\n", "~3\r\n");
    check_written(|reply| reply.push(3), "*3\r\n", ">3\r\n");
    check_written(|reply| reply.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
    check_written(|reply| reply.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    check_written(|reply| reply.double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n");
    check_written(|reply| reply.boolean(true), ":1\r\n", "#t\r\n");
    check_written(|reply| reply.boolean(false), ":0\r\n", "#f\r\n");
}

#[test]
fn a_text_cannot_end_its_line_and_is_cut() {
    let spoof = "a\r\n+OK\r\n\x1b[31mü";
    let clean = "a  +OK   [31mü";
    check_written(|reply| reply.error("ERR", spoof), &format!("-ERR {clean}\r\n"), &format!("-ERR {clean}\r\n"));
    check_written(|reply| reply.simple(spoof), &format!("+{clean}\r\n"), &format!("+{clean}\r\n"));
    let long = "ü".repeat(ERROR_TEXT_BYTES_MAX);
    let cut = written(Version::Resp3, |reply| reply.error("ERR", &long));
    assert_eq!(cut.len(), "-ERR \r\n".len() + ERROR_TEXT_BYTES_MAX);
}

#[test]
fn every_type_is_read() {
    check("+OK\r\n", Value::Simple("OK".into()));
    check("-ERR no\r\n", Value::Error("ERR no".into()));
    check("!6\r\nERR no\r\n", Value::Error("ERR no".into()));
    check(":-7\r\n", Value::Integer(-7));
    check("$4\r\na\r\nb\r\n", Value::Bulk(b"a\r\nb".to_vec()));
    check("=6\r\ntxt:hi\r\n", Value::Bulk(b"hi".to_vec()));
    for null in ["$-1\r\n", "*-1\r\n", "_\r\n"] {
        check(null, Value::Null);
    }
    check(",1e3\r\n", Value::Double(1000.0));
    check(",-inf\r\n", Value::Double(f64::NEG_INFINITY));
    check("(-123456789012345678901234567890\r\n", Value::BigNumber("-123456789012345678901234567890".into()));
    check("#t\r\n", Value::Boolean(true));
    check("*0\r\n", Value::Array(vec![]));
    check("*2\r\n*1\r\n:1\r\n~1\r\n:2\r\n", {
        Value::Array(vec![Value::Array(vec![Value::Integer(1)]), Value::Set(vec![Value::Integer(2)])])
    });
    check("%1\r\n+a\r\n*0\r\n", Value::Map(vec![(Value::Simple("a".into()), Value::Array(vec![]))]));
    check(">1\r\n+a\r\n", Value::Push(vec![Value::Simple("a".into())]));
}

#[test]
fn attributes_are_dropped() {
    check("|1\r\n+ttl\r\n:9\r\n:1\r\n", Value::Integer(1));
    check("*2\r\n:1\r\n|1\r\n+ttl\r\n*1\r\n:9\r\n:2\r\n", Value::Array(vec![Value::Integer(1), Value::Integer(2)]));
}

#[test]
fn what_is_no_reply_is_refused() {
    fn check(input: &str, expected: &str) {
        check_error(ReplyLimits::default(), input.as_bytes(), expected);
    }
    check("HTTP/1.1 400", "invalid reply: 'H' is no type of the Redis protocol");
    check("\x16\x03", "invalid reply: '\\x16' is no type of the Redis protocol");
    check(":x\r\n", "invalid reply: 'x' is no number");
    check("$-2\r\n", "invalid reply: '-2' is no length");
    check("%-1\r\n", "invalid reply: '-1' is no length");
    check("$1\r\nabc", "invalid reply: expected CRLF after a bulk string");
    check("*1\rx", "invalid reply: expected CRLF after a number");
    check("+a\n", "invalid reply: 'a' is no line that ends with CRLF");
    check("#x\r\n", "invalid reply: 'x' is no boolean");
    check("_x\r\n", "invalid reply: 'x' is no null");
    check(",x\r\n", "invalid reply: 'x' is no double");
    check("(x\r\n", "invalid reply: 'x' is no big number");
    check("=2\r\nab\r\n", "invalid reply: 'ab' is no verbatim string");
}

#[test]
fn limits_hold_at_their_edges() {
    let limits = ReplyLimits { depth_max: 2, items_max: 3, line_bytes_max: 4, bulk_bytes_max: 5, reply_bytes_max: 22 };
    for within in ["*1\r\n*1\r\n:1\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", "+1234\r\n", "$5\r\n12345\r\n"] {
        let (replies, error) = replies_of(limits, [within.as_bytes()]);
        assert_eq!((replies.len(), error), (1, None), "{within:?}");
    }
    check_error(limits, b"*1\r\n*1\r\n*1\r\n", "reply too big: more than 2 aggregates inside one another");
    check_error(limits, b"*4\r\n", "reply too big: more than 3 items in an aggregate");
    check_error(limits, b"+12345\r\n", "reply too big: more than 4 bytes in a line");
    check_error(limits, b"+12345", "reply too big: more than 4 bytes in a line");
    check_error(limits, b"$6\r\n", "reply too big: more than 5 bytes in a bulk string");
    check_error(limits, b"*3\r\n$5\r\n12345\r\n$5\r\n12345\r\n", "reply too big: more than 22 bytes in a reply");
    let (replies, error) = replies_of(limits, [&b"*1\r\n$5\r\n12345\r\n".repeat(3)[..]]);
    assert_eq!((replies.len(), error), (3, None), "the limit is one reply's, not the connection's");
}

#[test]
fn deep_nesting_is_refused_before_it_costs() {
    for header in ["*1\r\n", "%1\r\n+key\r\n", "~1\r\n", ">1\r\n", "|1\r\n+key\r\n"] {
        let expected = "reply too big: more than 32 aggregates inside one another";
        check_error(ReplyLimits::default(), header.repeat(20_000).as_bytes(), expected);
    }
}

#[test]
fn declared_lengths_allocate_nothing() {
    let mut reader = ReplyReader::new(ReplyLimits::default());
    reader.buffer_mut().extend_from_slice(b"*1048576\r\n$67108864\r\nx");
    assert_eq!(reader.next_reply(), Ok(None));
    assert!(reader.buffer_mut().capacity() < 64 * 1024);
}

#[test]
fn a_long_line_is_searched_once() {
    let line = format!("+{}\r\n", "x".repeat(60_000));
    let (replies, error) = replies_of(ReplyLimits::default(), line.as_bytes().chunks(1));
    assert_eq!((replies, error), (vec![Value::Simple("x".repeat(60_000))], None));
}
