//! One store from its fill to its second recovery: times, sizes, and what single enqueues notice of a snapshot being made.
//!
//! Segments are at most 8 MiB here, so that a few batches more begin the next one, which is when a snapshot may begin;
//! nothing else differs from the server's defaults. Whether one is being made is seen by its thread, from outside.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::probe::{Latencies, Probe};
use super::table::Table;
use super::{Bench, Client, MillionArguments, work};
use crate::longshore_server::LongshoreServer;
use crate::{clock, host, jobs};

const SEGMENT: [&str; 2] = ["--segment-bytes", "8mb"];
/// How often the server's threads are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Batches after which a snapshot has to have begun: far more than a segment takes.
const BATCHES: usize = 200;

pub(super) fn measure(arguments: &MillionArguments, scratch: &Path, table: &mut Table) -> Result<()> {
    let folder = scratch.join("store");
    fill(arguments, &folder, table)?;
    // kill -9 ended the server before; it has never made a snapshot.
    let (server, took) = recovered(&folder, &[])?;
    table.note("recovery from the log alone, s", took);
    let idle = idle(arguments, &server)?;
    drop(server);
    let (server, _) = recovered(&folder, &["--compact-after", "1kb"])?;
    compact(arguments, &server, &folder, idle, table)?;
    drop(server);
    let (server, took) = recovered(&folder, &[])?;
    table.note("recovery from snapshot and log, s", took);
    drop(server);
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn fill(arguments: &MillionArguments, folder: &Path, table: &mut Table) -> Result<()> {
    let server = LongshoreServer::start_with(folder, &SEGMENT)?;
    let client = Client::connect(&server)?;
    let (before, started) = (host::resident_bytes(server.pid())?, clock::now());
    client.runtime.block_on(jobs::fill(&client.engine, work::QUEUE, arguments.jobs, None))?;
    table.note("fill in batches of 1,000, s", started.elapsed().as_secs_f64());
    let grown = host::resident_bytes(server.pid())?.saturating_sub(before);
    table.note("resident bytes per job", grown as f64 / arguments.jobs as f64);
    table.note("log on disk, MiB", disk_bytes(folder, "")? as f64 / f64::from(1 << 20));
    Ok(())
}

/// A server that recovered `folder`, and the seconds from the start of its process until it served.
fn recovered(folder: &Path, flags: &[&str]) -> Result<(LongshoreServer, f64)> {
    let started = clock::now();
    let server = LongshoreServer::start_with(folder, &[&SEGMENT, flags].concat())?;
    Ok((server, started.elapsed().as_secs_f64()))
}

/// The idle figure: taken before the snapshot, since right after it the disk still gives back what the snapshot replaces.
fn idle(arguments: &MillionArguments, server: &LongshoreServer) -> Result<Latencies> {
    // The first only warms the server up.
    Probe::during(&server.url(), arguments.rate, arguments.idle_time())?;
    Probe::during(&server.url(), arguments.rate, arguments.idle_time())
}

/// Makes the server make a snapshot, with the probe beside it and for as long as an idle figure takes behind it.
fn compact(
    arguments: &MillionArguments,
    server: &LongshoreServer,
    folder: &Path,
    idle: Latencies,
    table: &mut Table,
) -> Result<()> {
    let bench = Bench { arguments, client: Client::connect(server)?, table };
    // What the batches below cost belongs to no figure: this probe only warms the server up.
    let probe = Probe::start(&bench.client.url, arguments.rate)?;
    let mut batches = 0;
    while !is_compacting(server)? {
        ensure!(batches < BATCHES, "no snapshot was begun after {batches} batches");
        bench.prepare(async |engine| jobs::fill(engine, work::QUEUE, 1_000, None).await)?;
        batches += 1;
    }
    let started = clock::now();
    probe.finish()?;
    let probe = Probe::start(&bench.client.url, arguments.rate)?;
    while is_compacting(server)? {
        std::thread::sleep(LOOK);
    }
    let took = started.elapsed();
    let beside = probe.finish()?;
    let after = bench.idle()?;
    bench.table.beside("a snapshot is made", took, idle, beside, 2.0);
    bench.table.beside("… and right after", arguments.idle_time(), idle, after, 2.0);
    bench.table.note("snapshot, MiB", disk_bytes(folder, "snapshot-")? as f64 / f64::from(1 << 20));
    Ok(())
}

/// Whether a thread of the server makes a snapshot.
fn is_compacting(server: &LongshoreServer) -> Result<bool> {
    for task in fs::read_dir(format!("/proc/{}/task", server.pid()))? {
        // A thread may end between the list and the look.
        let name = fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        if name.starts_with("compaction") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Bytes of the files of `folder` whose name begins with `prefix`.
fn disk_bytes(folder: &Path, prefix: &str) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
