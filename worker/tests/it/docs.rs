//! The configuration page against the program: its table of flags, and its example of a handlers file.

use std::os::unix::fs::PermissionsExt;

use clap::CommandFactory;
use worker::config::Config;

const PAGE: &str = include_str!("../../../docs/config.md");

/// The part of the page under a heading of the second level.
fn section(title: &str) -> &'static str {
    let from = PAGE.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("{title} is a heading")).1;
    from.split_once("\n## ").map_or(from, |(section, _)| section)
}

#[test]
fn every_flag_stands_in_the_table_with_its_variable() {
    let mut rows: Vec<_> = section("The worker")
        .lines()
        .filter_map(|line| line.strip_prefix("| `--"))
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
            (cells[0].clone(), cells[1].clone())
        })
        .collect();
    let command = worker::daemon::Flags::command();
    let mut flags: Vec<_> = command
        .get_arguments()
        .filter_map(|argument| {
            let variable = argument.get_env().map_or("–".to_owned(), |name| name.to_string_lossy().into_owned());
            Some((argument.get_long()?.to_owned(), variable))
        })
        .collect();
    rows.sort();
    flags.sort();
    assert_eq!(rows, flags);
}

#[test]
fn the_example_of_a_handlers_file_is_sound() {
    let (_, example) = section("The worker").split_once("```toml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let dir = tempfile::tempdir().expect("a directory");
    for program in ["send-mail", "bounce", "mail"] {
        let path = dir.path().join(program);
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("executable");
    }
    let config = Config::parse(example, "handlers.toml", dir.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.handlers().count(), 4);
    assert_eq!(config.queues, [("critical".to_owned(), 5), ("emails".to_owned(), 1)]);
}
