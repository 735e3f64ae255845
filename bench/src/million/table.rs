//! The figures of a run, and how they are printed: medians over the repetitions, ratios beside their aims.

use std::time::Duration;

use super::probe::Latencies;
use crate::host;

/// One repetition of one piece of work.
struct Row {
    what: &'static str,
    took: f64,
    idle: Latencies,
    beside: Latencies,
    aim: f64,
}

#[derive(Default)]
pub(super) struct Table {
    notes: Vec<(&'static str, f64)>,
    rows: Vec<Row>,
}

impl Table {
    /// Takes a figure that stands by itself.
    pub(super) fn note(&mut self, what: &'static str, value: f64) {
        eprintln!("  {what}: {value:.2}");
        self.notes.push((what, value));
    }

    /// Takes the latencies without and beside a piece of work, and how many times the former's p99 the latter's may be.
    pub(super) fn beside(&mut self, what: &'static str, took: Duration, idle: Latencies, beside: Latencies, aim: f64) {
        let row = Row { what, took: took.as_secs_f64(), idle, beside, aim };
        eprintln!("  {what}: {:.1} s, p99 {:.0} µs beside {:.0}", row.took, row.beside.p99(), row.idle.p99());
        self.rows.push(row);
    }

    pub(super) fn print(&self) {
        println!("{:<44}{:>10}{:>24}", "", "median", "lowest–highest");
        for what in unique(self.notes.iter().map(|note| note.0)) {
            let values: Vec<f64> = self.notes.iter().filter(|note| note.0 == what).map(|note| note.1).collect();
            let [low, high] = [0.0, 1.0].map(|share| host::percentile(&values, share));
            println!("{what:<44}{:>10.2}{:>24}", host::median(&values), format!("{low:.2}–{high:.2}"));
        }
        println!("\nsingle enqueues in µs, p50 / p99 / p99.9 / longest, medians of the repetitions");
        println!(
            "{:<40}{:>6} {:>35} {:>35} {:>7}  {:<12}{:>7}",
            "while the jobs are …", "s", "idle", "beside", "p99 ×", "aim", "calls"
        );
        for what in unique(self.rows.iter().map(|row| row.what)) {
            self.print_row(what);
        }
    }

    fn print_row(&self, what: &str) {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.what == what).collect();
        let median = |of: fn(&Row) -> Latencies| Latencies::median(&rows.iter().map(|row| of(row)).collect::<Vec<_>>());
        let (idle, beside) = (median(|row| row.idle), median(|row| row.beside));
        let took = host::median(&rows.iter().map(|row| row.took).collect::<Vec<_>>());
        let ratio = beside.p99() / idle.p99();
        let aim = rows.first().map_or(0.0, |row| row.aim);
        let met = if ratio <= aim { "met" } else { "MISSED" };
        let show = |of: &Latencies| of.us.map(|us| format!("{us:.0}")).join(" / ");
        println!(
            "{what:<40}{took:>6.1} {:>35} {:>35} {ratio:>6.2}×  {:<12}{:>7}",
            show(&idle),
            show(&beside),
            format!("≤ {aim} {met}"),
            beside.count
        );
    }
}

/// Each once, in the order of its first.
fn unique(all: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    all.for_each(|one| {
        if !seen.contains(&one) {
            seen.push(one);
        }
    });
    seen
}
