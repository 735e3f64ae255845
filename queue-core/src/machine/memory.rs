//! What the state takes in memory, counted as it changes, so that `--max-memory` need not look at every job.
//!
//! Bytes as an allocator gives them out, about; of trees the usual share of a half full node. Invariant: the count
//! follows from the state alone, so that it neither creeps up nor down with time.

use super::Machine;
use super::operations::Operation;
use super::queue::Queue;
use super::tables::Remembered;

/// A job's place in a tree.
const TREE_ENTRY: u64 = 36;
/// Settings, counts and timers of a queue beside its own struct.
const QUEUE_BESIDE: u64 = 512;
/// Texts of an operation beside its own struct.
const OPERATION_BESIDE: u64 = 512;

/// What an allocation of so many bytes takes.
pub(crate) const fn allocated(bytes: usize) -> u64 {
    bytes.next_multiple_of(16) as u64
}

impl Machine {
    /// Bytes that rows, what hangs on them, indexes and statistics take, about: what `--max-memory` counts beside the blobs.
    pub fn row_bytes(&self) -> u64 {
        let tables = self.names.bytes() + self.workers.bytes() + self.policies.bytes() + self.ids.bytes();
        let queues = self.queues.len() as u64 * (allocated(size_of::<Queue>()) + QUEUE_BESIDE);
        let operations = self.operations.len() as u64 * (allocated(size_of::<Operation>()) + OPERATION_BESIDE);
        let jobs = self.rows.bytes() + self.more_bytes + self.ordered * TREE_ENTRY;
        let remembered = self.remembered * size_of::<Remembered>() as u64;
        jobs + remembered + self.settled.bytes() + tables + queues + operations + self.stats.total_bytes()
    }

    /// Bytes that a snapshot of the state takes beside the blobs themselves, about, and rather more than less.
    pub fn snapshot_bytes(&self) -> u64 {
        let texts = self.names.stored_bytes() + self.workers.stored_bytes() + self.policies.stored_bytes();
        let beside = (self.queues.len() as u64 * QUEUE_BESIDE) + (self.operations.len() as u64 * OPERATION_BESIDE);
        let remembered = self.remembered * size_of::<Remembered>() as u64;
        self.rows.bytes()
            + self.more_bytes
            + remembered
            + self.settled.bytes()
            + texts
            + beside
            + self.stats.stored_bytes()
    }
}
