//! What any Redis client sees: handshakes, replies in order, errors, limits, waiting, stopping.

use std::io::Write;

use crate::common::{Client, Server, config};
use metrics::testkit::get;
use queue_core::resp::Value;
use server::{Config, Limits, Password};

fn leased(value: &Value) -> (i64, String) {
    let Value::Array(jobs) = value else { panic!("{value:?}") };
    let [Value::Array(job)] = jobs.as_slice() else { panic!("{value:?}") };
    let (Value::Integer(number), Value::Bulk(token)) = (&job[0], &job[1]) else { panic!("{job:?}") };
    (*number, String::from_utf8(token.clone()).expect("text"))
}

#[test]
fn a_job_goes_from_add_to_completed() {
    let server = Server::start(config());
    let mut client = server.client();
    let added = client.ask(r#"JOB.ADD emails send '{"to":"ann"}' '{"id":"order-42"}'"#);
    assert_eq!(added, Value::Array(vec![Value::Integer(1), Value::Simple("created".into())]));
    let again = client.ask(r#"job.add emails send '{}' '{"id":"order-42"}'"#);
    assert_eq!(again, Value::Array(vec![Value::Integer(1), Value::Simple("existing".into())]));
    let (number, token) = leased(&client.ask("JOB.LEASE w COUNT 5 QUEUES other emails"));
    assert_eq!(client.text(&format!(r#"JOB.COMPLETE {number} {token} '{{"sent":true}}'"#)), "counted");
    assert_eq!(client.text(&format!("JOB.COMPLETE {number} {token}")), "already");
    let job = client.text("JOB.WAIT order-42 5000");
    assert!(job.contains(r#""state":"completed""#) && job.contains(r#""result":{"sent":true}"#), "{job}");
    assert!(client.text("JOB.COMPLETE 1 1-1").starts_with("-STALE "));
    assert!(client.text("STATS").contains(r#""engine":"memory""#));
    server.stop().expect("a clean stop");
}

#[test]
fn replies_come_in_order_whatever_is_asked() {
    let server = Server::start(config());
    let mut client = server.client();
    client.send("JOB.ADD q n p\r\nPING\r\nJOB.ADD q n\r\nNO.SUCH thing here\r\nJOB.ADD q n p\r\nWORKER.LIST\r\nJOB.LEASE w BLOCK 1 QUEUES none\r\nECHO end");
    let replies: Vec<_> = (0..8).map(|_| client.read().expect("a reply")).collect();
    let number = |value: &Value| matches!(value, Value::Array(items) if items.len() == 2).then(|| format!("{value:?}"));
    assert!(number(&replies[0]).is_some_and(|text| text.contains("Integer(1)")), "{replies:?}");
    assert_eq!(replies[1], Value::Simple("PONG".into()));
    let missing = "BADARG payload is missing; usage: JOB.ADD queue name payload [options]";
    assert_eq!(replies[2], Value::Error(missing.into()));
    let unknown = "ERR unknown command 'NO.SUCH', with args beginning with: 'thing' 'here' ";
    assert_eq!(replies[3], Value::Error(unknown.into()));
    assert!(number(&replies[4]).is_some_and(|text| text.contains("Integer(2)")), "{replies:?}");
    let nobody = br#"{"workers":[],"cursor":null}"#.to_vec();
    assert_eq!(replies[5..], [Value::Bulk(nobody), Value::Array(vec![]), Value::Bulk(b"end".to_vec())]);
}

#[test]
fn a_long_pipeline_is_served_whole() {
    let server = Server::start(config());
    let mut client = server.client();
    let mut writer = client.stream.try_clone().expect("a second handle");
    let sending = std::thread::spawn(move || {
        let payload = "x".repeat(500);
        for _ in 0..50 {
            writer.write_all(format!("JOB.ADD q n {payload}\r\n").repeat(100).as_bytes()).expect("sent");
        }
    });
    for number in 1..=5_000 {
        let added = client.read().expect("a reply");
        assert_eq!(added, Value::Array(vec![Value::Integer(number), Value::Simple("created".into())]));
    }
    sending.join().expect("all was sent");
}

#[test]
fn both_versions_of_the_protocol_are_spoken() {
    let server = Server::start(config());
    let mut client = server.client();
    let Value::Array(flat) = client.ask("HELLO") else { panic!("RESP2 has no maps") };
    assert_eq!(flat[..2], [Value::Bulk(b"server".to_vec()), Value::Bulk(b"longshore".to_vec())]);
    let Value::Map(hello) = client.ask("HELLO 3 SETNAME ann") else { panic!("RESP3 has maps") };
    assert!(hello.contains(&(Value::Bulk(b"proto".to_vec()), Value::Integer(3))), "{hello:?}");
    assert_eq!(client.text("CLIENT GETNAME"), "ann");
    assert_eq!(client.text("HELLO 4"), "-NOPROTO unsupported protocol version");
    assert_eq!(client.text("HELLO x"), "-ERR Protocol version is not an integer or out of range");
    assert_eq!(client.text("RESET"), "RESET");
    assert_eq!(client.ask("CLIENT GETNAME"), Value::Null);
    assert_eq!(client.text("QUIT"), "OK");
    assert_eq!(client.read(), None);
}

#[test]
fn clients_find_what_they_look_for_when_they_connect() {
    let server = Server::start(config());
    let mut client = server.client();
    assert_eq!(client.text("CLIENT SETINFO LIB-NAME test"), "OK");
    assert_eq!(
        client.text("CLIENT SETINFO LIB-NAME 'a b'"),
        "-ERR lib-name cannot contain spaces, newlines or special characters."
    );
    assert!(client.text("CLIENT ID").parse::<u64>().is_ok_and(|id| id > 0));
    assert_eq!(client.text("SELECT 0"), "OK");
    assert_eq!(client.text("SELECT 1"), "-ERR DB index is out of range");
    assert_eq!(client.text("PING 'a b'"), "a b");
    assert_eq!(client.text("ECHO"), "-ERR wrong number of arguments for 'echo' command");
    assert_eq!(client.text("CLIENT BURN"), "-ERR unknown subcommand 'BURN'. Try CLIENT HELP.");
    let info = client.text("INFO");
    for line in ["loading:0", "connected_clients:", "engine:memory", "fsync:none", "state_hash:", "redis_version:"] {
        assert!(info.contains(line), "{line} is not in {info}");
    }
    assert!(!client.text("INFO clients").contains("redis_version"));
    let Value::Array(commands) = client.ask("COMMAND") else { panic!("a list") };
    assert_eq!(client.text("COMMAND COUNT"), commands.len().to_string());
    for request in ["CLIENT HELP", "COMMAND HELP"] {
        assert!(matches!(client.ask(request), Value::Array(lines) if lines.len() > 4), "{request}");
    }
    let Value::Array(docs) = client.ask("COMMAND DOCS job.add") else { panic!("a flat map") };
    assert_eq!((docs.len(), &docs[0]), (2, &Value::Bulk(b"job.add".to_vec())));
}

#[test]
fn a_password_is_needed_where_one_is_set() {
    let password = Some(Password::new(b"secret").expect("a password"));
    let server = Server::start(Config { password, ..config() });
    let mut client = server.client();
    for request in ["PING", "JOB.ADD q n p", "STATS", "INFO", "NO.SUCH"] {
        assert_eq!(client.text(request), "-NOAUTH Authentication required.", "{request}");
    }
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(client.text("AUTH wrong"), wrong);
    assert_eq!(client.text("AUTH root secret"), wrong);
    assert!(client.text("HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    assert_eq!(client.text("AUTH secret"), "OK");
    assert_eq!(client.text("PING"), "PONG");
    assert_eq!(client.text("RESET"), "RESET");
    assert_eq!(client.text("PING"), "-NOAUTH Authentication required.");
    let mut other = server.client();
    assert!(matches!(other.ask("HELLO 3 AUTH default secret SETNAME me"), Value::Map(_)));
    // A stranger may not send much.
    let mut stranger = server.client();
    stranger.send("*2\r\n$4\r\nECHO\r\n$100000");
    assert!(matches!(stranger.read(), Some(Value::Error(text)) if text.contains("unauthenticated bulk length")));
    assert_eq!(stranger.read(), None);
    assert_eq!(other.text("PING"), "PONG");
}

#[test]
fn one_client_too_many_is_told_so() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let server = Server::opening(Config { limits, ..config() }, crate::common::memory());
    let (mut one, mut two) = (server.client(), server.client());
    assert_eq!((one.text("PING"), two.text("PING")), ("PONG".into(), "PONG".into()));
    let mut three = server.client();
    assert_eq!(three.read(), Some(Value::Error("ERR max number of clients reached".into())));
    assert_eq!(three.read(), None);
    assert!(one.text("INFO stats").contains("rejected_connections:1"));
    assert_eq!(two.text("QUIT"), "OK");
    assert_eq!(two.read(), None);
    assert_eq!(server.client().text("PING"), "PONG");
}

#[test]
fn broken_frames_end_their_own_connection_only() {
    let server = Server::start(config());
    let mut good = server.client();
    for frame in ["*1\r\n$-1\r\n", "*2\r\n+OK\r\n", "*99999999\r\n", "*1\r\n$99999999999\r\n", "\"unbalanced"] {
        let mut bad = server.client();
        bad.send(frame);
        assert!(matches!(bad.read(), Some(Value::Error(text)) if text.starts_with("ERR Protocol error: ")), "{frame}");
        assert_eq!(bad.read(), None, "{frame}");
        assert_eq!(good.text("PING"), "PONG");
    }
}

#[test]
fn a_web_page_cannot_send_commands_through_a_browser() {
    let server = Server::start(config());
    let mut browser = server.client();
    browser.send("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nJOB.ADD q n 1\r\n");
    assert_eq!(browser.read(), None, "the connection is closed without a reply");
    let queue = server.client().ask("QUEUE.GET q");
    assert!(matches!(&queue, Value::Error(text) if text.starts_with("NOQUEUE ")), "nothing was carried out");
}

#[test]
fn a_waiting_lease_gets_what_comes() {
    let server = Server::start(config());
    let (mut worker, mut producer) = (server.client(), server.client());
    worker.send("JOB.LEASE w BLOCK 60000 QUEUES q\r\nPING");
    producer.ask("JOB.ADD q n p");
    let (number, _) = leased(&worker.read().expect("a job"));
    assert_eq!(number, 1);
    assert_eq!(worker.read(), Some(Value::Simple("PONG".into())));
    worker.send("JOB.WAIT 1 1");
    assert!(matches!(worker.read(), Some(Value::Error(text)) if text.starts_with("TIMEOUT ")));
}

/// Waits until the server counts this many waiting connections.
fn until_waiting(client: &mut Client, waiting: usize) {
    while !client.text("INFO clients").contains(&format!("blocked_clients:{waiting}\r\n")) {
        std::thread::yield_now();
    }
}

#[test]
fn a_worker_that_left_takes_no_job_with_it() {
    let server = Server::start(config());
    let mut producer = server.client();
    let mut leaving = server.client();
    leaving.send("JOB.LEASE leaving BLOCK 60000 QUEUES q");
    until_waiting(&mut producer, 1);
    drop(leaving);
    until_waiting(&mut producer, 0);
    producer.ask("JOB.ADD q n p");
    let (number, _) = leased(&server.client().ask("JOB.LEASE staying BLOCK 10000 QUEUES q"));
    assert_eq!(number, 1);
}

#[test]
fn administrators_stand_in_the_record() {
    let server = Server::start(config());
    let mut client = server.client();
    client.ask("JOB.ADD q n p");
    client.text("CLIENT SETNAME ops-shell");
    assert_eq!(client.text("QUEUE.PAUSE q REASON 'disk is full'"), "OK");
    let queue = client.text("QUEUE.GET q");
    assert!(queue.contains("ops-shell") && queue.contains("disk is full"), "{queue}");
    client.send("QUEUE.SET q '{\"attempts\":3}' ACTOR ann\r\nQUEUE.SET q '{\"stalls\":9}' ACTOR bob");
    assert_eq!((client.read(), client.read()), (Some(Value::Simple("OK".into())), Some(Value::Simple("OK".into()))));
    let queue = client.text("QUEUE.GET q");
    assert!(queue.contains(r#""actor":"ann""#) && queue.contains(r#""actor":"bob""#), "{queue}");
}

#[test]
fn while_it_loads_it_says_so() {
    let (open, opened) = tokio::sync::oneshot::channel();
    let opening = async move {
        opened.await.expect("the test opens it");
        crate::common::memory().await
    };
    let server = Server::opening(Config { admin: Some("127.0.0.1:0".to_owned()), ..config() }, opening);
    let admin = server.bound.admin.expect("an admin listener");
    let mut client = server.client();
    assert!(client.text("JOB.ADD q n p").starts_with("-LOADING "));
    assert!(client.text("JOB.LEASE w BLOCK 100 QUEUES q").starts_with("-LOADING "));
    assert!(client.text("INFO").contains("loading:1"));
    assert_eq!(client.text("PING"), "PONG");
    assert_eq!(get(admin, "/healthz"), ("HTTP/1.1 200 OK".into(), "up\n".into()));
    assert_eq!(get(admin, "/readyz"), ("HTTP/1.1 503 Service Unavailable".into(), "loading\n".into()));
    open.send(()).expect("it waits");
    while get(admin, "/readyz").1 != "ready\n" {
        std::thread::yield_now();
    }
    assert!(matches!(client.ask("JOB.ADD q n p"), Value::Array(_)));
    server.stop().expect("a clean stop");
}

#[test]
fn beyond_loopback_a_password_is_needed() {
    let check = |config: Config| {
        let stop = server::CancellationToken::new();
        stop.cancel();
        server::run(&config, crate::common::memory(), stop, |_| {})
    };
    let open = Config { listen: "0.0.0.0:0".to_owned(), ..config() };
    let error = check(open.clone()).expect_err("nobody may");
    let expected =
        "listen is 0.0.0.0:0; allowed: a loopback address; beyond it give --password-file, or --insecure-no-password";
    assert_eq!(error.message, expected);
    check(Config { insecure_no_password: true, ..open.clone() }).expect("it was asked for");
    check(Config { password: Some(Password::new(b"p").expect("one")), ..open }).expect("there is one");
    let error = check(Config { listen: "nonsense".to_owned(), ..config() }).expect_err("no address");
    assert_eq!(error.message, "listen is nonsense; allowed: HOST:PORT, such as 127.0.0.1:7600");
    let error = check(Config { listen: "no..host:7600".to_owned(), ..config() }).expect_err("no such host");
    assert!(error.message.starts_with("listen is no..host:7600: failed to lookup"), "{error}");
    let server = Server::start(Config { listen: "localhost:0".to_owned(), ..config() });
    assert_eq!(server.address().ip().to_string(), "127.0.0.1", "where clients look for it");
    let taken = server.address().to_string();
    let error = check(Config { listen: taken.clone(), ..config() }).expect_err("taken");
    assert_eq!(
        error.message,
        format!("cannot listen on {taken}: address already in use; another address: --listen HOST:PORT")
    );
}
