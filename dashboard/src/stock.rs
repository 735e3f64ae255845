//! What stands in all queues: one look for all who watch, at most once a second, at a part of them if they are very many.
//!
//! Invariant: where not all were looked at, `all` says so, and so does every page that rests on it.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{Activity, Error, Limits, QueueView};

use crate::app::App;
use crate::kept::Kept;
use crate::view::queues;

/// How long a look is good for, milliseconds.
const GOOD_MS: u64 = 1_000;
/// Most pages of queues that one look reads.
const PAGES: usize = 5;

/// The queues, by name.
pub(crate) struct Stock {
    pub(crate) queues: Vec<QueueView>,
    /// What each did lately, of the first page.
    pub(crate) lately: Vec<Activity>,
    /// Whether these are all that there are.
    pub(crate) all: bool,
}

/// The newest look.
pub(crate) struct Look(Kept<(), Stock>);

impl Default for Look {
    fn default() -> Self {
        Self(Kept::new(GOOD_MS, 1))
    }
}

impl Stock {
    /// The queues as they were at most a second ago.
    pub(crate) async fn of(app: &App) -> Result<Arc<Self>, Error> {
        app.stock.0.answer((), app.steady_ms(), || Self::read(&*app.engine)).await
    }

    async fn read(engine: &dyn Engine) -> Result<Self, Error> {
        let (mut queues, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES {
            let page = engine.queues(cursor, Limits::PAGE_ROWS).await?;
            queues.extend(page.queues.into_iter().map(|queue| QueueView { settings: Vec::new(), ..queue }));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let lately = queues::activity(engine, None, Limits::PAGE_ROWS).await?;
        Ok(Self { queues, lately, all: cursor.is_none() })
    }

    /// The first `most` in an order.
    pub(crate) fn sorted(&self, sort: Sort, most: usize) -> Vec<&QueueView> {
        let mut queues: Vec<_> = self.queues.iter().collect();
        // By name they stand already, and so do those that are alike.
        match sort {
            Sort::Name => {}
            Sort::Waiting => queues.sort_by_key(|queue| Reverse(queue.counts.waiting)),
            Sort::Active => queues.sort_by_key(|queue| Reverse(queue.counts.active)),
            Sort::Dead => queues.sort_by_key(|queue| Reverse(queue.counts.dead)),
            Sort::Oldest => queues.sort_by_key(|queue| Reverse(queue.oldest_waiting_ms)),
        }
        queues.truncate(most);
        queues
    }
}

/// What a table of queues is sorted by: names ascending, everything else the largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    #[default]
    Name,
    Waiting,
    Active,
    Dead,
    Oldest,
}

impl Sort {
    pub(crate) const ALL: [Self; 5] = [Self::Name, Self::Waiting, Self::Active, Self::Dead, Self::Oldest];

    /// The word in an address.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Dead => "dead",
            Self::Oldest => "oldest",
        }
    }

    /// The sort that a column of the table stands for.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.word() == word)
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use queue_core::engine::EngineExt;
    use queue_core::model::{Context, NewJob};

    use super::{Sort, Stock};

    #[tokio::test]
    async fn the_largest_is_first_whatever_its_name() {
        let engine = queue_core::connect("memory:").await.expect("memory is there");
        for at in 0..1_200 {
            let jobs = (0..at % 7).map(|_| NewJob::new("n", "{}")).collect::<Vec<_>>();
            let patch = queue_core::model::SettingsPatch::default();
            engine.set_queue(&Context::default(), &format!("q{at:04}"), patch).await.expect("made");
            if at >= 1_190 && !jobs.is_empty() {
                engine.enqueue(&format!("q{at:04}"), jobs).await.expect("enqueued");
            }
        }
        let stock = Stock::read(&*engine).await.expect("read");
        assert_eq!((stock.queues.len(), stock.all), (1_200, true));
        let names = |sort| stock.sorted(sort, 3).into_iter().map(|queue| queue.queue.clone()).collect::<Vec<_>>();
        assert_eq!(names(Sort::Name), ["q0000", "q0001", "q0002"]);
        // 1,195 is five more than a multiple of seven, 1,196 six.
        assert_eq!(names(Sort::Waiting), ["q1196", "q1195", "q1194"]);
        assert!(stock.sorted(Sort::Oldest, 8).iter().all(|queue| queue.oldest_waiting_ms.is_some()));
    }
}
