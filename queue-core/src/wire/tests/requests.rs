//! Requests: encoded, parsed as a server does, and compared; and refusals that name what is wrong.

use std::sync::Arc;

use bytes::BytesMut;
use proptest::prelude::*;
use proptest::sample::select;

use super::{bytes, lease, name, number, text};
use crate::model::*;
use crate::resp::{RequestLimits, RequestReader};
use crate::wire::{COMMANDS, Call, Parser, Request, encode};

fn parse_with(parser: &mut Parser, sent: &[u8]) -> Option<Result<Call, Error>> {
    let mut reader = RequestReader::new(RequestLimits::AUTHENTICATED);
    reader.buffer_mut().extend_from_slice(sent);
    let frame = reader.next_request().expect("frames are right").expect("and whole");
    parser.parse(frame)
}

fn line(line: &str) -> Result<Call, Error> {
    parse_with(&mut Parser::default(), format!("{line}\r\n").as_bytes()).expect("a command of ours")
}

fn backoff() -> impl Strategy<Value = Backoff> {
    (any::<bool>(), 0..1_000_000u64, 1_000..10_000u32, 0..=Limits::DURATION_MS, 0..=100u32).prop_map(
        |(fixed, delay_ms, factor_thousandths, max_ms, jitter_percent)| Backoff {
            kind: if fixed { BackoffKind::Fixed } else { BackoffKind::Exponential },
            delay_ms,
            factor_thousandths,
            max_ms,
            jitter_percent,
        },
    )
}

fn maybe<T: Strategy>(strategy: T) -> impl Strategy<Value = Option<T::Value>>
where
    T::Value: Clone,
{
    proptest::option::of(strategy)
}

fn options() -> impl Strategy<Value = JobOptions> {
    let times = (maybe(number()), maybe(number()), maybe(number()), maybe(number()), maybe(number()));
    let words = (proptest::collection::vec(name(), 0..3), proptest::collection::btree_map(name(), text(20), 0..3));
    let rest = (maybe(name()), maybe(any::<i64>()), any::<bool>(), maybe(number()), maybe(backoff()));
    (times, words, rest).prop_map(|(times, (tags, headers), (id, priority, lifo, attempts, backoff))| JobOptions {
        id,
        delay_ms: times.0,
        run_at_ms: times.1,
        priority,
        lifo,
        attempts,
        backoff,
        timeout_ms: times.2,
        expires_in_ms: times.3,
        keep_ms: times.4,
        tags,
        headers,
    })
}

fn jobs() -> impl Strategy<Value = Vec<NewJob>> {
    let job = (name(), bytes(), prop_oneof![Just(JobOptions::default()), options()])
        .prop_map(|(name, payload, options)| NewJob { name, payload, options: Arc::new(options) });
    // Each job is followed by some with the very same options.
    proptest::collection::vec((job, 1..4usize), 1..5)
        .prop_map(|jobs| jobs.into_iter().flat_map(|(job, times)| std::iter::repeat_n(job, times)).collect::<Vec<_>>())
}

fn order() -> impl Strategy<Value = LeaseOrder> {
    (
        proptest::collection::vec(name(), 1..4),
        1..=Limits::LEASE_JOBS,
        name(),
        maybe(Limits::LEASE_MS_MIN..=Limits::LEASE_MS),
    )
        .prop_map(|(queues, limit, worker, lease_ms)| LeaseOrder { queues, limit, worker, lease_ms })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        maybe(bytes()).prop_map(|result| Outcome::Complete { result }),
        (name(), text(40), any::<bool>()).prop_map(|(kind, error, retryable)| Outcome::Fail { kind, error, retryable }),
        Just(Outcome::Release),
        maybe(0..=Limits::DURATION_MS).prop_map(|delay_ms| Outcome::Snooze { delay_ms }),
    ]
}

