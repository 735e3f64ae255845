//! What happened over time as parts: a series each, the candidates for one, and groups of failures.
//!
//! Buckets are the bytes that they are kept as. A version that does not know these kinds skips them, and one that finds none
//! begins anew: nothing is decided by them.

use super::super::record::bytes::{Reader, Writer, u64_of};
use super::super::stats::{
    Bucket, Candidate, Chunk, Group, HOURS, MINUTES, Pair, SAMPLES, SHARES, Series, Share, Stats, put, take,
};
use super::super::{Machine, Wrong};
use super::restore::no_queue;
use super::{Parts, field, kind, once, whole};
use crate::model::Step;

/// Whose series it is: the store's, a queue's, that of a queue's other names, or a name's.
const STORE: u8 = 0;
const QUEUE: u8 = 1;
const OTHER: u8 = 2;
const NAME: u8 = 3;

/// No instant of a series is as far.
const LATE: u64 = 1 << 62;

pub(super) fn save(stats: &Stats, parts: &mut Parts<'_>) {
    let mut add = |whose, queue, name: &str, activity, series: &Series| {
        parts.add(kind::SERIES, |w| {
            w.u8(whose).u32(queue).bytes(name.as_bytes()).u64(activity);
            write_series(w, series);
        });
    };
    if !stats.store.open.is_empty() {
        add(STORE, 0, "", 0, &stats.store);
    }
    for (number, queue) in (0..).zip(&stats.queues).filter_map(|(number, queue)| Some((number, queue.as_ref()?))) {
        add(QUEUE, number, "", 0, &queue.all);
        if let Some(other) = &queue.other {
            add(OTHER, number, "", 0, other);
        }
    }
    for pair in stats.names.pairs() {
        add(NAME, pair.queue, &pair.name, pair.activity, &pair.series);
    }
    if (stats.names.minute, stats.failures.made) != (0, 0) {
        parts.add(kind::CANDIDATES, |w| {
            w.u64(stats.names.minute).u64(stats.failures.made);
            for candidate in &stats.names.candidates {
                w.u32(candidate.queue).u32(candidate.number).u64(candidate.count).u64(candidate.inherited);
            }
        });
    }
    for (fingerprint, group) in stats.failures.iter() {
        parts.add(kind::FAILURE, |w| write_group(w, fingerprint, group));
    }
}

fn write_series(w: &mut Writer<'_>, series: &Series) {
    for (at, bucket) in [(field::OPEN, &series.open), (field::OPEN_MINUTE, &series.minute)] {
        if !bucket.is_empty() {
            w.nested(at, |w| bucket.write(w.u64(bucket.index).0));
        }
    }
    for (at, ring) in [field::SECONDS, field::MINUTES].into_iter().zip(&series.rings) {
        for chunk in ring.chunks() {
            w.nested(at, |w| w.u64(chunk.key).0.extend_from_slice(&chunk.bytes));
        }
    }
}

fn read_bucket(value: &[u8]) -> Result<Bucket, Wrong> {
    let mut r = Reader(value);
    let (index, mut bucket) = (r.u64()?, Bucket::default());
    let read = bucket.read(index, &mut r.0).filter(|()| r.0.is_empty() && index < LATE / Step::Minute.ms());
    read.map(|()| bucket).ok_or_else(|| "an open bucket is none".into())
}

fn read_chunk(series: &mut Series, step: Step, value: &[u8]) -> Result<bool, Wrong> {
    let mut r = Reader(value);
    let key = r.u64()?;
    // A chunk is less than a day.
    let sound = key < LATE / 86_400_000;
    let chunk = Chunk { key, bytes: r.0.to_vec() };
    let loaded = series.rings[step as usize].load(step, chunk).filter(|()| sound);
    loaded.map(|()| true).ok_or_else(|| "buckets are none, or not in their order".into())
}

pub(super) fn read_series(machine: &mut Machine, body: &[u8]) -> Result<(), Wrong> {
    let mut r = Reader(body);
    let (whose, number, name, activity) = (r.u8()?, r.u32()?, r.text()?, r.u64()?);
    let (mut series, mut open, mut minute) = (Series::default(), None, None);
    r.fields(|at, value| match at {
        field::OPEN => once(&mut open, read_bucket(value)?),
        field::OPEN_MINUTE => once(&mut minute, read_bucket(value)?),
        field::SECONDS => read_chunk(&mut series, Step::Seconds, value),
        field::MINUTES => read_chunk(&mut series, Step::Minute, value),
        _ => Ok(false),
    })?;
    (series.open, series.minute) = (open.unwrap_or_default(), minute.unwrap_or_default());
    // A name may have a series before anything is counted in it.
    let empty = series.open.is_empty() && (whose != NAME || series.oldest().is_some());
    if empty || !series.fits(machine.steady) {
        return Err("a series is not in its order".into());
    }
    if whose != STORE && number as usize >= machine.queues.len() {
        return Err(no_queue(number).into());
    }
    let twice = || Wrong::from(format!("series {whose} of queue {number} stands twice, or cannot be"));
    let stats = &mut machine.stats;
    let place = number as usize;
    if whose != STORE && stats.queues.len() <= place {
        stats.queues.resize_with(place + 1, || None);
    }
    let slot = match whose {
        STORE if stats.store.open.is_empty() => Some(&mut stats.store),
        QUEUE if stats.queues[place].is_none() => Some(&mut stats.queues[place].get_or_insert_default().all),
        OTHER => match stats.queues[place].as_mut() {
            Some(queue) if queue.other.is_none() => Some(&mut **queue.other.get_or_insert_default()),
            _ => None,
        },
        // A repair gives names that no producer may.
        NAME if !name.is_empty() && activity < LATE => {
            let pair = Pair { queue: number, name: name.into(), activity, series };
            return stats.names.load(machine.names.find(name), pair).ok_or_else(twice);
        }
        _ => None,
    };
    *slot.ok_or_else(twice)? = series;
    Ok(())
}

