//! `job`: look at jobs, and act on one or some of them by name.

use clap::{Args, Subcommand};
use queue_core::engine::EngineExt;
use queue_core::model::{
    Command, DeadReason, DelayCause, Edit, Error, Job, JobFilter, JobNumber, JobRef, JobState, JobSummary, JobVerb,
    Limits, Moment, Reply, When, Word, duration,
};
use serde::Serialize;

use super::bulk::bar;
use super::job_logs::{self, LogsArgs};
use super::operation;
use crate::app::{App, job_refs};
use crate::cli::Administrative;
use crate::clock::Stopwatch;
use crate::failure::{Failure, NOT_COMPLETED, note};
use crate::parse::{self, payload};
use crate::render;

/// Look at jobs and act on them
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A JOB is a number such as 42 (or '#42'), or the job's own id.

Examples:
  longshore job list --queue emails --state dead
  longshore job show 42
  longshore job retry 42")]
pub(crate) enum JobCommand {
    Show(ShowArgs),
    List(ListArgs),
    Wait(WaitArgs),
    Logs(LogsArgs),
    Retry(RetryArgs),
    Promote(PromoteArgs),
    Reschedule(RescheduleArgs),
    Edit(EditArgs),
    Cancel(CancelArgs),
    Remove(RemoveArgs),
}

/// Which jobs a command means.
#[derive(Args, Debug)]
pub(crate) struct Jobs {
    /// Numbers such as 42, or ids
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    /// The queue of an id, where two queues know it
    #[arg(long, value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
}

impl Jobs {
    fn refs(&self, command: &str) -> Result<Vec<JobRef>, Failure> {
        job_refs(&self.jobs, self.queue.as_deref(), command)
    }
}

/// Show everything there is to say of a job
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore job show 42\n  longshore job show order-42 --queue emails --json")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    jobs: Jobs,
}

/// List jobs, the newest first; of a queue or state: waiting ones as they will be served, delayed ones by due time, done ones from the latest back
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore job list --queue emails --state delayed --cause retry
  longshore job list --state dead --since 1h
  longshore job list --state dead --reason exhausted --limit 1000 --json
  longshore job list --queue emails --contains ann@example.com")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    search: SearchArgs,
    /// In this state; may be given again
    #[arg(long = "state", value_name = "STATE")]
    #[arg(value_parser = |text: &str| parse::word("--state", text, JobState::ALL))]
    states: Vec<JobState>,
    /// Delayed for this cause
    #[arg(long, value_parser = |text: &str| parse::word("--cause", text, DelayCause::ALL))]
    cause: Option<DelayCause>,
    /// Dead for this reason
    #[arg(long, value_parser = |text: &str| parse::word("--reason", text, DeadReason::ALL))]
    reason: Option<DeadReason>,
    /// At most this many rows
    #[arg(long, value_name = "N", default_value = "50")]
    #[arg(value_parser = |text: &str| parse::integer::<usize>("--limit", text, 1, 1_000_000))]
    limit: usize,
}

/// Which jobs a list or a bulk operation means.
#[derive(Args, Debug)]
pub(crate) struct FilterArgs {
    /// Only this queue
    #[arg(long, value_parser = |text: &str| parse::name("--queue", text))]
    queue: Option<String>,
    /// Only jobs of this name
    #[arg(long, value_parser = |text: &str| parse::name("--name", text))]
    name: Option<String>,
    /// Only jobs with this tag
    #[arg(long, value_parser = |text: &str| parse::name("--tag", text))]
    tag: Option<String>,
    /// Only jobs whose last failure has this fingerprint
    #[arg(long)]
    fingerprint: Option<String>,
    /// Only jobs in their state since then or later: how long ago (1h), a day, a time with its zone
    ///
    /// Done jobs count from their end, active ones from their lease, waiting ones from when they became ready or came back,
    /// delayed ones from their last lease's end or their enqueue.
    #[arg(long, value_name = "TIME", value_parser = |text: &str| Moment::parse("--since", text))]
    since: Option<Moment>,
    /// Only jobs that came into their state before then, likewise
    #[arg(long, value_name = "TIME", value_parser = |text: &str| Moment::parse("--until", text))]
    until: Option<Moment>,
}

impl FilterArgs {
    /// The filter as of now, without what only some commands have.
    pub(crate) fn into_filter(self, now_ms: u64) -> JobFilter {
        let Self { queue, name, tag, fingerprint, since, until } = self;
        let (since_ms, until_ms) = (since.map(|since| since.at(now_ms)), until.map(|until| until.at(now_ms)));
        JobFilter { queue, name, tag, fingerprint, since_ms, until_ms, ..JobFilter::default() }
    }
}

/// What only lists can ask for.
#[derive(Args, Debug)]
pub(crate) struct SearchArgs {
    /// Only jobs whose payload has this text in it, as it stands there
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| parse::text("--contains", text))]
    contains: Option<String>,
}

impl SearchArgs {
    /// The filter with what is searched for.
    pub(crate) fn add_to(self, filter: JobFilter) -> JobFilter {
        JobFilter { contains: self.contains, ..filter }
    }
}

