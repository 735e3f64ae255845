//! How long things took: log-linear counts, eight cells to each doubling.
//!
//! Values are milliseconds. Below 16 each has a cell of its own; from there on a cell is an eighth of its doubling, and
//! what is answered for it, its middle, is off by at most 6.25 %. Only cells in use are there. Integers alone.

use crate::model::Quantiles;

/// Cells to a doubling, as a power of two.
const FINE: u32 = 3;
/// The largest value that is told apart: about 34 years.
const LARGEST: u64 = (1 << 40) - 1;
/// How many cells there can be.
pub(crate) const CELLS: usize = cell(LARGEST) as usize + 1;
/// What a cell takes in memory at most: half of a grown list may be free.
pub(super) const CELL_BYTES: u64 = 2 * size_of::<(u16, u32)>() as u64;

/// The cell of a value.
const fn cell(ms: u64) -> u16 {
    let ms = if ms > LARGEST { LARGEST } else { ms };
    if ms < 1 << FINE {
        return ms as u16;
    }
    let doubling = ms.ilog2() - FINE;
    ((doubling << FINE) + (ms >> doubling) as u32) as u16
}

/// The value in the middle of a cell.
const fn value(cell: u16) -> u64 {
    let cell = cell as u64;
    if cell < 2 << FINE {
        return cell;
    }
    let doubling = (cell >> FINE) - 1;
    let first = ((cell & ((1 << FINE) - 1)) + (1 << FINE)) << doubling;
    first + ((1 << doubling) - 1) / 2
}

/// Counts by cell, ascending.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Histogram(Vec<(u16, u32)>);

impl Histogram {
    /// Counts a value. Answers how many cells came in use.
    pub(super) fn add(&mut self, ms: u64) -> u64 {
        self.add_to(cell(ms), 1)
    }

    pub(super) fn add_to(&mut self, cell: u16, count: u32) -> u64 {
        match self.0.binary_search_by_key(&cell, |&(cell, _)| cell) {
            Ok(at) => {
                self.0[at].1 = self.0[at].1.saturating_add(count);
                0
            }
            Err(at) => {
                self.0.insert(at, (cell, count));
                1
            }
        }
    }

    /// Adds another's counts. Answers how many cells came in use.
    pub(super) fn merge(&mut self, other: &Self) -> u64 {
        other.0.iter().map(|&(cell, count)| self.add_to(cell, count)).sum()
    }

    pub(super) const fn cells(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (u16, u32)> {
        self.0.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        quantiles(self.0.iter().map(|&(cell, count)| (cell, u64::from(count))))
    }
}

/// Several histograms together.
#[derive(Debug, Clone)]
pub(crate) struct Sum(Box<[u64; CELLS]>);

impl Default for Sum {
    fn default() -> Self {
        Self(Box::new([0; CELLS]))
    }
}

impl Sum {
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        for (cell, count) in histogram.iter() {
            self.0[usize::from(cell)] += u64::from(count);
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        quantiles((0..).zip(self.0.iter().copied()))
    }
}

fn quantiles(cells: impl Iterator<Item = (u16, u64)> + Clone) -> Quantiles {
    let count = cells.clone().map(|(_, count)| count).sum::<u64>();
    let at = |percent: u64| {
        let rank = (count * percent).div_ceil(100);
        let mut before = 0;
        let reaches = |&(_, count): &(u16, u64)| {
            before += count;
            count > 0 && before >= rank
        };
        cells.clone().find(reaches).map_or(0, |(cell, _)| value(cell))
    };
    Quantiles { count, p50_ms: at(50), p95_ms: at(95), p99_ms: at(99) }
}

#[cfg(test)]
mod tests {
    use super::{CELLS, Histogram, LARGEST, Sum, cell, value};

    #[test]
    fn a_cell_answers_for_its_values_within_a_sixteenth() {
        let values =
            (0..100_000).chain((17..40).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + (1 << (bit - 1))]));
        for ms in values {
            let answered = value(cell(ms));
            assert!(answered.abs_diff(ms) * 16 <= ms, "{ms} ms is answered as {answered}");
            assert!(ms >= 16 || answered == ms, "{ms} ms is exact");
        }
        assert_eq!(usize::from(cell(u64::MAX)) + 1, CELLS);
        assert!((1..CELLS as u16).all(|at| value(at - 1) < value(at) && cell(value(at)) == at));
        assert_eq!(value(cell(u64::MAX)), value(cell(LARGEST)));
    }

    #[test]
    fn quantiles_are_the_smallest_value_that_enough_are_not_above() {
        let (mut histogram, mut sum) = (Histogram::default(), Sum::default());
        assert_eq!(histogram.quantiles().count, 0);
        (1..=15).for_each(|ms| assert_eq!(histogram.add(ms), 1));
        assert_eq!(histogram.add(3), 0);
        histogram.add(1_000);
        let quantiles = histogram.quantiles();
        assert_eq!((quantiles.count, quantiles.p50_ms), (17, 8));
        assert!(quantiles.p99_ms.abs_diff(1_000) <= 62);
        sum.add(&histogram);
        assert_eq!(sum.quantiles(), quantiles);
    }
}
