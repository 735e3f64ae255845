//! What time alone does: starts, clock jumps, promotions, expiries, retention; in steps, so that no step is long.

use std::collections::BTreeSet;

use super::queue::Tree;
use super::{By, Chance, Event, Machine, Sink};
use crate::model::{JobNumber, Limits, Now};

/// A start or clock jump of more than this holds removal by age ...
const LONG_MS: u64 = 86_400_000;
/// ... for this long.
const HOLD_MS: u64 = 3_600_000;
/// A wall clock that moved by more than this against the steady one is an event.
const JUMP_MS: u64 = 60_000;
/// A restored store's epoch is ahead by at least this, and by what chance says of this many ...
const AHEAD: u32 = 1 << 17;
const AHEAD_BY_CHANCE: u64 = 1 << 20;
/// Most ids forgotten in one event.
const FORGET: usize = 1_000;

/// What of the things that time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// All of them.
    All,
    /// Only what ends something: jobs that die unstarted, retention. Nothing becomes ready that was not, and no lease runs out.
    Ends,
}

impl Lapse {
    pub(super) fn has(self, tree: Tree) -> bool {
        self == Self::All || !matches!(tree, Tree::Delayed | Tree::DelayedWall | Tree::Active)
    }
}

impl Machine {
    /// The instant at which a shell starts: the steady clock goes on from the journal's last value plus the wall time
    /// that passed since, 0 if the wall clock went back. A new store's begins at the wall clock's.
    pub const fn resume_at(&self, wall: u64) -> Now {
        let steady = if self.steady == 0 { wall } else { self.steady + wall.saturating_sub(self.wall()) };
        Now { steady, wall }
    }

    /// The start of a broker: a new epoch, and each live lease at its full length again, so that the broker's own
    /// downtime poisons no job. Called once, before anything else, and synced before anything is served; and again when time
    /// goes on that had to stand still.
    ///
    /// Returns whether removal by age now holds for an hour because more than a day has passed.
    pub fn start(&mut self, now: Now, chance: &mut Chance, sink: &mut impl Sink) -> bool {
        self.start_ahead(now, chance, sink, 0)
    }

    /// As [`Machine::start`], of a store restored from a backup. The one that this was made of may have gone on since, may
    /// have started more often than seconds passed, and other stores may be restored from the same backup: the epoch is
    /// ahead of what any of these has come to, so that no token returns.
    pub fn start_restored(&mut self, now: Now, chance: &mut Chance, sink: &mut impl Sink) -> bool {
        let ahead = AHEAD + (chance.next_u64() % AHEAD_BY_CHANCE) as u32;
        self.start_ahead(now, chance, sink, ahead)
    }

    fn start_ahead(&mut self, now: Now, chance: &mut Chance, sink: &mut impl Sink, ahead: u32) -> bool {
        if !self.key_set {
            self.emit(now, sink, &Event::StoreCreated { key: [chance.next_u64(), chance.next_u64()] });
        }
        let away = now.steady.saturating_sub(self.steady).max(self.wall().abs_diff(now.wall));
        let held = away > LONG_MS;
        let epoch = (self.last_token.epoch() + 1).max((now.wall / 1_000) as u32) + ahead;
        let removal_from = if held { now.steady + HOLD_MS } else { 0 };
        self.emit(now, sink, &Event::Started { epoch, wall: now.wall, removal_from });
        held
    }

    /// Notices a jump of the wall clock by more than a minute. Returns by how much it jumped, in milliseconds.
    pub fn watch_clock(&mut self, now: Now, sink: &mut impl Sink) -> Option<i64> {
        let expected = self.to_wall(now.steady);
        let jump = now.wall.cast_signed().wrapping_sub(expected.cast_signed());
        if jump.unsigned_abs() <= JUMP_MS {
            return None;
        }
        let removal_from = if jump.unsigned_abs() > LONG_MS { now.steady + HOLD_MS } else { 0 };
        self.emit(now, sink, &Event::ClockMoved { wall: now.wall, removal_from });
        Some(jump)
    }

