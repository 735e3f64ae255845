//! What a server is told before it starts, whoever starts it.
//!
//! Leaves flags, environment and files to `daemon`; durations are [`Duration`]s.

use std::time::Duration;

use queue_core::model::QueueSettings;
use tokio::sync::watch;

use crate::Password;

/// Settings by queue, as the server's file gives them.
pub(crate) type Queues = Vec<(String, QueueSettings)>;

/// What a server is told before it starts.
///
/// The default listens on 127.0.0.1:7600 and 127.0.0.1:7601, without a password.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect: `HOST:PORT`; port 0 takes any that is free. Default `127.0.0.1:7600`.
    pub listen: String,
    /// Where `/healthz` and `/readyz` answer: `HOST:PORT`, or none. Default `127.0.0.1:7601`.
    pub admin: Option<String>,
    /// What clients must know; without one everybody may do everything. Default none.
    pub password: Option<Password>,
    /// Listens beyond loopback even without a password. Default `false`.
    pub insecure_no_password: bool,
    /// What one client, and all of them, may take.
    pub limits: Limits,
    /// Settings of queues, applied once the engine is open and whenever they change. Default none.
    pub queues: Option<watch::Receiver<Vec<(String, QueueSettings)>>>,
    /// The bound on memory that the engine was opened with, in bytes, to show it. Default none.
    pub memory_bytes_max: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7600".to_owned(),
            admin: Some("127.0.0.1:7601".to_owned()),
            password: None,
            insecure_no_password: false,
            limits: Limits::default(),
            queues: None,
            memory_bytes_max: None,
        }
    }
}

/// What one client, and all of them, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; one more is told so and closed. Default 10,000. Where the process may not open that many
    /// files and 64 beside them, fewer, with a warning; the soft limit of open files is raised first.
    pub connections_max: usize,
    /// How long a client has to authenticate. Default 10 s.
    pub authenticate: Duration,
    /// How long a client may take to accept a reply. Default 60 s.
    pub write: Duration,
    /// How long a shutdown waits for what is being executed. Default 10 s.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            authenticate: Duration::from_secs(10),
            write: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
        }
    }
}