pub(super) fn read_candidates(machine: &mut Machine, body: &[u8]) -> Result<(), Wrong> {
    let mut r = Reader(body);
    let stats = &mut machine.stats;
    (stats.names.minute, stats.failures.made) = (r.u64()?, r.u64()?);
    if stats.names.minute > machine.steady / Step::Minute.ms() || stats.failures.made >= LATE {
        return Err("a counter is out of range".into());
    }
    while !r.0.is_empty() {
        let candidate = Candidate { queue: r.u32()?, number: r.u32()?, count: r.u64()?, inherited: r.u64()? };
        if candidate.queue as usize >= machine.queues.len() {
            return Err(no_queue(candidate.queue).into());
        }
        stats.names.load_candidate(candidate).ok_or_else(|| format!("candidate {candidate:?} cannot be"))?;
    }
    Ok(())
}

fn write_group(w: &mut Writer<'_>, fingerprint: &str, group: &Group) {
    w.bytes(fingerprint.as_bytes()).bytes(group.kind.as_bytes());
    w.u64(group.made).u64(group.first).u64(group.last).u64(group.count);
    w.nested(field::COUNTS, |w| {
        group.minutes.iter().chain(&group.hours).for_each(|&count| put(w.0, count.into()));
    });
    for share in &group.queues {
        w.nested(field::OF_QUEUE, |w| {
            w.u32(share.of).u64(share.count);
        });
    }
    for share in &group.names {
        w.nested(field::OF_NAME, |w| {
            w.bytes(share.of.as_bytes()).u64(share.count);
        });
    }
    for &job in &group.jobs {
        w.field(field::OF_JOB, &job.to_le_bytes());
    }
}

fn read_counts(mut value: &[u8], group: &mut Group) -> Option<()> {
    for count in group.minutes.iter_mut().chain(&mut group.hours) {
        *count = u32::try_from(take(&mut value)?).ok()?;
    }
    value.is_empty().then_some(())
}

pub(super) fn read_failure(machine: &mut Machine, body: &[u8]) -> Result<(), Wrong> {
    let mut r = Reader(body);
    let (fingerprint, kind) = (r.text()?, r.text()?);
    let (made, first, last, count) = (r.u64()?, r.u64()?, r.u64()?, r.u64()?);
    let mut group = Group { last, count, ..Group::new(made, kind, first) };
    let (mut counts, mut known) = (None, true);
    r.fields(|at, value| {
        match at {
            field::COUNTS => return once(&mut counts, read_counts(value, &mut group).ok_or("counts are none")?),
            field::OF_QUEUE => {
                let (of, count) = whole(value, |r| Ok((r.u32()?, r.u64()?)))?;
                known &= (of as usize) < machine.queues.len() && group.queues.iter().all(|share| share.of != of);
                group.queues.push(Share { of, count });
            }
            field::OF_NAME => {
                let (of, count) = whole(value, |r| Ok((Box::<str>::from(r.text()?), r.u64()?)))?;
                known &= group.names.iter().all(|share| share.of != of);
                group.names.push(Share { of, count });
            }
            field::OF_JOB => group.jobs.push(u64_of(value)?),
            _ => return Ok(false),
        }
        known &= group.queues.len() <= SHARES && group.names.len() <= SHARES && group.jobs.len() <= SAMPLES;
        Ok(true)
    })?;
    let shares = group.queues.iter().map(|share| share.count).chain(group.names.iter().map(|share| share.count));
    let most = shares.max().unwrap_or(0).max(group.count);
    let counters = first <= last && last <= machine.steady && most < LATE;
    let failures = &mut machine.stats.failures;
    if !known || !counters || made > failures.made || counts.is_none() {
        return Err(format!("failures of {fingerprint}: a count or an instant cannot be").into());
    }
    let added = failures.load(fingerprint, group);
    added.ok_or_else(|| format!("failures of {fingerprint} stand twice, or are too many").into())
}

const _: () = assert!(MINUTES == 60 && HOURS == 168, "the page on the format says so");
