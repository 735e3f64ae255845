//! What users name: jobs, queues, options, settings, events' words, errors. Plain data, serde, no I/O.
//!
//! Field names are those of the wire and of files. Durations end in `_ms` (milliseconds), instants in
//! `_at_ms` (milliseconds since the Unix epoch, wall clock of the broker). Nothing here decides anything:
//! rules live in `machine`, bytes in `journal`.

mod backoff;
mod backup;
pub mod base64;
mod check;
mod command;
pub mod duration;
mod error;
mod failure;
mod figures;
mod ids;
mod job;
mod job_json;
pub mod json;
mod limits;
mod moment;
mod options;
mod reply;
mod series;
mod settings;
pub(crate) mod size;
pub mod typed;
mod worker;

pub use backoff::{Backoff, BackoffKind};
pub use backup::{BackupReport, RestoreReport};
pub(crate) use check::check_wait;
pub use check::is_name;
pub(crate) use command::reading;
pub use command::{
    BulkVerb, Command, Edit, JobFilter, JobVerb, LeaseOrder, LogLine, LogSource, Outcome, Settlement, When,
};
pub use error::{Error, Word, fragment};
pub use failure::{FailureFilter, FailureGroup, FailureOrder, FailurePage, FailureShare};
pub use figures::{Figures, Histogram, JournalFigures, QueueFigures};
pub use ids::{JobNumber, JobRef, LeaseRef, LeaseToken, Now, OperationNumber};
pub use job::{DeadReason, DelayCause, EndedLease, Job, JobState, JobSummary, LeaseOutcome, LeasedJob};
pub(crate) use job_json::Shown;
pub use limits::Limits;
pub use moment::Moment;
pub use options::{JobOptions, NewJob};
pub use reply::{
    Added, Enqueued, EventPage, EventRecord, EventsBack, Extension, JobPage, JournalStats, LogPage, OperationState,
    OperationView, QueueCounts, QueuePage, QueueView, Reply, Settled, Stats,
};
pub use series::{
    Activity, ActivityPage, ActivityQuery, Quantiles, Series, SeriesCounts, SeriesPoint, SeriesQuery, Step,
};
pub use settings::{Effective, QueueSettings, SettingSource, SettingsPatch};
pub use worker::{
    Beat, Capabilities, Context, GivenOrder, LeaseRequest, Orders, WorkerJob, WorkerOrder, WorkerPage, WorkerState,
    WorkerView,
};
