//! Documents that hold tables of values: each table is compared with the code, so that neither drifts from the other.
//!
//! A table is found by its header's first cells; its cells are compared as they are written. Leaves the command line's
//! page and the journal's to the tests beside their code.

use std::io;
use std::path::Path;
use std::sync::Arc;

use queue_core::engine::{Engine, EngineExt, LocalEngine, LocalOptions};
use queue_core::journal::{Damage, JournalError, Position};
use queue_core::model::{
    Backoff, Command, Context, Edit, Effective, Error, JobNumber, JobOptions, JobState, JobVerb, LeaseOrder, LeaseRef,
    Limits, NewJob, Outcome, QueueSettings, SettingSource, When, Word, duration, json, typed,
};

/// A document of the folder `docs`, or with its path from there.
fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the table whose header begins with these cells, without its header; code marks are taken off.
fn table(name: &str, header: &[&str]) -> Vec<Vec<String>> {
    let text = document(name);
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let begins = |line: &str| cells(line).iter().take(header.len()).eq(header);
    let mut lines = text.lines().skip_while(|line| !begins(line));
    assert!(lines.next().is_some(), "{name} has a table that begins {header:?}");
    let rows: Vec<_> = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!rows.is_empty(), "{name}: the table {header:?} has rows");
    rows
}

/// A number as documents write it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

#[test]
fn every_error_word_stands_in_its_table_with_its_codes() {
    let rows = table("errors.md", &["word", "retry helps", "CLI exit", "HTTP"]);
    let words: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(words, Word::ALL.map(Word::as_str));
    for (row, word) in rows.iter().zip(Word::ALL) {
        assert_eq!(row[1].starts_with("yes"), word.retry_helps(), "{word}: retry helps");
        assert!(row[1].starts_with("yes") || row[1].starts_with("no"), "{word}: {}", row[1]);
        assert_eq!(row[2], word.exit_code().to_string(), "{word}: exit code");
        assert_eq!(row[3], word.http_status().to_string(), "{word}: HTTP status");
    }
}

#[test]
fn messages_in_the_table_of_errors_are_those_of_the_code() {
    let rows = table("errors.md", &["word", "retry helps", "CLI exit", "HTTP"]);
    let message = |word: Word| rows.iter().find(|row| row[0] == word.as_str()).map_or("", |row| row[5].as_str());
    assert_eq!(message(Word::BadArg), Error::bad_arg("priority", 5000, "an integer from -1000 to 1000").message);
    assert_eq!(message(Word::NoJob), Error::no_job("#99").message);
    assert_eq!(message(Word::NoQueue), Error::no_queue("nope").message);
}

#[test]
fn the_settings_of_queues_stand_in_their_table_as_they_are_typed() {
    let rows = table("config.md", &["setting", "in JSON", "default"]);
    let defaults = serde_json::to_value(QueueSettings::defaults()).expect("plain data");
    let defaults = defaults.as_object().expect("an object");
    let mut expected: Vec<Vec<String>> = Vec::new();
    for (field, _) in json::QUEUE_SETTINGS {
        let value = defaults[*field].clone();
        let effective = Effective { setting: (*field).to_owned(), value, source: SettingSource::Default };
        let (name, default) = typed::show(&effective);
        expected.push(vec![name, (*field).to_owned(), default]);
    }
    let written: Vec<Vec<String>> = rows.iter().map(|row| row[..3].to_vec()).collect();
    assert_eq!(written, expected);
}

#[test]
fn the_options_of_jobs_stand_in_their_table() {
    let rows = table("config.md", &["option", "allowed"]);
    let written: Vec<(&str, &str)> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    assert_eq!(written, json::JOB_OPTIONS);
}

