//! Longshore's worker: leases jobs, runs their handlers, settles.
//!
//! `Worker` is the library; `command` runs one program for one job; `config` reads the handlers file; `daemon` puts them
//! together. Inside, `intake`, `outbox` and `keeper` are the loops that talk to the engine, `attempt` is one job.
//! Knows `Engine` and `model`, never what lies behind them. All time goes through tokio's timers.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use queue_core::Queue;
//! use serde::{Deserialize, Serialize};
//! use worker::{Context, HandlerError, Shutdown, Worker};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Mail {
//!     to: String,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), queue_core::model::Error> {
//! let engine = queue_core::connect("memory:").await?;
//! let mail = Mail { to: "ops@example.com".to_owned() };
//! let job = Queue::new(&engine, "emails").add("send", &mail).await?;
//!
//! let shutdown = Shutdown::new();
//! let worker = Worker::builder(&engine)
//!     .queue("emails", 1)
//!     .concurrency(10)
//!     .handler("send", async |mail: Mail, context: Context| {
//!         if !mail.to.contains('@') {
//!             return Err(HandlerError::reject(format!("{} is no address", mail.to)));
//!         }
//!         context.log(format!("attempt {} of {}", context.attempt(), context.attempts()));
//!         Ok("250 ok")
//!     })
//!     .shutdown(shutdown.clone());
//! let running = tokio::spawn(worker.run());
//!
//! let done = job.wait(Duration::from_secs(10)).await?;
//! assert_eq!(done.result.as_deref(), Some(&b"\"250 ok\""[..]));
//! shutdown.request();
//! running.await.expect("the worker does not panic")
//! # }
//! ```

mod activity;
mod admin;
mod attempt;
mod batch;
mod builder;
mod chance;
pub mod command;
pub mod config;
mod context;
pub mod daemon;
mod figures;
mod handler;
mod held;
mod intake;
mod joblog;
mod keeper;
mod link;
#[cfg(test)]
mod logged;
mod outbox;
mod programs;
mod registry;
mod shared;
mod stop;
mod worker;

pub use activity::{Activity, Observer};
pub use builder::{STOP_WITHIN, WorkerBuilder};
pub use context::Context;
pub use figures::{AttemptEnd, WorkerFigures};
pub use handler::{Handler, HandlerError, HandlerResult};
pub use programs::run;
pub use registry::Handlers;
pub use stop::{Shutdown, Stop};
pub use worker::{Worker, WorkerHandle};
