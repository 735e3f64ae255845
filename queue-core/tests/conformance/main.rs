//! The conformance suite over the engines of this crate: memory, and log on a simulated disk.
//!
//! The remote engine runs it too, against a real server process, in the server's tests.

mod homes;

mod memory {
    queue_core::engine_conformance!(crate::homes::MemoryHome::new; every, driven);
}
