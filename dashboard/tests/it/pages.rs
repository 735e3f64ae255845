//! The pages: what each shows of a store, and that what a job brought is text and exact.

use queue_core::engine::EngineExt;
use queue_core::model::{Beat, JobState, LogLine, LogSource, Outcome};

use crate::common::Desk;

#[tokio::test]
async fn an_empty_store_says_what_to_do_next() {
    let desk = Desk::new();
    desk.page("/").await.has(&["There are no queues yet", "longshore enqueue"]).lacks("Needs attention");
    desk.page("/jobs").await.has(&["There are no jobs yet", "longshore enqueue"]);
    desk.page("/jobs?q=state:dead").await.has(&["Nothing matches", "look at all jobs"]);
}

#[tokio::test]
async fn the_overview_has_totals_queues_and_what_needs_attention() {
    let desk = Desk::new();
    desk.add("emails", "send", b"{}").await;
    desk.dead("orders", "no").await;
    desk.engine
        .pause(&queue_core::model::Context { actor: "ann".into(), reason: "moving".into() }, "emails")
        .await
        .expect("paused");
    let page = desk.page("/").await;
    page.has(&["data-test-total=\"waiting\"", "<b>1</b> waiting", "<b>1</b> dead", "Needs attention"]);
    page.has(&[
        "emails</a>: no worker serves it, and 1 job is waiting",
        "orders</a>: 1 job is dead",
        "emails</a>: paused: ",
    ]);
    page.has(&["data-test-queue=\"emails\"", "data-test-state=\"paused\"", "data-test-queue=\"orders\""]);
    page.has(&["engine <b>memory</b>", "fsync <b>none</b>", "nothing survives a restart"]);
}

