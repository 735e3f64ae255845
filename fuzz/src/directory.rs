//! A whole directory with anything done to it.
//!
//! Begins with the files of a store that has seen everything; the input is what is done to them: bytes written over, files cut,
//! removed, exchanged, records appended; with checksums put right or not. Opening it ends, in an engine or an error; and what
//! opened and was closed opens again.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use queue_core::engine::{Clock, Engine, EngineExt, LocalEngine, LocalOptions, ManualClock};
use queue_core::journal::sim::SimDisk;
use queue_core::model::{Error, JobFilter, NewJob};

use crate::files::{fix, frame};
use crate::{Input, tour};

type Files = BTreeMap<String, Vec<u8>>;

/// Steps of an input that count.
const STEPS_MAX: usize = 24;
const BLOCK: usize = 512;

/// The store that inputs begin with.
pub fn base() -> &'static Files {
    static BASE: OnceLock<Files> = OnceLock::new();
    BASE.get_or_init(|| runtime().block_on(tour::files()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut files = base().clone();
    let mut input = Input(data);
    let fixed = input.number(1) & 1 == 1;
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        step(&mut files, &mut input);
    }
    if fixed {
        files.values_mut().for_each(|bytes| fix(bytes));
    }
    let disk = SimDisk::with_files(files);
    runtime().block_on(async {
        let Some(engine) = open(&disk) else { return };
        if use_it(&engine).await.is_ok() {
            drop(engine);
            assert!(open(&disk).is_some(), "what opened and was closed opens again");
        }
    });
}

fn open(disk: &SimDisk) -> Option<LocalEngine<SimDisk>> {
    let clock = Arc::new(ManualClock::new(tour::BEGIN_MS + 86_400_000)) as Arc<dyn Clock>;
    let options = LocalOptions { segment_bytes: tour::SEGMENT_BYTES, seed: 1, clock, ..LocalOptions::default() };
    LocalEngine::on(disk.clone(), options).ok().map(|(engine, _)| engine)
}

async fn use_it(engine: &LocalEngine<SimDisk>) -> Result<(), Error> {
    engine.all_queues().await?;
    let page = engine.jobs(JobFilter::default(), None, 1_000).await?;
    for job in page.jobs.iter().take(3) {
        engine.job(job.number.into()).await?;
    }
    engine.enqueue("fuzz", vec![NewJob::new("one", "{}")]).await?;
    engine.close().await
}

/// Does to the files what the next bytes say.
fn step(files: &mut Files, input: &mut Input<'_>) {
    let what = input.number(1);
    let name = pick(files, input.number(1));
    let Some(bytes) = files.get_mut(&name) else { return };
    match what % 8 {
        0 | 1 => {
            let at = input.number(3) as usize % bytes.len().max(1);
            let length = 1 + input.number(1) as usize % 64;
            let with = input.take(length.min(bytes.len() - at));
            bytes[at..at + with.len()].copy_from_slice(with);
        }
        2 => bytes.truncate(input.number(3) as usize % (bytes.len() + 1)),
        3 => drop(files.remove(&name)),
        4 => {
            let other = pick(files, input.number(1));
            let copy = files.get(&other).cloned().unwrap_or_default();
            files.insert(name, copy);
        }
        5 => swap(bytes, input.number(1) as usize, input.number(1) as usize),
        // Mostly what has a right checksum and makes no sense: the fold's own doubts are the last.
        _ => append(files, input),
    }
}

fn swap(bytes: &mut [u8], one: usize, other: usize) {
    let blocks = (bytes.len() / BLOCK).max(1);
    let (one, other) = ((one % blocks).min(other % blocks), (one % blocks).max(other % blocks));
    if one != other {
        let (head, tail) = bytes.split_at_mut(other * BLOCK);
        head[one * BLOCK..(one + 1) * BLOCK].swap_with_slice(&mut tail[..BLOCK]);
    }
}

/// Appends a frame of one to four records to the log.
fn append(files: &mut Files, input: &mut Input<'_>) {
    let used = files.values_mut().rfind(|bytes| bytes.starts_with(b"LSHSEGMT"));
    let mut records = Vec::new();
    for _ in 0..=input.number(1) % 4 {
        let (kind, at, length) = (input.number(1) % 40, input.number(2), input.number(1));
        records.push((kind as u16, tour::BEGIN_MS + at, input.take(length as usize).to_vec()));
    }
    let Some(log) = used else { return };
    let mut end = 64;
    while log.len() >= end + 48 && log[end..].starts_with(b"LSFR") {
        let length: [u8; 4] = log[end + 28..end + 32].try_into().expect("four bytes");
        end = end.saturating_add(48 + u32::from_le_bytes(length) as usize);
    }
    let frame = frame(&records);
    if end + frame.len() <= log.len() {
        log[end..end + frame.len()].copy_from_slice(&frame);
    }
}

fn pick(files: &Files, number: u64) -> String {
    files.keys().nth(number as usize % files.len().max(1)).cloned().unwrap_or_default()
}
