//! Small tables of the state: interned names, policies and workers; known ids; settled tokens.
//!
//! Each is deterministic: what it answers follows from the events alone, never from a hash map's order.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, Equivalent, HashMap};
use siphasher::sip128::{Hasher128, SipHasher24};

use super::digest::{Mix, SequenceDigest};
use super::event::Policy;
use super::memory::allocated;
use crate::model::{LeaseToken, Limits};

/// A hash map in shards that grow one at a time: no insert copies more than a small part of the table.
#[derive(Debug)]
struct Sharded<K, V> {
    shards: Box<[HashMap<K, V>]>,
    hasher: DefaultHashBuilder,
    bytes: u64,
}

impl<K: Eq + Hash, V> Sharded<K, V> {
    fn new(shards: usize) -> Self {
        let shards = std::iter::repeat_with(HashMap::default).take(shards).collect();
        Self { shards, hasher: DefaultHashBuilder::default(), bytes: 0 }
    }

    fn shard<Q: ?Sized + Hash>(&self, key: &Q) -> usize {
        (self.hasher.hash_one(key) >> 32) as usize % self.shards.len()
    }

    fn get<Q: ?Sized + Hash + Equivalent<K>>(&self, key: &Q) -> Option<&V> {
        self.shards[self.shard(key)].get(key)
    }

    fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.shard(&key);
        let shard = &mut self.shards[at];
        self.bytes -= shard.allocation_size() as u64;
        let old = shard.insert(key, value);
        self.bytes += shard.allocation_size() as u64;
        old
    }

    fn remove<Q: ?Sized + Hash + Equivalent<K>>(&mut self, key: &Q) -> Option<V> {
        let at = self.shard(key);
        let shard = &mut self.shards[at];
        self.bytes -= shard.allocation_size() as u64;
        let old = shard.remove(key);
        if shard.len() <= shard.capacity() / 4 {
            shard.shrink_to(shard.len() * 2);
        }
        self.bytes += shard.allocation_size() as u64;
        old
    }
}

/// What is interned: it says what it is made of and what it takes beside its own size.
pub(crate) trait Value: Clone + Eq + Hash {
    fn add_to(&self, hash: &mut Mix);
    fn bytes_beside(&self) -> u64;
}

impl Value for Box<str> {
    fn add_to(&self, hash: &mut Mix) {
        hash.add_bytes(self.as_bytes());
    }

    fn bytes_beside(&self) -> u64 {
        allocated(self.len())
    }
}

impl Value for Policy {
    fn add_to(&self, hash: &mut Mix) {
        let backoff = &self.backoff;
        hash.add(u64::from(self.attempts) << 8 | backoff.kind as u64).add(backoff.delay_ms).add(backoff.max_ms);
        hash.add(u64::from(backoff.factor_thousandths) << 32 | u64::from(backoff.jitter_percent));
        hash.add_option(self.timeout_ms).add_option(self.expires_in_ms).add_option(self.keep_ms);
    }

    fn bytes_beside(&self) -> u64 {
        0
    }
}

/// Values by small numbers, counted by use; a number whose value nobody uses is given again, the smallest first.
#[derive(Debug)]
pub(crate) struct Interned<T> {
    /// In parts of `PART`, so that nothing grows by copying all.
    values: Vec<Vec<Option<(T, u64)>>>,
    numbers: Sharded<T, u32>,
    free: BTreeSet<u32>,
    digest: u64,
    bytes_beside: u64,
}

const PART: usize = 1_024;

impl<T: Value> Default for Interned<T> {
    fn default() -> Self {
        let numbers = Sharded::new(16);
        Self { values: vec![Vec::new()], numbers, free: BTreeSet::new(), digest: 0, bytes_beside: 0 }
    }
}

impl<T: Value> Interned<T> {
    pub(crate) fn find<Q: ?Sized + Hash + Equivalent<T>>(&self, value: &Q) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    /// How often a number's value is used; 0 for one that nobody has.
    pub(crate) fn uses(&self, number: u32) -> u64 {
        let entry = self.values.get(number as usize / PART).and_then(|part| part.get(number as usize % PART));
        entry.and_then(Option::as_ref).map_or(0, |(_, uses)| *uses)
    }

    /// The number that the next new value will have.
    pub(crate) fn next(&self) -> u32 {
        self.free.first().copied().unwrap_or(self.places() as u32)
    }

    /// Numbers that were ever given, whether somebody has them or not.
    pub(crate) fn places(&self) -> usize {
        (self.values.len() - 1) * PART + self.values.last().map_or(0, Vec::len)
    }

    /// Adds a value under a number that is free.
    pub(crate) fn insert(&mut self, number: u32, value: T) {
        // A number that a damaged event makes up must make no room.
        assert!(number as usize <= self.places(), "numbers are given without a gap");
        if self.places() == number as usize {
            self.pass_over();
        }
        assert!(self.free.remove(&number), "a number in use is not given again");
        self.digest ^= Self::digest_of(number, &value);
        self.bytes_beside += 2 * value.bytes_beside();
        self.numbers.insert(value.clone(), number);
        *self.entry(number) = Some((value, 0));
    }

