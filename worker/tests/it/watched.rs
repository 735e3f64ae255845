//! What a worker tells of itself: by its library's figures, and by the daemon's `--admin`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::yield_now;
use std::time::Duration;

use metrics::Program;
use metrics::testkit::{Samples, check_whole, get, scrape};
use queue_core::Queue;
use queue_core::model::{Word, WorkerState};
use worker::AttemptEnd;

use crate::daemon::{daemon, run, terminate};
use crate::desk::{Desk, gated};

const HANDLERS: &str = r#"
[queues]
q = 1
[handlers.end]
command = ["sh", "-c", "exit $(cat)"]
[handlers.hold]
command = ["sh", "-c", "until [ -e go ]; do sleep 0.01; done"]
"#;

/// Starts the daemon and answers where its admin listener is.
fn watched(folder: &Path, flags: &[&str]) -> (Child, SocketAddr) {
    fs::write(folder.join("handlers.toml"), HANDLERS).expect("a file");
    let mut child = daemon(folder, flags).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("text");
    let address = line.trim().rsplit_once(' ').and_then(|(_, address)| address.parse().ok());
    (child, address.unwrap_or_else(|| panic!("no address: {line:?}")))
}

fn ended(samples: &Samples) -> Vec<f64> {
    let name = |end: &AttemptEnd| format!("longshore_worker_attempts_total{{outcome=\"{}\"}}", end.as_str());
    AttemptEnd::ALL.iter().map(|end| samples.get(&name(end)).copied().unwrap_or_default()).collect()
}

#[tokio::test]
async fn the_daemon_tells_how_its_jobs_ended_and_what_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine =
        queue_core::connect(&format!("log:{}", folder.path().join("data").display())).await.expect("a new one");
    let queue = Queue::new(&engine, "q");
    for status in [0, 0, 1, 75] {
        queue.add("end", &status).await.expect("added");
    }
    queue.add("hold", &()).await.expect("added");
    engine.close().await.expect("closed");
    let flags = ["--admin", "127.0.0.1:0", "--engine", "log:data", "--concurrency", "7"];
    let (mut child, admin) = watched(folder.path(), &flags);
    while ended(&scrape(admin)) != [2.0, 1.0, 0.0, 1.0, 0.0, 0.0] {
        yield_now();
    }
    let samples = scrape(admin);
    check_whole(Program::Worker, &samples, &[]);
    for (name, value) in [
        ("longshore_ready", 1.0),
        ("longshore_worker_connected", 1.0),
        ("longshore_worker_reconnects_total", 0.0),
        ("longshore_worker_concurrency", 7.0),
        ("longshore_worker_leases", 1.0),
        ("longshore_worker_run_seconds_count", 4.0),
        ("longshore_worker_state{state=\"running\"}", 1.0),
        ("longshore_worker_state{state=\"stopping\"}", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}");
    }
    assert!(samples["longshore_worker_idle_seconds_count"] >= 1.0);
    assert_eq!(get(admin, "/healthz"), ("HTTP/1.1 200 OK".into(), "up\n".into()));
    assert_eq!(get(admin, "/readyz"), ("HTTP/1.1 200 OK".into(), "ready\n".into()));
    terminate(&child);
    while get(admin, "/readyz").1 != "stopping\n" {
        yield_now();
    }
    assert_eq!(scrape(admin)["longshore_worker_state{state=\"stopping\"}"], 1.0);
    fs::write(folder.path().join("go"), "").expect("a file");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn it_answers_while_it_looks_for_its_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut child, admin) = watched(folder.path(), &["--admin", "127.0.0.1:0", "--engine", "longshore://127.0.0.1:1"]);
    assert_eq!(get(admin, "/healthz").1, "up\n");
    assert_eq!(get(admin, "/readyz"), ("HTTP/1.1 503 Service Unavailable".into(), "connecting\n".into()));
    let samples = scrape(admin);
    assert_eq!((samples["longshore_ready"], samples["longshore_worker_connected"]), (0.0, 0.0));
    terminate(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn beyond_loopback_it_listens_only_where_somebody_said_that_it_may() {
    let (code, _, error) = run(HANDLERS, &["--admin", "0.0.0.0:0"]);
    let refused = "longshore-worker: admin is 0.0.0.0:0; allowed: a loopback address, ";
    assert!(code == Some(1) && error.starts_with(refused) && error.contains("--insecure-no-password"), "{error}");
    let (code, _, error) = run(HANDLERS, &["--admin", "7602"]);
    let refused = "longshore-worker: admin is 7602; allowed: HOST:PORT, such as 127.0.0.1:7602\n";
    assert_eq!((code, error.as_str()), (Some(1), refused));
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["--admin", "0.0.0.0:0", "--insecure-no-password", "--engine", "memory:"];
    let (mut child, admin) = watched(folder.path(), &flags);
    assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], admin.port())), "/healthz").1, "up\n");
    terminate(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn the_link_and_what_is_held_are_told_as_they_are() {
    let desk = Desk::new();
    let (worker, gate) = gated(&desk, 2);
    let worker = worker.build().expect("a worker");
    let handle = worker.handle();
    assert!(!handle.figures().connected, "it does not run yet");
    let running = tokio::spawn(worker.run());
    desk.job("send", |_| {});
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| beat.leases.len() == 1)).await;
    let figures = handle.figures();
    assert_eq!((figures.state, figures.leases, figures.connected), (WorkerState::Running, 1, true));
    assert_eq!((figures.concurrency, figures.idle_ms.count(), figures.run_ms.count()), (2, 1, 0));
    for lost in 1..=2 {
        desk.fail_with(Some(Word::Unreachable));
        let beats = desk.beats().len();
        desk.until(|desk| desk.beats().len() > beats).await;
        assert!(!handle.figures().connected);
        desk.fail_with(None);
        desk.until(|_| handle.figures().connected).await;
        assert_eq!(handle.figures().reconnects, lost);
    }
    gate.add_permits(1);
    desk.settled(1).await;
    desk.until(|_| handle.figures().leases == 0).await;
    let figures = handle.figures();
    assert_eq!((figures.ended[AttemptEnd::Completed as usize], figures.run_ms.count()), (1, 1));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_runs_nothing_beats_as_often_as_it_is_told_to() {
    for (every, beats) in [(None, 3), (Some(Duration::from_millis(250)), 41), (Some(Duration::from_secs(30)), 1)] {
        let desk = Desk::new();
        let (worker, _) = gated(&desk, 1);
        let worker = every.into_iter().fold(worker, worker::WorkerBuilder::beat);
        let running = tokio::spawn(worker.run());
        desk.until(|desk| !desk.beats().is_empty()).await;
        tokio::time::sleep(Duration::from_millis(10_100)).await;
        assert_eq!(desk.beats().len(), beats, "{every:?}");
        running.abort();
    }
    for every in [Duration::from_millis(99), Duration::from_millis(30_001)] {
        let (worker, _) = gated(&Desk::new(), 1);
        let refused = worker.beat(every).build().err().expect("it is refused");
        assert!(refused.message.starts_with("beat is ") && refused.message.ends_with("; allowed: 100ms to 30s"));
    }
    let (code, _, error) = run(HANDLERS, &["--beat", "1m"]);
    assert!(code == Some(2) && error.contains("beat is 1m; allowed: 100ms to 30s"), "{error}");
}
