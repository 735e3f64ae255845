//! The waiting jobs of one priority, in serving order: by rank.
//!
//! A linked list through the rows, and beside it the few that do not come in the order in which they wait: those that came
//! back to an old place, and those whose priority was changed. These stand in trees, so that a thousand releases cost no
//! walk along the list. Invariant: who joins the list has waited less than all who are in it, at whichever end. So along
//! the list the time of waiting rises to one place and falls from there, and the oldest is known without a walk.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{ASIDE, Row, Rows};

const LISTED: &str = "a listed job has a row";

/// The waiting jobs of one priority.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    head: u64,
    tail: u64,
    /// The job of the list that has waited longest.
    oldest: u64,
    /// Jobs beside the list, by rank.
    aside: BTreeMap<i64, u64>,
    /// The same, by since when they wait.
    aside_since: BTreeSet<(u64, u64)>,
}

impl Lane {
    /// Joins the lane: beside the list if its flags say so, else at the end of the list that its rank belongs to, as the one
    /// that waits there since last.
    pub(crate) fn push(&mut self, rows: &mut Rows, number: u64) {
        let row = rows.get(number).expect(LISTED);
        let (rank, at) = (row.rank, row.at);
        if row.has(ASIDE) {
            self.aside.insert(rank, number);
            self.aside_since.insert((at, number));
            return;
        }
        if self.head == 0 {
            (self.head, self.tail, self.oldest) = (number, number, number);
            return;
        }
        if rank > rows.get(self.tail).expect(LISTED).rank {
            rows.get_mut(self.tail).expect(LISTED).next = number;
            rows.get_mut(number).expect(LISTED).prev = self.tail;
            self.tail = number;
        } else {
            assert!(rank < rows.get(self.head).expect(LISTED).rank, "a new place is at one of the ends");
            rows.get_mut(self.head).expect(LISTED).prev = number;
            rows.get_mut(number).expect(LISTED).next = self.head;
            self.head = number;
        }
    }

    /// Leaves the lane, wherever it is in it.
    pub(crate) fn remove(&mut self, rows: &mut Rows, number: u64) {
        let row = rows.get_mut(number).expect(LISTED);
        if row.has(ASIDE) {
            row.flags &= !ASIDE;
            self.aside.remove(&row.rank);
            self.aside_since.remove(&(row.at, number));
            return;
        }
        let (prev, next) = (std::mem::take(&mut row.prev), std::mem::take(&mut row.next));
        match prev {
            0 => self.head = next,
            prev => rows.get_mut(prev).expect(LISTED).next = next,
        }
        match next {
            0 => self.tail = prev,
            next => rows.get_mut(next).expect(LISTED).prev = prev,
        }
        if self.oldest == number {
            // From the oldest on jobs are newer in both directions.
            let since = |number| rows.get(number).map_or(u64::MAX, |row| row.at);
            self.oldest = if since(prev) < since(next) { prev } else { next };
        }
    }

    /// Since when its job waits that has waited longest.
    pub(crate) fn waiting_since(&self, rows: &Rows) -> Option<u64> {
        let listed = rows.get(self.oldest).map(|row| row.at);
        let aside = self.aside_since.first().map(|&(at, _)| at);
        listed.into_iter().chain(aside).min()
    }

    /// How many of its jobs stand beside the list.
    pub(crate) fn aside(&self) -> usize {
        self.aside.len()
    }

    /// Whether this job stands beside the list, both ways.
    pub(crate) fn has_aside(&self, number: u64, row: &Row) -> bool {
        self.aside.get(&row.rank) == Some(&number) && self.aside_since.contains(&(row.at, number))
    }

    /// The job that is served first.
    pub(crate) fn first(&self, rows: &Rows) -> Option<u64> {
        let listed = (self.head != 0).then_some(self.head);
        match (self.aside.first_key_value(), listed) {
            (Some((&rank, &number)), Some(head)) => {
                let earlier = rank < rows.get(head).expect("a listed job has a row").rank;
                Some(if earlier { number } else { head })
            }
            (Some((_, &number)), None) => Some(number),
            (None, listed) => listed,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head == 0 && self.aside.is_empty()
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
        let stands = in_lane(hint) && rows.get(hint).is_some_and(|row| row.rank <= rank && !row.has(ASIDE));
        let mut at = if stands { hint } else { self.head };
        while let Some(row) = rows.get(at).filter(|row| row.rank < rank) {
            *steps = steps.checked_sub(1).ok_or(at)?;
            at = row.next;
        }
        Ok(at)
    }

    /// Up to `limit` jobs in serving order from `rank` on, those of the list from `listed` on.
    pub(crate) fn page(&self, rows: &Rows, rank: i64, mut listed: u64, limit: usize) -> Vec<(i64, u64)> {
        let mut aside = self.aside.range(rank..).map(|(&rank, &number)| (rank, number)).peekable();
        let mut page = Vec::new();
        while page.len() < limit {
            let row = rows.get(listed);
            match (aside.peek().copied(), row) {
                (Some(back), row) if row.is_none_or(|row| back.0 < row.rank) => {
                    page.push(back);
                    aside.next();
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
