//! What was told while an engine ran is what its journal tells afterwards: every event, and the state of every moment.

use std::sync::Arc;
use std::time::Duration;

use super::super::{LocalEngine, LocalOptions};
use super::*;
use crate::engine::{Clock, Engine, EngineExt, ManualClock};
use crate::journal::sim::SimDisk;
use crate::machine::Chance;
use crate::model::{
    Context, EventRecord, JobFilter, JobNumber, JobOptions, JobPage, JobVerb, LeaseOrder, LeaseRef, LeasedJob, LogLine,
    LogSource, NewJob, Outcome, QueuePage, QueueSettings, SettingsPatch,
};

const BEGIN_MS: u64 = 1_796_119_200_000;

/// A moment of a running engine.
#[derive(Debug, PartialEq)]
struct Moment {
    at_ms: u64,
    state_hash: String,
    queues: QueuePage,
    jobs: JobPage,
}

async fn moment(engine: &dyn Engine, at_ms: u64) -> Moment {
    let stats = engine.stats().await.expect("told");
    let queues = engine.queues(None, 100).await.expect("told");
    let jobs = engine.jobs(JobFilter::default(), None, 1_000).await.expect("told");
    Moment { at_ms, state_hash: stats.state_hash, queues, jobs }
}

/// A store with a life of drawn steps, on a clock that the test drives.
struct Life {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    chance: Chance,
    engine: LocalEngine<SimDisk>,
    leased: Vec<LeasedJob>,
}

fn start(disk: &SimDisk, clock: &Arc<ManualClock>) -> LocalEngine<SimDisk> {
    let clock: Arc<dyn Clock> = clock.clone();
    // Small segments, and a snapshot after each.
    let options = LocalOptions {
        segment_bytes: 64 << 10,
        compact_after: 0,
        history: 0,
        clock,
        seed: 7,
        ..LocalOptions::default()
    };
    LocalEngine::on(disk.clone(), options).expect("a good directory").0
}

impl Life {
    fn new(seed: u64) -> Self {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(BEGIN_MS)));
        let engine = start(&disk, &clock);
        Self { disk, clock, chance: Chance::new(seed), engine, leased: Vec::new() }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.chance.next_u64() % bound
    }

    async fn enqueue(&mut self) {
        let queue = format!("q{}", self.below(3));
        let (size, delay) = (self.below(3_000) as usize, self.below(3) * 400);
        let id = (self.below(2) == 0).then(|| format!("id-{}", self.below(40)));
        let headers = [("trace".to_owned(), "a".to_owned())].into();
        let options = JobOptions { id, delay_ms: Some(delay), attempts: Some(2), headers, ..JobOptions::default() };
        let job = NewJob::new(format!("n{}", self.below(5)), vec![b'x'; size]).with(options);
        self.engine.enqueue(&queue, vec![job]).await.expect("room");
    }

    async fn lease(&mut self) {
        let queues = (0..3).map(|queue| format!("q{queue}")).collect();
        let worker = format!("w{}", self.below(4));
        let order = LeaseOrder { queues, limit: 2, worker, lease_ms: Some(1_000) };
        self.leased.extend(self.engine.lease_now(order).await.expect("answered"));
    }

    async fn settle(&mut self) {
        let Some(job) = self.leased.pop() else { return };
        let outcome = match self.below(4) {
            0 => Outcome::Fail { kind: "exit".into(), error: "it broke\n".into(), retryable: true },
            1 => Outcome::Release,
            2 => Outcome::Snooze { delay_ms: Some(300) },
            _ => Outcome::Complete { result: Some("{\"n\": 1.50}".into()) },
        };
        let lease = LeaseRef { number: job.number, token: job.token };
        let line = LogLine { source: LogSource::Out, text: "working".into() };
        // The lease may be over: then all of this is refused, as it should be.
        let _ = self.engine.log(lease, vec![line]).await;
        let _ = self.engine.progress(lease, "7".into()).await;
        let _ = self.engine.settle(lease, outcome).await;
    }

    async fn administer(&mut self) {
        let context = Context { actor: "ann".into(), reason: "test".into() };
        let queue = format!("q{}", self.below(3));
        match self.below(4) {
            0 => {
                let few = QueueSettings { keep_completed: Some(self.below(9)), ..QueueSettings::default() };
                let patch = SettingsPatch { set: few, reset: Vec::new() };
                self.engine.set_queue(&context, &queue, patch).await.expect("set");
            }
            1 => drop(self.engine.pause(&context, &queue).await),
            2 => drop(self.engine.resume(&context, &queue).await),
            _ => {
                let job = JobNumber(self.below(60) + 1).into();
                let command = crate::model::Command::Job { job, verb: JobVerb::Remove { force: true } };
                drop(self.engine.one(&context, command).await);
            }
        }
    }

    async fn step(&mut self) {
        match self.below(20) {
            0..8 => self.enqueue().await,
            8..12 => self.lease().await,
            12..17 => self.settle().await,
            17..19 => self.administer().await,
            _ => {
                self.engine.close().await.expect("it closes");
                self.clock.advance(5_000);
                self.engine = start(&self.disk, &self.clock);
            }
        }
    }

    async fn moment(&self) -> Moment {
        moment(&self.engine, self.clock.wall_ms()).await
    }

    /// Waits for the snapshot that is being made, if one is.
    async fn until_compacted(&self) {
        let is_busy = || self.engine.shared.lock().files.tail.journal().is_some_and(|journal| journal.is_busy());
        let compacted = async {
            while is_busy() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), compacted).await.expect("it comes to an end");
    }
}

