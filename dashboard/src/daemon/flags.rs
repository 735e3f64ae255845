//! Flags and environment, and how they go before the file.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use program::log::{LogFlag, LogFormat};
use queue_core::EngineUrl;
use queue_core::model::Error;

use crate::{Role, access, config};

/// Longshore's dashboard: the queue in a browser, live.
///
/// Flags go before the environment, the environment before the file.
#[derive(Clone, Debug, Parser)]
#[command(name = "longshore-dashboard", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  longshore-dashboard
  longshore-dashboard --engine longshore://:PASSWORD@db1:7600 --listen 127.0.0.1:7610
  longshore-dashboard password ann --role admin >> passwords
  longshore-dashboard --listen 0.0.0.0:7610 --host queue.example.org --password-file passwords
  longshore-dashboard --base-path /queues --config dashboard.toml")]
pub struct Flags {
    /// The engine: longshore://HOST:PORT, log:DIR or memory: [default: longshore://127.0.0.1:7600]
    #[arg(long, value_name = "URL", env = "LONGSHORE_ENGINE", hide_env_values = true, value_parser = engine)]
    engine: Option<EngineUrl>,
    /// Where browsers connect; beyond loopback only with a password or token file [default: 127.0.0.1:7610]
    #[arg(long, value_name = "HOST:PORT", env = "LONGSHORE_DASHBOARD_LISTEN")]
    listen: Option<String>,
    /// What stands before every path, where a proxy passes a part of its paths on, such as /queues [default: none]
    #[arg(long, value_name = "PATH", env = "LONGSHORE_BASE_PATH", value_parser = config::base_path)]
    base_path: Option<String>,
    /// A name or an address under which browsers reach it beside loopback's, such as a proxy's name; may be given again
    #[arg(long = "host", value_name = "NAME", env = "LONGSHORE_DASHBOARD_HOST", value_delimiter = ',')]
    hosts: Option<Vec<String>>,
    /// Who may come with a name and a password, a line for each, as `longshore-dashboard password` makes it
    #[arg(long, value_name = "FILE", env = "LONGSHORE_DASHBOARD_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// Which programs may come with a bearer token, a line for each, as `longshore-dashboard token` makes it
    #[arg(long, value_name = "FILE", env = "LONGSHORE_DASHBOARD_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// A proxy that is believed when it says for whom it asks, and whether by HTTPS; may be given again
    #[arg(long = "trusted-proxy", value_name = "ADDRESS", env = "LONGSHORE_TRUSTED_PROXY", value_delimiter = ',')]
    trusted_proxies: Option<Vec<IpAddr>>,
    /// A field whose value nobody is shown, in payloads, results, errors, logs and headers, such as password; may be given
    /// again
    #[arg(long, value_name = "NAME", env = "LONGSHORE_REDACT", value_delimiter = ',')]
    redact: Option<Vec<String>>,
    /// A TOML file with these settings
    #[arg(long, value_name = "FILE", env = "LONGSHORE_DASHBOARD_CONFIG")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    log: LogFlag,
    #[command(subcommand)]
    pub(super) task: Option<Task>,
}

/// What is done instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Task {
    /// Write the line of a password file for somebody; the password is read from the terminal or from standard input
    Password {
        /// Who it is, as it stands in what they change
        #[arg(value_parser = access::name)]
        name: String,
        /// What they may do: viewer, operator or admin
        #[arg(long, value_name = "ROLE")]
        role: Role,
    },
    /// Make a bearer token: its line of a token file to standard output, the token itself to standard error
    Token {
        /// Whose it is, as it stands in what is changed with it
        #[arg(value_parser = access::name)]
        name: String,
        /// What it allows: viewer, operator or admin
        #[arg(long, value_name = "ROLE")]
        role: Role,
    },
    /// Write every route and action with the role it needs, as JSON
    Routes,
    /// Write a shell's completions
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// What flags, environment or file say; `None` where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) engine: Option<EngineUrl>,
    pub(super) listen: Option<String>,
    pub(super) base_path: Option<String>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) trusted_proxies: Option<Vec<IpAddr>>,
    pub(super) redact: Option<Vec<String>>,
    pub(super) log_format: Option<LogFormat>,
}

impl From<Flags> for Settings {
    fn from(flags: Flags) -> Self {
        let Flags {
            engine,
            listen,
            base_path,
            hosts,
            password_file,
            token_file,
            trusted_proxies,
            redact,
            log: LogFlag { log_format },
            ..
        } = flags;
        Self { engine, listen, base_path, hosts, password_file, token_file, trusted_proxies, redact, log_format }
    }
}

impl Settings {
    /// These settings, and where they say nothing `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            engine: self.engine.or(other.engine),
            listen: self.listen.or(other.listen),
            base_path: self.base_path.or(other.base_path),
            hosts: self.hosts.or(other.hosts),
            password_file: self.password_file.or(other.password_file),
            token_file: self.token_file.or(other.token_file),
            trusted_proxies: self.trusted_proxies.or(other.trusted_proxies),
            redact: self.redact.or(other.redact),
            log_format: self.log_format.or(other.log_format),
        }
    }
}

fn engine(text: &str) -> Result<EngineUrl, Error> {
    text.parse()
}