#[test]
fn the_limits_stand_in_their_table() {
    let rows = table("config.md", &["limit", "value"]);
    let limits: &[u64] = &[
        Limits::PAYLOAD_BYTES as u64,
        Limits::RESULT_BYTES as u64,
        Limits::PROGRESS_BYTES as u64,
        Limits::ERROR_BYTES as u64,
        Limits::LOG_LINE_BYTES as u64,
        Limits::LOG_LINES as u64,
        Limits::LOG_BYTES as u64,
        Limits::BATCH_JOBS as u64,
        Limits::BATCH_BYTES as u64,
        Limits::BATCH_BYTES as u64,
        Limits::BEAT_LEASES as u64,
        Limits::WORKERS as u64,
        Limits::FIGURE_QUEUES as u64,
        Limits::GONE_WORKERS as u64,
        Limits::GONE_MS,
        Limits::LISTED_WORKER_JOBS as u64,
        Limits::WORKER_JOBS as u64,
        Limits::RUNNING_OPERATIONS as u64,
        Limits::CONFIG_QUEUES as u64,
        Limits::NAME_BYTES as u64,
        Limits::TAGS as u64,
        Limits::HEADER_BYTES as u64,
        Limits::REASON_BYTES as u64,
        Limits::LEASE_JOBS.into(),
        Limits::LEASE_BYTES as u64,
        Limits::LEASE_QUEUES as u64,
        Limits::WAIT_MS,
        Limits::PAGE_ROWS.into(),
        Limits::PAGE_EVENTS.into(),
        Limits::LOOPING.into(),
        Limits::CANCEL_GRACE_MS,
        Limits::SETTLED_MS,
        Limits::REMEMBERED_IDS as u64,
        Limits::TIMELINE_FIRST as u64,
        Limits::TIMELINE_LAST as u64,
        Limits::DURATION_MS,
        Limits::RUN_AT_MS,
    ];
    let written: Vec<String> = rows.iter().map(|row| row[1].clone()).collect();
    let expected: Vec<String> = limits.iter().map(|&limit| grouped(limit)).collect();
    assert_eq!(written, expected, "{:?}", rows.iter().map(|row| &row[0]).collect::<Vec<_>>());
}

#[test]
fn the_pauses_of_the_default_backoff_are_those_of_the_code() {
    let rows = table("concepts.md", &["failed attempt", "pause", "since the first failure"]);
    let backoff = Backoff::default();
    let attempts = QueueSettings::defaults().attempts.expect("the defaults set every field");
    let mut since = 0;
    let mut expected = Vec::new();
    for attempt in 1..u32::try_from(attempts).expect("16") {
        let pause = backoff.pause_ms(attempt, 0);
        since += pause;
        expected.push(vec![attempt.to_string(), duration::show_ms(pause), duration::show_ms(since)]);
    }
    assert_eq!(rows, expected);
}

#[test]
fn the_journals_messages_stand_in_the_page_for_operators() {
    let page = document("operations.md");
    let (directory, file) = ("longshore-data".to_owned(), "00000001.segment".to_owned());
    let source = || Arc::new(io::Error::other("x"));
    let corrupt = |damage| JournalError::Corrupt {
        directory: directory.clone(),
        file: file.clone(),
        offset: 184,
        position: Position::new(120),
        synced: Position::new(488),
        damage,
    };
    let errors = [
        JournalError::Locked { directory: directory.clone(), owner: "process 1234".to_owned() },
        JournalError::Foreign { directory: directory.clone(), found: "notes.txt".to_owned() },
        JournalError::NoJournal { directory: directory.clone() },
        JournalError::UnknownVersion { directory: directory.clone(), file: "MANIFEST".to_owned(), version: 2 },
        JournalError::FileDamaged { directory: directory.clone(), file: file.clone(), damage: Damage::FileMissing },
        JournalError::Refused { position: Position::new(120), kind: 77, source: source() },
        JournalError::Io { action: "open", file: format!("{directory}/{file}"), source: source() },
        JournalError::OutcomeUnknown { action: "sync", file: file.clone(), source: source() },
        corrupt(Damage::PayloadChecksum),
        JournalError::SnapshotDamaged {
            directory: directory.clone(),
            file: "snapshot-00000000000006290112".to_owned(),
            offset: 64,
            damage: Damage::PayloadChecksum,
        },
    ];
    for error in errors {
        assert!(page.contains(&error.to_string()), "{error}");
        let advice = error.advice().unwrap_or_default();
        assert!(page.contains(advice), "{advice}");
    }
    let rows = table("operations.md", &["damage", "means"]);
    let written: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    let damages = [
        Damage::Missing,
        Damage::HeaderChecksum,
        Damage::Misplaced,
        Damage::Version(2),
        Damage::UnknownFlag,
        Damage::Length,
        Damage::PayloadChecksum,
        Damage::Record,
        Damage::Gap,
        Damage::CutOff,
        Damage::FileMissing,
        Damage::Manifest,
    ];
    assert_eq!(written, damages.map(|damage| damage.to_string()));
}

