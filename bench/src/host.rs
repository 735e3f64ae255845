//! What the figures were taken on: hardware, disk, processes; and a place for scratch files.
//!
//! Linux only: it reads /proc. The scratch folder lies under `target/`, never in a temporary file system that may be memory,
//! because a sync to memory would make every figure about durability meaningless.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock;

/// A folder for one run's files, removed when dropped.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes `target/bench-data/<pid>-<label>` below the current folder.
    pub(crate) fn new(label: &str) -> Result<Self> {
        let path = std::env::current_dir()?.join("target/bench-data").join(format!("{}-{label}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is only a left-over below target/.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The middle of `values`, between the middle two of an even number; 0 when there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => 0.0,
    }
}

/// The value below which `share` (0 to 1) of `values` lie; 0 when there are none.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

/// The disk's own answer time: p50 in microseconds of 300 synced writes of 4 KiB into an allocated file.
pub(crate) fn sync_p50_us(folder: &Path) -> Result<f64> {
    let path = folder.join("sync-probe");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 4 << 20)?;
    file.sync_all()?;
    let mut times = Vec::new();
    for step in 0..300u64 {
        file.write_all_at(&[7; 4096], step * 4096)?;
        let started = clock::now();
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    fs::remove_file(path)?;
    Ok(median(&times))
}

/// Resident set of process `pid` in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm.split(' ').nth(1).context("statm has no resident field")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Processor time that process `pid` has used, all its threads.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The command's name may hold spaces; the fields after its closing parenthesis do not.
    let after = stat.rsplit_once(") ").context("stat has no command")?.1;
    let ticks: u64 = after.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Ok(Duration::from_micros(ticks * 1_000_000 / rustix::param::clock_ticks_per_second()))
}

/// One line that names processor, cores, memory and the disk's sync time.
pub(crate) fn describe(folder: &Path) -> Result<String> {
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kib: f64 = memory.trim_end_matches(" kB").trim().parse().unwrap_or(0.0);
    let cores = std::thread::available_parallelism()?.get();
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or("?");
    let sync = sync_p50_us(folder)?;
    Ok(format!(
        "{model}, {cores} cores (load {load} at the start), {:.0} GiB, fdatasync p50 {sync:.0} µs",
        kib / 1048576.0
    ))
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// An empty file at `path`, ready for writing at offsets.
pub(crate) fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[1.0, 4.0]), 2.5);
    }
}
