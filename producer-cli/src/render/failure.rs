//! Groups of failures as people read them.

use queue_core::model::{FailureGroup, FailureShare};

use super::table::{pairs, table};
use super::{cut, relative, safe, spark};

/// Groups, a row each.
pub(crate) fn list(groups: &[FailureGroup], now_ms: u64) -> String {
    let head = [">MINUTE", ">HOUR", ">DAY", ">WEEK", "LAST SEEN", "LAST HOUR", "FINGERPRINT"];
    let row = |group: &FailureGroup| {
        [
            group.minute.to_string(),
            group.hour.to_string(),
            group.day.to_string(),
            group.week.to_string(),
            relative(group.last_at_ms, now_ms),
            spark(&group.minutes, 12),
            cut(&group.fingerprint, 100),
        ]
    };
    table(head, groups.iter().map(row), "failures")
}

/// Everything there is to say of a group.
pub(crate) fn whole(group: &FailureGroup, now_ms: u64) -> String {
    let shares = |shares: &[FailureShare]| {
        let each = shares.iter().map(|share| format!("{} ({})", cut(&share.name, 40), share.count));
        each.collect::<Vec<_>>().join(", ")
    };
    let jobs = group.jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let FailureGroup { minute, hour, day, week, count, .. } = group;
    let rows = [
        ("seen first", relative(group.first_at_ms, now_ms)),
        ("seen last", relative(group.last_at_ms, now_ms)),
        ("how often", format!("{minute} in the last minute, {hour} hour, {day} day, {week} week; {count} in all")),
        ("by minute", spark(&group.minutes, 60)),
        ("by hour", spark(&group.hours, 56)),
        ("queues", shares(&group.queues)),
        ("names", shares(&group.names)),
        ("newest jobs", jobs),
    ];
    let rows = rows.map(|(name, value)| (name.to_owned(), value));
    format!("{}\n{}", safe(&group.fingerprint), pairs(rows))
}
