//! Where machine and model must agree: replies, every job, every list, every count.

use queue_core::model::{
    Command, Error, Extension, Job, JobFilter, JobNumber, JobState, LeaseOutcome, Now, Reply, Settled, Word,
};

use crate::naive::{Answer, Due, Model};
use crate::store::Store;

/// After this long a settlement sent again may be stale instead of counted already.
const SETTLED_MS: u64 = 600_000;

pub(crate) fn check_reply(model: &Model, command: &Command, reply: Result<Reply, Error>, expected: Answer) {
    let word = |settled: Result<Settled, Error>| settled.map_err(|error| error.word);
    match (command, reply, expected) {
        (_, Err(error), Err(word)) => assert_eq!(error.word, word, "{error}"),
        (
            Command::Settle { settlements, .. },
            Ok(Reply::Settled { settled, leased }),
            Ok(Reply::Settled { settled: expected, leased: expected_leased }),
        ) => {
            assert_eq!(leased, expected_leased);
            for ((settlement, settled), expected) in settlements.iter().zip(settled).zip(expected) {
                let (settled, expected) = (word(settled), word(expected));
                let at = model.settled.get(&settlement.lease.token);
                let long_ago = at.is_some_and(|at| at + SETTLED_MS <= model.now.steady);
                let forgotten = long_ago && (settled, expected) == (Err(Word::Stale), Ok(Settled::Already));
                assert!(settled == expected || forgotten, "{settled:?} where {expected:?} is right: {settlement:?}");
            }
        }
        (_, Ok(Reply::Extended(answers)), Ok(Reply::Extended(expected))) => {
            let without_reason = |answer: Extension| match answer {
                Extension::Cancel { .. } => Extension::Cancel { reason: String::new() },
                other => other,
            };
            let answers: Vec<_> = answers.into_iter().map(without_reason).collect();
            assert_eq!(answers, expected);
        }
        (_, Ok(Reply::Operation(_)), Ok(Reply::Done)) => {}
        (_, Ok(reply), Ok(expected)) => assert_eq!(reply, expected),
        (_, reply, expected) => panic!("{reply:?} where {expected:?} is right"),
    }
}

/// Checks jobs, lists and counts.
pub(crate) fn check_agreement(store: &mut Store, model: &Model, now: Now) {
    assert_eq!(store.machine.jobs(), model.jobs.len() as u64);
    for &number in model.jobs.keys() {
        let job = store.machine.job(number, &store.recorder);
        check_job(model, number, &job.unwrap_or_else(|| panic!("job #{number} is gone")));
    }
    let newest_first = listed(store, now, &JobFilter::default());
    assert!(newest_first.iter().eq(model.jobs.keys().rev()), "all jobs by number: {newest_first:?}");
    for queue in model.queues.keys() {
        let Ok(Reply::Queue(view)) = store.apply(now, &Command::ShowQueue { queue: queue.clone() }) else {
            panic!("queue {queue} is not shown");
        };
        assert_eq!(view.counts, model.counts(queue), "counts of {queue}");
        assert!(view.counts.balanced(), "books of {queue}");
        for &state in JobState::ALL {
            check_list(store, model, now, queue, state);
        }
    }
}

fn check_list(store: &mut Store, model: &Model, now: Now, queue: &str, state: JobState) {
    let filter = JobFilter { queue: Some(queue.to_owned()), states: vec![state], ..JobFilter::default() };
    let of = |number: &u64| model.jobs[number].queue == queue && model.jobs[number].state == state;
    let mut expected: Vec<u64> = model.jobs.keys().copied().filter(of).collect();
    expected.sort_by_key(|&number| model.place_in_list(number));
    assert_eq!(listed(store, now, &filter), expected, "{state} jobs of {queue}, in their order");
    if !state.is_done() || expected.is_empty() {
        return;
    }
    // And from one's end to another's.
    let ended = |number: &u64| model.jobs[number].done_at.saturating_add_signed(model.offset);
    let (since, until) = (ended(&expected[expected.len() * 2 / 3]), ended(&expected[expected.len() / 3]));
    let filter = JobFilter { since_ms: Some(since), until_ms: (until > since).then_some(until), ..filter };
    expected.retain(|number| ended(number) >= since && filter.until_ms.is_none_or(|until| ended(number) < until));
    assert_eq!(listed(store, now, &filter), expected, "{state} jobs of {queue} that ended from {since} to {until}");
}

