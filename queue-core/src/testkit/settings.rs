//! Settings of queues: precedence, sources, the server's file, pause and resume.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use serde_json::{Value, json};

use super::context;
use super::rig::Rig;
use crate::engine::EngineExt;
use crate::model::{
    Backoff, Command, Edit, Effective, JobOptions, JobState, JobVerb, Outcome, QueueSettings, SettingSource,
    SettingsPatch, Word,
};

fn attempts(attempts: u64) -> QueueSettings {
    QueueSettings { attempts: Some(attempts), ..QueueSettings::default() }
}

async fn effective(rig: &Rig, setting: &str) -> Effective {
    let view = rig.engine().queue("q").await.expect("the queue exists");
    view.settings.into_iter().find(|effective| effective.setting == setting).expect("every setting is shown")
}

async fn check_effective(rig: &Rig, setting: &str, value: Value, source: SettingSource) {
    assert_eq!(effective(rig, setting).await, Effective { setting: setting.into(), value, source });
}

async fn apply_config(rig: &Rig, set: QueueSettings) {
    rig.done(Command::ApplyConfig { queues: vec![("q".into(), set)] }).await;
}

pub async fn a_queue_shows_every_setting_with_its_default(rig: &Rig) {
    rig.add("q").await;
    let view = rig.engine().queue("q").await.expect("the queue exists");
    let shown: std::collections::BTreeMap<_, _> =
        view.settings.iter().map(|effective| (effective.setting.clone(), effective.value.clone())).collect();
    let Value::Object(defaults) = serde_json::to_value(QueueSettings::defaults()).expect("plain data") else {
        panic!("settings are an object");
    };
    assert_eq!(shown, defaults.into_iter().collect());
    assert!(view.settings.iter().all(|effective| effective.source == SettingSource::Default));
}

pub async fn the_jobs_option_beats_the_queues_setting_and_that_the_default(rig: &Rig) {
    let by_default = rig.add("q").await;
    rig.set("q", attempts(5)).await;
    let by_queue = rig.add("q").await;
    let by_job = rig.add_with("q", JobOptions { attempts: Some(2), ..JobOptions::default() }).await;
    for (number, expected) in [(by_default, 16), (by_queue, 5), (by_job, 2)] {
        assert_eq!(rig.job(number).await.summary.attempts, expected);
    }
}

pub async fn what_concerns_a_job_is_resolved_when_it_is_enqueued(rig: &Rig) {
    let set = QueueSettings {
        attempts: Some(3),
        backoff: Some(Backoff::fixed(1_000)),
        timeout_ms: Some(7_000),
        expires_in_ms: Some(9_000_000),
        ..QueueSettings::default()
    };
    rig.set("q", set.clone()).await;
    let number = rig.add("q").await;
    let job = rig.job(number).await;
    assert_eq!((job.summary.attempts, job.backoff, job.timeout_ms), (3, Backoff::fixed(1_000), Some(7_000)));
    assert_eq!(job.expires_at_ms, Some(job.summary.enqueued_at_ms + 9_000_000));
    let other = QueueSettings { attempts: Some(9), timeout_ms: Some(0), ..QueueSettings::default() };
    rig.set("q", other).await;
    assert_eq!(rig.job(number).await, job, "a later setting does not touch it");
}

pub async fn what_concerns_the_queue_is_read_when_it_is_used(rig: &Rig) {
    rig.add("q").await;
    rig.set("q", QueueSettings { lease_ms: Some(12_345), ..QueueSettings::default() }).await;
    assert_eq!(rig.lease("q").await.lease_ms, 12_345);
}

pub async fn a_set_value_names_who_set_it(rig: &Rig) {
    let patch = SettingsPatch { set: attempts(5), reset: Vec::new() };
    rig.engine().set_queue(&context("ann", "load"), "q", patch).await.expect("set");
    check_effective(rig, "attempts", json!(5), SettingSource::Queue("ann".into())).await;
    check_effective(rig, "stalls", json!(3), SettingSource::Default).await;
}

pub async fn setting_one_value_leaves_the_others(rig: &Rig) {
    rig.set("q", attempts(5)).await;
    rig.set("q", QueueSettings { stalls: Some(9), ..QueueSettings::default() }).await;
    assert_eq!(effective(rig, "attempts").await.value, json!(5));
    assert_eq!(effective(rig, "stalls").await.value, json!(9));
}

pub async fn a_reset_value_is_the_default_again(rig: &Rig) {
    rig.set("q", attempts(5)).await;
    let patch = SettingsPatch { set: QueueSettings::default(), reset: vec!["attempts".into()] };
    rig.engine().set_queue(&context("ann", ""), "q", patch).await.expect("reset");
    check_effective(rig, "attempts", json!(16), SettingSource::Default).await;
}

