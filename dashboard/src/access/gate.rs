//! Who somebody is: by the session that a cookie names, or by a bearer token; and how a session begins and ends.
//!
//! Without passwords and tokens everybody is the one user there is, and the dashboard listens on loopback alone.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use queue_core::model::Error;
use tokio::sync::Semaphore;

use super::limit::Limit;
use super::passwords::Passwords;
use super::peer::Peer;
use super::sessions::Sessions;
use super::tokens::Tokens;
use super::{Access, Key, Refusal, Role};
use crate::Config;

/// The cookie that has a session's id.
const COOKIE: &str = "longshore-session";
/// The user where nobody needs to say who they are.
const NOBODY: &str = "dashboard";
/// Tries a minute of one address, and for one name from all of them.
const TRIES_OF_ADDRESS: u64 = 10;
const TRIES_FOR_NAME: u64 = 20;
/// Passwords that are looked at at once, and that wait for it.
const HASHING: usize = 2;
const WAITING: usize = 32;

/// Lets people and programs in.
pub(crate) struct Gate {
    passwords: Option<Arc<Passwords>>,
    tokens: Option<Tokens>,
    proxies: Vec<IpAddr>,
    sessions: Sessions,
    by_address: Limit,
    by_name: Limit,
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Gate {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// `BADARG` with a line for each fault of a file.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            passwords: config.password_file.as_deref().map(Passwords::load).transpose()?.map(Arc::new),
            tokens: config.token_file.as_deref().map(Tokens::load).transpose()?,
            proxies: config.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            sessions: Sessions::default(),
            by_address: Limit::new(TRIES_OF_ADDRESS),
            by_name: Limit::new(TRIES_FOR_NAME),
            hashing: Arc::new(Semaphore::new(HASHING)),
            waiting: Semaphore::new(WAITING),
        })
    }

    /// Who is at the other end of a request.
    pub(crate) fn peer(&self, request: &Parts) -> Peer {
        Peer::of(request, &self.proxies)
    }

    /// Whether somebody can log in.
    pub(crate) fn has_passwords(&self) -> bool {
        self.passwords.is_some()
    }

    /// Who asks, if that can be told.
    ///
    /// # Errors
    ///
    /// Refuses a token that nobody has. Tries are not counted: nobody guesses one, and who has one is not to wait for others.
    pub(super) fn who(&self, request: &Parts, now_ms: u64) -> Result<Option<Access>, Refusal> {
        if self.passwords.is_none() && self.tokens.is_none() {
            return Ok(Some(Access { user: NOBODY.to_owned(), role: Role::Admin, session: None }));
        }
        if let (Some(tokens), Some(token)) = (&self.tokens, bearer(&request.headers)) {
            let (user, role) = tokens.find(token).ok_or_else(|| unknown("the bearer token is nobody's"))?;
            return Ok(Some(Access { user, role, session: None }));
        }
        let found = cookies(&request.headers).find_map(|id| self.sessions.find(id, now_ms));
        Ok(found.map(|(key, user, role)| Access { user, role, session: Some(key) }))
    }

    /// Begins a session for whoever has this name and password, and answers the cookie for it, for a base path.
    ///
    /// # Errors
    ///
    /// The same for a name that nobody has as for a wrong password; and after too many tries, without looking at either.
    pub(crate) async fn log_in(
        &self,
        (name, password): (String, String),
        (peer, headers): (Peer, &HeaderMap),
        base: &str,
        now_ms: u64,
    ) -> Result<String, Refusal> {
        let wrong = || unknown("name or password is wrong");
        let passwords = self.passwords.clone().ok_or_else(wrong)?;
        self.by_address.take(peer.counted(), now_ms).map_err(too_many)?;
        self.by_name.take(&name, now_ms).map_err(too_many)?;
        let _place = self.waiting.try_acquire().map_err(|_| too_many(1_000))?;
        let turn = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| too_many(1_000))?;
        let tried = name.clone();
        let verified = tokio::task::spawn_blocking(move || {
            // Whoever does not wait for the answer has the turn all the same, until it is done.
            let _turn = turn;
            passwords.verify(&tried, &password)
        });
        let Some((user, role)) = verified.await.ok().flatten() else {
            tracing::warn!(address = ?peer.address, "a login failed");
            return Err(wrong());
        };
        self.by_address.give_back(peer.counted());
        self.by_name.give_back(&name);
        // A new id for each login: the one that the browser had may be known to others.
        let before = cookies(headers).filter_map(|id| self.sessions.find(id, now_ms));
        before.for_each(|(key, ..)| self.sessions.end(&key));
        tracing::info!(%user, role = role.word(), address = ?peer.address, "logged in");
        Ok(cookie(&self.sessions.begin(&user, role, now_ms), base, peer.https))
    }

    /// Ends a session, and answers what takes its cookie away.
    pub(crate) fn log_out(&self, key: Option<&Key>, base: &str) -> String {
        if let Some(key) = key {
            self.sessions.end(key);
        }
        format!("{}; Max-Age=0", cookie("", base, false))
    }

    /// Returns once a session is over.
    pub(crate) async fn ended(&self, key: &Key, now_ms: impl Fn() -> u64) {
        while let Some((until_ms, ended)) = self.sessions.life(key, now_ms()) {
            let left = std::time::Duration::from_millis(until_ms.saturating_sub(now_ms()));
            tokio::select! {
                () = ended.cancelled() => return,
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}

fn cookie(id: &str, base: &str, https: bool) -> String {
    let (path, secure) = (if base.is_empty() { "/" } else { base }, if https { "; Secure" } else { "" });
    format!("{COOKIE}={id}; Path={path}; HttpOnly; SameSite=Lax{secure}")
}

/// The ids of sessions that a browser sends.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, id)| id)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unknown(message: &str) -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "That did not let you in",
        message,
        "Nothing was changed. Look at both and try again.",
    )
}

fn too_many(wait_ms: u64) -> Refusal {
    let seconds = wait_ms.div_ceil(1_000).max(1).to_string();
    let advice = format!("Wait {seconds} s, then try again.");
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too many tries", "there were too many tries to come in", advice)
        .with(header::RETRY_AFTER, seconds)
}