fn dump(disk: &SimDisk) -> Dump<SimDisk> {
    Dump::open(disk.clone()).expect("a journal")
}

fn told(dump: &Dump<SimDisk>, filter: &DumpFilter) -> (Vec<DumpedEvent>, Dumped) {
    let mut events = Vec::new();
    let dumped = dump.events(filter, &mut |_| {}, &mut |event| {
        events.push(event);
        ControlFlow::Continue(())
    });
    (events, dumped)
}

/// Which moments could be told of a life with this seed, and how many were too early.
async fn check_moments(seed: u64) -> (usize, usize) {
    let mut life = Life::new(seed);
    let mut moments = Vec::new();
    for step in 0..400 {
        life.step().await;
        moments.push(life.moment().await);
        // Retries, expiries and retention are due in between; the next moment is another in any case.
        let ms = 1 + life.below(200);
        life.clock.advance(ms);
        if step % 25 == 0 {
            life.until_compacted().await;
        }
    }
    life.engine.close().await.expect("it closes");
    let files = life.disk.files();
    let (dump, mut answered, mut too_early) = (dump(&life.disk), 0, 0);
    for lived in moments.iter().step_by(3) {
        match dump.until(lived.at_ms) {
            Ok(past) => {
                assert_eq!(moment(&past, lived.at_ms).await, *lived, "seed {seed}");
                answered += 1;
            }
            Err(PastError::TooEarly { oldest_ms }) => {
                assert!(lived.at_ms < oldest_ms && answered == 0, "seed {seed}: {} and {oldest_ms}", lived.at_ms);
                too_early += 1;
            }
            Err(PastError::Journal(error)) => panic!("seed {seed}: {error}"),
        }
    }
    assert_eq!(life.disk.files(), files, "telling changes nothing");
    (answered, too_early)
}

#[tokio::test]
async fn the_state_of_a_moment_is_what_the_engine_had_then() {
    let mut sums = (0, 0);
    for seed in 0..4 {
        let (answered, too_early) = check_moments(seed).await;
        sums = (sums.0 + answered, sums.1 + too_early);
    }
    assert!(
        sums.0 > 100 && sums.1 > 100,
        "{sums:?}: snapshots were made in between, and the one before the last is used"
    );
}