/// The jobs that a filter means, in order.
fn listed(store: &mut Store, now: Now, filter: &JobFilter) -> Vec<u64> {
    let (mut listed, mut cursor): (Vec<u64>, _) = (Vec::new(), None);
    loop {
        // Pages of one, two or three jobs, so that each kind of order is cut at each of its places.
        let limit = 1 + (now.steady % 3) as u32;
        let list = Command::ListJobs { filter: filter.clone(), cursor, limit };
        let Ok(Reply::Jobs(page)) = store.apply(now, &list) else {
            panic!("jobs are not listed: {filter:?}");
        };
        listed.extend(page.jobs.iter().map(|row| row.number.0));
        cursor = page.cursor;
        if cursor.is_none() {
            return listed;
        }
    }
}

fn check_job(model: &Model, number: u64, job: &Job) {
    let expected = &model.jobs[&number];
    let to_wall = |steady: u64| steady.saturating_add_signed(model.offset);
    let row = &job.summary;
    assert_eq!(row.number, JobNumber(number));
    assert_eq!((row.state, row.reason), (expected.state, expected.reason), "state of job #{number}");
    let due = expected.due.filter(|_| expected.state == JobState::Delayed);
    assert_eq!(row.cause, due.map(|(_, cause)| cause), "cause of job #{number}");
    let at = match (expected.state, due) {
        (JobState::Delayed, Some((Due::Steady(at), _))) => Some(to_wall(at)),
        (JobState::Delayed, Some((Due::Wall(at), _))) => Some(at),
        (JobState::Active, _) => Some(to_wall(expected.lease_until)),
        (JobState::Completed | JobState::Dead | JobState::Cancelled, _) => Some(to_wall(expected.done_at)),
        _ => None,
    };
    assert_eq!(row.at_ms, at, "instant of {} job #{number}", row.state);
    assert_eq!((&*row.queue, &*row.name), (&*expected.queue, &*expected.new.name));
    assert_eq!((row.priority, row.id.as_ref()), (expected.priority, expected.new.options.id.as_ref()));
    let counts = (row.attempt, row.attempts, job.stalls, job.round);
    let expected_counts = (expected.attempt, expected.attempts, expected.stalls, expected.round);
    assert_eq!(counts, expected_counts, "attempt, attempts, stalls and round of job #{number}");
    assert_eq!(job.cancel_requested, expected.cancel_at.is_some(), "cancel of job #{number}");
    assert_eq!(job.expires_at_ms, expected.dies_at.map(to_wall), "expiry of job #{number}");
    assert_eq!(job.keep_ms, expected.new.options.keep_ms);
    assert_eq!((&row.tags, &job.headers), (&expected.new.options.tags, &expected.new.options.headers));
    assert_eq!(job.log_lines, expected.log_lines, "log of job #{number}");
    assert_eq!(job.payload, expected.payload);
    assert_eq!(job.progress.as_deref(), expected.progress.as_deref(), "progress of job #{number}");
    assert_eq!(job.result.as_deref(), expected.result.as_deref(), "result of job #{number}");
    let rows: Vec<(u32, u32, LeaseOutcome)> =
        job.leases.iter().map(|lease| (lease.attempt, lease.round, lease.outcome)).collect();
    let expected_rows: Vec<_> = expected.leases.iter().map(|lease| (lease.1, lease.2, lease.3)).collect();
    assert_eq!(rows, expected_rows, "timeline of job #{number}");
}