fn job_ref() -> impl Strategy<Value = JobRef> {
    let id = name().prop_filter("digits are a number", |id| matches!(JobRef::parse(id, None), Ok(JobRef::Id { .. })));
    prop_oneof![
        (1..=u64::MAX).prop_map(|number| JobRef::Number(JobNumber(number))),
        (maybe(name()), id).prop_map(|(queue, id)| JobRef::Id { queue, id }),
    ]
}

fn verb() -> impl Strategy<Value = JobVerb> {
    prop_oneof![
        Just(JobVerb::Promote),
        (0..=Limits::DURATION_MS).prop_map(|ms| JobVerb::Reschedule(When::DelayMs(ms))),
        any::<u64>().prop_map(|ms| JobVerb::Reschedule(When::RunAtMs(ms))),
        (maybe(bytes()), maybe(-Limits::PRIORITY..=Limits::PRIORITY), any::<bool>())
            .prop_map(|(payload, priority, retry)| JobVerb::Edit(Edit { payload, priority, retry })),
        Just(JobVerb::Cancel),
        Just(JobVerb::Retry),
        any::<bool>().prop_map(|force| JobVerb::Remove { force }),
    ]
}

fn settings() -> impl Strategy<Value = QueueSettings> {
    (maybe(1..=Limits::ATTEMPTS), maybe(backoff()), maybe(0..1_000u64), maybe(100..1_000u64)).prop_map(
        |(attempts, backoff, keep_completed, lease_ms)| QueueSettings {
            attempts,
            backoff,
            keep_completed,
            lease_ms,
            ..QueueSettings::default()
        },
    )
}

fn patch() -> impl Strategy<Value = SettingsPatch> {
    (settings(), any::<bool>()).prop_map(|(set, reset)| SettingsPatch {
        set,
        reset: if reset { vec!["keep_dead_ms".to_owned(), "stalls".to_owned()] } else { Vec::new() },
    })
}

pub(super) fn filter() -> impl Strategy<Value = JobFilter> {
    (
        maybe(name()),
        proptest::collection::vec(select(JobState::ALL), 0..3),
        maybe(select(DelayCause::ALL)),
        maybe(select(DeadReason::ALL)),
        (maybe(text(20)), maybe(text(20)), maybe(text(20)), maybe(text(20)), maybe(number())),
        (maybe(number()), maybe(number())),
    )
        .prop_map(
            |(queue, states, cause, reason, (name, tag, fingerprint, contains, up_to), (since_ms, until_ms))| {
                JobFilter {
                    queue,
                    states,
                    cause,
                    reason,
                    name,
                    tag,
                    fingerprint,
                    contains,
                    since_ms,
                    until_ms,
                    up_to: up_to.map(JobNumber),
                }
            },
        )
}

fn log_lines() -> impl Strategy<Value = Vec<LogLine>> {
    let source = prop_oneof![Just(LogSource::Out), Just(LogSource::Err)];
    proptest::collection::vec((source, text(40)).prop_map(|(source, text)| LogLine { source, text }), 0..4)
}

fn hot_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (name(), jobs()).prop_map(|(queue, jobs)| Command::Enqueue { queue, jobs }),
        order().prop_map(Command::Lease),
        (
            proptest::collection::vec(
                (lease(), outcome()).prop_map(|(lease, outcome)| Settlement { lease, outcome }),
                0..5
            ),
            maybe(order())
        )
            .prop_map(|(settlements, then_lease)| Command::Settle { settlements, then_lease }),
        (proptest::collection::vec(lease(), 1..4), maybe(Limits::LEASE_MS_MIN..=Limits::LEASE_MS))
            .prop_map(|(leases, lease_ms)| Command::Extend { leases, lease_ms }),
        (lease(), bytes()).prop_map(|(lease, value)| Command::Progress { lease, value }),
        (lease(), log_lines()).prop_map(|(lease, lines)| Command::Log { lease, lines }),
    ]
}

