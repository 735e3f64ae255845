//! The server's password: read from a file only, compared in constant time, never shown.

use std::fmt;
use std::path::Path;

use queue_core::model::{Error, Word, fragment};
use subtle::ConstantTimeEq;

/// Longest password, in bytes.
const BYTES_MAX: usize = 512;

/// A password of 1 to 512 bytes.
#[derive(Clone)]
pub struct Password {
    /// Padded with zeros, so that comparing takes the same time whatever is compared.
    bytes: [u8; BYTES_MAX],
    length: usize,
}

impl Password {
    /// A password of 1 to 512 bytes.
    ///
    /// # Errors
    ///
    /// `BADARG` if it is empty or longer; the message does not show it.
    pub fn new(text: &[u8]) -> Result<Self, Error> {
        let Some(bytes) = padded(text).filter(|_| !text.is_empty()) else {
            let found = format!("{} bytes long", text.len());
            return Err(Error::bad_arg("password", found, &format!("1 to {BYTES_MAX} bytes")));
        };
        Ok(Self { bytes, length: text.len() })
    }

    /// The password in a file, without the line end behind it.
    ///
    /// # Errors
    ///
    /// `BADARG` if the file cannot be read or holds no password.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let unreadable = |error| format!("cannot read the password file {shown}: {}", fragment(&error));
        let text = std::fs::read(path).map_err(|error| Error::new(Word::BadArg, unreadable(error)))?;
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        Self::new(text.strip_suffix(b"\r").unwrap_or(text))
            .map_err(|error| Error::new(Word::BadArg, format!("password file {shown}: {}", error.message)))
    }

    /// Whether `given` is it. Takes the same time whichever byte is wrong.
    pub fn matches(&self, given: &[u8]) -> bool {
        let same = padded(given).is_some_and(|given| bool::from(self.bytes.ct_eq(&given)));
        same & (given.len() == self.length)
    }
}

fn padded(text: &[u8]) -> Option<[u8; BYTES_MAX]> {
    let mut bytes = [0; BYTES_MAX];
    bytes.get_mut(..text.len())?.copy_from_slice(text);
    Some(bytes)
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_match() {
        let password = Password::new(b"secret").expect("a password");
        assert!(password.matches(b"secret"));
        for wrong in [&b""[..], b"secre", b"secret\0", b"Secret", &[0; 600]] {
            assert!(!password.matches(wrong), "{wrong:?}");
        }
        assert_eq!(format!("{password:?}"), "Password(…)");
    }

    #[test]
    fn a_file_ends_with_a_line_end_or_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("password");
        for text in ["secret", "secret\n", "secret\r\n"] {
            std::fs::write(&path, text).expect("written");
            assert!(Password::from_file(&path).expect(text).matches(b"secret"));
        }
        std::fs::write(&path, "\n").expect("written");
        let error = Password::from_file(&path).expect_err("empty");
        assert!(error.message.ends_with("password is 0 bytes long; allowed: 1 to 512 bytes"), "{error}");
    }
}
