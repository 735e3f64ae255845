//! The largest request of each kind that is taken, and the smallest that is not: no request ends an engine.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::context;
use super::rig::{Rig, order, proof};
use crate::engine::EngineExt;
use crate::model::{
    Command, Context, Edit, JobOptions, JobVerb, LeasedJob, LogLine, LogSource, NewJob, Outcome, QueueSettings, Reply,
    SettingSource, Settlement, Word,
};

const BATCH_BYTES: usize = 16 << 20;

fn enqueue(jobs: Vec<NewJob>) -> Command {
    Command::Enqueue { queue: "q".into(), jobs }
}

/// Fills what an engine gathers for one write nearly as far as it lets another command in.
fn before() -> Command {
    enqueue(vec![NewJob::new("before", vec![b'x'; 1 << 20]); 7])
}

/// The command is taken by an engine that has much to write already, and the engine lives on.
async fn check_taken(rig: &Rig, command: Command) -> Reply {
    let answers = rig.engine().execute(&Context::default(), vec![before(), command]).await;
    let reply = answers.expect("the engine lives").pop().expect("an answer for each").expect("just within the bound");
    rig.engine().stats().await.expect("the engine lives");
    reply
}

pub async fn what_no_connection_carries_is_refused_by_name(rig: &Rig) {
    let huge = || Bytes::from(vec![b'1'; BATCH_BYTES + 1]);
    check_refused(rig, enqueue(vec![NewJob::new("n", huge())]), "the batch is 16777217 bytes long").await;
    let number = rig.add("q").await;
    let edit = Edit { payload: Some(huge()), ..Edit::default() };
    let edit = Command::Job { job: number.into(), verb: JobVerb::Edit(edit) };
    check_refused(rig, edit, "payload is 16777217 bytes long").await;
    let lease = proof(&rig.lease("q").await);
    check_refused(rig, Command::Progress { lease, value: huge() }, "progress is 16777217 bytes long").await;
    // In one call with others it alone is refused.
    let small = enqueue(vec![NewJob::new("n", "1")]);
    let commands = vec![small.clone(), enqueue(vec![NewJob::new("n", huge())]), small];
    let answers = rig.engine().execute(&Context::default(), commands).await.expect("the engine lives");
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

async fn check_refused(rig: &Rig, command: Command, start: &str) {
    let error = rig.refused(command).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.starts_with(start), "{error}");
    assert!(error.message.ends_with("allowed: at most 16777216 bytes"), "{error}");
}

fn sharing(count: usize, options: JobOptions) -> Vec<NewJob> {
    vec![NewJob { options: Arc::new(options), ..NewJob::new("n", "1") }; count]
}

fn tags(count: usize, length: usize) -> Vec<String> {
    (0..count).map(|at| format!("{at:0length$}")).collect()
}

pub async fn what_each_job_of_a_batch_carries_counts(rig: &Rig) {
    let tagged = || JobOptions { tags: tags(32, 255), ..JobOptions::default() };
    check_refused(rig, enqueue(sharing(10_000, tagged())), "the batch is 81610000 bytes long").await;
    // What JSON makes of a header counts: six bytes for this one character.
    let control =
        || JobOptions { headers: BTreeMap::from([("h".to_owned(), "\u{1}".repeat(8_191))]), ..JobOptions::default() };
    check_refused(rig, enqueue(sharing(2_000, control())), "the batch is 98310000 bytes long").await;
    let fits = BATCH_BYTES / 8_161;
    check_refused(rig, enqueue(sharing(fits + 1, tagged())), "the batch is ").await;
    check_taken(rig, enqueue(sharing(fits, tagged()))).await;
    check_taken(rig, enqueue(sharing(BATCH_BYTES / 49_160, control()))).await;
}

pub async fn the_batch_with_the_most_around_its_bytes_is_taken(rig: &Rig) {
    let job = |at: usize| {
        let options = JobOptions {
            id: Some(format!("job-{at:05}")),
            tags: tags(32, 51),
            headers: BTreeMap::from([("h".to_owned(), "1".to_owned())]),
            delay_ms: Some(1_000_000),
            attempts: Some(1 + at as u64),
            timeout_ms: Some(1_000_000 + at as u64),
            expires_in_ms: Some(10_000_000 + at as u64),
            keep_ms: Some(1_000_000 + at as u64),
            ..JobOptions::default()
        };
        NewJob::new(format!("{at:0255}"), vec![b'1'; 25]).with(options)
    };
    let jobs: Vec<NewJob> = (0..10_000).map(job).collect();
    let bytes: usize = jobs.iter().map(NewJob::stored_bytes).sum();
    assert!((BATCH_BYTES - 100_000..=BATCH_BYTES).contains(&bytes), "{bytes} bytes are nearly all that is allowed");
    check_taken(rig, enqueue(jobs)).await;
    assert_eq!(rig.counts("q").await.delayed, 10_000);
}

async fn lease_all(rig: &Rig, count: usize) -> Vec<LeasedJob> {
    let mut leased = Vec::new();
    while leased.len() < count {
        leased.extend(rig.lease_up_to("q", 1_000).await);
    }
    leased
}

