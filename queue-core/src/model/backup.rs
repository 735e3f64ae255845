//! Backups: what one is called, and what making or restoring one came to.

use serde::{Deserialize, Serialize};

use super::Error;

/// Longest name of a backup; the system's bound is 255, and while it is made its name is longer.
const NAME_BYTES: usize = 200;

/// What a backup came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// Its name.
    pub name: String,
    /// Its directory, on the machine of the engine.
    pub path: String,
    /// Where in the log it ends, in bytes since the log's begin: it has everything before.
    pub position: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Those of them that it shares with the store, so that they take no room until the store is done with them.
    pub linked_bytes: u64,
    /// Those that were copied.
    pub copied_bytes: u64,
    /// How long it took.
    pub took_ms: u64,
}

/// What a restore came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreReport {
    /// The backup's directory.
    pub backup: String,
    /// The restored store's.
    pub path: String,
    /// Where in the log it ends, in bytes since the log's begin.
    pub position: u64,
    /// Files copied and checked.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long it took.
    pub took_ms: u64,
}

impl BackupReport {
    /// Checks a name that a backup is to have.
    ///
    /// # Errors
    ///
    /// `BADARG` for anything but one plain component of a path: nobody can have an engine write elsewhere.
    pub fn check_name(name: &str) -> Result<(), Error> {
        let plain = !name.contains('/') && !name.chars().any(char::is_control);
        // Those are of backups that are being made.
        let hidden = name.starts_with('.');
        if plain && !hidden && (1..=NAME_BYTES).contains(&name.len()) {
            return Ok(());
        }
        let allowed = "a name of 1 to 200 bytes without a slash or control characters, that begins with no dot";
        Err(Error::bad_arg("name", name, allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_component() {
        for name in ["2026-11-21T183336Z", "before upgrade", "nightly.1", "half.new", "ä", &"x".repeat(200)] {
            assert_eq!(BackupReport::check_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "a/b", "/a", "a/", "a\nb", "a\0b", &"x".repeat(201)] {
            let error = BackupReport::check_name(name).expect_err(name);
            assert!(error.message.starts_with("name is "), "{}", error.message);
        }
    }
}
