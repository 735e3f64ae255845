//! Reading groups of failures. There are at most 1,000, so a page looks at all of them and shows as many as it is asked for.

use std::cmp::Reverse;

use super::super::Machine;
use super::super::stats::{Group, Share};
use super::read::{CURSOR, check_limit};
use crate::model::{
    Error, FailureFilter, FailureGroup, FailureOrder, FailurePage, FailureShare, JobNumber, Now, Reply,
};

/// Hours of a day.
const DAY: usize = 24;

fn sum(counts: &[u64], last: usize) -> u64 {
    counts[counts.len() - last..].iter().sum()
}

/// What a group is ordered by, and its number, which tells equals apart: the larger stands first.
type Key = (u64, u64);

fn key(group: &Group, now: u64, order: FailureOrder) -> Key {
    let by = match order {
        FailureOrder::Last => group.last,
        FailureOrder::First => group.first,
        FailureOrder::Hour => group.by_minute(now).iter().sum(),
        FailureOrder::Day => sum(&group.by_hour(now), DAY),
        FailureOrder::Week => group.by_hour(now).iter().sum(),
    };
    (by, group.made)
}

fn parse(cursor: &str) -> Result<Key, Error> {
    let (by, made) = cursor.split_once('.').unwrap_or_default();
    match (by.parse(), made.parse()) {
        (Ok(by), Ok(made)) => Ok((by, made)),
        _ => Err(Error::bad_arg("cursor", cursor, CURSOR)),
    }
}

/// Shares by their names, the most frequent first.
fn shares<T>(shares: &[Share<T>], name: impl Fn(&T) -> String) -> Vec<FailureShare> {
    let mut shown: Vec<_> =
        shares.iter().map(|share| FailureShare { name: name(&share.of), count: share.count }).collect();
    shown.sort_by_key(|share| Reverse(share.count));
    shown
}

impl Machine {
    pub(super) fn list_failures(
        &self,
        now: Now,
        filter: &FailureFilter,
        order: FailureOrder,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Reply, Error> {
        check_limit(limit)?;
        filter.check()?;
        let from = cursor.map(parse).transpose()?;
        let queue = match &filter.queue {
            Some(name) => Some(self.queue_id(name).ok_or_else(|| Error::no_queue(name))?),
            None => None,
        };
        let steady = now.steady.max(self.steady);
        let matching = self.stats.failures.iter().filter(|(fingerprint, group)| {
            queue.is_none_or(|queue| group.queues.iter().any(|share| share.of == queue))
                && filter.name.as_deref().is_none_or(|name| group.names.iter().any(|share| *share.of == *name))
                && filter.contains.as_deref().is_none_or(|text| fingerprint.contains(text))
                && filter.since_ms.is_none_or(|since| self.to_wall(group.last) >= since)
        });
        let keyed = matching.map(|(fingerprint, group)| (key(group, steady, order), fingerprint, group));
        let mut found: Vec<_> = keyed.filter(|(key, ..)| from.is_none_or(|from| *key < from)).collect();
        found.sort_unstable_by_key(|(key, ..)| Reverse(*key));
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let last = found.last().filter(|_| more);
        let cursor = last.map(|((by, made), ..)| format!("{by}.{made}"));
        let shown = found.iter().map(|(_, fingerprint, group)| self.failure_group(steady, fingerprint, group, false));
        let (groups, kept) = (shown.collect(), self.stats.failures.iter().len() as u64);
        Ok(Reply::Failures(FailurePage { groups, cursor, kept }))
    }

    pub(super) fn show_failure(&self, now: Now, fingerprint: &str) -> Result<Reply, Error> {
        let steady = now.steady.max(self.steady);
        let group = self.stats.failures.get(fingerprint).ok_or_else(|| Error::no_failure(fingerprint))?;
        Ok(Reply::Failure(Box::new(self.failure_group(steady, fingerprint, group, true))))
    }

    fn failure_group(&self, now: u64, fingerprint: &str, group: &Group, whole: bool) -> FailureGroup {
        let (minutes, hours) = (group.by_minute(now), group.by_hour(now));
        FailureGroup {
            fingerprint: fingerprint.to_owned(),
            kind: group.kind.to_string(),
            first_at_ms: self.to_wall(group.first),
            last_at_ms: self.to_wall(group.last),
            count: group.count,
            minute: sum(&minutes, 2),
            hour: minutes.iter().sum(),
            day: sum(&hours, DAY),
            week: hours.iter().sum(),
            minutes: minutes.to_vec(),
            hours: if whole { hours.to_vec() } else { Vec::new() },
            queues: shares(&group.queues, |&queue| self.queues[queue as usize].name.to_string()),
            names: shares(&group.names, ToString::to_string),
            jobs: group.jobs.iter().rev().map(|&job| JobNumber(job)).collect(),
        }
    }
}
