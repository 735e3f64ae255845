//! What a producer says of a job, and that it reaches handler and reader unchanged.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use std::collections::BTreeMap;

use super::rig::Rig;
use crate::model::{Backoff, BackoffKind, Command, DelayCause, JobOptions, JobState, NewJob, Word};

fn full_options() -> JobOptions {
    JobOptions {
        id: Some("order-42".into()),
        priority: Some(-7),
        attempts: Some(8),
        backoff: Some(Backoff { jitter_percent: 10, max_ms: 60_000, ..Backoff::exponential(1_000) }),
        timeout_ms: Some(45_000),
        expires_in_ms: Some(3_600_000),
        keep_ms: Some(1_234),
        tags: vec!["billing".into(), "eu".into()],
        headers: BTreeMap::from([("trace".to_owned(), "abc".to_owned()), ("lang".to_owned(), "de".to_owned())]),
        ..JobOptions::default()
    }
}

pub async fn a_leased_job_carries_what_its_handler_needs(rig: &Rig) {
    let job = NewJob::new("send", r#"{"to":"ann"}"#).with(full_options());
    let number = rig.enqueue("q", vec![job]).await[0].number;
    let leased = rig.lease("q").await;
    assert_eq!((leased.number, leased.queue.as_str(), leased.name.as_str()), (number, "q", "send"));
    assert_eq!((leased.id.as_deref(), leased.payload.as_ref()), (Some("order-42"), &br#"{"to":"ann"}"#[..]));
    assert_eq!((leased.attempt, leased.attempts, leased.lease_ms), (1, 8, 30_000));
    assert_eq!((leased.timeout_ms, leased.headers), (Some(45_000), full_options().headers));
    assert_eq!(leased.enqueued_at_ms, rig.job(number).await.summary.enqueued_at_ms);
}

pub async fn a_shown_job_tells_every_option(rig: &Rig) {
    let job = NewJob::new("send", "{}").with(full_options());
    let number = rig.enqueue("q", vec![job]).await[0].number;
    let job = rig.job(number).await;
    assert_eq!((job.summary.id.as_deref(), job.summary.name.as_str()), (Some("order-42"), "send"));
    assert_eq!((job.summary.priority, job.summary.attempt, job.summary.attempts), (-7, 0, 8));
    assert_eq!((job.backoff, job.timeout_ms), (full_options().backoff.expect("set"), Some(45_000)));
    assert_eq!((job.keep_ms, job.headers), (Some(1_234), full_options().headers));
    assert_eq!((job.summary.tags, job.round, job.stalls), (full_options().tags, 1, 0));
    let expires_in = job.expires_at_ms.expect("it expires") - job.summary.enqueued_at_ms;
    assert_eq!(expires_in, 3_600_000);
}

pub async fn a_job_without_options_has_the_defaults(rig: &Rig) {
    let job = rig.job(rig.add("q").await).await;
    assert_eq!((job.summary.priority, job.summary.attempts), (0, 16));
    assert_eq!((job.timeout_ms, job.expires_at_ms, job.keep_ms), (Some(1_800_000), None, None));
    let backoff = job.backoff;
    assert_eq!((backoff.kind, backoff.delay_ms, backoff.max_ms), (BackoffKind::Exponential, 5_000, 3_600_000));
    assert_eq!((backoff.factor_thousandths, backoff.jitter_percent), (2_000, 20));
    assert_eq!((job.summary.id, job.summary.tags.len(), job.headers.len(), job.leases.len()), (None, 0, 0, 0));
}

pub async fn no_timeout_is_a_timeout_of_zero(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { timeout_ms: Some(0), ..JobOptions::default() }).await;
    assert_eq!(rig.job(number).await.timeout_ms, None);
    assert_eq!(rig.lease("q").await.timeout_ms, None);
}

pub async fn a_delay_of_zero_waits_at_once(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { delay_ms: Some(0), ..JobOptions::default() }).await;
    assert_eq!(rig.state(number).await, JobState::Waiting);
}

pub async fn a_run_at_in_the_past_means_now(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { run_at_ms: Some(1), ..JobOptions::default() }).await;
    rig.until("it is ready", async || rig.state(number).await == JobState::Waiting).await;
}

pub async fn a_run_at_in_the_future_is_delayed_until_then(rig: &Rig) {
    let now = rig.job(rig.add("other").await).await.summary.enqueued_at_ms;
    let at = now + 3_600_000;
    let number = rig.add_with("q", JobOptions { run_at_ms: Some(at), ..JobOptions::default() }).await;
    let summary = rig.job(number).await.summary;
    assert_eq!((summary.state, summary.cause), (JobState::Delayed, Some(DelayCause::Scheduled)));
    assert_eq!(summary.at_ms, Some(at));
    rig.nothing_ready("q").await;
}

pub async fn a_delayed_job_says_when_it_is_due_and_why(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { delay_ms: Some(60_000), ..JobOptions::default() }).await;
    let summary = rig.job(number).await.summary;
    assert_eq!((summary.state, summary.cause), (JobState::Delayed, Some(DelayCause::Scheduled)));
    assert_eq!(summary.at_ms, Some(summary.enqueued_at_ms + 60_000));
}

pub async fn delay_and_run_at_exclude_each_other(rig: &Rig) {
    let options = JobOptions { delay_ms: Some(5), run_at_ms: Some(5), ..JobOptions::default() };
    let jobs = vec![NewJob::new("work", "{}").with(options)];
    let error = rig.refused(Command::Enqueue { queue: "q".into(), jobs }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.contains("run_at_ms") && error.message.contains("delay_ms"), "{error}");
}
