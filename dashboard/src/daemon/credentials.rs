//! Lines for the files of those who may come: `password` and `token`.
//!
//! A secret is never an argument, where every process of the machine could read it.

use std::io::IsTerminal;

use queue_core::model::{Error, Word, fragment};

use crate::Role;
use crate::access::{line, passwords, tokens};

/// Writes the line for a name and the password that is typed, twice at a terminal.
pub(super) fn password(name: &str, role: Role) -> Result<(), Error> {
    let failed = |error| Error::new(Word::Err, format!("cannot read the password: {}", fragment(&error)));
    let typed = if std::io::stdin().is_terminal() {
        let typed = rpassword::prompt_password(format!("password for {name}: ")).map_err(failed)?;
        if rpassword::prompt_password("again: ").map_err(failed)? != typed {
            return Err(Error::new(Word::BadArg, "the two passwords are not the same"));
        }
        typed
    } else {
        let mut typed = String::new();
        std::io::stdin().read_line(&mut typed).map_err(failed)?;
        typed.trim_end_matches(['\r', '\n']).to_owned()
    };
    println!("{}", line(name, role, &passwords::hash(&typed)?));
    Ok(())
}

/// Writes the line for a new token, and the token where it is not kept with the line.
pub(super) fn token(name: &str, role: Role) {
    let (token, hash) = tokens::make();
    eprintln!("the token of {name}, shown this once: {token}");
    println!("{}", line(name, role, &hash));
}
