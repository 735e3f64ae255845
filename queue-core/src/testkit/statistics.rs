//! What happened over time: counts and durations by store, queue and name, and groups of failures.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::feed::{now, read_on};
use super::rig::Rig;
use crate::engine::EngineExt;
use crate::model::{
    Activity, ActivityQuery, Command, FailureFilter, FailureOrder, FailurePage, JobNumber, JobVerb, NewJob, Outcome,
    Series, SeriesCounts, SeriesQuery, Step, Word,
};

pub(super) const DAY: SeriesQuery =
    SeriesQuery { queue: None, name: None, other: false, step: Step::Minute, points: 1_440 };

pub(super) async fn series(rig: &Rig, queue: Option<&str>, name: Option<&str>) -> Series {
    let query = SeriesQuery { queue: queue.map(str::to_owned), name: name.map(str::to_owned), ..DAY };
    rig.engine().series(query).await.expect("the series is shown")
}

/// The counts of the last day, which the points must add up to.
pub(super) async fn counts(rig: &Rig, queue: Option<&str>, name: Option<&str>) -> SeriesCounts {
    let series = series(rig, queue, name).await;
    let mut sum = SeriesCounts::default();
    series.points.iter().for_each(|point| sum.add(&point.counts));
    assert_eq!(sum, series.total.counts, "the points come to the total");
    assert!(series.points.iter().all(|point| (point.at_ms - series.from_ms).is_multiple_of(series.step_ms)));
    assert!(series.points.is_sorted_by_key(|point| point.at_ms));
    sum
}

fn fail(kind: &str, error: &str, retryable: bool) -> Outcome {
    Outcome::Fail { kind: kind.into(), error: error.into(), retryable }
}

/// Two names in one queue, one job in another.
async fn some_life(rig: &Rig) {
    let named = |name: &str| NewJob::new(name, "{}");
    rig.enqueue("q", vec![named("mail"), named("mail"), named("mail"), named("scan"), named("scan")]).await;
    rig.add("other").await;
    rig.complete(&rig.lease("q").await).await;
    rig.settle(&rig.lease("q").await, fail("timeout", "slow", true)).await;
    rig.settle(&rig.lease("q").await, fail("exit", "7", false)).await;
    rig.settle(&rig.lease("q").await, Outcome::Snooze { delay_ms: Some(3_600_000) }).await;
    let last = rig.lease("q").await;
    rig.settle(&last, Outcome::Release).await;
    rig.cancel(last.number).await;
    rig.verb(last.number, JobVerb::Retry).await;
    rig.remove(last.number).await;
}

pub async fn what_happens_is_counted_by_store_queue_and_name(rig: &Rig) {
    some_life(rig).await;
    let mail = SeriesCounts {
        enqueued: 3,
        started: 3,
        completed: 1,
        failed: 2,
        timed_out: 1,
        dead: 1,
        ..SeriesCounts::default()
    };
    let scan = SeriesCounts {
        enqueued: 2,
        started: 2,
        returned: 2,
        cancelled: 1,
        retried: 1,
        removed: 1,
        ..SeriesCounts::default()
    };
    assert_eq!(counts(rig, Some("q"), Some("mail")).await, mail);
    assert_eq!(counts(rig, Some("q"), Some("scan")).await, scan);
    let (mut queue, mut store) = (mail, SeriesCounts { enqueued: 1, ..SeriesCounts::default() });
    queue.add(&scan);
    assert_eq!(counts(rig, Some("q"), None).await, queue);
    store.add(&queue);
    assert_eq!(counts(rig, None, None).await, store);
    let other = rig.engine().series(SeriesQuery { queue: Some("q".into()), other: true, ..DAY }).await;
    assert_eq!(other.map(|series| series.points), Ok(vec![]), "every name has a series of its own");
    let total = series(rig, Some("q"), None).await.total;
    assert_eq!((total.wait.count, total.run.count), (5, 3), "every lease waited, every attempt ran");
}

