//! What holds for every answer: the table of routes, headers, statuses, where a form may lead back to.

use std::io::Read;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use dashboard::{Config, Role, routes::ROUTES};
use flate2::read::GzDecoder;
use queue_core::engine::EngineExt;
use queue_core::model::JobState;

use crate::common::{Answer, Desk};

#[tokio::test]
async fn every_route_of_the_table_is_there_and_answers_no_other_method() {
    let desk = Desk::new();
    desk.add("q", "n", b"{}").await;
    for route in ROUTES {
        let path = route
            .path()
            .replace("{job}", "1")
            .replace("{queue}", "q")
            .replace("{file}", "none")
            .replace("{operation}", "1")
            .replace("{worker}", "w");
        let (right, wrong) = match route.method().as_str() {
            "POST" => (desk.post(&path, "").await, None),
            // A stream has no end; that it is there is another test's.
            _ if path == "/live" => (desk.get(&path).await, Some(desk.post(&path, "").await)),
            _ => (desk.get(&path).await, Some(desk.post(&path, "").await)),
        };
        assert!(!right.text.contains("There is nothing at"), "{} {path}: {}", route.method(), right.text);
        let other =
            wrong.filter(|_| !ROUTES.iter().any(|other| other.path() == route.path() && other.method() == "POST"));
        assert!(other.is_none_or(|wrong| wrong.status == StatusCode::NOT_FOUND), "POST {path}");
    }
}

