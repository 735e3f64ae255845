//! What a worker does, told to whoever wants to show it (`longshore dev` does, line by line).
//!
//! Told after the fact and in the worker's own tasks: an observer must not block.

use std::time::Duration;

use queue_core::model::{Error, LeasedJob, Outcome};

/// Something a worker did.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Activity<'a> {
    /// A handler starts.
    Started {
        /// The job as it was leased.
        job: &'a LeasedJob,
    },
    /// The engine counted what became of a job.
    Ended {
        /// The job as it was leased.
        job: &'a LeasedJob,
        /// What was settled.
        outcome: &'a Outcome,
        /// The handler was told that the job was cancelled, and did not complete it: so the job is cancelled, whatever
        /// the outcome says.
        cancelled: bool,
        /// How long the handler ran.
        ran: Duration,
    },
    /// The lease was lost or its settlement refused: nothing of this run counts, and the job runs again or is gone.
    Lost {
        /// The job as it was leased.
        job: &'a LeasedJob,
        /// How long the handler ran.
        ran: Duration,
        /// What the engine said to the settlement, if one was sent.
        refusal: Option<&'a Error>,
    },
}

/// Is told what a worker does. Every closure that takes an [`Activity`] is one.
pub trait Observer: Send + Sync + 'static {
    /// Called for each activity, in order for each job; must not block.
    fn observe(&self, activity: Activity<'_>);
}

impl<F: Fn(Activity<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, activity: Activity<'_>) {
        self(activity);
    }
}