pub async fn a_series_is_what_the_feed_tells(rig: &Rig) {
    let cursor = now(rig).await;
    for _ in 0..3 {
        some_life(rig).await;
    }
    let (events, _) = read_on(rig, &cursor, 1_000).await;
    let told = |queue: Option<&str>, words: &[&str]| {
        // Of jobs that are gone the feed does not tell the queue; here they all were in one.
        let of_queue = events.iter().filter(|event| queue.is_none() || event.queue.as_deref().or(Some("q")) == queue);
        of_queue.filter(|event| words.contains(&event.event.as_str())).count() as u64
    };
    for queue in [None, Some("q"), Some("other")] {
        let counts = counts(rig, queue, None).await;
        assert_eq!(counts.enqueued, told(queue, &["enqueued"]));
        assert_eq!(counts.started, told(queue, &["leased"]));
        assert_eq!(counts.completed, told(queue, &["completed"]));
        assert_eq!(counts.failed, told(queue, &["failed"]));
        assert_eq!(counts.returned, told(queue, &["released", "snoozed"]));
        assert_eq!(counts.cancelled, told(queue, &["cancelled"]));
        assert_eq!(counts.retried, told(queue, &["retried"]));
        assert_eq!(counts.removed, told(queue, &["removed"]));
    }
}

pub async fn a_series_that_cannot_be_is_refused(rig: &Rig) {
    rig.add("q").await;
    let of = |query: SeriesQuery| Command::ShowSeries(query);
    let missing = SeriesQuery { queue: Some("none".into()), ..DAY };
    rig.check_refused(of(missing), Word::NoQueue, "no queue none: a queue is made by its first job").await;
    let (name, queue) = (Some("n".to_owned()), Some("q".to_owned()));
    let whole = "name is n; allowed: a job name together with its queue";
    rig.check_refused(of(SeriesQuery { name: name.clone(), ..DAY }), Word::BadArg, whole).await;
    let both = "name is n; allowed: a job name, or other, not both";
    rig.check_refused(of(SeriesQuery { queue, name, other: true, ..DAY }), Word::BadArg, both).await;
    let other = "other is true; allowed: true together with a queue";
    rig.check_refused(of(SeriesQuery { other: true, ..DAY }), Word::BadArg, other).await;
    for (step, points, most) in [(Step::Minute, 1_441, "1440 of 1m"), (Step::Seconds, 361, "360 of 10s")] {
        let message = format!("points is {points}; allowed: 1 to {most}");
        rig.check_refused(of(SeriesQuery { step, points, ..DAY }), Word::BadArg, &message).await;
    }
    let activity = ActivityQuery { queue: None, step: Step::Minute, points: 61, cursor: None, limit: 1 };
    let message = "points is 61; allowed: 1 to 60 of 1m";
    rig.check_refused(Command::ListActivity(activity), Word::BadArg, message).await;
}

pub(super) async fn activity(rig: &Rig, queue: Option<&str>, limit: u32) -> Vec<Activity> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let queue = queue.map(str::to_owned);
        let query = ActivityQuery { queue, step: Step::Minute, points: 5, cursor, limit };
        let page = rig.engine().activity(query).await.expect("the activity is listed");
        assert!(page.rows.len() <= limit as usize && page.step_ms == 60_000);
        rows.extend(page.rows);
        cursor = page.cursor;
        if cursor.is_none() {
            return rows;
        }
    }
}

pub async fn the_activity_of_queues_is_listed_by_name(rig: &Rig) {
    assert_eq!(activity(rig, None, 3).await, []);
    some_life(rig).await;
    rig.add_many("a queue", 4).await;
    rig.set("silent", crate::model::QueueSettings { attempts: Some(1), ..Default::default() }).await;
    let rows = activity(rig, None, 100).await;
    let names: Vec<_> = rows.iter().map(|row| row.queue.as_str()).collect();
    assert_eq!(names, ["a queue", "other", "q", "silent"]);
    for row in &rows {
        assert_eq!((row.enqueued.len(), row.completed.len(), row.failed.len()), (5, 5, 5));
        let counts = row.total.counts;
        let sums = [&row.enqueued, &row.completed, &row.failed].map(|line| line.iter().sum::<u64>());
        assert_eq!(sums, [counts.enqueued, counts.completed, counts.failed + counts.stalled]);
    }
    assert_eq!((rows[0].total.counts.enqueued, rows[3].total.counts), (4, SeriesCounts::default()));
    assert_eq!(rows[2].total.counts, counts(rig, Some("q"), None).await);
    for limit in [1, 2, 3] {
        assert_eq!(activity(rig, None, limit).await.len(), 4, "in pages of {limit}");
    }
}

