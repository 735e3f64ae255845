//! The table: a row per figure, a column per way to drive a server, medians and ratios to the first column.
//!
//! Rates are better when larger, times and bytes when smaller; a ratio says how many times the first column's figure it is.

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

    fn label(self) -> &'static str {
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

    /// Prints the rows that have figures.
    pub(super) fn print(&self) {
        let heads: Vec<_> = Column::ALL.map(|column| format!("{:>32}", column.label())).into();
        println!("{:<46}{}", "median (lowest–highest) × first column", heads.concat());
        for row in Row::ALL {
            if Column::ALL.into_iter().any(|column| !self.values(row, column).is_empty()) {
                let cells: Vec<_> = Column::ALL.map(|column| format!("{:>32}", self.cell(row, column))).into();
                println!("{:<46}{}", row.label(), cells.concat());
            }
        }
        if !self.redis_lpush.is_empty() {
            println!("\nbeside: redis-benchmark LPUSH, 64 connections: {}", spread(&self.redis_lpush));
        }
    }

    fn cell(&self, row: Row, column: Column) -> String {
        let values = self.values(row, column);
        if values.is_empty() {
            return "–".to_owned();
        }
        let base = host::median(&self.values(row, Column::ALL[0]));
        let ratio = host::median(&values) / base;
        if column == Column::ALL[0] { spread(&values) } else { format!("{} {ratio:.2}×", spread(&values)) }
    }
}

fn spread(values: &[f64]) -> String {
    let middle = host::median(values);
    let [low, high] = [0.0, 1.0].map(|share| host::percentile(values, share));
    if values.len() == 1 { format!("{middle:.0}") } else { format!("{middle:.0} ({low:.0}–{high:.0})") }
}
