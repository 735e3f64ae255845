//! The bytes behind blob handles, in memory, in pages of log address space.
//!
//! Blobs arrive in order of position, so those of 64 KiB of log share a page: one allocation for hundreds of them, found
//! by the page's number and a search among its few. A page of which less than half is alive is written anew, so that
//! one long-lived job does not hold its page. Large blobs stand alone. The bench's spike measured this beside a hash map.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use crate::machine::Blob;

const PAGE_SHIFT: u32 = 16;
/// From this size on a blob stands alone.
const LARGE: usize = 8 << 10;

/// All blobs of a store.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    pages: BTreeMap<u64, Page>,
    large: BTreeMap<u64, Bytes>,
    /// The page that blobs arrive in.
    newest: u64,
    live_bytes: u64,
}

#[derive(Debug, Default)]
struct Page {
    bytes: PageBytes,
    index: Vec<Entry>,
    live: usize,
}

/// Bytes of a page; once nothing more comes into it they can be shared, so that a reader holds no lock while it looks.
#[derive(Debug)]
enum PageBytes {
    Growing(Vec<u8>),
    Whole(Bytes),
}

impl Default for PageBytes {
    fn default() -> Self {
        Self::Growing(Vec::new())
    }
}

impl PageBytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Growing(bytes) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Position within the page's address range.
    at: u16,
    length: u32,
    offset: u32,
}

impl Page {
    fn find(&self, position: u64) -> Option<usize> {
        self.index.binary_search_by_key(&(position as u16), |entry| entry.at).ok()
    }

    /// Writes the live blobs anew, without the gaps.
    fn compact(&mut self) {
        let mut bytes = Vec::with_capacity(self.live);
        for entry in &mut self.index {
            let start = entry.offset as usize;
            entry.offset = bytes.len() as u32;
            bytes.extend_from_slice(&self.bytes.as_slice()[start..start + entry.length as usize]);
        }
        self.bytes = match self.bytes {
            PageBytes::Growing(_) => PageBytes::Growing(bytes),
            PageBytes::Whole(_) => PageBytes::Whole(bytes.into()),
        };
        self.index.shrink_to_fit();
    }

    /// Nothing more comes into it: gives back what it had reserved.
    fn close(&mut self) {
        if let PageBytes::Growing(bytes) = &mut self.bytes {
            // Boxed, so that sharing it later costs no copy.
            self.bytes = PageBytes::Whole(std::mem::take(bytes).into_boxed_slice().into());
        }
        self.index.shrink_to_fit();
    }
}

impl Blobs {
    /// Keeps `bytes`; positions ascend from call to call.
    pub(super) fn insert(&mut self, position: u64, bytes: &[u8]) {
        self.live_bytes += bytes.len() as u64;
        if bytes.len() >= LARGE {
            self.large.insert(position, Bytes::copy_from_slice(bytes));
            return;
        }
        let number = position >> PAGE_SHIFT;
        if number != self.newest {
            match self.pages.get_mut(&self.newest) {
                Some(page) if page.index.is_empty() => drop(self.pages.remove(&self.newest)),
                Some(page) => page.close(),
                None => {}
            }
            self.newest = number;
        }
        let page = self.pages.entry(number).or_default();
        let PageBytes::Growing(kept) = &mut page.bytes else { unreachable!("positions ascend") };
        page.index.push(Entry { at: position as u16, length: bytes.len() as u32, offset: kept.len() as u32 });
        kept.extend_from_slice(bytes);
        page.live += bytes.len();
    }

    /// The bytes of a blob that was kept and not released, a copy of its own unless it is large.
    pub(super) fn get(&self, blob: Blob) -> Bytes {
        if blob.length as usize >= LARGE {
            return self.large(blob).clone();
        }
        let (page, range) = self.paged(blob);
        Bytes::copy_from_slice(&page.bytes.as_slice()[range])
    }

    /// The bytes of a blob that was kept and not released. What is answered holds the whole page for as long as it is kept.
    pub(super) fn share(&self, blob: Blob) -> Bytes {
        if blob.length as usize >= LARGE {
            return self.large(blob).clone();
        }
        let (page, range) = self.paged(blob);
        match &page.bytes {
            PageBytes::Growing(bytes) => Bytes::copy_from_slice(&bytes[range]),
            PageBytes::Whole(bytes) => bytes.slice(range),
        }
    }

    fn large(&self, blob: Blob) -> &Bytes {
        self.large.get(&blob.position).expect("a large blob in use is kept")
    }

    fn paged(&self, blob: Blob) -> (&Page, Range<usize>) {
        let page = self.pages.get(&(blob.position >> PAGE_SHIFT)).expect("the page of a blob in use is kept");
        let entry = page.index[page.find(blob.position).expect("a blob in use is kept")];
        let start = entry.offset as usize;
        (page, start..start + entry.length as usize)
    }

    /// Lets a blob go.
    pub(super) fn release(&mut self, blob: Blob) {
        self.live_bytes -= u64::from(blob.length);
        if blob.length as usize >= LARGE {
            self.large.remove(&blob.position).expect("a large blob in use is kept");
            return;
        }
        let number = blob.position >> PAGE_SHIFT;
        let page = self.pages.get_mut(&number).expect("the page of a blob in use is kept");
        let at = page.find(blob.position).expect("a blob in use is kept");
        page.live -= page.index.remove(at).length as usize;
        if page.index.is_empty() && number != self.newest {
            self.pages.remove(&number);
        } else if page.live * 2 < page.bytes.as_slice().len() {
            page.compact();
        }
    }

    /// Bytes of all blobs kept.
    pub(super) const fn live_bytes(&self) -> u64 {
        self.live_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Blobs, LARGE};
    use crate::machine::Blob;

    proptest! {
        #[test]
        fn what_is_kept_comes_back_and_what_is_released_is_gone(
            steps in prop::collection::vec((any::<bool>(), 0usize..LARGE * 2, any::<prop::sample::Index>()), 1..400)
        ) {
            let (mut blobs, mut model, mut position) = (Blobs::default(), BTreeMap::<u64, Vec<u8>>::new(), 0u64);
            for (add, size, which) in steps {
                if add || model.is_empty() {
                    let bytes = vec![size as u8; size / 7];
                    blobs.insert(position, &bytes);
                    model.insert(position, bytes);
                    position += 8 + (size as u64 / 7).next_multiple_of(8);
                } else {
                    let (&position, bytes) = model.iter().nth(which.index(model.len())).expect("within its length");
                    blobs.release(Blob { position, length: bytes.len() as u32 });
                    model.remove(&position);
                }
            }
            for (&position, bytes) in &model {
                let blob = Blob { position, length: bytes.len() as u32 };
                prop_assert_eq!(&blobs.get(blob), bytes);
                prop_assert_eq!(&blobs.share(blob), bytes);
            }
            prop_assert_eq!(blobs.live_bytes(), model.values().map(|bytes| bytes.len() as u64).sum::<u64>());
            for (position, bytes) in model {
                blobs.release(Blob { position, length: bytes.len() as u32 });
            }
            prop_assert!(blobs.pages.len() <= 1 && blobs.large.is_empty());
        }
    }
}
