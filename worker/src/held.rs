//! The leases a worker holds: from the moment a job is handed to it until the engine has counted what became of it.
//!
//! Guards that nothing is said of a lease that is gone: orders name jobs, and count only for the token they were
//! asked about. Knows when each lease is to be extended; who asks and when is the business of `keeper`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use queue_core::model::{JobNumber, LeaseRef, LeaseToken};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::stop::{Stop, StopSignal};

/// One lease.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) lease: LeaseRef,
    pub(crate) lease_ms: u64,
    pub(crate) stop: StopSignal,
    /// The handler has ended: from here on the settlement's own answer decides, not an order.
    ended: AtomicBool,
    lost: AtomicBool,
}

impl Hold {
    pub(crate) const fn new(lease: LeaseRef, lease_ms: u64, stop: StopSignal) -> Self {
        Self { lease, lease_ms, stop, ended: AtomicBool::new(false), lost: AtomicBool::new(false) }
    }

    /// The handler has ended. Answers whether the lease was still held, so that it may be settled.
    pub(crate) fn end(&self) -> bool {
        self.ended.store(true, Ordering::SeqCst);
        !self.is_lost()
    }

    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// A third of the lease: how long after one extension the next is due.
    fn third(&self) -> Duration {
        Duration::from_millis((self.lease_ms / 3).max(1))
    }
}