#[tokio::test]
async fn of_many_queues_none_that_needs_attention_is_overlooked() {
    let desk = Desk::new();
    for at in 0..120 {
        desk.add(&format!("q{at:03}"), "n", b"{}").await;
    }
    desk.dead("q119", "no").await;
    let page = desk.page("/").await;
    page.has(&["and the same of 110 more queues", "q119</a>: 1 job is dead", "data-test-queue=\"q000\""]);
    page.has(&["data-test-part", "The first 100 of 120 queues by name"]).lacks("data-test-queue=\"q119\"");
    desk.page("/?sort=dead").await.has(&["data-test-queue=\"q119\"", "data-test-queue=\"q000\"", ", sorted by dead"]);
    let refused = desk.get("/?sort=colour").await;
    refused.has(&["sort is colour", "name, waiting, active, dead, oldest"]);
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn jobs_are_found_and_paged_by_the_address_alone() {
    let desk = Desk::new();
    for index in 0..120 {
        desk.add("q", if index % 2 == 0 { "even" } else { "odd" }, format!("{{\"n\":{index}}}").as_bytes()).await;
    }
    let mut path = "/jobs?q=name%3Aeven+queue%3Aq".to_owned();
    let (mut pages, mut seen) = (0, Vec::new());
    loop {
        let page = desk.page(&path).await;
        seen.extend(
            page.text.split("data-test-job=\"").skip(1).map(|rest| rest.split('"').next().expect("an end").to_owned()),
        );
        pages += 1;
        let Some(next) = page.text.split_once("rel=\"next\"").map(|(before, _)| before) else { break };
        path = next.rsplit("href=\"").next().expect("a link").split('"').next().expect("an end").replace("&amp;", "&");
    }
    let wanted: Vec<_> = (0..120).step_by(2).map(|index| (index + 1).to_string()).collect();
    assert_eq!((pages, seen), (2, wanted));
    desk.page("/jobs?q=%22n%22%3A42").await.lacks("data-test-job=\"43\"");
    desk.page("/jobs?q=%3A42").await.has(&["data-test-job=\"43\"", "120 looked at"]);
}

#[tokio::test]
async fn events_are_told_in_words_newest_first_and_filtered_by_the_address() {
    let desk = Desk::new();
    desk.dead("q", "order 42 is gone").await;
    let by = queue_core::model::Context { actor: "ann".into(), reason: "<b>moving</b>".into() };
    desk.engine.pause(&by, "q").await.expect("paused");
    let page = desk.page("/events").await;
    page.has(&["data-test-event=\"queue-paused\"", "by ann: &lt;b&gt;moving&lt;/b&gt;"]);
    page.has(&[
        "data-test-event=\"failed\"",
        " by w1: exit: order N is gone, dead: rejected",
        "data-test-event=\"leased\"",
        "by w1",
    ]);
    page.has(&["data-test-event=\"leased\"", "data-test-event=\"enqueued\"", "nothing older is kept"]);
    let failures = desk.page("/events?event=failures").await;
    failures.has(&["data-test-event=\"failed\""]).lacks("data-test-event=\"enqueued\"");
    desk.page("/events?job=1&event=leased")
        .await
        .has(&["data-test-event=\"leased\""])
        .lacks("data-test-event=\"failed\"");
    desk.page("/events?queue=none").await.has(&["Nothing matches"]);
    desk.page("/queues/q").await.has(&["/events?queue=q"]);
}

#[tokio::test]
async fn a_job_shows_its_life_and_is_retried() {
    let desk = Desk::new();
    let number = desk.dead("q", "the other side\nhung up").await;
    let page = desk.page("/jobs/1").await;
    page.has(&["Job #1", "data-test-state=\"dead\"", "rejected", "data-test-button=\"retry\""]);
    page.has(&[
        "data-test-lease=\"1\"",
        "failed",
        "attempt 1",
        "w1",
        "exit",
        "the other side\nhung up",
        "data-test-bytes=\"payload\"",
    ]);
    let answer = desk.post("/jobs/1/retry", "back=%2Fjobs%2F1").await;
    assert_eq!(answer.status.as_u16(), 303);
    assert_eq!(desk.engine.job(number.into()).await.expect("there").summary.state, JobState::Waiting);
    desk.page("/jobs/1").await.lacks("data-test-button=\"retry\"");
    let lease = desk.lease("q").await;
    let line = |source, text: &str| LogLine { source, text: text.to_owned() };
    let lines = vec![line(LogSource::Out, "one <b>"), line(LogSource::Err, "two\u{7}")];
    desk.engine.log(lease, lines).await.expect("logged");
    desk.engine.settle(lease, Outcome::Complete { result: Some((&b"[1]"[..]).into()) }).await.expect("settled");
    let page = desk.page("/jobs/1").await;
    page.has(&["completed", "data-test-lease=\"2\"", "of round 2", "data-test-bytes=\"result\"", "data-test-log"]);
    assert_eq!(desk.page("/jobs/1/result").await.text, "[1]");
    page.has(&["one &lt;b&gt;", "two<span class=\"mark\" title=\"bell\">U+0007</span>"]);
}

/// The text of a value on a page, unescaped, with what was made visible put back.
fn shown(page: &str, what: &str) -> String {
    let start = format!("data-test-bytes=\"{what}\" tabindex=\"0\">");
    let text = page.split_once(&start).expect(what).1.split("</pre>").next().expect("an end");
    let mut pieces = text.split("<span class=\"mark\"");
    let mut all = pieces.next().expect("a first").to_owned();
    for piece in pieces {
        let (mark, rest) = piece.split_once("</span>").expect("an end");
        let code = u32::from_str_radix(mark.rsplit("U+").next().expect("a number"), 16).expect("hexadecimal");
        all.push(char::from_u32(code).expect("a character"));
        all.push_str(rest);
    }
    all.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[tokio::test]
async fn payloads_are_shown_exactly() {
    let desk = Desk::new();
    let long = format!("\"{}\"", "x".repeat(60_000));
    for text in [
        "<script>alert(1)</script>",
        "\"</pre><img src=x onerror=alert(1)>\"",
        "12345678901234567890.10000000000000000001",
        "null",
        "  [1] ",
        "",
        "a\u{202e}b\u{200b}c\u{feff}\u{0}\u{1b}[31m\r\n\t\u{85}\u{2066}",
        "&lt; &amp; 'quotes' \"",
        "🚢 ä \u{fffd}",
        long.as_str(),
    ] {
        let number = desk.add("q", "n", text.as_bytes()).await;
        let page = desk.page(&format!("/jobs/{}", number.0)).await;
        let found = shown(&page.text, "payload");
        let exact = if text.trim() == "[1]" { "[\n  1\n]" } else { text };
        assert_eq!(found, exact);
        page.lacks("<script>alert").lacks("<img");
        let file = desk.page(&format!("/jobs/{}/payload", number.0)).await;
        assert_eq!(file.text, text);
        assert_eq!(file.headers["content-type"], "application/octet-stream");
        assert_eq!(file.headers["content-disposition"], format!("attachment; filename=\"job-{}-payload\"", number.0));
        page.has(&[&format!(
            "{} bytes",
            if text.len() < 1_000 { text.len().to_string() } else { "60,002".to_owned() }
        )]);
    }
}

#[tokio::test]
async fn a_long_payload_is_cut_until_it_is_asked_for() {
    let desk = Desk::new();
    let text = format!("{{\"big\":\"{}\",\"n\":12345678901234567890}}", "<i>".repeat(100_000));
    desk.add("q", "n", text.as_bytes()).await;
    let page = desk.page("/jobs/1").await;
    assert!(page.text.len() < 30_000, "{} bytes", page.text.len());
    page.has(&["data-test-whole=\"payload\""]).lacks("<i>");
    let whole = desk.page("/jobs/1?whole=payload").await;
    let bare: String = shown(&whole.text, "payload").chars().filter(|c| !c.is_whitespace()).collect();
    assert_eq!(bare, text);
}

#[tokio::test]
async fn names_of_any_kind_have_their_pages() {
    let desk = Desk::new();
    for name in ["a/b", "..", ".", "~x", "ä ö", "q?x=1#y", "100%", "<b>", "a\"b"] {
        desk.add(name, name, b"{}").await;
    }
    let overview = desk.page("/").await;
    overview.lacks("<b>a").lacks("\"><b>");
    let rows: Vec<_> = overview.text.split("<tr data-test-queue").skip(1).collect();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let path = row.split("href=\"").nth(1).expect("a link").split('"').next().expect("an end");
        desk.page(path).await.has(&["data-test-live=\"queue\"", "data-test-input=\"attempts\"", "default"]);
    }
}

#[tokio::test]
async fn failures_are_gathered_by_their_cause_and_put_right_together() {
    let desk = Desk::new();
    desk.page("/errors").await.has(&["Nothing has failed"]);
    for user in 1..=3 {
        desk.dead("orders", &format!("user {user} is not there, \"a/b\"")).await;
    }
    let number = desk.dead("emails", "another, cause").await;
    let list = desk.page("/errors").await;
    list.has(&[
        "data-test-error-group=",
        "user N is not there, Q",
        ">3</td>",
        "orders",
        "data-test-error-group=",
        "another, cause",
    ]);
    for sort in ["hour", "day", "week", "last", "first"] {
        desk.page(&format!("/errors?sort={sort}")).await.has(&["another, cause"]);
    }
    let refused = desk.get("/errors?sort=size").await;
    assert_eq!(refused.status, axum::http::StatusCode::BAD_REQUEST);
    refused.has(&["hour"]);
    desk.page("/").await.has(&["Needs attention", "user N is not there, Q", "3 failures within an hour"]);
    let link = |page: &str, part: &str| {
        let before = page.split_once(part).unwrap_or_else(|| panic!("no {part}")).0;
        before.rsplit("href=\"").next().expect("a link").split('"').next().expect("an end").replace("&amp;", "&")
    };
    let group = desk.page(&link(&list.text, "another, cause</a>")).await;
    group.has(&["another, cause", "emails", &format!("data-test-sample=\"{}\"", number.0)]);
    let group = desk.page(&link(&list.text, "user N is not there, Q</a>")).await;
    let preview = desk.page(&link(&group.text, "Run its dead jobs again")).await;
    preview.has(&["Run again", "<b>3 jobs</b> match", "state:dead"]);
    assert_eq!(desk.get("/errors/nothing").await.status, axum::http::StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn queues_show_what_happened_lately() {
    let desk = Desk::new();
    desk.dead("orders", "no").await;
    for path in ["/", "/queues"] {
        let page = desk.page(path).await;
        page.has(&[
            "data-test-queue=\"orders\"",
            "0 completed, 1 failed in 5 minutes",
            "data-test-rate=\"in\"",
            "&lt;1",
            "100 %",
        ]);
    }
}

#[tokio::test]
async fn where_there_are_more_workers_than_are_looked_at_the_pages_say_so() {
    let desk = Desk::new();
    for queue in ["far", "near"] {
        desk.add(queue, "n", b"{}").await;
    }
    let beat = async |at: usize, queue: &str| {
        let beat = Beat { worker: format!("w{at:05}"), queues: vec![queue.to_owned()], ..Beat::default() };
        desk.engine.beat(beat).await.expect("room");
    };
    for at in 0..5_000 {
        beat(at, if at < 60 { "near" } else { "busy" }).await;
    }
    desk.page("/queues/near").await.has(&["w00049", "and 10 others"]).lacks("w00050").lacks("were looked at");
    desk.page("/").await.has(&["far</a>: no worker serves it"]).lacks("near</a>: no worker");
    // Another dashboard, which has not looked yet.
    let desk = Desk { router: Desk::over(&desk.engine), ..desk };
    desk.engine
        .beat(Beat { worker: "w99999".into(), queues: vec!["far".into()], ..Beat::default() })
        .await
        .expect("room");
    desk.page("/").await.has(&["far</a>: none of the first 5,000 workers by name serves it, and 1 job is waiting"]);
    desk.page("/queues/far")
        .await
        .has(&["Only the first 5,000 workers by name were looked at"])
        .lacks("No worker serves");
}
