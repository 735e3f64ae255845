//! Lists of jobs whose payload has a text in it: the text is compared outside the lock, on another thread.
//!
//! Under the lock a page only collects what it has to look at, and afterwards makes its rows. In between everybody else goes
//! on. Invariant: a page shows jobs as they are at the instant of its second hold of the lock, whatever happened since the
//! first.

use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;

use super::Shared;
use super::store::Store;
use crate::engine::Answer;
use crate::journal::Storage;
use crate::machine::Candidates;
use crate::model::{Command, Error, JobFilter, Reply};

/// A list that searches payloads.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    filter: &'a JobFilter,
    text: &'a str,
    cursor: Option<&'a str>,
    limit: u32,
}

impl<'a> Search<'a> {
    /// The command as a search, if it is one.
    pub(super) fn of(command: &'a Command) -> Option<Self> {
        let Command::ListJobs { filter, cursor, limit } = command else { return None };
        Some(Self { filter, text: filter.contains.as_deref()?, cursor: cursor.as_deref(), limit: *limit })
    }
}

impl<S: Storage> Shared<S> {
    /// One page. The outer error is the engine's failure, the inner the command's refusal.
    pub(super) async fn search(self: &Arc<Self>, search: Search<'_>) -> Result<Answer, Error> {
        let collected = self.with_room(|store| store.collect(search).map(Some)).await?;
        let (candidates, payloads) = match collected {
            Ok(collected) => collected,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let text = search.text.to_owned();
        let compare = tokio::task::spawn_blocking(move || {
            let finder = memmem::Finder::new(&text);
            payloads.iter().map(|payload| finder.find(payload).is_some()).collect::<Vec<_>>()
        });
        // Nothing in it panics; a runtime that ends takes its engine with it.
        let had_text = compare.await.map_err(|_| super::closed())?;
        self.with_room(|store| store.found(search, &candidates, &had_text).map(Some)).await.map(Ok)
    }
}

impl<S: Storage> Store<S> {
    /// What a page has to look at. The inner error is the command's refusal.
    fn collect(&mut self, search: Search<'_>) -> Result<Result<(Candidates, Vec<Bytes>), Error>, Error> {
        self.turn(|store, _| {
            let candidates = store.machine.candidates(search.filter, search.cursor, search.limit)?;
            let payloads = candidates.payloads().map(|payload| store.files.blobs.share(payload)).collect();
            Ok((candidates, payloads))
        })
    }

    fn found(&mut self, search: Search<'_>, candidates: &Candidates, had_text: &[bool]) -> Result<Reply, Error> {
        self.turn(|store, _| {
            let (files, finder) = (&store.files, memmem::Finder::new(search.text));
            let has_text = |payload| finder.find(&files.blobs.share(payload)).is_some();
            let page = store.machine.found(search.filter, candidates, had_text, search.limit, files, has_text);
            Reply::Jobs(page)
        })
    }
}
