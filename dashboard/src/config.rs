//! What a dashboard is told before it starts, whoever starts it.
//!
//! Leaves flags, environment and file to `daemon`.

use std::net::IpAddr;
use std::path::PathBuf;

use queue_core::model::Error;

/// What a dashboard is told before it starts.
///
/// The default listens on 127.0.0.1:7610, at the root of its address, and lets in whoever reaches it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where browsers connect: `HOST:PORT`, beyond loopback only with a password or token file; port 0 takes any that is free. Default `127.0.0.1:7610`.
    pub listen: String,
    /// What stands before every path, such as `/queues`, where a proxy passes a part of its paths on; without a slash at
    /// its end. Default empty.
    pub base_path: String,
    /// Names and addresses, without a port, under which browsers reach it beside those of loopback and the one that it
    /// listens on. Default none.
    pub hosts: Vec<String>,
    /// Who comes with a name and a password: a line `NAME:ROLE:HASH` for each, the hash by argon2id. Default none: with no
    /// token file either, whoever reaches the dashboard may do everything.
    pub password_file: Option<PathBuf>,
    /// Which programs come with a bearer token: a line `NAME:ROLE:sha256:DIGEST` for each. Default none.
    pub token_file: Option<PathBuf>,
    /// Proxies that are believed when they say for whom they ask (`X-Forwarded-For`) and whether that one spoke HTTPS
    /// (`X-Forwarded-Proto`). Default none.
    pub trusted_proxies: Vec<IpAddr>,
    /// Names of JSON fields whose values nobody is shown, whatever case and wherever in payloads, results, progress, errors
    /// and logs; and of headers. Default none.
    pub redact: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7610".to_owned(),
            base_path: String::new(),
            hosts: Vec::new(),
            password_file: None,
            token_file: None,
            trusted_proxies: Vec::new(),
            redact: Vec::new(),
        }
    }
}

/// Reads a base path: empty or `/` for none, else `/` and segments of letters, digits, `-`, `_`, `.` and `~`.
///
/// # Errors
///
/// `BADARG` for anything else.
pub(crate) fn base_path(text: &str) -> Result<String, Error> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    let good = path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
    let allowed = "a path such as /queues, of letters, digits, - _ . ~ and slashes";
    if good { Ok(path.to_owned()) } else { Err(Error::bad_arg("base-path", text, allowed)) }
}

#[cfg(test)]
mod tests {
    use super::base_path;

    #[test]
    fn base_paths_are_plain() {
        for (text, path) in [("", ""), ("/", ""), ("/queues", "/queues"), ("/a/b/", "/a/b")] {
            assert_eq!(base_path(text).as_deref(), Ok(path));
        }
        for text in ["queues", "//evil", "/a//b", "/a b", "/{x}", "/..", "/a?b"] {
            let error = base_path(text).expect_err(text);
            assert!(error.message.starts_with(&format!("base-path is {text}; allowed: a path")), "{}", error.message);
        }
    }
}
