//! Replies: written in both versions, read as a client does, and compared.

use bytes::BytesMut;
use proptest::prelude::*;
use proptest::sample::select;

use super::requests::{beat, filter};
use super::{bytes, error, lease, name, number, text};
use crate::model::*;
use crate::resp::{ReplyLimits, ReplyReader, ReplyWriter, Version};
use crate::wire::{Form, Response, read, write};

fn summary() -> impl Strategy<Value = JobSummary> {
    (
        (number(), proptest::option::of(name()), name(), name(), select(JobState::ALL)),
        (proptest::option::of(select(DelayCause::ALL)), proptest::option::of(select(DeadReason::ALL))),
        (any::<i64>(), any::<u32>(), any::<u32>(), number(), proptest::option::of(number())),
        (proptest::collection::vec(name(), 0..3), proptest::option::of(text(20))),
    )
        .prop_map(|((number, id, queue, name, state), (cause, reason), numbers, (tags, error))| JobSummary {
            number: JobNumber(number),
            id,
            queue,
            name,
            state,
            cause,
            reason,
            priority: numbers.0,
            attempt: numbers.1,
            attempts: numbers.2,
            enqueued_at_ms: numbers.3,
            at_ms: numbers.4,
            tags,
            error,
        })
}

fn ended_lease() -> impl Strategy<Value = EndedLease> {
    (any::<u32>(), name(), number(), proptest::option::of(number()), select(LeaseOutcome::ALL), text(20)).prop_map(
        |(lease, worker, leased_at_ms, ended_at_ms, outcome, error)| EndedLease {
            lease,
            attempt: lease,
            round: 1,
            worker,
            leased_at_ms,
            ended_at_ms,
            outcome,
            error_kind: Some(error.clone()),
            error: Some(error),
            fingerprint: None,
        },
    )
}

fn job() -> impl Strategy<Value = Job> {
    (
        (summary(), bytes(), proptest::option::of(bytes()), proptest::option::of(bytes())),
        proptest::collection::btree_map(name(), text(20), 0..3),
        proptest::collection::vec(ended_lease(), 0..3),
        (proptest::option::of(number()), any::<bool>()),
    )
        .prop_map(|((summary, payload, result, progress), headers, leases, (timeout_ms, cancel_requested))| Job {
            summary,
            payload,
            result,
            progress,
            headers,
            backoff: Backoff::default(),
            timeout_ms,
            expires_at_ms: timeout_ms,
            keep_ms: None,
            round: 1,
            stalls: 0,
            cancel_requested,
            leases,
            leases_left_out: 3,
            log_lines: 7,
        })
}

fn leased() -> impl Strategy<Value = Vec<LeasedJob>> {
    let job = (
        (lease(), name(), name(), proptest::option::of(name()), any::<u32>()),
        (number(), proptest::option::of(number()), number()),
        proptest::collection::btree_map(name(), text(20), 0..3),
        bytes(),
    )
        .prop_map(|((lease, queue, name, id, attempt), (lease_ms, timeout_ms, at), headers, payload)| LeasedJob {
            number: lease.number,
            token: lease.token,
            queue,
            name,
            id,
            attempt,
            attempts: 16,
            lease_ms,
            timeout_ms,
            enqueued_at_ms: at,
            headers,
            payload,
        });
    proptest::collection::vec(job, 0..3)
}

fn enqueued() -> impl Strategy<Value = Enqueued> {
    (number(), select(Added::ALL)).prop_map(|(number, added)| Enqueued { number: JobNumber(number), added })
}

fn settled() -> impl Strategy<Value = Vec<Result<Settled, Error>>> {
    proptest::collection::vec(prop_oneof![select(Settled::ALL).prop_map(Ok), error().prop_map(Err)], 0..4)
}

fn extension() -> impl Strategy<Value = Extension> {
    prop_oneof![
        number().prop_map(|lease_ms| Extension::Extended { lease_ms }),
        text(30).prop_map(|reason| Extension::Cancel { reason }),
        Just(Extension::Lost),
    ]
}

