//! Power loss at every point of a journal's life, on a simulated disk.
//!
//! A life (commits, rotations, idle times, clean and unclean stops) runs once on a disk that records every call. Then, for a
//! crash after each call and each thing it can leave, the journal is opened on what is left and must hold the frames that
//! were promised, whole and in order; so must what a crash during that opening leaves, and during the opening after that.
//! The seed is drawn anew for each run and printed; `LONGSHORE_CRASH_SEED` sets it.

use std::collections::BTreeMap;
use std::fmt;

use queue_core::journal::sim::{Call, Chance, Image, Loss, SimDisk};
use queue_core::journal::{FsyncPolicy, Journal, JournalError, Options};

/// Lives per policy, and the commits of each.
const LIVES: u64 = 6;
const COMMITS: u64 = 60;
/// Sector subsets and torn writes per point of a life; in the openings after a crash there is one of each.
const DRAWS: usize = 2;
/// One of so many images is also crashed while it is being opened, and one of so many of those once more.
const RECOVERIES_EVERY: usize = 23;
const RECOVERIES_OF_RECOVERIES_EVERY: usize = 29;
/// What a run must reach, as a whole and in each place.
const IMAGES_MIN: usize = 2000;
const IMAGES_MIN_PER_PLACE: usize = 50;

/// Where in a journal's life a crash hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A frame's write arrived in part.
    MidFrame,
    /// The write arrived whole or not at all, and nothing synced it yet.
    BetweenWriteAndSync,
    /// The next segment is being allocated, synced, named, or written to first.
    Rotation,
    /// Everything before was synced.
    AfterSync,
    /// A journal is being opened after a crash.
    Recovery,
    /// A journal is being opened after a crash while it was being opened after a crash.
    RecoveryOfRecovery,
}

const PLACES: [Place; 6] = [
    Place::MidFrame,
    Place::BetweenWriteAndSync,
    Place::Rotation,
    Place::AfterSync,
    Place::Recovery,
    Place::RecoveryOfRecovery,
];

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Place::MidFrame => "mid-frame",
            Place::BetweenWriteAndSync => "between write and sync",
            Place::Rotation => "rotation",
            Place::AfterSync => "after a sync",
            Place::Recovery => "recovery",
            Place::RecoveryOfRecovery => "recovery of a recovery",
        })
    }
}

/// A record of the life: enough to notice any mix-up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    position: u64,
    at: u64,
    body: Vec<u8>,
}

/// What was true once the disk had seen so many calls.
#[derive(Debug, Clone, Copy)]
struct Fact {
    calls: usize,
    /// Frames that must be found from then on.
    promised: usize,
    /// Frames whose write had begun: more cannot be found.
    begun: usize,
}

/// A journal's life on a simulated disk.
struct Life {
    disk: SimDisk,
    policy: FsyncPolicy,
    frames: Vec<Vec<Entry>>,
    /// Positions after each frame.
    ends: Vec<u64>,
    facts: Vec<Fact>,
    chance: Chance,
    now: u64,
}

fn options(policy: FsyncPolicy) -> Options {
    Options { policy, segment_bytes_first: 4 << 10, segment_bytes_max: 16 << 10, reserve: false, ..Options::default() }
}

fn open(disk: &SimDisk, policy: FsyncPolicy) -> Result<(Journal<SimDisk>, Vec<Entry>), JournalError> {
    let mut entries = Vec::new();
    let (journal, _) = Journal::open(disk.clone(), options(policy), &mut |record| {
        entries.push(Entry { position: record.position.get(), at: record.at, body: record.body.to_vec() });
        Ok(())
    })?;
    Ok((journal, entries))
}

impl Life {
    fn live(policy: FsyncPolicy, seed: u64) -> Life {
        let mut life = Life {
            disk: SimDisk::new(),
            policy,
            frames: Vec::new(),
            ends: Vec::new(),
            facts: vec![Fact { calls: 0, promised: 0, begun: 0 }],
            chance: Chance(seed),
            now: 0,
        };
        let (mut journal, _) = open(&life.disk, policy).expect("a new store opens");
        for _ in 0..COMMITS {
            life.commit(&mut journal);
            journal = life.pass_time(journal);
        }
        life
    }

