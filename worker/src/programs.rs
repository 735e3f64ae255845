//! Programs as handlers: how a command handler stands in the worker, and a worker made from a handlers file.

use std::sync::Arc;

use async_trait::async_trait;
use queue_core::engine::Engine;
use queue_core::model::Error;

use crate::command::{CommandHandler, Ended};
use crate::config::Config;
use crate::{Context, Handler, HandlerError, HandlerResult, Handlers, Shutdown, Worker, WorkerBuilder, WorkerHandle};

#[async_trait]
impl Handler for CommandHandler {
    async fn run(&self, context: Context) -> HandlerResult {
        let log = |line: queue_core::model::LogLine| context.log_line(line.source, &line.text);
        match Self::run(self, &context.job, context.cancellation(), log).await {
            Ended::Settle(outcome) => HandlerError::of_outcome(outcome),
            // The worker knows why it stopped the program, and decides by that.
            Ended::Cancelled(last_words) => Err(HandlerError::stopped(last_words)),
        }
    }
}

impl Handlers {
    /// The programs of a handlers file.
    pub fn of(config: &Config) -> Self {
        let mut handlers = Self::new();
        config.handlers().for_each(|(name, handler)| handlers.insert(name, Arc::new(handler.clone())));
        handlers
    }
}

impl Worker {
    /// Sets up a worker as a handlers file says; what is set afterwards goes before the file.
    pub fn from_config(config: &Config, engine: &Arc<dyn Engine>) -> WorkerBuilder {
        Self::builder(engine)
            .queues(config.queues.iter().cloned())
            .handlers(Handlers::of(config))
            .concurrency(config.concurrency)
            .grace(config.grace)
    }
}

impl WorkerHandle {
    /// Puts a changed file's queues and handlers in place. Concurrency and grace stay until the next start.
    ///
    /// # Errors
    ///
    /// As [`WorkerHandle::reload_all`].
    pub fn apply(&self, config: &Config) -> Result<(), Error> {
        self.reload_all(config.queues.clone(), Handlers::of(config))
    }
}

/// Runs a worker as a handlers file says, until `shutdown` stops it.
///
/// # Errors
///
/// As [`WorkerBuilder::run`].
pub async fn run(config: &Config, engine: &Arc<dyn Engine>, shutdown: Shutdown) -> Result<(), Error> {
    Worker::from_config(config, engine).shutdown(shutdown).run().await
}
