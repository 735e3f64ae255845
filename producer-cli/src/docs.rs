//! Keeps `docs/cli.md` in step with the command line: everything below its mark is written from clap's own list.
//!
//! `LONGSHORE_WRITE_DOCS=1 cargo test --release -p producer-cli docs` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Command, CommandFactory};

use crate::cli::Cli;

const MARK: &str = "<!-- Below this line the page is written by a test from the command line itself. -->\n";

/// The help of every command, in the order of the list, as a reader sees it at a terminal of 100 columns.
fn reference(command: &Command, path: &str, text: &mut String) {
    let path = if path.is_empty() { command.get_name().to_owned() } else { format!("{path} {}", command.get_name()) };
    let mut shown = command.clone().term_width(100).bin_name(&path);
    // What holds for every command stands once, under the first heading.
    if path.contains(' ') {
        shown = shown.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    }
    let help = shown.render_long_help().to_string();
    let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    write!(text, "\n## `{path}`\n\n```text\n{}\n```\n", help.trim_end()).expect("writing to a string");
    for inner in command.get_subcommands() {
        reference(inner, &path, text);
    }
}

#[test]
fn docs_cli_md_is_in_step() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let written = std::fs::read_to_string(&file).expect("docs/cli.md is there");
    let (own, _) = written.split_once(MARK).expect("docs/cli.md has its mark");
    let mut command = Cli::command();
    // Global flags reach the commands below only once clap has put the whole together.
    command.build();
    let mut wanted = format!("{own}{MARK}");
    reference(&command, "", &mut wanted);
    if std::env::var_os("LONGSHORE_WRITE_DOCS").is_some() {
        std::fs::write(&file, &wanted).expect("docs/cli.md can be written");
    }
    let written = std::fs::read_to_string(&file).expect("docs/cli.md is there");
    assert!(written == wanted, "docs/cli.md is behind; write it with LONGSHORE_WRITE_DOCS=1");
}

#[test]
fn every_command_has_examples_in_its_help() {
    fn check(command: &Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("Examples:\n  longshore "), "{path} has no examples");
        command.get_subcommands().for_each(|inner| check(inner, &path));
    }
    check(&Cli::command(), "");
}
