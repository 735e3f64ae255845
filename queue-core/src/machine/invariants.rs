//! What must always be true, checked over the whole state. The feature `audit` checks it after every command.

use std::collections::{BTreeMap, BTreeSet};

use super::queue::Queue;
use super::rows::ASIDE;
use super::{Machine, Tree};
use crate::model::{JobState, QueueCounts};

/// Beyond this many jobs only every thousandth command is checked whole, or a test of many jobs would never end.
#[cfg(feature = "audit")]
const CHECKED_EACH_TIME: u64 = 200;

impl Machine {
    /// Checks every invariant now and then: always while the store is small.
    #[cfg(feature = "audit")]
    pub(super) fn check_invariants(&self) {
        if self.rows.count() <= CHECKED_EACH_TIME || self.rows_digest.is_multiple_of(1_024) {
            self.assert_invariants();
        }
    }

    /// Checks every invariant: one state a job, exact counts, balanced books, each job in exactly its orders.
    ///
    /// # Panics
    ///
    /// If one does not hold: the machine is broken.
    pub fn assert_invariants(&self) {
        let mut counted: BTreeMap<u32, QueueCounts> = BTreeMap::new();
        let mut since: BTreeMap<u32, u64> = BTreeMap::new();
        let (mut digest, mut more_bytes) = (0, 0);
        for job in self.rows.numbers() {
            let row = self.rows.get(job).expect("a number in use has a row");
            digest ^= row.digest(job);
            more_bytes += row.bytes_beside();
            *counted.entry(row.queue).or_default().of_mut(row.state) += 1;
            let queue = &self.queues[row.queue as usize];
            if let Some(tree) = self.tree_of(row) {
                assert!(queue.tree(tree).contains(&(row.at, job)), "job #{job} is missing from the order of its state");
            } else {
                let lane = queue.lanes.get(&std::cmp::Reverse(row.priority)).expect("a waiting job has a lane");
                assert_eq!(lane.has_aside(job, row), row.has(ASIDE), "job #{job} beside the list");
                since.entry(row.queue).and_modify(|at| *at = row.at.min(*at)).or_insert(row.at);
            }
            assert!(job <= self.last_number, "job #{job} is numbered beyond the last number");
        }
        assert_eq!(digest, self.rows_digest, "the digest follows every row");
        assert_eq!(more_bytes, self.more_bytes, "what hangs on rows is counted");
        let in_trees = |queue: &Queue| queue.trees.iter().map(BTreeSet::len).sum::<usize>();
        let aside = |queue: &Queue| queue.lanes.values().map(|lane| 2 * lane.aside()).sum::<usize>();
        let ordered: usize = self.queues.iter().map(|queue| in_trees(queue) + aside(queue)).sum();
        assert_eq!(ordered as u64, self.ordered, "places in trees are counted");
        let remembered: usize = self.queues.iter().map(|queue| queue.remembered.len()).sum();
        assert_eq!(remembered as u64, self.remembered, "remembered ids are counted");
        for (number, queue) in self.queues.iter().enumerate() {
            self.assert_queue(number as u32, counted.get(&(number as u32)).copied().unwrap_or_default());
            let oldest = since.get(&(number as u32)).copied();
            assert_eq!(queue.waiting_since(&self.rows), oldest, "the oldest that waits in {}", queue.name);
            assert!(queue.counts.balanced(), "the books of {} balance: {:?}", queue.name, queue.counts);
        }
    }

    fn assert_queue(&self, number: u32, counted: QueueCounts) {
        let queue = &self.queues[number as usize];
        for &state in JobState::ALL {
            assert_eq!(queue.counts.of(state), counted.of(state), "count of {state} in {}", queue.name);
        }
        let of = |trees: &[Tree]| trees.iter().map(|&tree| queue.tree(tree).len() as u64).sum::<u64>();
        assert_eq!(of(&[Tree::Delayed, Tree::DelayedWall]), counted.delayed, "delayed jobs in order");
        assert_eq!(of(&[Tree::Active]), counted.active, "active jobs in order");
        assert_eq!(of(&[Tree::Completed, Tree::CompletedOwn]), counted.completed, "completed jobs in order");
        assert_eq!(of(&[Tree::Dead]), counted.dead, "dead jobs in order");
        assert_eq!(of(&[Tree::Cancelled]), counted.cancelled, "cancelled jobs in order");
        assert!(of(&[Tree::Unstarted]) <= counted.waiting + counted.delayed, "only jobs not started die unstarted");
        let mut waiting = 0;
        for lane in queue.lanes.values() {
            let head = lane.listed_from(&self.rows, i64::MIN, 0, &mut 0, |_| false).expect("the head is not far");
            let page = lane.page(&self.rows, i64::MIN, head, usize::MAX);
            assert!(page.is_sorted_by(|(one, _), (other, _)| one < other), "waiting jobs stand by rank");
            waiting += page.len() as u64;
        }
        assert_eq!(waiting, counted.waiting, "waiting jobs in order");
        for tree in Tree::ALL {
            let head = queue.head(tree, &self.defaults, self.removal_from);
            assert_eq!(queue.heads[tree as usize], head, "the timer of {tree:?} in {} is up to date", queue.name);
        }
    }
}