pub async fn setting_makes_the_queue(rig: &Rig) {
    rig.set("q", attempts(5)).await;
    assert_eq!(rig.counts("q").await.enqueued, 0);
    assert_eq!(rig.job(rig.add("q").await).await.summary.attempts, 5);
}

pub async fn the_servers_file_is_a_source_of_its_own(rig: &Rig) {
    apply_config(rig, attempts(7)).await;
    check_effective(rig, "attempts", json!(7), SettingSource::Config).await;
    assert_eq!(rig.job(rig.add("q").await).await.summary.attempts, 7);
}

pub async fn the_servers_file_applied_again_changes_nothing(rig: &Rig) {
    apply_config(rig, attempts(7)).await;
    let before = rig.hash().await;
    apply_config(rig, attempts(7)).await;
    assert_eq!(rig.hash().await, before);
}

pub async fn the_servers_file_overrides_by_hand_only_where_it_changed(rig: &Rig) {
    let file =
        |attempts, stalls| QueueSettings { attempts: Some(attempts), stalls: Some(stalls), ..QueueSettings::default() };
    apply_config(rig, file(7, 7)).await;
    rig.set("q", file(8, 8)).await;
    apply_config(rig, file(7, 7)).await;
    assert_eq!(effective(rig, "attempts").await.value, json!(8), "the file did not change since");
    apply_config(rig, file(7, 9)).await;
    check_effective(rig, "stalls", json!(9), SettingSource::Config).await;
    assert_eq!(effective(rig, "attempts").await.value, json!(8), "this value of the file did not change");
}

pub async fn a_bad_value_in_the_servers_file_applies_none_of_it(rig: &Rig) {
    let queues = vec![("good".to_owned(), attempts(7)), ("bad".to_owned(), attempts(0))];
    let error = rig.refused(Command::ApplyConfig { queues }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.contains("attempts is 0; allowed: "), "{error}");
}

pub async fn an_unknown_setting_cannot_be_reset(rig: &Rig) {
    rig.add("q").await;
    let patch = SettingsPatch { set: QueueSettings::default(), reset: vec!["colour".into()] };
    let error = rig.refused(Command::SetQueue { queue: "q".into(), patch }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.contains("colour"), "{error}");
}

pub async fn a_paused_queue_starts_no_job(rig: &Rig) {
    let number = rig.add("q").await;
    rig.engine().pause(&context("ann", "migration"), "q").await.expect("paused");
    rig.nothing_ready("q").await;
    assert_eq!(rig.state(number).await, JobState::Waiting, "paused is a queue's property, not a state");
    rig.engine().resume(&context("ann", "done"), "q").await.expect("resumed");
    assert_eq!(rig.lease("q").await.number, number);
}

pub async fn a_pause_lets_running_jobs_finish(rig: &Rig) {
    rig.add_many("q", 2).await;
    let leased = rig.lease("q").await;
    rig.engine().pause(&context("ann", ""), "q").await.expect("paused");
    rig.engine().progress(super::rig::proof(&leased), "1".into()).await.expect("it goes on");
    rig.complete(&leased).await;
    rig.nothing_ready("q").await;
}

pub async fn a_paused_queue_takes_new_jobs(rig: &Rig) {
    rig.set("q", attempts(5)).await;
    rig.engine().pause(&context("ann", ""), "q").await.expect("paused");
    rig.add("q").await;
    rig.nothing_ready("q").await;
    assert_eq!(rig.counts("q").await.waiting, 1);
}

pub async fn a_paused_queue_says_who_paused_it_and_why(rig: &Rig) {
    rig.add("q").await;
    rig.engine().pause(&context("ann", "migration"), "q").await.expect("paused");
    let view = rig.engine().queue("q").await.expect("the queue exists");
    let reason = view.pause_reason.expect("a pause has its reason");
    assert!(view.paused && reason.contains("ann") && reason.contains("migration"), "{reason}");
    rig.engine().resume(&context("ann", ""), "q").await.expect("resumed");
    let view = rig.engine().queue("q").await.expect("the queue exists");
    assert_eq!((view.paused, view.pause_reason), (false, None));
}

pub async fn pausing_twice_and_resuming_twice_is_harmless(rig: &Rig) {
    let number = rig.add("q").await;
    for _ in 0..2 {
        rig.engine().pause(&context("ann", ""), "q").await.expect("paused");
    }
    for _ in 0..2 {
        rig.engine().resume(&context("ann", ""), "q").await.expect("resumed");
    }
    assert_eq!(rig.lease("q").await.number, number);
}

pub async fn a_pause_is_one_queues(rig: &Rig) {
    rig.add("q").await;
    let other = rig.add("other").await;
    rig.engine().pause(&context("ann", ""), "q").await.expect("paused");
    assert_eq!(rig.lease("other").await.number, other);
}

