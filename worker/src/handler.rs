//! Handlers: what runs a job. The trait that closures and command handlers implement, and how a handler says that
//! the job is not done.
//!
//! What a handler's ending means for the job is decided here ([`HandlerError::into_outcome`]) and in `attempt`.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use queue_core::model::{Limits, Outcome, is_name};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Context;

/// What a handler answers: a result (JSON by convention, at most 1 MiB) or none, or why the job is not done.
pub type HandlerResult = Result<Option<Bytes>, HandlerError>;

/// Runs one attempt of one job.
///
/// Most handlers are closures, see [`crate::WorkerBuilder::handler`]; implement this to see the payload's bytes.
///
/// A handler that is to stop is told through [`Context::cancelled`]; if it has not ended a while later
/// ([`crate::WorkerBuilder::stop_within`]) its future is dropped, which must end whatever it started.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Runs the attempt. A panic is caught and counts as a failed attempt.
    async fn run(&self, context: Context) -> HandlerResult;
}

/// Why a handler did not complete its job, and what becomes of the job.
///
/// Every [`std::error::Error`] becomes one through `?`: a failed attempt, kind `error`, retried with backoff.
/// For other values there is [`HandlerError::failed`].
///
/// # Examples
///
/// ```
/// use worker::HandlerError;
///
/// fn parse(text: &str) -> Result<u32, HandlerError> {
///     if text.is_empty() {
///         return Err(HandlerError::reject("an empty order will never be valid"));
///     }
///     Ok(text.parse()?)
/// }
/// assert_eq!(parse("x").unwrap_err().text(), "invalid digit found in string");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerError {
    kind: Cow<'static, str>,
    text: String,
    then: Then,
}

/// What becomes of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Retry,
    Reject,
    Snooze(Option<Duration>),
    Release,
}

impl HandlerError {
    fn new(kind: &'static str, text: impl Display, then: Then) -> Self {
        Self { kind: Cow::Borrowed(kind), text: text.to_string(), then }
    }

    /// A failed attempt, kind `error`: it counts, and the job is tried again after its backoff.
    pub fn failed(text: impl Display) -> Self {
        Self::new("error", text, Then::Retry)
    }

    /// The job is dead at once, reason `rejected`: trying again is useless.
    pub fn reject(text: impl Display) -> Self {
        Self::new("rejected", text, Then::Reject)
    }

    /// Put off for `delay` (at most 10 years), uncounted.
    pub fn snooze(delay: Duration) -> Self {
        Self::new("snooze", "put off", Then::Snooze(Some(delay)))
    }

    /// Put off for as long as the job's backoff says, uncounted.
    pub fn snooze_by_backoff() -> Self {
        Self::new("snooze", "put off", Then::Snooze(None))
    }

    /// Given back to its old place, uncounted.
    pub fn release() -> Self {
        Self::new("release", "", Then::Release)
    }

    /// What was told to stop has done so; these were its last words, perhaps none.
    pub(crate) fn stopped(last_words: String) -> Self {
        Self::new("release", last_words, Then::Release)
    }

    /// The same with another kind: a short word such as `exit` that groups failures. What can be no kind (empty, more
    /// than 255 bytes, or with control characters) changes nothing.
    #[must_use]
    pub fn with_kind(self, kind: impl Into<Cow<'static, str>>) -> Self {
        match kind.into() {
            kind if is_name(&kind) => Self { kind, ..self },
            _ => self,
        }
    }

    /// The short word that groups failures.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) const fn is_release(&self) -> bool {
        matches!(self.then, Then::Release)
    }

    /// What went wrong; empty where nothing did.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The error that stands for a failure, snooze or release decided elsewhere; `Ok` for a completion.
    pub(crate) fn of_outcome(outcome: Outcome) -> HandlerResult {
        let (kind, text, then) = match outcome {
            Outcome::Complete { result } => return Ok(result),
            Outcome::Fail { kind, error, retryable } => {
                (Cow::Owned(kind), error, if retryable { Then::Retry } else { Then::Reject })
            }
            Outcome::Release => return Err(Self::release()),
            Outcome::Snooze { delay_ms: None } => return Err(Self::snooze_by_backoff()),
            Outcome::Snooze { delay_ms: Some(ms) } => return Err(Self::snooze(Duration::from_millis(ms))),
        };
        Err(Self { kind, text, then })
    }

    /// How the lease ends.
    pub(crate) fn into_outcome(self) -> Outcome {
        let fail = |retryable| failed(self.kind.into_owned(), self.text, retryable);
        match self.then {
            Then::Retry => fail(true),
            Then::Reject => fail(false),
            Then::Snooze(delay) => Outcome::Snooze {
                delay_ms: delay.map(|delay| delay.as_millis().min(u128::from(Limits::DURATION_MS)) as u64),
            },
            Then::Release => Outcome::Release,
        }
    }
}

