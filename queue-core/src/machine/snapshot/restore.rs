//! A machine from its parts.
//!
//! Nothing in a part is believed: what is cut off, unknown, out of range or does not fit what came before is refused by
//! name, and no room is made for what a number merely announces. Invariant: a machine that comes out keeps every
//! invariant of the state, whatever went in.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::queue::Tree;
use super::super::record::bytes::Reader;
use super::super::record::is_skippable;
use super::super::rows::{ASIDE, MOVED, Row};
use super::super::tables::Known;
use super::super::{LeaseToken, Machine, Wrong};
use super::check::check_places;
use super::{field, kind, once, operation, queue, row, stats, tables, whole};
use crate::model::{DelayCause, JobState, Now};

/// What is ordered by the first of each pair: a number by its time, or by its rank.
type Keys<T> = Vec<(T, u64)>;

/// A machine being restored: parts go in in the order that [`Machine::save`] gives them in.
#[derive(Debug, Default)]
pub struct Restore {
    machine: Machine,
    begun: bool,
    /// The last row's number.
    last: u64,
    /// What will be in the trees, by queue and tree.
    orders: BTreeMap<(u32, Tree), Keys<u64>>,
    /// What waits, by queue and priority.
    lanes: BTreeMap<(u32, Reverse<i16>), Keys<i64>>,
}