pub async fn a_queue_shows_how_long_its_next_job_has_waited(rig: &Rig) {
    rig.set("q", attempts(5)).await;
    assert_eq!(rig.engine().queue("q").await.expect("made").next_waiting_ms, None);
    rig.add("q").await;
    rig.pass(50, "the job has waited 50 ms", async || {
        rig.engine().queue("q").await.expect("made").next_waiting_ms >= Some(50)
    })
    .await;
}

async fn oldest_waits(rig: &Rig) -> u64 {
    rig.engine().queue("q").await.expect("made").oldest_waiting_ms.expect("a job waits")
}

pub async fn a_queue_shows_how_long_its_oldest_job_has_waited(rig: &Rig) {
    rig.set("q", attempts(5)).await;
    assert_eq!(rig.engine().queue("q").await.expect("made").oldest_waiting_ms, None);
    let lifo = JobOptions { lifo: true, ..JobOptions::default() };
    let urgent = JobOptions { priority: Some(5), ..JobOptions::default() };
    let (mut waiting, mut since) = (Vec::new(), 0);
    // Each is a good while younger than the one before it, wherever it stands in line.
    for options in [lifo.clone(), JobOptions::default(), lifo.clone(), urgent, JobOptions::default(), lifo] {
        waiting.push(rig.add_with("q", options).await);
        rig.pass(50, "the oldest job has waited 50 ms more", async || oldest_waits(rig).await >= since + 50).await;
        since = oldest_waits(rig).await;
    }
    // Another priority is another place in line, and no other age.
    rig.verb(waiting[0], JobVerb::Edit(Edit { priority: Some(9), ..Edit::default() })).await;
    rig.verb(waiting[1], JobVerb::Edit(Edit { priority: Some(9), ..Edit::default() })).await;
    let mut now = 0;
    for (gone, oldest) in [(1, 0), (0, 2), (4, 2), (2, 3), (3, 5)] {
        rig.remove(waiting[gone]).await;
        // Were it the age of another job, it would be of an instant before the last, or after the next.
        let at = oldest_waits(rig).await + rig.job(waiting[oldest]).await.summary.enqueued_at_ms;
        assert!(at >= now, "without {gone} it is the age of {oldest}");
        now = at;
    }
    rig.remove(waiting[5]).await;
    assert_eq!(rig.engine().queue("q").await.expect("made").oldest_waiting_ms, None);
    let last = rig.add("q").await;
    assert!(rig.job(last).await.summary.enqueued_at_ms >= now);
}

pub async fn a_job_that_comes_back_waits_anew(rig: &Rig) {
    let first = rig.add("q").await;
    rig.pass(50, "the job has waited 50 ms", async || oldest_waits(rig).await >= 50).await;
    rig.settle(&rig.lease("q").await, Outcome::Release).await;
    let waited = oldest_waits(rig).await;
    let second = rig.add("q").await;
    let released = rig.job(first).await.leases[0].ended_at_ms.expect("it was released");
    let later = rig.job(second).await.summary.enqueued_at_ms;
    assert!(released + waited <= later, "it counts from its release");
}

pub async fn queues_are_listed_by_name(rig: &Rig) {
    for queue in ["b", "a", "c", "ä"] {
        rig.add(queue).await;
    }
    let names: Vec<_> = rig.engine().all_queues().await.expect("listed").into_iter().map(|view| view.queue).collect();
    assert_eq!(names, ["a", "b", "c", "ä"]);
}

pub async fn queues_are_listed_in_pages(rig: &Rig) {
    for queue in ["b", "a", "c", "d"] {
        rig.add(queue).await;
    }
    let page = async |cursor, limit| {
        let page = rig.engine().queues(cursor, limit).await.expect("listed");
        (page.queues.into_iter().map(|view| view.queue).collect::<Vec<_>>(), page.cursor)
    };
    let (first, cursor) = page(None, 2).await;
    assert_eq!(first, ["a", "b"]);
    // One that comes meanwhile stands at its place.
    rig.add("bb").await;
    let (second, cursor) = page(cursor, 2).await;
    assert_eq!(second, ["bb", "c"]);
    assert_eq!(page(cursor, 2).await, (vec!["d".to_owned()], None));
    assert_eq!(page(None, 5).await.1, None, "nothing is left");
    for limit in [0, 1_001] {
        let error = rig.refused(Command::ListQueues { cursor: None, limit }).await;
        assert!(error.message.starts_with(&format!("count is {limit}; allowed: 1 to 1000")), "{error}");
    }
    let error = rig.refused(Command::ListQueues { cursor: Some("a\nb".into()), limit: 1 }).await;
    assert!(error.word == Word::BadArg && error.message.starts_with("cursor is "), "{error}");
}