/// A new job in this state.
async fn job_in(engine: &LocalEngine, state: JobState) -> JobNumber {
    let delay_ms = (state == JobState::Delayed).then_some(600_000);
    let job = NewJob::new("n", "1").with(JobOptions { delay_ms, ..JobOptions::default() });
    let number = engine.enqueue(state.as_str(), vec![job]).await.expect("enqueued")[0].number;
    let outcome = match state {
        JobState::Waiting | JobState::Delayed | JobState::WaitingChildren => return number,
        JobState::Cancelled => {
            let cancel = Command::Job { job: number.into(), verb: JobVerb::Cancel };
            engine.one(&Context::default(), cancel).await.expect("cancelled");
            return number;
        }
        JobState::Active => None,
        JobState::Completed => Some(Outcome::Complete { result: None }),
        JobState::Dead => Some(Outcome::Fail { kind: "k".to_owned(), error: "e".to_owned(), retryable: false }),
    };
    let queues = vec![state.as_str().to_owned()];
    let order = LeaseOrder { queues, limit: 1_000, worker: "w".to_owned(), lease_ms: None };
    for leased in engine.lease_now(order).await.expect("leased") {
        let Some(outcome) = &outcome else { continue };
        let lease = LeaseRef { number: leased.number, token: leased.token };
        engine.settle(lease, outcome.clone()).await.expect("settled");
    }
    number
}

#[tokio::test]
async fn the_table_of_verbs_and_states_says_what_the_machine_does() {
    let rows = table("concepts.md", &["verb", "waiting", "delayed", "active", "completed", "dead", "cancelled"]);
    let edit = Edit { payload: Some("2".into()), priority: Some(7), ..Edit::default() };
    let verbs = [
        ("promote", JobVerb::Promote),
        ("reschedule", JobVerb::Reschedule(When::DelayMs(300_000))),
        ("edit", JobVerb::Edit(edit)),
        ("cancel", JobVerb::Cancel),
        ("retry", JobVerb::Retry),
        ("remove", JobVerb::Remove { force: false }),
        ("remove by force", JobVerb::Remove { force: true }),
    ];
    let states: Vec<_> = JobState::ALL.iter().copied().filter(|state| *state != JobState::WaitingChildren).collect();
    assert_eq!(rows.len(), verbs.len());
    for (row, (name, verb)) in rows.iter().zip(&verbs) {
        assert_eq!(row[0], *name);
        for (cell, &state) in row[1..].iter().zip(&states) {
            let engine = LocalEngine::memory(LocalOptions::default());
            let job = job_in(&engine, state).await;
            let command = Command::Job { job: job.into(), verb: verb.clone() };
            let refused = engine.one(&Context::default(), command).await.err();
            let after = engine.job(job.into()).await.map(|job| job.summary.state);
            let expected = cell.split(',').next().expect("a first part");
            match expected {
                "–" => assert_eq!(refused.map(|error| error.word), Some(Word::State), "{name} on {state}"),
                "gone" => assert_eq!(after.err().map(|error| error.word), Some(Word::NoJob), "{name} on {state}"),
                _ => assert_eq!(after.expect("there").as_str(), expected, "{name} on {state}"),
            }
            engine.close().await.expect("closed");
        }
    }
}

#[test]
fn the_code_map_names_nothing_that_is_not_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for row in table("../ARCHITECTURE.md", &["files", "what they hold"]) {
        let mut folder = String::new();
        for name in row[0].split(", ").map(|name| name.trim_matches('`')) {
            // A name without a folder stands in that of the name before.
            let path = if name.trim_end_matches('/').contains('/') || folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}{name}")
            };
            folder =
                path.trim_end_matches('/').rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            assert!(root.join(&path).exists(), "{path} is in the code map and not there");
        }
    }
}