pub async fn the_activity_of_a_queues_names_is_listed_by_name(rig: &Rig) {
    some_life(rig).await;
    for limit in [1, 2, 100] {
        let rows = activity(rig, Some("q"), limit).await;
        let names: Vec<_> = rows.iter().map(|row| (row.name.as_deref(), row.other)).collect();
        assert_eq!(names, [(Some("mail"), false), (Some("scan"), false)]);
        assert_eq!(rows[0].total.counts, counts(rig, Some("q"), Some("mail")).await);
    }
    let missing = ActivityQuery { queue: Some("none".into()), step: Step::Minute, points: 1, cursor: None, limit: 1 };
    let message = "no queue none: a queue is made by its first job";
    rig.check_refused(Command::ListActivity(missing), Word::NoQueue, message).await;
}

/// Names beyond the two hundred that have series share one.
pub async fn the_names_that_come_too_late_share_a_series(rig: &Rig) {
    let jobs = (0..230).map(|at| NewJob::new(format!("name {at:03}"), "{}")).collect();
    rig.enqueue("q", jobs).await;
    let rows = activity(rig, Some("q"), 1_000).await;
    assert_eq!(rows.len(), 201);
    assert!(rows[..200].iter().all(|row| row.total.counts.enqueued == 1 && !row.other));
    let last = &rows[200];
    assert_eq!((last.other, last.name.as_deref(), last.total.counts.enqueued), (true, None, 30));
    let other = rig.engine().series(SeriesQuery { queue: Some("q".into()), other: true, ..DAY }).await;
    assert_eq!(other.map(|series| series.total.counts.enqueued), Ok(30));
    assert_eq!(counts(rig, Some("q"), Some("name 229")).await, SeriesCounts::default());
    assert_eq!(counts(rig, Some("q"), None).await.enqueued, 230);
}

async fn list(rig: &Rig, filter: FailureFilter, order: FailureOrder) -> Vec<String> {
    let page = list_page(rig, filter, order, None, 1_000).await;
    page.groups.into_iter().map(|group| group.fingerprint).collect()
}

async fn list_page(
    rig: &Rig,
    filter: FailureFilter,
    order: FailureOrder,
    cursor: Option<String>,
    limit: u32,
) -> FailurePage {
    rig.engine().failures(filter, order, cursor, limit).await.expect("the groups are listed")
}

/// Enqueues a job of this name and fails it for good.
async fn fail_one(rig: &Rig, queue: &str, name: &str, error: &str) -> JobNumber {
    rig.enqueue(queue, vec![NewJob::new(name, "{}")]).await;
    let leased = rig.lease(queue).await;
    rig.settle(&leased, fail("exit", error, false)).await;
    leased.number
}

pub async fn failures_of_one_fingerprint_are_one_group(rig: &Rig) {
    let mut numbers = Vec::new();
    for at in 0..7 {
        let (queue, name) = if at < 5 { ("q", "mail") } else { ("p", "scan") };
        numbers.push(fail_one(rig, queue, name, &format!("order {at} not found")).await);
    }
    let group = rig.engine().failure("exit: order N not found").await.expect("the group is shown");
    assert_eq!((group.kind.as_str(), group.count, group.minute, group.hour), ("exit", 7, 7, 7));
    assert_eq!((group.day, group.week), (7, 7));
    let shares = |shares: &[crate::model::FailureShare]| {
        shares.iter().map(|share| (share.name.clone(), share.count)).collect::<Vec<_>>()
    };
    assert_eq!(shares(&group.queues), [("q".to_owned(), 5), ("p".to_owned(), 2)]);
    assert_eq!(shares(&group.names), [("mail".to_owned(), 5), ("scan".to_owned(), 2)]);
    numbers.reverse();
    assert_eq!(group.jobs, numbers[..5], "the newest first");
    assert_eq!((group.minutes.len(), group.hours.len()), (60, 168));
    assert_eq!((group.minutes.iter().sum::<u64>(), group.hours.iter().sum::<u64>()), (7, 7));
    let job = rig.job(numbers[0]).await;
    assert_eq!(job.leases[0].fingerprint.as_deref(), Some(&*group.fingerprint), "the same text as in a timeline");
    assert_eq!(Some(group.last_at_ms), job.leases[0].ended_at_ms);
    assert!(group.first_at_ms <= group.last_at_ms);
}

