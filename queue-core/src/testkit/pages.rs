//! Lists: each state in its own order, in pages, by filter.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::{Rig, failure};
use crate::engine::EngineExt;
use crate::model::{
    BulkVerb, Command, Context, DeadReason, DelayCause, JobFilter, JobNumber, JobOptions, JobState, JobSummary,
    JobVerb, NewJob, Outcome, Reply, SettingsPatch, Word,
};

fn of(state: JobState) -> JobFilter {
    JobFilter { queue: Some("q".into()), states: vec![state], ..JobFilter::default() }
}

/// All rows that match, read in pages of `limit`.
async fn list(rig: &Rig, filter: &JobFilter, limit: u32) -> Vec<JobSummary> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page = rig.engine().jobs(filter.clone(), cursor, limit).await.expect("the list is read");
        assert!(page.jobs.len() <= limit as usize && page.looked_at <= 1_000, "a page keeps its bounds");
        rows.extend(page.jobs);
        cursor = page.cursor;
        if cursor.is_none() {
            return rows;
        }
    }
}

/// Checks the order of a state's jobs, in pages of every size.
async fn check_listed(rig: &Rig, filter: &JobFilter, expected: &[JobNumber]) {
    for limit in [1, 2, 3, 1_000] {
        let listed: Vec<_> = list(rig, filter, limit).await.iter().map(|row| row.number).collect();
        assert_eq!(listed, expected, "in pages of {limit}");
    }
}

fn delay(ms: u64) -> JobOptions {
    JobOptions { delay_ms: Some(ms), ..JobOptions::default() }
}

pub async fn waiting_jobs_are_listed_in_serving_order(rig: &Rig) {
    let mut numbers = rig.add_many("q", 3).await;
    let urgent = rig.add_with("q", JobOptions { priority: Some(5), ..JobOptions::default() }).await;
    let front = rig.add_with("q", JobOptions { lifo: true, ..JobOptions::default() }).await;
    let first = rig.lease("q").await;
    rig.settle(&first, Outcome::Release).await;
    numbers.splice(0..0, [urgent, front]);
    check_listed(rig, &of(JobState::Waiting), &numbers).await;
    assert_eq!(rig.drain("q").await, numbers, "and that is how they are served");
}

pub async fn delayed_jobs_are_listed_by_due_time(rig: &Rig) {
    let third = rig.add_with("q", delay(300_000)).await;
    let first = rig.add_with("q", delay(100_000)).await;
    let second = rig.add_with("q", delay(200_000)).await;
    check_listed(rig, &of(JobState::Delayed), &[first, second, third]).await;
}

pub async fn delays_and_times_are_listed_together_by_due_time(rig: &Rig) {
    let third = rig.add_with("q", delay(300_000)).await;
    let now = rig.job(third).await.summary.enqueued_at_ms;
    let at = |ms| JobOptions { run_at_ms: Some(now + ms), ..JobOptions::default() };
    let fourth = rig.add_with("q", at(400_000)).await;
    let first = rig.add_with("q", delay(100_000)).await;
    let second = rig.add_with("q", at(200_000)).await;
    check_listed(rig, &of(JobState::Delayed), &[first, second, third, fourth]).await;
}

pub async fn active_jobs_are_listed_by_expiry(rig: &Rig) {
    let numbers = rig.add_many("q", 3).await;
    for lease_ms in [300_000, 100_000, 200_000] {
        let order = crate::model::LeaseOrder { lease_ms: Some(lease_ms), ..super::rig::order("q", 1) };
        rig.engine().lease_now(order).await.expect("leased");
    }
    check_listed(rig, &of(JobState::Active), &[numbers[1], numbers[2], numbers[0]]).await;
}

