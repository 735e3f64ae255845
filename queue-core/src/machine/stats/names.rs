//! Which job names have series of their own: the 200 busiest pairs of a queue and a name.
//!
//! The first 200 get a place. Later ones count among 64 candidates, by the space-saving rule (Metwally et al. 2005), and
//! once a minute one that was at least twice as busy as the least busy pair takes its place; what that pair's series held
//! goes. Busy is who had many events, each counting half after an hour. Names are known by their interned number while
//! somebody uses it, and by their text in between.

use super::super::digest::Mix;
use super::super::memory::allocated;
use super::super::tables::Interned;
use super::{Happened, SERIES_BYTES, Series};

/// How many pairs have a series.
pub(crate) const PAIRS: usize = 200;
/// How many are watched beside them.
const CANDIDATES: usize = 64;
/// Places that may change hands in a minute.
const CHANGES: usize = 8;
/// No number: nobody has the name now.
const NOBODY: u32 = u32::MAX;

/// A job name of a queue, and what happened to its jobs.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) queue: u32,
    pub(crate) name: Box<str>,
    /// Events, those of earlier hours halved each hour.
    pub(crate) activity: u64,
    pub(crate) series: Series,
}

/// A pair's place: what it is found by, beside it.
#[derive(Debug)]
struct Place {
    number: u32,
    hash: u32,
    pair: Box<Pair>,
}

/// A pair that may get a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) queue: u32,
    pub(crate) number: u32,
    pub(crate) count: u64,
    /// What of `count` may be others'.
    pub(crate) inherited: u64,
}

impl Candidate {
    const fn sure(&self) -> u64 {
        self.count - self.inherited
    }
}

/// The pairs that have series, and those that may.
#[derive(Debug, Default)]
pub(crate) struct Names {
    places: Vec<Place>,
    /// Places by queue and the name's number, ascending.
    found: Vec<(u32, u32, u16)>,
    pub(crate) candidates: Vec<Candidate>,
    /// The minute of the last event.
    pub(crate) minute: u64,
}

fn hash(name: &str) -> u32 {
    Mix(0).add_bytes(name.as_bytes()).0 as u32
}

const fn pair_bytes(name: &str) -> u64 {
    allocated(size_of::<Pair>() - size_of::<Series>()) + SERIES_BYTES + allocated(name.len())
}

impl Names {
    /// The series of a pair, if it has one or gets one now.
    pub(super) fn series(
        &mut self,
        at: u64,
        happened: &Happened,
        names: &Interned<Box<str>>,
        bytes: &mut u64,
    ) -> Option<&mut Series> {
        let minute = at / 60_000;
        if minute != self.minute {
            self.turn(minute, names, bytes);
        }
        let (queue, number) = (happened.queue, happened.name);
        let found = self.found.binary_search_by_key(&(queue, number), |&(queue, number, _)| (queue, number));
        let place = match found {
            Ok(at) => usize::from(self.found[at].2),
            Err(_) if self.places.len() < PAIRS => {
                self.candidates.retain(|candidate| (candidate.queue, candidate.number) != (queue, number));
                self.add(queue, number, names.get(number), bytes)
            }
            Err(_) => {
                self.watch(queue, number);
                return None;
            }
        };
        let pair = &mut self.places[place].pair;
        pair.activity += 1;
        Some(&mut pair.series)
    }

    fn add(&mut self, queue: u32, number: u32, name: &str, bytes: &mut u64) -> usize {
        let pair = Box::new(Pair { queue, name: name.into(), activity: 0, series: Series::default() });
        *bytes += pair_bytes(name);
        self.places.push(Place { number: NOBODY, hash: hash(name), pair });
        self.bind(self.places.len() - 1, number);
        self.places.len() - 1
    }

    /// Takes a pair's series out; the last place moves into its.
    fn remove(&mut self, place: usize, bytes: &mut u64) {
        self.bind(place, NOBODY);
        let last = self.places.len() - 1;
        let number = self.places[last].number;
        self.bind(last, NOBODY);
        let gone = self.places.swap_remove(place);
        *bytes -= pair_bytes(&gone.pair.name) + gone.pair.series.takes();
        if place != last {
            self.bind(place, number);
        }
    }

    /// A pair is found by this number from now on.
    fn bind(&mut self, place: usize, number: u32) {
        let Place { number: known, pair, .. } = &mut self.places[place];
        let (queue, old) = (pair.queue, std::mem::replace(known, number));
        let key = |number| move |&(of, known, _): &(u32, u32, u16)| (of, known).cmp(&(queue, number));
        if old != NOBODY
            && let Ok(at) = self.found.binary_search_by(key(old))
        {
            self.found.remove(at);
        }
        if number != NOBODY
            && let Err(at) = self.found.binary_search_by(key(number))
        {
            self.found.insert(at, (queue, number, place as u16));
        }
    }

