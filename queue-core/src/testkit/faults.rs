//! What a failing or slow disk may not do: group `faults`, for engines whose home can break and hold it.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::{Rig, numbered, order, proof};
use crate::engine::EngineExt;
use crate::model::{Command, Context, LeaseRequest, NewJob, Outcome, Word};

pub async fn clause_5_a_call_without_commands_syncs_nothing(rig: &Rig) {
    rig.add("q").await;
    let before = rig.home().syncs();
    assert_eq!(rig.engine().execute(&Context::default(), Vec::new()).await, Ok(Vec::new()));
    assert_eq!(rig.home().syncs(), before);
}

pub async fn clause_6_concurrent_calls_share_a_sync(rig: &Rig) {
    rig.home().hold_syncs();
    let before = rig.home().syncs();
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let engine = rig.engine();
            tokio::spawn(async move { engine.enqueue("q", vec![NewJob::new("work", "{}")]).await })
        })
        .collect();
    rig.until("a sync began", async || rig.home().syncs() > before).await;
    rig.home().release_syncs();
    for task in tasks {
        task.await.expect("no panic").expect("taken");
    }
    let syncs = rig.home().syncs() - before;
    assert!(syncs < 100, "200 enqueues took {syncs} syncs");
}

pub async fn clause_13_nobody_is_answered_before_the_sync(rig: &Rig) {
    let first = rig.add("q").await;
    rig.home().hold_syncs();
    let before = rig.home().syncs();
    let engine = rig.engine();
    let enqueueing = tokio::spawn(async move { engine.enqueue("q", numbered(1)).await });
    let engine = rig.engine();
    let request = LeaseRequest { order: order("q", 1), wait_ms: 0 };
    let leasing = tokio::spawn(async move { engine.lease(&Context::default(), request).await });
    rig.until("a sync began", async || rig.home().syncs() > before).await;
    assert!(!enqueueing.is_finished() && !leasing.is_finished(), "replies wait for the sync");
    rig.home().release_syncs();
    enqueueing.await.expect("no panic").expect("taken");
    assert_eq!(leasing.await.expect("no panic").expect("leased")[0].number, first);
}

pub async fn clause_13_no_event_is_shown_before_the_sync(rig: &Rig) {
    let cursor = super::feed::now(rig).await;
    rig.home().hold_syncs();
    let before = rig.home().syncs();
    let engine = rig.engine();
    let enqueueing = tokio::spawn(async move { engine.enqueue("q", numbered(1)).await });
    rig.until("a sync began", async || rig.home().syncs() > before).await;
    let engine = rig.engine();
    let reading = tokio::spawn(async move { engine.events(Some(cursor), 10, 0).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    if reading.is_finished() {
        assert_eq!(reading.await.expect("no panic").expect("read").events, [], "the change could still be lost");
    } else {
        reading.abort();
    }
    rig.home().release_syncs();
    enqueueing.await.expect("no panic").expect("taken");
}

pub async fn clause_13_what_a_power_cut_takes_back_was_shown_to_nobody(rig: &Rig) {
    let kept = rig.add("q").await;
    rig.home().hold_syncs();
    let before = rig.home().syncs();
    let engine = rig.engine();
    let enqueueing = tokio::spawn(async move { engine.enqueue("q", numbered(1)).await });
    rig.until("a sync began", async || rig.home().syncs() > before).await;
    assert!(!enqueueing.is_finished());
    rig.power_cut().await;
    // What the call answers now comes from a machine that no longer is.
    enqueueing.abort();
    assert_eq!(rig.drain("q").await, [kept], "it was never acknowledged, and it is not there");
}

pub async fn promise_1_acknowledged_work_survives_a_power_cut(rig: &Rig) {
    let numbers = rig.add_many("q", 300).await;
    for leased in rig.lease_up_to("q", 100).await {
        rig.complete(&leased).await;
    }
    rig.power_cut().await;
    let counts = rig.counts("q").await;
    assert_eq!((counts.completed, counts.waiting), (100, 200));
    assert_eq!(rig.drain("q").await, numbers[100..]);
}

pub async fn clause_15_after_a_failed_write_every_call_answers_unknown(rig: &Rig) {
    rig.add_many("q", 2).await;
    let leased = rig.lease("q").await;
    rig.home().fail_writes();
    let engine = rig.engine();
    assert_eq!(engine.enqueue("q", numbered(1)).await.expect_err("the write failed").word, Word::Unknown);
    assert_eq!(engine.enqueue("q", numbered(1)).await.expect_err("nothing is retried").word, Word::Unknown);
    let done = engine.settle(proof(&leased), Outcome::Complete { result: None }).await;
    assert_eq!(done.expect_err("the engine failed for good").word, Word::Unknown);
    let request = LeaseRequest { order: order("q", 1), wait_ms: 0 };
    assert_eq!(engine.lease(&Context::default(), request).await.expect_err("failed").word, Word::Unknown);
    let read = engine.one(&Context::default(), Command::Stats).await;
    assert_eq!(read.expect_err("reading too: it may show what is lost").word, Word::Unknown);
    drop(engine);
    rig.crash().await;
    let counts = rig.counts("q").await;
    assert_eq!((counts.active, counts.waiting), (1, 1), "what was acknowledged before is there, and no more");
}

pub async fn clause_15_a_waiting_call_ends_when_a_write_fails(rig: &Rig) {
    let number = rig.add("other").await;
    let engine = rig.engine();
    let request = LeaseRequest { order: order("q", 1), wait_ms: 600_000 };
    let leasing = rig.begin(async move { engine.lease(&Context::default(), request).await }).await;
    let engine = rig.engine();
    let waiting = rig.begin(async move { engine.wait(number.into(), 600_000).await }).await;
    rig.home().fail_writes();
    let engine = rig.engine();
    assert_eq!(engine.enqueue("q", numbered(1)).await.expect_err("the write failed").word, Word::Unknown);
    drop(engine);
    assert_eq!(leasing.await.expect("no panic").expect_err("failed").word, Word::Unknown);
    assert_eq!(waiting.await.expect("no panic").expect_err("failed").word, Word::Unknown);
    rig.crash().await;
}
