//! Job rows found by number, dense however few are left.
//!
//! Numbers only ascend, so a row's place is computed: number → chunk → block → page → row, 64 of each in the one above;
//! chunks, of 262,144 numbers each, are in a tree. At each step a bit says whether it is there, and the bits below it
//! say where: nothing is kept for what is gone, and room is given back below half. Nothing grows by copying more than 64
//! of a kind. The bench's spike measured pages beside a hash map and a growing vector.

use std::collections::BTreeMap;

use super::digest::Mix;
use super::event::Blob;
use super::memory::allocated;
use super::more::{More, Runs};
use crate::model::JobState;

/// One job. 88 bytes; what most waiting jobs lack is in [`More`].
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) payload: Blob,
    pub(crate) name: u32,
    pub(crate) queue: u32,
    pub(crate) policy: u32,
    /// Neighbours in the lane while it waits; 0 for none.
    pub(crate) next: u64,
    pub(crate) prev: u64,
    /// Since when it waits, due (delayed), lease expiry (active), finish (done): steady ms, or wall ms where `WALL` is
    /// set.
    pub(crate) at: u64,
    /// Its place within its priority; kept under a lease, for it may come back.
    pub(crate) rank: i64,
    pub(crate) enqueued_at: u64,
    pub(crate) more: Option<Box<More>>,
    pub(crate) attempt: u16,
    pub(crate) stalls: u16,
    pub(crate) priority: i16,
    pub(crate) state: JobState,
    /// The number of its `DelayCause` or `DeadReason`, as its state says.
    pub(crate) detail: u8,
    pub(crate) flags: u8,
}

/// `at` is a wall time.
pub(crate) const WALL: u8 = 1;
/// Its last lease expired and nobody leased it since: its holder may still settle.
pub(crate) const EXPIRED: u8 = 2;
/// It waits at the place that it had before its lease, beside the lane's list.
pub(crate) const RETURNED: u8 = 4;
/// It waits at a place younger than itself, beside the lane's list: its priority was changed. Follows from how long it waits
/// and where, so that it is in no digest.
pub(crate) const MOVED: u8 = 8;
/// It waits beside the lane's list.
pub(crate) const ASIDE: u8 = RETURNED | MOVED;

impl Row {
    /// Whether it has the flag, or any of several.
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What its leases left, if it ever had one.
    pub(crate) fn runs(&self) -> Option<&Runs> {
        self.more.as_ref()?.runs.as_deref()
    }

    /// What its leases left, made where it is not there yet.
    pub(crate) fn runs_mut(&mut self) -> &mut Runs {
        self.more.get_or_insert_default().runs.get_or_insert_default()
    }

    /// A digest of everything but the neighbours, which change when others come and go and follow from the ranks.
    pub(crate) fn digest(&self, number: u64) -> u64 {
        let mut hash = Mix(number);
        hash.add(self.payload.position).add(u64::from(self.payload.length) << 32 | u64::from(self.queue));
        hash.add(u64::from(self.name) << 32 | u64::from(self.policy));
        hash.add(self.at).add(self.rank.cast_unsigned()).add(self.enqueued_at);
        let small = [self.attempt, self.stalls, self.priority.cast_unsigned(), u16::from(self.flags & !MOVED)];
        hash.add(small.iter().fold(0, |all, &one| all << 16 | u64::from(one)));
        hash.add((self.state as u64) << 8 | u64::from(self.detail));
        if let Some(more) = &self.more {
            more.digest(&mut hash);
        }
        hash.0
    }

    /// Bytes of what hangs on it.
    pub(crate) fn bytes_beside(&self) -> u64 {
        self.more.as_ref().map_or(0, |more| more.bytes())
    }
}

/// Bits of a number that one step consumes, and what it can tell apart.
const STEP: u32 = 6;
const FAN: u64 = 1 << STEP;

/// Up to 64 values by their place, without room for those that are not there.
#[derive(Debug)]
struct Dense<T> {
    taken: u64,
    values: Vec<T>,
}

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Self { taken: 0, values: Vec::new() }
    }
}

impl<T> Dense<T> {
    /// Whether a value is at `place`, and its index or the one it would have.
    const fn find(&self, place: u64) -> (bool, usize) {
        let bit = 1 << place;
        let before = self.taken & (bit - 1);
        // Mostly nothing before it is missing.
        let index = if before == bit - 1 { place } else { before.count_ones() as u64 };
        (self.taken & bit != 0, index as usize)
    }

