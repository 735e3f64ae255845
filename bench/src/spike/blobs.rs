//! Candidate homes for payload bytes: pages that hold many blobs in order of position, and one box per blob in a hash map.
//!
//! A handle is a position in the log and a length; the stores find the bytes by position alone.

use std::collections::BTreeMap;

use hashbrown::HashMap;

/// Bytes in a page of blobs; a larger blob gets a page of its own size.
const PAGE_BYTES: usize = 64 * 1024;
/// The top bit of an index entry's offset says that the blob was released.
const DEAD: u32 = 1 << 31;

/// A handle: `length` bytes at `position` of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) position: u64,
    pub(crate) length: u32,
}

/// A home for blobs.
pub(crate) trait Blobs: Default {
    /// Keeps a copy of `bytes`; positions ascend.
    fn insert(&mut self, position: u64, bytes: &[u8]);
    /// The bytes kept for `position`.
    fn bytes(&self, blob: Blob) -> Option<&[u8]>;
    /// Forgets the bytes.
    fn release(&mut self, blob: Blob);
}

/// Where a blob of a page begins: (position relative to the page's first, offset into its bytes), ascending in both.
type Entry = (u32, u32);

#[derive(Debug, Default)]
struct Page {
    index: Vec<Entry>,
    bytes: Vec<u8>,
    live: usize,
}

impl Page {
    fn find(&self, relative: u32) -> Option<usize> {
        let slot = self.index.binary_search_by_key(&relative, |entry| entry.0).ok()?;
        (self.index[slot].1 & DEAD == 0).then_some(slot)
    }

    /// Copies the live blobs together; their lengths follow from the offsets of their neighbours.
    fn compact(&mut self) {
        let mut kept = Self { index: Vec::new(), bytes: Vec::with_capacity(self.live), live: self.live };
        for (slot, &(relative, offset)) in self.index.iter().enumerate() {
            if offset & DEAD == 0 {
                let end = self.index.get(slot + 1).map_or(self.bytes.len(), |next| (next.1 & !DEAD) as usize);
                kept.index.push((relative, kept.bytes.len() as u32));
                kept.bytes.extend_from_slice(&self.bytes[offset as usize..end]);
            }
        }
        kept.index.shrink_to_fit();
        *self = kept;
    }
}

/// Pages in order of position. A page is compacted when less than half of it is live, and dropped when nothing is.
#[derive(Debug, Default)]
pub(crate) struct PagedBlobs {
    sealed: BTreeMap<u64, Page>,
    open: Page,
    open_position: u64,
}

impl PagedBlobs {
    fn seal(&mut self, position: u64, length: usize) {
        self.open.index.shrink_to_fit();
        // A page made small by a compaction or by early releases gives its spare room back here, once.
        self.open.bytes.shrink_to_fit();
        let next = Page { index: Vec::new(), bytes: Vec::with_capacity(length.max(PAGE_BYTES)), live: 0 };
        let full = std::mem::replace(&mut self.open, next);
        if full.live > 0 {
            self.sealed.insert(self.open_position, full);
        }
        self.open_position = position;
    }
}

impl Blobs for PagedBlobs {
    fn insert(&mut self, position: u64, bytes: &[u8]) {
        let far = position - self.open_position > u64::from(u32::MAX);
        if far || self.open.bytes.len() + bytes.len() > self.open.bytes.capacity() {
            self.seal(position, bytes.len());
        }
        self.open.index.push(((position - self.open_position) as u32, self.open.bytes.len() as u32));
        self.open.bytes.extend_from_slice(bytes);
        self.open.live += bytes.len();
    }

    fn bytes(&self, blob: Blob) -> Option<&[u8]> {
        let (base, page) = if blob.position >= self.open_position {
            (self.open_position, &self.open)
        } else {
            self.sealed.range(..=blob.position).next_back().map(|(base, page)| (*base, page))?
        };
        let offset = page.index[page.find((blob.position - base) as u32)?].1 as usize;
        Some(&page.bytes[offset..offset + blob.length as usize])
    }

    fn release(&mut self, blob: Blob) {
        let open = blob.position >= self.open_position;
        let (base, page) = if open {
            (self.open_position, &mut self.open)
        } else {
            let Some((base, page)) = self.sealed.range_mut(..=blob.position).next_back() else { return };
            (*base, page)
        };
        let Some(slot) = page.find((blob.position - base) as u32) else { return };
        page.index[slot].1 |= DEAD;
        page.live -= blob.length as usize;
        if !open && page.live == 0 {
            self.sealed.remove(&base);
        } else if !open && page.live < page.bytes.len() / 2 {
            page.compact();
        }
    }
}

/// One boxed slice per blob.
#[derive(Debug, Default)]
pub(crate) struct BoxedBlobs {
    blobs: HashMap<u64, Box<[u8]>>,
}

impl Blobs for BoxedBlobs {
    fn insert(&mut self, position: u64, bytes: &[u8]) {
        self.blobs.insert(position, bytes.into());
    }

    fn bytes(&self, blob: Blob) -> Option<&[u8]> {
        self.blobs.get(&blob.position).map(AsRef::as_ref)
    }

    fn release(&mut self, blob: Blob) {
        self.blobs.remove(&blob.position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut store: impl Blobs) {
        let text = |at: u64| format!("payload of {at}").repeat(at as usize % 7 + 1).into_bytes();
        let blob = |at: u64| Blob { position: at * 300, length: text(at).len() as u32 };
        for at in 0..5000 {
            store.insert(blob(at).position, &text(at));
        }
        for at in (0..5000).filter(|at| at % 5 != 0) {
            store.release(blob(at));
        }
        for at in 0..5000 {
            assert_eq!(store.bytes(blob(at)).is_some(), at % 5 == 0, "blob {at}");
            assert!(store.bytes(blob(at)).is_none_or(|bytes| bytes == text(at)), "blob {at}");
        }
    }

    #[test]
    fn every_home_gives_back_what_was_put_in_and_forgets_what_was_released() {
        check(PagedBlobs::default());
        check(BoxedBlobs::default());
    }

    #[test]
    fn pages_free_the_room_of_released_blobs() {
        let mut store = PagedBlobs::default();
        let blob = |at: u64| Blob { position: at * 250, length: 200 };
        for at in 0..10_000 {
            store.insert(blob(at).position, &[7; 200]);
        }
        for at in (0..10_000).filter(|at| at % 10 != 0) {
            store.release(blob(at));
        }
        let kept: usize = store.sealed.values().map(|page| page.bytes.capacity()).sum();
        assert!(kept < 2 * 10_000 / 10 * 200 + PAGE_BYTES, "{kept} bytes kept");
    }
}
