//! What happened in a queue over time: charts on its page, the figures as a table, and `/queues/{queue}/series`, which
//! keeps the charts up to date.
//!
//! A chart shows whole buckets alone, so that its end does not sink while a bucket fills. All who look share an answer.

use axum::http::header;
use axum::response::IntoResponse;
use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Activity, ActivityQuery, Error, Quantiles, Series, SeriesPoint, SeriesQuery, Step};
use serde::Serialize;

use crate::app::App;
use crate::query::Query;
use crate::view::chart::{Chart, Line, Unit};
use crate::view::{bytes, count, queues, time};
use crate::visit::{Shown, Visit};

/// Names that a page offers.
const NAMES: usize = 10;
/// Minutes whose jobs say which names are the busiest: as many as a call looks at for all names that have a series.
const BUSY_MINUTES: u32 = 30;
/// Most rows of names: each that has a series, and the others together.
const NAME_ROWS: u32 = 201;
/// Rows of figures that are shown before all are asked for.
const ROWS: usize = 60;

/// How far back a chart goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Range {
    Hour,
    Day,
}

impl Range {
    const ALL: [Self; 2] = [Self::Hour, Self::Day];

    const fn word(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
        }
    }

    const fn said(self) -> &'static str {
        match self {
            Self::Hour => "the last hour, by 10 s",
            Self::Day => "the last 24 hours, by the minute",
        }
    }

    /// How many whole buckets it has: one runs.
    const fn points(self) -> u64 {
        self.step().kept() as u64 - 1
    }

    const fn step(self) -> Step {
        match self {
            Self::Hour => Step::Seconds,
            Self::Day => Step::Minute,
        }
    }
}

/// What is looked at: a queue, or one or the rest of its names, as far back as the range says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    queue: String,
    name: Option<String>,
    other: bool,
    range: Range,
}

impl Wanted {
    fn of(visit: &Visit) -> Result<Self, Error> {
        let word = visit.query.get("range").unwrap_or(Range::Hour.word());
        let range = Range::ALL.into_iter().find(|range| range.word() == word);
        let range = range.ok_or_else(|| Error::bad_arg("range", word, &Range::ALL.map(Range::word).join(", ")))?;
        let (queue, name) = (visit.segment("queue").to_owned(), visit.query.get("name").map(str::to_owned));
        Ok(Self { queue, name, other: visit.query.get("other") == Some("yes"), range })
    }

    /// The address of the page, or with `path` of what belongs to it, that shows this.
    fn url(&self, app: &App, path: &str) -> String {
        let query = Query::default().with("range", self.range.word());
        let query = match &self.name {
            Some(name) => query.with("name", name.as_str()),
            None if self.other => query.with("other", "yes"),
            None => query,
        };
        app.url_with(&format!("{}{path}", queues::path(&self.queue)), &query)
    }

    async fn series(&self, app: &App) -> Result<std::sync::Arc<Series>, Error> {
        let ask = || {
            let step = self.range.step();
            let (queue, name) = (Some(self.queue.clone()), self.name.clone());
            app.engine.series(SeriesQuery { queue, name, other: self.other, step, points: step.kept() })
        };
        app.series.answer(self.clone(), app.steady_ms(), ask).await
    }
}

/// The whole buckets of a series, for charts.
#[derive(Serialize)]
struct Charts {
    step_ms: u64,
    /// Where the first bucket begins.
    from_ms: u64,
    /// Where the last one ends.
    until_ms: u64,
    charts: Vec<Chart>,
}

impl Charts {
    /// The newest `points` whole buckets.
    fn of(series: &Series, points: u64) -> Self {
        let step_ms = series.step_ms.max(1);
        let until_ms = series.until_ms.saturating_sub(step_ms);
        // Also where the store is younger: before it nothing happened.
        let from_ms = until_ms.saturating_sub(points.saturating_mul(step_ms));
        let mut buckets = vec![None; usize::try_from((until_ms - from_ms) / step_ms).unwrap_or(0)];
        for point in series.points.iter().filter(|point| point.at_ms >= from_ms) {
            let at = usize::try_from((point.at_ms - from_ms) / step_ms).ok();
            if let Some(bucket) = at.and_then(|at| buckets.get_mut(at)) {
                *bucket = Some(*point);
            }
        }
        Self { step_ms, from_ms, until_ms, charts: charts(&buckets) }
    }
}

