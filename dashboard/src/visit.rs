//! One request as a handler sees it, and what a handler answers with.
//!
//! Pages end in [`Shown::Page`], changes in [`Shown::Back`], a redirect that a reload does not repeat; a refusal of the
//! engine is an [`Error`], which `failure` shows with its status.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use maud::Markup;
use queue_core::engine::EngineExt;
use queue_core::model::{Context, Error, JobNumber, JobRef, Stats};

use crate::access::{Access, Peer};
use crate::app::App;
use crate::live::Topic;
use crate::query::{Query, name_of};

/// One request.
pub(crate) struct Visit {
    pub(crate) app: Arc<App>,
    pub(crate) access: Access,
    /// The path without the base.
    pub(crate) path: String,
    /// Who is at the other end.
    pub(crate) peer: Peer,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    /// What was posted; empty for what only reads.
    pub(crate) form: Query,
    /// The named segments of the route's path, decoded.
    pub(crate) segments: Vec<(String, String)>,
    /// The wall clock when it came.
    pub(crate) now_ms: u64,
}

/// What a handler answers with.
pub(crate) enum Shown {
    /// A page in the layout.
    Page(Page),
    /// Back to a path of ours, with what was done.
    Back(String),
    /// Anything else.
    Other(Response),
}

/// A page's own part.
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) nav: Nav,
    pub(crate) body: Markup,
    /// What of it is kept up to date beside the totals.
    pub(crate) live: Vec<Topic>,
    /// Whether it has charts, which take files of their own.
    pub(crate) charts: bool,
}

impl Page {
    pub(crate) fn new(title: impl Into<String>, nav: Nav, body: Markup) -> Self {
        Self { title: title.into(), nav, body, live: Vec::new(), charts: false }
    }

    #[must_use]
    pub(crate) fn live(mut self, topic: Topic) -> Self {
        self.live.push(topic);
        self
    }

    #[must_use]
    pub(crate) fn charts(mut self) -> Self {
        self.charts = true;
        self
    }
}

impl From<Page> for Shown {
    fn from(page: Page) -> Self {
        Self::Page(page)
    }
}

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nav {
    Overview,
    Queues,
    Jobs,
    Dead,
    Errors,
    Workers,
    Events,
    Operations,
}

impl Visit {
    /// A named segment of the path.
    pub(crate) fn segment(&self, name: &str) -> &str {
        let found = self.segments.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| name_of(value))
    }

    /// The job that the path names.
    pub(crate) fn job(&self) -> Result<JobNumber, Error> {
        match JobRef::parse(self.segment("job"), None)? {
            JobRef::Number(number) => Ok(number),
            JobRef::Id { id, .. } => Err(Error::bad_arg("job", id, "a job's number")),
        }
    }

    /// Who asks, and the reason that was typed.
    pub(crate) fn context(&self) -> Context {
        let reason = self.form.get("reason").unwrap_or_default().to_owned();
        Context { actor: self.access.user.clone(), reason }
    }

    /// The totals, for the bar that every page has.
    pub(crate) async fn stats(&self) -> Result<Stats, Error> {
        self.app.engine.stats().await
    }

    /// The page that a form stood on, without the base. One elsewhere is not gone to.
    pub(crate) fn from(&self) -> Option<&str> {
        // A form that only shows another has it in the address.
        let from = self.form.get("back").or_else(|| self.query.get("back"))?;
        from.strip_prefix(self.app.base.as_str()).filter(|path| is_ours(path))
    }

    /// Back to the page that a form stood on, with `done` in its query to say what came of it.
    pub(crate) fn back(&self, done: &str, otherwise: &str) -> Shown {
        self.to(self.from().unwrap_or(otherwise), done)
    }

    /// To a path of ours, without the base, with `done` in its query.
    pub(crate) fn to(&self, path: &str, done: &str) -> Shown {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Shown::Back(self.app.url_with(path, &Query::parse(query.as_bytes()).with("done", done)))
    }

    /// This page's own address, for forms that come back to it.
    pub(crate) fn here(&self) -> String {
        self.app.url_with(&self.path, &self.query.clone().without(&["done"]))
    }
}

/// Whether a path stays at this address: a second slash, also one that leans the other way, would begin another host.
fn is_ours(path: &str) -> bool {
    let mut bytes = path.bytes();
    bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\')) && !path.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_paths_of_ours_are_gone_back_to() {
        for path in ["/", "/jobs?q=state%3Adead", "/jobs/1"] {
            assert!(is_ours(path), "{path}");
        }
        for path in ["", "jobs", "//evil", "/\\evil", "https://evil", "/a\nb"] {
            assert!(!is_ours(path), "{path}");
        }
    }
}
