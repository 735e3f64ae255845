//! The registry: which handler runs a job. That of `queue/name`, else of `name`, else of `queue/*`, else of `*`.
//!
//! A registry is never changed while it is used; a reload puts another in its place, and running jobs keep theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handler::Typed;
use crate::{Context, Handler, HandlerError};

/// Handlers by job name.
///
/// A job is run by the handler of `queue/name`, else of `name`, else of `queue/*`, else of `*`. A job whose name has a
/// slash in it is found only with its queue before it, or by a `*`.
#[derive(Clone, Default)]
pub struct Handlers {
    by_name: BTreeMap<String, Arc<dyn Handler>>,
}

impl Handlers {
    /// No handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a closure, see [`crate::WorkerBuilder::handler`]. A second handler of one name replaces the first.
    #[must_use]
    pub fn with<F, P, R, Fut>(mut self, name: &str, function: F) -> Self
    where
        F: Fn(P, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
        P: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        self.insert(name, Arc::new(Typed::new(function)));
        self
    }

    /// Adds any handler. A second handler of one name replaces the first.
    pub fn insert(&mut self, name: &str, handler: Arc<dyn Handler>) {
        self.by_name.insert(name.to_owned(), handler);
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The handler for a job.
    pub(crate) fn find(&self, queue: &str, name: &str) -> Option<Arc<dyn Handler>> {
        let of_queue = |name: &str| self.by_name.get(&format!("{queue}/{name}"));
        let by_name = || if name.contains('/') { None } else { self.by_name.get(name) };
        of_queue(name).or_else(by_name).or_else(|| of_queue("*")).or_else(|| self.by_name.get("*")).cloned()
    }

    /// What to say of a job that none of these handlers runs.
    pub(crate) fn missing(&self, queue: &str, name: &str) -> HandlerError {
        let here: Vec<_> = self.names().collect();
        let here = if here.is_empty() { "none".to_owned() } else { here.join(", ") };
        let text = format!("no handler for the job name {name} in the queue {queue}; handlers of this worker: {here}");
        HandlerError::failed(text).with_kind("no-handler")
    }
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    #[async_trait::async_trait]
    impl Handler for Nothing {
        async fn run(&self, _: Context) -> crate::HandlerResult {
            Ok(None)
        }
    }

    fn handlers(names: &[&str]) -> Handlers {
        let mut handlers = Handlers::new();
        names.iter().for_each(|name| handlers.insert(name, Arc::new(Nothing)));
        handlers
    }

    #[test]
    fn the_most_exact_handler_is_found() {
        let check = |names: &[&str], expected: Option<&str>| {
            let handlers = handlers(names);
            let found = handlers.find("emails", "send");
            let expected = expected.map(|name| Arc::clone(&handlers.by_name[name]));
            match (found, expected) {
                (Some(found), Some(expected)) => assert!(Arc::ptr_eq(&found, &expected), "{names:?}"),
                (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{names:?}"),
            }
        };
        check(&["*", "send", "emails/send", "bills/send"], Some("emails/send"));
        check(&["*", "send", "bills/send"], Some("send"));
        check(&["*", "emails/*", "bills/send"], Some("emails/*"));
        check(&["*", "bills/send"], Some("*"));
        check(&["bills/send", "receive"], None);
    }

    #[test]
    fn a_name_with_a_slash_is_not_taken_for_a_queue_and_a_name() {
        assert!(handlers(&["emails/send"]).find("bills", "emails/send").is_none());
        assert!(handlers(&["bills/emails/send"]).find("bills", "emails/send").is_some());
    }

    #[test]
    fn a_missing_handler_is_named_with_those_there_are() {
        let error = handlers(&["send", "emails/bounce"]).missing("emails", "sned");
        assert_eq!(error.kind(), "no-handler");
        assert_eq!(
            error.text(),
            "no handler for the job name sned in the queue emails; handlers of this worker: emails/bounce, send"
        );
    }
}
