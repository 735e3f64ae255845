//! Who waits: for jobs to lease, first come, first served in each queue; for a job's end.
//!
//! Belongs to the shell, never journaled. Invariant: a waiter is served at most once, and one whose caller is gone
//! keeps nothing.

use std::collections::VecDeque;

use hashbrown::HashMap;
use tokio::sync::oneshot;

use crate::model::{Job, LeaseOrder, LeasedJob};

/// Jobs for one who waited; they may be handed over once the frontier has passed `position`.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) leased: Vec<LeasedJob>,
    pub(super) position: u64,
}

/// A job as it ended; it may be shown once the frontier has passed `position`.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) job: Job,
    pub(super) position: u64,
}

/// A place among those who wait.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) delivery: oneshot::Receiver<Delivery>,
}

/// All who wait.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: u64,
    leases: HashMap<u64, (LeaseOrder, oneshot::Sender<Delivery>)>,
    queues: HashMap<String, VecDeque<u64>>,
    jobs: HashMap<u64, Vec<oneshot::Sender<Ended>>>,
}

impl Waiters {
    /// Joins the end of the line in each of the order's queues.
    pub(super) fn join(&mut self, order: LeaseOrder) -> Ticket {
        self.next += 1;
        let (sender, delivery) = oneshot::channel();
        for queue in &order.queues {
            self.queues.entry_ref(queue).or_default().push_back(self.next);
        }
        self.leases.insert(self.next, (order, sender));
        Ticket { number: self.next, delivery }
    }

    /// Leaves every line.
    pub(super) fn leave(&mut self, number: u64) {
        let Some((order, _)) = self.leases.remove(&number) else { return };
        for queue in &order.queues {
            if let Some(line) = self.queues.get_mut(queue) {
                // Numbers ascend in a line, and who is served is its first.
                if let Ok(at) = line.binary_search(&number) {
                    line.remove(at);
                }
                if line.is_empty() {
                    self.queues.remove(queue);
                }
            }
        }
    }

    /// The first in a queue's line whose caller still waits.
    pub(super) fn first(&mut self, queue: &str) -> Option<(u64, LeaseOrder)> {
        loop {
            let &number = self.queues.get(queue)?.front()?;
            let (order, sender) = self.leases.get(&number)?;
            if !sender.is_closed() {
                return Some((number, order.clone()));
            }
            self.leave(number);
        }
    }

    /// How many calls wait for work.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.leases.len()
    }

    /// Whether anybody waits for this queue.
    #[cfg(test)]
    pub(super) fn is_waiting(&self, queue: &str) -> bool {
        self.queues.contains_key(queue)
    }

    /// Hands jobs over. `false` if the caller is gone.
    pub(super) fn deliver(&mut self, number: u64, delivery: Delivery) -> bool {
        let Some((order, sender)) = self.leases.remove(&number) else { return false };
        // Put back so that leaving takes it out of the other queues' lines too.
        let (gone, _) = oneshot::channel();
        self.leases.insert(number, (order, gone));
        self.leave(number);
        sender.send(delivery).is_ok()
    }

    /// Resolves once the job has ended, and fails if it was removed.
    pub(super) fn join_job(&mut self, number: u64) -> oneshot::Receiver<Ended> {
        let (sender, receiver) = oneshot::channel();
        let waiting = self.jobs.entry(number).or_default();
        waiting.retain(|sender| !sender.is_closed());
        waiting.push(sender);
        receiver
    }

    /// Forgets who waited for this job and is gone.
    pub(super) fn leave_job(&mut self, number: u64) {
        if let Some(waiting) = self.jobs.get_mut(&number) {
            waiting.retain(|sender| !sender.is_closed());
            if waiting.is_empty() {
                self.jobs.remove(&number);
            }
        }
    }

    /// Whether anybody waits for the end of any job.
    pub(super) fn is_job_awaited(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Those who wait for the end of this job; they are to be told.
    pub(super) fn take_job(&mut self, number: u64) -> Option<Vec<oneshot::Sender<Ended>>> {
        self.jobs.remove(&number)
    }

    /// Nobody will be served any more: every waiting call ends.
    pub(super) fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }
}
