//! Longshore's library: everything that a queue is.
//!
//! Floors from the ground up; a floor imports only floors below it.
//! `model` is what users name, `machine` the pure state machine, `journal` the append log,
//! `resp` the Redis protocol's frames, `wire` the commands in them, `engine` the engines; above them the handles that people program against.

mod connect;
pub mod engine;
mod job_handle;
pub mod journal;
pub mod machine;
pub mod model;
pub mod process;
mod queue;
pub mod random;
pub mod resp;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod wire;

pub use connect::{EngineUrl, connect};
pub use job_handle::JobHandle;
pub use queue::{Add, Queue, give_ids};
