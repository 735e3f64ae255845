//! Fills each layout with waiting jobs, in a process of its own, and prints what they cost.
//!
//! Bytes per job are the growth of the resident set over all jobs. Times are processor time of the filling thread, so that another
//! process of the machine is not taken for a slow insert; the kernel's work on page faults is in them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::blobs::{Blob, Blobs, BoxedBlobs, PagedBlobs};
use super::rows::{MapRows, PagedRows, Row, Rows, VecRows};
use super::{FillArguments, HUGE_PAGES, Layout, name};
use crate::{clock, host};

/// Payload bytes of a job.
const PAYLOAD_BYTES: usize = 190;
/// Jobs of the fill that tells bytes per job, and of the one that tells the longest insert.
const JOBS: u64 = 1_000_000;
const JOBS_LONG: u64 = 4_000_000;

/// The child: fills one layout and prints bytes per job, nanoseconds per insert, and the longest insert in microseconds.
pub(super) fn fill(arguments: &FillArguments) -> Result<()> {
    let [bytes, ns, longest] = match arguments.layout {
        Layout::PagesPages => fill_with::<PagedRows, PagedBlobs>(arguments)?,
        Layout::PagesBoxes => fill_with::<PagedRows, BoxedBlobs>(arguments)?,
        Layout::VecBoxes => fill_with::<VecRows, BoxedBlobs>(arguments)?,
        Layout::MapBoxes => fill_with::<MapRows, BoxedBlobs>(arguments)?,
    };
    println!("{bytes} {ns} {longest}");
    Ok(())
}

fn fill_with<R: Rows, B: Blobs>(arguments: &FillArguments) -> Result<[f64; 3]> {
    let (mut rows, mut blobs) = (R::default(), B::default());
    let before = host::resident_bytes(std::process::id())?;
    let (started, mut longest) = (clock::thread_time(), Duration::ZERO);
    let mut last = started;
    for number in 1..=arguments.jobs {
        insert(number, &mut rows, &mut blobs);
        // Reading this clock costs as much as an insert: only where the longest is asked for.
        if arguments.longest {
            let now = clock::thread_time();
            longest = longest.max(now - last);
            last = now;
        }
    }
    let jobs = arguments.jobs as f64;
    let ns = (clock::thread_time() - started).as_secs_f64() * 1e9 / jobs;
    let bytes = (host::resident_bytes(std::process::id())? - before) as f64 / jobs;
    verify(rows, blobs, arguments.jobs)?;
    Ok([bytes, ns, longest.as_secs_f64() * 1e6])
}

/// One waiting job at the end of its lane.
fn insert(number: u64, rows: &mut impl Rows, blobs: &mut impl Blobs) {
    let blob = Blob { position: number * 240, length: PAYLOAD_BYTES as u32 };
    blobs.insert(blob.position, &[b'x'; PAYLOAD_BYTES]);
    if let Some(row) = rows.row_mut(number - 1) {
        row.next = number;
    }
    rows.insert(number, Row { payload: blob, previous: number - 1, ..Row::default() });
}

/// Takes every job out again: a layout that lost one has measured nothing. It also keeps the optimiser honest.
fn verify(mut rows: impl Rows, mut blobs: impl Blobs, jobs: u64) -> Result<()> {
    for number in 1..=jobs {
        let row = rows.remove(number).with_context(|| format!("job {number} is not there"))?;
        let bytes = blobs.bytes(row.payload).with_context(|| format!("payload of job {number} is not there"))?;
        anyhow::ensure!(bytes.len() == PAYLOAD_BYTES, "payload of job {number} has {} bytes", bytes.len());
        blobs.release(row.payload);
    }
    Ok(())
}

/// What one candidate showed over all repetitions.
#[derive(Default)]
struct Figures {
    bytes: Vec<f64>,
    ns: Vec<f64>,
    longest_us: Vec<f64>,
}

/// Every layout, interleaved; the first once more with huge pages.
pub(super) fn compare(repetitions: usize) -> Result<()> {
    let row = size_of::<Row>();
    println!("waiting jobs with a payload of {PAYLOAD_BYTES} bytes, row {row} bytes, medians of {repetitions}");
    println!("{:<24} {:>14} {:>11} {:>26}", "rows-blobs", "bytes per job", "ns per job", "longest insert of 4M, µs");
    let candidates: Vec<_> =
        Layout::ALL.into_iter().map(|layout| (layout, false)).chain([(Layout::ALL[0], true)]).collect();
    let mut figures: Vec<Figures> = candidates.iter().map(|_| Figures::default()).collect();
    for _ in 0..repetitions {
        for (&(layout, huge), figures) in candidates.iter().zip(&mut figures) {
            let [bytes, ns, _] = start_fill(layout, huge, JOBS, None)?;
            let [_, _, longest_us] = start_fill(layout, huge, JOBS_LONG, Some("--longest"))?;
            figures.bytes.push(bytes);
            figures.ns.push(ns);
            figures.longest_us.push(longest_us);
        }
    }
    for ((layout, huge), figures) in candidates.into_iter().zip(&figures) {
        let label = name(layout) + if huge { ", huge pages" } else { "" };
        let (bytes, ns) = (host::median(&figures.bytes), host::median(&figures.ns));
        println!("{label:<24} {bytes:>14.0} {ns:>11.0} {:>26.0}", host::median(&figures.longest_us));
    }
    println!();
    Ok(())
}

fn start_fill(layout: Layout, huge_pages: bool, jobs: u64, flag: Option<&str>) -> Result<[f64; 3]> {
    let output = Command::new(std::env::current_exe()?)
        .args(["spike", "fill", "--layout", &name(layout), "--jobs", &jobs.to_string()])
        .args(flag)
        .env(HUGE_PAGES, if huge_pages { "1" } else { "0" })
        .output()?;
    anyhow::ensure!(output.status.success(), "fill failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let values: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    values.try_into().ok().with_context(|| format!("fill printed {text:?}"))
}
