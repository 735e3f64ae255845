//! The conformance suite over the engines of this crate: memory, and log on a simulated disk.
//!
//! The remote engine runs it too, against a real server process, in the server's tests.

mod homes;

mod memory {
    queue_core::engine_conformance!(crate::homes::MemoryHome::new; every, driven);
}

mod log {
    queue_core::engine_conformance!(crate::homes::LogHome::new; every, driven, durable, restarts, faults);
}

mod log_everysec {
    queue_core::engine_conformance!(crate::homes::LogHome::everysec; durable, restarts);
}

mod log_unsynced {
    queue_core::engine_conformance!(crate::homes::LogHome::unsynced; durable, restarts);
}

mod log_small_segments {
    queue_core::engine_conformance!(crate::homes::LogHome::small_segments; durable, restarts);
}
