//! How much one command may write: looked at before anything else, so that what is too big is refused before its first event.
//!
//! An engine writes a command's events as one piece, and that has a bound. Counted is what the events carry of a client's
//! own; what stands around it in records is bounded by the number of jobs. In bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::check_bytes;
use crate::model::{Command, Error, JobOptions, JobVerb, Limits, NewJob, reading};

/// Checks that the command's events will fit. Every command has its line, so that none is forgotten. Whoever sends commands
/// to a machine elsewhere may look before, since a connection carries no more either.
///
/// # Errors
///
/// `BADARG` names what is too long.
pub fn check_size(command: &Command) -> Result<(), Error> {
    let (what, bytes) = match command {
        Command::Enqueue { jobs, .. } => ("the batch", batch(jobs)),
        Command::Settle { settlements, .. } => {
            ("settlements", settlements.iter().map(|settlement| settlement.outcome.stored_bytes()).sum())
        }
        Command::Progress { value, .. } => ("progress", value.len()),
        Command::Job { verb: JobVerb::Edit(edit), .. } => ("payload", edit.payload.as_ref().map_or(0, Bytes::len)),
        Command::SetQueue { patch, .. } => ("settings", patch.reset.iter().map(|field| field.len() + 8).sum()),
        // Bounded to far less by the checks of their own values: counts, names, a payload, a reason.
        Command::Lease(_)
        | Command::Extend { .. }
        | Command::Log { .. }
        | Command::Job { .. }
        | Command::ApplyConfig { .. }
        | Command::Pause { .. }
        | Command::Resume { .. }
        | Command::StartOperation { .. }
        | Command::CancelOperation { .. } => return Ok(()),
        // These emit nothing.
        reading!() => return Ok(()),
    };
    check_bytes(what, bytes, Limits::BATCH_BYTES)
}

fn batch(jobs: &[NewJob]) -> usize {
    let mut known: Option<(&Arc<JobOptions>, usize)> = None;
    let each = jobs.iter().map(|job| {
        // Jobs that share their options are stored with all of them each.
        let shared = known.filter(|(options, _)| Arc::ptr_eq(options, &job.options)).map(|(_, bytes)| bytes);
        let bytes = shared.unwrap_or_else(|| job.options.stored_bytes());
        known = Some((&job.options, bytes));
        job.payload.len() + bytes
    });
    each.sum()
}
