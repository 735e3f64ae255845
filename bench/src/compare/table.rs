//! The table: a row per figure, a column per way to drive a server, medians and ratios to the first column.
//!
//! Rates are better when larger, times and bytes when smaller; a ratio says how many times the first column's figure it is.

use serde_json::{Value, json};

use super::Column;
use super::scenario::Scenario;
use crate::host;

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Enqueue,
    Connections,
    Bulk,
    Noop,
    Idle,
    BytesPerJob,
    LongestApply,
}

impl Row {
    const ALL: [Self; 7] =
        [Self::Enqueue, Self::Connections, Self::Bulk, Self::Noop, Self::Idle, Self::BytesPerJob, Self::LongestApply];

    /// The row of a scenario that gives one figure; the fill's first.
    pub(super) fn of(scenario: Scenario) -> Self {
        match scenario {
            Scenario::Enqueue => Self::Enqueue,
            Scenario::Connections => Self::Connections,
            Scenario::Bulk => Self::Bulk,
            Scenario::Noop => Self::Noop,
            Scenario::Idle => Self::Idle,
            Scenario::Fill => Self::BytesPerJob,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue, 64 in flight on 1 connection, jobs/s",
            Self::Connections => "enqueue, 64 connections with 1 each, jobs/s",
            Self::Bulk => "enqueue in batches of 1,000, jobs/s",
            Self::Noop => "no-op run at concurrency 100, jobs/s",
            Self::Idle => "idle latency, enqueue to worker, µs",
            Self::BytesPerJob => "resident bytes per waiting job",
            Self::LongestApply => "longest single apply during the fill, µs",
        }
    }

    /// How a figure was taken where columns differ in it or its label does not say.
    fn how(self) -> Option<&'static str> {
        match self {
            Self::BytesPerJob => Some("growth of the server's resident set, its buffers included"),
            Self::LongestApply => Some(
                "BullMQ: the longest entry of Redis' slow log, wall time of one job's script, 300 for nothing longer; \
                 Longshore: processor time of one enqueue on the memory engine in process, without journal and network",
            ),
            _ => None,
        }
    }
}

/// All figures of a run.
pub(super) struct Table {
    figures: Vec<(Row, Column, f64)>,
    redis_lpush: Vec<f64>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { figures: Vec::new(), redis_lpush: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row, column: Column, value: f64) {
        self.figures.push((row, column, value));
    }

    /// Takes a figure of redis-benchmark, which stands beside the row of 64 connections.
    pub(super) fn redis_lpush(&mut self, requests_per_second: f64) {
        self.redis_lpush.push(requests_per_second);
    }

    fn values(&self, row: Row, column: Column) -> Vec<f64> {
        self.figures.iter().filter(|figure| (figure.0, figure.1) == (row, column)).map(|figure| figure.2).collect()
    }

    /// The rows and columns that have figures.
    fn extent(&self) -> (Vec<Row>, Vec<Column>) {
        let rows = Row::ALL.into_iter().filter(|row| self.figures.iter().any(|figure| figure.0 == *row));
        let columns = Column::ALL.into_iter().filter(|column| self.figures.iter().any(|figure| figure.1 == *column));
        (rows.collect(), columns.collect())
    }

    /// Prints the rows that have figures, and how two of them were measured.
    pub(super) fn print(&self) {
        let (rows, columns) = self.extent();
        let heads: String = columns.iter().map(|column| format!("{:>34}", column.label())).collect();
        println!("{:<46}{heads}", "median (lowest–highest) × first column");
        for &row in &rows {
            let cells: String = columns.iter().map(|&column| format!("{:>34}", self.cell(row, column))).collect();
            println!("{:<46}{cells}", row.label());
        }
        if !self.redis_lpush.is_empty() {
            println!("\nbeside: redis-benchmark LPUSH, 64 connections: {}", spread(&self.redis_lpush));
        }
        println!();
        for row in rows {
            if let Some(how) = row.how() {
                println!("{}: {how}", row.label());
            }
        }
    }

    /// All figures, for programs: what was measured on, and per row and column every value, the median and the ratio.
    pub(super) fn json(&self, system: &[String], failures: &[String]) -> String {
        let (rows, columns) = self.extent();
        let column = |row: Row, column: Column| {
            let values = self.values(row, column);
            let median = (!values.is_empty()).then(|| host::median(&values));
            json!({"column": column.label(), "values": values, "median": median, "ratio": self.ratio(row, column)})
        };
        let rows: Vec<Value> = rows
            .into_iter()
            .map(|row| {
                let cells: Vec<Value> = columns.iter().map(|&one| column(row, one)).collect();
                json!({"row": row.label(), "how": row.how(), "columns": cells})
            })
            .collect();
        let all = json!({
            "system": system, "rows": rows, "redis_benchmark_lpush": self.redis_lpush, "not_measured": failures
        });
        format!("{all:#}\n")
    }

    /// How many times the first column's median this one's is; none where either has no figure.
    fn ratio(&self, row: Row, column: Column) -> Option<f64> {
        let (base, values) = (self.values(row, Column::ALL[0]), self.values(row, column));
        let known = !base.is_empty() && !values.is_empty() && host::median(&base) > 0.0;
        known.then(|| host::median(&values) / host::median(&base))
    }

    fn cell(&self, row: Row, column: Column) -> String {
        let values = self.values(row, column);
        if values.is_empty() {
            return "–".to_owned();
        }
        match self.ratio(row, column) {
            Some(ratio) if column != Column::ALL[0] => format!("{} {ratio:.2}×", spread(&values)),
            _ => spread(&values),
        }
    }
}

fn spread(values: &[f64]) -> String {
    let middle = host::median(values);
    let [low, high] = [0.0, 1.0].map(|share| host::percentile(values, share));
    if values.len() == 1 { format!("{middle:.0}") } else { format!("{middle:.0} ({low:.0}–{high:.0})") }
}