fn administrative_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (job_ref(), verb()).prop_map(|(job, verb)| Command::Job { job, verb }),
        (name(), patch()).prop_map(|(queue, patch)| Command::SetQueue { queue, patch }),
        proptest::collection::vec((name(), settings()), 0..3).prop_map(|queues| Command::ApplyConfig { queues }),
        name().prop_map(|queue| Command::Pause { queue }),
        name().prop_map(|queue| Command::Resume { queue }),
        (select(BulkVerb::ALL), filter()).prop_map(|(verb, filter)| Command::StartOperation { verb, filter }),
        any::<u64>().prop_map(|operation| Command::CancelOperation { operation: OperationNumber(operation) }),
    ]
}

fn reading_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        job_ref().prop_map(|job| Command::ShowJob { job }),
        (filter(), maybe(text(30)), 1..=Limits::PAGE_ROWS).prop_map(|(filter, cursor, limit)| Command::ListJobs {
            filter,
            cursor,
            limit
        }),
        (job_ref(), any::<u64>()).prop_map(|(job, from)| Command::ShowLog { job, from }),
        name().prop_map(|queue| Command::ShowQueue { queue }),
        (maybe(name()), 1..=Limits::PAGE_ROWS).prop_map(|(cursor, limit)| Command::ListQueues { cursor, limit }),
        any::<u64>().prop_map(|operation| Command::ShowOperation { operation: OperationNumber(operation) }),
        Just(Command::ListOperations),
        series_query().prop_map(Command::ShowSeries),
        activity_query().prop_map(Command::ListActivity),
        (failure_filter(), select(FailureOrder::ALL), maybe(text(30)), 1..=Limits::PAGE_ROWS)
            .prop_map(|(filter, order, cursor, limit)| Command::ListFailures { filter, order, cursor, limit }),
        text(30).prop_map(|fingerprint| Command::ShowFailure { fingerprint }),
        Just(Command::Stats),
    ]
}

fn series_query() -> impl Strategy<Value = SeriesQuery> {
    let whose = (maybe(name()), maybe(name()), any::<bool>());
    (whose, select(Step::ALL), 1..=1_440_u32).prop_map(|((queue, name, other), step, points)| SeriesQuery {
        queue,
        name,
        other,
        step,
        points,
    })
}

fn activity_query() -> impl Strategy<Value = ActivityQuery> {
    (maybe(name()), select(Step::ALL), 1..=60_u32, maybe(text(30)), 1..=Limits::PAGE_ROWS)
        .prop_map(|(queue, step, points, cursor, limit)| ActivityQuery { queue, step, points, cursor, limit })
}

fn failure_filter() -> impl Strategy<Value = FailureFilter> {
    (maybe(name()), maybe(name()), maybe(text(20)), maybe(any::<u64>()))
        .prop_map(|(queue, name, contains, since_ms)| FailureFilter { queue, name, contains, since_ms })
}

pub(super) fn beat() -> impl Strategy<Value = Beat> {
    (
        (name(), text(20), any::<u32>(), text(10)),
        (proptest::collection::vec(name(), 0..3), any::<u32>(), proptest::collection::vec(lease(), 0..3)),
        (any::<bool>(), any::<bool>(), select(WorkerState::ALL), maybe(any::<u64>()), maybe(any::<u64>())),
    )
        .prop_map(
            |((worker, host, pid, version), (queues, concurrency, leases), (reconnected, leaving, state, up, rss))| {
                let (uptime_ms, rss_bytes) = (up, rss);
                let beat = Beat { worker, host, pid, version, queues, concurrency, leases, ..Beat::default() };
                Beat { reconnected, leaving, state, uptime_ms, rss_bytes, ..beat }
            },
        )
}

