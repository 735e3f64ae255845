//! Reading: jobs, lists, logs, queues, totals. Nothing here emits.
//!
//! A list looks at no more than 1,000 jobs a call and says where to go on, so that no reader holds the writer up.

use std::cmp::Reverse;
use std::ops::{Bound, Range};

use serde_json::{Map, Value};

use super::super::more::Runs;
use super::super::queue::Tree;
use super::super::rows::{Row, WALL};
use super::super::{Machine, Sink};
use super::lease::headers;
use super::number;
use super::queues::fields;
use crate::model::{
    DeadReason, DelayCause, EndedLease, Error, Job, JobFilter, JobPage, JobRef, JobState, JobSummary, LeaseOutcome,
    Limits, LogLine, LogPage, Now, QueueCounts, QueuePage, QueueView, Reply, Stats, Word, is_name,
};

/// Jobs in an order: order, key, number.
type Page = Vec<(i64, i64, u64)>;

/// Most bytes of a failure's text in a list.
const SUMMARY_ERROR_BYTES: usize = 200;

/// What a cursor may be, in words.
pub(super) const CURSOR: &str = "the cursor of the page before";

/// What is left of one call's share of work beside the jobs that it finds: without it a cursor whose job has gone, or many
/// empty queues, would hold everybody else up.
pub(in super::super) struct Work {
    /// Jobs that may be passed on the way to the cursor's place.
    passed: usize,
    /// Queues that may be looked into.
    queues: usize,
}

impl Work {
    /// The share of one call.
    pub(in super::super) const fn of_a_call() -> Self {
        Self { passed: 1_000, queues: 1_000 }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.passed == 0 || self.queues == 0
    }
}

/// Where a scan goes on: at this key of this order of this queue, inclusive. Its text form is a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Place {
    queue: u32,
    /// The position of the state among the filter's.
    state: usize,
    /// Which of the state's orders: trees in turn, or the lane of a priority.
    order: i64,
    key: i64,
    pub(in super::super) number: u64,
}

impl Place {
    /// The start of the first queue by name, whichever that is.
    pub(in super::super) const START: Self =
        Self { queue: u32::MAX, state: 0, order: i64::MIN, key: i64::MIN, number: 0 };

    /// Among all jobs by number, from the newest down.
    const NEWEST: Self = Self { order: 0, key: 0, ..Self::START };

    pub(in super::super) fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::bad_arg("cursor", text, CURSOR);
        let parts: Vec<i64> = text.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
        let [queue, state, order, key, number] = parts[..] else { return Err(bad()) };
        Ok(Self {
            queue: queue.try_into().map_err(|_| bad())?,
            state: state.try_into().map_err(|_| bad())?,
            order,
            key,
            number: number.cast_unsigned(),
        })
    }

    pub(in super::super) fn text(&self) -> String {
        format!("{}.{}.{}.{}.{}", self.queue, self.state, self.order, self.key, self.number.cast_signed())
    }
}

/// What is walked over: the jobs that a filter may mean, in which order.
pub(in super::super) struct Walk<'f> {
    pub(in super::super) filter: &'f JobFilter,
    /// The states whose jobs it can mean.
    pub(in super::super) states: Vec<JobState>,
    /// A list shows what happened last before what happened first; an operation takes jobs as they came.
    is_list: bool,
}

impl<'f> Walk<'f> {
    pub(super) fn of_list(filter: &'f JobFilter) -> Self {
        let all = match (filter.cause, filter.reason) {
            (Some(_), Some(_)) => &[][..],
            (Some(_), None) => &[JobState::Delayed][..],
            (None, Some(_)) => &[JobState::Dead][..],
            (None, None) => JobState::ALL,
        };
        let wanted = |state: &&JobState| filter.states.is_empty() || filter.states.contains(state);
        Self { filter, states: all.iter().filter(wanted).copied().collect(), is_list: true }
    }

    /// Over those states alone that `fits` says.
    pub(in super::super) fn of_operation(filter: &'f JobFilter, fits: impl Fn(JobState) -> bool) -> Self {
        let mut walk = Self { is_list: false, ..Self::of_list(filter) };
        walk.states.retain(|&state| fits(state));
        walk
    }

    /// Whether it goes over everything by number, from the newest down.
    fn is_by_number(&self) -> bool {
        self.is_list && self.filter.queue.is_none() && self.states.len() == JobState::ALL.len()
    }
}

