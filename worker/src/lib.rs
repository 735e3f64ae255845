//! Longshore's worker: leases jobs, runs their handlers, settles.
//!
//! `command` runs one program for one job; `config` reads the handlers file.
//! Knows `Engine` and `model`, never what lies behind them.

pub mod command;
pub mod config;