    /// The next number is nobody's.
    pub(crate) fn pass_over(&mut self) {
        self.free.insert(self.places() as u32);
        if self.values.last().is_some_and(|part| part.len() == PART) {
            self.values.push(Vec::new());
        }
        self.values.last_mut().expect("there is always a part").push(None);
    }

    /// Every number's value up to the last in use, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<&T>> {
        let places = self.places();
        let backwards = (0..places as u32).rev();
        let unused = self.free.iter().rev().zip(backwards).take_while(|&(&free, place)| free == place).count();
        self.values.iter().flatten().take(places - unused).map(|entry| Some(&entry.as_ref()?.0))
    }

    /// Whether somebody has this number.
    pub(crate) fn has(&self, number: u32) -> bool {
        let entry = self.values.get(number as usize / PART).and_then(|part| part.get(number as usize % PART));
        entry.is_some_and(Option::is_some)
    }

    fn entry(&mut self, number: u32) -> &mut Option<(T, u64)> {
        &mut self.values[number as usize / PART][number as usize % PART]
    }

    fn digest_of(number: u32, value: &T) -> u64 {
        let mut hash = Mix(u64::from(number));
        value.add_to(&mut hash);
        hash.0
    }

    pub(crate) fn get(&self, number: u32) -> &T {
        let entry = &self.values[number as usize / PART][number as usize % PART];
        &entry.as_ref().expect("an interned value in use is there").0
    }

    pub(crate) fn retain(&mut self, number: u32) {
        self.entry(number).as_mut().expect("an interned value is added before its use").1 += 1;
    }

    pub(crate) fn release(&mut self, number: u32) {
        let entry = self.entry(number);
        let (_, uses) = entry.as_mut().expect("an interned value in use is there");
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        let (value, _) = entry.take().expect("it was just counted");
        self.numbers.remove(&value);
        self.free.insert(number);
        self.digest ^= Self::digest_of(number, &value);
        self.bytes_beside -= 2 * value.bytes_beside();
    }

    /// A digest of which value has which number.
    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn bytes(&self) -> u64 {
        allocated(self.places() * size_of::<Option<(T, u64)>>()) + self.numbers.bytes + self.bytes_beside
    }

    /// Bytes that the values take where they are written down, about.
    pub(crate) fn stored_bytes(&self) -> u64 {
        (self.places() * size_of::<Option<(T, u64)>>()) as u64 + self.bytes_beside
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

/// The ids of all queues.
#[derive(Debug)]
pub(crate) struct Ids {
    known: Sharded<IdDigest, Known>,
    key: [u64; 2],
    digest: u64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { known: Sharded::new(1_024), key: [0; 2], digest: 0 }
    }
}

impl Ids {
    pub(crate) fn set_key(&mut self, key: [u64; 2]) {
        self.key = key;
    }

    pub(crate) const fn key(&self) -> [u64; 2] {
        self.key
    }

    pub(crate) fn digest(&self, queue: u32, id: &str) -> IdDigest {
        let mut hasher = SipHasher24::new_with_keys(self.key[0], self.key[1]);
        std::hash::Hasher::write(&mut hasher, &queue.to_le_bytes());
        std::hash::Hasher::write(&mut hasher, id.as_bytes());
        hasher.finish128().as_u128()
    }

    pub(crate) fn get(&self, digest: IdDigest) -> Option<Known> {
        self.known.get(&digest).copied()
    }

    pub(crate) fn set(&mut self, digest: IdDigest, known: Known) {
        let old = self.known.insert(digest, known);
        self.digest ^= Self::digest_of(digest, Some(known)) ^ Self::digest_of(digest, old);
    }

    pub(crate) fn remove(&mut self, digest: IdDigest) {
        let old = self.known.remove(&digest);
        self.digest ^= Self::digest_of(digest, old);
    }

    fn digest_of(digest: IdDigest, known: Option<Known>) -> u64 {
        let Some(known) = known else { return 0 };
        let mut hash = Mix(digest as u64);
        hash.add((digest >> 64) as u64).add(known.number).add(known.gone_until).0
    }

    /// A digest of all ids and of the key that theirs are made under.
    pub(crate) fn state_digest(&self) -> u64 {
        Mix(self.digest).add(self.key[0]).add(self.key[1]).0
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.known.bytes
    }
}

/// An id of a gone job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered {
    pub(crate) until: u64,
    pub(crate) digest: IdDigest,
    pub(crate) number: u64,
}

impl Remembered {
    fn digest(&self) -> u64 {
        let mut hash = Mix(self.until);
        hash.add(self.number).add(self.digest as u64).add((self.digest >> 64) as u64).0
    }
}

