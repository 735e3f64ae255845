//! Files of those who may come: a line for each, `NAME:ROLE:SECRET`, where the secret is a hash; `#` begins a remark.
//!
//! What the secret is, `passwords` and `tokens` say. One fault refuses the whole file, each by its line; no message shows
//! a secret.

use std::path::Path;

use queue_core::model::{Error, Word, fragment};

use super::Role;

/// Longest name, bytes.
const NAME_BYTES: usize = 64;

/// One of those who may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<S> {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) secret: S,
}

/// Checks a name.
///
/// # Errors
///
/// `BADARG` that says what a name is.
pub(crate) fn name(text: &str) -> Result<String, Error> {
    let fits = |character: char| character.is_alphanumeric() || "-_.@+".contains(character);
    let good = (1..=NAME_BYTES).contains(&text.len()) && text.chars().all(fits);
    if good {
        Ok(text.to_owned())
    } else {
        Err(Error::bad_arg("name", text, "1 to 64 bytes of letters, digits and - _ . @ +"))
    }
}

/// The line that [`read`] takes.
pub(crate) fn line(name: &str, role: Role, secret: &str) -> String {
    format!("{name}:{}:{secret}", role.word())
}

/// Reads a file with at least one line.
pub(super) fn read<S>(path: &Path, secret: impl Fn(&str) -> Result<S, Error>) -> Result<Vec<Entry<S>>, Error> {
    let shown = path.display();
    let wrong = |message: String| Error::new(Word::BadArg, message);
    let text =
        std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read {shown}: {}", fragment(&error))))?;
    let (mut entries, mut faults) = (Vec::<Entry<S>>::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line, &secret) {
            Ok(entry) if entries.iter().any(|known| known.name == entry.name) => {
                faults.push(format!("{shown}:{}: {} stands there twice", index + 1, entry.name));
            }
            Ok(entry) => entries.push(entry),
            Err(error) => faults.push(format!("{shown}:{}: {}", index + 1, error.message)),
        }
    }
    match (faults.is_empty(), entries.is_empty()) {
        (true, false) => Ok(entries),
        (true, true) => Err(wrong(format!("{shown} has no line NAME:ROLE:HASH, so nobody could come in"))),
        _ => Err(wrong(faults.join("\n"))),
    }
}

fn entry<S>(line: &str, secret: impl Fn(&str) -> Result<S, Error>) -> Result<Entry<S>, Error> {
    let mut parts = line.splitn(3, ':');
    let (Some(who), Some(role), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::new(Word::BadArg, "a line is NAME:ROLE:HASH"));
    };
    Ok(Entry { name: name(who)?, role: role.parse()?, secret: secret(rest)? })
}