pub async fn done_jobs_are_listed_from_the_latest_back(rig: &Rig) {
    let numbers = rig.add_many("q", 3).await;
    let leased = rig.lease_up_to("q", 3).await;
    for at in [2, 0, 1] {
        rig.pass(2, "time passes", async || true).await;
        rig.complete(&leased[at]).await;
    }
    // Done within one millisecond they may stand by number; driven time keeps them apart.
    let done = list(rig, &of(JobState::Completed), 1_000).await;
    assert!(done.windows(2).all(|pair| pair[0].at_ms >= pair[1].at_ms), "by finish");
    assert_eq!(done.len(), numbers.len());
    let numbers: Vec<_> = done.iter().map(|row| row.number).collect();
    check_listed(rig, &of(JobState::Completed), &numbers).await;
}

pub async fn dead_and_cancelled_jobs_are_listed(rig: &Rig) {
    let numbers = rig.add_many("q", 2).await;
    let outcome = Outcome::Fail { kind: "exit".into(), error: "no such file".into(), retryable: false };
    rig.settle(&rig.lease("q").await, outcome).await;
    rig.cancel(numbers[1]).await;
    let dead = list(rig, &of(JobState::Dead), 10).await;
    assert_eq!((dead.len(), dead[0].number, dead[0].reason), (1, numbers[0], Some(DeadReason::Rejected)));
    assert_eq!(dead[0].error.as_deref(), Some("no such file"));
    check_listed(rig, &of(JobState::Cancelled), &numbers[1..]).await;
}

pub async fn a_row_says_what_the_shown_job_says(rig: &Rig) {
    let options = JobOptions { id: Some("x".into()), tags: vec!["eu".into()], priority: Some(3), ..delay(60_000) };
    let number = rig.add_with("q", options).await;
    let rows = list(rig, &JobFilter::default(), 10).await;
    assert_eq!(rows, [rig.job(number).await.summary]);
}

pub async fn without_states_every_job_is_listed_once(rig: &Rig) {
    let mut numbers = rig.add_many("q", 4).await;
    numbers.push(rig.add_with("q", delay(60_000)).await);
    rig.complete(&rig.lease("q").await).await;
    rig.settle(&rig.lease("q").await, failure("it broke")).await;
    rig.lease("q").await;
    for limit in [1, 2, 100] {
        let filter = JobFilter { queue: Some("q".into()), ..JobFilter::default() };
        let mut listed: Vec<_> = list(rig, &filter, limit).await.iter().map(|row| row.number).collect();
        listed.sort();
        assert_eq!(listed, numbers, "in pages of {limit}");
    }
}

pub async fn without_queue_and_state_the_newest_job_is_first(rig: &Rig) {
    let mut numbers = rig.add_many("b", 2).await;
    numbers.extend(rig.add_many("a", 2).await);
    rig.complete(&rig.lease("b").await).await;
    numbers.push(rig.add_with("c", delay(60_000)).await);
    numbers.extend(rig.add_many("a", 1).await);
    numbers.reverse();
    check_listed(rig, &JobFilter::default(), &numbers).await;
    check_listed(rig, &JobFilter { up_to: Some(numbers[2]), ..JobFilter::default() }, &numbers[2..]).await;
    let page = rig.engine().jobs(JobFilter::default(), None, 3).await.expect("the list is read");
    let newer = rig.add_many("a", 1).await;
    rig.cancel(numbers[3]).await;
    rig.remove(numbers[4]).await;
    let rest = rig.engine().jobs(JobFilter::default(), page.cursor, 100).await.expect("the list is read");
    let rest: Vec<_> = rest.jobs.iter().map(|row| row.number).collect();
    assert_eq!(rest, [numbers[3], numbers[5]], "what was added, {newer:?}, is of no page after the first");
}

pub async fn without_a_queue_all_queues_are_listed(rig: &Rig) {
    for queue in ["b", "a", "c"] {
        rig.add_many(queue, 2).await;
    }
    let filter = JobFilter { states: vec![JobState::Waiting], ..JobFilter::default() };
    let queues: Vec<_> = list(rig, &filter, 2).await.into_iter().map(|row| row.queue).collect();
    assert_eq!(queues, ["a", "a", "b", "b", "c", "c"], "by name");
}

