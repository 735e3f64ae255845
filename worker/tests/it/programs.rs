//! Programs as handlers, as a handlers file names them: real processes, real time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use queue_core::engine::Engine;
use queue_core::model::{LogSource, Orders, Outcome};
use tempfile::TempDir;
use worker::config::Config;
use worker::{Shutdown, Worker, WorkerBuilder};

use crate::desk::Desk;

/// A folder with one script, `run`, and a handlers file that runs it for every job.
fn folder(script: &str) -> (TempDir, Config) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("run");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    let file = "concurrency = 4\n[queues]\nq = 1\n[handlers.\"*\"]\ncommand = [\"./run\"]\n";
    let config = Config::parse(file, "handlers.toml", folder.path()).expect("a sound file");
    (folder, config)
}

fn worker(desk: &Arc<Desk>, config: &Config) -> WorkerBuilder {
    let engine: Arc<dyn Engine> = Arc::clone(desk) as _;
    Worker::from_config(config, &engine)
}

/// Runs one job with `script`, and answers what was settled.
async fn outcome(script: &str) -> Outcome {
    let (desk, (_folder, config)) = (Desk::new(), folder(script));
    let running = tokio::spawn(worker(&desk, &config).run());
    desk.job("any", |job| job.payload = r#"{"n":1}"#.into());
    let outcome = desk.settled(1).await;
    running.abort();
    outcome
}

#[tokio::test]
async fn exit_status_decides_what_becomes_of_the_job() {
    assert_eq!(outcome("cat").await, Outcome::Complete { result: Some(r#"{"n":1}"#.into()) });
    let fail = |kind: &str, error: &str, retryable| Outcome::Fail {
        kind: kind.to_owned(),
        error: error.to_owned(),
        retryable,
    };
    assert_eq!(outcome("echo why >&2; exit 65").await, fail("rejected", "exit status 65 (rejected): why", false));
    assert_eq!(outcome("exit 75").await, Outcome::Snooze { delay_ms: None });
    assert_eq!(outcome("exit 3").await, fail("exit", "exit status 3", true));
}

#[tokio::test]
async fn output_is_logged_and_the_job_stands_in_the_environment() {
    let (desk, (_folder, config)) = (Desk::new(), folder("echo $LONGSHORE_JOB $LONGSHORE_NAME; echo oops >&2"));
    let running = tokio::spawn(worker(&desk, &config).run());
    let number = desk.job("any", |_| {});
    desk.settled(1).await;
    let mut lines: Vec<_> =
        desk.lines().into_iter().map(|(_, line)| (line.source == LogSource::Err, line.text)).collect();
    lines.sort();
    assert_eq!(lines, [(false, format!("{} any", number.0)), (true, "oops".to_owned())]);
    running.abort();
}

#[tokio::test]
async fn a_cancel_stops_the_program() {
    let (desk, (_folder, config)) = (Desk::new(), folder("sleep 60 & wait"));
    let running = tokio::spawn(worker(&desk, &config).run());
    let number = desk.job("any", |_| {});
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| !beat.leases.is_empty())).await;
    desk.order(Orders { cancel: vec![(number, "ops: stop".to_owned())], lost: Vec::new(), order: None });
    let outcome = desk.settled(1).await;
    let expected =
        Outcome::Fail { kind: "cancelled".to_owned(), error: "cancelled: ops: stop".to_owned(), retryable: true };
    assert_eq!(outcome, expected);
    running.abort();
}

#[tokio::test]
async fn a_jobs_own_timeout_shows_the_programs_last_words_too() {
    let (desk, (folder, config)) =
        (Desk::new(), folder("echo waiting for the mail server >&2; echo > up; exec sleep 600"));
    let running = tokio::spawn(worker(&desk, &config).run());
    desk.job("any", |job| job.timeout_ms = Some(3_600_000));
    while !folder.path().join("up").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The hour passes once the program is there, however long that takes.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3_600)).await;
    tokio::time::resume();
    let text = "timed out after 1h: waiting for the mail server".to_owned();
    assert_eq!(desk.settled(1).await, Outcome::Fail { kind: "timeout".to_owned(), error: text, retryable: true });
    running.abort();
}

#[tokio::test]
async fn a_stop_gives_the_job_back_and_leaves_no_program() {
    for at_once in [true, false] {
        let (desk, shutdown, (folder, config)) =
            (Desk::new(), Shutdown::new(), folder("echo $$ > pid; sleep 60 & wait"));
        let worker = worker(&desk, &config).grace(Duration::from_millis(100)).shutdown(shutdown.clone());
        let running = tokio::spawn(worker.run());
        desk.job("any", |_| {});
        let pid = folder.path().join("pid");
        while !fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if at_once {
            shutdown.stop_now()
        } else {
            shutdown.request()
        }
        running.await.expect("no panic").expect("a clean end");
        assert_eq!(desk.settled(1).await, Outcome::Release);
        let pid = fs::read_to_string(pid).expect("the program's number");
        let gone = || !fs::exists(format!("/proc/{}", pid.trim())).expect("processes can be looked up");
        let gone = async {
            while !gone() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone).await.expect("the program is gone");
    }
}