/// Wait until jobs are done, and show how they ended
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore job wait 42 --timeout 5m
  longshore job wait 42 43 44

Exit codes: 0 all completed, 6 one ended dead or cancelled, 7 the time ran out")]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    jobs: Jobs,
    /// At most this long for all of them [default: without end]
    #[arg(long, value_name = "TIME", value_parser = |text: &str| parse::duration("--timeout", text))]
    timeout: Option<u64>,
}

macro_rules! verb_args {
    ($(#[$meta:meta])* $name:ident) => {
        #[derive(Args, Debug)]
        $(#[$meta])*
        pub(crate) struct $name {
            #[command(flatten)]
            jobs: Jobs,
            #[command(flatten)]
            administrative: Administrative,
        }
    };
}

verb_args! {
    /// Run completed, dead or cancelled jobs again, in a new round of attempts
    #[command(after_help = "Examples:\n  longshore job retry 42\n  longshore job retry 42 43 --because 'mail server is back'")]
    RetryArgs
}

verb_args! {
    /// Make delayed jobs due now
    #[command(after_help = "Examples:\n  longshore job promote 42")]
    PromoteArgs
}

verb_args! {
    /// Call jobs off; the handler of a running one is told to stop
    #[command(after_help = "Examples:\n  longshore job cancel 42 --because 'sent by hand'")]
    CancelArgs
}

/// Make waiting or delayed jobs due at another time
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore job reschedule 42 --delay 10m
  longshore job reschedule 42 --at 2026-12-01T10:00:00Z")]
pub(crate) struct RescheduleArgs {
    #[command(flatten)]
    jobs: Jobs,
    /// This long from now
    #[arg(long, value_name = "TIME", required_unless_present = "at", conflicts_with = "at")]
    #[arg(value_parser = |text: &str| parse::duration("--delay", text))]
    delay: Option<u64>,
    /// At this time, such as 2026-12-01T10:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = |text: &str| parse::time("--at", text))]
    at: Option<u64>,
    #[command(flatten)]
    administrative: Administrative,
}

/// Change payload or priority of jobs that are not running
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore job edit 42 --priority 10
  longshore job edit 42 --payload '{\"to\": \"bob\"}' --retry")]
pub(crate) struct EditArgs {
    #[command(flatten)]
    jobs: Jobs,
    /// The new payload: JSON, or - for standard input, or @FILE
    #[arg(long, required_unless_present = "priority")]
    payload: Option<String>,
    /// The payload may be any bytes
    #[arg(long, requires = "payload")]
    raw: bool,
    /// The new priority: -1000 to 1000
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    #[arg(value_parser = |text: &str| parse::integer::<i64>("--priority", text, -1_000, 1_000))]
    priority: Option<i64>,
    /// Also run the job again, which has to be dead: both are done, or neither
    #[arg(long)]
    retry: bool,
    #[command(flatten)]
    administrative: Administrative,
}

/// Take jobs out of the store
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore job remove 42\n  longshore job remove 42 --force")]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    jobs: Jobs,
    /// Also one that is running: what its handler answers is void then
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    administrative: Administrative,
}

/// Carries out one command of the family.
pub(crate) async fn run(command: JobCommand, app: &mut App) -> Result<(), Failure> {
    match command {
        JobCommand::Show(args) => show(&args, app).await,
        JobCommand::List(args) => list(args, app).await,
        JobCommand::Wait(args) => wait(&args, app).await,
        JobCommand::Logs(args) => job_logs::run(&args, app).await,
        JobCommand::Retry(args) => verb(&args.jobs, JobVerb::Retry, &args.administrative, app).await,
        JobCommand::Promote(args) => verb(&args.jobs, JobVerb::Promote, &args.administrative, app).await,
        JobCommand::Cancel(args) => verb(&args.jobs, JobVerb::Cancel, &args.administrative, app).await,
        JobCommand::Remove(args) => {
            verb(&args.jobs, JobVerb::Remove { force: args.force }, &args.administrative, app).await
        }
        JobCommand::Reschedule(args) => {
            let when = args.delay.map(When::DelayMs).or(args.at.map(When::RunAtMs));
            let when = when.expect("clap requires one of the two");
            verb(&args.jobs, JobVerb::Reschedule(when), &args.administrative, app).await
        }
        JobCommand::Edit(args) => {
            let read = |text: &String| payload::read(Some(text), args.raw, "job edit");
            let payload = args.payload.as_ref().map(read).transpose()?;
            let edit = Edit { payload, priority: args.priority, retry: args.retry };
            verb(&args.jobs, JobVerb::Edit(edit), &args.administrative, app).await
        }
    }
}

async fn show(args: &ShowArgs, app: &mut App) -> Result<(), Failure> {
    show_all(args.jobs.refs("job show")?, app).await
}

/// Shows everything there is to say of each job.
pub(crate) async fn show_all(jobs: impl IntoIterator<Item = JobRef>, app: &mut App) -> Result<(), Failure> {
    for job in jobs {
        let job = app.engine().await?.job(job).await?;
        let now_ms = app.now_ms();
        answer(&job, app, || render::job::whole(&job, now_ms))?;
    }
    Ok(())
}

/// Answers a job with its bytes, which plain serde leaves out.
fn answer(job: &Job, app: &mut App, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if app.json {
        app.out.line(render::job::json_line(job))?;
    } else {
        app.out.text(&text())?;
    }
    Ok(())
}

async fn list(args: ListArgs, app: &mut App) -> Result<(), Failure> {
    let (states, cause, reason) = (args.states, args.cause, args.reason);
    let filter = JobFilter { states, cause, reason, ..args.filter.into_filter(app.now_ms()) };
    rows(args.search.add_to(filter), args.limit, app).await
}

/// Shows up to `limit` rows, page by page: to programs as they come, to people as one table. A search shows how far it is.
pub(crate) async fn rows(filter: JobFilter, limit: usize, app: &mut App) -> Result<(), Failure> {
    let (mut table, mut shown, mut cursor) = (Vec::<JobSummary>::new(), 0, None);
    let total = if filter.contains.is_some() { operation::total(&filter, app).await? } else { 0 };
    let bar = bar(total).with_prefix("jobs looked at ");
    loop {
        let wanted = (limit - shown).min(Limits::PAGE_ROWS as usize) as u32;
        let page = app.engine().await?.jobs(filter.clone(), cursor, wanted).await?;
        shown += page.jobs.len();
        cursor = page.cursor;
        bar.inc(page.looked_at);
        if app.json {
            page.jobs.iter().try_for_each(|job| app.out.json(job))?;
        } else {
            table.extend(page.jobs);
        }
        if cursor.is_none() || shown >= limit {
            break;
        }
    }
    bar.finish_and_clear();
    if !app.json {
        let shown = render::job::list(&table, app.now_ms());
        app.out.text(&shown)?;
    }
    if cursor.is_some() {
        app.out.flush()?;
        note(&format!("{shown} are shown, and there may be more: --limit"));
    }
    Ok(())
}

async fn wait(args: &WaitArgs, app: &mut App) -> Result<(), Failure> {
    let mut all_completed = true;
    let watch = Stopwatch::start();
    for job in args.jobs.refs("job wait")? {
        let ended_job = wait_for(&job, args.timeout, watch, app).await?;
        match ended(&ended_job, app) {
            Err(Failure::Exit(NOT_COMPLETED)) => all_completed = false,
            answer => answer?,
        }
        let shown = app.out.flush();
        if !all_completed && shown.is_err() {
            return Err(Failure::exit(NOT_COMPLETED, shown));
        }
        shown?;
    }
    if all_completed { Ok(()) } else { Err(Failure::Exit(NOT_COMPLETED)) }
}

async fn wait_for(job: &JobRef, timeout: Option<u64>, watch: Stopwatch, app: &App) -> Result<Job, Failure> {
    let engine = app.engine().await?;
    loop {
        let passed = watch.elapsed().as_millis() as u64;
        let left = timeout.map_or(Limits::WAIT_MS, |timeout| timeout.saturating_sub(passed));
        match engine.wait(job.clone(), left.min(Limits::WAIT_MS)).await {
            // An engine waits for at most an hour per call.
            Err(error) if error.word == Word::Timeout && left >= Limits::WAIT_MS => {}
            Err(error) if error.word == Word::Timeout => {
                let whole = duration::show_ms(timeout.unwrap_or_default());
                return Err(Error { message: format!("job {job} has not ended within {whole}"), ..error }.into());
            }
            answer => return Ok(answer?),
        }
    }
}

/// Shows how a job ended; one that did not complete ends the command with its own exit code.
pub(crate) fn ended(job: &Job, app: &mut App) -> Result<(), Failure> {
    let shown = answer(job, app, || render::job::ending(job));
    if job.summary.state == JobState::Completed { shown } else { Err(Failure::exit(NOT_COMPLETED, shown)) }
}

#[derive(Serialize)]
struct Changed {
    number: JobNumber,
    state: JobState,
    verb: &'static str,
}

/// Carries out one verb on each job; a job that refuses it is reported, and the others are done all the same.
async fn verb(jobs: &Jobs, verb: JobVerb, administrative: &Administrative, app: &mut App) -> Result<(), Failure> {
    let word = verb.as_str();
    let refs = jobs.refs(&format!("job {word}"))?;
    let commands: Vec<_> = refs.into_iter().map(|job| Command::Job { job, verb: verb.clone() }).collect();
    let one = commands.len() == 1;
    let answers = app.engine().await?.execute(&administrative.context(), commands).await?;
    let (mut failures, mut shown) = (Vec::new(), Ok(()));
    for answer in answers {
        match answer {
            Ok(Reply::Changed { number, state }) => {
                let changed = Changed { number, state, verb: word };
                shown = shown.and_then(|()| app.answer(&changed, || render::job::changed(number, word, state)));
            }
            Ok(_) => failures.push(Error::new(Word::Err, "the engine's reply does not belong to the command")),
            Err(error) => failures.push(error),
        }
    }
    app.each_or_said(shown, failures, one, "every job not named here was done; look at one: longshore job show JOB")
}
