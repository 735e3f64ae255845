//! Values out of range: each is refused with its field, its value and what is allowed, and changes nothing.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use std::collections::BTreeMap;

use bytes::Bytes;

use super::rig::{Rig, order, proof};
use crate::engine::EngineExt;
use crate::model::{
    Backoff, BulkVerb, Command, Context, Edit, JobFilter, JobNumber, JobOptions, JobState, JobVerb, LeaseOrder, NewJob,
    Outcome, QueueSettings, SettingsPatch, Settlement, When, Word,
};

const TEN_YEARS_MS: u64 = 315_360_000_000;

/// The command is refused with this field and value, and the message names each of `allowed`.
async fn check(rig: &Rig, command: Command, field_and_value: &str, allowed: &[&str]) {
    let error = rig.refused(command).await;
    assert_eq!(error.word, Word::BadArg, "{error}");
    let (found, right) = error.message.split_once("; allowed: ").unwrap_or_else(|| panic!("nothing allowed: {error}"));
    assert_eq!(found, field_and_value);
    for word in allowed {
        assert!(right.contains(word), "`{right}` does not name {word}");
    }
}

async fn check_job(rig: &Rig, job: NewJob, field_and_value: &str, allowed: &[&str]) {
    check(rig, Command::Enqueue { queue: "q".into(), jobs: vec![job] }, field_and_value, allowed).await;
}

async fn check_option(rig: &Rig, options: JobOptions, field_and_value: &str, allowed: &[&str]) {
    check_job(rig, NewJob::new("work", "{}").with(options), field_and_value, allowed).await;
}

async fn check_setting(rig: &Rig, set: QueueSettings, field_and_value: &str, allowed: &[&str]) {
    let patch = SettingsPatch { set, reset: Vec::new() };
    check(rig, Command::SetQueue { queue: "q".into(), patch }, field_and_value, allowed).await;
}

fn long(length: usize) -> String {
    "x".repeat(length)
}

/// How a message shows 256 times `x`.
fn shown(field: &str) -> String {
    format!("{field} is {}…", long(64))
}

pub async fn a_priority_is_within_a_thousand(rig: &Rig) {
    for priority in [-1_001, 1_001, i64::MIN, i64::MAX] {
        let options = JobOptions { priority: Some(priority), ..JobOptions::default() };
        check_option(rig, options, &format!("priority is {priority}"), &["-1000", "1000"]).await;
    }
    for priority in [-1_000, 1_000] {
        rig.add_with("q", JobOptions { priority: Some(priority), ..JobOptions::default() }).await;
    }
}

pub async fn attempts_are_one_to_ten_thousand(rig: &Rig) {
    for attempts in [0, 10_001, u64::MAX] {
        let options = JobOptions { attempts: Some(attempts), ..JobOptions::default() };
        check_option(rig, options, &format!("attempts is {attempts}"), &["1", "10000"]).await;
        let set = QueueSettings { attempts: Some(attempts), ..QueueSettings::default() };
        check_setting(rig, set, &format!("attempts is {attempts}"), &["1", "10000"]).await;
    }
    rig.add_with("q", JobOptions { attempts: Some(10_000), ..JobOptions::default() }).await;
}

pub async fn durations_of_a_job_are_at_most_ten_years(rig: &Rig) {
    let ms = Some(TEN_YEARS_MS + 1);
    let empty = JobOptions::default();
    for (field, options) in [
        ("delay_ms", JobOptions { delay_ms: ms, ..empty.clone() }),
        ("timeout_ms", JobOptions { timeout_ms: ms, ..empty.clone() }),
        ("expires_in_ms", JobOptions { expires_in_ms: ms, ..empty.clone() }),
        ("keep_ms", JobOptions { keep_ms: ms, ..empty.clone() }),
    ] {
        check_option(rig, options, &format!("{field} is 315360000001"), &["0", "315360000000"]).await;
    }
    rig.add_with("q", JobOptions { delay_ms: Some(TEN_YEARS_MS), ..empty }).await;
}

pub async fn a_run_at_is_before_the_year_ten_thousand(rig: &Rig) {
    let options = JobOptions { run_at_ms: Some(u64::MAX), ..JobOptions::default() };
    check_option(rig, options, "run_at_ms is 18446744073709551615", &["253402300799999", "9999"]).await;
}

