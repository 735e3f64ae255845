//! The handlers, a file for each page: ask the engine, show what it says.

pub(crate) mod assets;
pub(crate) mod errors;
pub(crate) mod events;
pub(crate) mod job;
pub(crate) mod job_actions;
pub(crate) mod job_edit;
pub(crate) mod job_forms;
pub(crate) mod jobs;
pub(crate) mod live;
pub(crate) mod login;
pub(crate) mod metrics;
pub(crate) mod operations;
pub(crate) mod overview;
pub(crate) mod queue;
pub(crate) mod queue_actions;
pub(crate) mod queues;
pub(crate) mod search;
pub(crate) mod selected;
pub(crate) mod series;
pub(crate) mod theme;
pub(crate) mod workers;
