//! The daemon `longshore-server`: flags over environment over its file, signals, logs, and the opening of the engine.
//!
//! Leaves serving to [`crate::run`]. Exit codes: 0 stopped as asked; 1 wrong configuration or an address that is taken;
//! 2 wrong flags; 5 the engine failed, so that what was asked last may or may not be stored.

mod file;
mod flags;
mod signals;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use program::log::{SERVING, start_log};
use queue_core::EngineUrl;
use queue_core::engine::{Engine, LocalEngine, LocalOptions};
use queue_core::model::{Error, Word};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Bound, Config, Password};
pub use flags::Flags;
use flags::Settings;

/// The whole daemon.
pub fn main(flags: Flags) -> ExitCode {
    program::end("longshore-server", start(flags))
}

fn start(flags: Flags) -> Result<(), Error> {
    let path = flags.config.clone();
    let given = Settings::from(flags);
    let read = path.as_deref().map(file::load).transpose()?.unwrap_or_default();
    let settings = given.or(read.settings);
    start_log(settings.log_format.unwrap_or_default(), SERVING, "server")?;
    refuse_huge_pages();
    let password = settings.password_file.as_deref().map(Password::from_file).transpose()?;
    let url = settings.engine.clone().unwrap_or_else(|| EngineUrl::Log("./longshore-data".into()));
    let options = options(&settings);
    let (queues, changes) = watch::channel(read.queues);
    let mut config = Config {
        password,
        insecure_no_password: settings.insecure_no_password,
        queues: Some(changes),
        memory_bytes_max: settings.max_memory.filter(|bytes| *bytes != u64::MAX),
        ..Config::default()
    };
    config.listen = settings.listen.unwrap_or(config.listen);
    if let Some(admin) = settings.admin {
        config.admin = (admin != "none").then_some(admin);
    }
    let stop = CancellationToken::new();
    signals::obey(stop.clone(), path, queues)?;
    let failure = Arc::new(OnceLock::new());
    let shown = format!("engine {url}, fsync {}", flags::word_of(options.fsync, &url));
    let opening = open(url, options, stop.clone(), Arc::clone(&failure));
    crate::run(&config, opening, stop, |bound| announce(bound, &shown))?;
    failure.get().cloned().map_or(Ok(()), Err)
}

fn options(settings: &Settings) -> LocalOptions {
    let defaults = LocalOptions::default();
    LocalOptions {
        fsync: settings.fsync.unwrap_or(defaults.fsync),
        max_memory: settings.max_memory.unwrap_or(defaults.max_memory),
        segment_bytes: settings.segment_bytes.unwrap_or(defaults.segment_bytes),
        compact_after: settings.compact_after.unwrap_or(defaults.compact_after),
        history: settings.history.unwrap_or(defaults.history),
        backups: settings.backups.clone(),
        ..defaults
    }
}

/// Opens the engine; should it ever fail, the server stops, also while nobody asks it for anything.
async fn open(
    url: EngineUrl,
    options: LocalOptions,
    stop: CancellationToken,
    failure: Arc<OnceLock<Error>>,
) -> Result<Arc<dyn Engine>, Error> {
    let engine = match url {
        EngineUrl::Memory => {
            tracing::warn!("engine memory: nothing survives a restart of this server");
            LocalEngine::memory(options)
        }
        EngineUrl::Log(directory) => {
            let (engine, recovered) = LocalEngine::log(&directory, options)?;
            tracing::info!(
                directory = %directory.display(),
                created = recovered.created,
                clean = recovered.clean,
                records = recovered.records,
                torn_bytes = recovered.torn_bytes,
                "engine open"
            );
            engine
        }
        EngineUrl::Remote { .. } => return Err(flags::not_ours(&url.to_string())),
    };
    let watched = engine.clone();
    tokio::spawn(async move {
        let error = watched.failed().await;
        // The first failure is the one to report.
        let _ = failure.set(error);
        stop.cancel();
    });
    Ok(Arc::new(engine))
}

/// One line on standard output, from which a program that started the server learns its ports.
fn announce(bound: Bound, shown: &str) {
    let admin = bound.admin.map_or(String::new(), |admin| format!(", admin on {admin}"));
    println!("longshore-server listens on {}{admin}; {shown}", bound.clients);
}

/// Has the kernel hand out memory in small pages. Clearing one of 2 MiB takes milliseconds on a virtual machine, and every
/// few thousand jobs an enqueue would wait for it, with all others behind it. The bench measured both.
fn refuse_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        // Slower at times, and nothing else.
        tracing::debug!(%error, "huge pages stay on");
    }
}

/// A configuration that cannot be used.
fn wrong(message: impl Into<String>) -> Error {
    Error::new(Word::BadArg, message)
}