fn queue_view() -> impl Strategy<Value = QueueView> {
    (name(), number(), any::<bool>(), proptest::option::of(text(20))).prop_map(|(queue, count, paused, reason)| {
        QueueView {
            queue,
            counts: QueueCounts { waiting: count, enqueued: count, ..QueueCounts::default() },
            paused,
            pause_reason: reason,
            next_waiting_ms: Some(count / 2),
            oldest_waiting_ms: Some(count),
            settings: vec![
                Effective { setting: "attempts".into(), value: 16.into(), source: SettingSource::Default },
                Effective { setting: "stalls".into(), value: 3.into(), source: SettingSource::Queue("ann".into()) },
            ],
        }
    })
}

fn operation() -> impl Strategy<Value = OperationView> {
    (number(), select(BulkVerb::ALL), filter(), select(OperationState::ALL), text(20)).prop_map(
        |(number, verb, filter, state, reason)| OperationView {
            operation: OperationNumber(number),
            verb,
            filter,
            state,
            looked_at: number,
            changed: 2,
            actor: "ann".into(),
            reason,
            started_at_ms: 4,
            ended_at_ms: None,
        },
    )
}

fn page() -> impl Strategy<Value = EventPage> {
    let event = (number(), name(), proptest::option::of(number())).prop_map(|(at_ms, event, number)| EventRecord {
        cursor: at_ms.to_string(),
        at_ms,
        event,
        number: number.map(JobNumber),
        queue: None,
        detail: serde_json::json!({"worker": "w"}),
    });
    let back = (proptest::option::of(text(20)), proptest::option::of(number()));
    (proptest::collection::vec(event, 0..3), text(20), back)
        .prop_map(|(events, cursor, (before, left_out))| EventPage { events, cursor, before, left_out })
}

fn log_page() -> impl Strategy<Value = LogPage> {
    (number(), text(20), any::<bool>()).prop_map(|(first, text, done)| LogPage {
        first,
        lines: vec![LogLine { source: LogSource::Err, text }],
        done,
    })
}

fn point() -> impl Strategy<Value = SeriesPoint> {
    (number(), number(), number(), number()).prop_map(|(at_ms, enqueued, aged_out, p50_ms)| SeriesPoint {
        at_ms,
        counts: SeriesCounts { enqueued, aged_out, ..SeriesCounts::default() },
        wait: Quantiles { count: 1, p50_ms, ..Quantiles::default() },
        run: Quantiles::default(),
    })
}

fn series() -> impl Strategy<Value = Series> {
    let whose = (proptest::option::of(name()), proptest::option::of(name()), any::<bool>());
    (whose, number(), proptest::collection::vec(point(), 0..3), point()).prop_map(
        |((queue, name, other), from_ms, points, total)| Series {
            queue,
            name,
            other,
            step_ms: 60_000,
            from_ms,
            until_ms: 7,
            points,
            total,
        },
    )
}

fn activity() -> impl Strategy<Value = Activity> {
    let counts = || proptest::collection::vec(number(), 0..3);
    (name(), proptest::option::of(name()), any::<bool>(), (counts(), counts(), counts()), point()).prop_map(
        |(queue, name, other, (enqueued, completed, failed), total)| Activity {
            queue,
            name,
            other,
            enqueued,
            completed,
            failed,
            total,
        },
    )
}

fn failure_group() -> impl Strategy<Value = FailureGroup> {
    let shares =
        || proptest::collection::vec((name(), number()).prop_map(|(name, count)| FailureShare { name, count }), 0..3);
    let counts = || proptest::collection::vec(number(), 0..3);
    (text(20), name(), number(), (shares(), shares()), (counts(), counts(), counts())).prop_map(
        |(fingerprint, kind, count, (queues, names), (minutes, hours, jobs))| FailureGroup {
            fingerprint,
            kind,
            first_at_ms: 1,
            last_at_ms: 2,
            count,
            minute: 3,
            hour: 4,
            day: 5,
            week: 6,
            minutes,
            hours,
            queues,
            names,
            jobs: jobs.into_iter().map(JobNumber).collect(),
        },
    )
}