pub async fn groups_of_failures_are_filtered(rig: &Rig) {
    fail_one(rig, "q", "mail", "no route").await;
    fail_one(rig, "q", "scan", "no paper").await;
    fail_one(rig, "p", "scan", "No Paper").await;
    let all = FailureFilter::default();
    let queue = FailureFilter { queue: Some("q".into()), ..all.clone() };
    let name = FailureFilter { name: Some("scan".into()), ..all.clone() };
    let text = FailureFilter { contains: Some("paper".into()), ..all.clone() };
    let later = FailureFilter { since_ms: Some(u64::MAX), ..all.clone() };
    let order = FailureOrder::Last;
    assert_eq!(list(rig, all, order).await, ["exit: No Paper", "exit: no paper", "exit: no route"]);
    assert_eq!(list(rig, queue, order).await, ["exit: no paper", "exit: no route"]);
    assert_eq!(list(rig, name, order).await, ["exit: No Paper", "exit: no paper"]);
    assert_eq!(list(rig, text, order).await, ["exit: no paper"]);
    assert_eq!(list(rig, later, order).await, [""; 0]);
}

pub async fn groups_of_failures_are_ordered_and_paged(rig: &Rig) {
    for (error, times) in [("a", 3), ("b", 1), ("c", 2)] {
        for _ in 0..times {
            fail_one(rig, "q", "work", error).await;
        }
    }
    fail_one(rig, "q", "work", "a").await;
    let all = FailureFilter::default;
    assert_eq!(list(rig, all(), FailureOrder::First).await, ["exit: c", "exit: b", "exit: a"]);
    for order in [FailureOrder::Hour, FailureOrder::Day, FailureOrder::Week] {
        assert_eq!(list(rig, all(), order).await, ["exit: a", "exit: c", "exit: b"], "by {order}");
        let (mut cursor, mut seen) = (None, Vec::new());
        for _ in 0..3 {
            let page = list_page(rig, all(), order, cursor, 1).await;
            assert_eq!((page.groups.len(), page.kept), (1, 3));
            assert_eq!(page.groups[0].hours, [0; 0], "a list has no hours");
            seen.extend(page.groups.into_iter().map(|group| group.fingerprint));
            cursor = page.cursor;
        }
        assert_eq!(cursor, None);
        assert_eq!(seen, ["exit: a", "exit: c", "exit: b"], "by {order}, one by one");
    }
}

pub async fn failures_that_are_not_there_are_refused(rig: &Rig) {
    let show = Command::ShowFailure { fingerprint: "exit: nothing".into() };
    let message = "no failures exit: nothing: none were like that, or too long ago";
    rig.check_refused(show, Word::NoFailure, message).await;
    let list = |filter, cursor: Option<&str>, limit| Command::ListFailures {
        filter,
        order: FailureOrder::Last,
        cursor: cursor.map(str::to_owned),
        limit,
    };
    let all = FailureFilter::default;
    let message = "count is 0; allowed: 1 to 1000 rows";
    rig.check_refused(list(all(), None, 0), Word::BadArg, message).await;
    let message = "cursor is later; allowed: the cursor of the page before";
    rig.check_refused(list(all(), Some("later"), 1), Word::BadArg, message).await;
    let filter = FailureFilter { contains: Some(String::new()), ..all() };
    let error = rig.refused(list(filter, None, 1)).await;
    assert!(error.message.contains("contains") && error.word == Word::BadArg, "{error}");
    let filter = FailureFilter { queue: Some("none".into()), ..all() };
    rig.check_refused(list(filter, None, 1), Word::NoQueue, "no queue none: a queue is made by its first job").await;
}
