//! Downtime and clocks across a restart: group `restarts`, for durable engines with driven time.
//!
//! While the engine is down only the wall clock tells how long; whatever it says, no job is poisoned, removed, started
//! early or stuck.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::identity::add_id;
use super::rig::{Rig, failure, order, proof};
use crate::engine::EngineExt;
use crate::model::{
    Added, Backoff, Command, DelayCause, JobNumber, JobOptions, JobState, LeaseOrder, LeasedJob, Outcome,
    QueueSettings, SettingSource, Settled,
};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

/// A job of each kind that time can touch.
struct Kinds {
    active: LeasedJob,
    waiting: JobNumber,
    delayed: JobNumber,
    retrying: JobNumber,
    completed: JobNumber,
    dead: JobNumber,
}

const NO_STALLS: u64 = 0;

async fn kinds(rig: &Rig) -> Kinds {
    let completed = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    let dead = rig.add("q").await;
    let rejected = Outcome::Fail { kind: "exit".into(), error: "it broke".into(), retryable: false };
    rig.settle(&rig.lease("q").await, rejected).await;
    let options = JobOptions { backoff: Some(Backoff::fixed(2 * YEAR_MS)), ..JobOptions::default() };
    let retrying = rig.add_with("q", options).await;
    rig.settle(&rig.lease("q").await, failure("it broke")).await;
    rig.set("q", QueueSettings { stalls: Some(NO_STALLS), ..QueueSettings::default() }).await;
    rig.add("q").await;
    let active = rig.lease("q").await;
    let delayed = rig.add_with("q", JobOptions { delay_ms: Some(2 * YEAR_MS), ..JobOptions::default() }).await;
    let waiting = rig.add("q").await;
    Kinds { active, waiting, delayed, retrying, completed, dead }
}

/// No job poisoned, removed, early or stuck, whatever happened to the clock while the engine was down.
async fn check_kinds(rig: &Rig, kinds: &Kinds) {
    let active = rig.job(kinds.active.number).await;
    assert_eq!((active.summary.state, active.stalls), (JobState::Active, 0), "downtime is no stall");
    assert!(rig.kept(kinds.completed).await && rig.kept(kinds.dead).await, "nothing aged out");
    assert_eq!(rig.state(kinds.delayed).await, JobState::Delayed);
    let retrying = rig.job(kinds.retrying).await.summary;
    assert_eq!((retrying.state, retrying.cause), (JobState::Delayed, Some(DelayCause::Retry)));
    assert_eq!(rig.lease("q").await.number, kinds.waiting, "what waits is handed out");
    let settled = rig.engine().settle(proof(&kinds.active), Outcome::Complete { result: None }).await;
    assert_eq!(settled, Ok(Settled::Counted), "the lease's holder may still settle");
    rig.pass_to(3 * YEAR_MS, kinds.delayed, JobState::Waiting).await;
    rig.pass_to(0, kinds.retrying, JobState::Waiting).await;
}

async fn check_wall_shift(rig: &Rig, ms: i64) {
    let kinds = kinds(rig).await;
    rig.down().await;
    rig.home().shift_wall(ms);
    rig.up().await;
    check_kinds(rig, &kinds).await;
}

pub async fn ten_lease_lengths_of_downtime_poison_no_job(rig: &Rig) {
    let kinds = kinds(rig).await;
    rig.down().await;
    rig.advance(10 * 30_000);
    rig.up().await;
    rig.advance(29_999);
    check_kinds(rig, &kinds).await;
}

pub async fn ten_lease_lengths_of_downtime_after_a_crash_poison_no_job(rig: &Rig) {
    let kinds = kinds(rig).await;
    for _ in 0..10 {
        rig.advance(30_000 - 1);
        rig.crash().await;
    }
    check_kinds(rig, &kinds).await;
}

pub async fn a_lease_nobody_comes_back_for_expires_once_after_the_start(rig: &Rig) {
    let number = rig.add("q").await;
    rig.lease("q").await;
    rig.down().await;
    rig.advance(10 * 30_000);
    rig.up().await;
    rig.advance(29_999);
    assert_eq!(rig.state(number).await, JobState::Active, "it has its full length again");
    rig.pass_to(1, number, JobState::Waiting).await;
    assert_eq!(rig.job(number).await.stalls, 1);
}

pub async fn a_lease_of_a_length_of_its_own_has_that_length_again_after_the_start(rig: &Rig) {
    let number = rig.add("q").await;
    let order = LeaseOrder { lease_ms: Some(HOUR_MS), ..order("q", 1) };
    rig.engine().lease_now(order).await.expect("leased");
    rig.advance(MINUTE_MS);
    rig.crash().await;
    rig.advance(HOUR_MS - 1);
    assert_eq!(rig.state(number).await, JobState::Active, "its worker extends it every 20 minutes");
    rig.pass_to(1, number, JobState::Waiting).await;
}

pub async fn a_wall_clock_an_hour_ahead_at_the_start_harms_no_job(rig: &Rig) {
    check_wall_shift(rig, HOUR_MS as i64).await;
}

pub async fn a_wall_clock_an_hour_back_at_the_start_harms_no_job(rig: &Rig) {
    check_wall_shift(rig, -(HOUR_MS as i64)).await;
}

