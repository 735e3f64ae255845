//! Longshore's server: the broker daemon, as a library that `longshore-server`, `longshore dev` and the harness start.
//!
//! One thread owns every socket; a request is read, parsed, executed and answered on it. What a command means is the
//! engine's business, how it looks on the wire is `queue_core::wire`'s; here are connections, their limits, and the
//! commands that concern the connection alone.
//! Invariants: replies leave in the order of their requests; a hostile or slow client costs no one else more than its
//! turn, and the server no more memory than its bounds.

mod admin;
mod config;
mod connection;
pub mod daemon;
mod descriptors;
mod local;
mod password;
mod serve;
mod shared;

pub use config::{Config, Limits};
pub use password::Password;
pub use serve::{Bound, run, serve};
pub use tokio_util::sync::CancellationToken;
