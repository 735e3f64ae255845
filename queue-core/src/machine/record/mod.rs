//! Events as bytes: the body of a journal record, written and read by hand, little-endian.
//!
//! A body is a fixed head, then numbered optional fields, each with its length. A later version adds kinds and fields;
//! an unknown kind or field is refused unless its number says that it may be skipped (top bit).
//! Numbers, once given, are never given again.

pub(super) mod bytes;
mod decode;
mod encode;

pub use decode::decode;
pub(super) use decode::decode_policy;
pub(super) use encode::encode_policy;
pub use encode::{encode, kind_of};

/// Top bit of a kind or field number: who does not know it may skip it.
const SKIPPABLE: u8 = 0x80;

/// Whether a reader that does not know this kind may skip the record.
pub const fn is_skippable(kind: u16) -> bool {
    kind & 0x8000 != 0
}

/// Whether the feed tells of a record of this kind: not of bookkeeping between machine and journal, nor of kinds of later
/// versions.
pub const fn is_told(kind: u16) -> bool {
    match kind {
        kind::STORE_CREATED | kind::DIGEST | kind::NAME_ADDED => false,
        kind::WORKER_ADDED | kind::POLICY_ADDED | kind::IDS_FORGOTTEN => false,
        _ => kind < kind::DIGEST,
    }
}

/// The kinds of records.
mod kind {
    pub(super) const STORE_CREATED: u16 = 1;
    pub(super) const STARTED: u16 = 2;
    pub(super) const CLOCK_MOVED: u16 = 3;
    pub(super) const QUEUE_CREATED: u16 = 4;
    pub(super) const NAME_ADDED: u16 = 5;
    pub(super) const WORKER_ADDED: u16 = 6;
    pub(super) const POLICY_ADDED: u16 = 7;
    pub(super) const ENQUEUED: u16 = 8;
    pub(super) const CAME_DUE: u16 = 9;
    pub(super) const LEASED: u16 = 10;
    pub(super) const EXTENDED: u16 = 11;
    pub(super) const COMPLETED: u16 = 12;
    pub(super) const FAILED: u16 = 13;
    pub(super) const RELEASED: u16 = 14;
    pub(super) const SNOOZED: u16 = 15;
    pub(super) const LEASE_EXPIRED: u16 = 16;
    pub(super) const PROGRESSED: u16 = 17;
    pub(super) const LOGGED: u16 = 18;
    pub(super) const EXPIRED: u16 = 19;
    pub(super) const PROMOTED: u16 = 20;
    pub(super) const RESCHEDULED: u16 = 21;
    pub(super) const EDITED: u16 = 22;
    pub(super) const CANCEL_REQUESTED: u16 = 23;
    pub(super) const CANCELLED: u16 = 24;
    pub(super) const RETRIED: u16 = 25;
    pub(super) const REMOVED: u16 = 26;
    pub(super) const AGED_OUT: u16 = 27;
    pub(super) const IDS_FORGOTTEN: u16 = 28;
    pub(super) const QUEUE_SET: u16 = 29;
    pub(super) const QUEUE_PAUSED: u16 = 30;
    pub(super) const QUEUE_RESUMED: u16 = 31;
    pub(super) const OPERATION_STARTED: u16 = 32;
    pub(super) const OPERATION_ADVANCED: u16 = 33;
    pub(super) const OPERATION_ENDED: u16 = 34;
    pub(super) const DIGEST: u16 = 35;
}

/// The numbers of optional fields, over all kinds.
mod field {
    pub(super) const DUE: u8 = 1;
    pub(super) const EXPIRES_AT: u8 = 2;
    pub(super) const ID: u8 = 3;
    pub(super) const TAG: u8 = 4;
    pub(super) const HEADERS: u8 = 5;
    pub(super) const RESULT: u8 = 6;
    pub(super) const PRIORITY: u8 = 7;
    pub(super) const PAYLOAD: u8 = 8;
    pub(super) const ACTOR: u8 = 9;
    pub(super) const REASON: u8 = 10;
    pub(super) const RESET: u8 = 11;
    pub(super) const CONFIG: u8 = 12;
    pub(super) const TIMEOUT: u8 = 13;
    pub(super) const EXPIRES_IN: u8 = 14;
    pub(super) const KEEP: u8 = 15;
    pub(super) const FORGET: u8 = 16;
    pub(super) const VOID: u8 = 17;
}

#[cfg(test)]
pub(in crate::machine) mod tests;
