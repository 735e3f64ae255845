//! Candidate homes for job rows: fixed pages found by number, one growing `Vec`, one hash map.
//!
//! All three hold the same row and are filled in the order of job numbers, as a broker fills them.

use hashbrown::HashMap;

use super::blobs::Blob;

/// Rows in a page: as many as a `u64` has bits, so that one word says which of them are taken.
const PAGE_ROWS: u64 = 64;
/// Pages in a block of the directory; a block then stands for 65,536 jobs.
const BLOCK_PAGES: u64 = 1024;

/// What the machine keeps of a waiting job; rare fields live behind `extras`.
#[derive(Clone, Debug, Default)]
#[expect(dead_code, reason = "most fields are here for their room alone")]
pub(crate) struct Row {
    pub(crate) payload: Blob,
    pub(crate) name: u32,
    pub(crate) queue: u32,
    pub(crate) policy: u32,
    pub(crate) attempts: u16,
    pub(crate) leases: u16,
    pub(crate) priority: i16,
    pub(crate) state: u8,
    pub(crate) cause: u8,
    pub(crate) flags: u8,
    pub(crate) previous: u64,
    pub(crate) next: u64,
    pub(crate) due_ms: u64,
    pub(crate) rank: i64,
    pub(crate) enqueued_ms: u64,
    pub(crate) token: u64,
    pub(crate) extras: Option<Box<Extras>>,
}

/// Fields that few jobs have.
#[derive(Clone, Debug, Default)]
#[expect(dead_code, reason = "most fields are here for their room alone")]
pub(crate) struct Extras {
    pub(crate) headers: Blob,
    pub(crate) result: Blob,
}

/// A home for rows, addressed by job number.
pub(crate) trait Rows: Default {
    /// Puts `row` in as job `number`; numbers ascend.
    fn insert(&mut self, number: u64, row: Row);
    /// The row of job `number`.
    fn row_mut(&mut self, number: u64) -> Option<&mut Row>;
    /// Takes job `number` out.
    fn remove(&mut self, number: u64) -> Option<Row>;
}

#[derive(Debug)]
struct Page {
    taken: u64,
    rows: [Row; PAGE_ROWS as usize],
}

impl Default for Page {
    fn default() -> Self {
        Self { taken: 0, rows: std::array::from_fn(|_| Row::default()) }
    }
}

type Block = Box<[Option<Box<Page>>]>;

/// Number → block → page → row. Nothing but the short top directory ever grows by copying: 15 entries per million jobs.
#[derive(Debug, Default)]
pub(crate) struct PagedRows {
    blocks: Vec<Option<Block>>,
}

fn address(number: u64) -> (usize, usize, usize) {
    let page = number / PAGE_ROWS;
    ((page / BLOCK_PAGES) as usize, (page % BLOCK_PAGES) as usize, (number % PAGE_ROWS) as usize)
}

impl PagedRows {
    fn page(&mut self, block: usize, page: usize) -> Option<&mut Page> {
        self.blocks.get_mut(block)?.as_mut()?[page].as_deref_mut()
    }
}

impl Rows for PagedRows {
    fn insert(&mut self, number: u64, row: Row) {
        let (block, page, slot) = address(number);
        if block >= self.blocks.len() {
            self.blocks.resize_with(block + 1, || None);
        }
        let pages = self.blocks[block].get_or_insert_with(|| (0..BLOCK_PAGES).map(|_| None).collect());
        let page = pages[page].get_or_insert_default();
        page.taken |= 1 << slot;
        page.rows[slot] = row;
    }

    fn row_mut(&mut self, number: u64) -> Option<&mut Row> {
        let (block, page, slot) = address(number);
        let page = self.page(block, page)?;
        (page.taken & 1 << slot != 0).then(|| &mut page.rows[slot])
    }

    fn remove(&mut self, number: u64) -> Option<Row> {
        let (block_at, page_at, slot) = address(number);
        let row = std::mem::take(self.row_mut(number)?);
        let page = self.page(block_at, page_at).expect("a page holds the row just taken");
        page.taken &= !(1 << slot);
        if page.taken == 0 {
            let block = self.blocks[block_at].as_mut().expect("a block holds the page just emptied");
            block[page_at] = None;
        }
        Some(row)
    }
}

/// Rows side by side in one vector that doubles by copying.
#[derive(Debug, Default)]
pub(crate) struct VecRows {
    rows: Vec<Option<Row>>,
}

impl Rows for VecRows {
    fn insert(&mut self, number: u64, row: Row) {
        let index = number as usize;
        if index >= self.rows.len() {
            self.rows.resize_with(index + 1, || None);
        }
        self.rows[index] = Some(row);
    }

    fn row_mut(&mut self, number: u64) -> Option<&mut Row> {
        self.rows.get_mut(number as usize)?.as_mut()
    }

    fn remove(&mut self, number: u64) -> Option<Row> {
        self.rows.get_mut(number as usize)?.take()
    }
}

/// Rows in one hash map, which doubles by moving every entry.
#[derive(Debug, Default)]
pub(crate) struct MapRows {
    rows: HashMap<u64, Row>,
}

impl Rows for MapRows {
    fn insert(&mut self, number: u64, row: Row) {
        self.rows.insert(number, row);
    }

    fn row_mut(&mut self, number: u64) -> Option<&mut Row> {
        self.rows.get_mut(&number)
    }

    fn remove(&mut self, number: u64) -> Option<Row> {
        self.rows.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut rows: impl Rows) {
        for number in 1..=1000 {
            rows.insert(number, Row { token: number, ..Row::default() });
        }
        for number in (1..=1000).filter(|number| number % 3 != 0) {
            assert_eq!(rows.remove(number).map(|row| row.token), Some(number));
        }
        for number in 1..=1000 {
            let expected = (number % 3 == 0).then_some(number);
            assert_eq!(rows.row_mut(number).map(|row| row.token), expected);
        }
        assert!(rows.remove(1).is_none());
    }

    #[test]
    fn every_home_finds_what_was_put_in_and_only_that() {
        check(PagedRows::default());
        check(VecRows::default());
        check(MapRows::default());
    }
}
