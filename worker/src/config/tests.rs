//! The sample of the documentation, the order of handlers, and a message for each fault.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::{CONCURRENCY, Config, GRACE};

const SAMPLE: &str = r#"
engine = "longshore://127.0.0.1:7600"
concurrency = 4
grace = "1m"
[queues]                       # weights
critical = 5
emails = 1
[handlers.send]                # job name; "emails/send" for one queue; "*" for the rest
command = ["sh", "-c", "exit 0"]
timeout = "1h30m"
env = { SMTP_HOST = "mail" }
"#;

const UNITS: &str = "allowed: a number with a unit:";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, "handlers.toml", Path::new("/")).map_err(|error| error.to_string())
}

/// A file whose lines from the fifth on are `lines`, is refused with exactly this.
fn check(lines: &str, expected: &str) {
    let text = format!("[queues]\ndefault = 1\n[handlers.send]\ncommand = [\"sh\"]\n{lines}");
    assert_eq!(parse(&text).expect_err(lines), expected);
}

/// The sample with `to` in place of `from` is refused with exactly this.
fn check_sample(from: &str, to: &str, expected: &str) {
    assert!(SAMPLE.contains(from), "{from}");
    assert_eq!(parse(&SAMPLE.replace(from, to)).expect_err(to), expected);
}

#[test]
fn sample_is_read() {
    let config = parse(SAMPLE).expect("sound");
    assert_eq!(config.engine.as_deref(), Some("longshore://127.0.0.1:7600"));
    assert_eq!((config.concurrency, config.grace), (4, Duration::from_secs(60)));
    assert_eq!(config.queues, [("critical".to_owned(), 5), ("emails".to_owned(), 1)]);
    let (name, handler) = config.handlers().next().expect("it is there");
    assert_eq!(handler.argv, ["sh", "-c", "exit 0"]);
    assert_eq!(handler.timeout, Some(Duration::from_secs(5400)));
    assert_eq!(handler.env.get("SMTP_HOST").map(String::as_str), Some("mail"));
    assert_eq!((name, config.handlers().count()), ("send", 1));
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse("[queues]\nq = 1\n[handlers.\"*\"]\ncommand = [\"sh\"]\ntimeout = \"none\"").expect("sound");
    assert_eq!((config.engine.as_deref(), config.concurrency, config.grace), (None, CONCURRENCY, GRACE));
    assert_eq!(config.handlers().map(|(name, handler)| (name, handler.timeout)).collect::<Vec<_>>(), [("*", None)]);
}

#[test]
fn durations_need_a_unit() {
    let timeout = "handlers.toml:5: handlers.send.timeout is";
    check("timeout = 30", &format!("{timeout} 30; {UNITS} 30s, 500ms, 5m, 2h, 1d"));
    check("timeout = \"45\"", &format!("{timeout} 45; {UNITS} 45s, 500ms, 5m, 2h, 1d"));
    check("timeout = \"soon\"", &format!("{timeout} soon; {UNITS} 30s, 500ms, 5m, 2h, 1d"));
    check("timeout = \"0s\"", &format!("{timeout} \"0s\"; allowed: more than nothing, or \"none\""));
    check_sample("\"1m\"", "\"none\"", &format!("handlers.toml:4: grace is none; {UNITS} 30s, 500ms, 5m, 2h, 1d"));
}

#[test]
fn unknown_keys_are_named() {
    check("timout = \"3s\"", "handlers.toml:5: handlers.send.timout is not known here; allowed: command, timeout, env");
    check(
        "[handler.other]",
        "handlers.toml:5: handler is not known here; \
         allowed: engine, concurrency, grace, [queues], [handlers.NAME]",
    );
}

#[test]
fn numbers_have_their_range() {
    let check = check_sample;
    let concurrency = "allowed: an integer from 1 to 10000";
    check("rrency = 4", "rrency = 0", &format!("handlers.toml:3: concurrency is 0; {concurrency}"));
    check("rrency = 4", "rrency = 10_001", &format!("handlers.toml:3: concurrency is 10_001; {concurrency}"));
    check("rrency = 4", "rrency = \"4\"", &format!("handlers.toml:3: concurrency is \"4\"; {concurrency}"));
    check("emails = 1", "emails = -1", "handlers.toml:7: queues.emails is -1; allowed: an integer from 1 to 1000");
}

#[test]
fn numbers_may_be_written_as_toml_allows() {
    for (text, number) in [("1_000", 1_000), ("0x10", 16), ("10000", 10_000)] {
        let config = parse(&SAMPLE.replace("rrency = 4", &format!("rrency = {text}"))).expect(text);
        assert_eq!(config.concurrency, number);
    }
}

#[test]
fn values_of_the_wrong_kind_are_named() {
    let env = "handlers.toml:5: handlers.send.env";
    let string = "allowed: a string without a NUL character, such as \"25\"";
    check("env = { PORT = 25 }", &format!("{env}.PORT is 25; {string}"));
    check("env = [\"A=1\"]", &format!("{env} is [\"A=1\"]; allowed: a table, such as {{ SMTP_HOST = \"mail\" }}"));
    check(
        "env = { LONGSHORE_JOB = \"1\" }",
        &format!("{env}.LONGSHORE_JOB is set by the worker for each job; allowed: any other name"),
    );
    check(
        "env = { \"A=B\" = \"1\" }",
        &format!("{env}.\"A=B\" is no name of a variable; allowed: text without = and NUL"),
    );
    check_sample(
        "engine = \"longshore://127.0.0.1:7600\"",
        "engine = 7600",
        "handlers.toml:2: engine is 7600; allowed: a URL such as \"longshore://127.0.0.1:7600\"",
    );
}