    /// Appends a few records and commits them.
    fn commit(&mut self, journal: &mut Journal<SimDisk>) {
        self.now += 10;
        let mut entries = Vec::new();
        for _ in 0..=self.chance.below(3) {
            let bound = if self.chance.below(20) == 0 { 20_000 } else { 900 };
            let length = self.chance.below(bound);
            // Random bytes: a sector that is missing or comes from elsewhere always shows.
            let body: Vec<u8> = (0..length).map(|_| self.chance.draw().to_le_bytes()[0]).collect();
            let position = journal.append(1, false, self.now, |into| into.extend_from_slice(&body)).get();
            entries.push(Entry { position, at: self.now, body });
        }
        let end = journal.end();
        self.frames.push(entries);
        self.ends.push(end.get());
        let commit = journal.begin_commit(self.now).expect("there is something to commit");
        self.note(journal);
        assert_eq!(journal.finish_commit(commit.run()).expect("the disk is well") >= end, !self.is_late(journal));
        self.note(journal);
    }

    /// Commits a frame and lets its sync fail.
    fn fail(&mut self, journal: &mut Journal<SimDisk>) {
        let body = vec![0xAA; 700];
        let position = journal.append(1, false, self.now, |into| into.extend_from_slice(&body)).get();
        self.frames.push(vec![Entry { position, at: self.now, body }]);
        self.disk.fail_next_sync();
        let commit = journal.begin_commit(self.now).expect("there is something to commit");
        let syncs = commit.syncs();
        let outcome = journal.finish_commit(commit.run());
        if !syncs {
            let sync = journal.begin_sync(self.now + 1000).expect("it is due");
            assert!(journal.finish_sync(sync.run()).is_err());
        }
        assert!(outcome.is_err() || !syncs);
        assert!(journal.failed().is_some());
    }

    fn is_late(&self, journal: &Journal<SimDisk>) -> bool {
        journal.frontier() < journal.written()
    }

    /// Lets some of what happens between commits happen.
    fn pass_time(&mut self, mut journal: Journal<SimDisk>) -> Journal<SimDisk> {
        if self.chance.below(4) > 0 {
            journal.maintain(self.now);
        }
        match self.chance.below(12) {
            0 => {
                self.now += 200;
                if let Some(seal) = journal.begin_commit(self.now) {
                    journal.finish_commit(seal.run()).expect("the disk is well");
                }
            }
            1 | 2 => {
                self.now += 1000;
                if let Some(sync) = journal.begin_sync(self.now) {
                    journal.finish_sync(sync.run()).expect("the disk is well");
                }
            }
            3 if self.chance.coin() => {
                if self.chance.coin() {
                    journal.close(self.now).expect("the disk is well");
                } else {
                    drop(journal);
                }
                journal = open(&self.disk, self.policy).expect("it opens").0;
            }
            _ => {}
        }
        self.note(&journal);
        journal
    }

    fn note(&mut self, journal: &Journal<SimDisk>) {
        // Under `always` what is synced is what was acknowledged; otherwise it is what survives power loss.
        let promised = self.ends.partition_point(|end| *end <= journal.synced().get());
        self.facts.push(Fact { calls: self.disk.calls(), promised, begun: self.frames.len() });
    }

    /// How many frames must at least, and can at most, be found after a crash behind `calls` calls.
    fn bounds(&self, calls: usize) -> (usize, usize) {
        let known = self.facts.partition_point(|fact| fact.calls <= calls);
        // The frame whose write comes next was begun at the last of these facts.
        (self.facts[known - 1].promised, self.facts[known - 1].begun)
    }

    /// How many whole frames `found` is, if it is a prefix of them.
    fn count(&self, found: &[Entry]) -> Result<usize, String> {
        let mut rest = found;
        for (index, frame) in self.frames.iter().enumerate() {
            if rest.is_empty() {
                return Ok(index);
            }
            rest =
                rest.strip_prefix(frame.as_slice()).ok_or_else(|| format!("frame {index} is not as it was written"))?;
        }
        if rest.is_empty() { Ok(self.frames.len()) } else { Err(format!("{} records too many", rest.len())) }
    }
}

