//! A payload as it is typed: text, `-` for standard input, `@FILE` for a file.
//!
//! JSON unless the user says `--raw`: a quoting slip is found here, not by the handler. Blanks around the JSON, such as
//! the line end of a file, are no part of it and are left out; everything else is kept byte for byte.

use std::io::Read;

use bytes::Bytes;
use queue_core::model::{Error, Limits, fragment};
use serde_json::value::RawValue;

use crate::failure::{Failure, USAGE};

/// Reads a payload; `None` is JSON's `null`.
pub(crate) fn read(text: Option<&str>, raw: bool, command: &str) -> Result<Bytes, Failure> {
    let bytes = match text {
        None => Vec::from(*b"null"),
        Some("-") => standard_input()?,
        Some(text) => match text.strip_prefix('@') {
            Some(path) => file(path)?,
            None => text.as_bytes().to_vec(),
        },
    };
    check(&bytes, raw).map_err(|error| Failure::usage(error, command))?;
    Ok(if raw { bytes.into() } else { Bytes::copy_from_slice(bytes.trim_ascii()) })
}

fn check(bytes: &[u8], raw: bool) -> Result<(), Error> {
    if bytes.len() > Limits::PAYLOAD_BYTES {
        return Err(Error::bad_arg("PAYLOAD", format!("{} bytes long", bytes.len()), "at most 1048576 bytes (1 MiB)"));
    }
    if raw || serde_json::from_slice::<&RawValue>(bytes).is_ok() {
        return Ok(());
    }
    let allowed = r#"JSON, such as '{"to": "ann"}' in single quotes; other bytes with --raw"#;
    Err(Error::bad_arg("PAYLOAD", String::from_utf8_lossy(bytes), allowed))
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // One byte more than is allowed is enough to refuse it.
    let limit = Limits::PAYLOAD_BYTES as u64 + 1;
    let read = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
    read.map_err(|error| unreadable("standard input", &error))?;
    Ok(bytes)
}

fn file(path: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

/// A file of the command line that cannot be read.
pub(crate) fn unreadable(path: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot read {path}: {}", fragment(error)), "nothing was sent; is the path right?", USAGE)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_payload_is_json_or_said_to_be_raw() {
        for json in ["null", " {\"a\": 1}\n", "\"x\"", "1e999"] {
            check(json.as_bytes(), false).expect(json);
        }
        let error = check(b"{to: ann}", false).expect_err("no JSON");
        let allowed = r#"JSON, such as '{"to": "ann"}' in single quotes; other bytes with --raw"#;
        assert_eq!(error.message, format!("PAYLOAD is {{to: ann}}; allowed: {allowed}"));
        check(b"{to: ann}", true).expect("raw");
        check(b"", false).expect_err("empty is no JSON");
        check(&[b'1'; (1 << 20) + 1], true).expect_err("too long");
    }
}
