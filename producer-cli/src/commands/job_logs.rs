//! `job logs`: what a job's handlers printed, and what they print now.

use std::time::Duration;

use clap::Args;
use queue_core::engine::EngineExt;
use queue_core::model::LogPage;

use crate::app::{App, job_refs};
use crate::failure::Failure;
use crate::parse;
use crate::render;

/// Show what a job's handlers printed: the last 1,000 lines, at most 64 KiB
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore job logs 42\n  longshore job logs 42 --follow")]
pub(crate) struct LogsArgs {
    /// A number such as 42, or an id
    #[arg(value_name = "JOB")]
    job: String,
    /// The queue of an id, where two queues know it
    #[arg(long, value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
    /// Go on until the job is done
    #[arg(long, short)]
    follow: bool,
}

/// How often a followed log is read again while nothing new comes.
const PAUSE: Duration = Duration::from_millis(250);

/// Shows the lines there are; with `--follow` those that come, too.
pub(crate) async fn run(args: &LogsArgs, app: &mut App) -> Result<(), Failure> {
    let texts = [args.job.clone()];
    let job = job_refs(&texts, args.queue.as_deref(), "job logs")?.remove(0);
    let mut from = 0;
    loop {
        let page = app.engine().await?.job_log(job.clone(), from).await?;
        let got = !page.lines.is_empty();
        from = print(&page, from, app)?;
        if !got && (page.done || !args.follow) {
            return Ok(());
        }
        if !got {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Shows a page and answers where the next one begins.
fn print(page: &LogPage, from: u64, app: &mut App) -> Result<u64, Failure> {
    if page.first > from && !app.json {
        let gone = page.first - from;
        app.out.line(format_args!("… {gone} earlier lines are not kept"))?;
    }
    for line in &page.lines {
        app.answer(line, || render::job::log_line(line))?;
    }
    app.out.flush()?;
    Ok(page.first.max(from) + page.lines.len() as u64)
}
