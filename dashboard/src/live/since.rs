//! How many jobs came since a list was shown, so that the list itself can hold still under who reads it.
//!
//! One counter of the store, or of the queue that the list is of, is compared with what it was: nothing is looked through,
//! so it counts every job that came there, also those that the rest of a search would leave out, and says so.

use queue_core::engine::EngineExt;
use queue_core::model::{Error, JobFilter};

use crate::app::App;
use crate::query::Query;

/// What a list was shown of, and how many jobs had come there by then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Since {
    /// None: all queues.
    queue: Option<String>,
    /// Whether the list begins with whatever comes: it does where nothing is searched for, the newest first.
    all: bool,
    count: u64,
}

impl Since {
    /// As of now; to be asked for before the list, so that no job comes between the two.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub(crate) async fn now(app: &App, filter: &JobFilter) -> Result<Self, Error> {
        let (queue, all) = (filter.queue.clone(), *filter == JobFilter::default());
        let count = came(app, queue.as_deref()).await?;
        Ok(Self { queue, all, count })
    }

    pub(crate) fn parse(query: &Query) -> Option<Self> {
        let count = query.get("count")?.parse().ok()?;
        Some(Self { queue: query.exact("queue").map(str::to_owned), all: query.get("all").is_some(), count })
    }

    pub(crate) fn query(&self) -> Query {
        let query = Query::default().with("count", self.count.to_string());
        let query = if self.all { query.with("all", "yes") } else { query };
        self.queue.iter().fold(query, |query, queue| query.with("queue", queue.clone()))
    }

    /// How many came meanwhile, and whether the list would begin with them.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub(crate) async fn news(&self, app: &App) -> Result<(u64, bool), Error> {
        let ask = || came(app, self.queue.as_deref());
        let count = app.came.answer(self.queue.clone(), app.steady_ms(), ask).await?;
        // It may have been read just before the list was.
        Ok((count.saturating_sub(self.count), self.all))
    }
}

/// How many jobs ever came.
async fn came(app: &App, queue: Option<&str>) -> Result<u64, Error> {
    let counts = match queue {
        Some(queue) => app.engine.queue(queue).await?.counts,
        None => app.engine.stats().await?.counts,
    };
    Ok(counts.enqueued)
}
