//! Reading what happened over time: series, and the recent activity of queues and names.
//!
//! A call looks at no more buckets than one series keeps of a step, or 10,000 of many, so that no reader holds the writer up.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

use super::super::Machine;
use super::super::stats::{self, Bucket, Sum};
use super::read::{CURSOR, check_limit};
use crate::model::{
    Activity, ActivityPage, ActivityQuery, Error, Limits, Now, Reply, Series, SeriesCounts, SeriesPoint, SeriesQuery,
    Step,
};

/// Most buckets that a page looks at.
const LOOKED_AT: u32 = 10_000;

/// The buckets that are asked for, and the clock to show them by.
struct Window<'a> {
    machine: &'a Machine,
    step: Step,
    range: RangeInclusive<u64>,
}

impl<'a> Window<'a> {
    fn of(machine: &'a Machine, now: Now, step: Step, points: u32, most: u32) -> Result<Self, Error> {
        if !(1..=most).contains(&points) {
            return Err(Error::bad_arg("points", points, &format!("1 to {most} of {step}")));
        }
        let last = now.steady.max(machine.steady) / step.ms();
        Ok(Self { machine, step, range: (last + 1).saturating_sub(points.into())..=last })
    }

    fn wall(&self, index: u64) -> u64 {
        self.machine.to_wall(index * self.step.ms())
    }

    /// What the buckets of a series come to together, each handed out on the way.
    fn total(&self, series: Option<&stats::Series>, mut each: impl FnMut(&Bucket)) -> SeriesPoint {
        let (mut counts, mut wait, mut run) = (SeriesCounts::default(), Sum::default(), Sum::default());
        if let Some(series) = series {
            series.visit(self.step, &self.range, &mut |bucket| {
                counts.add(&bucket.named());
                wait.add(&bucket.wait);
                run.add(&bucket.run);
                each(bucket);
            });
        }
        let at_ms = self.wall(*self.range.start());
        SeriesPoint { at_ms, counts, wait: wait.quantiles(), run: run.quantiles() }
    }

    fn activity(&self, queue: &str, name: Option<&str>, other: bool, series: Option<&stats::Series>) -> Activity {
        let mut lines = [const { Vec::new() }; 3].map(|_: Vec<u64>| vec![0; self.range.clone().count()]);
        let total = self.total(series, |bucket| {
            let (counts, at) = (bucket.named(), (bucket.index - self.range.start()) as usize);
            lines[0][at] = counts.enqueued;
            lines[1][at] = counts.completed;
            lines[2][at] = counts.failed + counts.stalled;
        });
        let [enqueued, completed, failed] = lines;
        let (queue, name) = (queue.to_owned(), name.map(str::to_owned));
        Activity { queue, name, other, enqueued, completed, failed, total }
    }
}

impl Machine {
    pub(super) fn show_series(&self, now: Now, query: &SeriesQuery) -> Result<Reply, Error> {
        let series = self.series_of(query)?;
        let window = Window::of(self, now, query.step, query.points, query.step.kept())?;
        let mut points = Vec::new();
        let total = window.total(series, |bucket| {
            points.push(SeriesPoint {
                at_ms: window.wall(bucket.index),
                counts: bucket.named(),
                wait: bucket.wait.quantiles(),
                run: bucket.run.quantiles(),
            });
        });
        Ok(Reply::Series(Box::new(Series {
            queue: query.queue.clone(),
            name: query.name.clone(),
            other: query.other,
            step_ms: query.step.ms(),
            from_ms: window.wall(*window.range.start()),
            until_ms: window.wall(window.range.end() + 1),
            points,
            total,
        })))
    }

    /// The series that a query means, if something is in it.
    fn series_of(&self, query: &SeriesQuery) -> Result<Option<&stats::Series>, Error> {
        let Some(name) = &query.queue else {
            return match &query.name {
                Some(name) => Err(Error::bad_arg("name", name, "a job name together with its queue")),
                None if query.other => Err(Error::bad_arg("other", "true", "true together with a queue")),
                None => Ok(Some(&self.stats.store)),
            };
        };
        let queue = self.queue_id(name).ok_or_else(|| Error::no_queue(name))?;
        let of_queue = self.stats.of_queue(queue);
        match &query.name {
            Some(name) if query.other => Err(Error::bad_arg("name", name, "a job name, or other, not both")),
            Some(name) => Ok(self.names_of(queue).get(&**name).copied()),
            None if query.other => Ok(of_queue.and_then(|of_queue| of_queue.other.as_deref())),
            None => Ok(of_queue.map(|of_queue| &of_queue.all)),
        }
    }

    /// The series of a queue's names.
    fn names_of(&self, queue: u32) -> BTreeMap<&str, &stats::Series> {
        let pairs = self.stats.names.pairs().filter(|pair| pair.queue == queue);
        pairs.map(|pair| (&*pair.name, &pair.series)).collect()
    }

    pub(super) fn list_activity(&self, now: Now, query: &ActivityQuery) -> Result<Reply, Error> {
        check_limit(query.limit)?;
        let window = Window::of(self, now, query.step, query.points, Limits::ACTIVITY_POINTS)?;
        let from = match query.cursor.as_deref() {
            // Not every name is one that a producer may give: a repair has its own.
            Some(name) if !(1..=Limits::NAME_BYTES).contains(&name.len()) => {
                return Err(Error::bad_arg("cursor", name, CURSOR));
            }
            Some(name) => Bound::Excluded(name),
            None => Bound::Unbounded,
        };
        let limit = query.limit.min(LOOKED_AT / query.points) as usize;
        let page = match &query.queue {
            Some(name) => {
                let queue = self.queue_id(name).ok_or_else(|| Error::no_queue(name))?;
                self.activity_of_names(&window, queue, from, limit)
            }
            None => self.activity_of_queues(&window, from, limit),
        };
        Ok(Reply::Activity(page))
    }

    fn activity_of_queues(&self, window: &Window<'_>, from: Bound<&str>, limit: usize) -> ActivityPage {
        let mut rest = self.queue_names.range::<str, _>((from, Bound::Unbounded));
        let series = |queue| self.stats.of_queue(queue).map(|of_queue| &of_queue.all);
        let page = rest.by_ref().take(limit);
        let rows = page.map(|(name, &queue)| window.activity(name, None, false, series(queue)));
        let rows: Vec<Activity> = rows.collect();
        let cursor = rest.next().and_then(|_| Some(rows.last()?.queue.clone()));
        ActivityPage { step_ms: window.step.ms(), rows, cursor }
    }

    /// Names in their order, and at the end all others.
    fn activity_of_names(&self, window: &Window<'_>, queue: u32, from: Bound<&str>, limit: usize) -> ActivityPage {
        let (names, of) = (self.names_of(queue), &self.queues[queue as usize].name);
        let mut rest = names.range::<str, _>((from, Bound::Unbounded));
        let page = rest.by_ref().take(limit);
        let rows = page.map(|(name, series)| window.activity(of, Some(name), false, Some(series)));
        let mut rows: Vec<Activity> = rows.collect();
        let other = self.stats.of_queue(queue).and_then(|of_queue| of_queue.other.as_deref());
        let fits = rest.next().is_none() && rows.len() < limit;
        let cursor = match (fits, other) {
            (true, Some(other)) => {
                rows.push(window.activity(of, None, true, Some(other)));
                None
            }
            (true, None) => None,
            (false, _) => rows.last().and_then(|last| last.name.clone()),
        };
        ActivityPage { step_ms: window.step.ms(), rows, cursor }
    }
}
