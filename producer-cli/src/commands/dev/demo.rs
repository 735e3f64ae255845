//! What `dev` shows in a new directory: four real jobs, and the handlers that run them.

use std::sync::Arc;
use std::time::Duration;

use queue_core::engine::Engine;
use queue_core::model::{Backoff, Error, JobNumber};
use queue_core::{JobHandle, Queue};
use serde_json::{Value, json};
use worker::{Context, HandlerError, Worker, WorkerBuilder};

use super::show::Line;

/// The queue of the demonstration.
pub(crate) const QUEUE: &str = "demo";
/// How long the delayed job waits.
const DELAY: Duration = Duration::from_secs(5);

/// A worker with the handlers of the demonstration.
pub(crate) fn worker(engine: &Arc<dyn Engine>) -> WorkerBuilder {
    Worker::builder(engine)
        .queue(QUEUE, 1)
        .handler("hello", async |payload: Value, _: Context| {
            let name = payload.get("name").and_then(Value::as_str).unwrap_or("world");
            Ok(json!({ "greeting": format!("hello, {name}") }))
        })
        .handler("flaky", async |_: Value, context: Context| match context.attempt() {
            1 | 2 => Err(HandlerError::failed("the other side hung up")),
            attempt => Ok(json!({ "worked_at_attempt": attempt })),
        })
        .handler("broken", async |_: Value, _: Context| {
            Err::<(), _>(HandlerError::reject("this order can never be right"))
        })
}

/// Enqueues the four jobs and answers their numbers, with a line for each.
pub(crate) async fn enqueue(engine: &Arc<dyn Engine>) -> Result<(Vec<JobNumber>, Vec<Line>), Error> {
    let queue = Queue::new(engine, QUEUE);
    let hello = queue.add("hello", &json!({ "name": "world" })).await?;
    let later = queue.add("hello", &json!({ "name": "later" })).delay(DELAY).await?;
    let flaky = queue.add("flaky", &json!({})).attempts(5).backoff(Backoff::fixed(1_000)).await?;
    let broken = queue.add("broken", &json!({ "order": 42 })).await?;
    let told = [
        (&hello, "hello", "succeeds"),
        (&later, "hello", "waits 5 s first"),
        (&flaky, "flaky", "fails twice, then succeeds"),
        (&broken, "broken", "is dead at once"),
    ];
    let line = |(job, name, text): (&JobHandle, &str, &str)| Line::enqueued(job.number(), QUEUE, name, text);
    Ok((told.iter().map(|(job, _, _)| job.number()).collect(), told.map(line).into()))
}
