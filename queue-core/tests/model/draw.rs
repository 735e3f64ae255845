//! Draws commands: which kinds, on which jobs and leases, with which options. One seed, one sequence.
//!
//! Each seed gives each kind of command a weight of its own and switches some off entirely, so that rare states get
//! their turn.

use std::sync::Arc;

use queue_core::machine::Chance;
use queue_core::model::{
    Backoff, BulkVerb, Command, Edit, JobFilter, JobNumber, JobOptions, JobRef, JobState, JobVerb, LeaseOrder,
    LeaseRef, LeaseToken, LogLine, LogSource, NewJob, Now, Outcome, QueueSettings, SettingsPatch, Settlement, When,
};

use crate::naive::{DAY_MS, HOUR_MS, Model};

const QUEUES: [&str; 3] = ["a", "b", "c"];

/// What one step does.
pub(crate) enum Step {
    Command(Box<Command>),
    /// Passes so much time.
    Pass(u64),
    /// Moves the wall clock by so much.
    Jump(i64),
    /// The broker ends and starts again; the wall clock moved by so much meanwhile.
    Restart(i64),
}

const KINDS: usize = 14;

pub(crate) struct Draw {
    chance: Chance,
    weights: [u64; KINDS],
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        let mut draw = Self { chance: Chance::new(seed), weights: [0; KINDS] };
        for kind in 0..KINDS {
            draw.weights[kind] = [0, 1, 2, 4, 8][draw.below(5) as usize];
        }
        // Without jobs, leases and time nothing happens at all.
        for kind in [0, 1, 2, 11] {
            draw.weights[kind] += 3;
        }
        draw
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.chance.next_u64() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn maybe<T: Copy>(&mut self, one_in: u64, from: &[T]) -> Option<T> {
        self.one_in(one_in).then(|| self.pick(from))
    }

    fn queue(&mut self) -> String {
        self.pick(&QUEUES).to_owned()
    }

    pub(crate) fn step(&mut self, model: &Model, next_due: Option<u64>) -> Step {
        let mut drawn = self.below(self.weights.iter().sum());
        let mut kind = 0;
        while drawn >= self.weights[kind] {
            drawn -= self.weights[kind];
            kind += 1;
        }
        Step::Command(Box::new(match kind {
            0 => self.enqueue(model.now),
            1 => Command::Lease(self.order()),
            2 => self.settle(model),
            3 => Command::Extend { leases: self.leases(model), lease_ms: self.maybe(4, &[100, 5_000, HOUR_MS]) },
            4 if self.one_in(2) => match self.leases(model).pop() {
                Some(lease) => {
                    let line = || LogLine { source: LogSource::Out, text: "said".to_owned() };
                    Command::Log { lease, lines: (0..self.below(3)).map(|_| line()).collect() }
                }
                None => Command::Lease(self.order()),
            },
            4 => match self.leases(model).pop() {
                Some(lease) => Command::Progress { lease, value: self.bytes() },
                None => Command::Lease(self.order()),
            },
            5 => Command::Job { job: self.job(model), verb: self.end_verb() },
            6 => Command::Job { job: self.job(model), verb: JobVerb::Promote },
            7 => Command::Job { job: self.job(model), verb: self.change_verb(model.now) },
            8 => Command::SetQueue { queue: self.queue(), patch: self.settings() },
            9 if self.one_in(2) => Command::Pause { queue: self.queue() },
            9 => Command::Resume { queue: self.queue() },
            10 => Command::StartOperation { verb: self.pick(BulkVerb::ALL), filter: self.filter() },
            11 => return Step::Pass(self.pass(model, next_due)),
            12 => return Step::Jump(self.jump()),
            _ => return Step::Restart(self.jump()),
        }))
    }

    fn bytes(&mut self) -> bytes::Bytes {
        self.below(1_000).to_string().into()
    }

    fn enqueue(&mut self, now: Now) -> Command {
        let shared = Arc::new(self.options(now));
        let jobs = (0..=self.below(4)).map(|_| {
            let options = if self.one_in(2) { Arc::clone(&shared) } else { Arc::new(self.options(now)) };
            NewJob { name: self.pick(&["send", "resize"]).to_owned(), payload: self.bytes(), options }
        });
        let jobs = jobs.collect();
        Command::Enqueue { queue: self.queue(), jobs }
    }

