//! The feed: every change once, in order, from any cursor.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::context;
use super::rig::{Rig, failure};
use crate::engine::EngineExt;
use crate::model::{EventRecord, JobNumber, JobVerb, Outcome, Word};

/// Every event from `cursor` on, read in pages of `limit`, and the cursor after them.
pub(crate) async fn read_on(rig: &Rig, cursor: &str, limit: u32) -> (Vec<EventRecord>, String) {
    let (mut events, mut cursor) = (Vec::new(), cursor.to_owned());
    loop {
        let page = rig.engine().events(Some(cursor), limit, 0).await.expect("the feed is read");
        assert!(page.events.len() <= limit as usize, "a page holds at most {limit}");
        cursor = page.cursor;
        if page.events.is_empty() {
            return (events, cursor);
        }
        events.extend(page.events);
    }
}

pub(crate) async fn now(rig: &Rig) -> String {
    rig.engine().events(None, 1, 0).await.expect("the feed is read").cursor
}

async fn some_life(rig: &Rig) -> [JobNumber; 3] {
    let [first, second, third] = rig.add_many("q", 3).await[..] else { panic!("three jobs") };
    rig.complete(&rig.lease("q").await).await;
    rig.settle(&rig.lease("q").await, failure("it broke")).await;
    rig.settle(&rig.lease("q").await, Outcome::Release).await;
    rig.cancel(third).await;
    [first, second, third]
}

fn words(events: &[EventRecord], number: JobNumber) -> Vec<&str> {
    events.iter().filter(|event| event.number == Some(number)).map(|event| event.event.as_str()).collect()
}

pub async fn every_change_of_a_job_stands_in_the_feed_in_order(rig: &Rig) {
    let cursor = now(rig).await;
    let [first, second, third] = some_life(rig).await;
    let (events, _) = read_on(rig, &cursor, 1_000).await;
    assert_eq!(words(&events, first), ["enqueued", "leased", "completed"]);
    assert_eq!(words(&events, second), ["enqueued", "leased", "failed"]);
    assert_eq!(words(&events, third), ["enqueued", "leased", "released", "cancelled"]);
    let of_jobs = events.iter().filter(|event| event.number.is_some());
    assert!(of_jobs.clone().all(|event| event.queue.as_deref() == Some("q")), "an event names its job's queue");
    assert!(of_jobs.clone().zip(of_jobs.skip(1)).all(|(one, next)| one.at_ms <= next.at_ms));
}

pub async fn pages_of_any_size_give_the_same_events(rig: &Rig) {
    let cursor = now(rig).await;
    some_life(rig).await;
    let (all, end) = read_on(rig, &cursor, 1_000).await;
    assert!(all.len() >= 10, "{} events", all.len());
    for limit in [1, 2, 3, 7] {
        assert_eq!(read_on(rig, &cursor, limit).await, (all.clone(), end.clone()), "in pages of {limit}");
    }
}

pub async fn a_cursor_goes_on_exactly_where_its_page_ended(rig: &Rig) {
    let start = now(rig).await;
    rig.add_many("q", 10).await;
    let (before, cursor) = read_on(rig, &start, 1_000).await;
    rig.add_many("q", 10).await;
    let (after, _) = read_on(rig, &cursor, 1_000).await;
    assert_eq!(after.len(), 10, "ten new jobs are ten events");
    let (all, _) = read_on(rig, &start, 1_000).await;
    assert_eq!([before, after].concat(), all);
}

pub async fn without_a_cursor_the_feed_begins_now(rig: &Rig) {
    rig.add_many("q", 5).await;
    let page = rig.engine().events(None, 100, 0).await.expect("the feed is read");
    assert_eq!(page.events, []);
    let number = rig.add("q").await;
    let (events, _) = read_on(rig, &page.cursor, 100).await;
    assert_eq!(words(&events, number), ["enqueued"]);
    assert_eq!(events.len(), 1);
}

pub async fn the_cursor_zero_is_the_oldest_event_kept(rig: &Rig) {
    let number = rig.add("q").await;
    let (events, end) = read_on(rig, "0", 1_000).await;
    assert_eq!(words(&events, number), ["enqueued"]);
    assert_eq!(now(rig).await, end);
}

