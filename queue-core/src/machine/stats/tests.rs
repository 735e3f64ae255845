//! The bound, the pairs that change places, and that a snapshot anywhere changes nothing.

use bytes::Bytes;

use super::super::{Blob, Chance, Event, Machine, Restore, Sink, decode, encode, kind_of};
use super::{BYTES, Happened, Stats};
use crate::machine::happened::kind;
use crate::model::{Command, Context, JobVerb, LeaseOrder, LeaseRef, NewJob, Now, Outcome, Reply, Settlement, Step};

/// An event as it is written down: position, instant, kind, body.
type Record = (u64, u64, u16, Vec<u8>);

/// Keeps what is appended.
#[derive(Default)]
struct Log(Vec<Record>);

impl Sink for Log {
    fn append(&mut self, at: u64, event: &Event<'_>) -> u64 {
        let (position, mut body) = (64 * (self.0.len() as u64 + 1), Vec::new());
        encode(event, &mut body);
        self.0.push((position, at, kind_of(event), body));
        position
    }

    fn release(&mut self, _blob: Blob) {}

    fn read(&self, _blob: Blob) -> Bytes {
        Bytes::new()
    }

    fn blob_bytes(&self) -> u64 {
        0
    }
}

fn parts(machine: &Machine) -> Vec<(u16, Vec<u8>)> {
    let mut parts = Vec::new();
    machine.save(&mut |kind, body| parts.push((kind, body.to_vec())));
    parts
}

fn again(machine: &Machine) -> Machine {
    let mut restore = Restore::new();
    for (kind, body) in parts(machine) {
        restore.part(kind, &body).expect("what was saved");
    }
    restore.finish().expect("and is whole")
}

fn fold(machine: &mut Machine, (position, at, kind, body): &Record) {
    machine.evolve(*position, *at, &decode(*kind, body).expect("what was written"));
    machine.drain_released().for_each(drop);
    machine.forget_signals();
}

/// What one worker and one administrator may do, drawn by chance, over more than a day; every event of it.
fn some_life(seed: u64, commands: usize, names: u64) -> (Machine, Vec<Record>) {
    let (mut machine, mut log, mut chance) = (Machine::new(), Log::default(), Chance::new(seed));
    let mut now = Now { steady: 1_000_000_000, wall: 1_000_000_000 };
    machine.start(now, &mut chance, &mut log);
    let mut leased: Vec<LeaseRef> = Vec::new();
    for _ in 0..commands {
        let most = [7, 7, 7, 9_000, 9_000, 90_000, 90_000, 4_000_000];
        let step = chance.next_u64() % most[(chance.next_u64() % 8) as usize];
        now = Now { steady: now.steady + step, wall: now.wall + step };
        machine.elapse(now, &mut log, 1_000);
        let queue = format!("queue {}", chance.next_u64() % 4);
        let name = format!("name {}", chance.next_u64() % names);
        let outcome = match chance.next_u64() % 6 {
            0 => Outcome::Release,
            1 => Outcome::Snooze { delay_ms: Some(10_000) },
            2 => Outcome::Fail { kind: "timeout".into(), error: format!("late in {name}"), retryable: true },
            3 => Outcome::Fail { kind: "exit".into(), error: name.clone(), retryable: false },
            _ => Outcome::Complete { result: None },
        };
        let order = LeaseOrder { queues: vec![queue.clone()], limit: 3, worker: "w".into(), lease_ms: None };
        let command = match chance.next_u64() % 4 {
            0 => Command::Enqueue { queue, jobs: vec![NewJob::new(name, "{}"); 2] },
            1 => Command::Lease(order),
            2 if !leased.is_empty() => {
                let lease = leased.swap_remove((chance.next_u64() % leased.len() as u64) as usize);
                Command::Settle { settlements: vec![Settlement { lease, outcome }], then_lease: None }
            }
            _ => {
                let number = crate::model::JobNumber(1 + chance.next_u64() % 64);
                let verbs = [JobVerb::Retry, JobVerb::Cancel, JobVerb::Promote, JobVerb::Remove { force: true }];
                let verb = verbs[(chance.next_u64() % 4) as usize].clone();
                Command::Job { job: number.into(), verb }
            }
        };
        let reply = machine.apply(now, &mut chance, &Context::default(), &command, &mut log);
        if let Ok(Reply::Leased(new)) = reply {
            leased.extend(new.iter().map(|job| LeaseRef { number: job.number, token: job.token }));
        }
    }
    (machine, log.0)
}

