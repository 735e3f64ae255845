//! Longshore's library: everything that a queue is.
//!
//! Floors from the ground up; a floor imports only floors below it.
//! `model` is what users name, `machine` the pure state machine, `journal` the append log,
//! `resp` the Redis protocol's frames, `engine` the engines; above them the handles that people program against.

pub mod engine;
pub mod model;
pub mod resp;