    fn options(&mut self, now: Now) -> JobOptions {
        let delay_ms = self.maybe(3, &[0, 1, 100, 30_000, DAY_MS]);
        let past_or_future = now.wall + self.pick(&[0, 50, HOUR_MS, 2 * DAY_MS]);
        JobOptions {
            id: self.maybe(4, &["x", "y", "z", "u", "v", "w"]).map(str::to_owned),
            delay_ms,
            run_at_ms: (delay_ms.is_none() && self.one_in(6)).then(|| past_or_future.saturating_sub(25)),
            // Now and then one that is refused, and with it its whole batch.
            priority: if self.one_in(60) { Some(5_000) } else { self.maybe(3, &[-1, 0, 0, 1, 2]) },
            lifo: self.one_in(5),
            attempts: self.maybe(2, &[1, 2, 3]),
            // Without jitter: the model draws no chance.
            backoff: Some(match self.below(3) {
                0 => Backoff::fixed(self.pick(&[0, 10, 1_000])),
                _ => Backoff { max_ms: 3_000, ..Backoff::exponential(self.pick(&[1, 1_000])) },
            }),
            expires_in_ms: self.maybe(5, &[1, 500, 20_000, DAY_MS]),
            keep_ms: self.maybe(5, &[0, 1, HOUR_MS, 3 * DAY_MS]),
            tags: self.maybe(4, &["red", "blue"]).map(str::to_owned).into_iter().collect(),
            headers: self
                .maybe(4, &["1", "2"])
                .map(|value| ("trace".to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            ..JobOptions::default()
        }
    }

    fn order(&mut self) -> LeaseOrder {
        let mut queues = QUEUES.map(str::to_owned).to_vec();
        let turn = self.below(3) as usize;
        queues.rotate_left(turn);
        queues.truncate(1 + self.below(3) as usize);
        let limit = 1 + self.below(4) as u32;
        LeaseOrder {
            queues,
            limit,
            worker: self.pick(&["w", "v", "u"]).to_owned(),
            lease_ms: self.maybe(4, &[100, 60_000]),
        }
    }

    /// Some leases: mostly live ones, also old ones and ones that never were.
    fn leases(&mut self, model: &Model) -> Vec<LeaseRef> {
        let all = |live: bool| -> Vec<LeaseRef> {
            let known = model.jobs.iter().filter(|(_, job)| !live || job.state == JobState::Active);
            let of_job = |(&number, job): (&u64, &crate::naive::Job)| {
                let tokens: Vec<_> = job.leases.iter().map(|lease| lease.0).collect();
                let last = tokens.len().saturating_sub(usize::from(live));
                let skip = if live { last } else { 0 };
                tokens.into_iter().skip(skip).map(move |token| LeaseRef { number: JobNumber(number), token })
            };
            known.flat_map(of_job).collect()
        };
        let (live, old) = (all(true), all(false));
        let mut leases = Vec::new();
        for _ in 0..=self.below(3) {
            let from = if self.one_in(4) { &old } else { &live };
            if from.is_empty() || self.one_in(40) {
                leases.push(LeaseRef { number: JobNumber(1), token: LeaseToken(model.last_token + 1_000) });
            } else {
                leases.push(self.pick(from));
            }
        }
        leases
    }

    fn settle(&mut self, model: &Model) -> Command {
        let settlements = self.leases(model).into_iter().map(|lease| {
            let outcome = match self.below(10) {
                0..4 => Outcome::Complete { result: self.one_in(2).then(|| self.bytes()) },
                4..7 => Outcome::Fail { kind: "exit".into(), error: "it broke".into(), retryable: !self.one_in(4) },
                7..9 => Outcome::Release,
                _ => Outcome::Snooze { delay_ms: self.maybe(2, &[0, 1, 700]) },
            };
            Settlement { lease, outcome }
        });
        let settlements = settlements.collect();
        Command::Settle { settlements, then_lease: self.one_in(3).then(|| self.order()) }
    }

    fn job(&mut self, model: &Model) -> JobRef {
        if self.one_in(6) {
            let queue = (!self.one_in(3)).then(|| self.queue());
            return JobRef::Id { queue, id: self.pick(&["x", "y", "z", "u", "v", "w"]).to_owned() };
        }
        let numbers: Vec<u64> = model.jobs.keys().copied().collect();
        match numbers.is_empty() || self.one_in(20) {
            true => JobNumber(1 + self.below(50)).into(),
            false => JobNumber(self.pick(&numbers)).into(),
        }
    }

    fn end_verb(&mut self) -> JobVerb {
        match self.below(6) {
            0..2 => JobVerb::Cancel,
            2..4 => JobVerb::Retry,
            4 => JobVerb::Remove { force: false },
            _ => JobVerb::Remove { force: true },
        }
    }

    fn change_verb(&mut self, now: Now) -> JobVerb {
        match self.below(5) {
            0 => JobVerb::Reschedule(When::DelayMs(self.pick(&[0, 1, 500, DAY_MS]))),
            1 => JobVerb::Reschedule(When::RunAtMs(now.wall + self.pick(&[0, 1, 500, DAY_MS]) - 1)),
            2 => JobVerb::Edit(Edit { payload: Some(self.bytes()), priority: self.maybe(2, &[0, 1]), retry: false }),
            3 => JobVerb::Edit(Edit { payload: Some(self.bytes()), priority: self.maybe(2, &[0, 1]), retry: true }),
            _ => JobVerb::Edit(Edit { payload: None, priority: Some(self.pick(&[-1, 0, 1, 2])), retry: false }),
        }
    }

    fn settings(&mut self) -> SettingsPatch {
        let set = QueueSettings {
            attempts: self.maybe(4, &[1, 2, 5]),
            backoff: None,
            timeout_ms: None,
            expires_in_ms: self.maybe(8, &[0, 1_000]),
            lease_ms: self.maybe(3, &[100, 1_000, 30_000]),
            stalls: self.maybe(3, &[0, 1, 3]),
            keep_completed: self.maybe(3, &[0, 1, 3, 100]),
            keep_completed_ms: self.maybe(4, &[0, 1, HOUR_MS]),
            keep_cancelled: self.maybe(4, &[0, 2, 100]),
            keep_cancelled_ms: self.maybe(4, &[0, HOUR_MS]),
            keep_dead_ms: self.maybe(4, &[0, 1, DAY_MS]),
            remember_ids_ms: self.maybe(4, &[0, 1, HOUR_MS, DAY_MS]),
        };
        let reset = match self.below(4) {
            0 if set.lease_ms.is_none() => vec!["lease_ms".to_owned()],
            1 if set.keep_completed.is_none() => vec!["keep_completed".to_owned()],
            _ => Vec::new(),
        };
        SettingsPatch { set, reset }
    }

    fn filter(&mut self) -> JobFilter {
        JobFilter {
            queue: (!self.one_in(3)).then(|| self.queue()),
            states: self.maybe(2, JobState::ALL).into_iter().collect(),
            ..JobFilter::default()
        }
    }

    /// How long to wait: often to the millisecond of what is due next, or just before it.
    fn pass(&mut self, model: &Model, next_due: Option<u64>) -> u64 {
        let until_due = next_due.filter(|&due| due < u64::MAX).map(|due| due.saturating_sub(model.now.steady));
        match (self.below(6), until_due) {
            (0..2, Some(ms)) => ms,
            (2, Some(ms)) => ms.saturating_sub(1),
            _ => self.pick(&[0, 1, 99, 100, 1_000, 30_000, 61_000, 601_000, HOUR_MS, DAY_MS, 3 * DAY_MS]),
        }
    }

    fn jump(&mut self) -> i64 {
        let ms = self.pick(&[0, 0, 1_000, 59_000, 61_000, HOUR_MS, 2 * DAY_MS, 365 * DAY_MS]) as i64;
        if self.one_in(2) { ms } else { -ms }
    }
}
