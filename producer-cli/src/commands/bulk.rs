//! `enqueue --file`: many jobs in batches, with a progress bar, so that a broken run can simply be run again.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use queue_core::engine::EngineExt;
use queue_core::model::{Added, Error, NewJob, Word};
use serde::Serialize;

use super::dev::typed::quoted;
use crate::app::App;
use crate::failure::{Failure, USAGE, hint};
pub(crate) use crate::parse::ndjson::Lines;
use crate::parse::ndjson::{self, Wrong};
use crate::parse::payload::unreadable;

/// Most jobs in a batch: large enough to share a sync, small enough for a bar that moves.
const BATCH_JOBS: usize = 1_000;
/// Most bytes in a batch, far below the engine's limit of 16 MiB.
const BATCH_BYTES: usize = 4 << 20;
/// Most wrong lines that are shown.
const SHOWN_WRONG: usize = 20;

/// What became of a file.
#[derive(Debug, Default, Serialize)]
struct Sum<'a> {
    queue: &'a str,
    jobs: usize,
    created: usize,
    existing: usize,
    existing_gone: usize,
}

/// Adds the jobs of a file: first all lines are checked, then the jobs go in batches.
pub(crate) async fn run(queue: &str, file: &Path, lines: &Lines, app: &mut App) -> Result<(), Failure> {
    let text = if file == Path::new("-") { standard_input() } else { std::fs::read(file) };
    let text = text.map_err(|error| unreadable(&file.display().to_string(), &error))?;
    let jobs = ndjson::read(&Bytes::from(text), lines).map_err(|wrong| refused(&wrong))?;
    let mut sum = Sum { queue, jobs: jobs.len(), ..Sum::default() };
    let again = lines.again.as_deref();
    send(jobs, &mut sum, again, app).await?;
    app.answer(&sum, || {
        let known = sum.existing + sum.existing_gone;
        let known = if known > 0 { format!(", {known} already there") } else { String::new() };
        let jobs = if sum.created == 1 { "job" } else { "jobs" };
        format!("{} {jobs} added to {queue}{known}\n", sum.created)
    })
}

fn standard_input() -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

async fn send(jobs: Vec<NewJob>, sum: &mut Sum<'_>, again: Option<&str>, app: &App) -> Result<(), Failure> {
    let bar = bar(jobs.len() as u64);
    let mut jobs = jobs.into_iter().peekable();
    while jobs.peek().is_some() {
        let batch = batch(&mut jobs);
        let size = batch.len() as u64;
        match app.engine().await?.enqueue(sum.queue, batch).await {
            Ok(enqueued) => enqueued.iter().for_each(|one| sum.count(one.added)),
            Err(error) => {
                bar.abandon();
                return Err(broken(&error, sum, again));
            }
        }
        bar.inc(size);
    }
    bar.finish_and_clear();
    Ok(())
}

impl Sum<'_> {
    fn count(&mut self, added: Added) {
        match added {
            Added::Created => self.created += 1,
            Added::Existing => self.existing += 1,
            Added::ExistingGone => self.existing_gone += 1,
        }
    }
}

/// Takes the next batch: within its bounds, and at least one job.
fn batch(jobs: &mut std::iter::Peekable<impl Iterator<Item = NewJob>>) -> Vec<NewJob> {
    let mut batch: Vec<NewJob> = Vec::new();
    let mut bytes = 0;
    while let Some(job) = jobs.next_if(|job| {
        bytes += job.stored_bytes();
        batch.len() < BATCH_JOBS && (batch.is_empty() || bytes <= BATCH_BYTES)
    }) {
        batch.push(job);
    }
    batch
}

/// The run broke after its start: says how far it came, and how to go on so that nothing is added twice.
fn broken(error: &Error, sum: &Sum<'_>, again: Option<&str>) -> Failure {
    let sent = sum.created + sum.existing + sum.existing_gone;
    let message = format!("{}; {sent} of {} jobs are in {}", error.message, sum.jobs, sum.queue);
    let first = if error.word == Word::Unknown { "the batch after them may be in or not" } else { hint(error.word) };
    let command = match again {
        None => "run the same command again".to_owned(),
        // Another key would give every line another id, and add it a second time.
        Some(key) => format!("run the same command again with --again={}", quoted(key)),
    };
    let hint = format!("{first}\nmend that and {command}: it adds only what is missing");
    Failure::new(message, hint, error.word.exit_code())
}

fn refused(wrong: &[Wrong]) -> Failure {
    let mut said: Vec<String> =
        wrong.iter().take(SHOWN_WRONG).map(|wrong| format!("line {}: {}", wrong.line, wrong.message)).collect();
    if wrong.len() > SHOWN_WRONG {
        said.push(format!("… and {} more", wrong.len() - SHOWN_WRONG));
    }
    said.push("what a line may have: longshore enqueue --help".to_owned());
    let lines = if wrong.len() == 1 { "1 line is".to_owned() } else { format!("{} lines are", wrong.len()) };
    Failure::new(format!("{lines} wrong; nothing was sent"), said.join("\n"), USAGE)
}

/// A bar on standard error, which shows nothing where that is no terminal, or where there is nothing to do.
pub(crate) fn bar(total: u64) -> ProgressBar {
    if total == 0 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix}{wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    ProgressBar::new(total).with_style(style.expect("a template that is right"))
}

#[cfg(test)]
mod tests {
    use queue_core::model::{Error, NewJob, Word};

    use super::{Failure, Sum, broken};

    #[test]
    fn a_broken_run_says_how_to_go_on_without_doubles() {
        let hint = |again| {
            let sum = Sum { queue: "q", jobs: 10_000, created: 5_000, ..Sum::default() };
            match broken(&Error::new(Word::Unknown, "connection lost"), &sum, again) {
                Failure::Said { message, hint, exit: 5 } => {
                    assert_eq!(message, "connection lost; 5000 of 10000 jobs are in q");
                    hint.lines().last().expect("a hint").to_owned()
                }
                other => panic!("{other:?}"),
            }
        };
        let ending = ": it adds only what is missing";
        assert_eq!(hint(None), format!("mend that and run the same command again{ending}"));
        assert_eq!(hint(Some("7f")), format!("mend that and run the same command again with --again=7f{ending}"));
    }

    #[test]
    fn batches_keep_their_bounds() {
        let sizes = |jobs: Vec<NewJob>| {
            let mut jobs = jobs.into_iter().peekable();
            let mut sizes = Vec::new();
            while jobs.peek().is_some() {
                sizes.push(super::batch(&mut jobs).len());
            }
            sizes
        };
        assert_eq!(sizes(vec![NewJob::new("n", "1"); 2_500]), [1_000, 1_000, 500]);
        assert_eq!(sizes(vec![NewJob::new("n", vec![b'1'; 1 << 20]); 9]), [4, 4, 1]);
        assert_eq!(sizes(Vec::new()), [] as [usize; 0]);
    }
}
