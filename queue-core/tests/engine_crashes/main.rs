//! Power loss at every point of a log engine's life: what it comes back with is what it acknowledged.
//!
//! Random commands run on an engine over a disk that records every call; after each answer the state's digest is noted.
//! Then, for a crash after each call and each thing it can leave, the store is read back: under `always` its state is
//! the acknowledged one, or that with the one unacknowledged command whole; under `everysec` and `no` it is a state
//! that was. Time stands still, so that every frame is one command's. `LONGSHORE_SEED` runs one life again.

#[expect(dead_code, reason = "time stands still here")]
#[path = "../model/draw.rs"]
mod draw;
#[expect(dead_code, reason = "the model test compares all of it; here it only tells which jobs and leases there are")]
#[path = "../model/naive/mod.rs"]
mod naive;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use draw::{Draw, Step};
use naive::Model;
use queue_core::engine::{Clock, Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::sim::{Call, Chance, SimDisk};
use queue_core::journal::{FsyncPolicy, Journal, Options};
use queue_core::machine::{Machine, decode};
use queue_core::model::{Backoff, Command, Context, JobOptions, NewJob, Now};

const BEGIN_MS: u64 = 1_795_000_000_000;
/// Lives under each policy, and the commands of each.
const LIVES: u64 = 8;
const COMMANDS: usize = 60;
/// Sector subsets and torn writes per point.
const DRAWS: usize = 3;
/// What a run must reach under each policy.
const IMAGES_MIN: usize = 2_000;

/// A life on a disk, and what was known of it when.
struct Life {
    disk: SimDisk,
    /// After each answer: calls of the disk so far, and the state's digest.
    acknowledged: Vec<(usize, String)>,
}

async fn live(seed: u64, fsync: FsyncPolicy) -> Life {
    let disk = SimDisk::new();
    let clock = Arc::new(ManualClock::new(BEGIN_MS));
    let options = LocalOptions {
        fsync,
        segment_bytes: 64 << 10,
        clock: clock as Arc<dyn Clock>,
        seed,
        ..LocalOptions::default()
    };
    let (engine, _) = LocalEngine::on(disk.clone(), options).expect("a new store");
    let now = Now { steady: BEGIN_MS, wall: BEGIN_MS };
    let (mut draw, mut model) = (Draw::new(seed), Model::default());
    model.start(now, false);
    let mut acknowledged = vec![(disk.calls(), engine.stats().await.expect("open").state_hash)];
    while acknowledged.len() < COMMANDS {
        let Step::Command(mut command) = draw.step(&model, None) else { continue };
        if acknowledged.len().is_multiple_of(4) {
            *command = a_large_job();
        }
        // A bulk operation goes on in frames of its own after its answer.
        if matches!(*command, Command::StartOperation { .. }) {
            continue;
        }
        let answers = engine.execute(&Context::default(), vec![(*command).clone(), Command::Stats]).await;
        answers.expect("the disk is sound");
        model.apply(now, &command).ok();
        model.elapse(now);
        acknowledged.push((disk.calls(), engine.stats().await.expect("open").state_hash));
    }
    // Not closed: a crash ends it.
    Life { disk, acknowledged }
}

/// A few of these fill a segment, so that the life rotates.
fn a_large_job() -> Command {
    // Without jitter: the model draws no chance.
    let options = JobOptions { backoff: Some(Backoff::fixed(0)), ..JobOptions::default() };
    Command::Enqueue { queue: "a".into(), jobs: vec![NewJob::new("large", vec![b'x'; 10 << 10]).with(options)] }
}

/// The digest of the state that the store on this disk holds; `None` before its first frame.
fn recovered(disk: &SimDisk, fsync: FsyncPolicy) -> Option<String> {
    let mut machine = Machine::new();
    let mut records = 0;
    let options = Options { policy: fsync, ..Options::default() };
    let opened = Journal::open(disk.clone(), options, &mut |record| {
        machine.evolve(record.position.get(), record.at, &decode(record.kind, record.body)?);
        machine.drain_released().for_each(drop);
        records += 1;
        Ok(())
    });
    opened.expect("a crash is no corruption");
    machine.assert_invariants();
    (records > 0).then(|| format!("{:016x}", machine.state_hash()))
}

/// Checks every image of a life; how many there were.
fn check_life(life: &Life, seed: u64, fsync: FsyncPolicy) -> usize {
    let mut chance = Chance(seed);
    let mut crashes = life.disk.crashes();
    let mut images = 0;
    loop {
        let point = crashes.point();
        let known = life.acknowledged.iter().rposition(|&(calls, _)| calls <= point);
        let right: Vec<&String> = match (fsync, known) {
            (FsyncPolicy::Always, Some(last)) => {
                life.acknowledged[last..].iter().take(2).map(|(_, hash)| hash).collect()
            }
            _ => life.acknowledged.iter().map(|(_, hash)| hash).collect(),
        };
        for loss in crashes.losses(&mut chance, DRAWS) {
            let state = recovered(&crashes.image(loss), fsync);
            let nothing_known = state.is_none() && (known.is_none() || fsync != FsyncPolicy::Always);
            let found = state.as_ref().is_some_and(|state| right.contains(&state));
            assert!(
                found || nothing_known,
                "seed {seed}, {fsync:?}: after call {point}, losing {loss:?}, the state is {state:?}, \
                 with {known:?} commands acknowledged"
            );
            images += 1;
        }
        if !crashes.advance() {
            return images;
        }
    }
}

fn check_policy(fsync: FsyncPolicy) {
    let set = std::env::var("LONGSHORE_SEED").ok().map(|text| text.parse().expect("LONGSHORE_SEED is a number"));
    #[expect(clippy::disallowed_methods, reason = "every run draws other lives; a failure prints its seed")]
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64 * 1_000;
    let seeds = set.map_or(drawn..drawn + LIVES, |seed| seed..seed + 1);
    println!("{fsync:?}: seeds {seeds:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let (mut images, mut rotations) = (0, 0);
    for seed in seeds {
        let life = runtime.block_on(live(seed, fsync));
        images += check_life(&life, seed, fsync);
        let renamed = |call: &Call| matches!(call, Call::Rename { .. });
        rotations += life.disk.history().iter().filter(|call| renamed(call)).count();
    }
    println!("{fsync:?}: {images} images, {rotations} rotations");
    assert!(set.is_some() || images >= IMAGES_MIN, "only {images} images");
}

#[test]
fn under_always_a_crash_leaves_what_was_acknowledged() {
    check_policy(FsyncPolicy::Always);
}

#[test]
fn under_everysec_a_crash_leaves_a_state_that_was() {
    check_policy(FsyncPolicy::EverySec);
}

#[test]
fn under_no_sync_a_crash_leaves_a_state_that_was() {
    check_policy(FsyncPolicy::No);
}
