//! The state's hash: equal after the fold of equal events, and of nothing else, as far as 64 bits tell.
//!
//! Everything that is state is in it. What is small (clocks, counts, settings, operations) is mixed in when the hash is
//! asked for; what may be millions (rows, ids, names, settled tokens) keeps a digest that each change brings up to date
//! in constant time. Stable across versions of the compiler and machines: a snapshot is compared by it.

use super::Machine;
use super::operations::Operation;
use super::queue::Queue;

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

    /// Absent is neither zero nor empty.
    pub(crate) fn add_option(&mut self, value: Option<u64>) -> &mut Self {
        self.add(u64::from(value.is_some())).add(value.unwrap_or(0))
    }
}

/// The digest of a sequence that grows at its end and shrinks at its front, each in constant time: a polynomial of its
/// values in an odd base, modulo 2⁶⁴, where dividing by the base is multiplying by its inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SequenceDigest {
    sum: u64,
    /// The base to the power of the length.
    power: u64,
}

const BASE: u64 = 0x5851_f42d_4c95_7f2d;
const INVERSE: u64 = inverse(BASE);

/// The inverse of an odd number modulo 2⁶⁴, by Newton's method: each step doubles the bits that are right.
const fn inverse(odd: u64) -> u64 {
    let mut found = odd;
    let mut step = 0;
    while step < 6 {
        found = found.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(found)));
        step += 1;
    }
    found
}

impl Default for SequenceDigest {
    fn default() -> Self {
        Self { sum: 0, power: 1 }
    }
}

impl SequenceDigest {
    /// A value joins at the end.
    pub(crate) const fn push(&mut self, value: u64) {
        self.sum = self.sum.wrapping_add(value.wrapping_mul(self.power));
        self.power = self.power.wrapping_mul(BASE);
    }

    /// The first value, which was `value`, leaves.
    pub(crate) const fn pop(&mut self, value: u64) {
        self.sum = self.sum.wrapping_sub(value).wrapping_mul(INVERSE);
        self.power = self.power.wrapping_mul(INVERSE);
    }

    pub(crate) fn add_to(self, hash: &mut Mix) {
        hash.add(self.sum).add(self.power);
    }
}

impl Machine {
    /// A digest of the whole state: equal after the fold of equal events. Takes time by the number of queues.
    pub fn state_hash(&self) -> u64 {
        let mut hash = Mix(0);
        hash.add(self.steady).add(self.offset.cast_unsigned()).add(self.removal_from).add(self.key_set.into());
        hash.add(self.last_number).add(self.last_token.0).add(self.last_operation);
        hash.add(self.rows.count()).add(self.rows_digest);
        hash.add(self.names.digest()).add(self.workers.digest()).add(self.policies.digest());
        hash.add(self.ids.state_digest()).add(self.settled.digest());
        hash.add(self.queues.len() as u64);
        self.queues.iter().for_each(|queue| queue.digest(&mut hash));
        for (&number, operation) in &self.operations {
            operation.digest(hash.add(number));
        }
        hash.0
    }
}

impl Queue {
    fn digest(&self, hash: &mut Mix) {
        let counts = &self.counts;
        hash.add_bytes(self.name.as_bytes());
        // The counts of states follow from the rows; these are kept for their own sake.
        for count in [counts.enqueued, counts.removed, counts.aged_out, counts.dead_aged_out] {
            hash.add(count);
        }
        for count in [counts.waiting, counts.delayed, counts.active, counts.completed, counts.dead, counts.cancelled] {
            hash.add(count);
        }
        hash.add(counts.retrying).add(self.back.cast_unsigned()).add(self.front.cast_unsigned());
        self.remembered.digest().add_to(hash);
        hash.add(self.settings_digest).add(self.paused.is_some().into());
        hash.add_bytes(self.paused.as_deref().unwrap_or("").as_bytes());
    }
}

impl Operation {
    fn digest(&self, hash: &mut Mix) {
        hash.add(self.begun_digest).add(self.state as u64).add_bytes(self.cursor.as_bytes());
        hash.add(self.looked_at).add(self.changed).add_option(self.ended_at);
    }
}

#[cfg(test)]
mod tests {
    use super::SequenceDigest;

    #[test]
    fn a_sequence_has_one_digest_however_it_came_about() {
        let mut whole = SequenceDigest::default();
        (1..=9).for_each(|value| whole.push(value));
        (1..=4).for_each(|value| whole.pop(value));
        let mut rest = SequenceDigest::default();
        (5..=9).for_each(|value| rest.push(value));
        assert_eq!(whole, rest);
        let mut other = SequenceDigest::default();
        [6, 5, 7, 8, 9].into_iter().for_each(|value| other.push(value));
        assert_ne!(rest, other, "the order counts");
        (5..=9).for_each(|value| rest.pop(value));
        assert_eq!(rest, SequenceDigest::default());
    }
}