fn charts(buckets: &[Option<SeriesPoint>]) -> Vec<Chart> {
    let counted = |label, color, dashed, count: fn(&SeriesPoint) -> u64| {
        let values = buckets.iter().map(|bucket| Some(bucket.as_ref().map_or(0, count)));
        Line { label, color, dashed, values: values.collect() }
    };
    let measured = |of: fn(&SeriesPoint) -> Quantiles| {
        let line = |label, color, dashed, quantile: fn(&Quantiles) -> u64| {
            let values = buckets.iter().map(|bucket| {
                let found = bucket.as_ref().map(of).filter(|found| found.count > 0);
                found.as_ref().map(quantile)
            });
            Line { label, color, dashed, values: values.collect() }
        };
        vec![line("p50", "active", false, |all| all.p50_ms), line("p95", "delayed", true, |all| all.p95_ms)]
    };
    let lines = vec![
        counted("enqueued", "active", false, |point| point.counts.enqueued),
        counted("completed", "completed", false, |point| point.counts.completed),
        counted("failed", "dead", true, wrong),
    ];
    vec![
        Chart { id: "throughput", title: "Jobs a second", unit: Unit::PerSecond, lines },
        Chart { id: "wait", title: "Waited for a worker", unit: Unit::Ms, lines: measured(|point| point.wait) },
        Chart { id: "run", title: "Ran", unit: Unit::Ms, lines: measured(|point| point.run) },
    ]
}

/// Attempts that failed, and leases that ran out.
fn wrong(point: &SeriesPoint) -> u64 {
    point.counts.failed + point.counts.stalled
}

/// The charts of a queue as numbers; `points` for the newest alone.
pub(crate) async fn json(visit: &Visit) -> Result<Shown, Error> {
    let wanted = Wanted::of(visit)?;
    let most = wanted.range.points();
    let points = match visit.query.get("points") {
        None => most,
        Some(text) => {
            let given = text.parse().ok().filter(|points| (1..=most).contains(points));
            given.ok_or_else(|| Error::bad_arg("points", text, &format!("1 to {most}")))?
        }
    };
    let charts = Charts::of(&*wanted.series(&visit.app).await?, points);
    let text = serde_json::to_string(&charts).expect("numbers and words are JSON");
    Ok(Shown::Other(([(header::CONTENT_TYPE, "application/json")], text).into_response()))
}

/// The part of a queue's page.
pub(crate) async fn section(visit: &Visit) -> Result<Markup, Error> {
    let (app, wanted) = (&*visit.app, Wanted::of(visit)?);
    let series = wanted.series(app).await?;
    let query = ActivityQuery {
        queue: Some(wanted.queue.clone()),
        step: Step::Minute,
        points: BUSY_MINUTES,
        cursor: None,
        limit: NAME_ROWS,
    };
    let names = app.engine.activity(query).await?.rows;
    let charts = Charts::of(&series, wanted.range.points());
    Ok(html! {
        section data-test-charts {
            h2 { "What happened" }
            (choice(app, &wanted, &names))
            div #charts.charts data-series=(wanted.url(app, "/series")) {
                @for chart in &charts.charts { (chart.figure(charts.step_ms, charts.from_ms, charts.until_ms)) }
            }
            p #chart-note.dim role="status" {}
            p.actions hidden { button #chart-whole type="button" data-test-button="whole-range" { "The whole range" } }
            (figures(app, &wanted, &series, visit.query.get("figures") == Some("all")))
        }
    })
}

/// Which range, and whose jobs.
fn choice(app: &App, wanted: &Wanted, rows: &[Activity]) -> Markup {
    let tab = |to: Wanted, text: Markup| {
        html! { a href=(to.url(app, "")) aria-current=[(to == *wanted).then_some("true")] { (text) } }
    };
    let of = |name: Option<&str>, other| Wanted { name: name.map(str::to_owned), other, ..wanted.clone() };
    let mut named: Vec<_> = rows.iter().filter(|row| row.name.is_some()).collect();
    named.sort_by_key(|row| std::cmp::Reverse(row.total.counts.enqueued + row.total.counts.started));
    let mut names: Vec<_> = named.iter().take(NAMES).filter_map(|row| row.name.as_deref()).collect();
    if let Some(name) = wanted.name.as_deref().filter(|name| !names.contains(name)) {
        names.push(name);
    }
    html! {
        nav.tabs aria-label="Range" {
            @for range in Range::ALL { (tab(Wanted { range, ..wanted.clone() }, html! { (range.said()) })) }
        }
        nav.tabs aria-label="Names" data-test-names {
            (tab(of(None, false), html! { "all names" }))
            @for name in names { (tab(of(Some(name), false), html! { "name " b { (bytes::marked(name)) } })) }
            @if wanted.other || rows.iter().any(|row| row.other) { (tab(of(None, true), html! { "rare names" })) }
        }
        @if named.len() > NAMES { p.dim { "The " (NAMES) " busiest of " (count(named.len() as u64)) " names in " (BUSY_MINUTES) " minutes." } }
    }
}

