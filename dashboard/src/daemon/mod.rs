//! The daemon `longshore-dashboard`: flags over environment over its file, signals, logs, and the way to the engine.
//!
//! Leaves serving to [`crate::serve()`]. Exit codes: 0 stopped as asked; 1 wrong configuration or an address that is taken;
//! 2 wrong flags; 4 an engine that does not answer at the start and could not be waited for.

mod credentials;
mod file;
mod flags;

use std::io::IsTerminal;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use queue_core::EngineUrl;
use queue_core::engine::Engine;
use queue_core::model::{Error, Word, fragment};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

pub use flags::Flags;
use flags::{LogFormat, Settings, Task};

use crate::{Config, routes};

/// Which log lines are written.
const LOG_FILTER: &str = "LONGSHORE_LOG";
/// Where the engine is if nobody says.
const ENGINE: &str = "longshore://127.0.0.1:7600";
/// Between two tries to reach an engine that does not answer yet.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);

/// The whole daemon.
pub async fn main(flags: Flags) -> ExitCode {
    match start(flags).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.message.lines() {
                eprintln!("longshore-dashboard: {line}");
            }
            ExitCode::from(error.word.exit_code())
        }
    }
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
    start_log(settings.log_format.unwrap_or_default())?;
    let url = settings.engine.map_or_else(|| ENGINE.parse(), Ok)?;
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
    let Some(engine) = connect(&url, &stop).await? else { return Ok(()) };
    let base = config.base_path.clone();
    let announce = |address| println!("longshore-dashboard listens on http://{address}{base}/; engine {url}");
    let served = crate::serve(&config, Arc::clone(&engine), stop, announce).await;
    served.and(engine.close().await)
}

/// Opens the engine, trying until it answers; `None` if the dashboard is to stop before that.
async fn connect(url: &EngineUrl, stop: &CancellationToken) -> Result<Option<Arc<dyn Engine>>, Error> {
    let mut said = None;
    loop {
        let opened = tokio::select! {
            opened = url.open() => opened,
            () = stop.cancelled() => return Ok(None),
        };
        let error = match opened {
            Ok(engine) => return Ok(Some(engine)),
            Err(error) if !error.word.retry_helps() => return Err(error),
            Err(error) => error,
        };
        if said != Some(error.word) {
            tracing::warn!(engine = %url, word = %error.word, "no connection yet; trying until there is one: {error}");
            said = Some(error.word);
        }
        tokio::select! {
            () = tokio::time::sleep(CONNECT_PAUSE) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
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

fn start_log(format: LogFormat) -> Result<(), Error> {
    let filter = std::env::var_os(LOG_FILTER).map_or("info".to_owned(), |text| text.to_string_lossy().into_owned());
    let allowed = "a level (error, warn, info, debug or trace), perhaps by module: info,dashboard=debug";
    let filter = EnvFilter::try_new(&filter).map_err(|_| Error::bad_arg(LOG_FILTER, &filter, allowed))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Where nobody reads the log any more, telling so there would panic.
    let log = log.log_internal_errors(false);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
