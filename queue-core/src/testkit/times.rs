//! Exact instants: what is due, is due then and not a millisecond before. Group `driven`.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::history::lease_and_release;
use super::rig::{Rig, WORKER, context, order, proof};
use crate::engine::EngineExt;
use crate::model::{
    Backoff, Beat, DeadReason, Extension, JobNumber, JobOptions, JobState, JobVerb, LeaseOrder, Limits, Outcome,
    QueueSettings, Settled, When, Word, WorkerOrder, WorkerState, WorkerView,
};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
const YEAR_MS: u64 = 365 * DAY_MS;

/// The job stays in `before` up to the last millisecond and is in `after` then.
async fn check_due(rig: &Rig, number: JobNumber, ms: u64, before: JobState, after: JobState) {
    assert_eq!(rig.state(number).await, before);
    rig.advance(ms - 1);
    assert_eq!(rig.state(number).await, before, "one millisecond before its time");
    rig.pass_to(1, number, after).await;
}

pub async fn a_delay_ends_on_its_millisecond(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { delay_ms: Some(5_000), ..JobOptions::default() }).await;
    check_due(rig, number, 5_000, JobState::Delayed, JobState::Waiting).await;
}

pub async fn a_delay_of_ten_years_ends_after_ten_years(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { delay_ms: Some(10 * YEAR_MS), ..JobOptions::default() }).await;
    check_due(rig, number, 10 * YEAR_MS, JobState::Delayed, JobState::Waiting).await;
}

pub async fn a_backoff_ends_on_its_millisecond(rig: &Rig) {
    let options = JobOptions { backoff: Some(Backoff::exponential(1_000)), ..JobOptions::default() };
    let number = rig.add_with("q", options).await;
    for pause in [1_000, 2_000, 4_000] {
        rig.fail(&rig.lease("q").await).await;
        check_due(rig, number, pause, JobState::Delayed, JobState::Waiting).await;
    }
}

pub async fn the_default_backoff_is_about_six_and_a_half_hours_in_all(rig: &Rig) {
    let number = rig.add("q").await;
    let mut total = 0;
    for _ in 1..16 {
        rig.fail(&rig.lease("q").await).await;
        let job = rig.job(number).await;
        let ended = job.leases.last().expect("a lease").ended_at_ms.expect("which ended");
        let pause = job.summary.at_ms.expect("due") - ended;
        total += pause;
        check_due(rig, number, pause, JobState::Delayed, JobState::Waiting).await;
    }
    rig.fail(&rig.lease("q").await).await;
    assert_eq!(rig.job(number).await.summary.reason, Some(DeadReason::Exhausted));
    let minutes = total / MINUTE_MS;
    assert!((350..=450).contains(&minutes), "{minutes} minutes");
}

pub async fn a_snooze_ends_on_its_millisecond(rig: &Rig) {
    let number = rig.add("q").await;
    rig.settle(&rig.lease("q").await, Outcome::Snooze { delay_ms: Some(7_777) }).await;
    check_due(rig, number, 7_777, JobState::Delayed, JobState::Waiting).await;
}

pub async fn a_reschedule_moves_the_time(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { delay_ms: Some(1_000), ..JobOptions::default() }).await;
    rig.verb(number, JobVerb::Reschedule(When::DelayMs(9_000))).await;
    check_due(rig, number, 9_000, JobState::Delayed, JobState::Waiting).await;
    rig.verb(number, JobVerb::Reschedule(When::DelayMs(500))).await;
    check_due(rig, number, 500, JobState::Delayed, JobState::Waiting).await;
}

pub async fn a_lease_ends_on_its_millisecond(rig: &Rig) {
    let number = rig.add("q").await;
    rig.lease("q").await;
    check_due(rig, number, 30_000, JobState::Active, JobState::Waiting).await;
}

pub async fn an_extended_lease_ends_its_length_after_the_extension(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    for _ in 0..5 {
        rig.advance(20_000);
        let answers = rig.engine().extend(vec![proof(&leased)]).await;
        assert_eq!(answers, Ok(vec![Extension::Extended { lease_ms: 30_000 }]));
    }
    check_due(rig, number, 30_000, JobState::Active, JobState::Waiting).await;
    assert_eq!(rig.job(number).await.stalls, 1);
}

pub async fn an_unstarted_job_expires_on_its_millisecond(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { expires_in_ms: Some(5_000), ..JobOptions::default() }).await;
    check_due(rig, number, 5_000, JobState::Waiting, JobState::Dead).await;
}