/// All leases of one worker.
#[derive(Debug)]
pub(crate) struct Held {
    book: Mutex<Book>,
    /// A lease came that is due before the extender would wake.
    earlier: Notify,
    /// Whether there are leases.
    busy: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Book {
    entries: HashMap<LeaseToken, Entry>,
    /// When the extender wakes next, if it sleeps with an end.
    wake: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    hold: Arc<Hold>,
    extend_at: Instant,
}

impl Held {
    pub(crate) fn new() -> Self {
        Self { book: Mutex::default(), earlier: Notify::new(), busy: watch::Sender::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_busy(&self, busy: bool) {
        self.busy.send_if_modified(|told| std::mem::replace(told, busy) != busy);
    }

    /// A job was handed out.
    pub(crate) fn insert(&self, hold: Arc<Hold>) {
        let extend_at = Instant::now() + hold.third();
        let mut book = self.lock();
        book.entries.insert(hold.lease.token, Entry { hold, extend_at });
        if book.wake.is_none_or(|wake| extend_at < wake) {
            book.wake = Some(extend_at);
            self.earlier.notify_one();
        }
        // Under the lock, so that the two kinds of news come in the order of the book's changes.
        self.tell_busy(true);
    }

    /// The lease is settled or given up.
    pub(crate) fn remove(&self, token: LeaseToken) {
        let mut book = self.lock();
        book.entries.remove(&token);
        self.tell_busy(!book.entries.is_empty());
    }

    /// Every lease held and not lost, in no particular order.
    pub(crate) fn leases(&self) -> Vec<LeaseRef> {
        let book = self.lock();
        book.entries.values().filter(|entry| !entry.hold.is_lost()).map(|entry| entry.hold.lease).collect()
    }

    /// How many leases are in the book, lost ones among them.
    pub(crate) fn count(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether there are leases: current value and changes.
    pub(crate) fn busy(&self) -> watch::Receiver<bool> {
        self.busy.subscribe()
    }

    /// Waits until no lease is held.
    pub(crate) async fn empty(&self) {
        let closed = self.busy().wait_for(|busy| !busy).await.is_err();
        assert!(!closed, "the sender lives as long as this");
    }

    /// Waits until leases are due to be extended and answers them, with those that will be soon: one call for many.
    pub(crate) async fn due(&self) -> Vec<LeaseRef> {
        loop {
            let (due, wake) = self.take_due(Instant::now());
            if !due.is_empty() {
                return due;
            }
            match wake {
                Some(wake) => drop(tokio::time::timeout_at(wake, self.earlier.notified()).await),
                None => self.earlier.notified().await,
            }
        }
    }

    fn take_due(&self, now: Instant) -> (Vec<LeaseRef>, Option<Instant>) {
        let mut book = self.lock();
        let next = book.entries.values().filter(|entry| !entry.hold.is_lost()).map(|entry| entry.extend_at).min();
        book.wake = next;
        if next.is_none_or(|next| next > now) {
            return (Vec::new(), next);
        }
        // Half of a third early is early enough to gather, and late enough not to ask twice as often.
        let soon = |entry: &&Entry| {
            !entry.hold.is_lost() && entry.extend_at <= now + (entry.hold.third() / 2).min(Duration::from_secs(1))
        };
        (book.entries.values().filter(soon).map(|entry| entry.hold.lease).collect(), next)
    }

    /// The engine answered what was asked at `asked_at`: it is asked again a third of the lease after that.
    pub(crate) fn extended(&self, token: LeaseToken, asked_at: Instant) {
        if let Some(entry) = self.lock().entries.get_mut(&token) {
            entry.extend_at = asked_at + entry.hold.third();
        }
    }

    /// Tells a lease's handler to stop. Answers whether it was not told before.
    pub(crate) fn cancel(&self, token: LeaseToken, reason: &str) -> bool {
        let hold = self.lock().entries.get(&token).map(|entry| Arc::clone(&entry.hold));
        hold.is_some_and(|hold| hold.stop.give(Stop::Cancelled(reason.to_owned())))
    }

    /// A lease is not ours any more. Answers whether a handler runs under it and did not know.
    pub(crate) fn lose(&self, token: LeaseToken) -> bool {
        let hold = self.lock().entries.get(&token).map(|entry| Arc::clone(&entry.hold));
        hold.is_some_and(|hold| {
            let news = !hold.ended.load(Ordering::SeqCst) && !hold.lost.swap(true, Ordering::SeqCst);
            hold.stop.give(Stop::Lost);
            news
        })
    }
}

/// The token under which `asked` names a job: what an order about the job is about.
pub(crate) fn token_of(asked: &[LeaseRef], number: JobNumber) -> Option<LeaseToken> {
    // The newest, should an old lease of the same job still be winding down here.
    asked.iter().filter(|lease| lease.number == number).map(|lease| lease.token).max()
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn hold(number: u64, lease_ms: u64) -> Arc<Hold> {
        let lease = LeaseRef { number: JobNumber(number), token: LeaseToken(number) };
        Arc::new(Hold::new(lease, lease_ms, StopSignal::under(&CancellationToken::new())))
    }

    fn numbers(leases: &[LeaseRef]) -> Vec<u64> {
        let mut numbers: Vec<_> = leases.iter().map(|lease| lease.number.0).collect();
        numbers.sort_unstable();
        numbers
    }

    #[tokio::test(start_paused = true)]
    async fn leases_are_due_after_a_third_and_those_due_soon_join() {
        let (held, start) = (Held::new(), Instant::now());
        held.insert(hold(1, 30_000));
        tokio::time::advance(Duration::from_millis(700)).await;
        held.insert(hold(2, 30_000));
        tokio::time::advance(Duration::from_millis(5_000)).await;
        held.insert(hold(3, 30_000));
        assert_eq!(numbers(&held.due().await), [1, 2]);
        assert_eq!((Instant::now() - start).as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_lease_wakes_the_extender_earlier() {
        let (held, start) = (Arc::new(Held::new()), Instant::now());
        held.insert(hold(1, 30_000));
        let due = tokio::spawn({
            let held = Arc::clone(&held);
            async move { held.due().await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        held.insert(hold(2, 300));
        assert_eq!(numbers(&due.await.expect("no panic")), [2]);
        assert_eq!((Instant::now() - start).as_millis(), 110);
    }

    #[tokio::test(start_paused = true)]
    async fn an_extended_lease_is_due_a_third_after_it_was_asked_for() {
        let held = Held::new();
        held.insert(hold(1, 3_000));
        let asked_at = Instant::now();
        held.extended(LeaseToken(1), asked_at + Duration::from_secs(4));
        held.due().await;
        assert_eq!((Instant::now() - asked_at).as_secs(), 5);
    }

    #[tokio::test]
    async fn what_is_lost_is_told_once_and_not_settled() {
        let (held, hold) = (Held::new(), hold(1, 1_000));
        held.insert(Arc::clone(&hold));
        assert!(held.lose(LeaseToken(1)));
        assert!(!held.lose(LeaseToken(1)));
        assert_eq!(hold.stop.why(), Some(Stop::Lost));
        assert!(!hold.end());
    }

    #[tokio::test]
    async fn an_order_that_comes_after_the_handlers_end_does_not_undo_its_settlement() {
        let (held, hold) = (Held::new(), hold(1, 1_000));
        held.insert(Arc::clone(&hold));
        assert!(hold.end());
        assert!(!held.lose(LeaseToken(1)));
    }

    #[tokio::test]
    async fn empty_waits_for_the_last_lease() {
        let held = Arc::new(Held::new());
        held.empty().await;
        held.insert(hold(1, 1_000));
        held.insert(hold(2, 1_000));
        let empty = tokio::spawn({
            let held = Arc::clone(&held);
            async move { held.empty().await }
        });
        held.remove(LeaseToken(1));
        tokio::task::yield_now().await;
        assert!(!empty.is_finished());
        held.remove(LeaseToken(2));
        empty.await.expect("no panic");
    }

    #[test]
    fn an_order_counts_for_the_newest_token_asked_about() {
        let lease = |number, token| LeaseRef { number: JobNumber(number), token: LeaseToken(token) };
        let asked = [lease(1, 7), lease(1, 9), lease(2, 8)];
        assert_eq!(token_of(&asked, JobNumber(1)), Some(LeaseToken(9)));
        assert_eq!(token_of(&asked, JobNumber(3)), None);
    }
}
