//! Small tables of the state: interned names, policies and workers; known ids; settled tokens.
//!
//! Each is deterministic: what it answers follows from the events alone, never from a hash map's order.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use hashbrown::HashMap;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::model::{LeaseToken, Limits};

/// Values by small numbers, counted by use; a number whose value nobody uses is given again, the smallest first.
#[derive(Debug)]
pub(crate) struct Interned<T> {
    values: Vec<Option<(T, u64)>>,
    numbers: HashMap<T, u32>,
    free: BTreeSet<u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::default(), free: BTreeSet::new() }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    pub(crate) fn find<Q: ?Sized + Eq + Hash + hashbrown::Equivalent<T>>(&self, value: &Q) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    /// The number that the next new value will have.
    pub(crate) fn next(&self) -> u32 {
        self.free.first().copied().unwrap_or(self.values.len() as u32)
    }

    pub(crate) fn insert(&mut self, number: u32, value: T) {
        let at = number as usize;
        if at >= self.values.len() {
            self.values.resize_with(at + 1, || None);
        }
        self.free.remove(&number);
        assert!(self.values[at].is_none(), "a number in use is not given again");
        self.numbers.insert(value.clone(), number);
        self.values[at] = Some((value, 0));
    }

    pub(crate) fn get(&self, number: u32) -> &T {
        &self.values[number as usize].as_ref().expect("an interned value in use is there").0
    }

    pub(crate) fn retain(&mut self, number: u32) {
        self.values[number as usize].as_mut().expect("an interned value is added before its use").1 += 1;
    }

    pub(crate) fn release(&mut self, number: u32) {
        let entry = &mut self.values[number as usize];
        let (value, uses) = entry.as_mut().expect("an interned value in use is there");
        *uses -= 1;
        if *uses == 0 {
            self.numbers.remove(value);
            *entry = None;
            self.free.insert(number);
        }
    }
}

/// A digest of (queue, id): SipHash-2-4, 128 bits, under the store's own random key, so that nobody can choose two
/// ids that collide.
pub(crate) type IdDigest = u128;

/// Which job an id belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) number: u64,
    /// Zero while the job is kept; else the steady instant until which it is remembered.
    pub(crate) gone_until: u64,
}

/// The ids of all queues, in shards that grow one at a time: no insert copies more than a thousandth of the table.
#[derive(Debug)]
pub(crate) struct Ids {
    shards: Vec<HashMap<IdDigest, Known>>,
    key: [u64; 2],
}

const SHARDS: usize = 1_024;

impl Default for Ids {
    fn default() -> Self {
        Self { shards: vec![HashMap::default(); SHARDS], key: [0; 2] }
    }
}

impl Ids {
    pub(crate) fn set_key(&mut self, key: [u64; 2]) {
        self.key = key;
    }

    pub(crate) fn digest(&self, queue: u32, id: &str) -> IdDigest {
        let mut hasher = SipHasher24::new_with_keys(self.key[0], self.key[1]);
        std::hash::Hasher::write(&mut hasher, &queue.to_le_bytes());
        std::hash::Hasher::write(&mut hasher, id.as_bytes());
        hasher.finish128().as_u128()
    }

    fn shard(digest: IdDigest) -> usize {
        (digest >> 64) as usize % SHARDS
    }

    pub(crate) fn get(&self, digest: IdDigest) -> Option<Known> {
        self.shards[Self::shard(digest)].get(&digest).copied()
    }

    pub(crate) fn set(&mut self, digest: IdDigest, known: Known) {
        self.shards[Self::shard(digest)].insert(digest, known);
    }

    pub(crate) fn remove(&mut self, digest: IdDigest) {
        self.shards[Self::shard(digest)].remove(&digest);
    }
}

/// Which tokens were settled, for at least ten minutes: a bit each, since tokens count up.
///
/// A ring of tokens would take 16 bytes a job, at 150,000 jobs a second 1.4 GB; this takes 12 MB.
#[derive(Debug, Default)]
pub(crate) struct SettledTokens {
    pages: BTreeMap<u64, SettledPage>,
}

#[derive(Debug)]
struct SettledPage {
    bits: Box<[u64; 64]>,
    last: u64,
}

const BITS: u64 = 4_096;

impl SettledTokens {
    pub(crate) fn insert(&mut self, token: LeaseToken, now: u64) {
        // The oldest page goes once its last settlement is old enough: at most two pages a call, each made by a call.
        for _ in 0..2 {
            match self.pages.first_entry() {
                Some(page) if page.get().last + Limits::SETTLED_MS < now => drop(page.remove()),
                _ => break,
            }
        }
        let page = self.pages.entry(token.0 / BITS);
        let page = page.or_insert_with(|| SettledPage { bits: Box::new([0; 64]), last: now });
        page.bits[(token.0 % BITS / 64) as usize] |= 1 << (token.0 % 64);
        page.last = now;
    }

    pub(crate) fn contains(&self, token: LeaseToken) -> bool {
        let page = self.pages.get(&(token.0 / BITS));
        page.is_some_and(|page| page.bits[(token.0 % BITS / 64) as usize] & 1 << (token.0 % 64) != 0)
    }
}
