//! Tools for a directory that nobody runs: what is wrong with it, what can be done about it, and a compaction by hand.
//!
//! They hold the directory's lock as an engine does. Leaves the bytes to the journal and their meaning to the machine, and
//! how it is told to the command line. Invariants: only [`Offline::apply`] and [`compact()`] change anything; what a repair
//! makes is a state that these records came to, or it is refused.

mod compact;
mod numbers;
mod repair;
mod skip;
mod verify;

#[cfg(test)]
mod tests;

pub use compact::{CompactOptions, CompactedDirectory, compact};
pub use numbers::{Doubt, Unnamed};
pub use repair::{Lost, Repair};
pub use verify::{Offline, Verified};

/// What can be done about a damaged journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The newest snapshot is damaged: it is made again from the one before and the log between them. Nothing is lost.
    RebuildSnapshot,
    /// What is damaged is needed by no start: it is let go, with all that is before the newest snapshot. No job is
    /// touched; events of the past can no more be read.
    ForgetHistory,
    /// Bad frames are left out, and what is whole behind them is gone on with; events that do not fit the state any more are
    /// dropped. What comes of it is no state that ever was.
    Skip,
    /// The state goes back to what it was before the first bad place. What was stored later is lost.
    Cut,
}

impl Choice {
    /// All of them, what loses least first.
    pub const ALL: [Choice; 4] = [Choice::RebuildSnapshot, Choice::ForgetHistory, Choice::Skip, Choice::Cut];

    /// Its name, as the command line takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Choice::RebuildSnapshot => "rebuild-snapshot",
            Choice::ForgetHistory => "forget-history",
            Choice::Skip => "skip",
            Choice::Cut => "cut",
        }
    }
}
