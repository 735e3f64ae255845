//! A queue's state: its lanes of waiting jobs, its timers and orders, its counts and settings.
//!
//! Invariant: each (queue, state) keeps its jobs in one order: waiting by (priority, rank), delayed by due time, active
//! by lease expiry, done by finish. Instants are steady milliseconds but in the tree of wall-clock times.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::digest::Mix;
use super::rows::{RETURNED, Rows};
use super::tables::RememberedIds;
use crate::model::{Limits, QueueCounts, QueueSettings};

/// The trees of a queue: each is an order and, with its head, a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Tree {
    /// Delayed jobs by steady due time.
    Delayed,
    /// Active jobs by lease expiry.
    Active,
    /// Unstarted jobs by the instant they die at.
    Unstarted,
    /// Completed jobs under the queue's retention, by finish.
    Completed,
    /// Dead jobs, by finish.
    Dead,
    /// Cancelled jobs, by finish.
    Cancelled,
    /// Completed jobs with a retention of their own, by the instant they age out at.
    Keep,
    /// Remembered ids; kept in a queue of its own, this names its timer.
    Ids,
    /// Delayed jobs by wall due time; its head is no steady timer.
    DelayedWall,
    /// Completed jobs with a retention of their own, by finish; an order only.
    CompletedOwn,
}

pub(crate) const TREES: usize = 10;

impl Tree {
    pub(crate) const ALL: [Self; TREES] = [
        Self::Delayed,
        Self::Active,
        Self::Unstarted,
        Self::Completed,
        Self::Dead,
        Self::Cancelled,
        Self::Keep,
        Self::Ids,
        Self::DelayedWall,
        Self::CompletedOwn,
    ];

    /// Whether its head ages out, which nobody waits for.
    pub(crate) const fn ages(self) -> bool {
        matches!(self, Self::Completed | Self::Dead | Self::Cancelled | Self::Keep | Self::Ids)
    }
}

/// No timer.
pub(crate) const NEVER: u64 = u64::MAX;

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) name: Box<str>,
    pub(crate) counts: QueueCounts,
    pub(crate) lanes: BTreeMap<Reverse<i16>, Lane>,
    pub(crate) trees: [BTreeSet<(u64, u64)>; TREES],
    /// The heads as the machine's timer index knows them.
    pub(crate) heads: [u64; TREES],
    /// The next place at the back, and at the front.
    pub(crate) back: i64,
    pub(crate) front: i64,
    pub(crate) remembered: RememberedIds,
    /// What was set, and by whom (the actor, by field).
    pub(crate) settings: QueueSettings,
    pub(crate) set_by: BTreeMap<String, String>,
    /// What the server's file said when it was last applied.
    pub(crate) config: QueueSettings,
    /// Of all three.
    pub(crate) settings_digest: u64,
    pub(crate) paused: Option<Box<str>>,
}

/// The waiting jobs of one priority: a linked list through the rows, and beside it the few that came back to an old
/// place, by rank, so that a thousand releases cost no walk along the list.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    head: u64,
    tail: u64,
    pub(crate) returned: BTreeMap<i64, u64>,
}

impl Lane {
    /// Joins at the end that `rank` belongs to: behind the last or before the first of the list.
    pub(crate) fn push(&mut self, rows: &mut Rows, number: u64, rank: i64) {
        let expect = "a listed job has a row";
        if self.head == 0 {
            (self.head, self.tail) = (number, number);
            return;
        }
        if rank > rows.get(self.tail).expect(expect).rank {
            rows.get_mut(self.tail).expect(expect).next = number;
            rows.get_mut(number).expect(expect).prev = self.tail;
            self.tail = number;
        } else {
            assert!(rank < rows.get(self.head).expect(expect).rank, "a new place is at one of the ends");
            rows.get_mut(self.head).expect(expect).prev = number;
            rows.get_mut(number).expect(expect).next = self.head;
            self.head = number;
        }
    }

    /// Leaves the lane, wherever it is in it.
    pub(crate) fn remove(&mut self, rows: &mut Rows, number: u64) {
        let expect = "a listed job has a row";
        let row = rows.get_mut(number).expect(expect);
        if row.has(RETURNED) {
            row.flags &= !RETURNED;
            self.returned.remove(&row.rank);
            return;
        }
        let (prev, next) = (std::mem::take(&mut row.prev), std::mem::take(&mut row.next));
        match prev {
            0 => self.head = next,
            prev => rows.get_mut(prev).expect(expect).next = next,
        }
        match next {
            0 => self.tail = prev,
            next => rows.get_mut(next).expect(expect).prev = prev,
        }
    }