fn request() -> impl Strategy<Value = Request> {
    let cursor = text(30).prop_filter("a dollar is from now on", |cursor| cursor != "$");
    let other = cursor.clone();
    prop_oneof![
        4 => hot_command().prop_map(Request::Execute),
        4 => administrative_command().prop_map(Request::Execute),
        4 => reading_command().prop_map(Request::Execute),
        1 => (order(), 0..=Limits::WAIT_MS).prop_map(|(order, wait_ms)| Request::Lease(LeaseRequest { order, wait_ms })),
        1 => (job_ref(), 0..=Limits::WAIT_MS).prop_map(|(job, timeout_ms)| Request::Wait { job, timeout_ms }),
        1 => (maybe(cursor), 1..=Limits::PAGE_EVENTS, 0..=Limits::WAIT_MS)
            .prop_map(|(cursor, limit, wait_ms)| Request::Events { cursor, limit, wait_ms }),
        1 => (maybe(other), maybe(text(30)), 1..=Limits::PAGE_EVENTS)
            .prop_map(|(before, since, limit)| Request::EventsBack(EventsBack { before, since, limit })),
        1 => beat().prop_map(|beat| Request::Beat(Box::new(beat))),
        1 => (maybe(name()), 1..=Limits::PAGE_ROWS).prop_map(|(cursor, limit)| Request::Workers { cursor, limit }),
        1 => name().prop_map(|worker| Request::Worker { worker }),
        1 => (name(), select(WorkerOrder::ALL)).prop_map(|(worker, order)| Request::OrderWorker { worker, order }),
        1 => proptest::option::of(name()).prop_map(|name| Request::Backup { name }),
    ]
}

proptest! {
    #[test]
    fn every_request_is_read_as_it_was_written(request in request(), actor in text(20), reason in text(40)) {
        let context = Context { actor, reason };
        let mut sent = BytesMut::new();
        let form = encode(&request, &context, &mut sent);
        // The same parser twice: what it remembers of options must not change what they mean.
        let mut parser = Parser::default();
        for _ in 0..2 {
            let call = parse_with(&mut parser, &sent).expect("a command of ours").expect("a good request");
            prop_assert_eq!(&call.request, &request);
            prop_assert_eq!(call.form, form);
            prop_assert!(call.context.is_none_or(|read| read == context));
        }
    }
}

