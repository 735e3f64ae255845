//! The feed read back: the newest events before a place, and how many a page leaves out.
//!
//! Records lead forward only: a reading begins at a frame's head well before the place, counts its way to it, and reads the
//! last few again. The log is read on a helper thread with file handles of its own, so that neither the writer nor those
//! who read forward wait for it.
//! Invariant: one call reads at most [`COUNTED_BYTES`] and one frame, or the memory engine's ring.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::feed::Draft;
use super::tail::{Ring, Tail, no_cursor, trimmed};
use super::{Shared, Store, closed};
use crate::journal::{Chunk, JournalError, Position, Reader, Record, Storage};
use crate::machine::is_told;
use crate::model::{Error, EventPage, EventsBack, Limits, Word};

/// Log before a place that is read for one page, unless a frame is longer.
const PAGE_BYTES: u64 = 1 << 20;
/// Log that is counted from `since` on; what is further back is not counted.
const COUNTED_BYTES: u64 = 64 << 20;

/// A page to be read: its bounds as positions.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    before: Option<u64>,
    since: Option<u64>,
    limit: usize,
}

/// A page that was read and has not got its names yet.
#[derive(Debug)]
struct Past {
    drafts: Vec<Draft>,
    end: u64,
    /// Where to go on further back.
    before: Option<u64>,
    left_out: Option<u64>,
}

/// The newest positions of what is told, and how many there were.
#[derive(Debug)]
struct Newest {
    positions: VecDeque<u64>,
    limit: usize,
    told: u64,
}

impl Newest {
    fn new(limit: usize) -> Self {
        Self { positions: VecDeque::new(), limit, told: 0 }
    }

    fn see(&mut self, kind: u16, position: u64) {
        if is_told(kind) {
            if self.positions.len() == self.limit {
                self.positions.pop_front();
            }
            self.positions.push_back(position);
            self.told += 1;
        }
    }

    /// How many were seen that it does not have any more.
    fn left_out(&self) -> u64 {
        self.told - self.positions.len() as u64
    }
}

impl<S: Storage> Shared<S> {
    /// A page of the feed, read back.
    pub(super) async fn events_back(self: &Arc<Self>, back: EventsBack) -> Result<EventPage, Error> {
        if back.limit == 0 || back.limit > Limits::PAGE_EVENTS {
            return Err(Error::bad_arg("count", back.limit, "1 to 10000 events"));
        }
        let wanted = Wanted {
            before: position("cursor", back.before)?,
            since: position("since", back.since)?,
            limit: back.limit as usize,
        };
        let reader = {
            let mut store = self.lock();
            store.check_open()?;
            store.files.tail.journal().map(|journal| journal.reader())
        };
        let Some(mut reader) = reader else {
            let past = self.lock().ring_back(wanted)?;
            return Ok(self.page_of(past));
        };
        let shared = Arc::clone(self);
        let reading =
            tokio::task::spawn_blocking(move || journal_back(&mut reader, wanted).map(|past| shared.page_of(past)));
        reading.await.map_err(|_| Error::new(Word::Err, "the feed could not be read back"))?
    }

    fn page_of(&self, past: Past) -> EventPage {
        EventPage {
            events: self.named(past.drafts),
            cursor: past.end.to_string(),
            before: past.before.map(|position| position.to_string()),
            left_out: past.left_out,
        }
    }
}

fn position(field: &str, cursor: Option<String>) -> Result<Option<u64>, Error> {
    let read = |text: String| text.parse().map_err(|_| Error::bad_arg(field, &text, "the cursor of an earlier page"));
    cursor.map(read).transpose()
}

/// Refuses bounds that do not stand in this order.
fn check_order(wanted: Wanted, oldest: u64, end: u64, frontier: u64) -> Result<(), Error> {
    if end > frontier {
        return Err(no_cursor(end));
    }
    // 0 is the oldest, wherever that is.
    match [wanted.before, wanted.since].into_iter().flatten().find(|position| (1..oldest).contains(position)) {
        Some(_) => Err(trimmed(oldest)),
        None if wanted.since.is_some_and(|since| since > end) => {
            Err(Error::bad_arg("since", wanted.since.unwrap_or_default(), "a cursor not behind the page's end"))
        }
        None => Ok(()),
    }
}