    /// A number stands for this name from now on, and for no other.
    pub(crate) fn named(&mut self, number: u32, name: &str) {
        let wanted = hash(name);
        self.candidates.retain(|candidate| candidate.number != number);
        // Old holders first, so that none stands in a new one's way.
        for place in 0..self.places.len() {
            if self.places[place].number == number {
                self.bind(place, NOBODY);
            }
        }
        for place in 0..self.places.len() {
            if self.places[place].hash == wanted && *self.places[place].pair.name == *name {
                self.bind(place, number);
            }
        }
    }

    fn watch(&mut self, queue: u32, number: u32) {
        let known = self.candidates.iter_mut().find(|known| (known.queue, known.number) == (queue, number));
        if let Some(known) = known {
            known.count += 1;
            return;
        }
        if self.candidates.len() < CANDIDATES {
            self.candidates.push(Candidate { queue, number, count: 1, inherited: 0 });
            return;
        }
        let least = self.candidates.iter_mut().min_by_key(|known| known.count);
        let least = least.expect("there are candidates");
        *least = Candidate { queue, number, count: least.count + 1, inherited: least.count };
    }

    /// Another minute: what is long ago counts less, and places change hands.
    fn turn(&mut self, minute: u64, names: &Interned<Box<str>>, bytes: &mut u64) {
        let hours = (minute / 60).saturating_sub(self.minute / 60).min(63);
        self.minute = minute;
        if hours > 0 {
            self.places.iter_mut().for_each(|place| place.pair.activity >>= hours);
            for candidate in &mut self.candidates {
                (candidate.count, candidate.inherited) = (candidate.count >> hours, candidate.inherited >> hours);
            }
        }
        // A name that nobody has any more is nobody's.
        self.candidates.retain(|candidate| candidate.count > 0 && names.has(candidate.number));
        for _ in 0..CHANGES {
            // The first of equals, so that chance has no say.
            let busiest = (0..self.candidates.len()).rev().max_by_key(|&at| self.candidates[at].sure());
            let least = (0..self.places.len()).min_by_key(|&at| self.places[at].pair.activity);
            let (Some(busiest), Some(least)) = (busiest, least) else { return };
            let candidate = self.candidates[busiest];
            if self.places.len() == PAIRS {
                if candidate.sure() <= 2 * self.places[least].pair.activity {
                    return;
                }
                self.remove(least, bytes);
            }
            self.candidates.remove(busiest);
            let place = self.add(candidate.queue, candidate.number, names.get(candidate.number), bytes);
            self.places[place].pair.activity = candidate.sure();
        }
    }

    /// Every pair that has a series, in the order of their places.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.places.iter().map(|place| &*place.pair)
    }

    /// Adds a pair that was written down, at the next place. `None` if there is no room for it or it is there already.
    pub(crate) fn load(&mut self, number: Option<u32>, pair: Pair) -> Option<()> {
        let known = self.places.iter().any(|place| (place.pair.queue, &place.pair.name) == (pair.queue, &pair.name));
        if known || self.places.len() == PAIRS {
            return None;
        }
        self.places.push(Place { number: NOBODY, hash: hash(&pair.name), pair: Box::new(pair) });
        self.bind(self.places.len() - 1, number.unwrap_or(NOBODY));
        Some(())
    }

    /// Adds a candidate that was written down. `None` if there is no room for it or it can't be one.
    pub(crate) fn load_candidate(&mut self, candidate: Candidate) -> Option<()> {
        let key = |one: &Candidate| (one.queue, one.number);
        let known = self.candidates.iter().any(|known| key(known) == key(&candidate));
        let has_place = self.found.iter().any(|&(queue, number, _)| (queue, number) == key(&candidate));
        let counts = (1..1 << 62).contains(&candidate.count) && candidate.inherited <= candidate.count;
        if known || has_place || !counts || self.candidates.len() == CANDIDATES {
            return None;
        }
        self.candidates.push(candidate);
        Some(())
    }

    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn drop_before(&mut self, instant: u64, bytes: &mut u64) {
        let mut place = 0;
        while place < self.places.len() {
            let series = &mut self.places[place].pair.series;
            series.drop_before(instant, bytes);
            match series.oldest() {
                Some(_) => place += 1,
                None => self.remove(place, bytes),
            }
        }
    }

    pub(super) fn takes(&self) -> u64 {
        self.pairs().map(|pair| pair_bytes(&pair.name) + pair.series.takes()).sum()
    }
}