#[test]
fn equal_options_are_parsed_once() {
    let mut parser = Parser::default();
    let mut options = |line: &str| match parse_with(&mut parser, format!("{line}\r\n").as_bytes()) {
        Some(Ok(Call { request: Request::Execute(Command::Enqueue { jobs, .. }), .. })) => {
            jobs.into_iter().map(|job| job.options).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let first = options(r#"JOB.ADD q n p '{"attempts":3}'"#).remove(0);
    let again = options(r#"JOB.MADD q 3 n p '{"attempts":3}' n p = n p '{"attempts": 3}'"#);
    assert!(Arc::ptr_eq(&first, &again[0]) && Arc::ptr_eq(&first, &again[1]));
    assert_eq!((*first).clone(), *again[2]);
    for lifo in 0..20 {
        options(&format!(r#"JOB.ADD q n p '{{"attempts":3,"keep_ms":{lifo}}}'"#));
    }
    assert!(!Arc::ptr_eq(&first, &options(r#"JOB.ADD q n p '{"attempts":3}'"#)[0]), "only a few are remembered");
}

#[test]
fn refusals_name_the_argument_its_value_and_what_is_allowed() {
    fn check(request: &str, expected: &str) {
        let error = line(request).expect_err(request);
        assert_eq!((error.word, error.message.as_str()), (Word::BadArg, expected), "{request}");
    }
    let lease_usage = "usage: JOB.LEASE worker [COUNT n] [BLOCK ms] [LEASE ms] QUEUES queue [queue …]";
    check("JOB.ADD emails", "name is missing; usage: JOB.ADD queue name payload [options]");
    check(r#"JOB.ADD "\xff" a b"#, "queue is \u{fffd}; allowed: UTF-8 text");
    check(r#"JOB.ADD q a b '{"attempts":0.5}'"#, "options.attempts is 0.5; allowed: an integer from 1 to 10000");
    check(
        "JOB.ADD q a b {} more",
        "argument is more; allowed: nothing of that kind here; usage: JOB.ADD queue name payload [options]",
    );
    check("JOB.MADD q many", "count is many; allowed: an integer from 1 to 10000");
    check("JOB.MADD q 2 a b =", "name is missing; usage: JOB.MADD queue count (name payload options|=) …");
    check("JOB.LEASE w COUNT 4294967296 QUEUES q", "COUNT is 4294967296; allowed: an integer from 1 to 1000");
    check("JOB.LEASE w COUNT +1 QUEUES q", "COUNT is +1; allowed: an integer from 1 to 1000");
    check("JOB.LEASE w COUNT 1", &format!("QUEUES is missing; {lease_usage}"));
    check("JOB.COMPLETE 1 x", "token is x; allowed: EPOCH-COUNTER as the lease gave it, such as 1795263000-17");
    check("JOB.SETTLE 1 DONE 1 1-1", "outcome is DONE; allowed: COMPLETE, RESULT, FAIL, REJECT, RELEASE or SNOOZE");
    check(
        "JOB.SETTLE 0 LEASE w BLOCK 5 QUEUES q",
        "BLOCK is 5; allowed: nothing: JOB.SETTLE does not wait, JOB.LEASE does",
    );
    let hour = "BLOCK is 3600001; allowed: milliseconds from 0 to 3600000 (1 h)";
    check("JOB.LEASE w BLOCK 3600001 QUEUES q", hour);
    check("EVENTS.READ 0 BLOCK 3600001", hour);
    check("JOB.RESCHEDULE 1 IN 5", "argument is IN; allowed: DELAY ms or AT ms");
    check("JOB.EDIT 1 PRIORITY high", "PRIORITY is high; allowed: an integer from -1000 to 1000");
    check(
        "JOB.LIST '{\"state\":\"dead\"}'",
        "a field of filter is state; allowed: queue, states, cause, reason, name, tag, fingerprint, contains, \
         since_ms, until_ms, up_to",
    );
    check("QUEUE.SET q '{\"attempts\":0}'", "attempts is 0; allowed: an integer from 1 to 10000");
    check("OPERATION.START burn {}", "verb is burn; allowed: promote, cancel, retry or remove");
    check("EVENTS.READ $ COUNT all", "COUNT is all; allowed: an integer from 1 to 10000");
    check("STATS now", "argument is now; allowed: nothing of that kind here; usage: STATS");
}

#[test]
fn commands_of_others_are_left_alone() {
    for line in ["GET key", "JOB.", "JOBS.ADD a", "PING"] {
        assert!(parse_with(&mut Parser::default(), format!("{line}\r\n").as_bytes()).is_none(), "{line}");
    }
}

#[test]
fn what_waits_says_so() {
    let waits = |text: &str| line(text).expect(text).request.waits();
    assert!(waits("JOB.LEASE w BLOCK 100 QUEUES q") && waits("JOB.WAIT 1 5") && waits("EVENTS.READ $ BLOCK 1"));
    assert!(!waits("JOB.LEASE w BLOCK 0 QUEUES q") && !waits("JOB.WAIT 1 0") && !waits("EVENTS.READ 0"));
}

/// The protocol's page: each command has a heading, its syntax as the program knows it, and an example that parses.
#[test]
fn every_command_is_documented_with_an_example_that_works() {
    let page = include_str!("../../../../docs/protocol.md");
    for spec in COMMANDS {
        let section = page.split("\n### ").find(|section| section.starts_with(&format!("{}\n", spec.name)));
        let section = section.unwrap_or_else(|| panic!("{} has no section", spec.name));
        assert!(section.contains(&format!("\n    {}\n", spec.syntax)), "{}: the syntax differs", spec.name);
        let examples = section.lines().filter_map(|line| line.strip_prefix("    > ")).collect::<Vec<_>>();
        assert!(!examples.is_empty(), "{} has no example", spec.name);
        for example in examples {
            line(example).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    for heading in headings.filter(|heading| heading.contains('.') || *heading == "STATS") {
        assert!(COMMANDS.iter().any(|spec| spec.name == heading), "{heading} is documented and does not exist");
    }
    for word in Word::ALL {
        assert!(page.contains(&format!("\n| `{word}`")), "{word} is not in the table of errors");
    }
}
