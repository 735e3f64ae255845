//! A disk that gets full at a random point of a log engine's life: what each class of commands may still do, that nothing
//! acknowledged is lost whatever a crash leaves, that a start comes up on the full disk, and that all is accepted again once
//! there is room.
//!
//! `LONGSHORE_SEED` runs the same commands again; what the engine does on other threads falls elsewhere among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use queue_core::engine::{Clock, Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::sim::{Chance, Loss, SimDisk};
use queue_core::model::{
    BulkVerb, Command, Context, Error, Extension, JobFilter, JobNumber, JobOptions, JobRef, JobState, JobVerb,
    LeaseOrder, LeaseRef, NewJob, Outcome, QueueSettings, Reply, SettingsPatch, Settled, Settlement, Word,
};

const BEGIN_MS: u64 = 1_795_000_000_000;
const LIVES: u64 = 12;
const STEPS: usize = 700;
const SEGMENT_BYTES: u64 = 64 << 10;

type Engines = LocalEngine<SimDisk>;

/// How far what was refused would have gone into the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    NewWork,
    Leases,
    Ends,
}

fn open(disk: &SimDisk, clock: &Arc<ManualClock>, seed: u64) -> Engines {
    let options = LocalOptions {
        segment_bytes: SEGMENT_BYTES,
        compact_after: 4 * SEGMENT_BYTES,
        history: 0,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        seed,
        ..LocalOptions::default()
    };
    LocalEngine::on(disk.clone(), options).expect("it opens, full or not").0
}

/// A life, and what was acknowledged in it.
struct Life {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    engine: Engines,
    chance: Chance,
    /// Jobs that are kept.
    there: BTreeSet<u64>,
    /// Leases that were handed out and are not settled, as far as is known.
    held: BTreeMap<u64, LeaseRef>,
    gone: BTreeSet<u64>,
    refused: BTreeMap<Class, usize>,
    /// Whether removing all jobs made room for new ones, where that was tried.
    room_by_removing: Option<bool>,
}

