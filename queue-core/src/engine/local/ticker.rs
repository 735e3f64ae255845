//! The ticker: a task of the engine that does what time alone does, and ends with its engine.

use std::sync::{Arc, Weak};

use super::Shared;
use crate::journal::Storage;

/// Events in one step; between steps everyone else has a turn.
const STEP: usize = 200;
/// Bytes of events beyond what has left after which it waits until they have. Without it a disk that takes its time would be
/// met by longer and longer frames, and whoever enqueues one job while a million fall due would wait for all of them. It also
/// bounds how long a helper thread that comes back from its sync waits for the lock, which the turns here take again and
/// again: with four times as many bytes that was most of the wait of one enqueue in a hundred.
const AHEAD_BYTES: u64 = 16 << 10;
/// It looks at the wall clock at least this often.
const LOOK_MS: u64 = 1_000;

/// Runs until the engine is dropped, closed or failed.
pub(super) async fn run<S: Storage>(shared: Weak<Shared<S>>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let step = {
            let mut store = strong.lock();
            // Others may have filled the frame: then the step waits, as their next command does.
            let step = if store.must_commit() { Ok(true) } else { store.elapse(STEP) };
            let (now, due) = (store.now().steady, store.next_due());
            store.planned = due;
            let short = std::mem::take(&mut store.is_short);
            let ahead = store.end() - store.files.tail.frontier() > AHEAD_BYTES;
            let wait_for = (ahead || short || store.must_commit()).then(|| store.end());
            let until = store.on_clock(due.min(now + LOOK_MS));
            step.map(|more| (more || short || due <= now, wait_for, short, until))
        };
        let Ok((more, wait_for, short, until)) = step else { return };
        if strong.tend().await.is_err() {
            return;
        }
        if let Some(position) = wait_for
            && strong.durable(position).await.is_err()
        {
            return;
        }
        if short && strong.room_to_come().await.is_err() {
            return;
        }
        if more {
            tokio::task::yield_now().await;
            continue;
        }
        let clock = Arc::clone(&strong.clock);
        let wake = Arc::clone(&strong.wake);
        drop(strong);
        tokio::select! {
            () = wake.notified() => {}
            () = clock.sleep_until(until) => {}
        }
    }
}
