//! The commands, one family per file: from checked arguments to calls on the engine.
//!
//! Reading values is `parse`'s business, showing answers `render`'s.

pub(crate) mod backup;
pub(crate) mod bulk;
pub(crate) mod completions;
pub(crate) mod dead;
pub(crate) mod dev;
pub(crate) mod enqueue;
pub(crate) mod error;
pub(crate) mod init;
pub(crate) mod job;
pub(crate) mod job_logs;
pub(crate) mod journal;
pub(crate) mod operation;
pub(crate) mod ping;
pub(crate) mod queue;
pub(crate) mod stats;
pub(crate) mod watch;
pub(crate) mod worker;

use crate::app::App;
use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Carries out one command line.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let mut app = App::new(&cli.common);
    let answer = match cli.command {
        Command::Enqueue(args) => enqueue::run(*args, &mut app).await,
        Command::Job(command) => job::run(command, &mut app).await,
        Command::Queue(command) => queue::run(command, &mut app).await,
        Command::Dead(command) => dead::run(command, &mut app).await,
        Command::Error(command) => error::run(command, &mut app).await,
        Command::Journal(command) => journal::run(command, &mut app).await,
        Command::Operation(command) => operation::run(command, &mut app).await,
        Command::Worker(command) => worker::run(command, &mut app).await,
        Command::Stats(args) => stats::run(&args, &mut app).await,
        Command::Watch(args) => watch::run(args, &mut app).await,
        Command::Backup(args) => backup::run(args, &mut app).await,
        Command::Restore(args) => backup::restore(&args, &mut app),
        Command::Ping(args) => ping::run(&args, &cli.common.engine, &mut app).await,
        Command::Init(args) => init::run(&args, &mut app),
        Command::Dev(args) => dev::run(args, &mut app).await,
        Command::Completions(args) => completions::run(&args, &mut app),
    };
    // What was answered before a failure is shown too, and the store is given free in any case.
    let closed = app.close().await;
    answer.and(closed)
}
