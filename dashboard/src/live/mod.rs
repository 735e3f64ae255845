//! What is kept up to date: regions of pages, each rendered once for all who watch it.
//!
//! A topic's task runs only while somebody watches it, renders its region at most twice a second, and tells who watches
//! only of what changed. The id of an update names what the page has of each topic, so that a page that comes back is
//! sent only what it lacks, also by a dashboard that was started meanwhile.

mod feed;
mod since;
mod topic;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::select_all;
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;

use crate::access::Role;
use crate::app::App;
pub(crate) use feed::{EventFilter, Feed, Found, ROWS, Ran, Row, Seen, find};
pub(crate) use since::Since;
pub(crate) use topic::Topic;

/// Between two looks at one region.
const PAUSE: Duration = Duration::from_millis(500);

/// A region as it is, and what tells it from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fragment {
    html: Arc<str>,
    /// Of the text; 0 before the first.
    sum: u32,
}

/// A topic as a role sees it.
type Key = (Topic, Role);

/// The topics that somebody watches.
#[derive(Default)]
pub(crate) struct Live {
    /// The one reader of the feed.
    pub(crate) feed: Feed,
    watched: Mutex<HashMap<Key, Arc<watch::Sender<Fragment>>>>,
}

impl Live {
    /// How many there are.
    pub(crate) fn topics(&self) -> usize {
        self.watched().len()
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Key, Arc<watch::Sender<Fragment>>>> {
        // A map of senders is whole between any two of its calls.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a page is sent: regions, and the id that names what the page has then.
pub(crate) struct Update {
    pub(crate) id: String,
    pub(crate) html: String,
}

/// Watches topics, from what the page has as `last` names it.
pub(crate) fn watch(
    app: &Arc<App>,
    role: Role,
    topics: &[Topic],
    last: &str,
) -> impl Stream<Item = Update> + Send + use<> {
    let had = |topic: &Topic| {
        let mut known = last.split(',').filter_map(|part| part.rsplit_once('='));
        let sum = known.find(|(name, _)| *name == topic.to_string()).map(|(_, sum)| u32::from_str_radix(sum, 16));
        sum.and_then(Result::ok).unwrap_or(0)
    };
    let watched = topics.iter().map(|topic| Watched {
        receiver: subscribe(app, &(topic.clone(), role)),
        has: had(topic),
        topic: topic.clone(),
    });
    unfold(watched.collect::<Vec<_>>(), |mut watched| async move {
        loop {
            let html = watched.iter_mut().filter_map(Watched::news).fold(String::new(), |html, news| html + &news);
            if !html.is_empty() {
                let id: Vec<_> = watched.iter().map(|one| format!("{}={:08x}", one.topic, one.has)).collect();
                return Some((Update { id: id.join(","), html }, watched));
            }
            let changes = watched.iter_mut().map(|one| Box::pin(one.receiver.changed()));
            // A topic's task ends only once nobody watches it, or with the program.
            select_all(changes).await.0.ok()?;
        }
    })
}

/// One topic of one page.
struct Watched {
    topic: Topic,
    receiver: watch::Receiver<Fragment>,
    /// The sum of what the page has.
    has: u32,
}

impl Watched {
    /// What the page lacks.
    fn news(&mut self) -> Option<Arc<str>> {
        let now = self.receiver.borrow_and_update();
        if now.sum == 0 || now.sum == self.has {
            return None;
        }
        self.has = now.sum;
        Some(Arc::clone(&now.html))
    }
}

/// What tells one rendering from another: all of it but ages, which the page's script goes on with by itself. Never 0.
fn sum(html: &str) -> u32 {
    let (begin, end) = ("<time", "</time>");
    let mut pieces = html.split(begin);
    let first = crc32c::crc32c(pieces.next().unwrap_or_default().as_bytes());
    let sum = pieces.fold(first, |sum, piece| {
        let (age, rest) = piece.split_once(end).unwrap_or(("", piece));
        let time = age.split('>').next().unwrap_or_default();
        crc32c::crc32c_append(crc32c::crc32c_append(sum, time.as_bytes()), rest.as_bytes())
    });
    sum.max(1)
}

fn subscribe(app: &Arc<App>, key: &Key) -> watch::Receiver<Fragment> {
    let mut watched = app.live.watched();
    if let Some(sender) = watched.get(key) {
        return sender.subscribe();
    }
    let (sender, receiver) = watch::channel(Fragment::default());
    let sender = Arc::new(sender);
    watched.insert(key.clone(), Arc::clone(&sender));
    tokio::spawn(keep(Arc::clone(app), key.clone(), sender));
    receiver
}

/// Keeps one region up to date while somebody watches it.
async fn keep(app: Arc<App>, key: Key, sender: Arc<watch::Sender<Fragment>>) {
    loop {
        let html: Arc<str> = key.0.render(&app, key.1).await.into_string().into();
        app.figures.rendered();
        let sum = sum(&html);
        sender.send_if_modified(|now| {
            let changed = now.sum != sum;
            if changed {
                *now = Fragment { html, sum };
            }
            changed
        });
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = sender.closed() => {}
        }
        // Under the lock that whoever comes takes, too: nobody is left watching what no task keeps.
        let mut watched = app.live.watched();
        if sender.receiver_count() == 0 {
            watched.remove(&key);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn ages_are_no_news_and_times_are() {
        let region = |at: &str, age: &str, text: &str| {
            format!("<p><time datetime=\"{at}\" title=\"{at}\">{age}</time> {text}</p>")
        };
        let before = sum(&region("10:00", "1s ago", "a"));
        assert_eq!(before, sum(&region("10:00", "2s ago", "a")));
        assert_ne!(before, sum(&region("10:01", "1s ago", "a")));
        assert_ne!(before, sum(&region("10:00", "1s ago", "b")));
        assert_ne!(sum(""), 0);
    }
}
