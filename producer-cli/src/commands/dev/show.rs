//! What the worker of `dev` does, a line each, for people or programs.
//!
//! The worker must not be held up, so lines go through a channel to whoever prints them.

use std::fmt::Display;
use std::time::Duration;

use queue_core::model::duration::show_ms;
use queue_core::model::{JobNumber, LeasedJob, Outcome};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use worker::{Activity, Observer};

use crate::clock;
use crate::render::{bytes, clock_time, cut};

/// Longest result and error on a line, in characters.
const SHOWN: usize = 100;

/// Something that `dev` tells.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// When, wall milliseconds.
    at_ms: u64,
    /// What happened, in one word.
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<About>,
    /// The same for people.
    text: String,
}

/// The job that a line is about.
#[derive(Clone, Debug, Serialize)]
struct About {
    number: JobNumber,
    queue: String,
    name: String,
    attempt: u32,
    attempts: u32,
}

impl Line {
    /// A line about no job.
    pub(crate) fn plain(event: &'static str, text: impl Display) -> Self {
        Self { at_ms: clock::wall_ms(), event, job: None, text: text.to_string() }
    }

    /// A line about a job that was just enqueued.
    pub(crate) fn enqueued(number: JobNumber, queue: &str, name: &str, text: &str) -> Self {
        let (queue, name) = (queue.to_owned(), name.to_owned());
        let job = Some(About { number, queue, name, attempt: 0, attempts: 0 });
        Self { at_ms: clock::wall_ms(), event: "enqueued", job, text: text.to_owned() }
    }

    fn about(event: &'static str, job: &LeasedJob, text: String) -> Self {
        let LeasedJob { number, attempt, attempts, .. } = *job;
        let job = About { number, queue: job.queue.clone(), name: job.name.clone(), attempt, attempts };
        Self { at_ms: clock::wall_ms(), event, job: Some(job), text }
    }

    /// The job that has ended for good with this line.
    pub(crate) fn ended(&self) -> Option<JobNumber> {
        let job = self.job.as_ref()?;
        matches!(self.event, "completed" | "dead" | "cancelled").then_some(job.number)
    }

    /// The line for people.
    pub(crate) fn text(&self) -> String {
        let time = clock_time(self.at_ms);
        match &self.job {
            Some(job) => {
                let name = cut(&format!("{}/{}", job.queue, job.name), 40);
                format!("{time}  {:<4} {name:<14} {:<9} {}", job.number, self.event, self.text).trim_end().to_owned()
                    + "\n"
            }
            None => format!("{time}  {}\n", self.text),
        }
    }
}

/// Tells a channel what the worker does.
pub(crate) struct Tell(pub(crate) UnboundedSender<Line>);

impl Observer for Tell {
    fn observe(&self, activity: Activity<'_>) {
        if let Some(line) = line(activity) {
            // Nobody listens any more once the command ends.
            let _ = self.0.send(line);
        }
    }
}

fn line(activity: Activity<'_>) -> Option<Line> {
    Some(match activity {
        Activity::Started { job } => {
            Line::about("started", job, format!("attempt {} of {}", job.attempt, job.attempts))
        }
        Activity::Ended { job, cancelled: true, .. } => {
            Line::about("cancelled", job, "its handler was told, and ended".to_owned())
        }
        Activity::Ended { job, outcome, ran, .. } => ended(job, outcome, ran),
        Activity::Lost { job, .. } => {
            Line::about("lost", job, "its lease is not ours any more; it runs again or is gone".to_owned())
        }
        _ => return None,
    })
}

fn ended(job: &LeasedJob, outcome: &Outcome, ran: Duration) -> Line {
    let ran = show_ms(ran.as_millis() as u64);
    match outcome {
        Outcome::Complete { result: Some(result) } => {
            Line::about("completed", job, format!("in {ran}: {}", cut(&bytes(result, SHOWN), SHOWN)))
        }
        Outcome::Complete { result: None } => Line::about("completed", job, format!("in {ran}")),
        Outcome::Fail { error, retryable: false, .. } => {
            Line::about("dead", job, format!("trying again is useless: {}", cut(error, SHOWN)))
        }
        Outcome::Fail { error, .. } if job.attempt >= job.attempts => {
            Line::about("dead", job, format!("its attempts are used up: {}", cut(error, SHOWN)))
        }
        Outcome::Fail { error, .. } => {
            Line::about("failed", job, format!("will be tried again: {}", cut(error, SHOWN)))
        }
        Outcome::Release => Line::about("released", job, "given back, uncounted".to_owned()),
        Outcome::Snooze { .. } => Line::about("snoozed", job, "put off, uncounted".to_owned()),
    }
}
