//! Metrics: the one table of what Longshore's programs tell those who watch them, and the text that Prometheus reads.
//!
//! Programs gather plain figures; here stands what they are called, in which unit, and with which labels. `docs/metrics.md`
//! is written from the same table. Invariant: nothing is exposed that the table does not name, nor with other labels.

mod engine;
mod page;
mod table;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use page::{CONTENT_TYPE, Page};
pub use table::{METRICS, Metric, Program, Type};

#[cfg(test)]
mod docs;
