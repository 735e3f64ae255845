//! What a request weighs: how many of the simplest ones its reply, or the work behind it, is worth.
//!
//! A turn ends at [`TURN_WEIGHT`], and the commands of a turn are one call of the engine: so this bounds both how long a
//! client keeps the others waiting and what the replies to one call hold.

use queue_core::model::Command;
use queue_core::wire::Request;

/// What a turn may weigh: 1,000 simple requests.
pub(super) const TURN_WEIGHT: usize = 1_000;
/// Hands out jobs with their payloads: 16 a turn.
const HANDS_OUT: usize = TURN_WEIGHT.div_ceil(16);
/// Looks at many rows, or shows a job with all its bytes: 4 a turn.
const SHOWS: usize = TURN_WEIGHT.div_ceil(4);

pub(super) fn weight(request: &Request) -> usize {
    match request {
        Request::Execute(command) => weight_of(command),
        Request::Lease(_) => HANDS_OUT,
        Request::Wait { .. } | Request::Events { .. } | Request::EventsBack(_) | Request::Workers { .. } => SHOWS,
        Request::Worker { .. } | Request::OrderWorker { .. } => SHOWS,
        Request::Beat(_) | Request::Backup { .. } => 1,
    }
}

fn weight_of(command: &Command) -> usize {
    match command {
        Command::Lease(_) | Command::Settle { then_lease: Some(_), .. } => HANDS_OUT,
        Command::ShowJob { .. }
        | Command::ListJobs { .. }
        | Command::ShowLog { .. }
        | Command::ListQueues { .. }
        | Command::ListOperations
        | Command::ShowSeries(_)
        | Command::ListActivity(_)
        | Command::ListFailures { .. } => SHOWS,
        _ => 1,
    }
}