/// Opens an image; what is found must be `at_least` to `at_most` frames, also when it is opened again.
fn check(life: &Life, image: &SimDisk, at_least: usize, at_most: usize) -> Result<usize, String> {
    let before = SimDisk::with_files(image.files());
    let (_, found) = open(image, life.policy).map_err(|error| format!("refused: {error}"))?;
    let count = life.count(&found)?;
    if count < at_least || count > at_most {
        return Err(format!("found {count} frames, expected {at_least} to {at_most}"));
    }
    // Another disk with the same files, so that the calls on the image's stay those of one opening.
    go_on(life, &before, &found)?;
    Ok(count)
}

/// Opens the disk twice, commits a frame, and lets the power fail: `found` and that frame must be there.
fn go_on(life: &Life, disk: &SimDisk, found: &[Entry]) -> Result<(), String> {
    drop(open(disk, life.policy).map_err(|error| format!("refused: {error}"))?);
    let open_again = || Journal::open(disk.clone(), options(life.policy), &mut |_| Ok(()));
    let (mut journal, recovered) = open_again().map_err(|error| format!("refused when opened again: {error}"))?;
    if !recovered.clean || recovered.torn_bytes > 0 {
        return Err(format!("opened again, it is not clean: {recovered:?}"));
    }
    journal.append(2, false, life.now, |body| body.extend_from_slice(b"after the crash"));
    let commit = journal.begin_commit(life.now).ok_or("nothing to commit")?;
    journal.finish_commit(commit.run()).map_err(|error| error.to_string())?;
    if life.policy == FsyncPolicy::Always {
        drop(journal);
    } else {
        journal.close(life.now).map_err(|error| error.to_string())?;
    }
    let (_, more) = open(&disk.after_power_loss(Loss::Everything), life.policy)
        .map_err(|error| format!("refused after another frame: {error}"))?;
    match more.split_last() {
        Some((last, before)) if before == found && last.body == b"after the crash" => Ok(()),
        _ => Err("after another frame it holds something else".to_owned()),
    }
}

/// Names the place that a crash after call `point` hits.
fn place(calls: &[Call], point: usize, loss: Loss) -> Place {
    let Some(at) = point.checked_sub(1) else { return Place::AfterSync };
    match &calls[at] {
        // The first write to a segment, and every call that makes one.
        Call::Write { offset: 0, .. } => Place::Rotation,
        Call::Write { .. } => match loss {
            Loss::Sectors(_) | Loss::TornLastWrite(_) => Place::MidFrame,
            Loss::Everything | Loss::Nothing => Place::BetweenWriteAndSync,
        },
        Call::Sync { .. } if at > 0 && matches!(calls[at - 1], Call::Allocate { .. }) => Place::Rotation,
        Call::Sync { .. } | Call::FailedSync { .. } => Place::AfterSync,
        Call::Create { .. }
        | Call::Truncate { .. }
        | Call::Allocate { .. }
        | Call::Cut { .. }
        | Call::Rename { .. }
        | Call::Link { .. }
        | Call::Remove { .. }
        | Call::RemoveDirectory { .. }
        | Call::SyncDirectory { .. } => Place::Rotation,
    }
}

/// Crashes one policy's lives everywhere; returns the images per place.
fn crash_everywhere(policy: FsyncPolicy, seed: u64) -> Result<BTreeMap<Place, usize>, String> {
    let mut chance = Chance(seed);
    let mut places = BTreeMap::new();
    for number in 0..LIVES {
        let life = Life::live(policy, chance.draw());
        let calls = life.disk.history();
        for (index, image) in life.disk.images(chance.draw(), DRAWS).enumerate() {
            let describe =
                |error| format!("life {number}, crash after call {} ({:?}): {error}", image.point, image.loss);
            *places.entry(place(&calls, image.point, image.loss)).or_default() += 1;
            let (at_least, at_most) = life.bounds(image.point);
            assert!(policy != FsyncPolicy::Always || at_most <= at_least + 1, "one frame at a time is unacknowledged");
            let found = check(&life, &image.disk, at_least, at_most).map_err(describe)?;
            if index % RECOVERIES_EVERY == 0 {
                crash_recovery(&life, &image, found, &mut chance, &mut places).map_err(describe)?;
            }
        }
    }
    Ok(places)
}

