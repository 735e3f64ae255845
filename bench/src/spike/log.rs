//! The spike's log: an allocated file, one write and one sync per frame.
//!
//! A frame is a header (first position, record count, payload length, CRC32C of payload, CRC32C of header) and its records.
//! It knows how long a sync takes on average, because the loops choose by it where to sync.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::{clock, host};

/// Bytes of a frame before its records.
pub(crate) const FRAME_HEADER: usize = 40;
/// The file is allocated in these steps as the writes go on, so that no commit waits for a large allocation.
const ALLOCATE_STEP: u64 = 1 << 20;
/// How far the allocation runs ahead of the writes.
const ALLOCATE_AHEAD: u64 = 32 << 20;

/// Records gathered for the next commit.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: u32,
}

impl Frame {
    /// Fills in the header; the frame is complete then.
    fn close(&mut self, position: u64) {
        let payload = (self.bytes.len() - FRAME_HEADER) as u64;
        let payload_crc = crc32c::crc32c(&self.bytes[FRAME_HEADER..]);
        let header = &mut self.bytes[..FRAME_HEADER];
        header[..8].copy_from_slice(b"SPIKE\0\0\x01");
        header[8..16].copy_from_slice(&position.to_le_bytes());
        header[16..24].copy_from_slice(&payload.to_le_bytes());
        header[24..28].copy_from_slice(&self.records.to_le_bytes());
        header[28..32].copy_from_slice(&payload_crc.to_le_bytes());
        let header_crc = crc32c::crc32c(&header[..36]);
        header[36..].copy_from_slice(&header_crc.to_le_bytes());
    }
}

/// The file behind the frames.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    end: u64,
    allocated: u64,
    added: Duration,
    syncs: u64,
    average_us: f64,
}

impl Log {
    /// A new log at `path`; each sync takes `added` longer than the disk needs.
    pub(crate) fn create(path: &Path, added: Duration) -> Result<Self> {
        let mut log = Self { file: host::create(path)?, end: 0, allocated: 0, added, syncs: 0, average_us: 0.0 };
        while log.allocated < ALLOCATE_AHEAD {
            log.allocate()?;
        }
        log.file.sync_all()?;
        Ok(log)
    }

    fn allocate(&mut self) -> Result<()> {
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&self.file, flags, self.allocated, ALLOCATE_STEP)?;
        self.allocated += ALLOCATE_STEP;
        Ok(())
    }

    /// Writes and syncs `frame`, which is empty afterwards.
    pub(crate) fn commit(&mut self, frame: &mut Frame) -> Result<()> {
        frame.close(self.end);
        while self.allocated < self.end + frame.bytes.len() as u64 + ALLOCATE_AHEAD {
            self.allocate()?;
        }
        let started = clock::now();
        self.file.write_all_at(&frame.bytes, self.end)?;
        self.file.sync_data()?;
        if !self.added.is_zero() {
            std::thread::sleep(self.added);
        }
        self.end += frame.bytes.len() as u64;
        self.syncs += 1;
        self.average_us += (started.elapsed().as_secs_f64() * 1e6 - self.average_us) / 16.0;
        frame.bytes.clear();
        frame.records = 0;
        Ok(())
    }

    /// Syncs so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Moving average of write and sync, in microseconds.
    pub(crate) fn average_us(&self) -> f64 {
        self.average_us
    }
}