#[test]
fn commands_are_lists() {
    let allowed = "allowed: a list of the program and its arguments, such as [\"./send-mail\", \"--from\", \"ops\"]";
    let command = "handlers.toml:9: handlers.send.command is";
    let check_command = |to: &str, expected: &str| check_sample("[\"sh\", \"-c\", \"exit 0\"]", to, expected);
    check_command("\"./send-mail\"", &format!("{command} \"./send-mail\"; {allowed}"));
    check_command("[]", &format!("{command} []; {allowed}"));
    check_command("[\"\"]", &format!("{command} [\"\"]; {allowed}"));
    check_command("[\"sh\", 1]", &format!("{command} 1; allowed: a string without a NUL character"));
    check(
        "[handlers.other]\ntimeout = \"1s\"",
        "handlers.toml:5: handlers.other has no command; it needs one: command = [\"./program\", \"argument\"]",
    );
}

#[test]
fn whole_file_is_looked_at() {
    assert_eq!(
        parse("").expect_err("empty"),
        "handlers.toml:1: [queues] is missing; it names the queues to serve with their weights: default = 1\n\
         handlers.toml:1: [handlers.NAME] is missing; it gives the command that runs jobs of this name"
    );
    check(
        "[handlers.\"email/send\"]\ncommand = [\"sh\"]",
        "handlers.toml:5: handlers.\"email/send\" is for a queue that [queues] does not name; it names: default",
    );
    check(
        "timeout = 1\nenv = 2",
        "handlers.toml:5: handlers.send.timeout is 1; allowed: a number with a unit: 1s, 500ms, 5m, 2h, 1d\n\
         handlers.toml:6: handlers.send.env is 2; allowed: a table, such as { SMTP_HOST = \"mail\" }",
    );
    check_sample(
        "critical = 5\nemails = 1",
        "",
        "handlers.toml:5: [queues] names no queue; one with its weight: default = 1",
    );
    assert_eq!(
        parse("[queues]\nq = 1\n[handlers]\n").expect_err("no handler"),
        "handlers.toml:3: [handlers] names no handler; one with the command that runs its jobs: [handlers.NAME]"
    );
    let queues: String = (0..1_001).map(|number| format!("q{number} = 1\n")).collect();
    assert_eq!(
        parse(&format!("[queues]\n{queues}[handlers.send]\ncommand = [\"sh\"]")).expect_err("too many"),
        "handlers.toml:1: [queues] names 1001 queues; allowed: at most 1000"
    );
}

#[test]
fn what_is_no_toml_is_named_by_line() {
    for text in ["[queues]\ndefault = \n", "[queues]\n= 1\n", "[queues]\ndefault = 1 1\n", "[queues]\nq = 1\nq = 2"] {
        let said = parse(text).expect_err(text);
        let line = if text.ends_with('2') { 3 } else { 2 };
        assert!(said.starts_with(&format!("handlers.toml:{line}: ")) && !said.contains('\n'), "{said}");
    }
}

#[test]
fn programs_are_looked_at() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().canonicalize().expect("it exists");
    let shown = path.display();
    for name in ["sound", "plain"] {
        std::fs::write(path.join(name), "#!/bin/sh\n").expect("written");
    }
    std::fs::set_permissions(path.join("sound"), std::fs::Permissions::from_mode(0o755)).expect("made executable");
    let file = path.join("handlers.toml");
    let load = |program: &str| {
        let text = format!("[queues]\nq = 1\n[handlers.send]\ncommand = [\"{program}\"]\n");
        std::fs::write(&file, text).expect("written");
        Config::load(&file).map_err(|error| error.to_string())
    };
    load("./sound").expect("it is there");
    load("sh").expect("it is on PATH");
    let refused = |program: &str, says: &str| {
        let expected = format!("{shown}/handlers.toml:4: handlers.send.command: {says}");
        assert_eq!(load(program).expect_err(program), expected);
    };
    refused(
        "./missing",
        &format!("{shown}/missing is not there (a program with a slash is relative to this file's folder)"),
    );
    refused("./plain", &format!("{shown}/plain is not executable by this user; perhaps: chmod +x {shown}/plain"));
    refused("/", "/ is a folder, not a program");
    refused("sound", "sound is not on PATH; a program in this file's folder is written ./sound");
}

#[test]
fn file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("handlers.toml");
    let load = || Config::load(&file).expect_err("unreadable").to_string();
    let shown = file.display();
    assert_eq!(load(), format!("cannot read {shown}: no such file; `longshore init` writes one to start from"));
    std::fs::write(&file, b"engine = \"\xff\"").expect("written");
    assert_eq!(load(), format!("{shown} is no UTF-8 text: see its byte 10"));
}
