//! Who is let in: every route of the table from this site, another site and under another name, over a real socket.

use std::net::SocketAddr;

use axum::http::StatusCode;
use dashboard::{Config, routes::ROUTES};
use queue_core::engine::EngineExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::Desk;

/// An answer as it came over the socket.
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks a listener with these header lines. A stream is read up to its head.
pub(crate) async fn ask(at: SocketAddr, method: &str, path: &str, headers: &[&str], body: &str) -> Heard {
    let mut socket = TcpStream::connect(at).await.expect("connected");
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = if method == "POST" { format!("content-length: {}\r\n", body.len()) } else { String::new() };
    let request = format!("{method} {path} HTTP/1.1\r\n{lines}{length}connection: close\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    loop {
        let more = socket.read_buf(&mut bytes).await.expect("bytes");
        let stream = text(&bytes).split_once("\r\n\r\n").is_some_and(|(head, _)| head.contains("text/event-stream"));
        if more == 0 || stream {
            break;
        }
    }
    let whole = text(&bytes);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: {whole}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Heard { status, head: head.to_owned(), body: body.to_owned() }
}

/// What a stream says until it has said this.
pub(crate) async fn ask_until(at: SocketAddr, path: &str, headers: &[&str], part: &str) -> String {
    let mut socket = TcpStream::connect(at).await.expect("connected");
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    socket.write_all(format!("GET {path} HTTP/1.1\r\n{lines}\r\n").as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(part) {
        assert!(socket.read_buf(&mut bytes).await.expect("bytes") > 0, "{}", String::from_utf8_lossy(&bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The path of a route with something in its segments, and a form with which it would change something.
pub(crate) fn example(path: &str) -> (String, &'static str) {
    let mut filled = path.replace("{queue}", "q").replace("{file}", "none");
    while let Some((before, after)) = filled.split_once('{') {
        filled = format!("{before}1{}", after.split_once('}').expect("an end").1);
    }
    let query = if path == "/live" { "?topics=totals" } else { "" };
    (format!("{filled}{query}"), "theme=dark&sure=yes&reason=r")
}

#[tokio::test]
async fn no_route_is_open_to_other_sites_and_other_names() {
    let desk = Desk::new();
    desk.dead("q", "no").await;
    let at = desk.listen(Config::default()).await;
    let ours = format!("host: {at}");
    let before = desk.engine.stats().await.expect("stats").state_hash;
    for route in ROUTES {
        let (path, form) = example(route.path());
        let (post, method) = (route.method() == "POST", route.method().as_str());
        let mut refused = vec![
            (vec!["host: evil.example", "sec-fetch-site: same-origin"], 421, "not known as evil.example"),
            (vec!["host: localhost.evil.example:7610"], 421, "--host localhost.evil.example"),
            (vec![], 400, "does not name one host"),
            (vec![&ours, "host: localhost"], 400, "does not name one host"),
            (vec![&ours, "sec-fetch-site: cross-site", "sec-fetch-mode: no-cors"], 403, "another site"),
            (vec![&ours, "sec-fetch-site: same-site", "sec-fetch-mode: cors"], 403, "another site"),
        ];
        if post {
            refused.extend([
                (vec![ours.as_str(), "sec-fetch-site: cross-site", "sec-fetch-mode: navigate"], 403, "another site"),
                (vec![&ours, "origin: http://evil.example"], 403, "another site"),
                (vec![&ours, "origin: null"], 403, "another site"),
                (vec![&ours, "referer: http://evil.example/page"], 403, "another site"),
                (vec![&ours], 403, "does not say from which page"),
            ]);
        }
        for (headers, status, says) in refused {
            let heard = ask(at, method, &path, &headers, form).await;
            assert_eq!(heard.status, status, "{method} {path} {headers:?}: {}", heard.body);
            assert!(heard.body.contains(says), "{method} {path} {headers:?}: {}", heard.body);
            assert!(heard.head.contains("content-security-policy: default-src 'none'"), "{}", heard.head);
        }
        if !post {
            for headers in [vec![ours.as_str()], vec![&ours, "sec-fetch-site: cross-site", "sec-fetch-mode: navigate"]]
            {
                let heard = ask(at, method, &path, &headers, "").await;
                assert!(!matches!(heard.status, 401 | 403 | 421), "{path} {headers:?}: {}", heard.head);
            }
        }
    }
    assert_eq!(desk.engine.stats().await.expect("stats").state_hash, before, "a refusal changed something");
    // What is asked from a page of ours, by either way to say so, is done.
    let origin = format!("origin: http://{at}");
    let heard = ask(at, "POST", "/jobs/1/retry", &[&ours, &origin], "").await;
    assert_eq!(heard.status, StatusCode::SEE_OTHER.as_u16(), "{}", heard.body);
    assert_eq!(desk.engine.stats().await.expect("stats").counts.waiting, 1);
}

#[tokio::test]
async fn no_other_path_and_no_other_name_tells_anything() {
    let desk = Desk::new();
    let named = Config { hosts: vec!["Queue.example".to_owned()], ..Config::default() };
    let at = desk.listen(named).await;
    for (host, status) in
        [("queue.example", 404), ("QUEUE.example:443", 404), ("localhost", 404), ("evil.example", 421)]
    {
        let heard = ask(at, "GET", "/nowhere", &[&format!("host: {host}")], "").await;
        assert_eq!(heard.status, status, "{host}: {}", heard.body);
    }
    let wrong = Config { hosts: vec!["http://queue.example".to_owned()], ..Config::default() };
    let refused = dashboard::router(&wrong, desk.engine.clone(), desk.stop.clone()).map(|_| ());
    let message = refused.expect_err("no name").message;
    assert!(message.starts_with("host is http://queue.example; allowed: a name or an address"), "{message}");
}