#[test]
fn a_snapshot_at_any_position_changes_nothing() {
    // Few names, and more than there are places for: some change hands.
    for (seed, commands, names) in [(1, 400, 5), (2, 400, 60), (3, 1_500, 4_000)] {
        let (live, records) = some_life(seed, commands, names);
        let expected = parts(&live);
        assert_eq!(live.stats.bytes, live.stats.recount(), "seed {seed}: what is held is counted");
        assert!(expected.iter().filter(|(kind, _)| *kind & 0x8000 != 0).count() > 10, "seed {seed}: much is counted");
        let mut machine = Machine::new();
        let step = (records.len() / 200).max(1);
        for (at, record) in records.iter().enumerate() {
            fold(&mut machine, record);
            if at % step != 0 {
                continue;
            }
            let mut restored = again(&machine);
            assert_eq!(restored.stats.bytes, machine.stats.bytes, "seed {seed}: {at}");
            records[at + 1..].iter().for_each(|record| fold(&mut restored, record));
            assert!(parts(&restored) == expected, "seed {seed}: a snapshot after record {at} changed something");
        }
        assert!(parts(&machine) == expected, "seed {seed}");
    }
}

#[test]
fn a_snapshot_without_statistics_opens_and_they_begin_anew() {
    let (live, _) = some_life(4, 200, 5);
    let mut restore = Restore::new();
    for (kind, body) in parts(&live).into_iter().filter(|(kind, _)| kind & 0x8000 == 0) {
        restore.part(kind, &body).expect("what was saved");
    }
    let restored = restore.finish().expect("it is whole");
    assert_eq!(restored.state_hash(), live.state_hash(), "they are no state");
    assert_eq!(restored.stats.total_bytes(), 0);
}

const START: u64 = 1_000_000_000_000;

/// Jobs of one name in these queues, each leased and completed, four times.
fn fill(stats: &mut Stats, at: u64, queues: std::ops::Range<u32>, chance: &mut Chance) {
    let mut names = super::super::tables::Interned::default();
    names.insert(0, Box::from("work"));
    for queue in queues {
        for _ in 0..4 {
            let (wait, run) = (Some(chance.next_u64() % 100_000), Some(chance.next_u64() % 100_000));
            let happened = Happened { queue, name: 0, kinds: kind::STARTED | kind::COMPLETED, ended: None, wait, run };
            stats.note(at, &happened, &names);
        }
        assert!(stats.total_bytes() <= BYTES, "{} bytes", stats.total_bytes());
    }
}

#[test]
fn the_queues_that_were_idle_longest_go_before_the_bound_is_reached() {
    let (mut stats, mut chance) = (Stats::default(), Chance::new(9));
    (0..1_200).for_each(|minute| {
        fill(&mut stats, START + u64::from(minute) * 60_000, minute * 60..(minute + 1) * 60, &mut chance);
    });
    assert!(stats.total_bytes() > BYTES * 3 / 4, "{} bytes", stats.total_bytes());
    let kept: Vec<u32> = (0..72_000).filter(|&queue| stats.of_queue(queue).is_some()).collect();
    let oldest = kept.iter().find(|&&queue| queue >= 200).expect("most are kept");
    assert!(kept.iter().filter(|&queue| queue >= oldest).count() as u32 == 72_000 - oldest, "the oldest went");
    assert_eq!(stats.bytes, stats.recount());
}

#[test]
fn the_oldest_of_every_series_goes() {
    let (mut stats, mut chance) = (Stats::default(), Chance::new(9));
    (0..600).for_each(|minute| fill(&mut stats, START + minute * 60_000, 0..20, &mut chance));
    let target = stats.total_bytes() / 2;
    stats.make_room(target);
    assert!((target / 2..=target).contains(&stats.total_bytes()), "{} of {target}", stats.total_bytes());
    assert_eq!(stats.bytes, stats.recount());
    let last = START / 60_000 + 599;
    let minutes = |series: &super::Series| {
        let mut minutes = Vec::new();
        series.visit(Step::Minute, &(0..=last), &mut |bucket| minutes.push(bucket.index));
        minutes
    };
    let of_store = minutes(&stats.store);
    assert!(of_store.len() < 400 && of_store.last() == Some(&last));
    assert!(of_store.windows(2).all(|pair| pair[1] == pair[0] + 1), "the oldest went");
    assert!((0..20).all(|queue| minutes(&stats.of_queue(queue).expect("it is busy").all) == of_store), "of all alike");
}