impl Restore {
    /// Nothing restored yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next part.
    ///
    /// # Errors
    ///
    /// What is wrong with it: nothing more can be made of these parts. An unknown kind is refused unless it says that it
    /// may be skipped.
    pub fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), Wrong> {
        self.take(kind, body).map_err(|wrong| wrong.within(format_args!("part of kind {kind}")))
    }

    /// The clocks of the state, once its first part was taken: its last instant, and the wall clock then. Milliseconds.
    pub fn clocks(&self) -> Option<Now> {
        self.begun.then(|| Now { steady: self.machine.steady(), wall: self.machine.wall() })
    }

    /// The machine, once every part was taken.
    ///
    /// # Errors
    ///
    /// Parts are missing, or do not go together.
    pub fn finish(mut self) -> Result<Machine, Wrong> {
        if !self.begun {
            return Err("a snapshot without the part that it begins with".into());
        }
        self.fill_lanes()?;
        self.fill_orders();
        self.machine.check_books()?;
        self.machine.stats.bytes = self.machine.stats.recount();
        Ok(self.machine)
    }

    fn take(&mut self, kind: u16, body: &[u8]) -> Result<(), Wrong> {
        if self.begun == (kind == kind::STORE) {
            return Err("a snapshot has one part that it begins with".into());
        }
        match kind {
            kind::STORE => self.store(body),
            kind::NAMES => tables::load(&mut self.machine.names, body),
            kind::WORKERS => tables::load(&mut self.machine.workers, body),
            kind::POLICIES => tables::load(&mut self.machine.policies, body),
            kind::QUEUE => self.queue(body),
            kind::REMEMBERED => self.remembered(body),
            kind::SETTLED => self.settled(body),
            kind::OPERATION => self.operation(body),
            kind::ROW => self.row(body),
            kind::SERIES => stats::read_series(&mut self.machine, body),
            kind::CANDIDATES => stats::read_candidates(&mut self.machine, body),
            kind::FAILURE => stats::read_failure(&mut self.machine, body),
            _ if is_skippable(kind) => Ok(()),
            _ => Err(Wrong::unknown("")),
        }
    }

    fn store(&mut self, body: &[u8]) -> Result<(), Wrong> {
        let machine = &mut self.machine;
        let (mut r, mut key) = (Reader(body), None);
        (machine.steady, machine.offset, machine.removal_from) = (r.u64()?, r.i64()?, r.u64()?);
        (machine.last_number, machine.last_token, machine.last_operation) = (r.u64()?, LeaseToken(r.u64()?), r.u64()?);
        r.fields(|at, value| match at {
            field::KEY => once(&mut key, whole(value, |r| Ok([r.u64()?, r.u64()?]))?),
            _ => Ok(false),
        })?;
        machine.check_clocks()?;
        machine.key_set = key.is_some();
        key.into_iter().for_each(|key| machine.ids.set_key(key));
        self.begun = true;
        Ok(())
    }

    fn queue(&mut self, body: &[u8]) -> Result<(), Wrong> {
        let (number, queue) = queue::read(body)?;
        check_places(&queue)?;
        let machine = &mut self.machine;
        if number as usize != machine.queues.len() {
            return Err(format!("queue {number} comes where {} is next", machine.queues.len()).into());
        }
        if machine.queue_names.insert(queue.name.clone(), number).is_some() {
            return Err(format!("two queues are named {}", queue.name).into());
        }
        machine.queues.push(queue);
        Ok(())
    }

    fn remembered(&mut self, body: &[u8]) -> Result<(), Wrong> {
        let mut r = Reader(body);
        let number = r.u32()?;
        let machine = &mut self.machine;
        let queue = machine.queues.get_mut(number as usize).ok_or_else(|| no_queue(number))?;
        while !r.0.is_empty() {
            let id = queue::read_remembered(&mut r)?;
            // The newest job of an id is the one that counts, a living one most of all.
            if machine.ids.get(id.digest).is_none_or(|known| known.gone_until != 0) {
                machine.ids.set(id.digest, Known { number: id.number, gone_until: id.until });
            }
            queue.remembered.push(id);
            machine.remembered += 1;
        }
        Ok(())
    }

    fn settled(&mut self, body: &[u8]) -> Result<(), Wrong> {
        let (number, last, bits) = whole(body, tables::read_settled)?;
        self.machine
            .settled
            .load(number, last, bits)
            .ok_or_else(|| format!("page {number} of tokens stands twice, or cannot be").into())
    }

    fn operation(&mut self, body: &[u8]) -> Result<(), Wrong> {
        let (number, operation) = operation::read(body)?;
        if number > self.machine.last_operation {
            return Err(format!("operation {number} is numbered beyond the last").into());
        }
        self.machine.running.extend(operation.is_running().then_some(number));
        match self.machine.operations.insert(number, operation) {
            None => Ok(()),
            Some(_) => Err(format!("operation {number} stands twice").into()),
        }
    }

    fn row(&mut self, body: &[u8]) -> Result<(), Wrong> {
        let (number, row) = row::read(body)?;
        let fault = |wrong: Wrong| wrong.within(format_args!("job #{number}"));
        if number <= self.last {
            return Err(fault(format!("comes after #{}", self.last).into()));
        }
        self.machine.check_row(number, &row).map_err(|what| fault(what.into()))?;
        self.last = number;
        self.count_uses(number, &row).map_err(fault)?;
        self.note_order(number, &row);
        self.machine.rows.insert(number, row);
        self.machine.count_in(number);
        Ok(())
    }

    /// What the row uses of others, and counts for.
    fn count_uses(&mut self, number: u64, row: &Row) -> Result<(), Wrong> {
        let machine = &mut self.machine;
        machine.names.retain(row.name);
        machine.policies.retain(row.policy);
        for lease in row.runs().iter().flat_map(|runs| &runs.timeline) {
            machine.workers.retain(lease.worker);
        }
        let counts = &mut machine.queues[row.queue as usize].counts;
        *counts.of_mut(row.state) += 1;
        counts.retrying += u64::from(row.state == JobState::Delayed && row.detail == DelayCause::Retry as u8);
        let Some(id) = row.more.as_ref().and_then(|more| more.id.as_ref()) else { return Ok(()) };
        let digest = machine.ids.digest(row.queue, id);
        if let Some(known) = machine.ids.get(digest).filter(|known| known.gone_until == 0) {
            return Err(format!("#{} has its id", known.number).into());
        }
        machine.ids.set(digest, Known { number, gone_until: 0 });
        Ok(())
    }

    /// Where the row will stand once all are there.
    fn note_order(&mut self, number: u64, row: &Row) {
        let mut note = |tree, at| self.orders.entry((row.queue, tree)).or_default().push((at, number));
        match self.machine.tree_of(row) {
            Some(tree) => note(tree, row.at),
            None => {
                let lane = self.lanes.entry((row.queue, Reverse(row.priority))).or_default();
                lane.push((row.rank, number));
            }
        }
        let keep = self.machine.policies.get(row.policy).keep_ms;
        if let (JobState::Completed, Some(keep)) = (row.state, keep) {
            note(Tree::Keep, row.at + keep);
        }
        if let Some(at) = row.more.as_ref().and_then(|more| more.expires_at) {
            note(Tree::Unstarted, at.get());
        }
    }

    fn fill_lanes(&mut self) -> Result<(), Wrong> {
        let machine = &mut self.machine;
        for ((queue, priority), mut places) in std::mem::take(&mut self.lanes) {
            places.sort_unstable();
            if let Some(pair) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(format!("jobs #{} and #{} have one place", pair[0].1, pair[1].1).into());
            }
            let lane = machine.queues[queue as usize].lanes.entry(priority).or_default();
            // From the middle to both ends, as they came.
            places.sort_unstable_by_key(|&(rank, _)| rank.unsigned_abs());
            let mut newest = [0; 2];
            let mut joining: Vec<(u64, u64)> = Vec::with_capacity(places.len());
            for (rank, number) in places {
                let row = machine.rows.get_mut(number).expect("a row that was noted is there");
                let newest = &mut newest[usize::from(rank < 0)];
                if row.has(ASIDE) || row.at < *newest {
                    // A version that did not tell moved ones apart wrote it, if nothing does.
                    row.flags |= if row.has(ASIDE) { 0 } else { MOVED };
                    machine.ordered += 2;
                } else {
                    *newest = row.at;
                }
                joining.push((row.at, number));
            }
            joining.sort_by_key(|&(at, _)| at);
            joining.into_iter().for_each(|(_, number)| lane.push(&mut machine.rows, number));
        }
        Ok(())
    }

    fn fill_orders(&mut self) {
        let machine = &mut self.machine;
        for ((queue, tree), keys) in std::mem::take(&mut self.orders) {
            machine.ordered += keys.len() as u64;
            // Made in one go a tree is as dense as it can be.
            *machine.queues[queue as usize].tree_mut(tree) = keys.into_iter().collect();
        }
        for queue in 0..machine.queues.len() as u32 {
            Tree::ALL.into_iter().for_each(|tree| machine.refresh(queue, tree));
        }
    }
}

pub(super) fn no_queue(number: u32) -> String {
    format!("queue {number} is not there")
}