pub async fn what_is_refused_leaves_no_event(rig: &Rig) {
    let number = rig.add("q").await;
    let cursor = now(rig).await;
    rig.refused(crate::model::Command::Job { job: number.into(), verb: JobVerb::Promote }).await;
    rig.refused(crate::model::Command::Enqueue { queue: "q".into(), jobs: Vec::new() }).await;
    assert_eq!(read_on(rig, &cursor, 100).await.0, []);
}

pub async fn what_is_only_read_leaves_no_event(rig: &Rig) {
    let number = rig.add("q").await;
    let cursor = now(rig).await;
    rig.job(number).await;
    rig.counts("q").await;
    rig.nothing_ready("elsewhere").await;
    assert_eq!(read_on(rig, &cursor, 100).await.0, []);
}

pub async fn a_reader_waits_for_the_next_event(rig: &Rig) {
    let cursor = now(rig).await;
    let engine = rig.engine();
    let reading = tokio::spawn(async move { engine.events(Some(cursor), 10, 600_000).await });
    let number = rig.add("q").await;
    let page = reading.await.expect("no panic").expect("the feed is read");
    assert!(!page.events.is_empty());
    let (rest, _) = read_on(rig, &page.cursor, 100).await;
    assert_eq!(words(&[page.events, rest].concat(), number), ["enqueued"]);
}

pub async fn a_reader_waits_no_longer_than_asked(rig: &Rig) {
    let cursor = now(rig).await;
    let (engine, asked) = (rig.engine(), cursor.clone());
    let reading = tokio::spawn(async move { engine.events(Some(asked), 10, 50).await });
    rig.run_on(10, "the reader gives up", async || reading.is_finished()).await;
    let page = reading.await.expect("no panic").expect("the feed is read");
    assert_eq!((page.events, page.cursor), (Vec::new(), cursor));
}

pub async fn a_text_that_is_no_cursor_is_refused(rig: &Rig) {
    for cursor in ["", "yesterday", "-1", "18446744073709551615"] {
        let error = rig.engine().events(Some(cursor.to_owned()), 10, 0).await.expect_err("no cursor");
        assert_eq!(error.word, Word::BadArg, "{cursor:?}: {error}");
        assert!(error.message.contains("cursor"), "{error}");
    }
}

pub async fn a_page_of_the_feed_has_its_bounds(rig: &Rig) {
    for limit in [0, 10_001] {
        let error = rig.engine().events(None, limit, 0).await.expect_err("out of range");
        assert_eq!(error.word, Word::BadArg);
        assert!(error.message.starts_with(&format!("count is {limit}; allowed: ")), "{error}");
    }
}

pub async fn administrative_events_name_actor_and_reason(rig: &Rig) {
    let number = rig.add("q").await;
    let cursor = now(rig).await;
    let by = context("ann", "wrong address");
    rig.engine().job_verb(&by, number.into(), JobVerb::Cancel).await.expect("cancelled");
    rig.engine().job_verb(&by, number.into(), JobVerb::Retry).await.expect("retried");
    rig.engine().pause(&by, "q").await.expect("paused");
    rig.engine().job_verb(&by, number.into(), JobVerb::Remove { force: false }).await.expect("removed");
    let (events, _) = read_on(rig, &cursor, 100).await;
    assert_eq!(events.len(), 4, "{events:?}");
    for event in events {
        let detail = event.detail.to_string();
        assert!(detail.contains("\"ann\"") && detail.contains("\"wrong address\""), "{}: {detail}", event.event);
    }
}

pub async fn a_failures_event_carries_its_fingerprint(rig: &Rig) {
    let number = rig.add("q").await;
    let cursor = now(rig).await;
    rig.settle(&rig.lease("q").await, failure("order 42 is gone")).await;
    let fingerprint = rig.job(number).await.leases[0].fingerprint.clone().expect("a fingerprint");
    let (events, _) = read_on(rig, &cursor, 100).await;
    let failed = events.iter().find(|event| event.event == "failed").expect("the failure is an event");
    assert!(failed.detail.to_string().contains(&serde_json::json!(fingerprint).to_string()), "{}", failed.detail);
}
