//! Which engine: an address as people write it, and the one place that turns it into an engine.
//!
//! An address never shows its password again.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::engine::{Engine, LocalEngine, LocalOptions, RemoteEngine};
use crate::model::{Error, Word};

/// The port of a server that names none.
const DEFAULT_PORT: u16 = 7600;
/// What may stand before `://`, where a password can follow.
const SCHEMES: [&str; 5] = ["longshore", "redis", "rediss", "postgres", "postgresql"];
const ALLOWED: &str = "longshore://HOST:PORT, redis://HOST:PORT, log:DIR or memory:";

/// Where an engine is.
#[derive(Clone, PartialEq, Eq)]
pub enum EngineUrl {
    /// `longshore://[[USER]:PASSWORD@]HOST[:PORT]`; `redis://` is the same. The port is 7600 if it is not said.
    Remote {
        /// A name or an address.
        host: String,
        /// From 1.
        port: u16,
        /// What to authenticate with.
        password: Option<String>,
    },
    /// `log:DIR`: a directory, opened in this process without a server.
    Log(PathBuf),
    /// `memory:`: nothing outlives this process.
    Memory,
}

impl EngineUrl {
    /// Opens the engine.
    ///
    /// # Errors
    ///
    /// As [`connect`].
    pub async fn open(&self) -> Result<Arc<dyn Engine>, Error> {
        match self {
            Self::Memory => Ok(Arc::new(LocalEngine::memory(LocalOptions::default()))),
            Self::Log(directory) => Ok(Arc::new(LocalEngine::log(directory, LocalOptions::default())?.0)),
            Self::Remote { host, port, password } => {
                Ok(Arc::new(RemoteEngine::connect(host, *port, password.clone()).await?))
            }
        }
    }
}

/// Opens the engine at `url`: `longshore://HOST:PORT` (`redis://` is the same), `log:DIR` or `memory:`.
///
/// # Errors
///
/// `BADARG` for what is no such address; `UNSUPPORTED` for an engine that this build lacks; `UNREACHABLE` or `NOAUTH`
/// for a server that does not answer or does not let us in; `STATE` for a directory that another process has open.
pub async fn connect(url: &str) -> Result<Arc<dyn Engine>, Error> {
    url.parse::<EngineUrl>()?.open().await
}

impl FromStr for EngineUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::bad_arg("engine", redacted(text), ALLOWED);
        let unsupported = |what: &str| Err(Error::new(Word::Unsupported, format!("engine {}: {what}", redacted(text))));
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("log", dir)) if !dir.is_empty() => Ok(Self::Log(PathBuf::from(dir))),
            Some(("longshore" | "redis", rest)) => rest.strip_prefix("//").and_then(remote).ok_or_else(bad),
            Some(("rediss", _)) => unsupported("this build speaks no TLS; use longshore:// through a tunnel"),
            Some(("postgres" | "postgresql", _)) => unsupported("this build has no Postgres engine"),
            _ => Err(bad()),
        }
    }
}

/// Reads `[[USER]:PASSWORD@]HOST[:PORT][/]`.
fn remote(rest: &str) -> Option<EngineUrl> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (login, address) = match rest.rsplit_once('@') {
        Some((login, address)) => (Some(login), address),
        None => (None, rest),
    };
    let password = match login {
        Some(login) => Some(percent_decoded(login.split_once(':')?.1)?),
        None => None,
    };
    let (host, port) = match address.strip_prefix('[') {
        // An IPv6 address stands in brackets, since it has colons of its own.
        Some(v6) => match v6.split_once(']')? {
            (host, "") => (host, None),
            (host, tail) => (host, Some(tail.strip_prefix(':')?)),
        },
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok())?;
    let plain = !host.is_empty() && !host.contains(['/', '?', '#', ' ']);
    (plain && port != 0).then(|| EngineUrl::Remote { host: host.to_owned(), port, password })
}

fn percent_decoded(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { digit(rest.next()?)? * 16 + digit(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

/// `text` without what may be a password.
fn redacted(text: &str) -> String {
    let Some((login, address)) = text.rsplit_once('@') else { return text.to_owned() };
    // Without the slashes nothing says where a scheme ends and a password begins.
    let scheme = SCHEMES.iter().find(|scheme| login.strip_prefix(**scheme).is_some_and(|rest| rest.starts_with("://")));
    scheme.map_or(format!("…@{address}"), |scheme| format!("{scheme}://…@{address}"))
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote { host, port, .. } if host.contains(':') => write!(f, "longshore://[{host}]:{port}"),
            Self::Remote { host, port, .. } => write!(f, "longshore://{host}:{port}"),
            Self::Log(dir) => write!(f, "log:{}", dir.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

impl fmt::Debug for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::EngineUrl;

    fn check(text: &str, expected: &str) {
        match text.parse::<EngineUrl>() {
            Ok(url) => assert_eq!(url.to_string(), expected, "{text}"),
            Err(error) => assert_eq!(error.message, expected, "{text}"),
        }
    }

    #[test]
    fn addresses_are_read_and_shown_without_their_password() {
        check("longshore://127.0.0.1:7601", "longshore://127.0.0.1:7601");
        check("longshore://broker", "longshore://broker:7600");
        check("redis://:secret@broker:1/", "longshore://broker:1");
        check("longshore://[::1]:7601", "longshore://[::1]:7601");
        check("longshore://[::1]", "longshore://[::1]:7600");
        check("log:./longshore-data", "log:./longshore-data");
        check("memory:", "memory:");
    }

    #[test]
    fn a_password_is_decoded() {
        let url: EngineUrl = "longshore://ops:a%40b%3a@broker".parse().expect("a good address");
        let EngineUrl::Remote { password, .. } = url else { panic!("a server's address") };
        assert_eq!(password.as_deref(), Some("a@b:"));
    }

    #[test]
    fn what_is_no_address_is_refused_by_value_and_without_its_password() {
        let allowed = "longshore://HOST:PORT, redis://HOST:PORT, log:DIR or memory:";
        for text in
            ["", "7600", "localhost:7600", "log:", "longshore://", "longshore://h:x", "longshore://h:0", "memory:x"]
        {
            let shown = if text.is_empty() { "empty" } else { text };
            check(text, &format!("engine is {shown}; allowed: {allowed}"));
        }
        check("longshore://secret@h", &format!("engine is longshore://…@h; allowed: {allowed}"));
        check("redis::secret@host", &format!("engine is …@host; allowed: {allowed}"));
        check(":secret@host:7600", &format!("engine is …@host:7600; allowed: {allowed}"));
        check("longshore://[::1]7601", &format!("engine is longshore://[::1]7601; allowed: {allowed}"));
        check("longshore://[::1]x", &format!("engine is longshore://[::1]x; allowed: {allowed}"));
        check("postgres://u:secret@h/db", "engine postgres://…@h/db: this build has no Postgres engine");
        check("rediss://h", "engine rediss://h: this build speaks no TLS; use longshore:// through a tunnel");
    }
}
