//! Roles, passwords, sessions and tokens, as the program makes their files, over a real socket.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dashboard::{Config, Role, routes::ROUTES};
use queue_core::engine::EngineExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::access::{Heard, ask, example};
use crate::common::Desk;

const PROGRAM: &str = env!("CARGO_BIN_EXE_longshore-dashboard");
const ROLES: [(Role, &str); 3] = [(Role::Viewer, "viewer"), (Role::Operator, "operator"), (Role::Admin, "admin")];

/// What the program answers to a task, with this on its standard input.
fn run(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A dashboard with a user and a token for each role; each is named as its role, its password is `correct horse ROLE`.
struct Guarded {
    desk: Desk,
    at: SocketAddr,
    tokens: Vec<String>,
    _files: tempfile::TempDir,
}

fn files(dir: &Path) -> (PathBuf, PathBuf, Vec<String>) {
    let (mut passwords, mut lines, mut tokens) = (String::new(), String::new(), Vec::new());
    for (_, role) in ROLES {
        let (code, line, _) = run(&["password", role, "--role", role], &format!("correct horse {role}\n"));
        assert!(code == Some(0) && line.starts_with(&format!("{role}:{role}:$argon2id$")), "{line}");
        passwords.push_str(&line);
        let (code, line, said) = run(&["token", &format!("ci-{role}"), "--role", role], "");
        assert!(code == Some(0) && line.starts_with(&format!("ci-{role}:{role}:sha256:")), "{line}");
        lines.push_str(&line);
        tokens.push(said.trim().rsplit(' ').next().expect("a token").to_owned());
    }
    let (password_file, token_file) = (dir.join("passwords"), dir.join("tokens"));
    std::fs::write(&password_file, passwords).expect("written");
    std::fs::write(&token_file, lines).expect("written");
    (password_file, token_file, tokens)
}

impl Guarded {
    async fn new(config: Config) -> Self {
        let files_dir = tempfile::tempdir().expect("a directory");
        let (password_file, token_file, tokens) = files(files_dir.path());
        let desk = Desk::new();
        let config = Config { password_file: Some(password_file), token_file: Some(token_file), ..config };
        let at = desk.listen(config).await;
        Self { desk, at, tokens, _files: files_dir }
    }

    /// Asks from a page of ours, with these header lines beside.
    async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Heard {
        let host = format!("host: {}", self.at);
        let ours = [&[host.as_str(), "sec-fetch-site: same-origin", "sec-fetch-mode: navigate"], headers].concat();
        ask(self.at, method, path, &ours, body).await
    }

    async fn log_in(&self, name: &str, password: &str) -> Heard {
        let form = format!("name={name}&password={}", password.replace(' ', "+"));
        self.ask("POST", "/login", &[], &form).await
    }

    /// The header line with a new session.
    async fn session(&self, role: &str) -> String {
        let heard = self.log_in(role, &format!("correct horse {role}")).await;
        assert_eq!(heard.status, 303, "{}", heard.body);
        cookie(&heard)
    }

    async fn state(&self) -> String {
        self.desk.engine.stats().await.expect("stats").state_hash
    }
}

/// The header line with the cookie that an answer sets.
fn cookie(heard: &Heard) -> String {
    let set = heard.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    format!("cookie: {}", set.split(';').next().expect("its value"))
}

#[tokio::test]
async fn every_route_is_kept_to_its_role() {
    let guarded = Guarded::new(Config::default()).await;
    guarded.desk.dead("q", "no").await;
    let before = guarded.state().await;
    let mut sessions = Vec::new();
    for (_, role) in ROLES {
        sessions.push(guarded.session(role).await);
    }
    for route in ROUTES {
        let (path, form) = example(route.path());
        let method = route.method().as_str();
        let refused = async |headers: &[&str], status: u16, says: &str| {
            let heard = guarded.ask(method, &path, headers, form).await;
            assert_eq!(heard.status, status, "{method} {path} {headers:?}: {}", heard.body);
            assert!(
                heard.body.contains(says) || heard.head.contains(says),
                "{method} {path} {headers:?}: {}",
                heard.body
            );
        };
        for headers in [
            vec![],
            vec!["cookie: longshore-session=0000"],
            vec!["cookie: longshore-session="],
            vec!["authorization: Basic YTpi"],
        ] {
            if route.role() > Role::Anyone {
                refused(&headers, 401, "Login needed").await;
                let browser = [&headers[..], &["accept: text/html"]].concat();
                let led = method == "GET";
                refused(
                    &browser,
                    if led { 303 } else { 401 },
                    if led { "location: /login?back=%2F" } else { "Log in" },
                )
                .await;
            }
        }
        refused(&["authorization: Bearer nobody"], 401, "the bearer token is nobody").await;
        for ((role, _), (session, token)) in ROLES.into_iter().zip(sessions.iter().zip(&guarded.tokens)) {
            let bearer = format!("authorization: Bearer {token}");
            for headers in [[session.as_str()], [&bearer]] {
                if role < route.role() {
                    refused(&headers, 403, "this needs the role").await;
                } else if method == "GET" {
                    let heard = guarded.ask(method, &path, &headers, "").await;
                    assert!(!matches!(heard.status, 401 | 403 | 421), "{path} {role:?}: {}", heard.head);
                }
            }
            // Who may is stopped all the same where the request is from elsewhere or means another host.
            let elsewhere = ask(guarded.at, method, &path, &["host: evil.example", &bearer], form).await;
            assert_eq!(elsewhere.status, 421, "{method} {path}");
            let (host, cross) = (format!("host: {}", guarded.at), "sec-fetch-site: cross-site");
            let elsewhere = ask(guarded.at, method, &path, &[&host, cross, session], form).await;
            assert_eq!(elsewhere.status, 403, "{method} {path}");
        }
    }
    // An operator may begin operations, but not one that takes jobs away.
    let remove =
        guarded.ask("POST", "/operations", &[&sessions[1]], "verb=remove&q=state%3Adead&sure=yes&reason=r").await;
    assert!(remove.status == 403 && remove.body.contains("removing jobs needs the role admin"), "{}", remove.body);
    let remove = guarded.ask("POST", "/jobs/selected", &[&sessions[1]], "verb=remove&job=1&sure=yes&reason=r").await;
    assert!(remove.status == 403 && remove.body.contains("removing jobs needs the role admin"), "{}", remove.body);
    assert_eq!(guarded.state().await, before, "a refusal changed something");
    for (route, token) in ROUTES.iter().filter(|route| route.method() == "POST").flat_map(|route| {
        let fits = ROLES.iter().zip(&guarded.tokens).filter(|((role, _), _)| *role >= route.role());
        fits.map(move |(_, token)| (route, token))
    }) {
        let (path, form) = example(route.path());
        let heard = guarded.ask("POST", &path, &[&format!("authorization: Bearer {token}")], form).await;
        assert!(
            !matches!(heard.status, 403 | 421) && (path == "/login" || heard.status != 401),
            "{path}: {}",
            heard.body
        );
    }
    assert_ne!(guarded.state().await, before, "what is allowed was done");
}

#[tokio::test]
async fn a_page_offers_what_its_user_may_do_and_a_change_has_their_name() {
    let guarded = Guarded::new(Config::default()).await;
    guarded.desk.dead("q", "no").await;
    let (viewer, operator) = (guarded.session("viewer").await, guarded.session("operator").await);
    let page = guarded.ask("GET", "/jobs/1", &[&viewer], "").await;
    assert!(page.body.contains("viewer, viewer") && page.body.contains("data-test-button=\"logout\""), "{}", page.body);
    assert!(!page.body.contains("data-test-button=\"retry\""), "{}", page.body);
    for (session, boxes) in [(&viewer, false), (&operator, true)] {
        let list = guarded.ask("GET", "/jobs", &[session], "").await;
        assert_eq!(list.body.contains("type=\"checkbox\""), boxes, "{}", list.body);
        assert!(!list.body.contains("selected-remove"), "{}", list.body);
    }
    let page = guarded.ask("GET", "/jobs/1", &[&operator], "").await;
    assert!(page.body.contains("data-test-button=\"retry\""), "{}", page.body);
    let done = guarded.ask("POST", "/jobs/1/retry", &[&operator], "reason=mended").await;
    assert_eq!(done.status, 303, "{}", done.body);
    let events = guarded.desk.engine.events(Some("0".to_owned()), 100, 0).await.expect("events").events;
    let told = format!("{:?}", events.last().expect("an event"));
    assert!(told.contains("operator") && told.contains("mended"), "{told}");
}

#[tokio::test]
async fn a_login_begins_a_session_and_a_logout_ends_it() {
    let guarded = Guarded::new(Config::default()).await;
    let led = guarded.ask("GET", "/jobs?q=state%3Adead", &["accept: text/html"], "").await;
    assert!(led.head.contains("location: /login?back=%2Fjobs%3Fq%3Dstate%253Adead"), "{}", led.head);
    let page = guarded.ask("GET", "/login?back=%2Fjobs", &[], "").await;
    assert!(page.status == 200 && page.body.contains("name=\"back\" value=\"/jobs\""), "{}", page.body);
    for (back, location) in [("%2Fjobs%3Fq%3Da", "/jobs?q=a"), ("%2F%2Fevil.example", "/"), ("", "/")] {
        let form = format!("name=admin&password=correct+horse+admin&back={back}");
        let heard = guarded.ask("POST", "/login", &[], &form).await;
        assert!(heard.status == 303 && heard.head.contains(&format!("location: {location}\r\n")), "{}", heard.head);
    }
    let heard = guarded.log_in("admin", "correct horse admin").await;
    let set =
        heard.head.lines().find_map(|line| line.strip_prefix("set-cookie: longshore-session=")).expect("a cookie");
    let (id, rest) = set.split_once(';').expect("attributes");
    assert_eq!((id.len(), rest), (64, " Path=/; HttpOnly; SameSite=Lax"));
    // A new login has a new id, and the one before lets nobody in.
    let first = cookie(&heard);
    let form = "name=admin&password=correct+horse+admin";
    let second = cookie(&guarded.ask("POST", "/login", &[&first], form).await);
    assert_ne!(first, second);
    assert_eq!(guarded.ask("GET", "/", &[&first], "").await.status, 401);
    // A stream ends with the session.
    let mut stream = tokio::net::TcpStream::connect(guarded.at).await.expect("connected");
    let request = format!("GET /live?topics=totals HTTP/1.1\r\nhost: {}\r\n{second}\r\n\r\n", guarded.at);
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("id=\"totals\"") {
        assert!(stream.read_buf(&mut text).await.expect("bytes") > 0);
    }
    let out = guarded.ask("POST", "/logout", &[&second], "").await;
    assert!(out.status == 303 && out.head.contains("location: /login"), "{}", out.head);
    assert!(
        out.head.contains("set-cookie: longshore-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
        "{}",
        out.head
    );
    while !String::from_utf8_lossy(&text).ends_with("0\r\n\r\n") {
        assert!(stream.read_buf(&mut text).await.expect("bytes") > 0, "it ends as a whole");
    }
    assert_eq!(guarded.ask("GET", "/", &[&second], "").await.status, 401);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_answered_alike_and_not_for_ever() {
    let guarded = Guarded::new(Config::default()).await;
    let (wrong, unknown) = (guarded.log_in("admin", "wrong").await, guarded.log_in("nobody", "wrong").await);
    assert_eq!((wrong.status, unknown.status), (401, 401));
    assert_eq!(wrong.body.replace("value=\"admin\"", ""), unknown.body.replace("value=\"nobody\"", ""));
    assert!(wrong.body.contains("name or password is wrong") && !wrong.head.contains("set-cookie"), "{}", wrong.head);
    // Good logins do not use the tries up; bad ones do.
    for _ in 0..12 {
        guarded.session("admin").await;
    }
    let mut tries = 2;
    let refused = loop {
        let heard = guarded.log_in("admin", "wrong").await;
        if heard.status == 429 {
            break heard;
        }
        tries += 1;
        assert!(heard.status == 401 && tries < 30, "{tries}: {}", heard.head);
    };
    assert!((10..=15).contains(&tries), "{tries} tries");
    assert!(refused.head.contains("retry-after: ") && refused.body.contains("too many tries"), "{}", refused.head);
    assert_eq!(guarded.log_in("admin", "correct horse admin").await.status, 429);
    let token = format!("authorization: Bearer {}", guarded.tokens[0]);
    let told = guarded.ask("GET", "/metrics", &[&token], "").await.body;
    for (outcome, count) in [("accepted", 12), ("wrong", tries), ("limited", 2)] {
        let line = format!("longshore_dashboard_logins_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(told.contains(&line), "{line}: {told}");
    }
    let long = guarded.ask("POST", "/login", &[], &"x".repeat(20_000)).await;
    assert_eq!(long.status, 400);
}

#[tokio::test]
async fn behind_a_trusted_proxy_cookies_are_for_https_and_stay_below_the_base() {
    let proxied = Config {
        base_path: "/queues".to_owned(),
        hosts: vec!["queue.example".to_owned()],
        trusted_proxies: vec![[127, 0, 0, 1].into()],
        ..Config::default()
    };
    let guarded = Guarded::new(proxied).await;
    let headers = [
        "host: queue.example",
        "origin: https://queue.example",
        "x-forwarded-proto: https",
        "x-forwarded-for: 192.0.2.1",
    ];
    let form = "name=viewer&password=correct+horse+viewer";
    let heard = ask(guarded.at, "POST", "/queues/login", &headers, form).await;
    assert!(heard.head.contains("; Path=/queues; HttpOnly; SameSite=Lax; Secure\r\n"), "{}", heard.head);
    assert!(heard.head.contains("location: /queues/\r\n"), "{}", heard.head);
    // Each address has its own tries.
    let mut last = 0;
    for _ in 0..15 {
        last = ask(guarded.at, "POST", "/queues/login", &headers, "name=a&password=b").await.status;
    }
    assert_eq!(last, 429);
    let other = [headers[0], headers[1], "x-forwarded-for: 198.51.100.7"];
    let heard = ask(guarded.at, "POST", "/queues/login", &other, form).await;
    assert!(heard.status == 303 && !heard.head.contains("Secure"), "{}", heard.head);
    let led = ask(guarded.at, "GET", "/queues/jobs", &[headers[0], "accept: text/html"], "").await;
    assert!(led.head.contains("location: /queues/login?back=%2Fqueues%2Fjobs\r\n"), "{}", led.head);
}

#[tokio::test]
async fn with_tokens_alone_nobody_is_led_to_a_login() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_, token_file, tokens) = files(dir.path());
    let desk = Desk::new();
    let at = desk.listen(Config { token_file: Some(token_file), ..Config::default() }).await;
    let host = format!("host: {at}");
    let heard = ask(at, "GET", "/", &[&host, "accept: text/html"], "").await;
    assert!(heard.status == 401 && heard.head.contains("www-authenticate: Bearer"), "{}", heard.head);
    assert!(heard.body.contains("Authorization: Bearer TOKEN"), "{}", heard.body);
    let heard = ask(at, "GET", "/", &[&host, &format!("authorization: bearer {}", tokens[0])], "").await;
    assert_eq!(heard.status, 200);
}

#[test]
fn the_program_makes_lines_and_refuses_weak_passwords() {
    let (code, out, err) = run(&["password", "ann", "--role", "admin"], "short\n");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(err, "longshore-dashboard: password is 5 characters long; allowed: 8 characters to 512 bytes\n");
    let (code, _, err) = run(&["password", "ann", "--role", "boss"], "");
    assert!(code == Some(2) && err.contains("role is boss; allowed: viewer, operator or admin"), "{err}");
    let (code, _, err) = run(&["token", "a:b", "--role", "viewer"], "");
    assert!(code == Some(2) && err.contains("name is a:b; allowed: "), "{err}");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("passwords");
    std::fs::write(&file, "ann:admin:secret\n").expect("written");
    let path = file.to_str().expect("text");
    let (code, _, err) = run(&["--engine", "memory:", "--listen", "0.0.0.0:0", "--password-file", path], "");
    assert!(code == Some(1) && err.contains("passwords:1: the hash of a password is not"), "{err}");
    assert!(!err.contains("secret"), "{err}");
    let (code, _, err) = run(&["--engine", "memory:", "--listen", "0.0.0.0:0"], "");
    assert!(code == Some(1) && err.contains("start longshore-dashboard with --password-file or --token-file"), "{err}");
}
