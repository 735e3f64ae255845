//! What happened over time, to the millisecond: durations, and how far back counts reach. Group `driven`.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::{Rig, failure};
use super::statistics::{DAY, activity, counts, series};
use crate::engine::EngineExt;
use crate::model::{JobOptions, JobState, JobVerb, QueueSettings, SeriesCounts, SeriesQuery, Step};

pub async fn durations_are_measured_from_ready_to_lease_to_settlement(rig: &Rig) {
    rig.add_with("q", JobOptions { delay_ms: Some(60_000), ..JobOptions::default() }).await;
    rig.pass(60_000, "the job is ready", async || rig.counts("q").await.waiting == 1).await;
    rig.advance(10_000);
    let leased = rig.lease("q").await;
    rig.advance(7);
    rig.complete(&leased).await;
    let total = series(rig, Some("q"), None).await.total;
    assert!(total.wait.p50_ms.abs_diff(10_000) <= 625, "{:?}", total.wait);
    assert_eq!((total.wait.count, total.run.count, total.run.p99_ms), (1, 1, 7), "what is short is exact");
}

pub async fn a_lease_that_runs_out_counts_as_stalled(rig: &Rig) {
    rig.set("q", QueueSettings { stalls: Some(0), ..QueueSettings::default() }).await;
    let number = rig.add("q").await;
    rig.lease("q").await;
    rig.pass_to(30_000, number, JobState::Dead).await;
    let expected = SeriesCounts { enqueued: 1, started: 1, stalled: 1, dead: 1, ..SeriesCounts::default() };
    assert_eq!(counts(rig, Some("q"), None).await, expected);
    assert_eq!(activity(rig, None, 1).await[0].failed.iter().sum::<u64>(), 1);
}

pub async fn buckets_of_ten_seconds_reach_back_an_hour_and_those_of_a_minute_a_day(rig: &Rig) {
    let points = async |step: Step| {
        let query = SeriesQuery { step, points: step.kept(), ..DAY };
        let series = rig.engine().series(query).await.expect("the series is shown");
        assert_eq!(series.until_ms - series.from_ms, u64::from(step.kept()) * step.ms());
        series.points.iter().map(|point| point.counts.enqueued).collect::<Vec<_>>()
    };
    // A minute begins, so that both have their first bucket at its begin.
    let at = rig.job(rig.add("clock").await).await.summary.enqueued_at_ms;
    rig.advance(60_000 - at % 60_000);
    rig.add_many("q", 2).await;
    rig.advance(10_000);
    rig.add_many("q", 3).await;
    rig.advance(50_000);
    rig.add_many("q", 4).await;
    assert_eq!(points(Step::Seconds).await, [1, 2, 3, 4]);
    assert_eq!(points(Step::Minute).await, [1, 5, 4]);
    rig.advance(3_600_000 - 60_000);
    assert_eq!(points(Step::Seconds).await, [3, 4], "what is an hour old goes");
    assert_eq!(points(Step::Minute).await, [1, 5, 4]);
    rig.advance(86_400_000 - 3_600_000);
    rig.add("q").await;
    assert_eq!(points(Step::Minute).await, [4, 1], "what is a day old goes");
}

pub async fn a_group_counts_by_minute_hour_day_and_week(rig: &Rig) {
    let number = rig.add_with("q", JobOptions { attempts: Some(100), ..JobOptions::default() }).await;
    let fail = async || {
        if rig.state(number).await == JobState::Delayed {
            rig.verb(number, JobVerb::Promote).await;
        }
        rig.settle(&rig.lease("q").await, failure("it broke")).await;
    };
    // On the hour, so that every step below is of whole buckets.
    let at = rig.job(number).await.summary.enqueued_at_ms;
    rig.advance(3_600_000 - at % 3_600_000);
    let windows = async || {
        let group = rig.engine().failure("exit: it broke").await.expect("the group is shown");
        [group.count, group.minute, group.hour, group.day, group.week]
    };
    fail().await;
    assert_eq!(windows().await, [1, 1, 1, 1, 1]);
    rig.advance(120_000);
    assert_eq!(windows().await, [1, 0, 1, 1, 1], "two minutes on");
    fail().await;
    rig.advance(3_600_000);
    assert_eq!(windows().await, [2, 0, 0, 2, 2], "an hour on");
    fail().await;
    rig.advance(86_400_000);
    assert_eq!(windows().await, [3, 0, 0, 0, 3], "a day on");
    fail().await;
    rig.advance(7 * 86_400_000);
    assert_eq!(windows().await, [4, 0, 0, 0, 0], "a week on");
    fail().await;
    assert_eq!(windows().await, [5, 1, 1, 1, 1]);
}