    /// The job that is served first.
    pub(crate) fn first(&self, rows: &Rows) -> Option<u64> {
        let listed = (self.head != 0).then_some(self.head);
        match (self.returned.first_key_value(), listed) {
            (Some((&rank, &number)), Some(head)) => {
                let earlier = rank < rows.get(head).expect("a listed job has a row").rank;
                Some(if earlier { number } else { head })
            }
            (Some((_, &number)), None) => Some(number),
            (None, listed) => listed,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head == 0 && self.returned.is_empty()
    }

    /// The listed job at `rank` or the first after it. The walk there begins at `hint`, where that still stands in the list
    /// and not after it, and passes at most `steps` jobs: if that is not enough, the job that was reached is the error.
    pub(crate) fn listed_from(
        &self,
        rows: &Rows,
        rank: i64,
        hint: u64,
        steps: &mut usize,
        in_lane: impl Fn(u64) -> bool,
    ) -> Result<u64, u64> {
        let stands = in_lane(hint) && rows.get(hint).is_some_and(|row| row.rank <= rank && !row.has(RETURNED));
        let mut at = if stands { hint } else { self.head };
        while let Some(row) = rows.get(at).filter(|row| row.rank < rank) {
            *steps = steps.checked_sub(1).ok_or(at)?;
            at = row.next;
        }
        Ok(at)
    }

    /// Up to `limit` jobs in serving order from `rank` on, those of the list from `listed` on.
    pub(crate) fn page(&self, rows: &Rows, rank: i64, mut listed: u64, limit: usize) -> Vec<(i64, u64)> {
        let mut returned = self.returned.range(rank..).map(|(&rank, &number)| (rank, number)).peekable();
        let mut page = Vec::new();
        while page.len() < limit {
            let row = rows.get(listed);
            match (returned.peek().copied(), row) {
                (Some(back), row) if row.is_none_or(|row| back.0 < row.rank) => {
                    page.push(back);
                    returned.next();
                }
                (_, Some(row)) => {
                    page.push((row.rank, listed));
                    listed = row.next;
                }
                (_, None) => break,
            }
        }
        page
    }
}

impl Queue {
    pub(crate) fn new(name: &str) -> Self {
        let mut queue = Self { name: name.into(), back: 1, front: -1, heads: [NEVER; TREES], ..Self::default() };
        queue.set(QueueSettings::default(), QueueSettings::default());
        queue
    }

    /// Takes settings, and the file's; `set_by` says by whom, and is up to date.
    pub(crate) fn set(&mut self, settings: QueueSettings, config: QueueSettings) {
        let text = |value: &_| serde_json::to_string(value).expect("settings are plain data");
        let mut digest = Mix(0);
        digest.add_bytes(text(&settings).as_bytes()).add_bytes(text(&config).as_bytes());
        for (field, actor) in &self.set_by {
            digest.add_bytes(field.as_bytes()).add_bytes(actor.as_bytes());
        }
        (self.settings, self.config, self.settings_digest) = (settings, config, digest.0);
    }

    pub(crate) fn tree(&self, tree: Tree) -> &BTreeSet<(u64, u64)> {
        &self.trees[tree as usize]
    }

    pub(crate) fn tree_mut(&mut self, tree: Tree) -> &mut BTreeSet<(u64, u64)> {
        &mut self.trees[tree as usize]
    }

    /// The job that is served next.
    pub(crate) fn first_waiting(&self, rows: &Rows) -> Option<u64> {
        self.lanes.values().next()?.first(rows)
    }

    /// A setting as it holds: the queue's, or the server's default.
    pub(crate) fn effective<T: Copy>(
        &self,
        field: impl Fn(&QueueSettings) -> Option<T>,
        defaults: &QueueSettings,
    ) -> T {
        field(&self.settings).or_else(|| field(defaults)).expect("the defaults set every field")
    }

    /// When the head of `tree` has to be looked at: steady, or wall for [`Tree::DelayedWall`].
    pub(crate) fn head(&self, tree: Tree, defaults: &QueueSettings, removal_from: u64) -> u64 {
        let first = self.tree(tree).first().map(|&(at, _)| at);
        let kept = |count: u64, age: u64| match first {
            Some(_) if self.tree(tree).len() as u64 > count => 0,
            Some(at) if age > 0 => (at + age).max(removal_from),
            _ => NEVER,
        };
        match tree {
            Tree::Completed => {
                kept(self.effective(|s| s.keep_completed, defaults), self.effective(|s| s.keep_completed_ms, defaults))
            }
            Tree::Cancelled => {
                kept(self.effective(|s| s.keep_cancelled, defaults), self.effective(|s| s.keep_cancelled_ms, defaults))
            }
            Tree::Dead => kept(NEVER, self.effective(|s| s.keep_dead_ms, defaults)),
            Tree::Keep => first.map_or(NEVER, |at| at.max(removal_from)),
            Tree::Ids if self.remembered.len() > Limits::REMEMBERED_IDS => 0,
            Tree::Ids => self.remembered.iter().next().map_or(NEVER, |front| front.until),
            Tree::CompletedOwn => NEVER,
            _ => first.unwrap_or(NEVER),
        }
    }
}
