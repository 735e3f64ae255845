//! The configuration page against the program: its table of flags, and its example file.

use std::process::Command;

use clap::CommandFactory;
use queue_core::resp::Value;

const PAGE: &str = include_str!("../../../docs/config.md");

/// The part of the page under a heading of the second level.
fn section(title: &str) -> &'static str {
    let from = PAGE.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("{title} is a heading")).1;
    from.split_once("\n## ").map_or(from, |(section, _)| section)
}

#[test]
fn every_flag_stands_in_the_table_with_its_variable() {
    let rows = section("The server").lines().filter_map(|line| line.strip_prefix("| `--")).map(|row| {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
        (cells[0].clone(), cells[1].clone())
    });
    let command = server::daemon::Flags::command();
    let flags = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env().map_or("–".to_owned(), |name| name.to_string_lossy().into_owned());
        Some((argument.get_long()?.to_owned(), variable))
    });
    assert_eq!(rows.collect::<Vec<_>>(), flags.collect::<Vec<_>>());
}

#[test]
fn the_example_file_is_taken() {
    let (_, example) = section("The server").split_once("```toml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("password"), "secret\n").expect("written");
    let file = dir.path().join("server.toml");
    std::fs::write(&file, example).expect("written");
    // The file is read before the address is looked at, so the refusal of that shows that the file is good.
    let server = Command::new(env!("CARGO_BIN_EXE_longshore-server"))
        .arg("--config")
        .arg(&file)
        .args(["--listen", "nowhere"])
        .env_clear()
        .output()
        .expect("the program is built");
    let message = String::from_utf8(server.stderr).expect("text");
    assert_eq!(message, "longshore-server: listen is nowhere; allowed: HOST:PORT, such as 127.0.0.1:7600\n");
}

#[test]
fn every_command_of_a_connection_and_every_figure_stands_on_the_protocols_page() {
    let page = include_str!("../../../docs/protocol.md");
    let server = crate::common::Server::start(crate::common::config());
    let mut client = server.client();
    let Value::Array(names) = client.ask("COMMAND LIST") else { panic!("a list") };
    for name in names {
        let Value::Bulk(name) = name else { panic!("{name:?}") };
        let name = String::from_utf8(name).expect("text").to_uppercase();
        assert!(page.contains(&format!("`{name}")) || page.contains(&format!("### {name}\n")), "{name}");
    }
    let info = client.text("INFO");
    let fields = info.lines().filter_map(|line| Some(line.split_once(':')?.0));
    for field in fields.filter(|field| !field.starts_with("jobs_")) {
        assert!(page.contains(&format!("`{field}`")), "{field}");
    }
}
