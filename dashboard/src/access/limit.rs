//! How often somebody may try: so many tries a minute for each name and each address, in memory of a fixed size.
//!
//! Names and addresses share cells by a hash under a key of this process, so that no flood of names takes memory or makes
//! room for more tries; who shares a cell with somebody who guesses waits with them, which one in thousands does.
//! Times are milliseconds of a clock that never goes back.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

const CELLS: usize = 8_192;
const MINUTE_MS: u64 = 60_000;

/// Tries for each of many.
pub(super) struct Limit {
    key: RandomState,
    /// When a cell is free of all its tries again; each try puts it off by a step.
    free_at_ms: Mutex<Box<[u64]>>,
    tries: u64,
}

impl Limit {
    /// So many tries at once, and so many a minute.
    pub(super) fn new(tries: u64) -> Self {
        Self { key: RandomState::new(), free_at_ms: Mutex::new(vec![0; CELLS].into()), tries }
    }

    fn step_ms(&self) -> u64 {
        MINUTE_MS / self.tries
    }

    fn with<T>(&self, what: impl Hash, change: impl FnOnce(&mut u64) -> T) -> T {
        let cell = usize::try_from(self.key.hash_one(what) % CELLS as u64).unwrap_or(0);
        // A cell is whole between any two calls.
        change(&mut self.free_at_ms.lock().unwrap_or_else(PoisonError::into_inner)[cell])
    }

    /// Counts a try, or says how long to wait before the next one.
    pub(super) fn take(&self, what: impl Hash, now_ms: u64) -> Result<(), u64> {
        self.with(what, |free_at| {
            let (from, most) = ((*free_at).max(now_ms), self.step_ms() * (self.tries - 1));
            match (from - now_ms).checked_sub(most).filter(|over| *over > 0) {
                Some(over) => Err(over),
                None => {
                    *free_at = from + self.step_ms();
                    Ok(())
                }
            }
        })
    }

    /// Takes a try back: it was a good one.
    pub(super) fn give_back(&self, what: impl Hash) {
        self.with(what, |free_at| *free_at = free_at.saturating_sub(self.step_ms()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_back_with_time_and_with_success() {
        let limit = Limit::new(10);
        for _ in 0..10 {
            assert_eq!(limit.take("ann", 5_000), Ok(()));
        }
        assert_eq!(limit.take("ann", 5_000), Err(6_000));
        assert_eq!(limit.take("ann", 10_999), Err(1));
        assert_eq!(limit.take("ann", 11_000), Ok(()));
        assert_eq!(limit.take("ann", 11_000), Err(6_000));
        limit.give_back("ann");
        assert_eq!(limit.take("ann", 11_000), Ok(()));
        let others = (0..100).filter(|index| limit.take(format!("user-{index}"), 11_000).is_ok()).count();
        assert!(others > 90, "{others}");
    }
}
