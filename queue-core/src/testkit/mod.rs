//! The conformance suite: what every engine promises, as cases written once against [`Engine`].
//!
//! An engine's test file gives a factory of [`Home`]s and names the groups that it can be held to:
//! `engine_conformance!(factory; every, driven)`. Each case becomes a test of its own; its name is a sentence.
//! The suite knows `Engine` and `model` only. After each case the books of every queue must balance.

mod home;
mod list;
mod rig;

pub mod backups;
pub mod batches;
pub mod beats;
pub mod bounds;
pub mod cells;
pub mod clauses;
pub mod deaths;
pub mod durable;
pub mod faults;
pub mod feed;
pub mod feed_back;
pub mod history;
pub mod identity;
pub mod kept;
pub mod leases;
pub mod limits;
pub mod measures;
pub mod operations;
pub mod options;
pub mod order;
pub mod pages;
pub mod promises;
pub mod restarts;
pub mod restores;
pub mod retries;
pub mod search;
pub mod settings;
pub mod settling;
pub mod statistics;
pub mod times;
pub mod waits;
pub mod workers;

pub use home::Home;
pub use rig::{Case, Rig, context, run};

#[cfg(doc)]
use crate::engine::Engine;