/// Crashes the opening of `image`, and of some of what that leaves: what it found first, it must find always.
fn crash_recovery(
    life: &Life,
    image: &Image,
    found: usize,
    chance: &mut Chance,
    places: &mut BTreeMap<Place, usize>,
) -> Result<(), String> {
    let cut = torn_files(&image.disk);
    for (index, second) in image.disk.images(chance.draw(), 1).enumerate() {
        let describe = |error| format!("then after call {} of its opening ({:?}): {error}", second.point, second.loss);
        *places.entry(Place::Recovery).or_default() += 1;
        check(life, &second.disk, found, found).map_err(describe)?;
        let kept = torn_files(&second.disk);
        if let Some(lost) = cut.iter().find(|bytes| !kept.contains(bytes)) {
            return Err(describe(format!("{} bytes of torn tail were cut and are not kept", lost.len())));
        }
        if index % RECOVERIES_OF_RECOVERIES_EVERY == 0 {
            for third in second.disk.images(chance.draw(), 1) {
                *places.entry(Place::RecoveryOfRecovery).or_default() += 1;
                check(life, &third.disk, found, found).map_err(|error| {
                    describe(format!("then after call {} of that opening ({:?}): {error}", third.point, third.loss))
                })?;
            }
        }
    }
    Ok(())
}

/// The torn tails that are kept beside the journal.
fn torn_files(disk: &SimDisk) -> Vec<Vec<u8>> {
    let kept = |name: &str| name.starts_with("torn-") && !name.ends_with(".new");
    disk.files().into_iter().filter(|(name, _)| kept(name)).map(|(_, bytes)| bytes).collect()
}

/// The run's seed, printed with what it is for.
fn seed(title: &str) -> u64 {
    let seed = match std::env::var("LONGSHORE_CRASH_SEED") {
        Ok(seed) => seed.parse().expect("LONGSHORE_CRASH_SEED is a decimal number"),
        Err(_) => u64::from_le_bytes(queue_core::random::bytes()),
    };
    println!("{title}: seed {seed}");
    seed
}

fn run(policy: FsyncPolicy) {
    let seed = seed(&format!("{policy:?}"));
    let places = crash_everywhere(policy, seed)
        .unwrap_or_else(|error| panic!("{policy:?}: {error}\n  again: LONGSHORE_CRASH_SEED={seed}"));
    let total: usize = places.values().sum();
    println!("{policy:?}: {total} images");
    for place in PLACES {
        let images = places.get(&place).copied().unwrap_or(0);
        println!("{policy:?}: {images:>7} {place}");
        assert!(images >= IMAGES_MIN_PER_PLACE, "{policy:?}: only {images} images {place}, seed {seed}");
    }
    assert!(total >= IMAGES_MIN, "{policy:?}: only {total} images, seed {seed}");
}

#[test]
fn always_keeps_what_was_acknowledged() {
    run(FsyncPolicy::Always);
}

#[test]
fn everysec_keeps_what_was_synced_and_a_prefix_of_the_rest() {
    run(FsyncPolicy::EverySec);
}

#[test]
fn no_keeps_what_was_synced_and_a_prefix_of_the_rest() {
    run(FsyncPolicy::No);
}

/// A frame whose sync failed can be read back after a restart although the disk never got it. If it is served then, it must
/// be on the disk by then.
#[test]
fn what_only_the_cache_held_after_a_failed_sync_is_durable_once_served() {
    let seed = seed("failed sync");
    let mut chance = Chance(seed);
    for policy in [FsyncPolicy::Always, FsyncPolicy::EverySec] {
        for _ in 0..100 {
            let mut life = Life::live(policy, chance.draw());
            let (mut journal, found) = open(&life.disk, policy).expect("it opens");
            let before = life.count(&found).expect("nothing is lost");
            life.fail(&mut journal);
            drop(journal);
            let failed = life.disk.calls();
            let (journal, found) = open(&life.disk, policy).expect("it opens");
            let served = life.count(&found).expect("whole frames");
            drop(journal);
            let end = life.disk.calls();
            for image in life.disk.images(chance.draw(), DRAWS).filter(|image| image.point >= failed) {
                let at_least = if image.point == end { served } else { before };
                let outcome = check(&life, &image.disk, at_least, life.frames.len());
                outcome.unwrap_or_else(|error| {
                    panic!("{policy:?}, call {} of {end}, {:?}: {error}; seed {seed}", image.point, image.loss)
                });
            }
        }
    }
}
