//! A queue's state: its lanes of waiting jobs, its timers and orders, its counts and settings.
//!
//! Invariant: each (queue, state) keeps its jobs in one order: waiting by (priority, rank), delayed by due time, active
//! by lease expiry, done by finish. Instants are steady milliseconds but in the tree of wall-clock times.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::digest::Mix;
use super::lane::Lane;
use super::rows::Rows;
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

    /// Since when the job waits that has waited longest. Takes time by the priorities in use, however many jobs wait.
    pub(crate) fn waiting_since(&self, rows: &Rows) -> Option<u64> {
        self.lanes.values().filter_map(|lane| lane.waiting_since(rows)).min()
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
