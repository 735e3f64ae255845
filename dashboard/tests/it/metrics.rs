//! `/metrics`: what it says is what was asked and sent, and nobody reads it who may not look.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt;
use metrics::Program;
use metrics::testkit::{Samples, check_whole, read};
use tower::ServiceExt;

use crate::common::Desk;

async fn scrape(desk: &Desk) -> Samples {
    let answer = desk.page("/metrics").await;
    assert!(answer.header(header::CONTENT_TYPE).starts_with("text/plain; version=0.0.4"));
    read(&answer.text)
}

fn requests(route: &str, status: u16) -> String {
    format!("longshore_dashboard_requests_total{{route=\"{route}\",status=\"{status}\"}}")
}

#[tokio::test]
async fn requests_stand_under_their_route_whatever_their_path() {
    let desk = Desk::under("/q");
    desk.dead("a", "no").await;
    for path in ["/q/", "/q", "/q/jobs/1", "/q/jobs/99", "/q/jobs/98", "/q/nowhere/1", "/q/nowhere/2"] {
        desk.get(path).await;
    }
    desk.post("/q/jobs/1/retry", "").await;
    let elsewhere = Request::get("/q/jobs/1").header("host", "evil.example").body(Body::empty()).expect("a request");
    assert_eq!(desk.ask(elsewhere).await.status, StatusCode::MISDIRECTED_REQUEST);
    let samples = read(&desk.page("/q/metrics").await.text);
    let mut found: Vec<_> = samples.iter().filter(|(name, _)| name.contains("requests_total")).collect();
    found.sort_by(|one, other| one.0.cmp(other.0));
    let expected = [
        (requests("GET /", 200), 2.0),
        (requests("GET /jobs/{job}", 200), 1.0),
        (requests("GET /jobs/{job}", 404), 2.0),
        (requests("POST /jobs/{job}/retry", 303), 1.0),
        (requests("none", 404), 2.0),
        (requests("none", 421), 1.0),
    ];
    assert_eq!(found, expected.iter().map(|(name, count)| (name, count)).collect::<Vec<_>>());
    assert_eq!(samples["longshore_dashboard_request_seconds_count{route=\"GET /jobs/{job}\"}"], 3.0);
    let again = read(&desk.page("/q/metrics").await.text);
    assert_eq!(again[&requests("GET /metrics", 200)], 1.0, "it counts what it is asked itself");
    check_whole(Program::Dashboard, &again, &[]);
}

#[tokio::test]
async fn who_watches_what_is_told_while_it_is_watched() {
    let desk = Desk::new();
    let watch = async || {
        let request = Request::get("/live?topics=totals,overview").header("host", "localhost");
        let response = desk.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
        let mut stream = response.expect("an answer").into_body().into_data_stream();
        stream.next().await.expect("a first update").expect("bytes");
        stream
    };
    let (one, other) = (watch().await, watch().await);
    let samples = scrape(&desk).await;
    let told = |samples: &Samples, name: &str| samples[&format!("longshore_dashboard_{name}")];
    assert_eq!((told(&samples, "viewers"), told(&samples, "topics")), (2.0, 2.0), "a region once for both");
    assert!(told(&samples, "renderings_total") >= 1.0 && told(&samples, "updates_total") >= 2.0, "{samples:?}");
    drop(one);
    assert_eq!(told(&scrape(&desk).await, "viewers"), 1.0);
    drop(other);
    // A region's task looks whether somebody is left, and then ends.
    while told(&scrape(&desk).await, "topics") > 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&scrape(&desk).await, "viewers"), 0.0);
}
