//! `init`: a handlers file and one working script to start from. Never overwrites anything.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use queue_core::model::fragment;
use serde::Serialize;

use super::dev::typed::{Program, quoted};
use crate::app::App;
use crate::failure::Failure;

/// Write a handlers file and a working script to start from
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore init
  longshore init jobs && longshore dev --config jobs/handlers.toml")]
pub(crate) struct InitArgs {
    /// Where to write; made if it does not exist
    #[arg(default_value = ".")]
    directory: PathBuf,
}

/// Name, contents and mode of each file.
const FILES: [(&str, &str, u32); 2] = [
    ("handlers.toml", include_str!("init_files/handlers.toml"), 0o644),
    ("greet.sh", include_str!("init_files/greet.sh"), 0o755),
];

#[derive(Serialize)]
struct Written {
    file: PathBuf,
    written: bool,
}

/// Writes what is not there yet, and says what to type next.
pub(crate) fn run(args: &InitArgs, app: &mut App) -> Result<(), Failure> {
    let cannot = |path: &Path, error: &io::Error| {
        let message = format!("cannot write {}: {}", path.display(), fragment(error));
        Failure::new(message, "another directory: longshore init DIRECTORY", 1)
    };
    std::fs::create_dir_all(&args.directory).map_err(|error| cannot(&args.directory, &error))?;
    for (name, text, mode) in FILES {
        let file = if args.directory == Path::new(".") { name.into() } else { args.directory.join(name) };
        let written = write(&file, text, mode).map_err(|error| cannot(&file, &error))?;
        let said = if written { "written" } else { "there already, left as it is" };
        let line = format!("{}: {said}\n", file.display());
        app.answer(&Written { file, written }, || line)?;
    }
    if !app.json {
        let program = Program::from_arguments();
        let config = args.directory.join("handlers.toml");
        let config = quoted(&config.strip_prefix(".").unwrap_or(&config).to_string_lossy());
        app.out.text(&format!(
            "\nNext, in one terminal:\n\n  {program} dev --config {config}\n\nand in another:\n\n  \
             {program} enqueue default greet '\"Ann\"' --wait\n"
        ))?;
    }
    Ok(())
}

/// Writes a file that does not exist; `false` if it does.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<bool> {
    let opened: io::Result<File> = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        opened => opened?,
    };
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(true)
}
