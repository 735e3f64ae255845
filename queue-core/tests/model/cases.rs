//! What the drawn cases are too small to meet, step by step on the machine alone.

use std::sync::Arc;

use queue_core::model::{
    BulkVerb, Command, JobFilter, JobNumber, JobOptions, JobState, LeaseOrder, LeaseRef, LeasedJob, NewJob, Now,
    OperationNumber, OperationState, Outcome, QueueSettings, Reply, SettingsPatch, Settlement,
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
