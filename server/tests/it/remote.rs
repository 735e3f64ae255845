//! The remote engine over a real socket: what it says when nothing answers, and what it does when replies get lost.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{
    Added, Context, Error, JobOptions, LeaseOrder, LeaseRef, LeaseRequest, NewJob, Outcome, Settled, Word,
};
use server::{Config, Password};

use crate::common::{Server, config};

async fn connect(address: SocketAddr) -> Result<Arc<dyn Engine>, Error> {
    queue_core::connect(&format!("longshore://{address}")).await
}

fn order(limit: u32) -> LeaseOrder {
    LeaseOrder { queues: vec!["q".to_owned()], limit, worker: "w".to_owned(), lease_ms: None }
}

fn job(id: &str) -> NewJob {
    NewJob::new("n", "{}").with(JobOptions { id: Some(id.to_owned()), ..JobOptions::default() })
}

#[tokio::test]
async fn a_job_goes_from_enqueue_to_its_result() {
    let server = Server::start(config());
    let engine = connect(server.address()).await.expect("reached");
    let capabilities = engine.capabilities();
    assert_eq!((capabilities.engine, capabilities.durable, capabilities.resends), ("remote", false, true));
    let worker = Arc::clone(&engine);
    let request = LeaseRequest { order: order(1), wait_ms: 60_000 };
    let leasing = tokio::spawn(async move { worker.lease(&Context::default(), request).await });
    let added = engine.enqueue("q", vec![NewJob::new("n", &b"\x00\xff"[..])]).await.expect("added");
    let leased = leasing.await.expect("no panic").expect("leased").pop().expect("a job");
    assert_eq!((leased.number, &leased.payload[..]), (added[0].number, &b"\x00\xff"[..]));
    let waiter = Arc::clone(&engine);
    let waiting = tokio::spawn(async move { waiter.wait(leased.number.into(), 60_000).await });
    let lease = LeaseRef { number: leased.number, token: leased.token };
    let settled = engine.settle(lease, Outcome::Complete { result: Some("7".into()) }).await;
    assert_eq!(settled, Ok(Settled::Counted));
    assert_eq!(waiting.await.expect("no panic").expect("done").result.as_deref(), Some(&b"7"[..]));
    engine.close().await.expect("closed");
    assert_eq!(engine.stats().await.expect_err("closed").word, Word::Unreachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_a_connection() {
    let server = Server::start(config());
    let engine = connect(server.address()).await.expect("reached");
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for _ in 0..50 {
                    let added = engine.enqueue("q", vec![NewJob::new("n", "{}")]).await.expect("added");
                    numbers.push(added[0].number.0);
                }
                numbers
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await.expect("no panic"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=3_200).collect::<Vec<_>>());
    assert!(server.client().text("INFO stats").contains("jobs_enqueued:3200"));
}

#[tokio::test]
async fn who_cannot_be_reached_or_entered_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let error = connect(address).await.err().expect("nobody listens");
    let expected = format!("cannot reach longshore://{address}: connection refused");
    assert_eq!((error.word, error.message), (Word::Unreachable, expected));

    let password = Some(Password::new(b"secret").expect("a password"));
    let server = Server::start(Config { password, ..config() });
    let error = connect(server.address()).await.err().expect("no password");
    assert_eq!(error.word, Word::NoAuth);
    assert!(error.message.contains("needs a password"), "{error}");
    let reach = |password: &str| format!("redis://:{password}@{}", server.address());
    let error = queue_core::connect(&reach("wrong")).await.err().expect("a wrong password");
    assert!(error.word == Word::NoAuth && error.message.contains("does not accept this password"), "{error}");
    let engine = loop {
        match queue_core::connect(&reach("secret")).await {
            Ok(engine) => break engine,
            Err(error) => assert_eq!(error.word, Word::Loading, "{error}"),
        }
    };
    engine.stats().await.expect("let in");

    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("bound");
    std::thread::spawn(move || other.accept().expect("a client").0.write_all(b"+OK\r\n+OK\r\n+OK\r\n"));
    assert_eq!(connect(address).await.err().expect("another server").word, Word::Unsupported);
}

#[tokio::test]
async fn a_lease_that_nobody_waits_for_takes_no_job() {
    let server = Server::start(config());
    let engine = connect(server.address()).await.expect("reached");
    let request = LeaseRequest { order: order(1), wait_ms: 3_600_000 };
    let patience = Duration::from_millis(100);
    tokio::time::timeout(patience, engine.lease(&Context::default(), request.clone())).await.expect_err("no job yet");
    let mut client = server.client();
    while !client.text("INFO clients").contains("blocked_clients:0\r\n") {
        tokio::task::yield_now().await;
    }
    engine.enqueue("q", vec![NewJob::new("n", "{}")]).await.expect("added");
    assert_eq!(engine.lease(&Context::default(), request).await.expect("leased").len(), 1);
}

/// Stands between client and server, and cuts the connection where a reply would pass, once it is told to.
struct Cutter {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    deaf: Arc<AtomicBool>,
}