    fn get(&self, place: u64) -> Option<&T> {
        let (there, index) = self.find(place);
        if there { self.values.get(index) } else { None }
    }

    fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        let (there, index) = self.find(place);
        if there { self.values.get_mut(index) } else { None }
    }

    /// The value at `place`, made where it is not there; `bytes` follows what is held.
    fn entry(&mut self, place: u64, bytes: &mut u64, make: impl FnOnce() -> T) -> &mut T {
        let (there, index) = self.find(place);
        if !there {
            *bytes -= self.bytes();
            self.taken |= 1 << place;
            self.values.insert(index, make());
            *bytes += self.bytes();
        }
        &mut self.values[index]
    }

    /// Takes the value at `place` out, and gives room back below half.
    fn remove(&mut self, place: u64, bytes: &mut u64) -> Option<T> {
        let (there, index) = self.find(place);
        if !there {
            return None;
        }
        *bytes -= self.bytes();
        self.taken &= !(1 << place);
        let value = self.values.remove(index);
        if self.values.len() <= self.values.capacity() / 2 {
            // Not to the last one, so that values which come and go in turn do not move each time.
            self.values.shrink_to(self.values.len() * 3 / 2);
        }
        *bytes += self.bytes();
        Some(value)
    }

    const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    const fn bytes(&self) -> u64 {
        allocated(self.values.capacity() * size_of::<T>())
    }

    fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        (0..FAN).filter(|place| self.taken & 1 << place != 0).zip(&self.values)
    }

    /// From `place` down.
    fn down_from(&self, place: u64) -> impl Iterator<Item = (u64, &T)> {
        (0..=place).rev().filter_map(|place| Some((place, self.get(place)?)))
    }
}

type Page = Dense<Row>;
type Block = Dense<Page>;
type Chunk = Dense<Block>;

/// All rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    chunks: BTreeMap<u64, Chunk>,
    count: u64,
    bytes: u64,
}