#[test]
fn any_number_of_queues_at_once_stays_within_the_bound() {
    let (mut stats, mut chance) = (Stats::default(), Chance::new(9));
    fill(&mut stats, START, 0..90_000, &mut chance);
    assert_eq!(stats.bytes, stats.recount());
}

#[test]
fn the_busiest_names_have_the_places() {
    let mut stats = Stats::default();
    let mut names = super::super::tables::Interned::default();
    for number in 0..300_u32 {
        names.insert(number, format!("name {number}").into_boxed_str());
    }
    let mut note = |at, name| {
        let happened = Happened { queue: 0, name, kinds: kind::ENQUEUED, ended: None, wait: None, run: None };
        stats.note(at, &happened, &names);
    };
    (0..200).for_each(|name| note(START, name));
    // Five latecomers at ten times the rate of anybody, and many that come but once.
    for minute in 0..3 {
        (0..200).for_each(|name| note(START + minute * 60_000, name));
        (0..10).for_each(|_| (200..205).for_each(|name| note(START + minute * 60_000, name)));
        (205..300).for_each(|name| note(START + minute * 60_000, name));
    }
    let has = |stats: &Stats, wanted: &str| stats.names.pairs().any(|pair| *pair.name == *wanted);
    assert!((200..205).all(|name| has(&stats, &format!("name {name}"))));
    assert_eq!(stats.names.pairs().count(), 200);
    let first = (0..200).filter(|name| has(&stats, &format!("name {name}"))).count();
    assert_eq!(first, 195, "nobody else got a place");
    assert_eq!(stats.bytes, stats.recount());
}

#[test]
fn a_number_that_is_given_anew_counts_for_its_new_name() {
    let (mut machine, mut log, mut chance) = (Machine::new(), Log::default(), Chance::new(5));
    let now = Now { steady: 5_000_000, wall: 5_000_000 };
    machine.start(now, &mut chance, &mut log);
    for name in ["one", "two", "one", "two", "one"] {
        let mut run = |command| {
            machine.apply(now, &mut chance, &Context::default(), &command, &mut log).expect("a sound command")
        };
        let reply = run(Command::Enqueue { queue: "q".into(), jobs: vec![NewJob::new(name, "{}")] });
        let Reply::Enqueued(enqueued) = reply else { panic!("jobs are enqueued") };
        // Nobody has the name any more, and its number is the next one's.
        run(Command::Job { job: enqueued[0].number.into(), verb: JobVerb::Remove { force: false } });
    }
    let mut counts = Vec::new();
    for pair in machine.stats.names.pairs() {
        pair.series.visit(Step::Seconds, &(0..=u64::MAX), &mut |bucket| {
            counts.push((pair.name.to_string(), bucket.named().enqueued, bucket.named().removed));
        });
    }
    assert_eq!(counts, [("one".to_owned(), 3, 3), ("two".to_owned(), 2, 2)]);
}

#[test]
fn the_group_seen_longest_ago_makes_room() {
    let mut failures = super::Failures::default();
    for at in 0..1_000 {
        failures.note(1_000 + at, at, ("exit", &format!("exit: {at}")), 0, "work");
    }
    failures.note(3_000, 1, ("exit", "exit: 0"), 0, "work");
    failures.note(3_001, 1, ("exit", "exit: new"), 0, "work");
    assert_eq!(failures.iter().len(), 1_000);
    assert!(failures.get("exit: 0").is_some() && failures.get("exit: new").is_some());
    assert!(failures.get("exit: 1").is_none(), "it was seen longest ago");
    let (before, long) = (failures.bytes(), "x".repeat(255));
    for at in 0..100_000_u32 {
        failures.note(4_000, 1, ("exit", &format!("{at} {}", &long[..180])), at, &long);
    }
    assert!(before < failures.bytes() && failures.bytes() < 4 << 20, "{} bytes", failures.bytes());
}