pub async fn a_run_at_follows_the_wall_clock(rig: &Rig) {
    let now = rig.job(rig.add("other").await).await.summary.enqueued_at_ms;
    let run_at = |ms| JobOptions { run_at_ms: Some(now + ms), ..JobOptions::default() };
    let soon = rig.add_with("q", run_at(3_600_000)).await;
    let later = rig.add_with("q", run_at(7_200_000)).await;
    let delayed = rig.add_with("q", JobOptions { delay_ms: Some(3_600_000), ..JobOptions::default() }).await;
    rig.home().shift_wall(3_600_000);
    rig.pass_to(0, soon, JobState::Waiting).await;
    assert_eq!((rig.state(later).await, rig.state(delayed).await), (JobState::Delayed, JobState::Delayed));
    rig.home().shift_wall(-3_600_000);
    rig.advance(3_600_000);
    rig.pass_to(0, delayed, JobState::Waiting).await;
    assert_eq!(rig.state(later).await, JobState::Delayed, "by the wall clock it is an hour away");
    check_due(rig, later, 3_600_000, JobState::Delayed, JobState::Waiting).await;
}

/// A jump of the wall clock must move nothing that counts in passed time.
async fn check_wall_jump(rig: &Rig, ms: i64) {
    let delayed = rig.add_with("q", JobOptions { delay_ms: Some(60_000), ..JobOptions::default() }).await;
    let active = rig.add("q").await;
    let leased = rig.lease("q").await;
    let done = rig.add("done").await;
    rig.complete(&rig.lease("done").await).await;
    rig.home().shift_wall(ms);
    rig.advance(1_000);
    assert_eq!((rig.state(delayed).await, rig.state(active).await), (JobState::Delayed, JobState::Active));
    assert!(rig.kept(done).await, "retention counts passed time");
    rig.complete(&leased).await;
    check_due(rig, delayed, 59_000, JobState::Delayed, JobState::Waiting).await;
    assert_eq!(rig.job(active).await.stalls, 0);
}

pub async fn a_wall_clock_that_jumps_an_hour_ahead_moves_no_delay_lease_or_retention(rig: &Rig) {
    check_wall_jump(rig, 3_600_000).await;
}

pub async fn a_wall_clock_that_jumps_an_hour_back_moves_no_delay_lease_or_retention(rig: &Rig) {
    check_wall_jump(rig, -3_600_000).await;
}

pub async fn a_wall_clock_that_jumps_a_year_ahead_moves_no_delay_lease_or_retention(rig: &Rig) {
    check_wall_jump(rig, YEAR_MS as i64).await;
}

pub async fn a_wall_clock_that_jumps_a_year_back_moves_no_delay_lease_or_retention(rig: &Rig) {
    check_wall_jump(rig, -(YEAR_MS as i64)).await;
}

pub async fn a_settlement_answers_already_for_ten_minutes(rig: &Rig) {
    rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.complete(&leased).await;
    let again = async || rig.engine().settle(proof(&leased), Outcome::Complete { result: None }).await;
    rig.advance(10 * MINUTE_MS - 1);
    assert_eq!(again().await, Ok(Settled::Already));
    rig.advance(YEAR_MS);
    match again().await {
        Ok(Settled::Already) => {}
        Ok(Settled::Counted) => panic!("it counted twice"),
        Err(error) => assert_eq!(error.word, Word::Stale),
    }
}

pub async fn a_cancelled_jobs_lease_is_not_extended_from_sixty_seconds_on(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.cancel(number).await;
    let extend = async || {
        let answers = rig.engine().extend(vec![proof(&leased)]).await.expect("answered");
        assert!(matches!(answers[..], [Extension::Cancel { .. }]), "{answers:?}");
        rig.job(number).await.summary.at_ms.expect("an active job's lease expires")
    };
    let mut expires = rig.job(number).await.summary.at_ms.expect("expires");
    for _ in 0..5 {
        rig.advance(11_000);
        let extended = extend().await;
        assert!(extended > expires, "its handler still has time to end");
        expires = extended;
    }
    rig.advance(5_000);
    assert_eq!(extend().await, expires, "60 s after the cancel the lease is not extended");
    rig.pass_to(30_000, number, JobState::Cancelled).await;
}

