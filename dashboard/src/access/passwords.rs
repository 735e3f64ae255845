//! Who comes with a name and a password, kept as argon2id hashes.
//!
//! A name that nobody has costs the same time as a wrong password. Hashing holds a processor and some 19 MiB, so it runs
//! on threads made for that, a few at a time; the login limit bounds how many wait.

use std::path::Path;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use queue_core::model::{Error, Word};
use queue_core::random;

use super::Role;
use super::file::{self, Entry};

/// Shortest password that is hashed here, in characters, and longest, in bytes.
const SHORTEST: usize = 8;
const LONGEST: usize = 512;
/// Most memory, in KiB, and most passes of a hash, so that nobody's login holds up the others.
const MEMORY_KIB: u32 = 256 << 10;
const PASSES: u32 = 16;

/// The password file.
#[derive(Debug)]
pub(super) struct Passwords(Vec<Entry<PasswordHash>>);

impl Passwords {
    pub(super) fn load(path: &Path) -> Result<Self, Error> {
        file::read(path, parse).map(Self)
    }

    /// The role of whom name and password belong to. Takes its time.
    pub(super) fn verify(&self, name: &str, password: &str) -> Option<(String, Role)> {
        let known = self.0.iter().find(|entry| entry.name == name);
        // Any hash does for a name that nobody has: it is the time that counts.
        let entry = known.or(self.0.first())?;
        let fits = password.len() <= LONGEST;
        let given = if fits { password.as_bytes() } else { &[] };
        let same = Argon2::default().verify_password(given, &entry.secret).is_ok();
        (same && fits && known.is_some()).then(|| (entry.name.clone(), entry.role))
    }
}

fn parse(text: &str) -> Result<PasswordHash, Error> {
    let wrong = || {
        let allowed = "a hash by argon2id of at most 256 MiB and 16 passes, as longshore-dashboard password makes it";
        Error::new(Word::BadArg, format!("the hash of a password is not what it should be; allowed: {allowed}"))
    };
    let hash = PasswordHash::new(text).map_err(|_| wrong())?;
    let params = Params::try_from(&hash).map_err(|_| wrong())?;
    let whole = hash.algorithm.as_str() == "argon2id" && hash.salt.is_some() && hash.hash.is_some();
    let bounded = params.m_cost() <= MEMORY_KIB && params.t_cost() <= PASSES && params.p_cost() <= 16;
    if whole && bounded { Ok(hash) } else { Err(wrong()) }
}

/// The hash of a new password, as the file has it.
///
/// # Errors
///
/// `BADARG` for one that is too short or too long; the message does not show it.
pub(crate) fn hash(password: &str) -> Result<String, Error> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        let found = format!("{} characters long", password.chars().count());
        return Err(Error::bad_arg("password", found, &format!("{SHORTEST} characters to {LONGEST} bytes")));
    }
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &random::bytes::<16>());
    let failed = |error| Error::new(Word::Err, format!("cannot hash the password: {error}"));
    hash.map(|hash| hash.to_string()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_name_and_password_together_come_in() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("passwords");
        let line = |name, role, password| file::line(name, role, &hash(password).expect("a hash"));
        let (ann, bob) = (line("ann", Role::Admin, "correct horse"), line("bob", Role::Viewer, "battery staple"));
        std::fs::write(&path, format!("# those who may\n\n{ann}\n{bob}\n")).expect("written");
        let passwords = Passwords::load(&path).expect("a sound file");
        assert_eq!(passwords.verify("ann", "correct horse"), Some(("ann".to_owned(), Role::Admin)));
        assert_eq!(passwords.verify("bob", "battery staple"), Some(("bob".to_owned(), Role::Viewer)));
        let long = "x".repeat(600);
        for (name, password) in [
            ("ann", "battery staple"),
            ("carl", "correct horse"),
            ("", ""),
            ("ann", ""),
            ("Ann", "correct horse"),
            ("ann", &long),
        ] {
            assert_eq!(passwords.verify(name, password), None, "{name}");
        }
    }

    #[test]
    fn a_file_with_a_fault_is_refused_by_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("passwords");
        let good = hash("correct horse").expect("a hash");
        let refused = |text: &str| {
            std::fs::write(&path, text).expect("written");
            Passwords::load(&path).expect_err(text).message
        };
        for (text, fault) in [
            ("ann:admin".to_owned(), ":1: a line is NAME:ROLE:HASH"),
            (format!("\nann:boss:{good}"), ":2: role is boss; allowed: viewer, operator or admin"),
            (format!("a b:admin:{good}"), ":1: name is a b; allowed: 1 to 64 bytes"),
            (format!("ann:admin:{good}\nann:viewer:{good}"), ":2: ann stands there twice"),
            ("ann:admin:correct horse".to_owned(), ":1: the hash of a password is not what it should be"),
            (format!("ann:admin:{}", good.replace("argon2id", "argon2i")), ":1: the hash of a password"),
            (format!("ann:admin:{}", good.replace("m=19456", "m=1000000")), ":1: the hash of a password"),
            ("# nobody\n".to_owned(), " has no line NAME:ROLE:HASH"),
        ] {
            let message = refused(&text);
            assert!(message.contains(fault), "{message}");
            assert!(!message.contains("$argon2"), "{message}");
        }
        assert!(hash("short").expect_err("short").message.starts_with("password is 5 characters long; allowed: 8"));
    }
}
