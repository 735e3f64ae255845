//! `longshore-server`: the broker daemon.

use std::process::ExitCode;

use clap::Parser;

/// Frees what other threads allocated quickly, which is what a commit helper and a server thread do to each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    server::daemon::main(server::daemon::Flags::parse())
}
