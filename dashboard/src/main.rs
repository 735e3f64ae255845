//! `longshore-dashboard`: the queue in a browser.

use std::process::ExitCode;

use clap::Parser;

/// Pages are many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    dashboard::daemon::main(dashboard::daemon::Flags::parse()).await
}