impl Cutter {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let cut = Arc::new(AtomicBool::new(false));
        let deaf = Arc::new(AtomicBool::new(false));
        let (told, told_deaf) = (Arc::clone(&cut), Arc::clone(&deaf));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a client");
                let server = TcpStream::connect(server).expect("the server listens");
                let (from, to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
                let deaf = Arc::clone(&told_deaf);
                // What comes first is the handshake, which is one write.
                std::thread::spawn(move || pump(from, to, |chunk| chunk > 0 && deaf.load(Ordering::SeqCst)));
                let told = Arc::clone(&told);
                std::thread::spawn(move || pump(server, client, |_| told.swap(false, Ordering::SeqCst)));
            }
        });
        Self { address, cut, deaf }
    }

    /// From now on each connection ends with the first request behind its handshake.
    fn lose_all_but_handshakes(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    /// The next reply gets lost, and its connection with it.
    fn lose_next(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, cut: impl Fn(usize) -> bool) {
    let mut bytes = [0; 16_384];
    for chunk in 0.. {
        match from.read(&mut bytes) {
            Ok(read) if read > 0 && !cut(chunk) && to.write_all(&bytes[..read]).is_ok() => {}
            _ => break,
        }
    }
    // Whichever side is gone already needs no word.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_unknown_and_done_once() {
    let server = Server::start(config());
    let cutter = Cutter::before(server.address());
    let engine = connect(cutter.address).await.expect("reached");
    cutter.lose_next();
    let error = engine.enqueue("q", vec![NewJob::new("n", "{}")]).await.expect_err("nobody knows");
    assert_eq!(error.word, Word::Unknown);
    assert!(error.message.starts_with(&format!("lost the connection to longshore://{}: ", cutter.address)), "{error}");
    assert_eq!(engine.stats().await.expect("connected again").counts.enqueued, 1);
    cutter.lose_next();
    let error = engine.pause(&Context::default(), "q").await.expect_err("nobody knows");
    assert_eq!(error.word, Word::Unknown);
}

#[tokio::test]
async fn a_lease_whose_reply_is_lost_is_unknown_however_it_was_asked_for() {
    let server = Server::start(config());
    let cutter = Cutter::before(server.address());
    let engine = connect(cutter.address).await.expect("reached");
    engine.enqueue("q", (0..3).map(|_| NewJob::new("n", "{}")).collect()).await.expect("added");
    // A connection for calls that wait is there after the first such call.
    let request = |wait_ms| LeaseRequest { order: order(1), wait_ms };
    engine.lease(&Context::default(), request(60_000)).await.expect("leased");
    for wait_ms in [0, 60_000] {
        cutter.lose_next();
        let error = engine.lease(&Context::default(), request(wait_ms)).await.expect_err("nobody knows");
        assert_eq!(error.word, Word::Unknown, "{error}");
        assert!(error.message.contains("jobs may be leased"), "{error}");
    }
    engine.stats().await.expect("connected again");
    cutter.lose_next();
    assert_eq!(engine.lease_now(order(1)).await.expect_err("nobody knows").word, Word::Unknown);
    assert_eq!(engine.stats().await.expect("connected again").counts.active, 3);
}

#[tokio::test]
async fn a_server_that_only_shakes_hands_is_not_asked_for_ever() {
    let server = Server::start(config());
    let cutter = Cutter::before(server.address());
    let engine = connect(cutter.address).await.expect("reached");
    let number = engine.enqueue("q", vec![NewJob::new("n", "{}")]).await.expect("added")[0].number;
    cutter.lose_all_but_handshakes();
    let patience = Duration::from_secs(20);
    let error = tokio::time::timeout(patience, engine.wait(number.into(), 3_600_000)).await.expect("it ends");
    assert_eq!(error.expect_err("no reply ever came").word, Word::Unreachable);
    let error = tokio::time::timeout(patience, engine.stats()).await.expect("it ends").expect_err("no reply ever came");
    assert_eq!(error.word, Word::Unreachable, "{error}");
}

#[tokio::test]
async fn what_is_safe_is_sent_again() {
    let server = Server::start(config());
    let cutter = Cutter::before(server.address());
    let engine = connect(cutter.address).await.expect("reached");
    cutter.lose_next();
    let added = engine.enqueue("q", vec![job("a"), job("b")]).await.expect("sent again");
    assert_eq!(added.iter().map(|one| one.added).collect::<Vec<_>>(), [Added::Existing, Added::Existing]);
    cutter.lose_next();
    assert_eq!(engine.stats().await.expect("sent again").counts.enqueued, 2);
    let leased = engine.lease_now(order(1)).await.expect("leased").pop().expect("a job");
    let lease = LeaseRef { number: leased.number, token: leased.token };
    cutter.lose_next();
    assert_eq!(engine.settle(lease, Outcome::Complete { result: None }).await, Ok(Settled::Already));
    // A connection for calls that wait is there after the first such call.
    engine.wait(leased.number.into(), 10_000).await.expect("it is done");
    cutter.lose_next();
    let done = engine.wait(leased.number.into(), 10_000).await.expect("asked again");
    assert_eq!(done.summary.number, leased.number);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let server = Server::start(config());
    let address = server.address();
    let engine = connect(address).await.expect("reached");
    server.stop().expect("a clean stop");
    let again = Config { listen: address.to_string(), ..config() };
    let _server = Server::start(again);
    let found = async {
        while let Err(error) = engine.stats().await {
            assert!(error.word.retry_helps(), "{error}");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("it is found again");
}
