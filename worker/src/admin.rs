//! What the daemon tells those who watch it: the worker's figures under their names.
//!
//! Also before there is a worker: the daemon looks for its engine first. Nothing is asked of the engine.

use std::sync::OnceLock;

use metrics::{Page, Program};
use program::admin::Watched;
use queue_core::model::WorkerState;

use crate::{AttemptEnd, WorkerHandle};

/// The worker, once there is one.
#[derive(Default)]
pub(crate) struct Told {
    worker: OnceLock<WorkerHandle>,
}

impl Told {
    /// The worker is there.
    pub(crate) fn meet(&self, worker: WorkerHandle) {
        self.worker.get_or_init(|| worker);
    }
}

impl Watched for Told {
    const PROGRAM: Program = Program::Worker;

    fn hindrance(&self) -> Option<&'static str> {
        let figures = self.worker.get().map(WorkerHandle::figures);
        match figures {
            Some(figures) if figures.state == WorkerState::Stopping => Some("stopping"),
            Some(figures) if figures.connected => None,
            _ => Some("connecting"),
        }
    }

    async fn tell(&self, page: &mut Page) {
        let figures = self.worker.get().map(WorkerHandle::figures);
        let connected = figures.as_ref().is_some_and(|figures| figures.connected);
        page.put("longshore_worker_connected", &[], connected.into());
        let Some(figures) = figures else { return };
        page.put("longshore_worker_reconnects_total", &[], figures.reconnects);
        for state in WorkerState::ALL.iter().filter(|state| **state != WorkerState::Gone) {
            page.put("longshore_worker_state", &[state.as_str()], (*state == figures.state).into());
        }
        for (end, count) in AttemptEnd::ALL.iter().zip(figures.ended) {
            page.put("longshore_worker_attempts_total", &[end.as_str()], count);
        }
        page.histogram("longshore_worker_run_seconds", &[], &figures.run_ms, 1_000);
        page.histogram("longshore_worker_idle_seconds", &[], &figures.idle_ms, 1_000);
        page.put("longshore_worker_leases", &[], figures.leases as u64);
        page.put("longshore_worker_concurrency", &[], figures.concurrency.into());
    }
}
