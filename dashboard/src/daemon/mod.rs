//! The daemon `longshore-dashboard`: flags over environment over its file, signals, logs, and the way to the engine.
//!
//! Leaves serving to [`crate::serve()`]. Exit codes: 0 stopped as asked; 1 wrong configuration or an address that is taken;
//! 2 wrong flags; 4 an engine that does not answer at the start and could not be waited for.

mod credentials;
mod file;
mod flags;

use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use program::log::{SERVING, start_log};
use queue_core::model::{Error, Word, fragment};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub use flags::Flags;
use flags::{Settings, Task};

use crate::{Config, routes};

/// Between two tries to reach an engine that does not answer yet.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);

/// The whole daemon.
pub async fn main(flags: Flags) -> ExitCode {
    program::end("longshore-dashboard", start(flags).await)
}

async fn start(mut flags: Flags) -> Result<(), Error> {
    match flags.task.take() {
        Some(Task::Password { name, role }) => return credentials::password(&name, role),
        Some(Task::Token { name, role }) => {
            credentials::token(&name, role);
            return Ok(());
        }
        Some(Task::Routes) => {
            print!("{}", routes::as_json());
            return Ok(());
        }
        Some(Task::Completions { shell }) => {
            clap_complete::generate(shell, &mut Flags::command(), "longshore-dashboard", &mut std::io::stdout());
            return Ok(());
        }
        None => {}
    }
    let read = flags.config.as_deref().map(file::load).transpose()?.unwrap_or_default();
    let settings = Settings::from(flags).or(read);
    start_log(settings.log_format.unwrap_or_default(), SERVING, "dashboard")?;
    let url = settings.engine.map_or_else(|| program::ENGINE.parse(), Ok)?;
    let defaults = Config::default();
    let config = Config {
        listen: settings.listen.unwrap_or(defaults.listen),
        base_path: settings.base_path.unwrap_or(defaults.base_path),
        hosts: settings.hosts.unwrap_or(defaults.hosts),
        password_file: settings.password_file,
        token_file: settings.token_file,
        trusted_proxies: settings.trusted_proxies.unwrap_or(defaults.trusted_proxies),
        redact: settings.redact.unwrap_or(defaults.redact),
    };
    let stop = CancellationToken::new();
    obey_signals(stop.clone())?;
    let Some(engine) = program::connect(&url, stop.cancelled(), || CONNECT_PAUSE).await? else { return Ok(()) };
    let base = config.base_path.clone();
    let announce = |address| println!("longshore-dashboard listens on http://{address}{base}/; engine {url}");
    let served = crate::serve(&config, Arc::clone(&engine), stop, announce).await;
    served.and(engine.close().await)
}

/// SIGTERM and SIGINT stop; a second one at once.
fn obey_signals(stop: CancellationToken) -> Result<(), Error> {
    let failed = |error| Error::new(Word::Err, format!("cannot listen for signals: {}", fragment(&error)));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(async move {
        any(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping");
        stop.cancel();
        any(&mut terminate, &mut interrupt).await;
        tracing::warn!("stopped at once by a second signal");
        process::exit(1);
    });
    Ok(())
}

async fn any(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
