//! The bulk work beside which others are measured, as users do it: by our client, over one connection, to its end.
//!
//! Every function answers once the store is in the state that its name says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{BulkVerb, Context, JobFilter, JobState, OperationState, QueueCounts};

/// Where the million is.
pub(super) const QUEUE: &str = "emails";
/// How often a state is looked at that comes by itself.
const LOOK: Duration = Duration::from_millis(20);

async fn counts(engine: &Arc<dyn Engine>) -> Result<QueueCounts> {
    Ok(engine.queue(QUEUE).await?.counts)
}

/// Runs a bulk operation over all jobs of one state.
pub(super) async fn operate(engine: &Arc<dyn Engine>, verb: BulkVerb, state: JobState) -> Result<()> {
    let filter = JobFilter { queue: Some(QUEUE.into()), states: vec![state], ..JobFilter::default() };
    let jobs = counts(engine).await?.of(state);
    let mut view = engine.start_operation(&Context::default(), verb, filter).await?;
    while view.state == OperationState::Running {
        tokio::time::sleep(LOOK).await;
        view = engine.operation(view.operation).await?;
    }
    ensure!(view.changed == jobs, "the operation changed {} of {jobs}", view.changed);
    Ok(())
}

/// Searches every waiting job's payload for what none has, again and again, for at least `time`. Answers jobs looked at.
pub(super) async fn search(engine: &Arc<dyn Engine>, time: Duration) -> Result<u64> {
    let (started, mut looked_at) = (crate::clock::now(), 0);
    let filter = JobFilter {
        queue: Some(QUEUE.into()),
        states: vec![JobState::Waiting],
        contains: Some("nobody@example.com".into()),
        ..JobFilter::default()
    };
    loop {
        let mut cursor = None;
        loop {
            let page = engine.jobs(filter.clone(), cursor, 1_000).await?;
            ensure!(page.jobs.is_empty(), "nobody has that address");
            looked_at += page.looked_at;
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        if started.elapsed() >= time {
            return Ok(looked_at);
        }
    }
}

/// Waits until no job is delayed any more.
pub(super) async fn fall_due(engine: &Arc<dyn Engine>) -> Result<()> {
    while counts(engine).await?.delayed > 0 {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use queue_core::connect;
    use queue_core::model::{BulkVerb, JobState};

    use super::{QUEUE, counts, fall_due, operate, search};
    use crate::jobs::{drain, fill, payload, reject};

    #[tokio::test]
    async fn each_piece_of_work_leaves_the_store_as_it_says() {
        let engine = connect("memory:").await.expect("memory is there");
        let check = async |state: JobState| assert_eq!(counts(&engine).await.expect("counted").of(state), 2_500);
        fill(&engine, QUEUE, 2_500, None).await.expect("filled");
        check(JobState::Waiting).await;
        assert_eq!(search(&engine, Duration::ZERO).await.expect("searched"), 2_500);
        reject(&engine, QUEUE, |_| "status 1".to_owned()).await.expect("rejected");
        check(JobState::Dead).await;
        operate(&engine, BulkVerb::Retry, JobState::Dead).await.expect("redriven");
        check(JobState::Waiting).await;
        operate(&engine, BulkVerb::Remove, JobState::Waiting).await.expect("removed");
        fill(&engine, QUEUE, 2_500, Some(crate::clock::time_of_day() + Duration::from_millis(300)))
            .await
            .expect("filled");
        fall_due(&engine).await.expect("due");
        check(JobState::Waiting).await;
        drain(&engine, QUEUE).await.expect("drained");
        assert_eq!(counts(&Arc::clone(&engine)).await.expect("counted").waiting, 0);
        assert_eq!(payload().len(), 190);
    }
}