pub async fn every_field_of_a_filter_must_match(rig: &Rig) {
    let tagged = JobOptions { tags: vec!["eu".into()], ..delay(60_000) };
    let both = rig.enqueue("q", vec![NewJob::new("send", "{}").with(tagged.clone())]).await[0].number;
    rig.enqueue("q", vec![NewJob::new("send", "{}").with(delay(60_000))]).await;
    rig.enqueue("q", vec![NewJob::new("other", "{}").with(tagged)]).await;
    let filter = JobFilter { name: Some("send".into()), tag: Some("eu".into()), ..of(JobState::Delayed) };
    check_listed(rig, &filter, &[both]).await;
    check_listed(rig, &JobFilter { cause: Some(DelayCause::Scheduled), ..filter.clone() }, &[both]).await;
    check_listed(rig, &JobFilter { cause: Some(DelayCause::Retry), ..filter.clone() }, &[]).await;
    check_listed(rig, &JobFilter { states: vec![JobState::Waiting], ..filter.clone() }, &[]).await;
    check_listed(rig, &JobFilter { up_to: Some(JobNumber(both.0 - 1)), ..filter }, &[]).await;
}

/// The only job of a state is in it since `at`, to the millisecond.
async fn check_in_state_since(rig: &Rig, number: JobNumber, state: JobState, at: u64) {
    let within = [
        (Some(at), None, true),
        (Some(at + 1), None, false),
        (None, Some(at), false),
        (None, Some(at + 1), true),
        (Some(at), Some(at + 1), true),
    ];
    for (since_ms, until_ms, there) in within {
        let filter = JobFilter { since_ms, until_ms, ..of(state) };
        let expected: Vec<_> = there.then_some(number).into_iter().collect();
        check_listed(rig, &filter, &expected).await;
        check_listed(rig, &JobFilter { states: Vec::new(), ..filter }, &expected).await;
    }
}

pub async fn a_list_since_a_time_has_the_jobs_that_came_into_their_state_since(rig: &Rig) {
    let number = rig.add_with("q", delay(60_000)).await;
    let enqueued = rig.job(number).await.summary.enqueued_at_ms;
    check_in_state_since(rig, number, JobState::Delayed, enqueued).await;
    rig.pass(5, "it is a while ago", async || {
        rig.job(rig.add("clock").await).await.summary.enqueued_at_ms >= enqueued + 5
    })
    .await;
    rig.verb(number, JobVerb::Promote).await;
    check_listed(rig, &JobFilter { since_ms: Some(enqueued + 1), ..of(JobState::Waiting) }, &[number]).await;
    let lease = rig.lease("q").await;
    let leased = rig.job(number).await.leases[0].leased_at_ms;
    check_in_state_since(rig, number, JobState::Active, leased).await;
    rig.settle(&lease, Outcome::Release).await;
    let released = rig.job(number).await.leases[0].ended_at_ms.expect("it was released");
    check_in_state_since(rig, number, JobState::Waiting, released).await;
    rig.fail(&rig.lease("q").await).await;
    let failed = rig.job(number).await.leases[1].ended_at_ms.expect("it failed");
    check_in_state_since(rig, number, JobState::Delayed, failed).await;
    rig.verb(number, JobVerb::Cancel).await;
    let cancelled = rig.job(number).await.summary.at_ms.expect("it has ended");
    check_in_state_since(rig, number, JobState::Cancelled, cancelled).await;
    rig.verb(number, JobVerb::Retry).await;
    rig.complete(&rig.lease("q").await).await;
    let completed = rig.job(number).await.summary.at_ms.expect("it has ended");
    check_in_state_since(rig, number, JobState::Completed, completed).await;
}

/// Twenty jobs that died, one by one, and when.
async fn died(rig: &Rig) -> Vec<(JobNumber, u64)> {
    let mut died = Vec::new();
    for number in rig.add_many("q", 20).await {
        let reject = Outcome::Fail { kind: "rejected".into(), error: "never".into(), retryable: false };
        rig.settle(&rig.lease("q").await, reject).await;
        let at = rig.job(number).await.summary.at_ms.expect("it is dead");
        rig.pass(2, "a while", async || rig.job(rig.add("clock").await).await.summary.enqueued_at_ms > at).await;
        died.push((number, at));
    }
    died
}