impl Machine {
    /// Up to `limit` jobs from `place` on, in order, as far as the work allows; and where to go on.
    pub(in super::super) fn scan(
        &self,
        walk: &Walk<'_>,
        mut place: Place,
        limit: usize,
        work: &mut Work,
    ) -> Result<(Vec<Place>, Option<Place>), Error> {
        if walk.is_by_number() {
            return Ok(self.scan_numbers(walk.filter, place, limit));
        }
        let named = match &walk.filter.queue {
            Some(name) => Some(self.queue_id(name).ok_or_else(|| Error::no_queue(name))?),
            None => None,
        };
        let from = self.queues.get(place.queue as usize).map_or("", |queue| &queue.name);
        let by_name = self.queue_names.range::<str, _>((Bound::Included(from), Bound::Unbounded));
        let all = by_name.map(|(_, &queue)| queue).take(if named.is_some() { 0 } else { usize::MAX });
        let mut found: Vec<Place> = Vec::new();
        for queue in named.into_iter().chain(all) {
            if place.queue != queue {
                place = Place { queue, ..Place::START };
            }
            if work.queues == 0 {
                return Ok((found, Some(place)));
            }
            work.queues -= 1;
            while let Some(&state) = walk.states.get(place.state) {
                // One more than wanted shows where to go on.
                let wanted = limit + 1 - found.len();
                let page = match self.scan_state(walk, state, place, wanted, work) {
                    Ok(page) => page,
                    // The place stays, and what was passed on the way to it is not passed again.
                    Err(passed) => return Ok((found, Some(Place { number: passed, ..place }))),
                };
                for (order, key, number) in page {
                    let at = Place { order, key, number, ..place };
                    if found.len() == limit {
                        return Ok((found, Some(at)));
                    }
                    found.push(at);
                }
                place = Place { state: place.state + 1, queue, ..Place::START };
            }
        }
        Ok((found, None))
    }

    /// The steady instants within which a done job ended that a filter means.
    fn ended_within(&self, filter: &JobFilter) -> Range<u64> {
        let steady = |wall: u64| wall.saturating_add_signed(self.offset.saturating_neg());
        filter.since_ms.map_or(0, steady)..filter.until_ms.map_or(u64::MAX, steady)
    }

    fn scan_numbers(&self, filter: &JobFilter, place: Place, limit: usize) -> (Vec<Place>, Option<Place>) {
        let from = if place == Place::START { filter.up_to.map_or(u64::MAX, |up_to| up_to.0) } else { place.number };
        let mut found = self.rows.down_from(from).map(|(number, _)| Place { number, ..Place::NEWEST });
        let page = found.by_ref().take(limit).collect();
        (page, found.next())
    }

    /// A page of one state, or the job that was reached when the work was done before the place was. Done jobs stand in the
    /// order of their end, so that of them none is met that ended at another time than the filter means.
    fn scan_state(
        &self,
        walk: &Walk<'_>,
        state: JobState,
        from: Place,
        limit: usize,
        work: &mut Work,
    ) -> Result<Page, u64> {
        // A state's only order is numbered 0; before it is the start.
        let (key, number) = if from.order < 0 { (0, 0) } else { (from.key.cast_unsigned(), from.number) };
        let queue = &self.queues[from.queue as usize];
        let up = |tree, key| queue.tree(tree).range((key, number)..).copied();
        let ended = self.ended_within(walk.filter);
        let (start, end) = ((ended.start, 0), (ended.end, 0));
        // One order of what is done, or two as one.
        let done = |tree, beside: Option<Tree>| -> Page {
            if walk.is_list {
                let end = if from.order < 0 { end } else { end.min((key, number.saturating_add(1))) };
                let down = |tree| queue.tree(tree).range(start..start.max(end)).rev().copied().map(Reverse);
                let all = merge(down(tree), beside.into_iter().flat_map(down));
                all.take(limit).map(|Reverse(job)| in_order(job)).collect()
            } else {
                let start = start.max((key, number));
                let up = |tree| queue.tree(tree).range(start..start.max(end)).copied();
                merge(up(tree), beside.into_iter().flat_map(up)).take(limit).map(in_order).collect()
            }
        };
        Ok(match state {
            JobState::Waiting => return self.scan_lanes(from, limit, work),
            JobState::WaitingChildren => Vec::new(),
            JobState::Delayed => {
                // By due time, whichever clock it counts on: in wall time.
                let steady = if from.order < 0 { 0 } else { key.saturating_add_signed(self.offset.saturating_neg()) };
                let counted = up(Tree::Delayed, steady).map(|(at, number)| (self.to_wall(at), number));
                merge(counted, up(Tree::DelayedWall, key)).take(limit).map(in_order).collect()
            }
            JobState::Active => up(Tree::Active, key).take(limit).map(in_order).collect(),
            JobState::Completed => done(Tree::Completed, Some(Tree::CompletedOwn)),
            JobState::Dead => done(Tree::Dead, None),
            JobState::Cancelled => done(Tree::Cancelled, None),
        })
    }

