//! Power loss at every point of a journal's life, on a simulated disk.
//!
//! A life (commits, rotations, idle times, clean and unclean stops) runs once on a disk that records every call. Then, for a
//! crash after each call and each thing it can leave, the journal is opened on what is left and must hold the frames that
//! were promised, whole and in order; so must what a crash during that opening leaves, during the opening after that, and
//! once more. The seed is drawn anew for each run and printed; `LONGSHORE_CRASH_SEED` sets it, and `LONGSHORE_CRASH_IMAGES`
//! how many images each test tries at least, here and wherever a test uses `journal::sim::run`.

use queue_core::journal::sim::{self, Call, Chance, Loss, Plan, SimDisk, Trial};
use queue_core::journal::{FsyncPolicy, Journal, JournalError, Options};

/// Commits of a life.
const COMMITS: u64 = 60;
/// What is tried under each policy.
const PLAN: Plan =
    Plan { lives: 6, draws: 2, one_in: 1, nested_one_in: [31, 43, 43], images_min: 6_000, place_min: 50 };

/// A frame's write arrived in part.
const MID_FRAME: &str = "mid-frame";
/// The write arrived whole or not at all, and nothing synced it yet.
const BETWEEN_WRITE_AND_SYNC: &str = "between write and sync";
/// The next segment is being allocated, synced, named, or written to first.
const ROTATION: &str = "rotation";
/// Everything before was synced.
const AFTER_SYNC: &str = "after a sync";
const PLACES: [&str; 4] = [MID_FRAME, BETWEEN_WRITE_AND_SYNC, ROTATION, AFTER_SYNC];

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
fn place(calls: &[Call], point: usize, loss: Loss) -> &'static str {
    let Some(at) = point.checked_sub(1) else { return AFTER_SYNC };
    match &calls[at] {
        // The first write to a segment, and every call that makes one.
        Call::Write { offset: 0, .. } => ROTATION,
        Call::Write { .. } => match loss {
            Loss::Sectors(_) | Loss::TornLastWrite(_) => MID_FRAME,
            Loss::Everything | Loss::Nothing => BETWEEN_WRITE_AND_SYNC,
        },
        Call::Sync { .. } if at > 0 && matches!(calls[at - 1], Call::Allocate { .. }) => ROTATION,
        Call::Sync { .. } | Call::FailedSync { .. } => AFTER_SYNC,
        Call::Create { .. }
        | Call::Truncate { .. }
        | Call::Allocate { .. }
        | Call::Cut { .. }
        | Call::Rename { .. }
        | Call::Link { .. }
        | Call::Remove { .. }
        | Call::RemoveDirectory { .. }
        | Call::SyncDirectory { .. } => ROTATION,
    }
}

/// Lives, and crashes that everywhere; what a first start found, every later one must find.
fn live_and_crash(trial: &mut Trial, policy: FsyncPolicy, seed: u64) -> Result<(), String> {
    let life = Life::live(policy, seed);
    let calls = life.disk.history();
    let (mut found, mut cut) = (0, Vec::new());
    trial.crash(&life.disk, &|image| Some(place(&calls, image.point, image.loss)), &mut |crashed| {
        if crashed.interrupted == 0 {
            let (at_least, at_most) = life.bounds(crashed.first.point);
            assert!(policy != FsyncPolicy::Always || at_most <= at_least + 1, "one frame at a time is unacknowledged");
            found = check(&life, crashed.disk, at_least, at_most)?;
            cut = torn_files(crashed.disk);
            return Ok(());
        }
        check(&life, crashed.disk, found, found)?;
        let kept = torn_files(crashed.disk);
        match cut.iter().find(|bytes| !kept.contains(bytes)) {
            Some(lost) => Err(format!("{} bytes of torn tail were cut and are not kept", lost.len())),
            None => Ok(()),
        }
    })
}

/// The torn tails that are kept beside the journal.
fn torn_files(disk: &SimDisk) -> Vec<Vec<u8>> {
    let kept = |name: &str| name.starts_with("torn-") && !name.ends_with(".new");
    disk.files().into_iter().filter(|(name, _)| kept(name)).map(|(_, bytes)| bytes).collect()
}

fn run(policy: FsyncPolicy) {
    sim::run(&format!("{policy:?}"), PLAN, &PLACES, &mut |trial, seed| live_and_crash(trial, policy, seed));
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
    let seed = sim::seed("failed sync");
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
            for image in life.disk.images(chance.draw(), PLAN.draws).filter(|image| image.point >= failed) {
                let at_least = if image.point == end { served } else { before };
                let outcome = check(&life, &image.disk, at_least, life.frames.len());
                outcome.unwrap_or_else(|error| {
                    panic!("{policy:?}, call {} of {end}, {:?}: {error}; seed {seed}", image.point, image.loss)
                });
            }
        }
    }
}
