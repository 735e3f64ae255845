//! What the drawn cases are too small to meet, step by step on the machine alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use queue_core::machine::{By, Due, Event, Next};
use queue_core::model::{
    Added, BulkVerb, Command, Edit, JobFilter, JobNumber, JobOptions, JobRef, JobState, JobVerb, LeaseOrder, LeaseRef,
    LeasedJob, LogLine, LogSource, NewJob, Now, OperationNumber, OperationState, Outcome, QueueSettings, Reply,
    SettingsPatch, Settlement, When,
};

use crate::store::Store;

const BEGIN: Now = Now { steady: 1_000_000, wall: 1_000_000 };

fn started() -> Store {
    let mut store = Store::new(1);
    store.start(BEGIN);
    store
}

fn later(ms: u64) -> Now {
    Now { steady: BEGIN.steady + ms, wall: BEGIN.wall + ms }
}

fn done(store: &mut Store, now: Now, command: &Command) -> Reply {
    store.apply(now, command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn enqueue(store: &mut Store, queue: &str, count: usize, options: JobOptions) {
    let job = NewJob { options: Arc::new(options), ..NewJob::new("send", "1") };
    done(store, BEGIN, &Command::Enqueue { queue: queue.to_owned(), jobs: vec![job; count] });
}

fn lease(store: &mut Store, now: Now, queue: &str, limit: u32) -> Vec<LeasedJob> {
    let order = LeaseOrder { queues: vec![queue.to_owned()], limit, worker: "w".to_owned(), lease_ms: Some(60_000) };
    match done(store, now, &Command::Lease(order)) {
        Reply::Leased(leased) => leased,
        other => panic!("{other:?}"),
    }
}

fn complete(store: &mut Store, leased: &[LeasedJob]) {
    let settled = |job: &LeasedJob| Settlement {
        lease: LeaseRef { number: job.number, token: job.token },
        outcome: Outcome::Complete { result: None },
    };
    let settlements = leased.iter().map(settled).collect();
    done(store, BEGIN, &Command::Settle { settlements, then_lease: None });
}

fn keep_completed(store: &mut Store, count: u64) {
    let set = QueueSettings { keep_completed: Some(count), ..QueueSettings::default() };
    let patch = SettingsPatch { set, reset: Vec::new() };
    done(store, BEGIN, &Command::SetQueue { queue: "big".to_owned(), patch });
}

#[test]
fn a_start_is_one_event_however_many_leases_live() {
    let mut store = started();
    enqueue(&mut store, "q", 1_000, JobOptions::default());
    let leased = lease(&mut store, BEGIN, "q", 1_000);
    store.replay();
    let before = store.events();
    store.start(later(3_600_000));
    assert_eq!(store.events(), before + 1);
    store.replay();
    assert!(!store.machine.elapse(later(3_659_999), &mut store.recorder, usize::MAX));
    assert_eq!(store.events(), before + 1, "each lease has its full length again");
    store.machine.elapse(later(3_660_000), &mut store.recorder, usize::MAX);
    assert_eq!(store.events(), before + 1 + leased.len());
}

#[test]
fn what_is_due_comes_before_what_ages_out() {
    let mut store = started();
    keep_completed(&mut store, 1_000);
    enqueue(&mut store, "big", 200, JobOptions::default());
    let leased = lease(&mut store, BEGIN, "big", 200);
    complete(&mut store, &leased);
    enqueue(&mut store, "q", 1, JobOptions { delay_ms: Some(1_000), ..JobOptions::default() });
    let at = Some(BEGIN.wall + 2_000);
    enqueue(&mut store, "q", 1, JobOptions { run_at_ms: at, ..JobOptions::default() });
    // Since before either came due, 200 jobs are too many.
    keep_completed(&mut store, 0);
    assert!(store.machine.elapse(later(2_000), &mut store.recorder, 2), "more is due");
    assert_eq!(lease(&mut store, later(2_000), "q", 10).len(), 2);
    assert_eq!(store.machine.jobs(), 202, "nothing has aged out yet");
    store.elapse(later(2_000));
    assert_eq!(store.machine.jobs(), 2);
}

#[test]
fn a_job_whose_time_is_now_waits_and_one_a_millisecond_later_is_delayed() {
    let mut store = started();
    let at = |ms: u64| JobOptions { run_at_ms: Some(BEGIN.wall + ms), ..JobOptions::default() };
    enqueue(&mut store, "q", 1, at(1));
    enqueue(&mut store, "q", 1, at(0));
    let leased = lease(&mut store, BEGIN, "q", 10);
    assert_eq!(leased.into_iter().map(|job| job.number.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_operation_that_ended_first_is_forgotten_first() {
    let mut store = started();
    enqueue(&mut store, "q", 1, JobOptions::default());
    let mut start = || {
        let start = Command::StartOperation { verb: BulkVerb::Retry, filter: JobFilter::default() };
        match done(&mut store, BEGIN, &start) {
            Reply::Operation(view) => view.operation,
            other => panic!("{other:?}"),
        }
    };
    let first = start();
    let second = start();
    let rest: Vec<OperationNumber> = (0..99).map(|_| start()).collect();
    let mut cancel = |operation| match done(&mut store, BEGIN, &Command::CancelOperation { operation }) {
        Reply::Operation(view) => assert_eq!((view.operation, view.state), (operation, OperationState::Cancelled)),
        other => panic!("{other:?}"),
    };
    cancel(second);
    rest.into_iter().for_each(&mut cancel);
    // The oldest of all ends last.
    cancel(first);
    store.apply(BEGIN, &Command::ShowOperation { operation: second }).expect_err("it ended a hundred ends ago");
    store.replay();
    done(&mut store, BEGIN, &Command::ShowOperation { operation: first });
}

#[test]
fn a_timeline_keeps_the_first_and_the_last_leases() {
    let mut store = started();
    enqueue(&mut store, "q", 1, JobOptions::default());
    for at in 0..130 {
        if at == 110 {
            store.fork();
        }
        let leased = lease(&mut store, later(at), "q", 1).remove(0);
        let lease = LeaseRef { number: leased.number, token: leased.token };
        let settlements = vec![Settlement { lease, outcome: Outcome::Release }];
        done(&mut store, later(at), &Command::Settle { settlements, then_lease: None });
    }
    store.replay();
    let Reply::Job(job) = done(&mut store, later(130), &Command::ShowJob { job: JobNumber(1).into() }) else {
        panic!("a job is shown");
    };
    assert_eq!((job.summary.state, job.leases_left_out), (JobState::Waiting, 30));
    let shown: Vec<u32> = job.leases.iter().map(|lease| lease.lease).collect();
    assert_eq!(shown, (1..=20).chain(51..=130).collect::<Vec<_>>());
}

#[test]
fn an_operation_takes_a_job_once_though_it_comes_back_between_steps() {
    let mut store = started();
    enqueue(&mut store, "q", 1_500, JobOptions::default());
    let mut at = 0;
    // Rejects all that is ready.
    let mut reject = |store: &mut Store| loop {
        at += 1;
        let leased = lease(store, later(at), "q", 1_000);
        let outcome = || Outcome::Fail { kind: "exit".to_owned(), error: "no".to_owned(), retryable: false };
        let settlement = |job: &LeasedJob| Settlement {
            lease: LeaseRef { number: job.number, token: job.token },
            outcome: outcome(),
        };
        let settlements: Vec<_> = leased.iter().map(settlement).collect();
        if settlements.is_empty() {
            return later(at);
        }
        done(store, later(at), &Command::Settle { settlements, then_lease: None });
    };
    let now = reject(&mut store);
    let filter = JobFilter { states: vec![JobState::Dead], ..JobFilter::default() };
    done(&mut store, now, &Command::StartOperation { verb: BulkVerb::Retry, filter });
    let mut now = now;
    while store.machine.advance_operations(now, &mut store.recorder) {
        now = reject(&mut store);
    }
    let operation = OperationNumber(1);
    let Reply::Operation(view) = done(&mut store, now, &Command::ShowOperation { operation }) else {
        panic!("an operation is shown");
    };
    assert_eq!((view.state, view.changed), (OperationState::Finished, 1_500));
    for number in 1..=1_500 {
        let Reply::Job(job) = done(&mut store, now, &Command::ShowJob { job: JobNumber(number).into() }) else {
            panic!("a job is shown");
        };
        assert_eq!((job.round, job.summary.state), (2, JobState::Dead), "job {number}");
    }
}

/// Of every kind of event at least one, in a store that lives a while.
fn a_bit_of_everything() -> Store {
    let mut store = started();
    let options = JobOptions {
        tags: vec!["a".to_owned()],
        expires_in_ms: Some(500_000),
        headers: [("trace".to_owned(), "1".to_owned())].into(),
        ..JobOptions::default()
    };
    for id in 0..6 {
        enqueue(&mut store, "q", 1, JobOptions { id: Some(format!("x{id}")), ..options.clone() });
    }
    enqueue(&mut store, "q", 1, JobOptions { delay_ms: Some(10), ..JobOptions::default() });
    enqueue(&mut store, "q", 1, JobOptions { expires_in_ms: Some(5), priority: Some(-9), ..JobOptions::default() });
    let leased = lease(&mut store, BEGIN, "q", 4);
    let lease_of = |at: usize| LeaseRef { number: leased[at].number, token: leased[at].token };
    let by_id = |id: &str| JobRef::Id { queue: Some("q".to_owned()), id: id.to_owned() };
    let verb = |job: JobRef, verb| Command::Job { job, verb };
    let settle = |at, outcome| Command::Settle {
        settlements: vec![Settlement { lease: lease_of(at), outcome }],
        then_lease: None,
    };
    let set = QueueSettings { keep_completed: Some(5), keep_dead_ms: Some(1_000), ..QueueSettings::default() };
    let config = vec![("q".to_owned(), QueueSettings { stalls: Some(2), ..QueueSettings::default() })];
    let line = LogLine { source: LogSource::Out, text: "said".to_owned() };
    let fail = Outcome::Fail { kind: "exit".into(), error: "it broke".into(), retryable: false };
    let commands = [
        Command::Extend { leases: vec![lease_of(0)], lease_ms: Some(90_000) },
        Command::Progress { lease: lease_of(0), value: "50".into() },
        Command::Log { lease: lease_of(0), lines: vec![line] },
        settle(0, Outcome::Complete { result: Some("42".into()) }),
        settle(1, fail),
        settle(2, Outcome::Snooze { delay_ms: Some(70) }),
        settle(3, Outcome::Release),
        verb(by_id("x2"), JobVerb::Promote),
        verb(by_id("x2"), JobVerb::Reschedule(When::DelayMs(50_000))),
        verb(by_id("x4"), JobVerb::Edit(Edit { payload: Some("2".into()), priority: Some(3), ..Edit::default() })),
        verb(by_id("x5"), JobVerb::Cancel),
        verb(by_id("x5"), JobVerb::Retry),
        verb(by_id("x5"), JobVerb::Remove { force: false }),
        Command::SetQueue { queue: "q".to_owned(), patch: SettingsPatch { set, reset: Vec::new() } },
        Command::ApplyConfig { queues: config },
        Command::Pause { queue: "q".to_owned() },
        Command::Resume { queue: "q".to_owned() },
        Command::StartOperation { verb: BulkVerb::Promote, filter: JobFilter::default() },
    ];
    for command in &commands {
        done(&mut store, later(1), command);
    }
    let [active] = &lease(&mut store, later(2), "q", 1)[..] else { panic!("a job is ready") };
    done(&mut store, later(2), &verb(active.number.into(), JobVerb::Cancel));
    // Time does the rest: a delay, an operation, a lease's end, a death, retention, ids forgotten, a jump of the clock.
    for ms in [20, 61_000, 600_000, 200_000_000] {
        store.elapse(later(ms));
    }
    let jumped = Now { wall: later(200_000_000).wall + 3_600_000, ..later(200_000_000) };
    store.watch_clock(jumped).expect("a jump of an hour");
    store
}

/// The same event, but for one thing that is state.
fn changed(event: Event<'_>) -> Option<Event<'_>> {
    let other = By { actor: "somebody", reason: "else" };
    Some(match event {
        Event::StoreCreated { key } => Event::StoreCreated { key: [key[0], !key[1]] },
        Event::Started { epoch, wall, removal_from } => Event::Started { epoch, wall: wall + 1, removal_from },
        Event::ClockMoved { wall, removal_from } => Event::ClockMoved { wall: wall + 1, removal_from },
        Event::QueueCreated { queue, .. } => Event::QueueCreated { queue, name: "other" },
        Event::NameAdded { name, .. } => Event::NameAdded { name, text: "other" },
        Event::WorkerAdded { worker, .. } => Event::WorkerAdded { worker, text: "other" },
        Event::PolicyAdded { policy, mut value } => {
            value.keep_ms = Some(value.keep_ms.map_or(0, |ms| ms + 1));
            Event::PolicyAdded { policy, value }
        }
        Event::Enqueued(mut row) if row.tags.is_empty() => {
            row.expires_at = Some(1);
            Event::Enqueued(row)
        }
        Event::Enqueued(mut row) => {
            row.tags.push("b");
            Event::Enqueued(row)
        }
        Event::Leased { number, token, worker, expires_at, forget } => {
            Event::Leased { number, token: token.next(), worker, expires_at, forget }
        }
        Event::Extended { number, expires_at } => Event::Extended { number, expires_at: expires_at + 1 },
        Event::Completed { number, late, .. } => Event::Completed { number, late, result: None },
        Event::Failed { number, late, kind, next, error, .. } => {
            Event::Failed { number, late, kind, fingerprint: "other", next, error }
        }
        Event::Released { number, late, .. } => Event::Released { number, late, next: Next::Cancelled, void: false },
        Event::Snoozed { number, late, .. } => Event::Snoozed { number, late, next: Next::Delayed(1) },
        Event::LeaseExpired { number, .. } => Event::LeaseExpired { number, next: Next::Delayed(1) },
        Event::Progressed { number, .. } => Event::Progressed { number, value: b"100" },
        Event::Logged { number, lines, drop, chunk } => Event::Logged { number, lines: lines + 1, drop, chunk },
        Event::Rescheduled { number, by, .. } => Event::Rescheduled { number, due: Due::Wall(1), by },
        Event::Edited { number, rank, by, payload, .. } => {
            Event::Edited { number, priority: Some(-7), rank, by, payload }
        }
        Event::CancelRequested { number, .. } => Event::CancelRequested { number, by: other },
        Event::CameDue { number, rank } => Event::CameDue { number, rank: rank + 1 },
        Event::Promoted { number, rank, by } => Event::Promoted { number, rank: rank + 1, by },
        Event::Retried { number, rank, by, .. } => Event::Retried { number, rank, expires_at: Some(1), by },
        Event::Removed { number, remember_until, by } => {
            Event::Removed { number, remember_until: remember_until + 1, by }
        }
        Event::AgedOut { number, remember_until } => Event::Removed { number, remember_until, by: other },
        Event::IdsForgotten { queue, count } => Event::IdsForgotten { queue, count: count - 1 },
        Event::QueueSet { queue, reset, config: config @ Some(_), by, .. } => {
            Event::QueueSet { queue, set: "{}", reset, config, by }
        }
        Event::QueueSet { queue, set, reset, config, .. } => Event::QueueSet { queue, set, reset, config, by: other },
        Event::QueuePaused { queue, .. } => Event::QueuePaused { queue, by: other },
        Event::QueueResumed { queue, by } => Event::QueuePaused { queue, by },
        Event::OperationStarted { operation, last_token, filter, by, .. } => {
            Event::OperationStarted { operation, verb: BulkVerb::Retry, last_token, filter, by }
        }
        Event::OperationAdvanced { operation, looked_at, changed, .. } => {
            Event::OperationAdvanced { operation, cursor: "0.0.0.0.0", looked_at, changed }
        }
        Event::OperationEnded { operation, forget, by, .. } => {
            Event::OperationEnded { operation, state: OperationState::Cancelled, forget, by }
        }
        Event::Expired { .. } | Event::Cancelled { .. } | Event::Digest { .. } => return None,
    })
}

#[test]
fn an_id_that_is_remembered_twice_is_restored_as_its_newest_job() {
    let mut store = started();
    let remember = |store: &mut Store, ms| {
        let set = QueueSettings { remember_ids_ms: Some(ms), ..QueueSettings::default() };
        let patch = SettingsPatch { set, reset: Vec::new() };
        done(store, BEGIN, &Command::SetQueue { queue: "q".to_owned(), patch });
    };
    let come_and_go = |store: &mut Store, now, id: &str| {
        let job = NewJob::new("send", "1").with(JobOptions { id: Some(id.to_owned()), ..JobOptions::default() });
        let Reply::Enqueued(enqueued) = done(store, now, &Command::Enqueue { queue: "q".to_owned(), jobs: vec![job] })
        else {
            panic!("a job is enqueued")
        };
        let verb = JobVerb::Remove { force: false };
        if enqueued[0].added == Added::Created {
            done(store, now, &Command::Job { job: enqueued[0].number.into(), verb });
        }
        enqueued[0]
    };
    // What is remembered for long goes first, and holds up what comes after it.
    remember(&mut store, 1_000);
    come_and_go(&mut store, BEGIN, "long");
    remember(&mut store, 10);
    let first = come_and_go(&mut store, BEGIN, "x");
    let second = come_and_go(&mut store, later(10), "x");
    assert_eq!((first.added, second.added), (Added::Created, Added::Created));
    store.fork();
    let third = come_and_go(&mut store, later(19), "x");
    assert_eq!((third.number, third.added), (second.number, Added::ExistingGone));
    store.elapse(later(1_000));
    assert_eq!(come_and_go(&mut store, later(1_000), "x").added, Added::Created);
    store.replay();
}

#[test]
fn a_snapshot_may_be_taken_after_any_event() {
    a_bit_of_everything().restore_after_each_event();
}

#[test]
fn whatever_a_fold_gets_wrong_changes_the_hash() {
    let store = a_bit_of_everything();
    let mut kinds = BTreeSet::new();
    for count in 1..=store.events() {
        let (kind, last, hashes) = store.hashes_with_last_changed(count, changed);
        kinds.insert(kind);
        if let Some((right, wrong)) = hashes {
            assert_ne!(right, wrong, "{last}");
        }
    }
    assert_eq!(kinds.len(), 34, "every kind of event: {kinds:?}");
}

fn held(job: &LeasedJob) -> LeaseRef {
    LeaseRef { number: job.number, token: job.token }
}

fn settled(job: &LeasedJob, outcome: Outcome) -> Command {
    Command::Settle { settlements: vec![Settlement { lease: held(job), outcome }], then_lease: None }
}

/// What each of these jobs takes more after a command for it.
fn beside(store: &mut Store, jobs: &[LeasedJob], command: impl Fn(&LeasedJob) -> Command) -> u64 {
    let before = store.machine.row_bytes();
    for job in jobs {
        done(store, BEGIN, &command(job));
    }
    (store.machine.row_bytes() - before) / jobs.len() as u64
}

#[test]
fn what_jobs_take_is_counted() {
    let mut store = started();
    let empty = store.machine.row_bytes();
    let mut each = |options: JobOptions| {
        let before = store.machine.row_bytes();
        for number in 0..640 {
            let id = options.id.as_ref().map(|id| format!("{id}-{number:05}"));
            enqueue(&mut store, "q", 1, JobOptions { id, ..options.clone() });
        }
        (store.machine.row_bytes() - before) / 640
    };
    let plain = each(JobOptions::default());
    assert!((88..110).contains(&plain), "{plain} bytes");
    let with_id = each(JobOptions { id: Some("order".to_owned()), ..JobOptions::default() });
    assert!((plain + 56..plain + 200).contains(&with_id), "{with_id} bytes");
    let tags = (0..32).map(|at| format!("{at:0255}")).collect();
    let tagged = each(JobOptions { tags, ..JobOptions::default() });
    assert!((32 * 255..40 * 255).contains(&tagged), "{tagged} bytes");
    let waiting = store.machine.row_bytes();
    let leased = lease(&mut store, BEGIN, "q", 1_000);
    let runs = (store.machine.row_bytes() - waiting) / 1_000;
    assert!((150..400).contains(&runs), "{runs} bytes for what a job that runs has beside");
    complete(&mut store, &leased);
    let full = store.machine.row_bytes();
    let all = Command::StartOperation { verb: BulkVerb::Remove, filter: JobFilter::default() };
    done(&mut store, BEGIN, &all);
    store.elapse(later(1));
    store.elapse(later(100_000_000));
    let left = store.machine.row_bytes() - empty;
    assert!(left < 50_000 && left < full / 20, "{left} bytes of {full} are left");
}

#[test]
fn what_a_job_that_runs_has_beside_it_is_counted() {
    let mut store = started();
    enqueue(&mut store, "q", 1_000, JobOptions::default());
    let leased = lease(&mut store, BEGIN, "q", 1_000);
    let logged = beside(&mut store, &leased, |job| {
        let line = LogLine { source: LogSource::Out, text: "line".to_owned() };
        Command::Log { lease: held(job), lines: vec![line] }
    });
    let failed = beside(&mut store, &leased[..500], |job| {
        let (kind, error) = ("k".repeat(60), "it broke".to_owned());
        settled(job, Outcome::Fail { kind, error, retryable: true })
    });
    // A timeline longer than the one that stands in place.
    let (mut again, before) = (leased[500..600].to_vec(), store.machine.row_bytes());
    for _ in 0..8 {
        beside(&mut store, &again, |job| settled(job, Outcome::Release));
        again = lease(&mut store, BEGIN, "q", 100);
    }
    let spilled = (store.machine.row_bytes() - before) / 100;
    assert!((100..200).contains(&logged), "{logged} bytes for a log of a line");
    assert!((150..300).contains(&failed), "{failed} bytes for a failure");
    assert!((400..900).contains(&spilled), "{spilled} bytes for eight leases more");
}
