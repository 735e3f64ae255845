//! A queue as a part, and the ids that it remembers.
//!
//! Settings are JSON, as in their events: names, not numbers, say which one is meant.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::Wrong;
use super::super::queue::Queue;
use super::super::record::bytes::{Reader, Writer, utf8};
use super::super::tables::{Remembered, RememberedIds};
use super::{PART_BYTES, Parts, field, kind, once, whole};
use crate::model::{QueueCounts, QueueSettings};

pub(super) fn write(w: &mut Writer<'_>, number: u32, queue: &Queue) {
    let counts = &queue.counts;
    w.u32(number).bytes(queue.name.as_bytes()).u64(queue.back.cast_unsigned()).u64(queue.front.cast_unsigned());
    // The counts of states follow from the rows.
    w.u64(counts.enqueued).u64(counts.removed).u64(counts.aged_out).u64(counts.dead_aged_out);
    w.field_unless_empty(field::SETTINGS, &json_unless_default(&queue.settings));
    w.field_unless_empty(field::CONFIG, &json_unless_default(&queue.config));
    for (setting, actor) in &queue.set_by {
        w.nested(field::SET_BY, |w| {
            w.bytes(setting.as_bytes()).bytes(actor.as_bytes());
        });
    }
    if let Some(text) = &queue.paused {
        w.field(field::PAUSED, text.as_bytes());
    }
}

fn json_unless_default<T: Default + PartialEq + Serialize>(value: &T) -> Vec<u8> {
    match *value == T::default() {
        true => Vec::new(),
        false => serde_json::to_vec(value).expect("settings are plain data"),
    }
}

pub(super) fn read(body: &[u8]) -> Result<(u32, Queue), Wrong> {
    let mut r = Reader(body);
    let (number, name, back, front) = (r.u32()?, r.text()?, r.i64()?, r.i64()?);
    let counts = QueueCounts {
        enqueued: r.u64()?,
        removed: r.u64()?,
        aged_out: r.u64()?,
        dead_aged_out: r.u64()?,
        ..QueueCounts::default()
    };
    let (mut settings, mut config, mut paused, mut set_by) = (None, None, None, BTreeMap::new());
    r.fields(|at, value| match at {
        field::SETTINGS => once(&mut settings, read_settings(value)?),
        field::CONFIG => once(&mut config, read_settings(value)?),
        field::SET_BY => {
            let (setting, actor) = whole(value, |r| Ok((r.text()?.to_owned(), r.text()?.to_owned())))?;
            set_by.insert(setting, actor);
            Ok(true)
        }
        field::PAUSED => once(&mut paused, utf8(value)?.into()),
        _ => Ok(false),
    })?;
    let mut queue = Queue { counts, back, front, set_by, paused, ..Queue::new(name) };
    queue.set(settings.unwrap_or_default(), config.unwrap_or_default());
    Ok((number, queue))
}

fn read_settings(value: &[u8]) -> Result<QueueSettings, Wrong> {
    let settings: QueueSettings = serde_json::from_slice(value).map_err(|error| format!("settings: {error}"))?;
    settings.check().map_err(|error| error.message)?;
    Ok(settings)
}

pub(super) fn save_remembered(queue: u32, remembered: &RememberedIds, parts: &mut Parts<'_>) {
    let mut ids = remembered.iter().peekable();
    while ids.peek().is_some() {
        parts.add(kind::REMEMBERED, |w| {
            w.u32(queue);
            while let Some(id) = ids.next_if(|_| w.0.len() < PART_BYTES) {
                w.u64(id.until).u64(id.number).u64(id.digest as u64).u64((id.digest >> 64) as u64);
            }
        });
    }
}

pub(super) fn read_remembered(r: &mut Reader<'_>) -> Result<Remembered, Wrong> {
    let (until, number) = (r.u64()?, r.u64()?);
    let digest = u128::from(r.u64()?) | u128::from(r.u64()?) << 64;
    Ok(Remembered { until, digest, number })
}
