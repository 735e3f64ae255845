//! The program itself: its one line, its flags and file, its signals, what outlives it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use crate::common::Client;
use queue_core::resp::Value;

struct Daemon {
    child: Child,
    line: String,
    log: BufReader<ChildStderr>,
}

fn command(arguments: &[&str]) -> Command {
    with_limit("", arguments)
}

/// The program, started by a shell that has carried out `limit` first.
fn with_limit(limit: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{limit}\nexec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_longshore-server")]);
    command.args(arguments).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Daemon {
    fn start(arguments: &[&str]) -> Self {
        Self::spawn(command(arguments))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program is built");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, line, log }
    }

    /// Waits for the line of the log that says so.
    fn said(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.log.read_line(&mut line).expect("text") > 0, "it ended and did not say: {text}");
        }
        line
    }

    fn address(&self, before: &str) -> SocketAddr {
        let rest = self.line.split(before).nth(1).unwrap_or_else(|| panic!("{}", self.line));
        rest.split([',', ';', ' ', '\n']).next().expect("an address").parse().expect("an address")
    }

    /// A client, once the server has opened its engine.
    fn client(&self) -> Client {
        while metrics::testkit::get(self.address("admin on "), "/readyz").1 != "ready\n" {
            std::thread::yield_now();
        }
        Client::new(self.address("listens on "))
    }

    fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    fn stop(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let mut log = String::new();
        self.log.read_to_string(&mut log).expect("text");
        let status = self.child.wait().expect("it ends");
        (status.code(), log)
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(arguments).output().expect("the program is built");
    (status.code(), String::from_utf8(stderr).expect("text"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn jobs_outlive_the_server_whether_it_is_stopped_or_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let daemon = Daemon::start(&["--data", text(&data)]);
    assert!(daemon.line.ends_with(&format!("; engine log:{}, fsync always\n", data.display())), "{}", daemon.line);
    daemon.client().ask(r#"JOB.ADD q n p '{"id":"first"}'"#);
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopping") && log.contains("engine closed"), "{log}");

    let mut daemon = Daemon::start(&["--data", text(&data)]);
    let mut client = daemon.client();
    client.ask(r#"JOB.ADD q n p '{"id":"second"}'"#);
    daemon.child.kill().expect("SIGKILL");
    daemon.child.wait().expect("it ends");

    let daemon = Daemon::start(&["--data", text(&data)]);
    let mut client = daemon.client();
    assert!(client.text("JOB.GET first").contains(r#""state":"waiting""#));
    assert!(client.text("JOB.GET second").contains(r#""state":"waiting""#));
    // One owner: a second server on the same directory is refused.
    let (code, message) = refused(&["--data", text(&data), "--log-format", "json"]);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.lines().last().is_some_and(|line| line.starts_with("longshore-server: ")), "{message}");
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn a_waiting_client_does_not_hold_up_the_stop() {
    let daemon = Daemon::start(&["--engine", "memory:"]);
    let mut client = daemon.client();
    client.send("JOB.LEASE w BLOCK 3600000 QUEUES q");
    let (code, log) = daemon.stop();
    assert_eq!((code, client.read()), (Some(0), None), "{log}");
    assert!(log.contains("nothing survives a restart"), "{log}");
}

#[test]
fn settings_of_the_file_are_applied_at_start_and_on_hangup() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("server.toml");
    std::fs::write(&file, "engine = \"memory:\"\n[queues.emails]\nattempts = 5\n").expect("written");
    let mut daemon = Daemon::start(&["--config", text(&file)]);
    let mut client = daemon.client();
    let queue = client.text("QUEUE.GET emails");
    assert!(queue.contains(r#"{"setting":"attempts","value":5,"from":"config"}"#), "{queue}");
    std::fs::write(&file, "engine = \"memory:\"\n[queues.emails]\nattempts = 7\n").expect("written");
    daemon.signal("-HUP");
    while !client.text("QUEUE.GET emails").contains(r#"{"setting":"attempts","value":7,"from":"config"}"#) {
        std::thread::yield_now();
    }
    std::fs::write(&file, "[queues.emails]\natempts = 7\n").expect("written");
    daemon.signal("-HUP");
    let line = daemon.said("file not read again; the settings from before hold");
    assert!(line.contains("server.toml:2: ") && line.contains("SETTING is atempts; allowed: attempts, "), "{line}");
    let queue = client.text("QUEUE.GET emails");
    assert!(queue.contains(r#"{"setting":"attempts","value":7,"from":"config"}"#), "{queue}");
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(client.read().is_none());
}

#[test]
fn connections_leave_descriptors_for_the_engine() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut daemon = Daemon::spawn(with_limit("ulimit -n 128", &["--data", text(dir.path())]));
    let mut client = daemon.client();
    assert_eq!(client.figure("maxclients"), 64);
    assert!(daemon.said("too few open files").contains("open_files_max=128"));
    let mut others: Vec<_> = (0..100).map(|_| Client::new(daemon.address("listens on "))).collect();
    let full = Some(Value::Error("ERR max number of clients reached".into()));
    let turned_away = others.iter_mut().rev().take(37).map(|other| other.read()).filter(|told| *told == full).count();
    assert_eq!(turned_away, 37, "one place was taken already");
    // Larger than the first segments of the log together, so that new files are made.
    let bytes = vec![b'7'; 1 << 20];
    for number in 1..=8 {
        client.request(&[&[b"JOB.ADD", b"q", b"n", &bytes]]);
        let added = Value::Array(vec![Value::Integer(number), Value::Simple("created".into())]);
        assert_eq!(client.read(), Some(added));
    }
    assert_eq!(others[0].text("PING"), "PONG");
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn a_low_soft_limit_of_descriptors_is_raised() {
    let hard = Command::new("/bin/sh").args(["-c", "ulimit -Hn"]).output().expect("a shell").stdout;
    // Where there is no limit, the answer is a word.
    let hard: u64 = String::from_utf8(hard).expect("text").trim().parse().unwrap_or(u64::MAX);
    let daemon = Daemon::spawn(with_limit("ulimit -Sn 80", &["--engine", "memory:"]));
    assert_eq!(daemon.client().figure("maxclients"), 10_000.min(hard - 64));
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn a_flag_goes_before_the_environment_also_under_its_other_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let started = |flag: [&str; 2], variable: &str, value: &str| {
        let mut command = command(&flag);
        command.env(variable, value);
        let daemon = Daemon::spawn(command);
        let line = daemon.line.clone();
        assert_eq!(daemon.stop().0, Some(0));
        line
    };
    let line = started(["--engine", "memory:"], "LONGSHORE_DATA", text(dir.path()));
    assert!(line.contains("; engine memory:,"), "{line}");
    let line = started(["--data", text(dir.path())], "LONGSHORE_SERVER_ENGINE", "memory:");
    assert!(line.contains("; engine log:"), "{line}");
    let mut both = command(&[]);
    both.env("LONGSHORE_DATA", text(dir.path())).env("LONGSHORE_SERVER_ENGINE", "memory:");
    let refused = both.output().expect("the program is built");
    assert_eq!(refused.status.code(), Some(2), "neither goes before the other");
}

#[test]
fn it_stops_also_where_nobody_reads_its_log() {
    let daemon = Daemon::start(&["--engine", "memory:"]);
    daemon.client();
    let Daemon { mut child, log, .. } = daemon;
    // Nobody is at the pipe's other end any more.
    drop(log);
    signal(&child, "-TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn wrong_flags_and_files_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("server.toml");
    std::fs::write(&file, "\nfsyn = \"always\"\n").expect("written");
    let (code, message) = refused(&["--config", text(&file)]);
    assert_eq!(code, Some(1));
    let expected =
        format!("longshore-server: {}:2: fsyn is no key of this file; allowed: engine, data,", file.display());
    assert!(message.starts_with(&expected), "{message}");
    let (code, message) = refused(&["--fsync", "often"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("fsync is often; allowed: always, everysec or no"), "{message}");
    let (code, message) = refused(&["--engine", "postgres://u:secret@h/db"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("engine is postgres; allowed: log:DIR or memory:"), "{message}");
    let mut command = command(&["--engine", "memory:"]);
    let refused_filter = command.env("LONGSHORE_LOG", "server=loud").output().expect("the program is built");
    let message = String::from_utf8(refused_filter.stderr).expect("text");
    assert_eq!(refused_filter.status.code(), Some(1));
    assert!(message.starts_with("longshore-server: LONGSHORE_LOG is server=loud; allowed: a level "), "{message}");
    let missing = dir.path().join("none");
    let (code, message) = refused(&["--password-file", text(&missing)]);
    assert_eq!(code, Some(1));
    assert!(message.starts_with("longshore-server: cannot read the password file "), "{message}");
}
