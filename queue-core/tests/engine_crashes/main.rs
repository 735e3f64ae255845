//! Power loss at every point of a log engine's life: what it comes back with is what it acknowledged.
//!
//! Random commands run on an engine over a disk that records every call; after each answer the state's digest is noted.
//! Then, for a crash after each call and each thing it can leave, the store is read back. Its state is that after a whole
//! frame: under `always` no earlier one than was acknowledged, under every policy no earlier one than a sync that had
//! returned covers, and where nothing was lost the last one. Time goes on, so that the engine seals and syncs by itself;
//! while it stands still a command is one frame. The starts are crashed as well, one in another. `LONGSHORE_CRASH_SEED` runs
//! the same commands again; what the engine does on other threads falls elsewhere among them.

#[expect(dead_code, reason = "time passes evenly here")]
#[path = "../model/draw.rs"]
mod draw;
#[expect(dead_code, reason = "the model test compares all of it; here it only tells which jobs and leases there are")]
#[path = "../model/naive/mod.rs"]
mod naive;

use std::sync::Arc;

use draw::{Draw, Step};
use naive::Model;
use queue_core::engine::{Clock, Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::sim::{self, Call, Loss, Plan, SimDisk, Trial};
use queue_core::journal::{FsyncPolicy, Journal, Options};
use queue_core::machine::{Machine, decode};
use queue_core::model::{Backoff, Command, Context, JobOptions, NewJob, Now};

const BEGIN_MS: u64 = 1_795_000_000_000;
/// Commands of a life.
const COMMANDS: usize = 60;
/// What is tried under each policy.
const PLAN: Plan =
    Plan { lives: 8, draws: 3, one_in: 1, nested_one_in: [151, 47, 47], images_min: 3_000, place_min: 50 };

/// What was known once a command was answered.
struct Known {
    /// Calls of the disk so far.
    calls: usize,
    /// The state's digest.
    hash: String,
    /// Whether no time had passed since the answer before.
    at_once: bool,
}

/// A life on a disk, and what was known of it when.
struct Life {
    disk: SimDisk,
    acknowledged: Vec<Known>,
}

/// A frame as it was written.
struct Frame {
    /// The call that wrote it.
    call: usize,
    file: usize,
    end: u64,
}

/// How much time passes before a command: mostly too little for a seal, so that syncs fall due beside the commits.
fn pause_before(command: usize) -> u64 {
    match command {
        _ if command.is_multiple_of(40) => 1_000,
        _ if command.is_multiple_of(20) => 200,
        _ if command.is_multiple_of(3) => 0,
        _ => 95,
    }
}

async fn live(seed: u64, fsync: FsyncPolicy) -> Life {
    let disk = SimDisk::new();
    let clock = Arc::new(ManualClock::new(BEGIN_MS));
    let options = LocalOptions {
        fsync,
        segment_bytes: 64 << 10,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        seed,
        ..LocalOptions::default()
    };
    let (engine, _) = LocalEngine::on(disk.clone(), options).expect("a new store");
    let mut now = Now { steady: BEGIN_MS, wall: BEGIN_MS };
    let (mut draw, mut model) = (Draw::new(seed), Model::default());
    model.start(now, false);
    let mut acknowledged = Vec::new();
    let mut at_once = false;
    while acknowledged.len() < COMMANDS {
        let Step::Command(mut command) = draw.step(&model, None) else { continue };
        if acknowledged.len() % 4 == 3 {
            *command = a_large_job();
        }
        // A bulk operation goes on in frames of its own after its answer.
        if matches!(*command, Command::StartOperation { .. }) {
            continue;
        }
        engine.execute(&Context::default(), vec![(*command).clone()]).await.expect("the disk is sound");
        model.apply(now, &command).ok();
        model.elapse(now);
        // Without an await in between: this is the state of the last frame that has been written.
        let hash = engine.stats().await.expect("open").state_hash;
        acknowledged.push(Known { calls: disk.calls(), hash, at_once });
        let pause = pause_before(acknowledged.len());
        at_once = pause == 0;
        if pause > 0 {
            clock.advance(pause);
            now = Now { steady: now.steady + pause, wall: now.wall + pause };
            model.elapse(now);
            // The engine's own task does what is due.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
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

/// The frames of a life, in order.
fn frames(history: &[Call]) -> Vec<Frame> {
    let frame = |(call, made): (usize, &Call)| {
        let Call::Write { file, bytes, .. } = made else { return None };
        let frame = if bytes.starts_with(b"LSHSEGMT") { &bytes[64..] } else { &bytes[..] };
        let number = |at: usize| u64::from_le_bytes(frame[at..at + 8].try_into().expect("eight bytes"));
        frame.starts_with(b"LSFR").then(|| Frame { call, file: *file, end: number(16) + 48 + (number(24) >> 32) })
    };
    history.iter().enumerate().filter_map(frame).collect()
}

/// The digest of the state before the first frame and after each.
fn states(life: &Life, frames: &[Frame], fsync: FsyncPolicy) -> Vec<Option<String>> {
    let mut machine = Machine::new();
    let mut states = vec![None];
    let options = Options { policy: fsync, ..Options::default() };
    let whole = SimDisk::with_files(life.disk.files());
    let hash = |machine: &Machine| Some(format!("{:016x}", machine.state_hash()));
    let opened = Journal::open(whole, options, &mut |record| {
        while frames[states.len() - 1].end <= record.position.get() {
            states.push(hash(&machine));
        }
        machine.evolve(record.position.get(), record.at, &decode(record.kind, record.body)?);
        machine.drain_released().for_each(drop);
        Ok(())
    });
    opened.expect("the disk is sound");
    states.resize(frames.len() + 1, hash(&machine));
    states
}

/// How many frames every crash behind `point` calls must leave: what the last sync covers.
fn synced_frames(history: &[Call], frames: &[Frame], point: usize) -> usize {
    let syncs = history[..point].iter().enumerate().filter_map(|(call, made)| match made {
        Call::Sync { file } => Some((call, *file)),
        _ => None,
    });
    // What is before the synced file's last frame was synced before that frame's segment was begun.
    let covers = |(call, file)| {
        let last = frames.iter().rposition(|frame| frame.file == file && frame.call < call);
        last.map_or(0, |last| last + 1)
    };
    syncs.map(covers).max().unwrap_or(0)
}

/// For each answer the number of frames that make its state.
fn acknowledged_frames(life: &Life, frames: &[Frame], states: &[Option<String>]) -> Vec<usize> {
    let mut before: Option<usize> = None;
    let frames_of = |known: &Known| {
        let written = frames.partition_point(|frame| frame.call < known.calls);
        let found = states[..=written].iter().position(|state| state.as_ref() == Some(&known.hash));
        let found = found.expect("what was answered had been written, and ends with a frame");
        if known.at_once
            && let Some(before) = before
        {
            let made = states[before..=found].windows(2).filter(|two| two[0] != two[1]).count();
            assert!(made <= 1, "a command is one frame, and this one {made}");
        }
        before = Some(found);
        found
    };
    life.acknowledged.iter().map(frames_of).collect()
}

/// What the images of a run had to hold.
#[derive(Debug, Default)]
struct Held {
    /// How many were left by a crash of a life.
    images: usize,
    /// How many of these had a state to hold.
    with_state: usize,
    rotations: usize,
}

/// Crashes a life everywhere; what a first start found, every later one must find.
fn check_life(trial: &mut Trial, life: &Life, fsync: FsyncPolicy, held: &mut Held) -> Result<(), String> {
    let history = life.disk.history();
    let frames = frames(&history);
    let states = states(life, &frames, fsync);
    let answered = acknowledged_frames(life, &frames, &states);
    let mut first = None;
    trial.crash(&life.disk, &|_| Some("life"), &mut |crashed| {
        let state = recovered(crashed.disk, fsync);
        if crashed.interrupted > 0 {
            let same = state == first;
            return if same { Ok(()) } else { Err(format!("the state is {state:?}, and was {first:?} before")) };
        }
        let point = crashed.first.point;
        let written = frames.partition_point(|frame| frame.call < point);
        let known = life.acknowledged.partition_point(|known| known.calls <= point);
        let mut floor = synced_frames(&history, &frames, point);
        if fsync == FsyncPolicy::Always && known > 0 {
            floor = floor.max(answered[known - 1]);
        }
        held.images += 1;
        held.with_state += usize::from(floor > 0);
        if crashed.first.loss == Loss::Nothing {
            floor = written;
        }
        if !states[floor..=written].contains(&state) {
            return Err(format!(
                "the state is {state:?}, which is that of none of the frames {floor} to {written}, with {known} commands \
                 acknowledged"
            ));
        }
        first = state;
        Ok(())
    })
}

fn check_policy(fsync: FsyncPolicy) {
    let mut held = Held::default();
    sim::run(&format!("engine, {fsync:?}"), PLAN, &["life"], &mut |trial, seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it can be made");
        let life = runtime.block_on(live(seed, fsync));
        // Waits for what the engine does on other threads.
        drop(runtime);
        let renamed = |call: &&Call| matches!(call, Call::Rename { .. });
        held.rotations += life.disk.history().iter().filter(renamed).count();
        check_life(trial, &life, fsync, &mut held)
    });
    println!("engine, {fsync:?}: {held:?}");
    assert!(held.with_state >= held.images / 4, "only {held:?}");
}

#[test]
fn under_always_a_crash_leaves_what_was_acknowledged() {
    check_policy(FsyncPolicy::Always);
}

#[test]
fn under_everysec_a_crash_leaves_what_was_synced() {
    check_policy(FsyncPolicy::EverySec);
}

#[test]
fn under_no_sync_a_crash_leaves_what_was_synced() {
    check_policy(FsyncPolicy::No);
}