#[tokio::test]
async fn a_clock_that_was_set_back_leaves_the_last_of_equal_moments() {
    let life = Life::new(1);
    life.engine.enqueue("q", vec![NewJob::new("a", "1")]).await.expect("room");
    life.clock.set_wall(BEGIN_MS + 86_400_000 / 2);
    life.engine.close().await.expect("it closes");
    let again = start(&life.disk, &life.clock);
    again.enqueue("q", vec![NewJob::new("b", "2")]).await.expect("room");
    life.clock.set_wall(BEGIN_MS + 5_000);
    again.close().await.expect("it closes");
    let last = start(&life.disk, &life.clock);
    last.enqueue("q", vec![NewJob::new("c", "3")]).await.expect("room");
    last.close().await.expect("it closes");
    let dump = dump(&life.disk);
    let waiting = async |at_ms| {
        let past = dump.until(at_ms).expect("kept");
        past.queue("q").await.map_or(0, |queue| queue.counts.waiting)
    };
    assert_eq!(waiting(BEGIN_MS).await, 1);
    assert_eq!(waiting(BEGIN_MS + 4_999).await, 1, "what came with the wrong clock had not happened yet");
    assert_eq!(waiting(BEGIN_MS + 5_000).await, 3, "the clock was right again, and all of it had happened");
    let (events, _) = told(&dump, &DumpFilter { event: Some("enqueued".into()), ..DumpFilter::default() });
    let times: Vec<u64> = events.iter().map(|event| event.at_ms - BEGIN_MS).collect();
    assert_eq!(times, [0, 43_200_000, 5_000], "each has the time that the clock showed");
    match dump.until(BEGIN_MS - 1) {
        Err(PastError::TooEarly { oldest_ms }) => assert_eq!(oldest_ms, BEGIN_MS),
        other => panic!("the store was not there: {other:?}"),
    }
}

async fn fed(engine: &LocalEngine<SimDisk>) -> Vec<EventRecord> {
    let (mut events, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let page = engine.events(Some(cursor.clone()), 1_000, 0).await.expect("the feed goes on");
        if page.events.is_empty() {
            return events;
        }
        events.extend(page.events);
        cursor = page.cursor;
    }
}

#[tokio::test]
async fn the_events_of_a_job_are_those_of_the_feed() {
    let mut life = Life::new(5);
    for _ in 0..60 {
        life.step().await;
        life.clock.advance(100);
    }
    let fed = fed(&life.engine).await;
    let there = life.moment().await.jobs;
    life.engine.close().await.expect("it closes");
    let dump = dump(&life.disk);
    let mut whole = 0;
    for number in 1..=30 {
        let number = JobNumber(number);
        let filter = DumpFilter { job: Some(number.into()), ..DumpFilter::default() };
        let (events, dumped) = told(&dump, &filter);
        assert_eq!((dumped.error, dumped.torn), (None, Vec::new()));
        let of_job = fed.iter().filter(|event| event.number == Some(number));
        let kinds: Vec<_> = of_job.clone().map(|event| (event.at_ms, event.event.clone())).collect();
        assert_eq!(events.iter().map(|event| (event.at_ms, event.event.clone())).collect::<Vec<_>>(), kinds);
        assert!(events.iter().all(|event| event.queue.is_some() && event.name.is_some()), "{events:?}");
        if !there.jobs.iter().any(|job| job.number == number) {
            continue;
        }
        whole += 1;
        let details: Vec<_> = of_job.map(|event| (event.queue.clone(), event.detail.clone())).collect();
        let with_name = |event: &DumpedEvent| {
            let mut detail = event.detail.clone();
            detail.insert("name".to_owned(), event.name.clone().into());
            (event.queue.clone(), detail.into())
        };
        assert_eq!(events.iter().map(with_name).collect::<Vec<_>>(), details);
    }
    assert!(whole > 10, "only {whole} jobs are still there");
    let all: usize = told(&dump, &DumpFilter::default()).0.len();
    assert_eq!(all, fed.len());
}

