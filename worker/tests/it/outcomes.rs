//! What a handler does, and what becomes of its job.

use std::sync::Arc;
use std::time::Duration;

use queue_core::model::{LogSource, Outcome};
use serde::{Deserialize, Serialize};
use worker::{Activity, Context, HandlerError, Stop};

use crate::desk::Desk;

#[derive(Deserialize)]
struct Mail {
    to: String,
}

#[derive(Serialize)]
struct Receipt {
    message: u32,
}

fn fail(kind: &str, error: &str, retryable: bool) -> Outcome {
    Outcome::Fail { kind: kind.to_owned(), error: error.to_owned(), retryable }
}

fn complete(result: &str) -> Outcome {
    Outcome::Complete { result: Some(result.to_owned().into()) }
}

/// Runs one job named `send` with one handler named `send`, and answers what was settled.
macro_rules! outcome {
    ($payload:expr, $handler:expr) => {{
        let desk = Desk::new();
        desk.job("send", |job| {
            job.payload = $payload.into();
            job.timeout_ms = Some(5_000);
        });
        let worker = desk.worker().handler("send", $handler).build().expect("a sound worker");
        let running = tokio::spawn(worker.run());
        let outcome = desk.settled(1).await;
        running.abort();
        outcome
    }};
}

#[tokio::test(start_paused = true)]
async fn a_completion_carries_the_result_as_json() {
    let handler = async |mail: Mail, context: Context| {
        assert_eq!((mail.to.as_str(), context.name(), context.attempt(), context.attempts()), ("a@b", "send", 1, 3));
        Ok(Receipt { message: 7 })
    };
    assert_eq!(outcome!(r#"{"to":"a@b"}"#, handler), complete(r#"{"message":7}"#));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_returns_nothing_has_no_result() {
    assert_eq!(outcome!("", async |(): (), _: Context| Ok(())), Outcome::Complete { result: None });
}

#[tokio::test(start_paused = true)]
async fn an_error_is_a_failed_attempt_with_its_text() {
    let handler = async |text: String, _: Context| Ok(text.parse::<u32>()?);
    assert_eq!(outcome!(r#""7""#, handler), complete("7"));
    assert_eq!(outcome!(r#""x""#, handler), fail("error", "invalid digit found in string", true));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_not_retried() {
    let handler = async |(): (), _: Context| Err::<(), _>(HandlerError::reject("no such user"));
    assert_eq!(outcome!("null", handler), fail("rejected", "no such user", false));
}

#[tokio::test(start_paused = true)]
async fn a_snooze_is_for_a_time_or_as_the_backoff_says() {
    let for_a_time = async |(): (), _: Context| Err::<(), _>(HandlerError::snooze(Duration::from_secs(9)));
    assert_eq!(outcome!("null", for_a_time), Outcome::Snooze { delay_ms: Some(9_000) });
    let by_backoff = async |(): (), _: Context| Err::<(), _>(HandlerError::snooze_by_backoff());
    assert_eq!(outcome!("null", by_backoff), Outcome::Snooze { delay_ms: None });
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_does_not_parse_is_rejected_and_named() {
    let outcome = outcome!(r#"{"from":"a"}"#, async |_: Mail, _: Context| Ok(()));
    let Outcome::Fail { kind, error, retryable: false } = outcome else { panic!("{outcome:?}") };
    assert_eq!(kind, "payload");
    assert!(error.contains("missing field `to`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_the_attempt_and_the_worker_goes_on() {
    let desk = Desk::new();
    let worker = desk.worker().concurrency(1);
    let worker = worker.handler("break", async |(): (), _: Context| -> Result<(), HandlerError> { panic!("no {}", 1) });
    let worker = worker.handler("send", async |(): (), _: Context| Ok(2)).build().expect("a sound worker");
    desk.job("break", |_| {});
    desk.job("send", |_| {});
    let running = tokio::spawn(worker.run());
    assert_eq!(desk.settled(1).await, fail("panic", "no 1", true));
    assert_eq!(desk.settled(2).await, complete("2"));
    running.abort();
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("while it is dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_handler_is_dropped_leaves_no_lease_behind() {
    let desk = Desk::new();
    let worker = desk.worker().concurrency(1).handler("stuck", async |(): (), _: Context| {
        let _bomb = Bomb;
        std::future::pending::<Result<(), HandlerError>>().await
    });
    let worker = worker.handler("send", async |(): (), _: Context| Ok(2));
    desk.job("stuck", |job| job.timeout_ms = Some(5_000));
    desk.job("send", |_| {});
    let running = tokio::spawn(worker.run());
    let text = "timed out after 5s; it did not stop within 15s and was dropped";
    assert_eq!(desk.settled(1).await, fail("timeout", text, true));
    assert_eq!(desk.settled(2).await, complete("2"));
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| beat.leases.is_empty())).await;
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_stops_nothing() {
    let desk = Desk::new();
    let worker = desk.worker().concurrency(1).observer(Arc::new(|_: Activity<'_>| panic!("not now")));
    let running = tokio::spawn(worker.handler("send", async |(): (), _: Context| Ok(2)).run());
    for settled in 1..=3 {
        desk.job("send", |_| {});
        assert_eq!(desk.settled(settled).await, complete("2"));
    }
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_text_without_measure_is_cut_before_it_is_sent() {
    let long = || "ä".repeat(1 << 20);
    for handler_error in [HandlerError::failed(long()), HandlerError::reject(long())] {
        let handler = move |(): (), _: Context| std::future::ready(Err::<(), _>(handler_error.clone()));
        let Outcome::Fail { error, .. } = outcome!("null", handler) else { panic!("it failed") };
        assert_eq!(error.len(), 8 << 10);
    }
    let handler = async |(): (), _: Context| -> Result<(), HandlerError> { panic!("{}", "x".repeat(1 << 20)) };
    let Outcome::Fail { error, .. } = outcome!("null", handler) else { panic!("it failed") };
    assert_eq!(error.len(), 8 << 10);
}

#[tokio::test(start_paused = true)]
async fn progress_that_is_too_long_is_refused_before_it_is_sent() {
    let handler = async |(): (), context: Context| Ok(context.progress("x".repeat(5_000)).await.unwrap_err().message);
    let text = r#""progress is 5002 bytes long; allowed: at most 4096 bytes as JSON""#;
    assert_eq!(outcome!("null", handler), complete(text));
}

#[tokio::test(start_paused = true)]
async fn a_job_without_handler_fails_and_names_those_there_are() {
    let desk = Desk::new();
    let worker = desk.worker().handler("send", async |(): (), _: Context| Ok(()));
    let worker = worker.handler("q/bounce", async |(): (), _: Context| Ok(())).build().expect("a sound worker");
    desk.job("sned", |_| {});
    let running = tokio::spawn(worker.run());
    let text = "no handler for the job name sned in the queue q; handlers of this worker: q/bounce, send";
    assert_eq!(desk.settled(1).await, fail("no-handler", text, true));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_out_of_time_is_told_and_then_fails() {
    let handler = async |(): (), context: Context| {
        assert_eq!(context.cancelled().await, Stop::TimedOut);
        Ok("too late")
    };
    assert_eq!(outcome!("null", handler), fail("timeout", "timed out after 5s; it then ended", true));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_stop_is_dropped() {
    let handler = async |(): (), _: Context| std::future::pending::<Result<(), HandlerError>>().await;
    let text = "timed out after 5s; it did not stop within 15s and was dropped";
    assert_eq!(outcome!("null", handler), fail("timeout", text, true));
}

#[tokio::test(start_paused = true)]
async fn a_result_beyond_the_limit_is_rejected_by_size() {
    let handler = async |(): (), _: Context| Ok("x".repeat(2 << 20));
    assert_eq!(
        outcome!("null", handler),
        fail("result", "the result is 2097154 bytes; allowed: at most 1048576", false)
    );
}

#[tokio::test(start_paused = true)]
async fn log_lines_stand_before_the_settlement_and_in_order() {
    let desk = Desk::new();
    let worker = desk.worker().handler("send", async |(): (), context: Context| {
        (0..250).for_each(|line| context.log(line.to_string()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        context.log("two\nlines");
        context.log_line(LogSource::Err, "last");
        Ok(())
    });
    desk.job("send", |_| {});
    let running = tokio::spawn(worker.run());
    desk.until(|desk| desk.lines().len() == 250).await;
    assert!(desk.outcomes().is_empty(), "lines do not wait for the handler's end");
    desk.settled(1).await;
    let lines = desk.lines();
    let text: Vec<_> = lines.iter().map(|(_, line)| line.text.as_str()).collect();
    assert_eq!((text.len(), text[249], &text[250..]), (253, "249", &["two", "lines", "last"][..]));
    running.abort();
}