pub async fn a_backoff_keeps_its_ranges(rig: &Rig) {
    let fixed = Backoff::fixed(1);
    for (shown, allowed, backoff) in [
        ("backoff.delay_ms is 315360000001", "315360000000", Backoff { delay_ms: TEN_YEARS_MS + 1, ..fixed }),
        ("backoff.max_ms is 315360000001", "315360000000", Backoff { max_ms: TEN_YEARS_MS + 1, ..fixed }),
        ("backoff.factor_thousandths is 999", "1000 to 10000", Backoff { factor_thousandths: 999, ..fixed }),
        ("backoff.factor_thousandths is 10001", "1000 to 10000", Backoff { factor_thousandths: 10_001, ..fixed }),
        ("backoff.jitter_percent is 101", "0 to 100", Backoff { jitter_percent: 101, ..fixed }),
    ] {
        check_option(rig, JobOptions { backoff: Some(backoff), ..JobOptions::default() }, shown, &[allowed]).await;
        check_setting(rig, QueueSettings { backoff: Some(backoff), ..QueueSettings::default() }, shown, &[allowed])
            .await;
    }
}

pub async fn names_are_one_to_255_bytes(rig: &Rig) {
    let job = |name: &str| NewJob::new(name, "{}");
    let to = |queue: &str| Command::Enqueue { queue: queue.into(), jobs: vec![job("work")] };
    for (command, field) in [
        (Command::Enqueue { queue: "q".into(), jobs: vec![job("")] }, "name"),
        (to(""), "queue"),
        (Command::Lease(LeaseOrder { worker: String::new(), ..order("q", 1) }), "worker"),
    ] {
        check(rig, command, &format!("{field} is empty"), &["1", "255"]).await;
    }
    for (command, field) in [
        (Command::Enqueue { queue: "q".into(), jobs: vec![job(&long(256))] }, "name"),
        (to(&long(256)), "queue"),
        (Command::Lease(LeaseOrder { worker: long(256), ..order("q", 1) }), "worker"),
    ] {
        check(rig, command, &shown(field), &["1", "255"]).await;
    }
    rig.enqueue(&long(255), vec![job(&long(255))]).await;
}

pub async fn an_id_is_one_to_255_bytes(rig: &Rig) {
    let with = |id: String| JobOptions { id: Some(id), ..JobOptions::default() };
    check_option(rig, with(String::new()), "id is empty", &["255"]).await;
    check_option(rig, with(long(256)), &shown("id"), &["255"]).await;
    check_option(rig, with("4711".into()), "id is 4711", &["digit"]).await;
    check_option(rig, with("#4711".into()), "id is #4711", &["digit"]).await;
    rig.add_with("q", with(long(255))).await;
}

pub async fn a_job_has_at_most_thirty_two_tags(rig: &Rig) {
    let with = |tags: Vec<String>| JobOptions { tags, ..JobOptions::default() };
    check_option(
        rig,
        with(vec!["eu".into(); 33]),
        "tags is eu eu eu eu eu eu eu eu eu eu eu eu eu eu eu eu eu eu eu eu eu e…",
        &["32"],
    )
    .await;
    check_option(rig, with(vec![long(256)]), &shown("tags"), &["255"]).await;
    check_option(rig, with(vec![String::new()]), "tags is empty", &["1"]).await;
    rig.add_with("q", with((0..32).map(|at| at.to_string()).collect())).await;
}

pub async fn headers_are_at_most_eight_kibibytes(rig: &Rig) {
    let with = |length| JobOptions { headers: BTreeMap::from([("h".into(), long(length))]), ..JobOptions::default() };
    check_option(rig, with(8_192), "headers is 8193 bytes", &["8192"]).await;
    rig.add_with("q", with(8_191)).await;
}

pub async fn a_payload_is_at_most_one_mebibyte(rig: &Rig) {
    let payload = |length| Bytes::from(vec![b'x'; length]);
    let shown = "payload is 1048577 bytes long";
    check_job(rig, NewJob::new("work", payload((1 << 20) + 1)), shown, &["1048576"]).await;
    let number = rig.enqueue("q", vec![NewJob::new("work", payload(1 << 20))]).await[0].number;
    let edit = Edit { payload: Some(payload((1 << 20) + 1)), ..Edit::default() };
    check(rig, Command::Job { job: number.into(), verb: JobVerb::Edit(edit) }, shown, &["1048576"]).await;
}