fn hot_reply() -> impl Strategy<Value = (Form, Reply)> {
    prop_oneof![
        enqueued().prop_map(|one| (Form::Added, Reply::Enqueued(vec![one]))),
        proptest::collection::vec(enqueued(), 0..4).prop_map(|many| (Form::AddedMany, Reply::Enqueued(many))),
        leased().prop_map(|leased| (Form::Leased, Reply::Leased(leased))),
        select(Settled::ALL)
            .prop_map(|one| (Form::SettledOne, Reply::Settled { settled: vec![Ok(one)], leased: Vec::new() })),
        (settled(), leased()).prop_map(|(settled, leased)| (Form::Settled, Reply::Settled { settled, leased })),
        proptest::collection::vec(extension(), 0..4).prop_map(|all| (Form::Extended, Reply::Extended(all))),
        Just((Form::Done, Reply::Done)),
        (number(), select(JobState::ALL))
            .prop_map(|(number, state)| (Form::Changed, Reply::Changed { number: JobNumber(number), state })),
    ]
}

fn shown_reply() -> impl Strategy<Value = (Form, Reply)> {
    prop_oneof![
        job().prop_map(|job| (Form::Job, Reply::Job(Box::new(job)))),
        (proptest::collection::vec(summary(), 0..3), proptest::option::of(text(20)), number())
            .prop_map(|(jobs, cursor, looked_at)| (Form::Jobs, Reply::Jobs(JobPage { jobs, cursor, looked_at }))),
        log_page().prop_map(|page| (Form::Log, Reply::Log(page))),
        queue_view().prop_map(|view| (Form::Queue, Reply::Queue(Box::new(view)))),
        (proptest::collection::vec(queue_view(), 0..3), proptest::option::of(name()))
            .prop_map(|(queues, cursor)| (Form::Queues, Reply::Queues(QueuePage { queues, cursor }))),
        operation().prop_map(|view| (Form::Operation, Reply::Operation(Box::new(view)))),
        proptest::collection::vec(operation(), 0..3).prop_map(|views| (Form::Operations, Reply::Operations(views))),
        series().prop_map(|series| (Form::Series, Reply::Series(Box::new(series)))),
        (proptest::collection::vec(activity(), 0..3), proptest::option::of(name())).prop_map(|(rows, cursor)| (
            Form::Activity,
            Reply::Activity(ActivityPage { step_ms: 10_000, rows, cursor })
        )),
        (proptest::collection::vec(failure_group(), 0..3), proptest::option::of(text(20)), number())
            .prop_map(|(groups, cursor, kept)| (Form::Failures, Reply::Failures(FailurePage { groups, cursor, kept }))),
        failure_group().prop_map(|group| (Form::Failure, Reply::Failure(Box::new(group)))),
        (number(), text(20)).prop_map(|(blob_bytes, state_hash)| {
            (Form::Stats, Reply::Stats(Box::new(Stats { blob_bytes, state_hash, ..Stats::default() })))
        }),
    ]
}

fn worker() -> impl Strategy<Value = WorkerView> {
    let job = (number(), name(), proptest::option::of(number())).prop_map(|(number, name, expires_at_ms)| WorkerJob {
        number: JobNumber(number),
        queue: name.clone(),
        name,
        leased_at_ms: number,
        expires_at_ms,
    });
    let given = (select(WorkerOrder::ALL), text(20), number(), any::<bool>())
        .prop_map(|(order, actor, at_ms, obeyed)| GivenOrder { order, reason: actor.clone(), actor, at_ms, obeyed });
    let rest = (proptest::collection::vec(job, 0..3), proptest::option::of(given), proptest::option::of(number()));
    (beat(), number(), rest).prop_map(|(beat, beat_at_ms, (jobs, order, started_at_ms))| WorkerView {
        worker: beat.worker,
        state: beat.state,
        host: beat.host,
        pid: beat.pid,
        version: beat.version,
        queues: beat.queues,
        concurrency: beat.concurrency,
        started_at_ms,
        beat_at_ms,
        rss_bytes: beat.rss_bytes,
        leases: beat.leases.len() as u64,
        jobs,
        order,
    })
}

