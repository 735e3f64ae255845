//! Enqueueing one job and many: all or none, numbers, payloads, bounds.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use bytes::Bytes;

use super::rig::{Rig, numbered};
use crate::engine::EngineExt;
use crate::model::{Added, Command, JobOptions, JobState, NewJob, Word};

pub async fn a_queue_is_made_by_its_first_job(rig: &Rig) {
    let error = rig.engine().queue("new").await.expect_err("nobody made it yet");
    assert_eq!((error.word, error.message.as_str()), (Word::NoQueue, "no queue new: a queue is made by its first job"));
    rig.add("new").await;
    let view = rig.engine().queue("new").await.expect("its first job made it");
    assert_eq!((view.counts.waiting, view.counts.enqueued, view.paused), (1, 1, false));
}

pub async fn a_batch_gets_ascending_numbers_in_its_order(rig: &Rig) {
    let enqueued = rig.enqueue("q", numbered(100)).await;
    assert!(enqueued.iter().all(|enqueued| enqueued.added == Added::Created));
    assert!(enqueued.windows(2).all(|pair| pair[0].number < pair[1].number));
    for (at, enqueued) in enqueued.iter().enumerate().step_by(33) {
        assert_eq!(rig.job(enqueued.number).await.payload, at.to_string());
    }
}

pub async fn a_batch_with_one_bad_job_adds_none(rig: &Rig) {
    let mut jobs = numbered(50);
    jobs[37] = NewJob::new("work", "{}").with(JobOptions { priority: Some(5_000), ..JobOptions::default() });
    let error = rig.refused(Command::Enqueue { queue: "q".into(), jobs }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.contains("job 38 of the batch: priority is 5000; allowed: "), "{error}");
    assert_eq!(rig.engine().queue("q").await.expect_err("not even the queue was made").word, Word::NoQueue);
}

pub async fn a_batch_of_nothing_is_refused(rig: &Rig) {
    let error = rig.refused(Command::Enqueue { queue: "q".into(), jobs: Vec::new() }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.starts_with("jobs is a list of 0; allowed: "), "{error}");
}

pub async fn ten_thousand_jobs_go_in_at_once_and_no_more(rig: &Rig) {
    let error = rig.refused(Command::Enqueue { queue: "q".into(), jobs: numbered(10_001) }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.starts_with("jobs is a list of 10001; allowed: "), "{error}");
    rig.enqueue("q", numbered(10_000)).await;
    assert_eq!(rig.counts("q").await.waiting, 10_000);
}

pub async fn sixteen_mebibytes_go_in_at_once_and_no_more(rig: &Rig) {
    let payload = Bytes::from(vec![b'x'; 1 << 20]);
    let batch = |count| vec![NewJob::new("work", payload.clone()); count];
    let error = rig.refused(Command::Enqueue { queue: "q".into(), jobs: batch(17) }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.contains("17825792") && error.message.contains("16777216"), "{error}");
    rig.enqueue("q", batch(16)).await;
    assert_eq!(rig.counts("q").await.waiting, 16);
}

pub async fn payloads_are_kept_to_the_byte(rig: &Rig) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let payloads = [Bytes::new(), Bytes::from_static(b"{\"a\" : 1.0}\r\n"), Bytes::from(every_byte)];
    let jobs = payloads.iter().map(|payload| NewJob::new("work", payload.clone())).collect();
    let enqueued = rig.enqueue("q", jobs).await;
    let leased = rig.lease_up_to("q", 10).await;
    for ((payload, enqueued), leased) in payloads.iter().zip(&enqueued).zip(&leased) {
        assert_eq!(&rig.job(enqueued.number).await.payload, payload);
        assert_eq!(&leased.payload, payload);
    }
}

pub async fn a_batch_is_handed_out_in_its_order(rig: &Rig) {
    let numbers = rig.add_many("q", 500).await;
    assert_eq!(rig.drain("q").await, numbers);
}

pub async fn a_batch_may_hold_waiting_and_delayed_jobs(rig: &Rig) {
    let later = JobOptions { delay_ms: Some(600_000), ..JobOptions::default() };
    let jobs = vec![NewJob::new("work", "now"), NewJob::new("work", "later").with(later)];
    let enqueued = rig.enqueue("q", jobs).await;
    assert_eq!(rig.state(enqueued[0].number).await, JobState::Waiting);
    assert_eq!(rig.state(enqueued[1].number).await, JobState::Delayed);
    let counts = rig.counts("q").await;
    assert_eq!((counts.waiting, counts.delayed, counts.enqueued), (1, 1, 2));
}
