//! Joining and leaving the orders of a state: lanes of waiting jobs, trees of the others, counts, timers.
//!
//! Invariant: what enters leaves by the same key, so a row's place, time and policy change only in between.

use super::Machine;
use super::queue::Tree;
use super::rows::{ASIDE, Row, WALL};
use crate::model::{DelayCause, JobState};

const THERE: &str = "a job in an order is there";

impl Machine {
    /// The tree that orders the job in its state, if a tree does.
    pub(super) fn tree_of(&self, row: &Row) -> Option<Tree> {
        match row.state {
            JobState::Waiting | JobState::WaitingChildren => None,
            JobState::Delayed => Some(if row.has(WALL) { Tree::DelayedWall } else { Tree::Delayed }),
            JobState::Active => Some(Tree::Active),
            JobState::Completed if self.policies.get(row.policy).keep_ms.is_some() => Some(Tree::CompletedOwn),
            JobState::Completed => Some(Tree::Completed),
            JobState::Dead => Some(Tree::Dead),
            JobState::Cancelled => Some(Tree::Cancelled),
        }
    }

    /// The job joins `state`'s order; its row says where in it.
    pub(super) fn enter(&mut self, number: u64, state: JobState) {
        self.rows.get_mut(number).expect(THERE).state = state;
        self.move_in_order(number, true);
        let row = self.rows.get(number).expect(THERE);
        let (queue, retry) = (row.queue, row.detail == DelayCause::Retry as u8);
        let counts = &mut self.queues[queue as usize].counts;
        *counts.of_mut(state) += 1;
        counts.retrying += u64::from(state == JobState::Delayed && retry);
        if state == JobState::Waiting && self.ready.last() != Some(&queue) {
            self.ready.push(queue);
        }
    }

    /// The job leaves its state's order.
    pub(super) fn leave(&mut self, number: u64) {
        self.move_in_order(number, false);
        let row = self.rows.get(number).expect(THERE);
        let (queue, state, retry) = (row.queue, row.state, row.detail == DelayCause::Retry as u8);
        let counts = &mut self.queues[queue as usize].counts;
        *counts.of_mut(state) -= 1;
        counts.retrying -= u64::from(state == JobState::Delayed && retry);
    }

    fn move_in_order(&mut self, number: u64, enters: bool) {
        let row = self.rows.get(number).expect(THERE);
        let (queue_id, at) = (row.queue, row.at);
        // In the trees of the lane, if it stands in them.
        let places = if row.has(ASIDE) { 2 } else { 0 };
        let lane_key = std::cmp::Reverse(row.priority);
        let tree = self.tree_of(row);
        let keep = self.policies.get(row.policy).keep_ms;
        if let Some(tree) = tree {
            self.order(queue_id, tree, (at, number), enters);
            if let (Tree::CompletedOwn, Some(keep)) = (tree, keep) {
                self.order(queue_id, Tree::Keep, (at + keep, number), enters);
            }
            return;
        }
        let queue = &mut self.queues[queue_id as usize];
        let lane = queue.lanes.entry(lane_key).or_default();
        match enters {
            true => {
                lane.push(&mut self.rows, number);
                self.ordered += places;
            }
            false => {
                lane.remove(&mut self.rows, number);
                self.ordered -= places;
            }
        }
        if lane.is_empty() {
            queue.lanes.remove(&lane_key);
        }
    }

    /// A job enters or leaves a tree, and the timer follows the tree's head.
    pub(super) fn order(&mut self, queue: u32, tree: Tree, key: (u64, u64), enters: bool) {
        let entries = self.queues[queue as usize].tree_mut(tree);
        match enters {
            true => self.ordered += u64::from(entries.insert(key)),
            false => self.ordered -= u64::from(entries.remove(&key)),
        }
        self.refresh(queue, tree);
    }
    /// A rank is used up at its end of the queue.
    pub(super) fn claim_rank(&mut self, queue: u32, rank: i64) {
        let queue = &mut self.queues[queue as usize];
        queue.back = queue.back.max(rank + 1);
        queue.front = queue.front.min(rank - 1);
    }

    /// It was started, or never will be.
    pub(super) fn forget_unstarted(&mut self, number: u64) {
        let row = self.rows.get_mut(number).expect(THERE);
        let queue = row.queue;
        if let Some(at) = row.more.as_mut().and_then(|more| more.expires_at.take()) {
            self.order(queue, Tree::Unstarted, (at.get(), number), false);
        }
    }
}
