//! Charts of what happened over time: a picture drawn on the server, and the same numbers for the script that draws
//! one to zoom into.
//!
//! Integers alone. Invariant: all lines of a chart have as many values as there are buckets; where nothing was measured
//! there is a gap, never a zero.

use std::fmt::Write;

use maud::{Markup, html};
use serde::Serialize;

use super::{count, time};

/// Height of the picture, in its own units.
const HEIGHT: u64 = 200;

/// Lines over the same time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Chart {
    /// Names it for the script.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) lines: Vec<Line>,
}

/// What the values of a chart are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Things counted in a bucket, shown as how many a second that is.
    PerSecond,
    /// Milliseconds.
    Ms,
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) label: &'static str,
    /// The variable of the style sheet that has its colour.
    pub(crate) color: &'static str,
    /// What tells it from others beside its colour.
    pub(crate) dashed: bool,
    /// A value for each bucket, oldest first; `None` where nothing was measured.
    pub(crate) values: Vec<Option<u64>>,
}

impl Chart {
    /// The largest value, 0 if there is none.
    fn most(&self) -> u64 {
        self.lines.iter().flat_map(|line| &line.values).flatten().copied().max().unwrap_or(0)
    }

    /// A value in words, for buckets of this length.
    fn show(&self, value: u64, step_ms: u64) -> String {
        match self.unit {
            Unit::Ms => time::took(value),
            Unit::PerSecond => a_second(value, step_ms),
        }
    }

    /// The picture, its lines by name, and what its top and its ends are.
    pub(crate) fn figure(&self, step_ms: u64, from_ms: u64, until_ms: u64) -> Markup {
        let most = self.most();
        let top = self.show(most, step_ms);
        html! {
            figure.chart data-chart=(self.id) data-test-chart=(self.id) {
                figcaption { b { (self.title) } ul.legend {
                    @for line in &self.lines { li {
                        svg.key viewBox="0 0 24 6" aria-hidden="true" { (stroke(line, "M0 3H24")) } " " (line.label)
                    } }
                } }
                div.plot { (self.picture(most, &top)) }
                p.dim.ends { span { (time::instant(from_ms)) } span { "at most " (top) } span { (time::instant(until_ms)) } }
            }
        }
    }

    fn picture(&self, most: u64, top: &str) -> Markup {
        let width = self.lines.first().map_or(0, |line| line.values.len()).saturating_sub(1).max(1);
        let title = format!("{}: at most {top}; the figures stand below", self.title);
        html! {
            svg role="img" aria-label=(title) viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" {
                title { (title) }
                @for line in &self.lines { (stroke(line, &path(&line.values, most))) }
            }
        }
    }
}

fn stroke(line: &Line, path: &str) -> Markup {
    html! {
        path d=(path) stroke=(format!("var(--{})", line.color)) stroke-dasharray=[line.dashed.then_some("4 3")]
            vector-effect="non-scaling-stroke" {}
    }
}

/// A number of a bucket as a rate, to a tenth; what is less and yet not nothing says so.
fn a_second(value: u64, step_ms: u64) -> String {
    let tenths = u128::from(value) * 10_000 / u128::from(step_ms.max(1));
    match u64::try_from(tenths).unwrap_or(u64::MAX) {
        0 if value > 0 => "<0.1/s".to_owned(),
        tenths => format!("{}.{}/s", count(tenths / 10), tenths % 10),
    }
}

/// The values as a path; what lies on a level line between others is left out.
fn path(values: &[Option<u64>], most: u64) -> String {
    let height = |value: u64| {
        let part = u128::from(value) * u128::from(HEIGHT) / u128::from(most.max(1));
        HEIGHT - u64::try_from(part).unwrap_or(HEIGHT).min(HEIGHT)
    };
    let at = |x: Option<usize>| x.and_then(|x| values.get(x).copied().flatten()).map(height);
    let mut path = String::new();
    for x in 0..values.len() {
        let Some(y) = at(Some(x)) else { continue };
        let (before, after) = (at(x.checked_sub(1)), at(Some(x + 1)));
        if before == Some(y) && after == Some(y) {
            continue;
        }
        let verb = if before.is_none() { 'M' } else { 'L' };
        // One that stands alone is a dot.
        let dot = if before.is_none() && after.is_none() { "h0" } else { "" };
        write!(path, "{verb}{x} {y}{dot}").expect("a text takes what is written");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_gaps_where_nothing_was_measured_and_dots_for_what_stands_alone() {
        let some = |values: &[u64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(path(&some(&[0, 0, 0, 0, 8, 4]), 8), "M0 200L3 200L4 0L5 100");
        assert_eq!(path(&[None, Some(1), None, Some(2), Some(2), None], 2), "M1 100h0M3 0L4 0");
        assert_eq!(path(&[None, None], 0), "");
        assert_eq!(path(&some(&[u64::MAX, 0]), u64::MAX), "M0 0L1 200");
    }

    #[test]
    fn rates_say_when_they_are_small() {
        let shown = [(0, 10_000), (1, 60_000), (1, 10_000), (25, 10_000), (123_456_789, 10_000)];
        let texts = shown.map(|(value, step_ms)| a_second(value, step_ms));
        assert_eq!(texts, ["0.0/s", "<0.1/s", "0.1/s", "2.5/s", "12,345,678.9/s"].map(String::from));
    }
}
