//! Inline requests: a line typed by a person, split into arguments by Redis' quoting rules.
//!
//! Blanks separate. Between double quotes `\n \r \t \b \a \xHH` are escapes and any other escaped byte is itself; between
//! single quotes only `\'` is one. A closing quote must be followed by a blank or the end of the line.

use super::request_error::RequestError;

/// Appends the arguments of `line` (without its line end) to `unquoted` and calls `argument` with each one's end there.
pub(super) fn split(line: &[u8], unquoted: &mut Vec<u8>, mut argument: impl FnMut(usize)) -> Result<(), RequestError> {
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Ok(());
        }
        rest = word(rest, unquoted)?;
        argument(unquoted.len());
    }
}

/// Reads one argument at the start of `rest`; returns what follows it.
fn word<'a>(mut rest: &'a [u8], unquoted: &mut Vec<u8>) -> Result<&'a [u8], RequestError> {
    loop {
        rest = match rest {
            [] => return Ok(rest),
            [b' ' | b'\t' | b'\r' | b'\n', ..] => return Ok(rest),
            [b'"', quoted @ ..] => return double_quoted(quoted, unquoted),
            [b'\'', quoted @ ..] => return single_quoted(quoted, unquoted),
            [byte, after @ ..] => {
                unquoted.push(*byte);
                after
            }
        };
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], unquoted: &mut Vec<u8>) -> Result<&'a [u8], RequestError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(RequestError::UnbalancedQuotes),
            [b'"', after @ ..] => return closed(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(*high) << 4 | hex(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        unquoted.push(byte);
        rest = after;
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], unquoted: &mut Vec<u8>) -> Result<&'a [u8], RequestError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(RequestError::UnbalancedQuotes),
            [b'\'', after @ ..] => return closed(after),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
        };
        unquoted.push(byte);
        rest = after;
    }
}

/// A closing quote ends its argument, so something other than a blank after it means that the quotes are off by one.
fn closed(after: &[u8]) -> Result<&[u8], RequestError> {
    match after.first() {
        Some(byte) if !is_blank(*byte) => Err(RequestError::UnbalancedQuotes),
        _ => Ok(after),
    }
}

/// C's `isspace`, which Redis uses; unlike Rust's it counts the vertical tab.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (mut unquoted, mut ends) = (Vec::new(), vec![0]);
        split(line, &mut unquoted, |end| ends.push(end)).ok()?;
        Some(ends.windows(2).map(|span| unquoted[span[0]..span[1]].to_vec()).collect())
    }

    #[test]
    fn lines_split_as_in_redis() {
        fn check(line: &str, expected: &[&[u8]]) {
            let expected: Vec<_> = expected.iter().map(|argument| argument.to_vec()).collect();
            assert_eq!(arguments(line.as_bytes()), Some(expected), "{line:?}");
        }
        check("", &[]);
        check(" \t ", &[]);
        check("PING", &[b"PING"]);
        check("  SET  a\tb ", &[b"SET", b"a", b"b"]);
        check(r#"SET a "b c""#, &[b"SET", b"a", b"b c"]);
        check(r#"ECHO """#, &[b"ECHO", b""]);
        check("ECHO ''", &[b"ECHO", b""]);
        check(r#"ECHO "\n\r\t\b\a\\\"\q""#, &[b"ECHO", b"\n\r\t\x08\x07\\\"q"]);
        check(r#"ECHO "\x00\xfF\xg1""#, &[b"ECHO", b"\x00\xffxg1"]);
        check(r"ECHO 'a\'b\n'", &[b"ECHO", br"a'b\n"]);
        check(r#"ECHO foo"bar""#, &[b"ECHO", b"foobar"]);
        check("ECHO \u{0b}a\u{0b}b", &[b"ECHO", b"a\x0bb"]);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in ["\"", "'", "\"a", "'a", "\"a\\", "\"a\"b", "'a'b", "'a\\'", "\"a\\\"", "a \"b\"\"c\""] {
            assert_eq!(arguments(line.as_bytes()), None, "{line:?}");
        }
    }
}