fn answer() -> impl Strategy<Value = (Form, Result<Response, Error>)> {
    prop_oneof![
        4 => hot_reply().prop_map(|(form, reply)| (form, Ok(reply.into()))),
        4 => shown_reply().prop_map(|(form, reply)| (form, Ok(reply.into()))),
        1 => page().prop_map(|page| (Form::Events, Ok(Response::Events(page)))),
        1 => (number(), text(20)).prop_map(|(number, reason)| {
            let (cancel, lost) = (vec![(JobNumber(number), reason)], vec![JobNumber(number)]);
            let orders = Orders { cancel, lost, order: WorkerOrder::from_u8((number % 4) as u8) };
            (Form::Orders, Ok(Response::Orders(orders)))
        }),
        1 => worker().prop_map(|worker| (Form::Worker, Ok(Response::Worker(Box::new(worker))))),
        1 => (proptest::collection::vec(worker(), 0..3), proptest::option::of(name()))
            .prop_map(|(workers, cursor)| (Form::Workers, Ok(Response::Workers(WorkerPage { workers, cursor })))),
        1 => (text(20), text(20), number()).prop_map(|(name, path, position)| {
            let (bytes, linked_bytes, copied_bytes, took_ms) = (3, 1, 2, 4);
            let report = BackupReport { name, path, position, bytes, linked_bytes, copied_bytes, took_ms };
            (Form::Backup, Ok(Response::Backup(report)))
        }),
        1 => (select(vec![Form::Added, Form::Leased, Form::Job, Form::Stats]), error())
            .prop_map(|(form, error)| (form, Err(error))),
    ]
}

proptest! {
    #[test]
    fn every_reply_is_read_as_it_was_written((form, answer) in answer(), newer in any::<bool>()) {
        let version = if newer { Version::Resp3 } else { Version::Resp2 };
        let mut sent = BytesMut::new();
        write(&mut ReplyWriter::new(&mut sent, version), form, &answer);
        let mut reader = ReplyReader::new(ReplyLimits::default());
        reader.buffer_mut().extend_from_slice(&sent);
        let value = reader.next_reply().expect("frames are right").expect("and whole");
        prop_assert_eq!(read(form, value), answer);
        prop_assert_eq!(reader.next_reply(), Ok(None), "one request, one reply");
    }
}

#[test]
fn errors_of_other_servers_are_kept_whole() {
    let read = |text: &str| read(Form::Done, crate::resp::Value::Error(text.to_owned())).expect_err(text);
    assert_eq!(read("WRONGTYPE no list"), Error::new(Word::Err, "WRONGTYPE no list"));
    assert_eq!(read("ERR unknown command"), Error::new(Word::Err, "unknown command"));
    assert_eq!(read("WRONGPASS invalid"), Error::new(Word::NoAuth, "invalid"));
    assert_eq!(read("STALE"), Error::new(Word::Err, "STALE"));
}

#[test]
fn a_reply_of_another_kind_is_an_error_and_no_panic() {
    use crate::resp::Value;
    let values = [
        Value::Null,
        Value::Integer(-1),
        Value::Simple("hm".into()),
        Value::Bulk(vec![0xff]),
        Value::Array(vec![]),
        Value::Array(vec![Value::Array(vec![Value::Null])]),
        Value::Map(vec![]),
    ];
    for form in [Form::Added, Form::Leased, Form::SettledOne, Form::Settled, Form::Extended, Form::Changed, Form::Job] {
        for value in &values {
            if let Ok(response) = read(form, value.clone()) {
                let empty = matches!(&response, Response::Reply(Reply::Leased(list)) if list.is_empty())
                    || matches!(&response, Response::Reply(Reply::Extended(list)) if list.is_empty());
                assert!(empty, "{form:?} read {value:?} as {response:?}");
            }
        }
    }
}