impl Life {
    fn begin(seed: u64) -> Life {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(BEGIN_MS)));
        let engine = open(&disk, &clock, seed);
        let (there, held, gone) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        Life {
            disk,
            clock,
            engine,
            chance: Chance(seed),
            there,
            held,
            gone,
            refused: BTreeMap::new(),
            room_by_removing: None,
        }
    }

    async fn ask(&self, command: Command) -> Result<Reply, Error> {
        let context = Context::default();
        let asked = self.engine.execute(&context, vec![command]);
        let answers = tokio::time::timeout(Duration::from_secs(60), asked).await.expect("answered in time");
        answers.expect("a full disk ends no engine").pop().expect("an answer for each")
    }

    /// Runs a command. `None` if there is no room for it, which changes nothing.
    async fn run(&mut self, class: Class, command: Command) -> Option<Reply> {
        match self.ask(command).await {
            Ok(reply) => Some(reply),
            Err(error) if error.word == Word::Full => {
                assert!(error.message.starts_with("disk is full: failed to "), "{error}");
                *self.refused.entry(class).or_default() += 1;
                None
            }
            // A lease that ran out, a job that is in no such state.
            Err(_) => None,
        }
    }

    async fn enqueue(&mut self) -> bool {
        let bytes = 100 + self.chance.below(3_000);
        let jobs = vec![NewJob::new("n", vec![b'x'; bytes]); 1 + self.chance.below(3)];
        let jobs = if self.chance.below(200) == 0 { vec![NewJob::new("n", vec![b'y'; 30_000]); 5] } else { jobs };
        let delay = (self.chance.below(5) == 0).then(|| 10 + self.chance.below(2_000) as u64);
        let options = Arc::new(JobOptions { delay_ms: delay, ..JobOptions::default() });
        let jobs = jobs.into_iter().map(|job| NewJob { options: Arc::clone(&options), ..job }).collect();
        match self.run(Class::NewWork, Command::Enqueue { queue: "q".into(), jobs }).await {
            Some(Reply::Enqueued(added)) => {
                self.there.extend(added.iter().map(|added| added.number.0));
                true
            }
            _ => false,
        }
    }

    async fn lease(&mut self) {
        let order = LeaseOrder {
            queues: vec!["q".into()],
            limit: 1 + self.chance.below(8) as u32,
            worker: "w".into(),
            lease_ms: None,
        };
        if let Some(Reply::Leased(leased)) = self.run(Class::Leases, Command::Lease(order)).await {
            self.held
                .extend(leased.iter().map(|job| (job.number.0, LeaseRef { number: job.number, token: job.token })));
        }
    }

    async fn settle(&mut self) {
        let Some(&number) = self.held.keys().nth(self.chance.below(self.held.len())) else { return };
        let lease = self.held[&number];
        let outcome = match self.chance.below(4) {
            0 => Outcome::Complete { result: Some(vec![b'r'; self.chance.below(500)].into()) },
            1 => Outcome::Fail { kind: "exit".into(), error: "it broke".into(), retryable: true },
            2 => Outcome::Release,
            _ => Outcome::Snooze { delay_ms: Some(500) },
        };
        let settlements = vec![Settlement { lease, outcome }];
        let before = self.held.remove(&number);
        match self.run(Class::Ends, Command::Settle { settlements, then_lease: None }).await {
            Some(Reply::Settled { settled, .. }) => {
                let counted = matches!(settled.first(), Some(Ok(Settled::Counted)));
                assert!(counted || matches!(&settled[0], Err(error) if error.word == Word::Stale), "{settled:?}");
            }
            _ => self.held.extend(before.map(|lease| (number, lease))),
        }
    }

    async fn remove(&mut self) {
        let Some(&number) = self.there.iter().nth(self.chance.below(self.there.len())) else { return };
        let command = Command::Job { job: JobNumber(number).into(), verb: JobVerb::Remove { force: true } };
        if self.run(Class::Ends, command).await.is_some() {
            self.there.remove(&number);
            self.held.remove(&number);
            self.gone.insert(number);
        }
    }

    async fn step(&mut self) {
        match self.chance.below(20) {
            0..9 => drop(self.enqueue().await),
            9..13 => self.lease().await,
            13..17 => self.settle().await,
            17 => self.remove().await,
            _ => self.pass(self.chance.clone().below(1_200) as u64).await,
        }
    }

    /// Lets time pass and whoever waits for it have a turn.
    async fn pass(&mut self, ms: u64) {
        self.chance.draw();
        self.clock.advance(ms);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Jobs that are gone by age do not happen here: what was acknowledged is there, what was removed is not.
    async fn check_on(&self, engine: &Engines) {
        for &number in &self.there {
            engine.job(JobNumber(number).into()).await.expect("an acknowledged job is there");
        }
        for &number in self.gone.iter().take(50) {
            let missing = engine.job(JobNumber(number).into()).await.expect_err("it was removed");
            assert_eq!(missing.word, Word::NoJob);
        }
    }

    /// Power fails now: the start that follows finds the disk as full as it was.
    async fn check_crash(&mut self) {
        let loss = match self.chance.below(3) {
            0 => Loss::Everything,
            1 => Loss::Nothing,
            _ => Loss::Sectors(self.chance.draw()),
        };
        let image = self.disk.after_power_loss(loss);
        image.set_capacity(Some(image.used()));
        let engine = open(&image, &Arc::new(ManualClock::new(BEGIN_MS + 10_000_000)), 1);
        self.check_on(&engine).await;
    }

    /// Whether new work is accepted before so many tries, while time passes.
    async fn accepts_within(&mut self, tries: usize) -> bool {
        for _ in 0..tries {
            if self.enqueue().await {
                return true;
            }
            self.pass(300).await;
            // Snapshots are made at the lowest priority: on a busy machine that takes its time.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Waits until new work is accepted.
    async fn accepts(&mut self) {
        if !self.accepts_within(2_000).await {
            let refused = self.ask(Command::Enqueue { queue: "q".into(), jobs: vec![NewJob::new("n", "1")] }).await;
            panic!("nothing is accepted: {refused:?}; {:?} of {}", self.disk.list_sizes(), self.disk.used());
        }
    }
}

/// What the disk's files take, for messages.
trait Sizes {
    fn list_sizes(&self) -> Vec<(String, usize)>;
}

impl Sizes for SimDisk {
    fn list_sizes(&self) -> Vec<(String, usize)> {
        self.files().into_iter().map(|(name, bytes)| (name, bytes.len())).collect()
    }
}

/// Nothing ages out, so that it is known which jobs are kept.
async fn keep_all(life: &Life) {
    let day = 86_400_000 * 300;
    let settings = QueueSettings {
        keep_completed: Some(1_000_000),
        keep_completed_ms: Some(day),
        keep_dead_ms: Some(day),
        ..QueueSettings::default()
    };
    let patch = SettingsPatch { set: settings, reset: Vec::new() };
    life.ask(Command::SetQueue { queue: "q".into(), patch }).await.expect("set");
}

/// Refuses of a full disk come in order: what a class is refused, every class before it is refused, too.
async fn check_order(life: &mut Life) {
    let before = life.engine.stats().await.expect("reads go on").state_hash;
    let lease =
        Command::Lease(LeaseOrder { queues: vec!["nobody".into()], limit: 1, worker: "w".into(), lease_ms: None });
    let ends = Command::Job { job: JobRef::Number(JobNumber(u64::MAX >> 1)), verb: JobVerb::Cancel };
    let new = Command::Enqueue { queue: "q".into(), jobs: Vec::new() };
    let mut full = Vec::new();
    for command in [ends, lease, new] {
        full.push(life.ask(command).await.is_err_and(|error| error.word == Word::Full));
    }
    let after = life.engine.stats().await.expect("reads go on").state_hash;
    if before == after {
        assert!(full.is_sorted(), "refused: settling {}, leasing {}, new work {}", full[0], full[1], full[2]);
    }
}

/// What was refused how often, and whether removing jobs made room, where that was tried.
async fn live(seed: u64) -> (BTreeMap<Class, usize>, Option<bool>) {
    let mut life = Life::begin(seed);
    keep_all(&life).await;
    let full_from = life.chance.below(STEPS / 2);
    for step in 0..STEPS {
        if step == full_from {
            // Sometimes there is still room for some segments, sometimes for none.
            let more = [0, SEGMENT_BYTES, 5 * SEGMENT_BYTES][life.chance.below(3)];
            life.disk.set_capacity(Some(life.disk.used() + more));
        }
        life.step().await;
        if step % 50 == 49 {
            check_order(&mut life).await;
            life.check_crash().await;
        }
    }
    // To the end of the reserve: other programs take what comes free.
    for _ in 0..6_000 {
        life.disk.set_capacity(Some(life.disk.used()));
        let before = life.refused.get(&Class::Ends).copied().unwrap_or(0);
        life.lease().await;
        life.settle().await;
        let set = QueueSettings { attempts: Some(7), ..QueueSettings::default() };
        let patch = SettingsPatch { set, reset: Vec::new() };
        life.run(Class::Ends, Command::SetQueue { queue: "q".into(), patch }).await;
        if life.refused.get(&Class::Ends).copied().unwrap_or(0) > before {
            break;
        }
    }
    check_order(&mut life).await;
    life.check_crash().await;
    let engine = life.engine.clone();
    life.check_on(&engine).await;
    if seed.is_multiple_of(2) {
        // Somebody makes room on the disk.
        life.disk.set_capacity(None);
    } else {
        // A start on the full disk, and room is made by removing jobs; the reserve can be made again.
        life.engine.close().await.expect("it closes");
        life.disk.set_capacity(Some((life.disk.used() + 8 * SEGMENT_BYTES).max(16 * SEGMENT_BYTES)));
        life.engine = open(&life.disk, &life.clock, seed);
        let engine = life.engine.clone();
        life.check_on(&engine).await;
        life.held.clear();
        purge(&mut life).await;
        life.room_by_removing = Some(life.accepts_within(500).await);
        if life.room_by_removing == Some(false) {
            // Where neither the snapshot's file nor a free block is left, removing gives nothing back by itself. What is
            // missing then is the reserve, whose file for a snapshot goes by the state's size: as much again is enough.
            life.disk.set_capacity(Some(2 * life.disk.used() + 8 * SEGMENT_BYTES));
        }
    }
    life.accepts().await;
    let refused = std::mem::take(&mut life.refused);
    let engine = life.engine.clone();
    life.check_on(&engine).await;
    life.check_crash().await;
    (refused, life.room_by_removing)
}

/// Removes all jobs, as an operator would.
async fn purge(life: &mut Life) {
    for verb in [BulkVerb::Cancel, BulkVerb::Remove] {
        let filter = JobFilter { queue: Some("q".into()), ..JobFilter::default() };
        for tries in 0.. {
            let command = Command::StartOperation { verb, filter: filter.clone() };
            if life.run(Class::Ends, command).await.is_some() {
                break;
            }
            assert!(tries < 1_000, "no room for an operation: {:?}", life.disk.list_sizes());
            life.pass(300).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let running = async |life: &Life| {
        let operations = life.engine.operations().await.expect("reads go on");
        operations.iter().any(|operation| operation.ended_at_ms.is_none())
    };
    for tries in 0.. {
        if !running(life).await {
            break;
        }
        assert!(tries < 2_000, "an operation does not end: {:?}", life.disk.list_sizes());
        life.pass(300).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut there = BTreeSet::new();
    for &number in &life.there {
        match life.engine.job(JobNumber(number).into()).await {
            Ok(job) => {
                assert!(job.summary.state != JobState::Waiting || !life.gone.contains(&number));
                there.insert(number);
            }
            Err(_) => drop(life.gone.insert(number)),
        }
    }
    life.there = there;
}

#[expect(clippy::disallowed_methods, reason = "a seed that is new each time, and printed")]
fn seed() -> u64 {
    let nanos = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    std::env::var("LONGSHORE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(nanos)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_by_class_loses_nothing_and_accepts_again() {
    let first = seed();
    let mut all: BTreeMap<Class, usize> = BTreeMap::new();
    let (mut tried, mut made_room) = (0, 0);
    for life in 0..LIVES {
        println!("LONGSHORE_SEED={first}, life {life}");
        let (refused, room_by_removing) = live(first.wrapping_add(life)).await;
        for (class, count) in refused {
            *all.entry(class).or_default() += count;
        }
        tried += usize::from(room_by_removing.is_some());
        made_room += usize::from(room_by_removing == Some(true));
    }
    println!("refused: {all:?}; removing all jobs made room in {made_room} of {tried} lives");
    assert!(2 * made_room >= tried, "removing jobs makes room as a rule: {made_room} of {tried}");
    for class in [Class::NewWork, Class::Leases, Class::Ends] {
        assert!(all.contains_key(&class), "{class:?} was never refused: {all:?}");
    }
}

/// Extends the lease of a job, or says what refused that.
async fn extend(life: &mut Life, lease: LeaseRef) -> Result<(), String> {
    match life.ask(Command::Extend { leases: vec![lease], lease_ms: None }).await {
        Ok(Reply::Extended(extended)) => {
            assert!(matches!(extended[..], [Extension::Extended { .. }]), "{extended:?}");
            Ok(())
        }
        Err(refused) if refused.word == Word::Full => Err(format!("{refused}; {:?}", life.disk.list_sizes())),
        other => panic!("{other:?}"),
    }
}

/// Takes what comes free, and all that the reserve has for a class and those before it.
async fn use_up(life: &mut Life, class: Class) {
    for attempts in 1..10_000 {
        life.disk.set_capacity(Some(life.disk.used()));
        match class {
            Class::NewWork => drop(life.enqueue().await),
            Class::Leases => {
                let order = LeaseOrder { queues: vec!["q".into()], limit: 1, worker: "w".into(), lease_ms: None };
                if let Some(Reply::Leased(leased)) = life.run(Class::Leases, Command::Lease(order)).await {
                    let lease = LeaseRef { number: leased[0].number, token: leased[0].token };
                    let settlements = vec![Settlement { lease, outcome: Outcome::Release }];
                    life.run(Class::Ends, Command::Settle { settlements, then_lease: None }).await.expect("it goes on");
                }
            }
            Class::Ends => {
                let set = QueueSettings { attempts: Some(1 + attempts % 9), ..QueueSettings::default() };
                let patch = SettingsPatch { set, reset: Vec::new() };
                life.run(Class::Ends, Command::SetQueue { queue: "other".into(), patch }).await;
            }
        }
        if life.refused.contains_key(&class) {
            return;
        }
    }
    panic!("{class:?} is never refused");
}

async fn reserve_is_made(life: &Life) {
    let files = || life.disk.files();
    while ["reserve-1", "reserve-2", "reserve-snapshot"].iter().any(|name| !files().contains_key(*name)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_for_the_disk_keeps_nothing_else_out() {
    let mut life = Life::begin(1);
    keep_all(&life).await;
    assert!(life.accepts_within(10).await);
    reserve_is_made(&life).await;
    life.disk.set_capacity(Some(life.disk.used() + 3 * SEGMENT_BYTES));
    for _ in 0..3 {
        let jobs = vec![NewJob::new("n", vec![b'l'; 1 << 20])];
        let refused = life.run(Class::NewWork, Command::Enqueue { queue: "q".into(), jobs }).await;
        assert!(refused.is_none(), "there is no room for it");
        let jobs = vec![NewJob::new("n", "1")];
        let enqueue = Command::Enqueue { queue: "q".into(), jobs };
        let mut tries = 0;
        while life.run(Class::NewWork, enqueue.clone()).await.is_none() {
            tries += 1;
            assert!(tries < 200, "nothing is accepted any more: {:?}", life.disk.list_sizes());
            life.pass(300).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_no_job_from_a_worker_that_is_well() {
    let mut life = Life::begin(1);
    keep_all(&life).await;
    for queue in ["mine", "q"] {
        let enqueue = Command::Enqueue { queue: queue.into(), jobs: vec![NewJob::new("n", "1")] };
        life.run(Class::NewWork, enqueue).await.expect("there is room");
    }
    reserve_is_made(&life).await;
    let order = LeaseOrder { queues: vec!["mine".into()], limit: 1, worker: "well".into(), lease_ms: Some(30_000) };
    let Some(Reply::Leased(leased)) = life.run(Class::Leases, Command::Lease(order)).await else { panic!("a lease") };
    let mine = LeaseRef { number: leased[0].number, token: leased[0].token };
    for class in [Class::NewWork, Class::Leases] {
        use_up(&mut life, class).await;
        for _ in 0..4 {
            life.pass(20_000).await;
            let extended = extend(&mut life, mine).await;
            extended.unwrap_or_else(|refused| panic!("{class:?} is refused, and extending, too: {refused}"));
        }
    }
    use_up(&mut life, Class::Ends).await;
    while extend(&mut life, mine).await.is_ok() {
        life.disk.set_capacity(Some(life.disk.used()));
    }
    for _ in 0..4 {
        life.pass(20_000).await;
    }
    // Its time stood still with that of everybody else: it runs from now on.
    life.disk.set_capacity(None);
    let mut tries = 0;
    while let Err(refused) = extend(&mut life, mine).await {
        // Less than a lease, in all, by the engine's clock.
        life.pass(if tries < 20 { 1_000 } else { 0 }).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        tries += 1;
        assert!(tries < 5_000, "there is room again: {refused}");
    }
    life.pass(20_000).await;
    extend(&mut life, mine).await.expect("there is room again");
    let job = life.engine.job(mine.number.into()).await.expect("it is there");
    assert_eq!((job.summary.state, job.stalls), (JobState::Active, 0));
    let settlements = vec![Settlement { lease: mine, outcome: Outcome::Complete { result: None } }];
    let settled = life.run(Class::Ends, Command::Settle { settlements, then_lease: None }).await;
    let Some(Reply::Settled { settled, .. }) = settled else { panic!("there is room") };
    assert!(matches!(settled[..], [Ok(Settled::Counted)]), "{settled:?}");
}
