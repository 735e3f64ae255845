//! Groups of failures by the fingerprint that their events carry: at most 1,000, of which the one seen longest ago goes.
//!
//! Each counts by the minute over an hour and by the hour over a week. Invariant: a group's counts follow from the events
//! alone.

use std::collections::BTreeMap;

use super::super::memory::allocated;

/// How many groups are kept.
pub(crate) const GROUPS: usize = 1_000;
/// Minutes of a group's hour, and hours of its week.
pub(crate) const MINUTES: usize = 60;
pub(crate) const HOURS: usize = 168;
/// Queues and names that a group tells of.
pub(crate) const SHARES: usize = 8;
/// Newest jobs that a group tells of.
pub(crate) const SAMPLES: usize = 5;

/// How often, in one queue or with one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share<T> {
    pub(crate) of: T,
    pub(crate) count: u64,
}

/// Failures of one fingerprint.
#[derive(Debug)]
pub(crate) struct Group {
    /// Groups are numbered as they are made.
    pub(crate) made: u64,
    pub(crate) kind: Box<str>,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u64,
    /// Counts by minute and by hour, each at its number modulo their length; those of earlier rounds are zero.
    pub(crate) minutes: [u32; MINUTES],
    pub(crate) hours: [u32; HOURS],
    pub(crate) queues: Vec<Share<u32>>,
    pub(crate) names: Vec<Share<Box<str>>>,
    /// The newest last.
    pub(crate) jobs: Vec<u64>,
}

/// Milliseconds of a minute and of an hour.
const MINUTE: u64 = 60_000;
const HOUR: u64 = 3_600_000;

/// Clears what is between the last count's place and this one's, and counts.
fn count<const N: usize>(ring: &mut [u32; N], last: u64, now: u64) {
    let skipped = now.saturating_sub(last).min(N as u64);
    (0..skipped).for_each(|back| ring[((now - back) % N as u64) as usize] = 0);
    let count = &mut ring[(now % N as u64) as usize];
    *count = count.saturating_add(1);
}

/// The last `N` counts as of `now`, oldest first.
fn lately<const N: usize>(ring: &[u32; N], last: u64, now: u64) -> [u64; N] {
    std::array::from_fn(|at| {
        let back = (N - 1 - at) as u64;
        let known = now.checked_sub(back).filter(|&place| place <= last && place + N as u64 > last);
        known.map_or(0, |place| ring[(place % N as u64) as usize].into())
    })
}

fn share<T>(shares: &mut Vec<Share<T>>, is: impl Fn(&T) -> bool, make: impl FnOnce() -> T) {
    if let Some(known) = shares.iter_mut().find(|known| is(&known.of)) {
        known.count += 1;
        return;
    }
    if shares.len() == SHARES {
        // The last of equals.
        let rarest = (0..SHARES).rev().min_by_key(|&at| shares[at].count);
        shares.remove(rarest.expect("there are some"));
    }
    shares.push(Share { of: make(), count: 1 });
}

impl Group {
    pub(crate) fn new(made: u64, kind: &str, first: u64) -> Self {
        Self {
            made,
            kind: kind.into(),
            first,
            last: first,
            count: 0,
            minutes: [0; MINUTES],
            hours: [0; HOURS],
            queues: Vec::with_capacity(SHARES),
            names: Vec::with_capacity(SHARES),
            jobs: Vec::with_capacity(SAMPLES),
        }
    }

    fn note(&mut self, at: u64, job: u64, kind: &str, queue: u32, name: &str) {
        count(&mut self.minutes, self.last / MINUTE, at / MINUTE);
        count(&mut self.hours, self.last / HOUR, at / HOUR);
        (self.last, self.count) = (at, self.count + 1);
        if *self.kind != *kind {
            self.kind = kind.into();
        }
        share(&mut self.queues, |&known| known == queue, || queue);
        share(&mut self.names, |known| **known == *name, || name.into());
        self.jobs.retain(|&known| known != job);
        if self.jobs.len() == SAMPLES {
            self.jobs.remove(0);
        }
        self.jobs.push(job);
    }

    /// Counts of the last 60 minutes, oldest first.
    pub(crate) fn by_minute(&self, now: u64) -> [u64; MINUTES] {
        lately(&self.minutes, self.last / MINUTE, now / MINUTE)
    }

    /// Counts of the last 168 hours, oldest first.
    pub(crate) fn by_hour(&self, now: u64) -> [u64; HOURS] {
        lately(&self.hours, self.last / HOUR, now / HOUR)
    }

    fn takes(&self, fingerprint: &str) -> u64 {
        let lists = allocated(SHARES * size_of::<Share<u32>>())
            + allocated(SHARES * size_of::<Share<Box<str>>>())
            + allocated(SAMPLES * size_of::<u64>());
        let names = self.names.iter().map(|share| allocated(share.of.len())).sum::<u64>();
        let texts = allocated(fingerprint.len()) + allocated(self.kind.len()) + names;
        // Its place in the tree, half of whose node may be free.
        allocated(size_of::<Self>()) + lists + texts + 2 * size_of::<(Box<str>, Box<Self>)>() as u64
    }
}

/// The groups by fingerprint.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    groups: BTreeMap<Box<str>, Box<Group>>,
    /// The last group's number.
    pub(crate) made: u64,
    bytes: u64,
}

impl Failures {
    /// Counts a failure: its kind and fingerprint, and whose it was.
    pub(super) fn note(&mut self, at: u64, job: u64, (kind, fingerprint): (&str, &str), queue: u32, name: &str) {
        if !self.groups.contains_key(fingerprint) {
            if self.groups.len() == GROUPS {
                self.forget_one();
            }
            self.made += 1;
            let group = Group::new(self.made, kind, at);
            self.bytes += group.takes(fingerprint);
            self.groups.insert(fingerprint.into(), Box::new(group));
        }
        let group = self.groups.get_mut(fingerprint).expect("it was just made");
        self.bytes -= group.takes(fingerprint);
        group.note(at, job, kind, queue, name);
        self.bytes += group.takes(fingerprint);
    }

    /// The one seen longest ago goes; of equals the one that was made first.
    fn forget_one(&mut self) {
        let oldest = self.groups.iter().min_by_key(|(_, group)| (group.last, group.made));
        let Some(oldest) = oldest.map(|(fingerprint, _)| fingerprint.clone()) else { return };
        if let Some(gone) = self.groups.remove(&oldest) {
            self.bytes -= gone.takes(&oldest);
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(fingerprint, group)| (&**fingerprint, &**group))
    }

    pub(crate) fn get(&self, fingerprint: &str) -> Option<&Group> {
        self.groups.get(fingerprint).map(|group| &**group)
    }

    /// Adds a group that was written down. `None` if there is no room for it or it is there already.
    pub(crate) fn load(&mut self, fingerprint: &str, group: Group) -> Option<()> {
        if self.groups.len() == GROUPS || self.groups.contains_key(fingerprint) {
            return None;
        }
        self.bytes += group.takes(fingerprint);
        self.groups.insert(fingerprint.into(), Box::new(group));
        Some(())
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}
