//! longshore: the command line. Enqueue, inspect, administer, try out.
//!
//! A command line becomes calls on an `Engine`, and their answers become text: `parse`, `commands` and `render` are these
//! three steps. Nothing here decides what a queue does.

mod app;
mod cli;
mod clock;
mod commands;
#[cfg(test)]
mod docs;
mod failure;
mod out;
mod parse;
mod render;

use std::process::ExitCode;

use failure::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let answer = cli::parse(std::env::args_os()).and_then(|cli| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::system("start", &error))?;
        let answer = runtime.block_on(commands::run(cli));
        // A thread that still reads standard input must not hold up the end.
        runtime.shutdown_background();
        answer
    });
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