#[tokio::test]
async fn what_changes_something_is_a_post_and_needs_more_than_a_viewer() {
    for route in ROUTES
        .iter()
        .filter(|route| route.method() == "POST" && !["/theme", "/login", "/logout"].contains(&route.path()))
    {
        assert!(route.role() > Role::Viewer, "{}", route.path());
    }
    // What leads to a form needs what the form needs.
    for form in ROUTES.iter().filter(|route| route.method() == "POST") {
        for shown in ROUTES.iter().filter(|route| route.method() == "GET" && route.path() == form.path()) {
            let list = form.path() == "/operations";
            assert!(list || shown.role() == form.role(), "{}", form.path());
        }
    }
    let json = dashboard::routes::as_json();
    assert!(json.contains(r#"{"method":"POST","path":"/jobs/{job}/retry","role":"operator"}"#), "{json}");
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let desk = Desk::new();
    for (path, status) in
        [("/", 200), ("/jobs/99", 404), ("/nowhere", 404), ("/jobs?q=state:x", 400), ("/assets/x", 404)]
    {
        let answer = desk.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'; base-uri 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(answer.header(header::REFERRER_POLICY), "same-origin");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{path}");
    }
}

#[tokio::test]
async fn pages_have_nothing_inline_and_their_files_are_kept_for_good() {
    let desk = Desk::new();
    let page = desk.page("/").await;
    page.lacks(" style=").lacks(" onclick").lacks("<style").lacks("<script>").lacks("javascript:");
    let files = page.text.split('"').filter(|part| part.starts_with("/assets/"));
    let mut seen = 0;
    for path in files {
        let file = desk.page(path).await;
        assert_eq!(file.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[tokio::test]
async fn files_are_packed_as_the_client_takes_them_and_else_as_they_are() {
    let desk = Desk::new();
    desk.add("q", "n", b"{}").await;
    let page = desk.page("/queues/q").await;
    let files: Vec<_> = page.text.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(files.len(), 8, "with those of the charts");
    let mut sums = [0; 3];
    for path in files {
        let plain = desk.page(path).await;
        assert_eq!((plain.header(header::CONTENT_ENCODING), plain.header(header::VARY)), ("", "accept-encoding"));
        sums[0] += plain.bytes.len();
        for (at, accepted) in [(1, "gzip, deflate"), (2, "gzip, deflate, br, zstd")] {
            let packed = desk.ask(asking_for(path, accepted)).await;
            assert_eq!(packed.header(header::VARY), "accept-encoding");
            assert_eq!(packed.header(header::CONTENT_TYPE), plain.header(header::CONTENT_TYPE));
            sums[at] += packed.bytes.len();
            assert!(packed.bytes.len() <= plain.bytes.len(), "{path}");
            assert!(unpacked(&packed) == plain.bytes, "{path}");
        }
    }
    let [plain, gzip, brotli] = sums;
    assert!(brotli < gzip && gzip * 5 < plain * 2, "{plain} {gzip} {brotli}");
    for accepted in ["identity", "gzip;q=0, br;q=0", "deflate"] {
        let answer = desk.ask(asking_for(&dashboard_file(&page.text), accepted)).await;
        assert_eq!(answer.header(header::CONTENT_ENCODING), "", "{accepted}");
    }
}

/// The path of the script that every page has.
fn dashboard_file(page: &str) -> String {
    page.split('"')
        .find(|part| part.starts_with("/assets/app.") && part.ends_with(".js"))
        .expect("it is there")
        .to_owned()
}

fn asking_for(path: &str, accepted: &str) -> Request<Body> {
    let request = Request::get(path).header(header::ACCEPT_ENCODING, accepted);
    request.body(Body::empty()).expect("a request")
}

fn unpacked(answer: &Answer) -> Vec<u8> {
    let mut bytes = Vec::new();
    match answer.header(header::CONTENT_ENCODING) {
        "" => bytes.clone_from(&answer.bytes),
        "gzip" => drop(GzDecoder::new(&*answer.bytes).read_to_end(&mut bytes).expect("gzip")),
        "br" => drop(brotli::Decompressor::new(&*answer.bytes, 4096).read_to_end(&mut bytes).expect("brotli")),
        other => panic!("{other}"),
    }
    bytes
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_changes_nothing() {
    let desk = Desk::new();
    let number = desk.add("q", "n", b"{}").await;
    let refused = desk.post("/jobs/1/retry", "back=%2Fjobs%3Fq%3Dqueue%253Aq").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    refused.has(&["Not in this state", "job #1 is waiting; retry needs", "href=\"/jobs?q=queue%3Aq\""]);
    assert_eq!(desk.engine.job(number.into()).await.expect("there").summary.state, JobState::Waiting);
    for (path, status, says) in [
        ("/jobs/99", 404, "no job #99"),
        ("/jobs/x", 400, "job is x; allowed: a job&#39;s number"),
        ("/queues/none", 404, "no queue none"),
        ("/jobs?after=x", 400, "cursor"),
        ("/live?topics=all", 400, "topics is all; allowed: 1 to 8 of totals, "),
        ("/nowhere/%3Cscript%3E", 404, "/nowhere/%3Cscript%3E"),
    ] {
        let answer = desk.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(
            answer.text.contains(says) || answer.text.contains(&says.replace("&#39;", "'")),
            "{path}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_form_leads_back_to_this_address_alone() {
    let desk = Desk::new();
    for (back, location) in [
        ("%2Fjobs%3Fq%3Dstate%253Adead", "/jobs?q=state%3Adead&done=retried"),
        ("https%3A%2F%2Fevil.example", "/jobs/1?done=retried"),
        ("%2F%2Fevil.example", "/jobs/1?done=retried"),
        ("%2F%5Cevil.example", "/jobs/1?done=retried"),
        ("", "/jobs/1?done=retried"),
    ] {
        desk.dead("q", "no").await;
        let number = desk.engine.stats().await.expect("stats").counts.enqueued;
        let answer = desk.post(&format!("/jobs/{number}/retry"), &format!("back={back}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.header(header::LOCATION), location.replace("/jobs/1", &format!("/jobs/{number}")), "{back}");
        desk.lease("q").await;
    }
    // What was done is told by a word that we know, never by a text that came with the address.
    desk.page("/jobs/1?done=retried").await.has(&["role=\"status\"", "The job waits again"]);
    desk.page("/jobs/1?done=%3Ci%3E").await.lacks("role=\"status\"").lacks("<i>");
}

#[tokio::test]
async fn under_a_base_path_everything_is_there() {
    let desk = Desk::under("/queues");
    desk.dead("q/1", "no").await;
    for path in ["/queues", "/queues/", "/queues/jobs", "/queues/jobs/1", "/queues/queues/q%2F1"] {
        let page = desk.page(path).await;
        for link in page.text.split("href=\"").skip(1).map(|rest| rest.split('"').next().expect("an end")) {
            assert!(link.starts_with("/queues") || link.starts_with('#'), "{path}: {link}");
        }
    }
    let answer = desk.post("/queues/jobs/1/retry", "back=%2Fqueues%2Fjobs").await;
    assert_eq!(answer.header(header::LOCATION), "/queues/jobs?done=retried");
    assert_eq!(desk.get("/jobs").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_theme_is_a_cookie() {
    let desk = Desk::new();
    let answer = desk.post("/theme", "theme=dark&back=%2Fjobs").await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/jobs"));
    let cookie = answer.header(header::SET_COOKIE);
    assert_eq!(cookie, "longshore-theme=dark; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly");
    let request = axum::http::Request::get("/").header(header::COOKIE, "a=b; longshore-theme=dark");
    let page = desk.ask(request.body(axum::body::Body::empty()).expect("a request")).await;
    page.has(&[
        "data-theme=\"dark\"",
        "value=\"dark\" title=\"theme: dark\" aria-label=\"dark\" aria-pressed=\"true\"",
    ]);
    desk.page("/").await.has(&["data-theme=\"auto\""]);
    assert_eq!(desk.post("/theme", "theme=pink").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn it_listens_on_loopback_alone() {
    let desk = Desk::new();
    for (listen, says) in [
        ("0.0.0.0:0", "listen is 0.0.0.0:0; allowed: a loopback address such as 127.0.0.1:7610, since"),
        ("[::]:0", "listen is [::]:0; allowed: a loopback address"),
        ("7610", "listen is 7610; allowed: HOST:PORT"),
        (":7610", "listen is :7610; allowed: HOST:PORT"),
        ("127.0.0.1:x", "listen is 127.0.0.1:x; allowed: HOST:PORT"),
    ] {
        let config = Config { listen: listen.to_owned(), ..Config::default() };
        let served = dashboard::serve(&config, desk.engine.clone(), desk.stop.clone(), |_| panic!("it listens")).await;
        let error = served.expect_err(listen);
        assert!(error.message.starts_with(says), "{}", error.message);
    }
}
