//! Answers of the engine that all who look share: each is asked for once in a while, however many look.
//!
//! Whoever comes while one is being asked for waits for that one. Invariants: between two questions of one kind lies at
//! least the time given; what failed is not kept.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use queue_core::model::Error;

/// An answer, and the instant before which it was asked for.
type Slot<V> = tokio::sync::Mutex<Option<(u64, Arc<V>)>>;

/// Answers of one kind, by what was asked.
pub(crate) struct Kept<K, V> {
    /// How long one is good for, in milliseconds.
    good_ms: u64,
    /// Most of them at a time.
    most: usize,
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
}

impl<K: Eq + Hash, V> Kept<K, V> {
    pub(crate) fn new(good_ms: u64, most: usize) -> Self {
        Self { good_ms, most, slots: Mutex::new(HashMap::new()) }
    }

    /// The answer to `key` as of at most the time given ago, by a clock that never goes back; asked for by `ask` if there
    /// is none.
    ///
    /// # Errors
    ///
    /// What `ask` says.
    pub(crate) async fn answer<F>(&self, key: K, now_ms: u64, ask: impl FnOnce() -> F) -> Result<Arc<V>, Error>
    where
        F: Future<Output = Result<V, Error>>,
    {
        let slot = self.slot(key);
        let mut held = slot.lock().await;
        if let Some((at_ms, answer)) = &*held
            && now_ms.saturating_sub(*at_ms) < self.good_ms
        {
            return Ok(Arc::clone(answer));
        }
        let answer = Arc::new(ask().await?);
        *held = Some((now_ms, Arc::clone(&answer)));
        Ok(answer)
    }

    fn slot(&self, key: K) -> Arc<Slot<V>> {
        // A map of slots is whole between any two of its calls.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= self.most && !slots.contains_key(&key) {
            // What somebody still looks at is soon asked for again.
            slots.clear();
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use queue_core::model::{Error, Word};

    use super::Kept;

    #[tokio::test]
    async fn one_answer_is_for_all_who_ask_in_its_time() {
        let (kept, asked) = (Kept::new(1_000, 2), AtomicU64::new(0));
        let ask = async |key: &'static str, now_ms: u64| {
            let answer = kept.answer(key, now_ms, async || Ok(asked.fetch_add(1, Ordering::Relaxed))).await;
            *answer.expect("an answer")
        };
        let at_once = futures_util::future::join_all((0..20).map(|_| ask("a", 5_000))).await;
        assert_eq!(at_once, [0; 20]);
        assert_eq!([ask("a", 5_999).await, ask("b", 5_999).await, ask("a", 6_000).await], [0, 1, 2]);
        // A third kind takes the room of the others.
        assert_eq!([ask("c", 6_000).await, ask("a", 6_001).await], [3, 4]);
    }

    #[tokio::test]
    async fn what_failed_is_asked_again() {
        let kept = Kept::new(1_000, 2);
        let failed = kept.answer("a", 0, async || Err(Error::new(Word::Loading, "not yet"))).await;
        assert_eq!(failed.map_err(|error| error.word), Err(Word::Loading));
        assert_eq!(*kept.answer("a", 0, async || Ok(7)).await.expect("an answer"), 7);
    }
}
