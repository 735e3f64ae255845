//! Interned values and settled tokens as parts.
//!
//! A value's number is its place: numbers that nobody has are empty places, so that a part of some bytes makes no table
//! that is larger than they are.

use super::super::Wrong;
use super::super::event::Policy;
use super::super::record::bytes::{Reader, Writer, utf8};
use super::super::record::{decode_policy, encode_policy};
use super::super::tables::{Interned, SETTLED_WORDS, SettledBits, Value};
use super::{PART_BYTES, Parts, whole};
use crate::model::Limits;

/// How an interned value is written; never as nothing.
pub(super) trait Written: Value {
    fn write(&self, w: &mut Writer<'_>);
    fn read(bytes: &[u8]) -> Result<Self, Wrong>;
}

impl Written for Box<str> {
    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Result<Self, Wrong> {
        utf8(bytes).map(Into::into)
    }
}

impl Written for Policy {
    fn write(&self, w: &mut Writer<'_>) {
        w.counted(|w| encode_policy(w, self));
    }

    fn read(bytes: &[u8]) -> Result<Self, Wrong> {
        let policy = whole(bytes, decode_policy)?;
        policy.backoff.check().map_err(|error| error.message)?;
        let times = [policy.timeout_ms, policy.expires_in_ms, policy.keep_ms];
        match times.into_iter().flatten().find(|&ms| ms > Limits::DURATION_MS) {
            Some(ms) => Err(format!("a policy has a time of {ms} ms").into()),
            None => Ok(policy),
        }
    }
}

pub(super) fn save<T: Written>(table: &Interned<T>, kind: u16, parts: &mut Parts<'_>) {
    let mut values = (0..).zip(table.iter()).peekable();
    while let Some(&(first, _)) = values.peek() {
        parts.add(kind, |w| {
            w.u32(first);
            while let Some((_, value)) = values.next_if(|_| w.0.len() < PART_BYTES) {
                match value {
                    Some(value) => value.write(w),
                    None => {
                        w.bytes(&[]);
                    }
                }
            }
        });
    }
}

pub(super) fn load<T: Written>(table: &mut Interned<T>, body: &[u8]) -> Result<(), Wrong> {
    let mut r = Reader(body);
    let first = r.u32()?;
    if first as usize != table.places() {
        return Err(format!("value {first} comes where {} is next", table.places()).into());
    }
    while !r.0.is_empty() {
        let number = table.places() as u32;
        match r.bytes()? {
            [] => table.pass_over(),
            bytes => {
                let value = T::read(bytes)?;
                if table.find(&value).is_some() {
                    return Err(format!("value {number} has another number already").into());
                }
                table.insert(number, value);
            }
        }
    }
    Ok(())
}

pub(super) fn write_settled(w: &mut Writer<'_>, page: &SettledBits<'_>) {
    w.u64(page.number).u64(page.last);
    for &word in page.bits {
        w.u64(word);
    }
}

pub(super) fn read_settled(r: &mut Reader<'_>) -> Result<(u64, u64, [u64; SETTLED_WORDS]), Wrong> {
    let (number, last, mut bits) = (r.u64()?, r.u64()?, [0; SETTLED_WORDS]);
    for word in &mut bits {
        *word = r.u64()?;
    }
    Ok((number, last, bits))
}
