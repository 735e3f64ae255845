//! What one client may take of the server: memory, turns, time, places; and that the others notice nothing of it.

use std::io::{ErrorKind, Write};
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{Client, PATIENCE, Server, config};
use queue_core::resp::Value;
use server::{Config, Limits, Password};

const MEBIBYTE: usize = 1 << 20;

fn closed(limits: Limits) -> Server {
    let password = Some(Password::new(b"secret").expect("a password"));
    Server::start(Config { password, limits, ..config() })
}

/// Makes job 1 of 1 MiB with a result of 1 MiB, and has the client ask for it often without reading more than one reply.
fn asks_much_and_reads_little(server: &Server, times: usize) -> Client {
    let bytes = vec![b'7'; MEBIBYTE];
    let mut client = server.client();
    client.request(&[&[b"JOB.ADD", b"q", b"n", &bytes]]);
    client.read().expect("added");
    let Value::Array(leased) = client.ask("JOB.LEASE w QUEUES q") else { panic!("no job") };
    let [Value::Array(job)] = leased.as_slice() else { panic!("{leased:?}") };
    let Value::Bulk(token) = &job[1] else { panic!("no token") };
    client.request(&[&[b"JOB.COMPLETE", b"1", token, &bytes]]);
    assert_eq!(client.read(), Some(Value::Simple("counted".into())));
    client.send(&["JOB.WAIT 1 0"; 1_000][..times].join("\r\n"));
    assert!(matches!(client.read(), Some(Value::Bulk(job)) if job.len() > 2 * MEBIBYTE));
    client
}

#[test]
fn a_client_that_does_not_read_costs_few_replies_and_few_turns() {
    let server = Server::start(config());
    let mut other = server.client();
    let (memory, requests) = (other.figure("used_memory_rss"), other.figure("total_commands_processed"));
    let _slow = asks_much_and_reads_little(&server, 200);
    let grown = other.figure("used_memory_rss").saturating_sub(memory);
    assert!(grown < 64 * MEBIBYTE as u64, "{grown} bytes for one reply that was read");
    let carried_out = other.figure("total_commands_processed") - requests;
    assert!(carried_out < 50, "{carried_out} requests of 200 were carried out before the first reply left");
}

#[test]
fn jobs_for_a_client_that_takes_no_replies_are_given_back() {
    let limits = Limits { write: Duration::from_millis(300), ..Limits::default() };
    let server = Server::start(Config { limits, ..config() });
    let mut other = server.client();
    let bytes = vec![b'7'; MEBIBYTE];
    for _ in 0..24 {
        other.request(&[&[b"JOB.ADD", b"q", b"n", &bytes]]);
        other.read().expect("added");
    }
    let mut slow = server.client();
    slow.send(&["JOB.LEASE slow COUNT 4 QUEUES q"; 6].join("\r\n"));
    while other.figure("jobs_active") == 0 && other.figure("connected_clients") == 2 {
        std::thread::yield_now();
    }
    while other.figure("connected_clients") == 2 {
        std::thread::yield_now();
    }
    assert_eq!((other.figure("jobs_waiting"), other.figure("jobs_active")), (24, 0));
    assert!(other.text("JOB.GET 1").contains("\"outcome\":\"released\""), "it was handed out, and released uncounted");
}

#[test]
fn a_client_that_does_not_read_does_not_hold_up_the_stop() {
    let limits = Limits { shutdown: Duration::from_millis(100), ..Limits::default() };
    let server = Server::start(Config { limits, ..config() });
    let _slow = asks_much_and_reads_little(&server, 200);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(server.stop()));
    told.recv_timeout(PATIENCE).expect("it stops").expect("a clean stop");
}

#[test]
fn a_stranger_has_a_deadline_and_after_reset_another() {
    let server = closed(Limits { authenticate: Duration::from_secs(2), ..Limits::default() });
    let mut known = server.client();
    assert_eq!(known.text("AUTH secret"), "OK");
    assert_eq!(server.client().read(), None, "the server closes the connection");
    // Its own deadline, counted from its first byte, is over, too.
    assert_eq!(known.text("PING"), "PONG");
    assert_eq!(known.text("RESET"), "RESET");
    assert_eq!(known.text("PING"), "-NOAUTH Authentication required.");
    assert_eq!(known.text("AUTH secret"), "OK");
    assert_eq!(known.text("RESET"), "RESET");
    assert_eq!(known.read(), None, "and that ends as well");
}

#[test]
fn a_strangers_deadline_holds_whatever_it_sends_and_does_not_read() {
    let server = closed(Limits { authenticate: Duration::from_secs(1), ..Limits::default() });
    let mut stranger = server.client();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let requests = b"A\r\n".repeat(10_000);
        let ended = loop {
            if let Err(error) = stranger.stream.write_all(&requests) {
                break error;
            }
        };
        tell.send(ended)
    });
    let ended = told.recv_timeout(PATIENCE).expect("the server closes the connection");
    assert!(matches!(ended.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{ended}");
}

#[test]
fn who_guesses_has_to_connect_again() {
    let server = closed(Limits::default());
    let mut client = server.client();
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(client.text("AUTH wrong"), wrong);
    assert_eq!(client.text("AUTH root secret"), wrong);
    client.send("HELLO 3 AUTH default guess\r\nAUTH secret");
    assert!(matches!(client.read(), Some(Value::Error(text)) if text.starts_with("WRONGPASS ")));
    assert_eq!(client.read(), None, "what came behind the third guess is not looked at");
}

#[test]
fn a_hello_that_is_refused_changes_nothing() {
    let server = closed(Limits::default());
    let mut client = server.client();
    assert_eq!(client.text("HELLO 3 AUTH default secret FOO"), "-ERR Syntax error in HELLO option 'FOO'");
    assert!(client.text(&format!("HELLO 3 AUTH default secret SETNAME {}", "x".repeat(256))).contains("255 bytes"));
    assert!(client.text("HELLO 3 SETNAME 'a b' AUTH default secret").starts_with("-ERR Client names cannot"));
    assert_eq!(client.text("PING"), "-NOAUTH Authentication required.");
    assert!(matches!(client.ask("HELLO 2 AUTH default secret SETNAME me"), Value::Array(_)));
    assert!(client.text(&format!("CLIENT SETNAME {}", "x".repeat(256))).contains("255 bytes"));
    assert!(client.text(&format!("HELLO 3 SETNAME {}", "x".repeat(256))).contains("255 bytes"));
    assert_eq!(client.text("CLIENT GETNAME"), "me");
    assert!(matches!(client.ask("HELLO"), Value::Array(_)), "the version is as it was");
}

#[test]
fn clients_that_come_at_once_are_counted_at_once() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let server = Server::opening(Config { limits, ..config() }, crate::common::memory());
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    // Best effort: those that were turned away may be closed already.
    clients.iter_mut().for_each(|client| drop(client.stream.write_all(b"PING\r\n")));
    let answers: Vec<_> = clients.iter_mut().map(|client| client.read()).collect();
    let served = answers.iter().filter(|answer| **answer == Some(Value::Simple("PONG".into()))).count();
    assert_eq!(served, 2, "{answers:?}");
}
