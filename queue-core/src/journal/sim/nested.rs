//! Crashes within crashes: the start on what a crash left is crashed everywhere as well, and the starts after that.
//!
//! A test brings a life's disk, and says what a start on an image is and what it must find. This walks the images, counts
//! them by place, and holds a run to its numbers. Each run draws its seed and prints it; `LONGSHORE_CRASH_SEED` sets it.
//! `LONGSHORE_CRASH_IMAGES` lets each test that uses this go on with further lives until it has tried so many images; with
//! 10000 all of them together try more than 100,000.
//! Invariant: an image that is gone on with has had one start, which is what is crashed next.

use std::collections::BTreeMap;

use super::crash::moved;
use super::{Call, Chance, Image, SimDisk};

/// How many starts in a row are interrupted, each on what the interruption of the one before left.
pub const STARTS: usize = 3;

const RECOVERIES: [&str; STARTS] = ["recovery", "recovery of a recovery", "recovery of a recovery of a recovery"];

/// How much of what could be tried a run tries, and what it must come to.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Lives of an ordinary run.
    pub lives: usize,
    /// Sector subsets and torn writes per point of a life; of a start there is one of each.
    pub draws: usize,
    /// One of so many images is tried; 1 for all.
    pub one_in: usize,
    /// Of those that are tried, one of so many is gone on with: by how many starts were interrupted before it.
    pub nested_one_in: [usize; STARTS],
    /// What a run must try in all.
    pub images_min: usize,
    /// What it must try in each place.
    pub place_min: usize,
}

/// What was left by a crash of a life, and by those of the starts after it.
#[derive(Debug, Clone, Copy)]
pub struct Crashed<'a> {
    /// What the first crash left, for its place in the life. Its disk has had the starts before this one.
    pub first: &'a Image,
    /// What the last one left.
    pub disk: &'a SimDisk,
    /// How many starts were interrupted so far.
    pub interrupted: usize,
}

/// One of so many, beginning anywhere among the first.
#[derive(Debug)]
struct Every {
    count: usize,
    of: usize,
}

impl Every {
    fn new(of: usize, chance: &mut Chance) -> Every {
        Every { count: chance.below(of), of }
    }

    fn next(&mut self) -> bool {
        self.count += 1;
        self.count.is_multiple_of(self.of)
    }
}

/// A run: the images tried so far, by place.
#[derive(Debug)]
pub struct Trial {
    plan: Plan,
    chance: Chance,
    tried: Every,
    nested: [Every; STARTS],
    counts: BTreeMap<&'static str, usize>,
}

/// A start on what a crash left; fails with what it should not have found.
pub type Start<'a> = dyn FnMut(Crashed<'_>) -> Result<(), String> + 'a;

impl Trial {
    fn new(plan: Plan, seed: u64) -> Trial {
        let mut chance = Chance(seed);
        let tried = Every::new(plan.one_in, &mut chance);
        let nested = plan.nested_one_in.map(|of| Every::new(of, &mut chance));
        Trial { plan, chance, tried, nested, counts: BTreeMap::new() }
    }

    /// Crashes the life that `disk` has seen, and the starts that follow. `place` names where a crash hits, or leaves it
    /// out; `start` has the disk see one start, and checks what is there.
    ///
    /// # Errors
    ///
    /// The first that `start` fails with, behind the crashes that led to it.
    pub fn crash(
        &mut self,
        disk: &SimDisk,
        place: &dyn Fn(&Image) -> Option<&'static str>,
        start: &mut Start<'_>,
    ) -> Result<(), String> {
        for image in disk.images(self.chance.draw(), self.plan.draws) {
            if let Some(place) = place(&image)
                && self.tried.next()
            {
                let crashed = Crashed { first: &image, disk: &image.disk, interrupted: 0 };
                self.go_on(place, crashed, start)
                    .map_err(|error| format!("crash after call {} ({:?}): {error}", image.point, image.loss))?;
            }
        }
        Ok(())
    }

    fn go_on(&mut self, place: &'static str, crashed: Crashed<'_>, start: &mut Start<'_>) -> Result<(), String> {
        *self.counts.entry(place).or_default() += 1;
        start(crashed)?;
        let Crashed { first, disk, interrupted } = crashed;
        if interrupted == STARTS || !self.nested[interrupted].next() {
            return Ok(());
        }
        for image in disk.images(self.chance.draw(), 1) {
            if self.tried.next() {
                let crashed = Crashed { first, disk: &image.disk, interrupted: interrupted + 1 };
                self.go_on(RECOVERIES[interrupted], crashed, start).map_err(|error| {
                    format!("then after call {} of that start ({:?}): {error}", image.point, image.loss)
                })?;
            }
        }
        Ok(())
    }

    fn images(&self) -> usize {
        self.counts.values().sum()
    }

