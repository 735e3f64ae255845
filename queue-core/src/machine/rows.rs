//! Job rows in fixed pages found by number.
//!
//! Numbers only ascend, so a row's place is computed: number → block → page → row. Nothing grows by copying more than
//! the directory's first level (8 bytes for 65,536 jobs), and an empty page or block gives its memory back.
//! The bench's spike measured this layout beside a hash map and a growing vector; ARCHITECTURE.md has the figures.

use super::event::Blob;
use super::more::More;
use crate::model::JobState;

const PAGE: u64 = 64;
const BLOCK: u64 = 1_024;

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
    /// Due (delayed), lease expiry (active), finish (done): steady ms, or wall ms where `WALL` is set.
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
/// It waits among the lane's returned jobs, not in its list.
pub(crate) const RETURNED: u8 = 4;

impl Row {
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// A digest of everything but the neighbours, which change when others come and go.
    pub(crate) fn digest(&self, number: u64) -> u64 {
        let mut hash = Mix(number);
        hash.add(self.payload.position).add(u64::from(self.payload.length) << 32 | u64::from(self.queue));
        hash.add(u64::from(self.name) << 32 | u64::from(self.policy));
        hash.add(self.at).add(self.rank.cast_unsigned()).add(self.enqueued_at);
        let small = [self.attempt, self.stalls, self.priority.cast_unsigned(), u16::from(self.flags)];
        hash.add(small.iter().fold(0, |all, &one| all << 16 | u64::from(one)));
        hash.add((self.state as u64) << 8 | u64::from(self.detail));
        if let Some(more) = &self.more {
            more.digest(&mut hash);
        }
        hash.0
    }
}

/// A stable mixing function (the finaliser of SplitMix64, Steele et al. 2014): digests are compared across versions.
#[derive(Debug)]
pub(crate) struct Mix(pub(crate) u64);

impl Mix {
    pub(crate) fn add(&mut self, value: u64) -> &mut Self {
        let mut z = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ value;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = z ^ (z >> 31);
        self
    }

    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
        self.add(bytes.len() as u64)
    }
}

type Page = Box<[Option<Row>; PAGE as usize]>;

#[derive(Debug)]
struct Block {
    pages: Vec<Option<(Page, u32)>>,
    rows: u32,
}

/// All rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    blocks: Vec<Option<Box<Block>>>,
    count: u64,
}

impl Rows {
    fn place(number: u64) -> (usize, usize, usize) {
        ((number / PAGE / BLOCK) as usize, (number / PAGE % BLOCK) as usize, (number % PAGE) as usize)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Row> {
        let (block, page, row) = Self::place(number);
        let (page, _) = self.blocks.get(block)?.as_ref()?.pages[page].as_ref()?;
        page[row].as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Row> {
        let (block, page, row) = Self::place(number);
        let (page, _) = self.blocks.get_mut(block)?.as_mut()?.pages[page].as_mut()?;
        page[row].as_mut()
    }

    pub(crate) fn insert(&mut self, number: u64, row: Row) {
        let (block, page, slot) = Self::place(number);
        if block >= self.blocks.len() {
            self.blocks.resize_with(block + 1, || None);
        }
        let block = self.blocks[block].get_or_insert_with(|| {
            let mut pages = Vec::new();
            pages.resize_with(BLOCK as usize, || None);
            Box::new(Block { pages, rows: 0 })
        });
        let (rows, used) = block.pages[page].get_or_insert_with(|| (Box::new([const { None }; PAGE as usize]), 0));
        assert!(rows[slot].is_none(), "a job's number is used once");
        rows[slot] = Some(row);
        *used += 1;
        block.rows += 1;
        self.count += 1;
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Row> {
        let (block_at, page_at, slot) = Self::place(number);
        let block = self.blocks.get_mut(block_at)?.as_mut()?;
        let (rows, used) = block.pages[page_at].as_mut()?;
        let row = rows[slot].take()?;
        *used -= 1;
        if *used == 0 {
            block.pages[page_at] = None;
        }
        block.rows -= 1;
        if block.rows == 0 {
            self.blocks[block_at] = None;
        }
        self.count -= 1;
        Some(row)
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Every number in use, ascending.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocks.iter().enumerate().filter_map(|(at, block)| Some((at as u64, block.as_ref()?))).flat_map(
            |(block_at, block)| {
                let pages = block.pages.iter().enumerate().filter_map(|(at, page)| Some((at as u64, page.as_ref()?)));
                pages.flat_map(move |(page_at, (page, _))| {
                    let first = (block_at * BLOCK + page_at) * PAGE;
                    page.iter().zip(first..).filter(|(row, _)| row.is_some()).map(|(_, number)| number)
                })
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn a_row_stays_small() {
        assert!(size_of::<Row>() <= 88, "{} bytes", size_of::<Row>());
        assert!(size_of::<Option<Row>>() <= 88, "{} bytes", size_of::<Option<Row>>());
    }
}