/// A failed attempt. Its text is cut to what is kept of it: a longer one could be more than a request may carry, and
/// would take down the settlements beside it.
pub(crate) fn failed(kind: String, mut error: String, retryable: bool) -> Outcome {
    error.truncate(error.floor_char_boundary(Limits::ERROR_BYTES));
    Outcome::Fail { kind, error, retryable }
}

impl<E: std::error::Error> From<E> for HandlerError {
    /// The error's text with those of its causes.
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::failed(text)
    }
}

/// A closure as a handler: the payload comes parsed, the result goes as JSON.
pub(crate) struct Typed<F, P> {
    function: F,
    payload: PhantomData<fn(P)>,
}

impl<F, P> Typed<F, P> {
    pub(crate) const fn new(function: F) -> Self {
        Self { function, payload: PhantomData }
    }
}

#[async_trait]
impl<F, P, R, Fut> Handler for Typed<F, P>
where
    F: Fn(P, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, HandlerError>> + Send,
    P: DeserializeOwned + 'static,
    R: Serialize,
{
    async fn run(&self, context: Context) -> HandlerResult {
        let running = {
            let payload = parse_payload(context.payload())?;
            (self.function)(payload, context)
        };
        let result = running.await?;
        let json = serde_json::to_vec(&result)
            .map_err(|error| HandlerError::failed(format!("the result does not turn into JSON: {error}")))?;
        // A handler that returns nothing has no result, rather than the result `null`.
        Ok((json != b"null").then(|| Bytes::from(json)))
    }
}

/// The payload as the handler takes it; an empty one is read as `null`.
fn parse_payload<P: DeserializeOwned>(payload: &[u8]) -> Result<P, HandlerError> {
    let json = if payload.is_empty() { b"null" } else { payload };
    serde_json::from_slice(json).map_err(|error| {
        let text = format!("the payload ({} bytes) is not what this handler takes: {error}", payload.len());
        HandlerError::reject(text).with_kind("payload")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_becomes_of_the_job() {
        let fail = |kind: &str, error: &str, retryable| Outcome::Fail {
            kind: kind.to_owned(),
            error: error.to_owned(),
            retryable,
        };
        let cases = [
            (HandlerError::failed("no route"), fail("error", "no route", true)),
            (HandlerError::failed("1").with_kind("exit"), fail("exit", "1", true)),
            (HandlerError::failed("1").with_kind(""), fail("error", "1", true)),
            (HandlerError::reject("no such user"), fail("rejected", "no such user", false)),
            (HandlerError::snooze(Duration::from_secs(3)), Outcome::Snooze { delay_ms: Some(3_000) }),
            (HandlerError::snooze(Duration::MAX), Outcome::Snooze { delay_ms: Some(Limits::DURATION_MS) }),
            (HandlerError::snooze_by_backoff(), Outcome::Snooze { delay_ms: None }),
            (HandlerError::release(), Outcome::Release),
        ];
        for (error, outcome) in cases {
            assert_eq!(error.into_outcome(), outcome);
        }
    }

    #[test]
    fn an_error_brings_the_texts_of_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot send the mail")]
        struct Outer(#[source] std::num::ParseIntError);
        let error = HandlerError::from(Outer("x".parse::<u8>().unwrap_err()));
        assert_eq!(error.text(), "cannot send the mail: invalid digit found in string");
    }

    #[test]
    fn a_payload_that_does_not_parse_names_what_is_wrong() {
        #[derive(Debug, serde::Deserialize)]
        struct Mail {
            #[expect(dead_code, reason = "only parsed")]
            to: String,
        }
        let error = parse_payload::<Mail>(br#"{"from":"a"}"#).unwrap_err();
        assert_eq!(error.kind(), "payload");
        assert!(error.text().contains("missing field `to`"), "{}", error.text());
        assert!(matches!(error.into_outcome(), Outcome::Fail { retryable: false, .. }));
        parse_payload::<()>(b"").expect("an empty payload is null");
    }
}
