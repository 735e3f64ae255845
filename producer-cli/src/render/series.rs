//! What happened over time, as people read it.

use queue_core::model::duration::show_ms;
use queue_core::model::{Activity, Quantiles, Series, SeriesPoint};

use super::table::{pairs, table};
use super::{cut, safe, spark};

/// Columns of a line of bars.
const COLUMNS: usize = 60;

/// A count of a point.
type Count = fn(&SeriesPoint) -> u64;

/// A series: each count with its line of bars, then how long things took.
pub(crate) fn whole(series: &Series) -> String {
    let whose = match (&series.queue, &series.name) {
        (Some(queue), Some(name)) => format!("queue {}, jobs named {}", safe(queue), safe(name)),
        (Some(queue), None) if series.other => format!("queue {}, all other names", safe(queue)),
        (Some(queue), None) => format!("queue {}", safe(queue)),
        (None, _) => "all queues".to_owned(),
    };
    let counts: [(&str, Count); 7] = [
        ("enqueued", |point| point.counts.enqueued),
        ("started", |point| point.counts.started),
        ("completed", |point| point.counts.completed),
        ("failed", |point| point.counts.failed),
        ("timed out", |point| point.counts.timed_out),
        ("stalled", |point| point.counts.stalled),
        ("dead", |point| point.counts.dead),
    ];
    let rows =
        counts.map(|(name, count)| (name.to_owned(), format!("{:<8}{}", count(&series.total), bars(series, count))));
    let took =
        [("waited", series.total.wait), ("ran", series.total.run)].map(|(name, took)| (name.to_owned(), shown(took)));
    let took = took.map(|(name, text)| (name, text.unwrap_or_else(|| "–".to_owned())));
    let rows = rows.into_iter().map(|(name, value)| (name, value.trim_end().to_owned())).chain(took);
    format!("{whose}, the last {}\n{}", show_ms(series.until_ms - series.from_ms), pairs(rows))
}

fn bars(series: &Series, count: Count) -> String {
    let points = (series.until_ms - series.from_ms) / series.step_ms;
    let mut values = vec![0; points as usize];
    for point in &series.points {
        let at = (point.at_ms.saturating_sub(series.from_ms) / series.step_ms) as usize;
        if let Some(value) = values.get_mut(at) {
            *value = count(point);
        }
    }
    spark(&values, COLUMNS)
}

fn shown(took: Quantiles) -> Option<String> {
    let Quantiles { count, p50_ms, p95_ms, p99_ms } = took;
    let shown = || format!("half at most {}, 95 % {}, 99 % {}", show_ms(p50_ms), show_ms(p95_ms), show_ms(p99_ms));
    (count > 0).then(shown)
}

/// What the names of a queue did, a row each.
pub(crate) fn names(rows: &[Activity]) -> String {
    let head = ["NAME", ">ENQUEUED", ">COMPLETED", ">FAILED", ">95 % WAITED", ">95 % RAN", "COMPLETED, LAST HOUR"];
    let row = |row: &Activity| {
        let (counts, p95) = (row.total.counts, |took: Quantiles| match took.count {
            0 => String::new(),
            _ => show_ms(took.p95_ms),
        });
        [
            row.name.as_deref().map_or_else(|| "(all others)".to_owned(), |name| cut(name, 40)),
            counts.enqueued.to_string(),
            counts.completed.to_string(),
            (counts.failed + counts.stalled).to_string(),
            p95(row.total.wait),
            p95(row.total.run),
            spark(&row.completed, 20),
        ]
    };
    table(head, rows.iter().map(row), "names")
}

#[cfg(test)]
mod tests {
    use queue_core::model::{Activity, Quantiles, Series, SeriesCounts, SeriesPoint};

    fn point(at_ms: u64, completed: u64) -> SeriesPoint {
        let took = Quantiles { count: completed, p50_ms: 3, p95_ms: 1_500, p99_ms: 70_000 };
        let counts = SeriesCounts { enqueued: 8, completed, ..SeriesCounts::default() };
        SeriesPoint { at_ms, counts, wait: Quantiles::default(), run: took }
    }

    #[test]
    fn a_series_is_counts_with_their_bars_and_times() {
        let series = Series {
            queue: Some("emails".to_owned()),
            name: None,
            other: false,
            step_ms: 10_000,
            from_ms: 100_000,
            until_ms: 140_000,
            points: vec![point(100_000, 1), point(130_000, 4)],
            total: point(100_000, 5),
        };
        let text = super::whole(&series);
        assert!(text.starts_with("queue emails, the last 40s\n  enqueued   8       █  █\n"), "{text}");
        assert!(text.contains("  completed  5       ▂  █\n  failed     0\n"), "{text}");
        assert!(text.contains("  waited     –\n  ran        half at most 3ms, 95 % 1.5s, 99 % 1m 10s\n"), "{text}");
    }

    #[test]
    fn names_stand_below_each_other() {
        let row = |name: Option<&str>, completed| Activity {
            queue: "emails".to_owned(),
            name: name.map(str::to_owned),
            other: name.is_none(),
            enqueued: vec![8],
            completed: vec![0, completed],
            failed: vec![0],
            total: point(0, completed),
        };
        let text = super::names(&[row(Some("welcome"), 2), row(None, 0)]);
        let expected = "\
NAME          ENQUEUED  COMPLETED  FAILED  95 % WAITED  95 % RAN  COMPLETED, LAST HOUR
welcome              8          2       0                   1.5s   █
(all others)         8          0       0
";
        assert_eq!(text, expected);
    }
}
