//! The feed of events for everybody who looks at it: one reader, and for each filter that somebody watches the newest rows.
//!
//! It reads when it is asked, for those who watch at most twice a second, and then only the newest events since it read last: a feed that is
//! faster is told to have been skipped, so that neither the engine nor a browser has more to do than people can see. When
//! nobody asks, nothing is read.
//! Invariant: between two rows of a list nothing that passes its filter is missing, unless a row says how much was skipped.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use queue_core::engine::Engine;
use queue_core::model::{Error, EventRecord, EventsBack, JobNumber, Word};
use tokio::sync::Mutex;

use crate::app::App;
use crate::query::Query;
use crate::view::events as kinds;

/// Rows of a page.
pub(crate) const ROWS: usize = 100;
/// Between two readings.
const PAUSE_MS: u64 = 400;
/// From when on what was read is no more gone on with.
const STALE_MS: u64 = 5_000;
/// Events of one reading.
const PAGE: u32 = 1_000;
/// Readings for one page of rows: where few events pass a filter, a page looks at so many and goes on by a link.
const CALLS: usize = 10;
/// Jobs whose lease is remembered until it ends.
const LEASES: usize = 20_000;

/// Which events are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct EventFilter {
    pub(crate) queue: Option<String>,
    pub(crate) job: Option<JobNumber>,
    /// A kind or a group of kinds.
    pub(crate) event: Option<&'static str>,
}

impl EventFilter {
    /// # Errors
    ///
    /// `BADARG` for a job that is no number and for a kind that there is not.
    pub(crate) fn of(query: &Query) -> Result<Self, Error> {
        let job = query.get("job").map(|text| {
            let digits = text.strip_prefix('#').unwrap_or(text);
            digits.parse().map(JobNumber).map_err(|_| Error::bad_arg("job", text, "a job's number"))
        });
        let event = query.get("event").map(kinds::named).transpose()?;
        Ok(Self { queue: query.get("queue").map(str::to_owned), job: job.transpose()?, event })
    }

    /// As an address has it.
    pub(crate) fn query(&self) -> Query {
        let job = self.job.map(|JobNumber(number)| number.to_string());
        let parts = [("queue", self.queue.clone()), ("job", job), ("event", self.event.map(str::to_owned))];
        let given = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(Query::default(), |query, (name, value)| query.with(name, value))
    }

    fn passes(&self, event: &EventRecord) -> bool {
        self.queue.as_ref().is_none_or(|queue| event.queue.as_ref() == Some(queue))
            && self.job.is_none_or(|job| event.number == Some(job))
            && self.event.is_none_or(|named| kinds::is(named, &event.event))
    }
}

/// An event, and for the end of a lease what its begin said.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) event: EventRecord,
    pub(crate) ran: Option<Ran>,
}

/// A lease that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) ms: u64,
    pub(crate) worker: Option<String>,
}

/// A row of a list.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Event(Arc<Seen>),
    /// How many events came here that were not looked at; `None`: more than were counted.
    Skipped(Option<u64>),
}

/// Rows, newest first, and what is known of the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: VecDeque<Row>,
    /// Where to go on further back; none where nothing older is kept.
    pub(crate) before: Option<String>,
    /// How many events were looked at.
    pub(crate) looked_at: u64,
    /// When the oldest of those was.
    pub(crate) back_to_ms: Option<u64>,
    /// How many rows newer ones have pushed out.
    pub(crate) gone: u64,
    /// How many events came since that were not looked at.
    pub(crate) skipped: u64,
}

/// Who has leased which job, as far as it was read.
#[derive(Debug, Default)]
struct Leases(HashMap<JobNumber, (u64, Option<String>)>);

impl Leases {
    fn see(&mut self, event: EventRecord) -> Arc<Seen> {
        let ran = event.number.and_then(|number| {
            if event.event == "leased" {
                if self.0.len() >= LEASES {
                    self.0.clear();
                }
                let worker = event.detail.get("worker").and_then(|worker| worker.as_str());
                self.0.insert(number, (event.at_ms, worker.map(str::to_owned)));
                return None;
            }
            if !kinds::ends_a_lease(&event.event) {
                return None;
            }
            let (since, worker) = self.0.remove(&number)?;
            Some(Ran { ms: event.at_ms.saturating_sub(since), worker })
        });
        Arc::new(Seen { event, ran })
    }
}

/// The one reader.
#[derive(Default)]
pub(crate) struct Feed(Mutex<Followed>);

#[derive(Default)]
struct Followed {
    /// Up to where it has read.
    cursor: Option<String>,
    read_at: u64,
    leases: Leases,
    lists: HashMap<EventFilter, List>,
}

