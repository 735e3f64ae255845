//! Longshore's worker: leases jobs, runs their handlers, settles.
//!
//! `Worker` is the library; `command` runs one program for one job; `config` reads the handlers file; `daemon` puts them
//! together. Inside, `intake`, `outbox` and `keeper` are the loops that talk to the engine, `attempt` is one job.
//! Knows `Engine` and `model`, never what lies behind them. All time goes through tokio's timers.

mod activity;
mod attempt;
mod batch;
mod builder;
mod chance;
pub mod command;
pub mod config;
mod context;
pub mod daemon;
mod handler;
mod held;
mod intake;
mod joblog;
mod keeper;
mod link;
mod outbox;
mod programs;
mod registry;
mod shared;
mod stop;
mod worker;

pub use activity::{Activity, Observer};
pub use builder::{STOP_WITHIN, WorkerBuilder};
pub use context::Context;
pub use handler::{Handler, HandlerError, HandlerResult};
pub use programs::run;
pub use registry::Handlers;
pub use stop::{Shutdown, Stop};
pub use worker::{Worker, WorkerHandle};
