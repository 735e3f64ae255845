//! A request that is turned away before its handler: the status, and the page that says why and what to do.

use axum::http::{HeaderName, StatusCode};

/// Why somebody is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The page's heading.
    pub(crate) title: &'static str,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) advice: String,
    /// Where one can log in instead, without the base.
    pub(crate) login: Option<String>,
    pub(crate) headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        title: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (message, advice) = (message.into(), advice.into());
        Self { status, title, message, advice, login: None, headers: Vec::new() }
    }

    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
