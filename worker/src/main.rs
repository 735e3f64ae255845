//! `longshore-worker`: the daemon that runs the handlers of a handlers file.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    worker::daemon::main(worker::daemon::Flags::parse()).await
}