/// The ids of gone jobs, in the order in which they went; in parts, so that nothing grows by copying all.
#[derive(Debug, Default)]
pub(crate) struct RememberedIds {
    parts: VecDeque<VecDeque<Remembered>>,
    len: usize,
    digest: SequenceDigest,
}

impl RememberedIds {
    pub(crate) fn push(&mut self, id: Remembered) {
        if self.parts.back().is_none_or(|part| part.len() == PART) {
            self.parts.push_back(VecDeque::new());
        }
        self.parts.back_mut().expect("just made").push_back(id);
        self.len += 1;
        self.digest.push(id.digest());
    }

    pub(crate) fn pop(&mut self) -> Option<Remembered> {
        let part = self.parts.front_mut()?;
        let id = part.pop_front()?;
        if part.is_empty() {
            self.parts.pop_front();
        }
        self.len -= 1;
        self.digest.pop(id.digest());
        Some(id)
    }

    /// From the oldest on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.parts.iter().flatten()
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn digest(&self) -> SequenceDigest {
        self.digest
    }
}

/// Which tokens were settled, for at least ten minutes: a bit each, since tokens count up.
///
/// A ring of tokens would take 16 bytes a job, at 150,000 jobs a second 1.4 GB; this takes 12 MB.
#[derive(Debug, Default)]
pub(crate) struct SettledTokens {
    pages: BTreeMap<u64, SettledPage>,
    digest: u64,
}

#[derive(Debug)]
struct SettledPage {
    bits: Box<[u64; SETTLED_WORDS]>,
    last: u64,
    digest: u64,
}

/// Words of 64 tokens in a page.
pub(crate) const SETTLED_WORDS: usize = 64;
const BITS: u64 = 64 * SETTLED_WORDS as u64;

/// A page of settled tokens: which of the tokens from `number` · 4,096 on are, and when the last of them was.
#[derive(Debug)]
pub(crate) struct SettledBits<'a> {
    pub(crate) number: u64,
    pub(crate) last: u64,
    pub(crate) bits: &'a [u64; SETTLED_WORDS],
}

impl SettledPage {
    fn digest(&self, number: u64) -> u64 {
        Mix(number).add(self.last).add(self.digest).0
    }
}

impl SettledTokens {
    pub(crate) fn insert(&mut self, token: LeaseToken, now: u64) {
        // The oldest page goes once its last settlement is old enough: at most two pages a call, each made by a call.
        for _ in 0..2 {
            match self.pages.first_entry() {
                Some(page) if page.get().last + Limits::SETTLED_MS < now => {
                    self.digest ^= page.get().digest(*page.key());
                    page.remove();
                }
                _ => break,
            }
        }
        let number = token.0 / BITS;
        if let Some(page) = self.pages.get(&number) {
            self.digest ^= page.digest(number);
        }
        let page = self.pages.entry(number);
        let page = page.or_insert_with(|| SettledPage { bits: Box::new([0; SETTLED_WORDS]), last: now, digest: 0 });
        let (word, bit) = ((token.0 % BITS / 64) as usize, 1 << (token.0 % 64));
        if page.bits[word] & bit == 0 {
            page.bits[word] |= bit;
            page.digest ^= Self::digest_of(token.0);
        }
        page.last = now;
        self.digest ^= page.digest(number);
    }

    /// Every page, ascending.
    pub(crate) fn pages(&self) -> impl Iterator<Item = SettledBits<'_>> {
        self.pages.iter().map(|(&number, page)| SettledBits { number, last: page.last, bits: &page.bits })
    }

    /// Adds a whole page, unless there is one already.
    pub(crate) fn load(&mut self, number: u64, last: u64, bits: [u64; SETTLED_WORDS]) -> Option<()> {
        let Entry::Vacant(place) = self.pages.entry(number) else { return None };
        let first = number.checked_mul(BITS)?;
        let is_set = |token: &u64| bits[(token / 64) as usize] & 1 << (token % 64) != 0;
        let digest = (0..BITS).filter(is_set).fold(0, |digest, token| digest ^ Self::digest_of(first + token));
        let page = place.insert(SettledPage { bits: Box::new(bits), last, digest });
        self.digest ^= page.digest(number);
        Some(())
    }

    fn digest_of(token: u64) -> u64 {
        Mix(token).add(0).0
    }

    pub(crate) fn contains(&self, token: LeaseToken) -> bool {
        let page = self.pages.get(&(token.0 / BITS));
        page.is_some_and(|page| page.bits[(token.0 % BITS / 64) as usize] & 1 << (token.0 % 64) != 0)
    }

    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn bytes(&self) -> u64 {
        let page = allocated(size_of::<[u64; SETTLED_WORDS]>()) + allocated(2 * size_of::<SettledPage>());
        self.pages.len() as u64 * page
    }
}
