//! The program `longshore-worker` as it is started: flags, messages, exit codes, signals.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use queue_core::Queue;
use queue_core::engine::EngineExt;
use queue_core::model::{JobState, LeaseOutcome};
use rustix::process::{Pid, Signal, kill_process};

/// A program that says it runs, and runs on.
const SLEEPER: &str = "[queues]\nq = 1\n[handlers.send]\ncommand = [\"sh\", \"-c\", \"echo > runs; sleep 60\"]\n";
const FILE: &str = "[queues]\nq = 1\n[handlers.send]\ncommand = [\"true\"]\n";

pub(crate) fn daemon(folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore-worker"));
    command.current_dir(folder).args(flags).env_remove("LONGSHORE_ENGINE").env("LONGSHORE_LOG", "info");
    command
}

pub(crate) fn run(file: &str, flags: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("handlers.toml"), file).expect("a file");
    let Output { status, stdout, stderr } = daemon(folder.path(), flags).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn check_says_what_a_sound_file_holds() {
    let sound = "handlers.toml: 1 handler for 1 queue at longshore://127.0.0.1:7600: sound\n";
    assert_eq!(run(FILE, &["--check"]), (Some(0), sound.to_owned(), String::new()));
}

#[test]
fn check_names_the_line_of_each_fault() {
    let (code, out, error) = run(&FILE.replace("q = 1", "q = 0"), &["--check"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.starts_with("longshore-worker: handlers.toml:2: "), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named_with_what_to_do() {
    let (code, _, error) = run(FILE, &["--config", "other.toml"]);
    let expected =
        "longshore-worker: cannot read other.toml: no such file; `longshore init` writes one to start from\n";
    assert_eq!((code, error.as_str()), (Some(1), expected));
}

#[test]
fn a_wrong_engine_is_wrong_configuration_and_a_wrong_flag_is_not() {
    let (code, _, error) = run(FILE, &["--engine", "localhost", "--check"]);
    assert_eq!(code, Some(1));
    assert!(error.starts_with("longshore-worker: engine is localhost; allowed: longshore://HOST:PORT"), "{error}");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("handlers.toml"), FILE).expect("a file");
    let refused = daemon(folder.path(), &[]).env("LONGSHORE_LOG", "worker=loud").output().expect("it starts");
    let message = String::from_utf8(refused.stderr).expect("text");
    assert_eq!(refused.status.code(), Some(1));
    assert!(message.starts_with("longshore-worker: LONGSHORE_LOG is worker=loud; allowed: a level "), "{message}");
    let (code, _, error) = run(FILE, &["--grace", "25"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("a number with a unit"), "{error}");
    let (code, _, error) = run(FILE, &["--name", ""]);
    assert_eq!(code, Some(2));
    assert!(error.contains("name is empty; allowed: 1 to 255 bytes"), "{error}");
}

/// Starts the daemon and waits for a log line.
fn start(folder: &Path, file: &str, flags: &[&str], wanted: &str) -> (Child, BufReader<ChildStderr>) {
    fs::write(folder.join("handlers.toml"), file).expect("a file");
    let mut child = daemon(folder, flags).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    until(&mut lines, wanted);
    (child, lines)
}

fn until(lines: &mut BufReader<ChildStderr>, wanted: &str) {
    let mut line = String::new();
    while !line.contains(wanted) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).expect("text"), 0, "it ended without saying {wanted}");
    }
}

pub(crate) fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).expect("it runs");
}

#[test]
fn more_programs_than_open_files_are_warned_of_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("handlers.toml"), format!("concurrency = 1000\n{FILE}")).expect("a file");
    let words = "ulimit -n 300 && exec \"$0\" --engine log:data";
    let mut daemon = Command::new("sh");
    daemon.current_dir(folder.path()).args(["-c", words, env!("CARGO_BIN_EXE_longshore-worker")]);
    let mut child = daemon.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    until(&mut lines, "concurrency=1000 allowed=300 needed=4064");
    until(&mut lines, "connected");
    terminate(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn it_stops_cleanly_when_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut child, _lines) = start(folder.path(), FILE, &["--engine", "log:data"], "connected");
    terminate(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn it_stops_cleanly_also_where_nobody_reads_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut child, lines) = start(folder.path(), FILE, &["--engine", "log:data"], "connected");
    drop(lines);
    terminate(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn the_second_signal_gives_jobs_back_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("log:{}", folder.path().join("data").display());
    let engine = queue_core::connect(&url).await.expect("a new directory");
    let job = Queue::new(&engine, "q").add("send", &()).await.expect("added").number();
    engine.close().await.expect("closed");
    let (mut child, mut lines) = start(folder.path(), SLEEPER, &["--engine", "log:data"], "connected");
    let runs = async {
        while !folder.path().join("runs").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), runs).await.expect("the handler runs");
    terminate(&child);
    until(&mut lines, "no new jobs");
    terminate(&child);
    let asked_at = tokio::time::Instant::now();
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(asked_at.elapsed() < Duration::from_secs(10), "{:?}", asked_at.elapsed());
    let engine = queue_core::connect(&url).await.expect("the directory is free again");
    let job = engine.job(job.into()).await.expect("kept");
    assert_eq!((job.summary.state, job.summary.attempt), (JobState::Waiting, 0));
    assert_eq!(job.leases[0].outcome, LeaseOutcome::Released);
    engine.close().await.expect("closed");
}
