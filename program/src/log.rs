//! The log of a program: lines on standard error, for people or as JSON, filtered by `LONGSHORE_LOG`.
//!
//! Invariant: that nobody reads the log any more ends nothing.

use std::io::IsTerminal;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use queue_core::model::Error;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// Which log lines are written.
const FILTER: &str = "LONGSHORE_LOG";
/// Those of a program that serves.
pub const SERVING: &str = "info";

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        <Self as ValueEnum>::from_str(text, false).map_err(|_| Error::bad_arg("log-format", text, "text or json"))
    }
}

/// The flag for it.
#[derive(Clone, Debug, Default, Args)]
pub struct LogFlag {
    /// How log lines are written to standard error; LONGSHORE_LOG filters them [default: text]
    #[arg(long, value_name = "FORMAT", env = "LONGSHORE_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// Writes log lines from now on: those of `usual` where the environment says nothing. `part` is one to name in the error.
///
/// # Errors
///
/// `BADARG` for a filter that is none.
pub fn start_log(format: LogFormat, usual: &str, part: &str) -> Result<(), Error> {
    let filter = std::env::var_os(FILTER).map_or(usual.to_owned(), |text| text.to_string_lossy().into_owned());
    let allowed = format!("a level (error, warn, info, debug or trace), perhaps by module: info,{part}=debug");
    let filter = EnvFilter::try_new(&filter).map_err(|_| Error::bad_arg(FILTER, &filter, &allowed))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Where nobody reads the log any more, telling so there would panic: the thread of the signals would end by it.
    let log = log.log_internal_errors(false);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