pub async fn a_wall_clock_a_year_ahead_at_the_start_harms_no_job(rig: &Rig) {
    check_wall_shift(rig, YEAR_MS as i64).await;
}

pub async fn a_wall_clock_a_year_back_at_the_start_harms_no_job(rig: &Rig) {
    check_wall_shift(rig, -(YEAR_MS as i64)).await;
}

pub async fn what_came_due_while_the_engine_was_down_is_due_at_its_start(rig: &Rig) {
    let delay = |ms| JobOptions { delay_ms: Some(ms), ..JobOptions::default() };
    let later = rig.add_with("q", delay(2 * HOUR_MS)).await;
    let second = rig.add_with("q", delay(40 * MINUTE_MS)).await;
    let first = rig.add_with("q", delay(20 * MINUTE_MS)).await;
    rig.down().await;
    rig.advance(HOUR_MS);
    rig.up().await;
    rig.pass_to(0, second, JobState::Waiting).await;
    assert_eq!(rig.drain("q").await, [first, second], "in order of due time");
    assert_eq!(rig.state(later).await, JobState::Delayed);
    rig.advance(HOUR_MS - 1);
    assert_eq!(rig.state(later).await, JobState::Delayed);
    rig.pass_to(1, later, JobState::Waiting).await;
}

pub async fn a_delay_is_not_stuck_though_the_wall_clock_went_back(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { delay_ms: Some(MINUTE_MS), ..JobOptions::default() }).await;
    rig.advance(MINUTE_MS / 2);
    rig.down().await;
    rig.home().shift_wall(-(YEAR_MS as i64));
    rig.up().await;
    rig.advance(MINUTE_MS / 2 - 1);
    assert_eq!(rig.state(number).await, JobState::Delayed, "nor is it early");
    // Time since the last event before the end is not known to the journal: at most that much is waited again.
    rig.pass_to(MINUTE_MS / 2 + 1, number, JobState::Waiting).await;
}

pub async fn after_more_than_a_day_away_removal_by_age_waits_an_hour(rig: &Rig) {
    let completed = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    rig.down().await;
    rig.home().shift_wall(YEAR_MS as i64);
    rig.up().await;
    rig.advance(HOUR_MS - 1);
    assert!(rig.kept(completed).await, "an operator has an hour to set the clock right");
    rig.pass(1, "it ages out then", async || rig.counts("q").await.aged_out == 1).await;
}

pub async fn a_clock_set_right_within_the_hour_has_removed_nothing(rig: &Rig) {
    let first = add_id(rig, "q", "x").await;
    rig.complete(&rig.lease("q").await).await;
    rig.down().await;
    rig.home().shift_wall(YEAR_MS as i64);
    rig.up().await;
    rig.advance(MINUTE_MS);
    rig.down().await;
    rig.home().shift_wall(-(YEAR_MS as i64));
    rig.up().await;
    rig.advance(MINUTE_MS);
    assert!(rig.kept(first.number).await);
    assert_eq!(add_id(rig, "q", "x").await.added, Added::Existing);
}

pub async fn a_run_at_passed_while_down_runs_at_the_start(rig: &Rig) {
    let now = rig.job(rig.add("other").await).await.summary.enqueued_at_ms;
    let run_at = |ms| JobOptions { run_at_ms: Some(now + ms), ..JobOptions::default() };
    let soon = rig.add_with("q", run_at(HOUR_MS)).await;
    let later = rig.add_with("q", run_at(3 * HOUR_MS)).await;
    rig.down().await;
    rig.advance(2 * HOUR_MS);
    rig.up().await;
    rig.pass_to(0, soon, JobState::Waiting).await;
    assert_eq!(rig.state(later).await, JobState::Delayed);
    rig.pass_to(HOUR_MS, later, JobState::Waiting).await;
}

pub async fn tokens_grow_though_the_wall_clock_went_back_a_year(rig: &Rig) {
    rig.add_many("q", 2).await;
    let first = rig.lease("q").await;
    rig.down().await;
    rig.home().shift_wall(-(YEAR_MS as i64));
    rig.up().await;
    let second = rig.lease("q").await;
    assert!(second.token > first.token);
    rig.complete(&first).await;
    rig.complete(&second).await;
}

pub async fn what_the_servers_file_said_is_known_after_a_restart(rig: &Rig) {
    let file = || QueueSettings { stalls: Some(9), ..QueueSettings::default() };
    rig.done(Command::ApplyConfig { queues: vec![("q".into(), file())] }).await;
    rig.set("q", QueueSettings { stalls: Some(5), ..QueueSettings::default() }).await;
    rig.crash().await;
    // A server applies its file at every start; what was set by hand since stays where the file did not change.
    rig.done(Command::ApplyConfig { queues: vec![("q".into(), file())] }).await;
    let view = rig.engine().queue("q").await.expect("shown");
    let stalls = view.settings.iter().find(|effective| effective.setting == "stalls").expect("every setting is shown");
    assert_eq!((&stalls.value, &stalls.source), (&5.into(), &SettingSource::Queue("suite".into())));
}