#[tokio::test]
async fn each_filter_lets_its_own_pass() {
    let life = Life::new(2);
    let options = JobOptions { id: Some("order-1".into()), ..JobOptions::default() };
    life.engine.enqueue("a", vec![NewJob::new("n", "{\"x\": 1}").with(options)]).await.expect("room");
    life.clock.advance(1_000);
    life.engine.enqueue("b", vec![NewJob::new("m", "no json")]).await.expect("room");
    life.engine.close().await.expect("it closes");
    let dump = dump(&life.disk);
    let positions = |filter: DumpFilter| told(&dump, &filter).0.into_iter().map(|event| event.position.get()).collect();
    let all: Vec<u64> = positions(DumpFilter::default());
    let enqueued: Vec<u64> = positions(DumpFilter { event: Some("enqueued".into()), ..DumpFilter::default() });
    assert_eq!((all.len(), enqueued.len()), (5, 2), "started; queue-created and enqueued, twice");
    let id = Some(JobRef::Id { queue: None, id: "order-1".into() });
    let only = |filter: DumpFilter, expected: &[u64]| assert_eq!(positions(filter), expected);
    only(DumpFilter { job: id, ..DumpFilter::default() }, &enqueued[..1]);
    only(DumpFilter { job: Some(JobNumber(2).into()), ..DumpFilter::default() }, &enqueued[1..]);
    only(DumpFilter { queue: Some("b".into()), ..DumpFilter::default() }, &all[3..]);
    only(DumpFilter { from_ms: Some(BEGIN_MS + 1), ..DumpFilter::default() }, &all[3..]);
    only(DumpFilter { to_ms: Some(BEGIN_MS + 999), ..DumpFilter::default() }, &all[..3]);
    only(DumpFilter { from_position: Some(all[1]), to_position: Some(all[2]), ..DumpFilter::default() }, &all[1..3]);
    let (events, _) = told(&dump, &DumpFilter { event: Some("enqueued".into()), ..DumpFilter::default() });
    let json = |payloads| events.iter().map(|event| event.to_json("T", payloads)).collect::<Vec<_>>();
    assert!(json(false)[0].contains(r#","payload_bytes":8"#), "{:?}", json(false));
    assert!(json(true)[0].contains(r#","payload":{"x": 1}"#), "{:?}", json(true));
    assert!(json(true)[1].contains(r#","payload_base64":"bm8ganNvbg=="#), "{:?}", json(true));
}

#[tokio::test]
async fn a_torn_tail_is_said_and_damage_ends_the_telling_with_its_place() {
    let life = Life::new(3);
    for number in 0..5 {
        life.engine.enqueue("q", vec![NewJob::new("n", number.to_string())]).await.expect("room");
    }
    let hash = life.moment().await.state_hash;
    let mut files = life.disk.files();
    let segment = files.get_mut("00000001.segment").expect("the first segment");
    let end = segment.iter().rposition(|byte| *byte != 0).expect("written") + 1;
    segment[end.next_multiple_of(8)..][..16].copy_from_slice(b"half of a frame!");
    let torn = dump(&SimDisk::with_files(files.clone()));
    let (all, dumped) = told(&torn, &DumpFilter::default());
    assert_eq!((all.len(), dumped.error, dumped.torn.len()), (7, None, 1));
    let past = torn.until(u64::MAX / 2).expect("told up to there");
    assert_eq!(past.stats().await.expect("told").state_hash, hash);
    // The third enqueue's payload, behind which others were synced.
    let place = all[4].position.get() as usize + 64 + 20;
    files.get_mut("00000001.segment").expect("the first segment")[place] ^= 1;
    let damaged = dump(&SimDisk::with_files(files));
    let (before, dumped) = told(&damaged, &DumpFilter::default());
    assert_eq!(before.len(), 4, "what is good is told");
    let message = dumped.error.expect("damaged").message;
    assert!(message.contains("00000001.segment is damaged at offset"), "{message}");
    assert!(matches!(damaged.until(u64::MAX / 2), Err(PastError::Journal(_))));
}
