//! Who serves which queue: one look at the workers for all who watch, at most once a second, at a part of them if they
//! are very many.
//!
//! Invariant: where not all were looked at, `all` says so, and so does every page that rests on it.

use std::collections::HashSet;
use std::sync::Arc;

use queue_core::engine::Engine;
use queue_core::model::{Error, Limits, WorkerState, WorkerView};

use crate::app::App;
use crate::kept::Kept;

/// How long a look is good for, milliseconds.
const GOOD_MS: u64 = 1_000;
/// Most pages of workers that one look reads.
const PAGES: usize = 5;

/// The workers, by name, without their jobs.
pub(crate) struct Crew {
    workers: Vec<WorkerView>,
    /// The queues that one of them takes jobs from now.
    leasing: HashSet<String>,
    /// Whether these are all that there are.
    pub(crate) all: bool,
}

/// The newest look.
pub(crate) struct Look(Kept<(), Crew>);

impl Default for Look {
    fn default() -> Self {
        Self(Kept::new(GOOD_MS, 1))
    }
}

impl Crew {
    /// The workers as they were at most a second ago.
    pub(crate) async fn of(app: &App) -> Result<Arc<Self>, Error> {
        app.crew.0.answer((), app.steady_ms(), || Self::read(&*app.engine)).await
    }

    async fn read(engine: &dyn Engine) -> Result<Self, Error> {
        let (mut workers, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES {
            let page = engine.workers(cursor, Limits::PAGE_ROWS).await?;
            workers.extend(page.workers.into_iter().map(|worker| WorkerView { jobs: Vec::new(), ..worker }));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let running = workers.iter().filter(|worker| worker.state == WorkerState::Running);
        let leasing = running.flat_map(|worker| worker.queues.iter().cloned()).collect();
        Ok(Self { workers, leasing, all: cursor.is_none() })
    }

    /// How many were looked at.
    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether one of them takes jobs from the queue now.
    pub(crate) fn takes_from(&self, queue: &str) -> bool {
        self.leasing.contains(queue)
    }

    /// Those that serve the queue, whatever they do now.
    pub(crate) fn serving(&self, queue: &str) -> Vec<&WorkerView> {
        self.workers.iter().filter(|worker| worker.queues.iter().any(|served| served == queue)).collect()
    }
}
