//! Programs that come with `Authorization: Bearer TOKEN`, kept as SHA-256 of tokens that chance made.
//!
//! A token of 256 random bits needs no slow hash: nobody guesses one. All are compared, each in constant time.

use std::path::Path;

use queue_core::model::{Error, Word};
use queue_core::random;
use subtle::{Choice, ConstantTimeEq};

use super::Role;
use super::file::{self, Entry};
use super::secret::{Digest, digest, hex, unhex};

/// What stands before a digest in the file, so that there may be others.
const KIND: &str = "sha256:";

/// The token file.
#[derive(Debug)]
pub(super) struct Tokens(Vec<Entry<Digest>>);

impl Tokens {
    pub(super) fn load(path: &Path) -> Result<Self, Error> {
        file::read(path, parse).map(Self)
    }

    /// Whom a token belongs to.
    pub(super) fn find(&self, token: &str) -> Option<(String, Role)> {
        let given = digest(token.as_bytes());
        let mut found = None;
        for entry in &self.0 {
            let same: Choice = entry.secret.ct_eq(&given);
            if bool::from(same) {
                found = Some((entry.name.clone(), entry.role));
            }
        }
        found
    }
}

fn parse(text: &str) -> Result<Digest, Error> {
    let wrong = || {
        Error::new(
            Word::BadArg,
            "the hash of a token is not what it should be; allowed: sha256: and 64 hexadecimal digits",
        )
    };
    text.strip_prefix(KIND).and_then(unhex).ok_or_else(wrong)
}

/// A new token, and its hash as the file has it.
pub(crate) fn make() -> (String, String) {
    let token = format!("lsd_{}", hex(&random::bytes::<32>()));
    let hash = format!("{KIND}{}", hex(&digest(token.as_bytes())));
    (token, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tokens");
        let ((one, one_hash), (two, two_hash)) = (make(), make());
        let lines = [file::line("ci", Role::Operator, &one_hash), file::line("wall", Role::Viewer, &two_hash)];
        std::fs::write(&path, lines.join("\n")).expect("written");
        let tokens = Tokens::load(&path).expect("a sound file");
        assert_eq!(tokens.find(&one), Some(("ci".to_owned(), Role::Operator)));
        assert_eq!(tokens.find(&two), Some(("wall".to_owned(), Role::Viewer)));
        for wrong in ["", &one[1..], &one[..one.len() - 1], &one_hash, &one.to_uppercase()] {
            assert_eq!(tokens.find(wrong), None, "{wrong}");
        }
        std::fs::write(&path, format!("ci:operator:{one}\n")).expect("written");
        let message = Tokens::load(&path).expect_err("a token, not its hash").message;
        assert!(message.contains(":1: the hash of a token is not") && !message.contains(&one), "{message}");
    }
}