    fn scan_lanes(&self, from: Place, limit: usize, work: &mut Work) -> Result<Page, u64> {
        let queue = &self.queues[from.queue as usize];
        let mut found = Vec::new();
        // Lanes go from the largest priority down, so their order in the scan is the priority's negative.
        for (&Reverse(priority), lane) in &queue.lanes {
            let order = -i64::from(priority);
            if order < from.order {
                continue;
            }
            let (rank, hint) = if order == from.order { (from.key, from.number) } else { (i64::MIN, 0) };
            let in_lane = |number| {
                let row = self.rows.get(number);
                row.is_some_and(|row| (row.state, row.queue, row.priority) == (JobState::Waiting, from.queue, priority))
            };
            let start = lane.listed_from(&self.rows, rank, hint, &mut work.passed, in_lane)?;
            let page = lane.page(&self.rows, rank, start, limit - found.len());
            found.extend(page.into_iter().map(|(rank, number)| (order, rank, number)));
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// Since when the job is in its state, in wall time: as [`JobFilter::since_ms`] says.
    fn in_state_since(&self, row: &Row) -> u64 {
        let lease = row.runs().and_then(|runs| runs.timeline.last());
        self.to_wall(match (row.state, lease) {
            (JobState::Active, Some(lease)) => lease.leased_at,
            (JobState::Delayed, Some(lease)) => lease.ended_at,
            (JobState::Delayed, None) => row.enqueued_at,
            _ => row.at,
        })
    }

    /// Whether the job is what a filter means, beyond queue and state.
    pub(in super::super) fn matches(&self, filter: &JobFilter, job: u64, row: &Row) -> bool {
        let more = row.more.as_ref();
        let fingerprint = || Some(&*row.runs()?.last_failure()?.fingerprint);
        filter.up_to.is_none_or(|up_to| job <= up_to.0)
            && filter.since_ms.is_none_or(|since| self.in_state_since(row) >= since)
            && filter.until_ms.is_none_or(|until| self.in_state_since(row) < until)
            && filter.cause.is_none_or(|cause| row.detail == cause as u8)
            && filter.reason.is_none_or(|reason| row.detail == reason as u8)
            && filter.name.as_deref().is_none_or(|name| **self.names.get(row.name) == *name)
            && filter
                .tag
                .as_deref()
                .is_none_or(|tag| more.is_some_and(|more| more.tags.iter().any(|known| **known == *tag)))
            && filter.fingerprint.as_deref().is_none_or(|wanted| fingerprint() == Some(wanted))
    }

    pub(super) fn list_jobs(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: u32,
        sink: &impl Sink,
    ) -> Result<Reply, Error> {
        check_limit(limit)?;
        filter.check()?;
        if let Some(text) = &filter.contains {
            // A machine has no payloads: its engine collects, compares and asks for the page itself.
            return Err(Error::new(Word::Unsupported, format!("this engine does not search payloads for {text:?}")));
        }
        let place = cursor.map_or(Ok(Place::START), Place::parse)?;
        let walk = Walk::of_list(filter);
        let mut page = JobPage::default();
        let (mut from, budget, mut work) = (Some(place), 1_000, Work::of_a_call());
        let mut more = true;
        while let Some(place) = from.filter(|_| more) {
            let wanted = (limit as usize - page.jobs.len()).min((budget - page.looked_at) as usize);
            let (found, next) = self.scan(&walk, place, wanted, &mut work)?;
            page.looked_at += found.len() as u64;
            for Place { number: job, .. } in found {
                let row = self.rows.get(job).expect("a job in an order is there");
                if self.matches(filter, job, row) {
                    page.jobs.push(self.summary(job, row, sink));
                }
            }
            from = next;
            more = page.jobs.len() < limit as usize && page.looked_at < budget && !work.is_done();
        }
        page.cursor = from.map(|place| place.text());
        Ok(Reply::Jobs(page))
    }

    pub(super) fn summary(&self, job: u64, row: &Row, sink: &impl Sink) -> JobSummary {
        let more = row.more.as_ref();
        let failure = row.runs().and_then(Runs::last_failure);
        let at = match row.state {
            JobState::Waiting | JobState::WaitingChildren => None,
            _ if row.has(WALL) => Some(row.at),
            _ => Some(self.to_wall(row.at)),
        };
        let error = failure.map(|failure| {
            let text = Self::text(sink, failure.error);
            super::cut(&text, SUMMARY_ERROR_BYTES).to_owned()
        });
        JobSummary {
            number: number(job),
            id: more.and_then(|more| more.id.as_deref().map(str::to_owned)),
            queue: self.queues[row.queue as usize].name.to_string(),
            name: self.names.get(row.name).to_string(),
            state: row.state,
            cause: (row.state == JobState::Delayed).then(|| DelayCause::from_u8(row.detail)).flatten(),
            reason: (row.state == JobState::Dead).then(|| DeadReason::from_u8(row.detail)).flatten(),
            priority: i64::from(row.priority),
            attempt: u32::from(row.attempt),
            attempts: self.policies.get(row.policy).attempts,
            enqueued_at_ms: self.to_wall(row.enqueued_at),
            at_ms: at,
            tags: more.map_or_else(Vec::new, |more| more.tags.iter().map(ToString::to_string).collect()),
            error,
        }
    }

    pub(super) fn show_job(&self, job: &JobRef, sink: &impl Sink) -> Result<Reply, Error> {
        let found = self.find(job)?;
        Ok(Reply::Job(Box::new(self.job(found, sink).expect("a job that was found is there"))))
    }

    /// Everything there is to say of a job, if it is there.
    pub fn job(&self, job: u64, sink: &impl Sink) -> Option<Job> {
        let row = self.rows.get(job)?;
        let more = row.more.as_ref();
        let policy = self.policies.get(row.policy);
        let runs = row.runs();
        let leases = runs
            .map_or_else(Vec::new, |runs| runs.timeline.iter().map(|lease| self.ended_lease(lease, sink)).collect());
        Some(Job {
            summary: self.summary(job, row, sink),
            payload: sink.read(row.payload),
            result: runs.and_then(|runs| runs.result).map(|blob| sink.read(blob)),
            progress: runs.and_then(|runs| runs.progress).map(|blob| sink.read(blob)),
            headers: headers(row, sink),
            backoff: policy.backoff,
            timeout_ms: policy.timeout_ms,
            expires_at_ms: more.and_then(|more| more.expires_at).map(|at| self.to_wall(at.get())),
            keep_ms: policy.keep_ms,
            round: runs.map_or(1, |runs| runs.rounds + 1),
            stalls: u32::from(row.stalls),
            cancel_requested: runs.is_some_and(|runs| runs.cancel.is_some()),
            leases_left_out: runs.map_or(0, |runs| runs.leased - runs.timeline.len() as u32),
            log_lines: runs.map_or(0, |runs| runs.log_chunks().iter().map(|chunk| chunk.lines).sum()),
            leases,
        })
    }

    fn ended_lease(&self, lease: &super::super::more::LeaseRow, sink: &impl Sink) -> EndedLease {
        let failure = lease.failure.as_ref();
        EndedLease {
            lease: lease.lease,
            attempt: u32::from(lease.attempt),
            round: lease.round,
            worker: self.workers.get(lease.worker).to_string(),
            leased_at_ms: self.to_wall(lease.leased_at),
            ended_at_ms: (lease.outcome != LeaseOutcome::Running).then(|| self.to_wall(lease.ended_at)),
            outcome: lease.outcome,
            error_kind: failure.map(|failure| failure.kind.to_string()),
            error: failure.map(|failure| Self::text(sink, failure.error)),
            fingerprint: failure.map(|failure| failure.fingerprint.to_string()),
        }
    }

    pub(super) fn show_log(&self, job: &JobRef, from: u64, sink: &impl Sink) -> Result<Reply, Error> {
        let row = self.rows.get(self.find(job)?).expect("a job that was found is there");
        let done = row.state.is_done();
        let Some(log) = row.runs().and_then(|runs| runs.log.as_ref()) else {
            return Ok(Reply::Log(LogPage { first: from, lines: Vec::new(), done }));
        };
        let mut first = log.dropped;
        let mut page = LogPage { first: from.max(first), lines: Vec::new(), done };
        for chunk in &log.chunks {
            let end = first + u64::from(chunk.lines);
            if end > from {
                let lines: Vec<LogLine> = serde_json::from_slice(&sink.read(chunk.blob)).unwrap_or_default();
                page.lines.extend(lines.into_iter().skip(page.first.saturating_sub(first) as usize));
            }
            first = end;
        }
        Ok(Reply::Log(page))
    }

    pub(super) fn show_queue(&self, now: Now, name: &str) -> Result<Reply, Error> {
        let queue = self.queue_id(name).ok_or_else(|| Error::no_queue(name))?;
        Ok(Reply::Queue(Box::new(self.queue_view(now, queue, &fields(&self.defaults)))))
    }

    pub(super) fn list_queues(&self, now: Now, cursor: Option<&str>, limit: u32) -> Result<Reply, Error> {
        let from = page_after(cursor, limit)?;
        let mut rest = self.queue_names.range::<str, _>((from, Bound::Unbounded)).map(|(_, &queue)| queue);
        let defaults = fields(&self.defaults);
        let page = rest.by_ref().take(limit as usize);
        let queues: Vec<QueueView> = page.map(|queue| self.queue_view(now, queue, &defaults)).collect();
        let cursor = rest.next().and_then(|_| Some(queues.last()?.queue.clone()));
        Ok(Reply::Queues(QueuePage { queues, cursor }))
    }

    fn queue_view(&self, now: Now, queue: u32, defaults: &Map<String, Value>) -> QueueView {
        let entry = &self.queues[queue as usize];
        let next = entry.first_waiting(&self.rows).and_then(|job| self.rows.get(job));
        QueueView {
            queue: entry.name.to_string(),
            counts: entry.counts,
            paused: entry.paused.is_some(),
            pause_reason: entry.paused.as_deref().filter(|text| !text.is_empty()).map(str::to_owned),
            next_waiting_ms: next.map(|row| now.steady.saturating_sub(row.at)),
            oldest_waiting_ms: entry.waiting_since(&self.rows).map(|since| now.steady.saturating_sub(since)),
            settings: self.effective_settings(queue, defaults),
        }
    }

    pub(super) fn totals(&self, sink: &impl Sink) -> Reply {
        let mut counts = QueueCounts::default();
        self.queues.iter().for_each(|queue| counts.add(&queue.counts));
        Reply::Stats(Box::new(Stats {
            counts,
            queues: self.queues.len() as u64,
            blob_bytes: sink.blob_bytes(),
            state_hash: format!("{:016x}", self.state_hash()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Stats::default()
        }))
    }
}

/// Where a page of a list by name begins: its cursor is the last name of the page before.
pub(crate) fn page_after(cursor: Option<&str>, limit: u32) -> Result<Bound<&str>, Error> {
    check_limit(limit)?;
    match cursor {
        Some(name) if !is_name(name) => Err(Error::bad_arg("cursor", name, CURSOR)),
        Some(name) => Ok(Bound::Excluded(name)),
        None => Ok(Bound::Unbounded),
    }
}

pub(super) fn check_limit(limit: u32) -> Result<(), Error> {
    match (1..=Limits::PAGE_ROWS).contains(&limit) {
        true => Ok(()),
        false => Err(Error::bad_arg("count", limit, "1 to 1000 rows")),
    }
}

/// Two orders as one.
fn merge<T: Ord>(first: impl Iterator<Item = T>, second: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || {
        let from_second = match (first.peek(), second.peek()) {
            (Some(first), Some(second)) => second < first,
            (first, _) => first.is_none(),
        };
        if from_second { second.next() } else { first.next() }
    })
}

/// A job of a state that has one order.
const fn in_order((at, number): (u64, u64)) -> (i64, i64, u64) {
    (0, at.cast_signed(), number)
}
