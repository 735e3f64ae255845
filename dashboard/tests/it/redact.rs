//! Redaction: a value that nobody is to see is on no page, in no download and in no update, and is not written over.

use axum::http::StatusCode;
use dashboard::{Config, routes::ROUTES};
use queue_core::engine::EngineExt;
use queue_core::model::{Context, Edit, JobVerb, LogLine, LogSource, NewJob, Outcome};

use crate::access::{ask, ask_until, example};
use crate::actions::hidden;
use crate::common::Desk;

const SECRET: &str = "hunter2";

/// A dead job that has the secret everywhere where there is room for it.
async fn desk() -> Desk {
    let desk = Desk::with(&redacting());
    let payload =
        format!(r#"{{"n":12345678901234567890,"deep":[{{"Password": "{SECRET}"}}],"token":{{"x":"{SECRET}"}}}}"#);
    let mut job = NewJob::new("send", payload);
    std::sync::Arc::make_mut(&mut job.options).headers =
        [("Token".to_owned(), SECRET.to_owned()), ("trace".to_owned(), "abc".to_owned())].into();
    desk.engine.enqueue("q", vec![job]).await.expect("enqueued");
    let lease = desk.lease("q").await;
    let told = format!(r#"answer was {{"password":"{SECRET}"}}"#);
    desk.engine.log(lease, vec![LogLine { source: LogSource::Err, text: told.clone() }]).await.expect("logged");
    desk.engine.progress(lease, format!(r#"{{"token":"{SECRET}"}}"#).into()).await.expect("told");
    let fail = Outcome::Fail { kind: "exit".to_owned(), error: told, retryable: false };
    desk.engine.settle(lease, fail).await.expect("settled");
    desk
}

fn redacting() -> Config {
    Config { redact: vec!["password".to_owned(), "TOKEN".to_owned()], ..Config::default() }
}

#[tokio::test]
async fn no_route_shows_a_redacted_value() {
    let desk = desk().await;
    let other = desk.add("q", "send", b"{}").await;
    let by = Context { actor: "ann".to_owned(), reason: format!(r#"it had {{"token":"{SECRET}"}}"#) };
    desk.engine.job_verb(&by, other.into(), JobVerb::Cancel).await.expect("cancelled");
    let at = desk.listen(redacting()).await;
    for route in ROUTES.iter().filter(|route| route.method() == "GET" && route.path() != "/live") {
        let (path, _) = example(route.path());
        let heard = ask(at, "GET", &path, &["host: localhost"], "").await;
        assert!(!heard.body.contains(SECRET), "{path}: {}", heard.body);
    }
    let page = desk.page("/jobs/1").await;
    page.has(&["answer was {&quot;password&quot;:&quot;•••&quot;}", "12345678901234567890", "•••"]);
    page.has(&["Token", "•••", "trace", "abc"]);
    desk.page("/events").await.has(&["by ann: it had {&quot;token&quot;:&quot;•••&quot;}"]);
    // An update comes from the same engine as a page.
    let host = ["host: localhost"];
    let update = ask_until(at, "/live?topics=job:1", &host, "data-test-log").await;
    assert!(update.contains("•••") && !update.contains(SECRET), "{update}");
    let payload = desk.page("/jobs/1/payload").await.text;
    assert_eq!(payload, r#"{"n":12345678901234567890,"deep":[{"Password": "•••"}],"token":"•••"}"#);
}

#[tokio::test]
async fn what_a_page_left_out_is_not_written_back() {
    let desk = desk().await;
    let stored = desk.engine.job(queue_core::model::JobNumber(1).into()).await.expect("there").payload;
    let form = desk.page("/jobs/1/edit").await;
    let seen = form.text.split_once("name=\"seen\" value=\"").expect("a sum").1.split('"').next().expect("its end");
    let typed = "%7B%22password%22%3A%22%E2%80%A2%E2%80%A2%E2%80%A2%22%2C%22n%22%3A2%7D";
    let review = desk.post("/jobs/1/edit", &format!("payload={typed}&seen={seen}")).await;
    let reviewed = hidden(&review, "reviewed").to_owned();
    for path in ["/jobs/1/edit", "/jobs/1/duplicate"] {
        let refused = desk.post(path, &format!("payload={typed}&seen={seen}&reviewed={reviewed}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}: {}", refused.text);
        refused.has(&["the value of password is not shown here"]);
    }
    assert_eq!(desk.post("/jobs/1/duplicate", "").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(desk.engine.job(queue_core::model::JobNumber(1).into()).await.expect("there").payload, stored);
    assert_eq!(desk.engine.stats().await.expect("stats").counts.enqueued, 1);
    // With a value in its place it is an edit as any other.
    let form = format!("payload=%7B%22password%22%3A%22new%22%7D&seen={seen}");
    let review = desk.post("/jobs/1/edit", &form).await;
    review.has(&["data-test-diff", "•••"]).lacks(SECRET);
    let done = desk.post("/jobs/1/edit", &format!("{form}&reviewed={}", hidden(&review, "reviewed"))).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let edit = Edit { payload: Some("{}".into()), ..Edit::default() };
    let context = queue_core::model::Context::default();
    desk.engine
        .job_verb(&context, queue_core::model::JobNumber(1).into(), JobVerb::Edit(edit))
        .await
        .expect("the engine itself");
}

#[tokio::test]
async fn no_search_tells_what_a_redacted_value_is() {
    let desk = desk().await;
    let refused = desk.get(&format!("/jobs?q={SECRET}")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    refused.has(&["no text of payloads where fields are redacted"]);
    desk.page("/jobs?q=state%3Adead").await.has(&["data-test-job=\"1\""]);
    let wrong = Config { redact: vec![" ".to_owned()], ..Config::default() };
    let error = dashboard::router(&wrong, desk.engine.clone(), desk.stop.clone()).map(|_| ()).expect_err("no name");
    assert!(error.message.starts_with("redact is "), "{}", error.message);
}