pub async fn ten_thousand_returns_in_a_row_are_a_loop(rig: &Rig) {
    let number = rig.add("q").await;
    lease_and_release(rig, "q", 9_999).await;
    assert_eq!(rig.state(number).await, JobState::Waiting);
    rig.settle(&rig.lease("q").await, Outcome::Release).await;
    let job = rig.job(number).await;
    assert_eq!((job.summary.state, job.summary.reason), (JobState::Dead, Some(DeadReason::Looping)));
    assert_eq!((job.leases.len(), job.leases_left_out), (100, 9_900));
}

pub async fn progress_ends_a_loop(rig: &Rig) {
    let number = rig.add("q").await;
    lease_and_release(rig, "q", 6_000).await;
    let leased = rig.lease("q").await;
    rig.engine().progress(proof(&leased), "1".into()).await.expect("taken");
    rig.settle(&leased, Outcome::Release).await;
    lease_and_release(rig, "q", 6_000).await;
    assert_eq!(rig.state(number).await, JobState::Waiting);
}

async fn shown(rig: &Rig) -> WorkerView {
    rig.engine().worker(WORKER.into()).await.expect("it is there")
}

pub async fn a_worker_that_is_silent_for_a_minute_is_gone(rig: &Rig) {
    let number = rig.add("q").await;
    let leases = vec![proof(&rig.lease("q").await)];
    let quiet = async || rig.engine().order_worker(&context("ann", ""), WORKER.into(), WorkerOrder::Quiet).await;
    let beat = async |leases| rig.engine().beat(Beat { worker: WORKER.into(), leases, ..Beat::default() }).await;
    beat(leases).await.expect("answered");
    quiet().await.expect("it beats");
    let before = shown(rig).await;
    rig.advance(59_999);
    assert_eq!(shown(rig).await.state, WorkerState::Running);
    rig.advance(2);
    let view = shown(rig).await;
    assert_eq!(
        (view.state, view.beat_at_ms, view.leases, &view.order),
        (WorkerState::Gone, before.beat_at_ms, 1, &None)
    );
    let [held] = &view.jobs[..] else { panic!("{view:?}") };
    assert_eq!((held.number, &*held.queue, held.leased_at_ms), (number, "q", before.jobs[0].leased_at_ms));
    assert_eq!(rig.engine().all_workers().await, Ok(vec![shown(rig).await]));
    assert_eq!(quiet().await.expect_err("it is gone").word, Word::NoWorker);
    assert_eq!(beat(Vec::new()).await.expect("answered").order, None, "its orders went with it");
    assert_eq!(shown(rig).await.state, WorkerState::Running, "it is back");
}

pub async fn a_worker_that_is_gone_is_forgotten_after_a_day(rig: &Rig) {
    rig.engine().beat(Beat { worker: WORKER.into(), ..Beat::default() }).await.expect("answered");
    rig.advance(Limits::GONE_MS);
    assert_eq!(shown(rig).await.state, WorkerState::Gone);
    rig.advance(1);
    assert_eq!(rig.engine().worker(WORKER.into()).await.expect_err("forgotten").word, Word::NoWorker);
    assert_eq!(rig.engine().all_workers().await, Ok(Vec::new()));
}

pub async fn a_short_lease_beside_a_long_one_ends_first(rig: &Rig) {
    rig.set("q", QueueSettings { lease_ms: Some(50_000), ..QueueSettings::default() }).await;
    let numbers = rig.add_many("q", 2).await;
    let short = LeaseOrder { lease_ms: Some(1_000), ..order("q", 1) };
    rig.engine().lease_now(short).await.expect("leased");
    rig.lease("q").await;
    rig.pass_to(1_000, numbers[0], JobState::Waiting).await;
    assert_eq!(rig.state(numbers[1]).await, JobState::Active);
    rig.pass_to(49_000, numbers[1], JobState::Waiting).await;
}

pub async fn everything_due_in_one_long_step_happens_in_order_of_time(rig: &Rig) {
    let mut numbers = Vec::new();
    for delay in [9_000, 3_000, 6_000, 1_000] {
        numbers.push(rig.add_with("q", JobOptions { delay_ms: Some(delay), ..JobOptions::default() }).await);
    }
    rig.pass(3_600_000, "all are due", async || rig.counts("q").await.waiting == 4).await;
    assert_eq!(rig.drain("q").await, [numbers[3], numbers[1], numbers[2], numbers[0]]);
}
