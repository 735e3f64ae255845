//! Length headers and numbers: the text between a frame's type byte and its CRLF.
//!
//! Leaves to the readers what a number means and which are allowed. A header is at most [`HEADER_BYTES_MAX`] long,
//! so looking at a partial one again after each read costs a constant.

/// More than the longest number and its line end (`-9223372036854775808\r\n` is 22 bytes).
pub(super) const HEADER_BYTES_MAX: usize = 32;

/// What stands after a type byte.
#[derive(Debug, PartialEq)]
pub(super) enum Header<'a> {
    /// A whole line: its text, and the bytes it takes with its CRLF.
    Whole { text: &'a [u8], bytes: usize },
    /// The line goes on in the next read.
    Partial,
    /// No line end where every possible number would have ended.
    Long,
    /// A CR that no LF follows.
    Broken,
}

/// Reads the line at the start of `input`.
#[inline]
pub(super) fn header(input: &[u8]) -> Header<'_> {
    let window = &input[..input.len().min(HEADER_BYTES_MAX)];
    match window.iter().position(|&byte| byte == b'\r') {
        Some(end) => match input.get(end + 1) {
            Some(b'\n') => Header::Whole { text: &input[..end], bytes: end + 2 },
            Some(_) => Header::Broken,
            None => Header::Partial,
        },
        None if window.len() == HEADER_BYTES_MAX => Header::Long,
        None => Header::Partial,
    }
}

/// Reads a number as Redis does: an optional minus, no plus, no leading zeros, no blanks, the range of `i64`.
#[inline]
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let mut number: i64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // Counting downwards reaches i64::MIN, which has no positive counterpart.
        number = number.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(number) } else { number.checked_neg() }
}

/// Appends `prefix`, the number, and CRLF.
#[inline]
pub(super) fn put_header(out: &mut bytes::BytesMut, prefix: u8, number: i64) {
    let mut digits = itoa::Buffer::new();
    let text = digits.format(number).as_bytes();
    let mut line = [0; HEADER_BYTES_MAX];
    line[0] = prefix;
    line[1..=text.len()].copy_from_slice(text);
    line[text.len() + 1..text.len() + 3].copy_from_slice(b"\r\n");
    out.extend_from_slice(&line[..text.len() + 3]);
}

/// Appends a bulk string: its length, its bytes, and CRLF.
#[inline]
pub(super) fn put_bulk(out: &mut bytes::BytesMut, bytes: &[u8]) {
    out.reserve(bytes.len() + HEADER_BYTES_MAX);
    put_header(out, b'$', count(bytes.len()));
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A length in memory as a number on the wire.
#[inline]
pub(super) fn count(length: usize) -> i64 {
    i64::try_from(length).expect("a length in memory fits 63 bits")
}

/// `bytes` for an error text: printable ASCII as it is, everything else escaped.
pub(super) fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_redis_reads_them() {
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(integer(text.as_bytes()), expected, "{text:?}");
        }
        check("0", Some(0));
        check("7", Some(7));
        check("-7", Some(-7));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        for wrong in ["", "-", "-0", "00", "01", "+1", " 1", "1 ", "1a", "9223372036854775808", "-9223372036854775809"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn headers_end_at_crlf_or_wait_or_fail() {
        fn check(input: &str, expected: Header<'_>) {
            assert_eq!(header(input.as_bytes()), expected, "{input:?}");
        }
        check("12\r\nrest", Header::Whole { text: b"12", bytes: 4 });
        check("\r\n", Header::Whole { text: b"", bytes: 2 });
        check("", Header::Partial);
        check("12", Header::Partial);
        check("12\r", Header::Partial);
        check("12\rx", Header::Broken);
        check(&"1".repeat(31), Header::Partial);
        check(&"1".repeat(32), Header::Long);
    }
}