pub async fn a_list_since_a_time_looks_at_no_job_that_ended_before(rig: &Rig) {
    let died = died(rig).await;
    let latest_first = |some: &[(JobNumber, u64)]| some.iter().rev().map(|&(number, _)| number).collect::<Vec<_>>();
    let filter = JobFilter { since_ms: Some(died[18].1), ..of(JobState::Dead) };
    check_listed(rig, &filter, &latest_first(&died[18..])).await;
    let page = rig.engine().jobs(filter, None, 100).await.expect("the list is read");
    assert_eq!((page.looked_at, page.cursor), (2, None));
    let filter = JobFilter { until_ms: Some(died[3].1), ..of(JobState::Dead) };
    check_listed(rig, &filter, &latest_first(&died[..3])).await;
    let page = rig.engine().jobs(filter, None, 100).await.expect("the list is read");
    assert_eq!((page.looked_at, page.cursor), (3, None), "nor at one that ended later");
    let filter = JobFilter { since_ms: Some(died[5].1), until_ms: Some(died[8].1), ..of(JobState::Dead) };
    check_listed(rig, &filter, &latest_first(&died[5..8])).await;
}

pub async fn an_operation_takes_the_jobs_of_a_time(rig: &Rig) {
    let died = died(rig).await;
    let filter = JobFilter { since_ms: Some(died[15].1), until_ms: Some(died[19].1), ..of(JobState::Dead) };
    let start = Command::StartOperation { verb: BulkVerb::Retry, filter: filter.clone() };
    let Reply::Operation(view) = rig.done(start).await else { panic!("an operation is shown") };
    assert_eq!((view.filter.since_ms, view.filter.until_ms), (filter.since_ms, filter.until_ms));
    rig.until("four jobs wait again", async || rig.counts("q").await.waiting == 4).await;
    let left = died.iter().enumerate().rev().filter(|(at, _)| !(15..19).contains(at));
    let left: Vec<_> = left.map(|(_, one)| one.0).collect();
    check_listed(rig, &of(JobState::Dead), &left).await;
    let shown = rig.engine().operation(view.operation).await.expect("it is kept");
    assert_eq!((shown.filter, shown.changed), (view.filter, 4));
}

pub async fn a_sparse_filter_goes_on_through_empty_pages(rig: &Rig) {
    rig.add_many("q", 2_500).await;
    let last = rig.add_with("q", JobOptions { tags: vec!["rare".into()], ..JobOptions::default() }).await;
    let filter = JobFilter { tag: Some("rare".into()), ..of(JobState::Waiting) };
    let page = rig.engine().jobs(filter.clone(), None, 10).await.expect("the list is read");
    assert!(page.jobs.is_empty() && page.cursor.is_some(), "a call looks at 1,000 jobs at most");
    assert_eq!(list(rig, &filter, 10).await[0].number, last);
}

pub async fn a_list_goes_on_where_its_cursor_stands_though_jobs_came_and_went(rig: &Rig) {
    let numbers = rig.add_many("q", 10).await;
    let page = rig.engine().jobs(of(JobState::Waiting), None, 4).await.expect("the list is read");
    rig.remove(numbers[1]).await;
    rig.remove(numbers[4]).await;
    let late = rig.add("q").await;
    let rest = rig.engine().jobs(of(JobState::Waiting), page.cursor, 100).await.expect("the list is read");
    let rest: Vec<_> = rest.jobs.iter().map(|row| row.number).collect();
    assert_eq!(rest, [&numbers[5..], &[late]].concat());
}

pub async fn a_page_of_a_list_has_its_bounds(rig: &Rig) {
    for limit in [0, 1_001] {
        let command = Command::ListJobs { filter: JobFilter::default(), cursor: None, limit };
        let error = rig.refused(command).await;
        assert_eq!(error.word, Word::BadArg);
        assert!(error.message.starts_with(&format!("count is {limit}; allowed: 1 to 1000")), "{error}");
    }
}