impl Rows {
    /// Which chunk, and the places of block, page and row.
    const fn place(number: u64) -> (u64, u64, u64, u64) {
        let page = number >> STEP;
        let block = page >> STEP;
        (block >> STEP, block % FAN, page % FAN, number % FAN)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Row> {
        let (chunk, block, page, row) = Self::place(number);
        self.chunks.get(&chunk)?.get(block)?.get(page)?.get(row)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Row> {
        let (chunk, block, page, row) = Self::place(number);
        self.chunks.get_mut(&chunk)?.get_mut(block)?.get_mut(page)?.get_mut(row)
    }

    pub(crate) fn insert(&mut self, number: u64, row: Row) {
        let (chunk, block, page, place) = Self::place(number);
        let bytes = &mut self.bytes;
        let block = self.chunks.entry(chunk).or_default().entry(block, bytes, Block::default);
        let page = block.entry(page, bytes, Page::default);
        assert!(page.get(place).is_none(), "a job's number is used once");
        page.entry(place, bytes, || row);
        self.count += 1;
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Row> {
        let (chunk_at, block_at, page_at, place) = Self::place(number);
        let bytes = &mut self.bytes;
        let chunk = self.chunks.get_mut(&chunk_at)?;
        let block = chunk.get_mut(block_at)?;
        let page = block.get_mut(page_at)?;
        let row = page.remove(place, bytes)?;
        if page.is_empty() {
            block.remove(page_at, bytes);
        }
        if block.is_empty() {
            chunk.remove(block_at, bytes);
        }
        if chunk.is_empty() {
            self.chunks.remove(&chunk_at);
        }
        self.count -= 1;
        Some(row)
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of the rows and of what finds them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes + allocated(self.chunks.len() * size_of::<(u64, Chunk)>() * 2)
    }

    /// Every number in use, ascending.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.iter().map(|(number, _)| number)
    }

    /// Every row with its number, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Row)> {
        let chunks = self.chunks.iter();
        let blocks =
            chunks.flat_map(|(&chunk, blocks)| blocks.iter().map(move |(at, block)| (chunk * FAN + at, block)));
        let pages = blocks.flat_map(|(block, pages)| pages.iter().map(move |(at, page)| (block * FAN + at, page)));
        pages.flat_map(|(page, rows)| rows.iter().map(move |(at, row)| (page * FAN + at, row)))
    }

    /// Every row from `number` down, with its number.
    pub(crate) fn down_from(&self, number: u64) -> impl Iterator<Item = (u64, &Row)> {
        // The bound is felt only along the way to `number` itself.
        let top = move |parent: u64, steps: u32| {
            let bound = number >> (STEP * steps);
            if parent == bound >> STEP { bound % FAN } else { FAN - 1 }
        };
        let chunks = self.chunks.range(..=number >> (STEP * 3)).rev();
        let blocks = chunks.flat_map(move |(&chunk, blocks)| {
            blocks.down_from(top(chunk, 2)).map(move |(at, block)| (chunk * FAN + at, block))
        });
        let pages = blocks.flat_map(move |(block, pages)| {
            pages.down_from(top(block, 1)).map(move |(at, page)| (block * FAN + at, page))
        });
        pages.flat_map(move |(page, rows)| rows.down_from(top(page, 0)).map(move |(at, row)| (page * FAN + at, row)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::event::Blob;
    use super::{Row, Rows};
    use crate::machine::Chance;
    use crate::model::JobState;

    fn row(rank: i64) -> Row {
        Row {
            payload: Blob::default(),
            name: 0,
            queue: 0,
            policy: 0,
            next: 0,
            prev: 0,
            at: 0,
            rank,
            enqueued_at: 0,
            more: None,
            attempt: 0,
            stalls: 0,
            priority: 0,
            state: JobState::Waiting,
            detail: 0,
            flags: 0,
        }
    }

    #[test]
    fn a_row_stays_small() {
        assert!(size_of::<Row>() <= 88, "{} bytes", size_of::<Row>());
    }

    #[test]
    fn rows_are_found_by_number_in_whatever_order_they_go() {
        let (mut rows, mut expected, mut chance) = (Rows::default(), BTreeMap::new(), Chance::new(7));
        let mut last = 0;
        for _ in 0..20_000 {
            last += if chance.next_u64().is_multiple_of(500) { 100_000 } else { 1 };
            rows.insert(last, row(last as i64 * 3));
            expected.insert(last, last as i64 * 3);
            if chance.next_u64().is_multiple_of(3) {
                let after = chance.next_u64() % last;
                let Some((&gone, &rank)) = expected.range(after..).next() else { continue };
                expected.remove(&gone);
                assert_eq!(rows.remove(gone).map(|row| row.rank), Some(rank));
                assert!(rows.get(gone).is_none() && rows.remove(gone).is_none());
            }
        }
        assert!(rows.numbers().eq(expected.keys().copied()));
        for _ in 0..100 {
            let from = chance.next_u64() % (last * 2);
            let below = expected.range(..=from).rev().take(200).map(|(&number, &rank)| (number, rank));
            assert!(
                rows.down_from(from).take(200).map(|(number, row)| (number, row.rank)).eq(below),
                "from {from} down"
            );
        }
        assert!(rows.down_from(u64::MAX).map(|(number, _)| number).eq(expected.keys().rev().copied()));
        for (&number, &rank) in &expected {
            assert_eq!(rows.get(number).map(|row| row.rank), Some(rank));
            assert_eq!(rows.get_mut(number).map(|row| row.rank), Some(rank));
        }
        for number in expected.into_keys() {
            rows.remove(number).expect("it is there");
        }
        assert_eq!((rows.count(), rows.bytes), (0, 0), "what is empty holds nothing");
    }

    #[test]
    fn a_survivor_costs_its_own_room_only() {
        let mut rows = Rows::default();
        (1..=100_000).for_each(|number| rows.insert(number, row(0)));
        let full = rows.bytes();
        assert!(full < 100_000 * 92, "{full} bytes");
        (1..=100_000).filter(|number| number % 100 != 0).for_each(|number| drop(rows.remove(number)));
        assert_eq!(rows.count(), 1_000);
        assert!(rows.bytes() < 1_000 * 92 * 2, "{} bytes for 1,000 jobs", rows.bytes());
    }

    #[test]
    fn a_far_number_takes_no_more_than_a_near_one() {
        let (mut near, mut far) = (Rows::default(), Rows::default());
        near.insert(1, row(0));
        far.insert(1 << 60, row(0));
        assert_eq!(near.bytes(), far.bytes());
        assert!(far.numbers().eq([1 << 60]));
        far.remove(1 << 60).expect("it is there");
        assert_eq!(far.bytes(), 0);
    }
}
