//! Connections for calls that wait: one for each call at a time, kept for the next.
//!
//! A call that is dropped takes its connection with it, which is how the server learns that nobody waits any more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::link::{Link, Server};
use super::pipeline::Failure;
use super::resend::{Asked, Resending};
use crate::model::{Context, Error, Word, fragment};
use crate::wire::{self, Request, Response};

/// Connections kept for the next call.
const KEPT: usize = 8;
/// How much longer than it was told to wait a server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections for calls that wait.
pub(super) struct Pool {
    server: Arc<Server>,
    /// `None` once closed.
    idle: Mutex<Option<Vec<Link>>>,
    /// Says that it was closed to those who wait.
    closing: Notify,
}

impl Pool {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, idle: Mutex::new(Some(Vec::new())), closing: Notify::new() }
    }

    fn with_idle<T>(&self, used: impl FnOnce(&mut Option<Vec<Link>>) -> T) -> T {
        used(&mut self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// No further calls, and the end of those that wait.
    pub(super) fn close(&self) {
        self.with_idle(|idle| *idle = None);
        self.closing.notify_waiters();
    }

    async fn link(&self) -> Result<Link, Failure> {
        while let Some(link) = self.with_idle(|idle| idle.as_mut().map(Vec::pop)).ok_or(Failure::Closed)? {
            // Nothing is owed on an idle connection, so whatever can be read is its end.
            if matches!(link.stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock) {
                return Ok(link);
            }
        }
        self.server.connect().await.map_err(Failure::Unsent)
    }

    /// Asks once; the server waits at most `wait_ms`. Ends when this is closed, and its connection with it.
    pub(super) async fn ask(&self, context: &Context, request: &Request, wait_ms: u64) -> Result<Response, Failure> {
        let closing = self.closing.notified();
        tokio::pin!(closing);
        // Registered before it is looked at whether this is closed already.
        closing.as_mut().enable();
        tokio::select! {
            biased;
            answer = self.ask_open(context, request, wait_ms) => answer,
            () = closing => Err(Failure::Closed),
        }
    }

    async fn ask_open(&self, context: &Context, request: &Request, wait_ms: u64) -> Result<Response, Failure> {
        let mut link = self.link().await?;
        let mut out = BytesMut::new();
        let form = wire::encode(request, context, &mut out);
        let lost = |why: &str| Failure::Lost(self.server.lost(why));
        let answer = match timeout(Duration::from_millis(wait_ms) + PATIENCE, link.ask(&out, form)).await {
            Err(_) => return Err(lost("no reply in time")),
            Ok(Err(error)) => return Err(lost(&fragment(&error))),
            Ok(Ok(answer)) => answer,
        };
        self.with_idle(|idle| {
            if let Some(idle) = idle.as_mut().filter(|idle| idle.len() < KEPT) {
                idle.push(link);
            }
        });
        answer.map_err(Failure::Unsent)
    }

    /// Asks what changes nothing; when the connection is lost, again for the time that is left.
    pub(super) async fn ask_again(&self, request: impl Fn(u64) -> Request, wait_ms: u64) -> Result<Response, Error> {
        let end = Instant::now() + Duration::from_millis(wait_ms);
        let mut resending = Resending::default();
        // What was asked goes out as it is, so that the server judges it.
        let mut left_ms = wait_ms;
        loop {
            let asked = Instant::now();
            let error = match self.ask(&Context::default(), &request(left_ms), left_ms).await {
                Ok(response) => return Ok(response),
                Err(Failure::Lost(error)) if asked < end => {
                    resending.lost_waiting_since(asked, &error);
                    error
                }
                Err(Failure::Lost(error)) => {
                    resending.lost(&error);
                    error
                }
                Err(Failure::Unsent(error)) if matches!(error.word, Word::Loading | Word::Unreachable) => error,
                Err(failure) => return Err(failure.answer(Asked::Reads)),
            };
            if !resending.pause().await {
                return Err(error);
            }
            let left = end.saturating_duration_since(Instant::now());
            left_ms = u64::try_from(left.as_millis()).unwrap_or(wait_ms).min(wait_ms);
        }
    }
}