pub async fn a_result_is_at_most_one_mebibyte(rig: &Rig) {
    rig.add("q").await;
    let leased = rig.lease("q").await;
    let outcome = |length| Outcome::Complete { result: Some(Bytes::from(vec![b'x'; length])) };
    let settlements = vec![Settlement { lease: proof(&leased), outcome: outcome((1 << 20) + 1) }];
    let command = Command::Settle { settlements, then_lease: None };
    check(rig, command, "result is 1048577 bytes long", &["1048576"]).await;
    rig.settle(&leased, outcome(1 << 20)).await;
}

pub async fn progress_is_at_most_four_kibibytes(rig: &Rig) {
    rig.add("q").await;
    let lease = proof(&rig.lease("q").await);
    let value = |length| Bytes::from(vec![b'x'; length]);
    let command = Command::Progress { lease, value: value(4_097) };
    check(rig, command, "progress is 4097 bytes long", &["4096"]).await;
    rig.engine().progress(lease, value(4_096)).await.expect("just within");
}

pub async fn an_order_asks_for_one_to_a_thousand_jobs(rig: &Rig) {
    for limit in [0, 1_001] {
        check(rig, Command::Lease(order("q", limit)), &format!("count is {limit}"), &["1", "1000"]).await;
    }
}

pub async fn an_order_names_one_to_a_thousand_queues(rig: &Rig) {
    for count in [0, 1_001] {
        let queues = vec!["q".to_owned(); count];
        let command = Command::Lease(LeaseOrder { queues, ..order("q", 1) });
        check(rig, command, &format!("queues is a list of {count}"), &["1", "1000"]).await;
    }
}

pub async fn a_lease_lasts_a_tenth_of_a_second_to_a_day(rig: &Rig) {
    for lease_ms in [0, 99, 86_400_001] {
        let shown = format!("lease_ms is {lease_ms}");
        let allowed = ["100", "86400000"];
        let command = Command::Lease(LeaseOrder { lease_ms: Some(lease_ms), ..order("q", 1) });
        check(rig, command, &shown, &allowed).await;
        check(rig, Command::Extend { leases: Vec::new(), lease_ms: Some(lease_ms) }, &shown, &allowed).await;
        check_setting(rig, QueueSettings { lease_ms: Some(lease_ms), ..QueueSettings::default() }, &shown, &allowed)
            .await;
    }
}

pub async fn settings_of_a_queue_keep_their_ranges(rig: &Rig) {
    let (ms, empty) = (Some(TEN_YEARS_MS + 1), QueueSettings::default());
    for (field, set) in [
        ("timeout_ms", QueueSettings { timeout_ms: ms, ..empty.clone() }),
        ("expires_in_ms", QueueSettings { expires_in_ms: ms, ..empty.clone() }),
        ("keep_completed_ms", QueueSettings { keep_completed_ms: ms, ..empty.clone() }),
        ("keep_cancelled_ms", QueueSettings { keep_cancelled_ms: ms, ..empty.clone() }),
        ("keep_dead_ms", QueueSettings { keep_dead_ms: ms, ..empty.clone() }),
        ("remember_ids_ms", QueueSettings { remember_ids_ms: ms, ..empty.clone() }),
    ] {
        check_setting(rig, set, &format!("{field} is 315360000001"), &["0", "315360000000"]).await;
    }
    check_setting(rig, QueueSettings { stalls: Some(10_001), ..empty }, "stalls is 10001", &["0", "10000"]).await;
}

pub async fn a_new_time_is_at_most_ten_years_ahead(rig: &Rig) {
    let job = rig.add("q").await.into();
    let verb = JobVerb::Reschedule(When::DelayMs(TEN_YEARS_MS + 1));
    check(rig, Command::Job { job, verb }, "delay_ms is 315360000001", &["0", "315360000000"]).await;
    let later = rig.add_with("q", JobOptions { delay_ms: Some(1_000), ..JobOptions::default() }).await;
    for when in [When::DelayMs(TEN_YEARS_MS), When::RunAtMs(253_402_300_799_999)] {
        assert_eq!(rig.verb(later, JobVerb::Reschedule(when)).await, JobState::Delayed);
    }
}

