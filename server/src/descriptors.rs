//! File descriptors: as many as the connections may take, and some for the engine and everything else.
//!
//! Invariant: connections never take the last descriptors, for want of which the journal could not begin its next
//! segment and the engine would fail.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is kept back for the journal's files, the admin listener, the runtime, and whatever else the process opened.
const KEPT: u64 = 64;

/// Raises the process's soft limit as far as `wanted` connections need it and the hard limit allows; returns how many
/// there is room for.
pub(crate) fn room_for(wanted: usize) -> usize {
    let needed = wanted as u64 + KEPT;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // No limit is given as `None`.
    let mut soft = current.unwrap_or(u64::MAX);
    if soft < needed {
        let raised = needed.min(maximum.unwrap_or(u64::MAX));
        match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
            Ok(()) => soft = raised,
            Err(error) => tracing::debug!(%error, "the limit of open files stays as it is"),
        }
    }
    let room = usize::try_from(soft.saturating_sub(KEPT)).unwrap_or(usize::MAX).clamp(1, wanted.max(1));
    if room < wanted {
        tracing::warn!(
            open_files_max = soft,
            connections_max = room,
            "too few open files are allowed for {wanted} connections; allow more: ulimit -Hn, or LimitNOFILE= of systemd"
        );
    }
    room
}
