//! The configuration page against the program: its table of flags, and its example file; and the program itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use clap::CommandFactory;

const PAGE: &str = include_str!("../../../docs/config.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_longshore-dashboard");

/// The part of the page under a heading of the second level.
fn section(title: &str) -> &'static str {
    let from = PAGE.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("{title} is a heading")).1;
    from.split_once("\n## ").map_or(from, |(section, _)| section)
}

#[test]
fn every_flag_stands_in_the_table_with_its_variable() {
    let rows = section("The dashboard").lines().filter_map(|line| line.strip_prefix("| `--")).map(|row| {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
        (cells[0].clone(), cells[1].clone())
    });
    let command = dashboard::daemon::Flags::command();
    let flags = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env().map_or("–".to_owned(), |name| name.to_string_lossy().into_owned());
        Some((argument.get_long()?.to_owned(), variable))
    });
    assert_eq!(rows.collect::<Vec<_>>(), flags.collect::<Vec<_>>());
}

#[test]
fn the_example_file_is_taken_and_a_wrong_one_refused_by_line() {
    let (_, example) = section("The dashboard").split_once("```toml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("dashboard.toml");
    let run = |text: &str| {
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(PROGRAM);
        let output = command
            .arg("--config")
            .arg(&file)
            .args(["--engine", "memory:", "--listen", "nowhere"])
            .env_clear()
            .output();
        let output = output.expect("the program is built");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    // The file is read before the address is looked at, so the refusal of that shows that the file is good.
    let message = "longshore-dashboard: listen is nowhere; allowed: HOST:PORT, such as 127.0.0.1:7610\n";
    assert_eq!(run(example), (Some(1), message.to_owned()));
    let (code, message) = run("listen = \"127.0.0.1:0\"\nports = 1\n");
    assert!(code == Some(1) && message.contains("dashboard.toml:2: unknown field `ports`"), "{message}");
}

#[test]
fn it_says_where_it_listens_and_stops_when_asked() {
    let mut command = Command::new(PROGRAM);
    command.args(["--engine", "memory:", "--listen", "127.0.0.1:0", "--base-path", "/q"]).env_clear();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
    assert!(line.starts_with("longshore-dashboard listens on http://127.0.0.1:"), "{line}");
    assert!(line.ends_with("/q/; engine memory:\n"), "{line}");
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill runs").success());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn its_routes_are_told_as_json() {
    let output = Command::new(PROGRAM).arg("routes").env_clear().output().expect("the program is built");
    let routes: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(routes.len(), dashboard::routes::ROUTES.len());
}
