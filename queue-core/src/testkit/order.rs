//! In which order jobs are handed out: priority, arrival, LIFO, and where a job goes that comes back.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::Rig;
use crate::model::{Backoff, Edit, JobNumber, JobOptions, JobState, JobVerb, Outcome, QueueSettings};

fn priority(priority: i64) -> JobOptions {
    JobOptions { priority: Some(priority), ..JobOptions::default() }
}

fn lifo(of: i64) -> JobOptions {
    JobOptions { lifo: true, ..priority(of) }
}

fn delay(ms: u64) -> JobOptions {
    JobOptions { delay_ms: Some(ms), ..JobOptions::default() }
}

async fn check_drained(rig: &Rig, expected: &[JobNumber]) {
    assert_eq!(rig.drain("q").await, expected);
}

pub async fn the_larger_priority_goes_first(rig: &Rig) {
    let mut by_priority = Vec::new();
    for of in [0, -1_000, 5, 1_000, -1] {
        by_priority.push((of, rig.add_with("q", priority(of)).await));
    }
    by_priority.sort_by_key(|&(of, _)| std::cmp::Reverse(of));
    let expected: Vec<_> = by_priority.into_iter().map(|(_, number)| number).collect();
    check_drained(rig, &expected).await;
}

pub async fn within_a_priority_the_first_enqueued_goes_first(rig: &Rig) {
    let mut urgent = Vec::new();
    let mut plain = Vec::new();
    for _ in 0..5 {
        plain.push(rig.add("q").await);
        urgent.push(rig.add_with("q", priority(1)).await);
    }
    check_drained(rig, &[urgent, plain].concat()).await;
}

pub async fn lifo_joins_the_front_of_its_priority(rig: &Rig) {
    let first = rig.add("q").await;
    let second = rig.add_with("q", lifo(0)).await;
    let third = rig.add_with("q", lifo(0)).await;
    let urgent = rig.add_with("q", priority(1)).await;
    let low = rig.add_with("q", lifo(-1)).await;
    check_drained(rig, &[urgent, third, second, first, low]).await;
}

pub async fn what_was_released_takes_its_old_place(rig: &Rig) {
    let numbers = rig.add_many("q", 4).await;
    let leased = rig.lease_up_to("q", 3).await;
    rig.settle(&leased[1], Outcome::Release).await;
    check_drained(rig, &[numbers[1], numbers[3]]).await;
}

pub async fn what_is_released_in_any_order_is_handed_out_in_the_old_one(rig: &Rig) {
    let numbers = rig.add_many("q", 6).await;
    let leased = rig.lease_up_to("q", 5).await;
    for at in [3, 0, 4, 2, 1] {
        rig.settle(&leased[at], Outcome::Release).await;
    }
    check_drained(rig, &numbers).await;
}

pub async fn what_expired_takes_its_old_place(rig: &Rig) {
    rig.set("q", QueueSettings { lease_ms: Some(100), ..QueueSettings::default() }).await;
    let numbers = rig.add_many("q", 3).await;
    rig.lease_up_to("q", 2).await;
    rig.pass(100, "both leases expire", async || rig.counts("q").await.waiting == 3).await;
    assert_eq!(rig.lease_up_to("q", 10).await.iter().map(|leased| leased.number).collect::<Vec<_>>(), numbers);
}

pub async fn what_comes_due_joins_the_end(rig: &Rig) {
    let delayed = rig.add_with("q", delay(1_000)).await;
    let plain = rig.add_many("q", 2).await;
    rig.pass_to(1_000, delayed, JobState::Waiting).await;
    let last = rig.add("q").await;
    check_drained(rig, &[plain[0], plain[1], delayed, last]).await;
}

pub async fn what_comes_due_together_joins_in_order_of_due_time(rig: &Rig) {
    let mut numbers = Vec::new();
    for ms in [120, 60, 90] {
        let number = rig.add_with("q", delay(ms)).await;
        // Where time is real, a slow disk lies between the enqueues; what counts is when each is due.
        numbers.push((rig.job(number).await.summary.at_ms, number));
    }
    rig.pass(120, "all three are due", async || rig.counts("q").await.waiting == 3).await;
    numbers.sort();
    let expected: Vec<_> = numbers.into_iter().map(|(_, number)| number).collect();
    check_drained(rig, &expected).await;
}

pub async fn what_is_retried_after_a_failure_joins_the_end(rig: &Rig) {
    let options = JobOptions { backoff: Some(Backoff::fixed(50)), ..JobOptions::default() };
    let failing = rig.add_with("q", options).await;
    let plain = rig.add("q").await;
    rig.fail(&rig.lease("q").await).await;
    rig.pass_to(50, failing, JobState::Waiting).await;
    check_drained(rig, &[plain, failing]).await;
}

pub async fn what_is_redriven_joins_the_end(rig: &Rig) {
    let first = rig.add("q").await;
    rig.complete(&rig.lease("q").await).await;
    let second = rig.add("q").await;
    assert_eq!(rig.verb(first, JobVerb::Retry).await, JobState::Waiting);
    check_drained(rig, &[second, first]).await;
}

pub async fn what_is_promoted_joins_the_end(rig: &Rig) {
    let delayed = rig.add_with("q", delay(600_000)).await;
    let plain = rig.add("q").await;
    assert_eq!(rig.verb(delayed, JobVerb::Promote).await, JobState::Waiting);
    check_drained(rig, &[plain, delayed]).await;
}

pub async fn what_gets_another_priority_joins_its_end(rig: &Rig) {
    let urgent = rig.add_with("q", priority(5)).await;
    let numbers = rig.add_many("q", 3).await;
    let raise = JobVerb::Edit(Edit { priority: Some(5), ..Edit::default() });
    rig.verb(numbers[1], raise).await;
    check_drained(rig, &[urgent, numbers[1], numbers[0], numbers[2]]).await;
}

pub async fn what_gets_another_payload_keeps_its_place(rig: &Rig) {
    let numbers = rig.add_many("q", 3).await;
    let edit = Edit { payload: Some("new".into()), ..Edit::default() };
    rig.verb(numbers[0], JobVerb::Edit(edit)).await;
    check_drained(rig, &numbers).await;
}

pub async fn a_removed_or_cancelled_job_leaves_no_gap(rig: &Rig) {
    let numbers = rig.add_many("q", 5).await;
    rig.remove(numbers[0]).await;
    rig.cancel(numbers[2]).await;
    rig.remove(numbers[4]).await;
    check_drained(rig, &[numbers[1], numbers[3]]).await;
}

pub async fn a_released_urgent_job_still_goes_before_the_others(rig: &Rig) {
    let urgent = rig.add_with("q", priority(5)).await;
    let plain = rig.add("q").await;
    rig.settle(&rig.lease("q").await, Outcome::Release).await;
    let more_urgent = rig.add_with("q", priority(6)).await;
    check_drained(rig, &[more_urgent, urgent, plain]).await;
}