pub async fn an_edit_changes_something_allowed(rig: &Rig) {
    let number = rig.add("q").await;
    let edit = |priority| JobVerb::Edit(Edit { priority, ..Edit::default() });
    let job = number.into();
    check(rig, Command::Job { job, verb: edit(Some(1_001)) }, "priority is 1001", &["-1000", "1000"]).await;
    let job = number.into();
    check(rig, Command::Job { job, verb: edit(None) }, "edit is empty", &["payload", "priority"]).await;
}

pub async fn a_snooze_is_at_most_ten_years(rig: &Rig) {
    rig.add("q").await;
    let lease = proof(&rig.lease("q").await);
    let settlements = vec![Settlement { lease, outcome: Outcome::Snooze { delay_ms: Some(TEN_YEARS_MS + 1) } }];
    let command = Command::Settle { settlements, then_lease: None };
    check(rig, command, "delay_ms is 315360000001", &["0", "315360000000"]).await;
}

pub async fn a_wait_is_at_most_an_hour(rig: &Rig) {
    let number = rig.add("q").await;
    let error = rig.engine().wait(number.into(), 3_600_001).await.expect_err("longer than an hour");
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.starts_with("timeout_ms is 3600001; allowed: "), "{error}");
}

pub async fn a_reason_is_at_most_a_thousand_bytes(rig: &Rig) {
    let number = rig.add("q").await;
    let context = Context { actor: "ann".into(), reason: long(1_001) };
    let before = rig.hash().await;
    let error = rig.engine().job_verb(&context, number.into(), JobVerb::Cancel).await.expect_err("too long");
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.starts_with("reason is 1001 bytes"), "{error}");
    assert_eq!(rig.hash().await, before);
}

pub async fn a_message_shows_a_long_value_cut_and_on_one_line(rig: &Rig) {
    let command = Command::Enqueue { queue: "a\nb".repeat(200), jobs: vec![NewJob::new("work", "{}")] };
    let error = rig.refused(command).await;
    assert!(error.message.len() < 200 && !error.message.contains('\n'), "{error}");
}

pub async fn job_number_zero_is_no_job(rig: &Rig) {
    rig.add("q").await;
    let error = rig.refused(Command::ShowJob { job: JobNumber(0).into() }).await;
    assert!(matches!(error.word, Word::NoJob | Word::BadArg), "{} {error}", error.word);
}

pub async fn a_filter_keeps_its_lengths(rig: &Rig) {
    rig.add("q").await;
    let empty = JobFilter::default();
    for (filter, shown) in [
        (JobFilter { queue: Some(long(256)), ..empty.clone() }, shown("filter.queue")),
        (JobFilter { name: Some(long(256)), ..empty.clone() }, shown("filter.name")),
        (JobFilter { tag: Some(long(256)), ..empty.clone() }, shown("filter.tag")),
        (JobFilter { fingerprint: Some(long(256)), ..empty.clone() }, shown("filter.fingerprint")),
        (JobFilter { states: vec![JobState::Dead; 8], ..empty.clone() }, "filter.states is a list of 8".into()),
    ] {
        let allowed: &[&str] = if filter.states.is_empty() { &["255"] } else { &["7"] };
        let list = Command::ListJobs { filter: filter.clone(), cursor: None, limit: 1 };
        check(rig, list, &shown, allowed).await;
        check(rig, Command::StartOperation { verb: BulkVerb::Cancel, filter }, &shown, allowed).await;
    }
    let turned = JobFilter { since_ms: Some(5), until_ms: Some(5), ..empty.clone() };
    let allowed: &[&str] = &["milliseconds since 1970 as an integer, later than since_ms"];
    let list = Command::ListJobs { filter: turned.clone(), cursor: None, limit: 1 };
    check(rig, list, "filter.until_ms is 5", allowed).await;
    let start = Command::StartOperation { verb: BulkVerb::Cancel, filter: turned };
    check(rig, start, "filter.until_ms is 5", allowed).await;
    let most = JobFilter { name: Some(long(255)), states: JobState::ALL.to_vec(), ..empty };
    rig.done(Command::StartOperation { verb: BulkVerb::Cancel, filter: most }).await;
}
