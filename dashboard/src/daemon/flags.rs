//! Flags and environment, and how they go before the file.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use queue_core::EngineUrl;
use queue_core::model::Error;
use serde::Deserialize;

use crate::config;

/// Longshore's dashboard: the queue in a browser, live.
///
/// Flags go before the environment, the environment before the file.
#[derive(Clone, Debug, Parser)]
#[command(name = "longshore-dashboard", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  longshore-dashboard
  longshore-dashboard --engine longshore://:PASSWORD@db1:7600 --listen 127.0.0.1:7610
  longshore-dashboard --base-path /queues --config dashboard.toml")]
pub struct Flags {
    /// The engine: longshore://HOST:PORT, log:DIR or memory: [default: longshore://127.0.0.1:7600]
    #[arg(long, value_name = "URL", env = "LONGSHORE_ENGINE", hide_env_values = true, value_parser = engine)]
    engine: Option<EngineUrl>,
    /// Where browsers connect, on loopback [default: 127.0.0.1:7610]
    #[arg(long, value_name = "HOST:PORT", env = "LONGSHORE_DASHBOARD_LISTEN")]
    listen: Option<String>,
    /// What stands before every path, where a proxy passes a part of its paths on, such as /queues [default: none]
    #[arg(long, value_name = "PATH", env = "LONGSHORE_BASE_PATH", value_parser = config::base_path)]
    base_path: Option<String>,
    /// A TOML file with these settings
    #[arg(long, value_name = "FILE", env = "LONGSHORE_DASHBOARD_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// How log lines are written to standard error; LONGSHORE_LOG filters them [default: text]
    #[arg(long, value_name = "FORMAT", env = "LONGSHORE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    pub(super) task: Option<Task>,
}

/// What is done instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Task {
    /// Write every route and action with the role it needs, as JSON
    Routes,
    /// Write a shell's completions
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What flags, environment or file say; `None` where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) engine: Option<EngineUrl>,
    pub(super) listen: Option<String>,
    pub(super) base_path: Option<String>,
    pub(super) log_format: Option<LogFormat>,
}

impl From<Flags> for Settings {
    fn from(flags: Flags) -> Self {
        let Flags { engine, listen, base_path, log_format, .. } = flags;
        Self { engine, listen, base_path, log_format }
    }
}

impl Settings {
    /// These settings, and where they say nothing `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            engine: self.engine.or(other.engine),
            listen: self.listen.or(other.listen),
            base_path: self.base_path.or(other.base_path),
            log_format: self.log_format.or(other.log_format),
        }
    }
}

fn engine(text: &str) -> Result<EngineUrl, Error> {
    text.parse()
}
