//! The daemon `longshore-worker`: flags over environment over the handlers file, signals, and the way to the engine.
//!
//! Flags are read here and nowhere else; the work is `programs::run`'s. Messages go to standard error, each with what to
//! do about it. Exit codes: 0 stopped as asked, or checked and sound; 1 wrong configuration; 2 wrong flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use program::Listen;
use program::log::{LogFlag, SERVING, start_log};
use queue_core::EngineUrl;
use queue_core::model::{Error, Word, duration, fragment};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use crate::admin::Told;
use crate::chance::{Chance, Pauses};
use crate::config::{CONCURRENCY_MAX, Config};
use crate::{Shutdown, Worker};

/// Open files that one running program takes here, and those that the worker needs for itself.
const FILES_EACH: u64 = 4;
const FILES_BESIDE: u64 = 64;
/// How long a server may take to take its leave.
const LAST_CLOSE: Duration = Duration::from_secs(3);

/// Runs the handlers of a handlers file: leases jobs, runs a program for each, settles.
///
/// Flags go before the environment, the environment before the file.
#[derive(Clone, Debug, Parser)]
#[command(name = "longshore-worker", version)]
pub struct Flags {
    /// The handlers file
    #[arg(long, value_name = "FILE", default_value = "handlers.toml", env = "LONGSHORE_HANDLERS")]
    config: PathBuf,
    /// The engine: longshore://HOST:PORT, log:DIR or memory: [default: the file's, else longshore://127.0.0.1:7600]
    #[arg(long, value_name = "URL", env = "LONGSHORE_ENGINE", hide_env_values = true)]
    engine: Option<String>,
    /// Most jobs at once, 1 to 10000 [default: the file's, else 10]
    #[arg(long, value_name = "JOBS", env = "LONGSHORE_CONCURRENCY")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(CONCURRENCY_MAX)))]
    concurrency: Option<u32>,
    /// How long running jobs may go on after SIGTERM, such as 25s [default: the file's, else 25s]
    #[arg(long, value_name = "TIME", env = "LONGSHORE_GRACE", value_parser = grace)]
    grace: Option<Duration>,
    /// How often it asks for orders while it runs nothing, 100ms to 30s; while it runs jobs at least each half second
    #[arg(long, value_name = "TIME", env = "LONGSHORE_BEAT", value_parser = beat, default_value = "5s")]
    beat: Duration,
    /// The worker's name for itself; no two running workers may share one [default: HOST:PID:RANDOM]
    #[arg(long, env = "LONGSHORE_WORKER_NAME", value_parser = name)]
    name: Option<String>,
    /// Where /healthz, /readyz and /metrics answer, or none [default: none]
    #[arg(long, value_name = "HOST:PORT", env = "LONGSHORE_WORKER_ADMIN")]
    admin: Option<String>,
    /// Let --admin listen beyond loopback, where it has no login
    #[arg(long, env = "LONGSHORE_INSECURE_NO_PASSWORD")]
    insecure_no_password: bool,
    #[command(flatten)]
    log: LogFlag,
    /// Only verify the handlers file, name what is wrong by line, and exit
    #[arg(long)]
    check: bool,
}

fn grace(text: &str) -> Result<Duration, Error> {
    duration::parse_ms("grace", text).map(Duration::from_millis)
}

fn beat(text: &str) -> Result<Duration, Error> {
    let beat = duration::parse_ms("beat", text).map(Duration::from_millis)?;
    crate::builder::check_beat(beat).map(|()| beat)
}

fn name(text: &str) -> Result<String, Error> {
    crate::builder::check_name("name", text).map(|()| text.to_owned())
}

/// The whole daemon.
pub async fn main(flags: Flags) -> ExitCode {
    program::end("longshore-worker", start(flags).await)
}

async fn start(flags: Flags) -> Result<(), Error> {
    let config = Config::load(&flags.config).map_err(|error| Error::new(Word::BadArg, error.to_string()))?;
    let engine = flags.engine.as_deref().or(config.engine.as_deref()).unwrap_or(program::ENGINE);
    let url: EngineUrl = engine.parse()?;
    if flags.check {
        println!("{}", summary(&flags, &config, &url));
        return Ok(());
    }
    start_log(flags.log.log_format.unwrap_or_default(), SERVING, "worker")?;
    allow_files(flags.concurrency.unwrap_or(config.concurrency));
    let shutdown = Shutdown::new();
    let no_signals = |error| Error::new(Word::Err, format!("cannot listen for signals: {}", fragment(&error)));
    shutdown.obey_signals().map_err(no_signals)?;
    let told = Arc::new(Told::default());
    if let Some(address) = flags.admin.as_deref().filter(|address| *address != "none") {
        let bound = start_admin(address, flags.insecure_no_password, &told).await?;
        println!("longshore-worker answers those who watch it on {bound}");
    }
    let (mut chance, mut pauses) = (Chance::from_system(), Pauses::default());
    let found = program::connect(&url, shutdown.requested(), || pauses.next(&mut chance)).await?;
    let Some(engine) = found else { return Ok(()) };
    let mut worker = Worker::from_config(&config, &engine).shutdown(shutdown);
    worker = flags.concurrency.into_iter().fold(worker, crate::WorkerBuilder::concurrency);
    worker = flags.grace.into_iter().fold(worker, crate::WorkerBuilder::grace);
    worker = worker.beat(flags.beat);
    worker = flags.name.into_iter().fold(worker, crate::WorkerBuilder::name);
    let of_engine = |error: Error| Error::new(error.word, format!("{url}: {error}"));
    let worker = worker.build().map_err(of_engine)?;
    told.meet(worker.handle());
    worker.run().await.map_err(of_engine)?;
    let most = if engine.capabilities().resends { LAST_CLOSE } else { Duration::MAX };
    // A server that has fallen silent does not hold up the end: all that was to be told is told or given up.
    tokio::time::timeout(most, engine.close()).await.unwrap_or(Ok(()))
}

/// Answers those who watch this process, for as long as it lives.
async fn start_admin(address: &str, beyond_loopback: bool, told: &Arc<Told>) -> Result<SocketAddr, Error> {
    let loopback = "a loopback address, since whoever reaches it may read it; beyond it give --insecure-no-password";
    let loopback_only = (!beyond_loopback).then_some(loopback);
    let listener = Listen { flag: "admin", address, usual: "127.0.0.1:7602", loopback_only }.bind().await?;
    program::admin::start(listener, Arc::clone(told), CancellationToken::new())
}

/// Has the system allow as many open files as that many programs need, and no more, since programs inherit the bound.
fn allow_files(concurrency: u32) {
    let needed = u64::from(concurrency) * FILES_EACH + FILES_BESIDE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|allowed| allowed >= needed) {
        return;
    }
    let allowed = maximum.map_or(needed, |most| most.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum });
    if raised.is_err() || allowed < needed {
        let message = "programs may lack open files, and their jobs are then put off; raise the limit (ulimit -n)";
        tracing::warn!(
            concurrency,
            allowed = if raised.is_ok() { allowed } else { current.unwrap_or(0) },
            needed,
            message
        );
    }
}

fn summary(flags: &Flags, config: &Config, url: &EngineUrl) -> String {
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (handlers, queues) = (count(config.handlers().count(), "handler"), count(config.queues.len(), "queue"));
    format!("{}: {handlers} for {queues} at {url}: sound", flags.config.display())
}
