//! `operation`: the bulk operations, which go on at the server until they end; and how a command waits for one.

use std::time::Duration;

use clap::{Args, Subcommand};
use queue_core::engine::EngineExt;
use queue_core::model::{
    BulkVerb, Context, Error, JobFilter, JobState, OperationNumber, OperationState, OperationView,
};

use super::bulk::bar;
use crate::app::App;
use crate::cli::Administrative;
use crate::clock;
use crate::failure::{Failure, hint};
use crate::parse;
use crate::render;

/// Look at bulk operations, end one
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  longshore operation list")]
pub(crate) enum OperationCommand {
    List(ListArgs),
    Show(ShowArgs),
    Cancel(CancelArgs),
}

/// List the running and the last ended bulk operations
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore operation list")]
pub(crate) struct ListArgs {}

/// Show a bulk operation
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore operation show 7")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    operation: Operation,
}

/// End a bulk operation where it stands; what it did stays done
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  longshore operation cancel 7")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    operation: Operation,
    #[command(flatten)]
    administrative: Administrative,
}

#[derive(Args, Debug)]
struct Operation {
    /// Its number
    #[arg(value_name = "OPERATION", value_parser = |text: &str| parse::integer("OPERATION", text, 1, u64::MAX))]
    number: u64,
}

/// How often a running operation is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Carries out one command of the family.
pub(crate) async fn run(command: OperationCommand, app: &mut App) -> Result<(), Failure> {
    match command {
        OperationCommand::List(ListArgs {}) => {
            let operations = app.engine().await?.operations().await?;
            app.rows(&operations, || render::operation::list(&operations, clock::wall_ms()))
        }
        OperationCommand::Show(args) => {
            let operation = app.engine().await?.operation(OperationNumber(args.operation.number)).await?;
            app.answer(&operation, || render::operation::line(&operation))
        }
        OperationCommand::Cancel(args) => {
            let number = OperationNumber(args.operation.number);
            let operation = app.engine().await?.cancel_operation(&args.administrative.context(), number).await?;
            app.answer(&operation, || render::operation::line(&operation))
        }
    }
}

/// Starts a bulk operation and, unless told not to, shows its progress until it has ended.
pub(crate) async fn start(
    verb: BulkVerb,
    filter: JobFilter,
    context: &Context,
    no_wait: bool,
    app: &mut App,
) -> Result<(), Failure> {
    let total = total(&filter, app).await?;
    let mut operation = app.engine().await?.start_operation(context, verb, filter).await?;
    if !no_wait {
        operation = finished(operation, total, app).await?;
    }
    app.answer(&operation, || render::operation::line(&operation))
}

/// How many jobs an operation or a search will look at, at most: those of its states in its queues.
pub(super) async fn total(filter: &JobFilter, app: &App) -> Result<u64, Failure> {
    let counts = match &filter.queue {
        Some(queue) => app.engine().await?.queue(queue).await?.counts,
        None => app.engine().await?.stats().await?.counts,
    };
    let states = if filter.states.is_empty() { JobState::ALL } else { &filter.states };
    Ok(states.iter().map(|&state| counts.of(state)).sum())
}

/// What is asked after has been started, whatever became of the question: doing it again would do it twice.
fn goes_on(number: OperationNumber, error: Error) -> Failure {
    let hint = format!("it was started and goes on by itself: longshore operation show {number}\n{}", hint(error.word));
    Failure::new(format!("operation {number}: {}", error.message), hint, error.word.exit_code())
}

async fn finished(mut operation: OperationView, total: u64, app: &App) -> Result<OperationView, Failure> {
    let bar = bar(total).with_prefix(format!("operation {} ", operation.operation));
    while operation.state == OperationState::Running {
        bar.set_position(operation.looked_at.min(total));
        tokio::time::sleep(PAUSE).await;
        let number = operation.operation;
        operation = app.engine().await?.operation(number).await.map_err(|error| goes_on(number, error))?;
    }
    bar.finish_and_clear();
    Ok(operation)
}

#[cfg(test)]
mod tests {
    use queue_core::model::{Error, OperationNumber, Word};

    use super::{Failure, goes_on};

    #[test]
    fn an_operation_that_cannot_be_asked_after_is_said_to_go_on() {
        let failure = goes_on(OperationNumber(7), Error::new(Word::Unreachable, "cannot reach it"));
        let Failure::Said { message, hint, exit: 4 } = failure else { panic!("{failure:?}") };
        assert_eq!(message, "operation 7: cannot reach it");
        assert!(hint.starts_with("it was started and goes on by itself: longshore operation show 7\n"), "{hint}");
    }
}