    /// Prints what was tried, and fails if it was too little anywhere.
    fn report(&self, title: &str, lives: usize, places: &[&'static str]) {
        println!("{title}: {} images of {lives} lives", self.images());
        for (place, images) in &self.counts {
            println!("{title}: {images:>7} {place}");
        }
        for place in places.iter().chain(&RECOVERIES) {
            let images = self.counts.get(place).copied().unwrap_or(0);
            assert!(images >= self.plan.place_min, "{title}: only {images} images {place}");
        }
        assert!(self.images() >= self.plan.images_min, "{title}: only {} images", self.images());
    }
}

/// Runs a test: as many lives as the plan and `LONGSHORE_CRASH_IMAGES` ask for, each lived and crashed by `live` from a seed
/// of its own. `places` are those that must come up, beside the starts.
///
/// # Panics
///
/// If `live` fails, with the seed that gives the same run again, or if less was tried than the plan says.
pub fn run(
    title: &str,
    plan: Plan,
    places: &[&'static str],
    live: &mut dyn FnMut(&mut Trial, u64) -> Result<(), String>,
) {
    let seed = seed(title);
    let wanted = number("LONGSHORE_CRASH_IMAGES").unwrap_or(0);
    let mut trial = Trial::new(plan, seed);
    let mut lives = 0;
    while lives < plan.lives || (trial.images() as u64) < wanted {
        let of_life = trial.chance.draw();
        live(&mut trial, of_life).unwrap_or_else(|error| {
            panic!("{title}: life {lives}: {error}\n  again: LONGSHORE_CRASH_SEED={seed}, and LONGSHORE_CRASH_IMAGES as it is")
        });
        lives += 1;
    }
    trial.report(title, lives, places);
}

/// The run's seed, printed with what it is for.
///
/// # Panics
///
/// If `LONGSHORE_CRASH_SEED` is no decimal number.
pub fn seed(title: &str) -> u64 {
    let seed = number("LONGSHORE_CRASH_SEED").unwrap_or_else(|| u64::from_le_bytes(crate::random::bytes()));
    println!("{title}: seed {seed}");
    seed
}

fn number(variable: &str) -> Option<u64> {
    let set = std::env::var(variable).ok()?;
    Some(set.parse().unwrap_or_else(|_| panic!("{variable} is a decimal number")))
}

impl SimDisk {
    /// Where in a journal's work a crash after so many calls hits, by the file that the last of them was about.
    pub fn places(&self) -> Vec<&'static str> {
        let state = self.state();
        let mut names: BTreeMap<usize, String> =
            state.origin.0.iter().map(|(name, file)| (*file, name.clone())).collect();
        let mut places = vec!["before all"];
        for call in &state.calls {
            let last = places[places.len() - 1];
            places.push(place(call, last, &mut names));
        }
        places
    }
}

fn place(call: &Call, last: &'static str, names: &mut BTreeMap<usize, String>) -> &'static str {
    match call {
        Call::Create { name, file } => {
            names.insert(*file, name.clone());
            place_of(name)
        }
        Call::Link { name, .. } => place_of(name),
        Call::Rename { from, to } => {
            for name in names.values_mut() {
                if name == from {
                    name.clone_from(to);
                } else if let Some(moved) = moved(name, from, to) {
                    *name = moved;
                }
            }
            place_of(to)
        }
        Call::Remove { .. } | Call::RemoveDirectory { .. } => "removal",
        // It makes durable what came before.
        Call::SyncDirectory { .. } => last,
        Call::Truncate { file }
        | Call::Write { file, .. }
        | Call::Allocate { file, .. }
        | Call::Cut { file, .. }
        | Call::Sync { file }
        | Call::FailedSync { file } => place_of(&names[file]),
    }
}

fn place_of(name: &str) -> &'static str {
    let file = name.rsplit('/').next().unwrap_or(name);
    match file {
        _ if name.starts_with("backups") => "backup",
        _ if file.starts_with("snapshot-") => "snapshot",
        _ if file.starts_with("MANIFEST") => "manifest",
        _ if file.starts_with("set-aside-") => "set aside",
        _ if file.starts_with("reserve-") => "reserve",
        _ if file.starts_with("RESTORING") => "mark of a restore",
        _ => "log",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::storage::{Storage, StorageFile};
    use super::*;

    const ALL: Plan = Plan { lives: 1, draws: 1, one_in: 1, nested_one_in: [1; STARTS], images_min: 1, place_min: 1 };

    fn write(disk: &SimDisk, name: &str) {
        let file = disk.create(name).expect("it has room");
        file.write_at(b"x", 0).expect("it has room");
        file.sync().expect("it is well");
    }

    #[test]
    fn what_goes_wrong_after_three_interrupted_starts_alone_is_found_with_the_way_there() {
        let disk = SimDisk::new();
        write(&disk, "snapshot-8");
        let mut trial = Trial::new(ALL, 7);
        let found = trial.crash(&disk, &|_| Some("life"), &mut |crashed| {
            write(crashed.disk, "log");
            if crashed.interrupted == STARTS { Err("lost".to_owned()) } else { Ok(()) }
        });
        let found = found.expect_err("the third start after the first fails");
        assert!(found.starts_with("crash after call 0") && found.ends_with(": lost"), "{found}");
        assert_eq!(found.matches("then after call").count(), STARTS, "{found}");
        trial.report("nested", 1, &["life"]);
    }

    #[test]
    fn an_image_has_the_calls_of_its_start_alone() {
        let disk = SimDisk::new();
        write(&disk, "snapshot-8");
        let mut trial = Trial::new(ALL, 7);
        let sound = trial.crash(&disk, &|image| (image.point > 0).then_some("life"), &mut |crashed| {
            assert_eq!(crashed.disk.calls(), 0);
            write(crashed.disk, "log");
            Ok(())
        });
        sound.expect("nothing goes wrong");
        assert!(trial.counts.values().all(|images| *images > 0) && trial.counts.len() == 1 + STARTS);
    }

    #[test]
    fn a_place_is_that_of_the_file_a_call_is_about() {
        let disk = SimDisk::new();
        write(&disk, "snapshot-8.new");
        disk.rename("snapshot-8.new", "snapshot-8").expect("it is there");
        disk.sync_directory().expect("it is well");
        write(&disk, "MANIFEST.new");
        disk.remove("snapshot-8").expect("it is there");
        let places = disk.places();
        assert_eq!(places[..2], ["before all", "snapshot"]);
        assert_eq!(places[places.len() - 2..], ["manifest", "removal"]);
        assert_eq!(places.len(), disk.calls() + 1);
    }
}
