//! The library's public face over the memory engine: builder, handle, queue.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use queue_core::engine::{Answer, Clock, Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::model::{
    Added, Backoff, BackupReport, Beat, Capabilities, Command, Context, Error, EventPage, EventsBack, Figures, Job,
    JobOptions, JobRef, JobState, LeaseOrder, LeaseRef, LeaseRequest, LeasedJob, NewJob, Orders, Outcome,
    SettingsPatch, Word, WorkerOrder, WorkerPage, WorkerView,
};
use queue_core::{Queue, connect};

async fn memory() -> Arc<dyn Engine> {
    connect("memory:").await.expect("the memory engine opens")
}

async fn complete(engine: &Arc<dyn Engine>, queue: &str, result: &'static [u8]) {
    let order = LeaseOrder { queues: vec![queue.to_owned()], limit: 1, worker: "w".to_owned(), lease_ms: None };
    let leased = engine.lease_now(order).await.expect("a lease").remove(0);
    let lease = LeaseRef { number: leased.number, token: leased.token };
    let outcome = Outcome::Complete { result: Some(Bytes::from_static(result)) };
    engine.settle(lease, outcome).await.expect("the newest token settles");
}

#[tokio::test]
async fn every_option_of_the_builder_reaches_the_job() {
    let engine = memory().await;
    let job = Queue::new(&engine, "emails")
        .add("send", &("ann", 1))
        .priority(7)
        .attempts(8)
        .backoff(Backoff::fixed(1_500))
        .timeout(Duration::from_micros(1_500))
        .expires_in(Duration::from_secs(60))
        .keep(Duration::from_secs(9))
        .id("order-42")
        .tag("a")
        .tag("b")
        .header("trace", "4bf9")
        .delay(Duration::from_secs(5))
        .await
        .expect("a good job");
    let shown = job.show().await.expect("it is there");
    assert_eq!(shown.payload, &br#"["ann",1]"#[..]);
    let summary = &shown.summary;
    assert_eq!((summary.priority, summary.attempts, summary.id.as_deref()), (7, 8, Some("order-42")));
    assert_eq!((summary.state, &summary.tags[..]), (JobState::Delayed, &["a".to_owned(), "b".to_owned()][..]));
    assert_eq!(shown.backoff, Backoff::fixed(1_500));
    assert_eq!(shown.timeout_ms, Some(2), "durations are rounded up");
    assert_eq!(shown.keep_ms, Some(9_000));
    assert_eq!(shown.headers.get("trace").map(String::as_str), Some("4bf9"));
    assert!(shown.expires_at_ms.is_some());
}

#[tokio::test]
async fn a_job_can_be_waited_for_and_its_result_read() {
    let engine = memory().await;
    let job = Queue::new(&engine, "emails").add_bytes("send", "any bytes").no_timeout().lifo().await.expect("a job");
    let error = job.wait(Duration::from_millis(20)).await.expect_err("nobody runs it");
    assert_eq!(error.word, Word::Timeout);
    let (waited, ()) = tokio::join!(job.wait(Duration::MAX), complete(&engine, "emails", b"42"));
    let waited = waited.expect("it is done");
    assert_eq!((waited.summary.state, waited.result.as_deref()), (JobState::Completed, Some(&b"42"[..])));
    assert_eq!(job.retry().await.expect("a done job"), JobState::Waiting);
    assert_eq!(job.reschedule(Duration::from_secs(9)).await.expect("a waiting job"), JobState::Delayed);
    assert_eq!(job.promote().await.expect("a delayed job"), JobState::Waiting);
    job.remove().await.expect("a waiting job");
    assert_eq!(job.show().await.expect_err("it is gone").word, Word::NoJob);
}

#[tokio::test]
async fn a_wait_longer_than_one_call_says_the_whole_of_it() {
    let clock = Arc::new(ManualClock::new(1_000));
    let options = LocalOptions { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..LocalOptions::default() };
    let engine: Arc<dyn Engine> = Arc::new(LocalEngine::memory(options));
    let job = Queue::new(&engine, "emails").add_bytes("send", "1").await.expect("a job");
    let waiting = tokio::spawn(async move { job.wait(Duration::from_secs(7_800)).await });
    while !waiting.is_finished() {
        clock.advance(60_000);
        tokio::task::yield_now().await;
    }
    let error = waiting.await.expect("no panic").expect_err("nobody runs it");
    assert_eq!((error.word, &*error.message), (Word::Timeout, "job #1 has not ended within 7800000 ms"));
}

#[tokio::test]
async fn many_jobs_are_added_all_or_none() {
    let engine = memory().await;
    let queue = Queue::new(&engine, "emails");
    let wrong = NewJob::new("send", "1").with(JobOptions { priority: Some(5_000), ..JobOptions::default() });
    let error = queue.add_many([NewJob::new("send", "1"), wrong]).await.expect_err("one is wrong");
    assert_eq!(error.word, Word::BadArg);
    assert_eq!(queue.show().await.map_or(0, |view| view.counts.enqueued), 0, "and none was added");
    let jobs = (0..3).map(|number| queue.add("send", &number).into_job().expect("JSON")).collect::<Vec<_>>();
    let handles = queue.add_many(jobs).await.expect("three jobs");
    let numbers: Vec<u64> = handles.iter().map(|handle| handle.number().0).collect();
    assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
}

#[tokio::test]
async fn a_queue_is_paused_resumed_and_set() {
    let engine = memory().await;
    let context = Context { actor: "ann".to_owned(), reason: "mail server is down".to_owned() };
    let queue = Queue::new(&engine, "emails").with_context(context);
    queue.add("send", &1).run_at(SystemTime::UNIX_EPOCH).await.expect("a time that is past means now");
    queue.set(SettingsPatch::from_json(br#"{"attempts": 3}"#).expect("a setting")).await.expect("set");
    queue.pause().await.expect("paused");
    let view = queue.show().await.expect("it is there");
    assert!(view.paused && view.pause_reason.is_some_and(|reason| reason.contains("mail server is down")));
    queue.resume().await.expect("resumed");
    let job = queue.add("send", &2).await.expect("a job").show().await.expect("it is there");
    assert_eq!(job.summary.attempts, 3);
}

#[tokio::test]
async fn a_payload_that_cannot_be_json_is_refused_by_name() {
    let engine = memory().await;
    let keys_that_are_no_text = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = Queue::new(&engine, "q").add("n", &keys_that_are_no_text).await.expect_err("no JSON");
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.starts_with("payload is "), "{}", error.message);
}

/// An engine whose replies can get lost.
struct Lossy(Arc<dyn Engine>);

#[async_trait]
impl Engine for Lossy {
    fn capabilities(&self) -> Capabilities {
        Capabilities { resends: true, ..self.0.capabilities() }
    }
    async fn execute(&self, context: &Context, commands: Vec<Command>) -> Result<Vec<Answer>, Error> {
        self.0.execute(context, commands).await
    }
    async fn lease(&self, context: &Context, request: LeaseRequest) -> Result<Vec<LeasedJob>, Error> {
        self.0.lease(context, request).await
    }
    async fn wait(&self, job: JobRef, timeout_ms: u64) -> Result<Job, Error> {
        self.0.wait(job, timeout_ms).await
    }
    async fn events(&self, cursor: Option<String>, limit: u32, wait_ms: u64) -> Result<EventPage, Error> {
        self.0.events(cursor, limit, wait_ms).await
    }
    async fn events_back(&self, back: EventsBack) -> Result<EventPage, Error> {
        self.0.events_back(back).await
    }
    async fn beat(&self, beat: Beat) -> Result<Orders, Error> {
        self.0.beat(beat).await
    }
    async fn workers(&self, cursor: Option<String>, limit: u32) -> Result<WorkerPage, Error> {
        self.0.workers(cursor, limit).await
    }
    async fn worker(&self, worker: String) -> Result<WorkerView, Error> {
        self.0.worker(worker).await
    }
    async fn order_worker(&self, context: &Context, worker: String, order: WorkerOrder) -> Result<WorkerView, Error> {
        self.0.order_worker(context, worker, order).await
    }
    async fn figures(&self) -> Result<Figures, Error> {
        self.0.figures().await
    }
    async fn backup(&self, name: Option<String>) -> Result<BackupReport, Error> {
        self.0.backup(name).await
    }
    async fn close(&self) -> Result<(), Error> {
        self.0.close().await
    }
}

#[tokio::test]
async fn a_job_without_an_id_gets_one_only_where_it_may_be_sent_again() {
    let memory = memory().await;
    let lossy: Arc<dyn Engine> = Arc::new(Lossy(Arc::clone(&memory)));
    let id = async |engine: &Arc<dyn Engine>| {
        let job = Queue::new(engine, "q").add("n", &1).await.expect("a job");
        assert_eq!(job.added(), Added::Created);
        job.show().await.expect("it is there").summary.id
    };
    assert_eq!(id(&memory).await, None);
    let (one, other) = (id(&lossy).await.expect("an id"), id(&lossy).await.expect("an id"));
    assert!(one.starts_with("auto-") && one != other);
    let own = Queue::new(&lossy, "q").add("n", &1).id("mine").await.expect("a job");
    assert_eq!(own.show().await.expect("it is there").summary.id.as_deref(), Some("mine"));
}