pub async fn a_text_that_is_no_lists_cursor_is_refused(rig: &Rig) {
    rig.add("q").await;
    for cursor in ["", "yesterday", "1.2", "9.9.9.9.9.9"] {
        let cursor = Some(cursor.to_owned());
        let error = rig.refused(Command::ListJobs { filter: JobFilter::default(), cursor, limit: 10 }).await;
        assert_eq!(error.word, Word::BadArg);
        assert!(error.message.starts_with("cursor is "), "{error}");
    }
}

pub async fn listing_a_queue_that_does_not_exist_is_refused(rig: &Rig) {
    let filter = JobFilter { queue: Some("nowhere".into()), ..JobFilter::default() };
    let error = rig.refused(Command::ListJobs { filter, cursor: None, limit: 10 }).await;
    assert_eq!(error.word, Word::NoQueue);
}

pub async fn counts_agree_with_lists(rig: &Rig) {
    rig.add_many("q", 6).await;
    rig.add_with("q", delay(60_000)).await;
    rig.complete(&rig.lease("q").await).await;
    rig.settle(&rig.lease("q").await, failure("it broke")).await;
    rig.cancel(rig.lease("q").await.number).await;
    let counts = rig.counts("q").await;
    for &state in JobState::ALL {
        assert_eq!(list(rig, &of(state), 2).await.len() as u64, counts.of(state), "{state}");
    }
}

pub async fn a_list_goes_on_in_steps_where_the_job_at_its_cursor_is_gone(rig: &Rig) {
    let numbers = rig.add_many("q", 5_000).await;
    let mut cursor = None;
    for _ in 0..3 {
        cursor = rig.engine().jobs(of(JobState::Waiting), cursor, 1_000).await.expect("the list is read").cursor;
    }
    rig.remove(numbers[3_000]).await;
    let page = rig.engine().jobs(of(JobState::Waiting), cursor, 1_000).await.expect("the list is read");
    assert!(page.jobs.is_empty() && page.cursor.is_some(), "the way there is longer than a call's work");
    let (mut rest, mut cursor) = (Vec::new(), page.cursor);
    while cursor.is_some() {
        let page = rig.engine().jobs(of(JobState::Waiting), cursor, 1_000).await.expect("the list is read");
        rest.extend(page.jobs.into_iter().map(|row| row.number));
        cursor = page.cursor;
    }
    assert_eq!(rest, numbers[3_001..]);
    // A bulk operation goes the same way.
    let filter = of(JobState::Waiting);
    let view = rig.engine().start_operation(&Context::default(), BulkVerb::Remove, filter).await.expect("started");
    rig.run_on(1, "all are removed", async || rig.counts("q").await.waiting == 0).await;
    let view = rig.engine().operation(view.operation).await.expect("shown");
    assert_eq!(view.changed, 4_999);
}

pub async fn a_list_goes_on_in_steps_over_many_queues(rig: &Rig) {
    let set = |at: usize| Command::SetQueue { queue: format!("empty-{at:04}"), patch: SettingsPatch::default() };
    let made =
        rig.engine().execute(&Context::default(), (0..1_500).map(set).collect()).await.expect("all are answered");
    assert!(made.iter().all(Result::is_ok));
    let number = rig.add("last").await;
    let waiting = JobFilter { states: vec![JobState::Waiting], ..JobFilter::default() };
    let page = rig.engine().jobs(waiting.clone(), None, 10).await.expect("the list is read");
    assert!(page.jobs.is_empty() && page.cursor.is_some(), "a call looks into 1,000 queues at most");
    let page = rig.engine().jobs(waiting, page.cursor, 10).await.expect("the list is read");
    assert_eq!(page.jobs.iter().map(|row| row.number).collect::<Vec<_>>(), [number]);
    assert_eq!(page.cursor, None);
}
