//! What is fuzzed: functions of bytes that must come to an end and must not panic.
//!
//! Each target has a file: what it makes of the bytes, and what must hold whatever they are. `main.rs` runs them on a plain
//! compiler, `fuzz_targets/` under libFuzzer. Invariant: no target knows the insides of the library: files are made by the
//! page that draws them (`docs/journal.md`).

pub mod directory;
pub mod files;
pub mod frames;
pub mod requests;
pub mod seeds;
pub mod snapshot;
#[path = "../../queue-core/tests/golden/tour.rs"]
mod tour;

/// A target and its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 4] =
    [("requests", requests::run), ("frames", frames::run), ("snapshot", snapshot::run), ("directory", directory::run)];

/// Keeps panics quiet: a recovery may meet one, which it catches. One that nobody catches ends the target as ever.
pub fn quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Reads the bytes of an input from its front; what is missing is zero.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `length` bytes; fewer at the end.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// The next bytes as a number, little-endian.
    pub fn number(&mut self, bytes: usize) -> u64 {
        self.take(bytes).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