fn settle(leased: &[LeasedJob], outcome: &Outcome) -> Command {
    let settlements = leased.iter().map(|job| Settlement { lease: proof(job), outcome: outcome.clone() }).collect();
    Command::Settle { settlements, then_lease: Some(order("q", 1_000)) }
}

pub async fn results_of_sixteen_mebibytes_are_settled_at_once_and_no_more(rig: &Rig) {
    rig.add_many("q", 17).await;
    let leased = lease_all(rig, 17).await;
    let outcome = Outcome::Complete { result: Some(Bytes::from(vec![b'1'; 1 << 20])) };
    check_refused(rig, settle(&leased, &outcome), "settlements is 17825792 bytes long").await;
    check_taken(rig, settle(&leased[..16], &outcome)).await;
    assert_eq!(rig.counts("q").await.completed, 16);
}

pub async fn ten_thousand_failures_of_sixteen_mebibytes_are_settled_at_once_and_no_more(rig: &Rig) {
    rig.add_many("q", 10_000).await;
    let leased = lease_all(rig, 10_000).await;
    // A text is counted as it is kept: cut.
    let fail = |error| Outcome::Fail { kind: "k".repeat(255), error: "e".repeat(error), retryable: false };
    check_refused(rig, settle(&leased[..2_500], &fail(9_000)), "settlements is 21117500 bytes long").await;
    check_refused(rig, settle(&leased, &fail(1_423)), "settlements is 16780000 bytes long").await;
    check_taken(rig, settle(&leased, &fail(1_422))).await;
    assert_eq!(rig.counts("q").await.dead, 10_000);
}

pub async fn a_line_of_a_log_is_cut_at_eight_kibibytes(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    let log = |count, text: &str| {
        let line = LogLine { source: LogSource::Out, text: text.to_owned() };
        Command::Log { lease: proof(&leased), lines: vec![line; count] }
    };
    check_taken(rig, log(1, &"\u{1}".repeat(8 << 20))).await;
    let page = rig.engine().job_log(number.into(), 0).await.expect("the log is read");
    assert_eq!(page.lines.iter().map(|line| line.text.len()).collect::<Vec<_>>(), [8_192]);
    // 64 KiB are those that are kept, and JSON makes 48 KiB of such a line.
    check_taken(rig, log(300, &"\u{1}".repeat(9_000))).await;
    let page = rig.engine().job_log(number.into(), 0).await.expect("the log is read");
    assert_eq!((page.lines.len(), page.lines[0].text.len()), (1, 8_192));
    check_taken(rig, log(3_000, &"é".repeat(10))).await;
    let page = rig.engine().job_log(number.into(), 0).await.expect("the log is read");
    assert_eq!((page.lines.len(), page.lines[0].text.as_str()), (1_000, &*"é".repeat(10)));
}

fn file(queues: usize) -> Vec<(String, QueueSettings)> {
    let set = QueueSettings { attempts: Some(7), ..QueueSettings::default() };
    (0..queues).map(|at| (format!("{at:0255}"), set.clone())).collect()
}

pub async fn a_file_of_settings_names_at_most_a_thousand_queues_each_once(rig: &Rig) {
    for queues in [file(1_001), file(100_000)] {
        let named = queues.len();
        let error = rig.refused(Command::ApplyConfig { queues }).await;
        let expected = format!("queues is a list of {named}; allowed: at most 1000 queues");
        assert_eq!((error.word, error.message), (Word::BadArg, expected));
    }
    let error = rig.refused(Command::ApplyConfig { queues: [file(1), file(1)].concat() }).await;
    assert!(error.message.ends_with("; allowed: each queue once"), "{error}");
    check_taken(rig, Command::ApplyConfig { queues: file(1_000) }).await;
}

pub async fn a_file_of_settings_is_its_own_source_whoever_applies_it(rig: &Rig) {
    let by = context("ann", "release 7");
    let both = Command::ApplyConfig { queues: file(2) };
    rig.engine().one(&by, both).await.expect("applied");
    let source = async |at: usize| {
        let settings = rig.engine().queue(&format!("{at:0255}")).await.expect("the file made it").settings;
        settings.into_iter().find(|effective| effective.setting == "attempts").expect("shown").source
    };
    assert_eq!((source(0).await, source(1).await), (SettingSource::Config, SettingSource::Config));
    let events = rig.engine().events(Some("0".into()), 10_000, 0).await.expect("the feed is read").events;
    let set = events.iter().find(|event| event.event == "queue-set").expect("it stands in the feed");
    assert_eq!((&set.detail["by"]["actor"], &set.detail["by"]["reason"]), (&"ann".into(), &"release 7".into()));
    rig.engine().one(&by, Command::ApplyConfig { queues: file(1) }).await.expect("applied");
    assert_eq!((source(0).await, source(1).await), (SettingSource::Config, SettingSource::Default));
    // Taking back is room that the file itself does not show.
    for (queues, expected) in [(2, SettingSource::Config), (0, SettingSource::Default)] {
        rig.engine().one(&by, Command::ApplyConfig { queues: file(queues) }).await.expect("applied");
        assert_eq!((source(0).await, source(1).await), (expected.clone(), expected));
    }
}