fn journal_back<S: Storage>(reader: &mut Reader<S>, wanted: Wanted) -> Result<Past, Error> {
    let (oldest, frontier) = (reader.oldest().get(), reader.frontier().get());
    let end = wanted.before.unwrap_or(frontier);
    check_order(wanted, oldest, end, frontier)?;
    let end = end.max(oldest);
    let since = wanted.since.map(|since| since.max(oldest)).filter(|since| end - since <= COUNTED_BYTES);
    let none = Past { drafts: Vec::new(), end, before: None, left_out: since.map(|_| 0) };
    let start = match since {
        Some(since) => since,
        None => match reader.before(Position::new(end), PAGE_BYTES).map_err(|error| unreadable(end, &error))? {
            Some(start) => start.get(),
            None => return Ok(none),
        },
    };
    let mut newest = Newest::new(wanted.limit);
    read(reader, start, end, &mut |record| newest.see(record.kind, record.position.get()))?;
    let begin = newest.positions.front().copied().unwrap_or(start);
    let mut drafts = Vec::with_capacity(newest.positions.len());
    read(reader, begin, end, &mut |record| {
        drafts.extend(Draft::of(record.position.get(), record.kind, record.at, record.body))
    })?;
    let more = newest.left_out() > 0 || start > oldest;
    Ok(Past { drafts, before: more.then_some(begin), left_out: since.map(|_| newest.left_out()), ..none })
}

/// Visits the records from `from` to `end`, which has to be the end of one.
fn read<S: Storage>(
    reader: &mut Reader<S>,
    from: u64,
    end: u64,
    visit: &mut dyn FnMut(Record<'_>),
) -> Result<(), Error> {
    if from == end {
        return Ok(());
    }
    let chunk = reader.read(Position::new(from), end - from, &mut |record| {
        visit(record);
        ControlFlow::Continue(())
    });
    match chunk {
        Ok(Chunk::Read { next, .. }) if next.get() == end => Ok(()),
        Ok(Chunk::Read { .. }) => Err(no_cursor(end)),
        Ok(Chunk::Trimmed { oldest }) => Err(trimmed(oldest.get())),
        Err(error) => Err(unreadable(from, &error)),
    }
}

/// As in reading forward, a cursor that somebody made up looks the same as damage.
fn unreadable(cursor: u64, error: &JournalError) -> Error {
    tracing::debug!(cursor, "the feed cannot be read back there: {error}");
    no_cursor(cursor)
}

impl<S: Storage> Store<S> {
    fn ring_back(&self, wanted: Wanted) -> Result<Past, Error> {
        self.check_open()?;
        let Tail::Ring(ring) = &self.files.tail else { return Err(closed()) };
        ring_back(ring, wanted)
    }
}

fn ring_back(ring: &Ring, wanted: Wanted) -> Result<Past, Error> {
    let (oldest, frontier) = (ring.oldest(), ring.end());
    let end = wanted.before.unwrap_or(frontier);
    check_order(wanted, oldest, end, frontier)?;
    let since = wanted.since.unwrap_or(0);
    let records = ring.before(end).take_while(|record| record.position >= since);
    let mut told = records.filter(|record| is_told(record.kind));
    let mut first = end;
    let newest_first = told.by_ref().take(wanted.limit).filter_map(|record| {
        first = record.position;
        Draft::of(record.position, record.kind, record.at, &record.body)
    });
    let mut drafts: Vec<_> = newest_first.collect();
    drafts.reverse();
    let left_out = wanted.since.map(|_| told.by_ref().count() as u64);
    let more = left_out.map_or_else(|| told.next().is_some(), |left_out| left_out > 0 || since > oldest);
    Ok(Past { drafts, end: end.max(oldest), before: more.then_some(first), left_out })
}