struct List {
    found: Found,
    asked_at: u64,
}

impl Feed {
    /// The newest rows of a filter; with `at_once` up to this very moment.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub(crate) async fn newest(&self, app: &App, filter: &EventFilter, at_once: bool) -> Result<Found, Error> {
        let now = app.steady_ms();
        let mut followed = self.0.lock().await;
        followed.read_on(&*app.engine, now, at_once).await?;
        if !followed.lists.contains_key(filter) {
            let found = find(&*app.engine, filter, followed.cursor.clone()).await?;
            followed.lists.insert(filter.clone(), List { found, asked_at: now });
        }
        let list = followed.lists.get_mut(filter).expect("it is there now");
        list.asked_at = now;
        Ok(list.found.clone())
    }
}

impl Followed {
    async fn read_on(&mut self, engine: &dyn Engine, now: u64, at_once: bool) -> Result<(), Error> {
        if now > self.read_at + STALE_MS {
            *self = Self::default();
        }
        if self.cursor.is_some() && !at_once && now < self.read_at + PAUSE_MS {
            return Ok(());
        }
        let limit = if self.cursor.is_some() { PAGE } else { 1 };
        let back = EventsBack { before: None, since: self.cursor.clone(), limit };
        let page = match engine.events_back(back).await {
            // What was kept is gone already: what is there now is read anew.
            Err(error) if error.word == Word::Trimmed => {
                *self = Self::default();
                engine.events_back(EventsBack { before: None, since: None, limit: 1 }).await?
            }
            page => page?,
        };
        self.read_at = now;
        if self.cursor.replace(page.cursor).is_none() {
            return Ok(());
        }
        self.lists.retain(|_, list| now <= list.asked_at + STALE_MS);
        if page.left_out != Some(0) {
            self.lists.values_mut().for_each(|list| list.found.skip(page.left_out));
        }
        for event in page.events {
            let seen = self.leases.see(event);
            let passed = self.lists.iter_mut().filter(|(filter, _)| filter.passes(&seen.event));
            passed.for_each(|(_, list)| list.found.push(&seen));
        }
        Ok(())
    }
}

impl Found {
    fn push(&mut self, seen: &Arc<Seen>) {
        self.rows.push_front(Row::Event(Arc::clone(seen)));
        while self.rows.len() > ROWS {
            self.rows.pop_back();
            self.gone += 1;
            // What is further back begins with what was pushed out.
            let oldest = self.rows.iter().rev().find_map(|row| match row {
                Row::Event(seen) => Some(seen.event.cursor.clone()),
                Row::Skipped(_) => None,
            });
            self.before = oldest.or(self.before.take());
        }
    }

    fn skip(&mut self, more: Option<u64>) {
        self.skipped += more.unwrap_or(0);
        if let Some(Row::Skipped(skipped)) = self.rows.front_mut() {
            *skipped = skipped.zip(more).map(|(skipped, more)| skipped + more);
        } else {
            self.rows.push_front(Row::Skipped(more));
        }
    }
}

/// The newest rows of a filter before a place: as many readings as it takes to fill a page, within bounds.
///
/// # Errors
///
/// What the engine says.
pub(crate) async fn find(engine: &dyn Engine, filter: &EventFilter, before: Option<String>) -> Result<Found, Error> {
    let mut found = Found { before, ..Found::default() };
    for call in 0..CALLS {
        let back = EventsBack { before: found.before.take(), since: None, limit: PAGE };
        let page = match engine.events_back(back).await {
            // It was removed between two readings.
            Err(error) if error.word == Word::Trimmed && call > 0 => break,
            page => page?,
        };
        found.looked_at += page.events.len() as u64;
        found.back_to_ms = page.events.first().map(|event| event.at_ms).or(found.back_to_ms);
        found.before = page.before;
        let mut leases = Leases::default();
        let seen: Vec<_> = page.events.into_iter().map(|event| leases.see(event)).collect();
        let mut passed = seen.into_iter().rev().filter(|seen| filter.passes(&seen.event));
        for seen in passed.by_ref().take(ROWS - found.rows.len()) {
            found.rows.push_back(Row::Event(seen));
        }
        let more = passed.next().is_some() || found.before.is_some();
        match found.rows.back() {
            Some(Row::Event(oldest)) if found.rows.len() == ROWS => {
                found.before = more.then(|| oldest.event.cursor.clone());
                break;
            }
            _ if found.before.is_none() => break,
            _ => {}
        }
    }
    Ok(found)
}
