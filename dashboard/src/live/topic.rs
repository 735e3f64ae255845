//! The topics: which regions there are, and how each is rendered.
//!
//! A region stands in a page under the id that its part of an update names. An engine that does not answer leaves the
//! regions as they are, and says so in a note.

use std::fmt;

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Error, JobNumber, OperationNumber, is_name};

use super::{EventFilter, Since};
use crate::access::Role;
use crate::app::App;
use crate::pages::{errors, events, job, jobs, operations, overview, queue, workers};
use crate::query::{Query, name_of, segment};
use crate::stock::Sort;
use crate::view::totals;

/// A region of pages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// The totals, on every page.
    Totals,
    /// What the overview shows.
    Overview(Sort),
    /// What stands in a queue.
    Queue(String),
    /// How many jobs came since a list was shown.
    New(Since),
    /// What is known of a job, but its payload.
    Job(JobNumber),
    /// What fails, by its cause.
    Errors,
    /// One cause of failures.
    Error(String),
    /// What happens, as far as it passes a filter.
    Events(EventFilter),
    /// Who works.
    Workers,
    /// What one worker runs.
    Worker(String),
    /// How far an operation is.
    Operation(OperationNumber),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Totals => f.write_str("totals"),
            Self::Overview(Sort::Name) => f.write_str("overview"),
            Self::Overview(sort) => write!(f, "overview:{sort}"),
            Self::Errors => f.write_str("errors"),
            Self::Error(fingerprint) => write!(f, "error:{}", segment(fingerprint)),
            Self::Events(filter) => write!(f, "events:{}", segment(&filter.query().to_string())),
            Self::New(since) => write!(f, "new:{}", segment(&since.query().to_string())),
            Self::Workers => f.write_str("workers"),
            Self::Worker(worker) => write!(f, "worker:{}", segment(worker)),
            Self::Queue(queue) => write!(f, "queue:{}", segment(queue)),
            Self::Job(number) => write!(f, "job:{}", number.0),
            Self::Operation(number) => write!(f, "operation:{}", number.0),
        }
    }
}

impl Topic {
    /// How topics are written.
    pub(crate) const FORMS: &str = "totals, overview, overview:SORT, errors, error:FINGERPRINT, events:FILTER, new:SINCE, workers, worker:NAME, queue:NAME, job:NUMBER, operation:NUMBER";

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => match text {
                "totals" => Some(Self::Totals),
                "overview" => Some(Self::Overview(Sort::Name)),
                "errors" => Some(Self::Errors),
                "workers" => Some(Self::Workers),
                _ => None,
            },
            Some(("overview", word)) => Sort::parse(word).map(Self::Overview),
            Some(("error", text)) => Some(Self::Error(text_of(text)?)),
            Some(("events", filter)) => {
                EventFilter::of(&Query::parse(text_of(filter)?.as_bytes())).ok().map(Self::Events)
            }
            Some(("new", since)) => Since::parse(&Query::parse(text_of(since)?.as_bytes())).map(Self::New),
            Some(("queue", name)) => Some(Self::Queue(decoded(name)?)),
            Some(("worker", name)) => Some(Self::Worker(decoded(name)?)),
            Some(("job", number)) => number.parse().ok().map(|number| Self::Job(JobNumber(number))),
            Some(("operation", number)) => number.parse().ok().map(|number| Self::Operation(OperationNumber(number))),
            Some(_) => None,
        }
    }

    /// The region as a part of an update.
    pub(super) async fn render(&self, app: &App, role: Role) -> Markup {
        let (id, rendered) = match self {
            Self::Totals => ("totals", self.totals(app).await),
            Self::Overview(sort) => ("overview", overview::region(app, *sort).await),
            Self::Queue(queue) => ("queue", queue::region(app, queue).await),
            Self::Errors => ("errors", errors::region(app, role).await),
            Self::Error(fingerprint) => ("error", errors::one_region(app, fingerprint).await),
            Self::Events(filter) => ("events", events::region(app, filter).await),
            Self::New(since) => ("new", jobs::news(app, since).await),
            Self::Workers => ("workers", workers::region(app).await),
            Self::Worker(worker) => ("worker", workers::one_region(app, worker, role).await),
            Self::Operation(number) => ("operation", operations::region(app, *number, role).await),
            Self::Job(number) => ("job", job::region(app, *number, role).await),
        };
        html! {
            @if let Ok(region) = &rendered { hx-partial id=(id) hx-swap="innerMorph" { (region) } }
            @if *self == Self::Totals { hx-partial id="live-note" hx-swap="innerHTML" { (note(rendered.as_ref().err())) } }
        }
    }

    async fn totals(&self, app: &App) -> Result<Markup, Error> {
        Ok(totals::bar(app, &Ok(app.engine.stats().await?)))
    }
}

/// A name as a path's segment writes it, so that it has no comma.
fn decoded(text: &str) -> Option<String> {
    text_of(text).filter(|name| is_name(name))
}

/// Any text as a path's segment writes it.
fn text_of(text: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    Some(name_of(&text).to_owned())
}

/// Why nothing is kept up to date.
fn note(error: Option<&Error>) -> Markup {
    html! {
        @if let Some(error) = error {
            p.notice.bad role="alert" data-test-note { "Not up to date: " (error.message) }
        } @else { span.unseen { "live" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_as_they_are_written() {
        for topic in [
            Topic::Totals,
            Topic::Overview(Sort::Name),
            Topic::Overview(Sort::Dead),
            Topic::Errors,
            Topic::Error("exit: no, \"Q\" at N/X".into()),
            Topic::Queue("a,b=c:ä/..".into()),
            Topic::Queue("..".into()),
            Topic::Events(EventFilter::default()),
            Topic::Events(EventFilter::of(&Query::parse(b"queue=a,b%26&job=7&event=failures")).expect("a filter")),
            Topic::New(Since::parse(&Query::parse(b"count=7&queue=a,b%26=c")).expect("a count")),
            Topic::New(Since::parse(&Query::parse(b"count=7&all=yes")).expect("a count")),
            Topic::Job(JobNumber(42)),
            Topic::Operation(OperationNumber(7)),
        ] {
            assert_eq!(Topic::parse(&topic.to_string()), Some(topic));
        }
        for text in ["", "job", "job:", "job:x", "queue:", "new:", "new:count%3Dx", "totals:1", "other"] {
            assert_eq!(Topic::parse(text), None, "{text}");
        }
    }
}
