//! `stats`: the store's totals, and its workers.

use clap::Args;
use queue_core::engine::EngineExt;
use queue_core::model::{Stats, WorkerState, WorkerView};
use serde::Serialize;

use crate::app::App;
use crate::clock;
use crate::failure::Failure;
use crate::render;

/// Show the store's totals and its workers
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore stats
  longshore stats --json")]
pub(crate) struct StatsArgs {}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    stats: &'a Stats,
    workers: &'a [WorkerView],
}

/// Shows totals and workers.
pub(crate) async fn run(_args: &StatsArgs, app: &mut App) -> Result<(), Failure> {
    let stats = app.engine().await?.stats().await?;
    let mut workers = app.engine().await?.all_workers().await?;
    workers.retain(|view| view.state != WorkerState::Gone);
    let answer = Answer { stats: &stats, workers: &workers };
    app.answer(&answer, || render::stats::totals(&stats, &workers, clock::wall_ms()))
}