/// The figures, newest first.
fn figures(app: &App, wanted: &Wanted, series: &Series, all: bool) -> Markup {
    let shown = if all { series.points.len() } else { ROWS.min(series.points.len()) };
    let running = series.until_ms.saturating_sub(series.step_ms);
    html! {
        details open[all] data-test-figures {
            summary { "Figures" }
            @if series.points.is_empty() { p { "Nothing happened in " (wanted.range.said()) "." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Figures" { table.rows {
                    thead { tr {
                        th { "From (UTC)" } th.number { "enqueued" } th.number { "started" } th.number { "completed" } th.number { "failed" }
                        th.number { "dead" } th.number { "wait p50" } th.number { "wait p95" } th.number { "run p50" } th.number { "run p95" }
                    } }
                    tbody {
                        (figure(&html! { b { "all together" } }, &series.total))
                        @for point in series.points.iter().rev().take(shown) {
                            (figure(&html! { (time::instant(point.at_ms)) @if point.at_ms >= running { " " span.dim { "not over yet" } } }, point))
                        }
                    }
                } }
                @if shown < series.points.len() {
                    p { "The newest " (shown) " of " (count(series.points.len() as u64)) " in which something happened; "
                        a href=(format!("{}&figures=all", wanted.url(app, ""))) data-test-all-figures { "all of them" } "." }
                }
            }
            p { a href=(wanted.url(app, "/series")) download="series.json" { "What the charts show, as JSON" } }
        }
    }
}

fn figure(when: &Markup, point: &SeriesPoint) -> Markup {
    let counts = &point.counts;
    let measured = |found: &Quantiles, ms: u64| html! { td.number { @if found.count > 0 { (time::took(ms)) } } };
    html! {
        tr {
            td { (when) }
            @for number in [counts.enqueued, counts.started, counts.completed, wrong(point), counts.dead] {
                td.number.zero[number == 0] { (count(number)) }
            }
            @for found in [&point.wait, &point.run] { (measured(found, found.p50_ms)) (measured(found, found.p95_ms)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use queue_core::model::{Quantiles, Series, SeriesCounts, SeriesPoint};

    use super::Charts;

    #[test]
    fn charts_have_a_value_for_each_whole_bucket_and_none_for_the_one_that_runs() {
        let at = |at_ms, enqueued, count| SeriesPoint {
            at_ms,
            counts: SeriesCounts { enqueued, failed: 1, stalled: 2, ..SeriesCounts::default() },
            wait: Quantiles { count, p50_ms: 5, p95_ms: 9, p99_ms: 9 },
            run: Quantiles::default(),
        };
        let series = Series {
            queue: None,
            name: None,
            other: false,
            step_ms: 10_000,
            from_ms: 100_007,
            until_ms: 140_007,
            points: vec![at(100_007, 1, 0), at(120_007, 3, 2), at(130_007, 4, 4)],
            total: SeriesPoint::default(),
        };
        let values = |points| {
            let charts = Charts::of(&series, points);
            assert_eq!((charts.until_ms, charts.from_ms), (130_007, 130_007 - points * 10_000));
            let line = |chart: usize, line: usize| charts.charts[chart].lines[line].values.clone();
            [line(0, 0), line(0, 2), line(1, 1), line(2, 0)]
        };
        let zeros = |values: [u64; 4]| values.map(Some).to_vec();
        let none = vec![None; 4];
        let wait = vec![None, None, None, Some(9)];
        assert_eq!(values(4), [zeros([0, 1, 0, 3]), zeros([0, 3, 0, 3]), wait, none]);
        assert_eq!(values(1), [vec![Some(3)], vec![Some(3)], vec![Some(9)], vec![None]]);
    }
}