    /// Does what is due as of `now`, at most about `budget` events. Returns whether more is due.
    pub fn elapse(&mut self, now: Now, sink: &mut impl Sink, budget: usize) -> bool {
        self.elapse_of(now, sink, budget, Lapse::All)
    }

    /// As [`Machine::elapse`], for this kind of it alone.
    pub fn elapse_of(&mut self, now: Now, sink: &mut impl Sink, budget: usize, lapse: Lapse) -> bool {
        for _ in 0..budget {
            if !self.elapse_one(now, sink, lapse) {
                break;
            }
        }
        #[cfg(feature = "audit")]
        self.check_invariants();
        let (steady, wall) = self.next_due_of(lapse);
        steady.is_some_and(|due| due <= now.steady) || wall.is_some_and(|due| due <= now.wall)
    }

    /// Writes down what the state is, so that whoever folds the journal later can tell that it came to the same.
    pub fn write_digest(&mut self, now: Now, sink: &mut impl Sink) {
        // Folding it here would only compare the state with itself.
        sink.append(now.steady.max(self.steady), &Event::Digest { state_hash: self.state_hash() });
    }

    /// Does the first thing that is due: jobs that somebody waits for before what ages out.
    fn elapse_one(&mut self, now: Now, sink: &mut impl Sink, lapse: Lapse) -> bool {
        let due = |timers: &BTreeSet<(u64, u8, u32)>| {
            let due = timers.iter().take_while(|&&(due, ..)| due <= now.steady);
            let mut due = due.map(|&(_, tree, queue)| (Tree::ALL[usize::from(tree)], queue));
            due.find(|(tree, _)| lapse.has(*tree))
        };
        let wall_due = || {
            let &(_, queue) = self.wall_timers.first().filter(|&&(due, _)| due <= now.wall)?;
            Some((Tree::DelayedWall, queue)).filter(|(tree, _)| lapse.has(*tree))
        };
        let first = due(&self.timers).or_else(wall_due).or_else(|| due(&self.aging));
        let Some((tree, queue)) = first else { return false };
        self.come_due(now, tree, queue, sink);
        true
    }

    /// The head of one tree of one queue is due.
    fn come_due(&mut self, now: Now, tree: Tree, queue: u32, sink: &mut impl Sink) {
        let entry = &self.queues[queue as usize];
        if tree == Tree::Ids {
            // Those whose time is over, and the oldest of those that are too many.
            let due = entry.remembered.iter().take(FORGET).take_while(|old| old.until <= now.steady).count();
            let many = entry.remembered.len().saturating_sub(Limits::REMEMBERED_IDS).min(FORGET);
            let count = due.max(many) as u32;
            self.emit(now, sink, &Event::IdsForgotten { queue, count });
            return;
        }
        let &(_, job) = entry.tree(tree).first().expect("a timer has a job");
        let number = JobNumber(job);
        match tree {
            Tree::Delayed | Tree::DelayedWall => {
                let rank = entry.back;
                self.emit(now, sink, &Event::CameDue { number, rank });
            }
            Tree::Active => {
                let next = self.after_expiry(number);
                self.emit(now, sink, &Event::LeaseExpired { number, next });
            }
            Tree::Unstarted => self.emit(now, sink, &Event::Expired { number }),
            Tree::Completed | Tree::Dead | Tree::Cancelled | Tree::Keep => {
                let row = self.rows.get(job).expect("a job in an order is there");
                let remember_until = self.remember_until(now, row);
                self.emit(now, sink, &Event::AgedOut { number, remember_until });
            }
            Tree::Ids | Tree::CompletedOwn => unreachable!("no timer of jobs"),
        }
    }
}

/// Who acts when time does.
pub(super) const NOBODY: By<'static> = By { actor: "", reason: "" };
