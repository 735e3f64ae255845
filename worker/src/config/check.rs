//! Whether a handler's program is there and can be executed, by the rules by which it will be started.
//!
//! Leaves the text of the file to `read`. Looks, and changes nothing.

use std::io::ErrorKind;
use std::path::Path;

use queue_core::model::fragment;
use rustix::fs::{Access, access};

use super::{Config, Fault, Program};
use crate::command::CommandHandler;

/// What is wrong with the program, if anything.
pub(super) fn program(config: &Config, program: &Program) -> Option<Fault> {
    let handler = config.handlers.get(&program.handler)?;
    // A command that could not be read has its fault already.
    let name = handler.argv.first()?;
    let wrong = if name.contains('/') { wrong_with(&handler.program()) } else { not_on_path(handler, name) };
    wrong.map(|wrong| Fault { line: program.line, message: format!("{}: {wrong}", program.field) })
}

fn wrong_with(path: &Path) -> Option<String> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some(format!("{shown} is not there (a program with a slash is relative to this file's folder)"))
        }
        Err(error) => Some(format!("{shown} cannot be looked at: {}", fragment(&error))),
        Ok(found) if found.is_dir() => Some(format!("{shown} is a folder, not a program")),
        Ok(_) if access(path, Access::EXEC_OK).is_err() => {
            Some(format!("{shown} is not executable by this user; perhaps: chmod +x {shown}"))
        }
        Ok(_) => None,
    }
}

fn not_on_path(handler: &CommandHandler, name: &str) -> Option<String> {
    let path = match handler.env.get("PATH") {
        Some(path) => path.into(),
        None => std::env::var_os("PATH").unwrap_or_default(),
    };
    // An entry that is not absolute is relative to where the program will run.
    let found = std::env::split_paths(&path).any(|folder| {
        let file = handler.dir.join(folder).join(name);
        file.is_file() && access(&file, Access::EXEC_OK).is_ok()
    });
    (!found).then(|| format!("{name} is not on PATH; a program in this file's folder is written ./{name}"))
}
