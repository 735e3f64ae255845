//! The dashboard's figures for monitoring: what it was asked, what it answered, and what is live.
//!
//! Labels are bounded: a request stands under its route of the table, or under `none`, never under its path. Counters count
//! since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Page, Program};
use program::admin::page_of;
use queue_core::model::Histogram;
use tokio::time::Instant;

use crate::app::App;
use crate::routes::Route;

/// Ranges for microseconds until an answer begins.
const ANSWER_US: &[u64] =
    &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000];
/// What stands for the route where there is none, or where a request did not come that far.
const NO_ROUTE: &str = "none";

/// What becomes of a login.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Login {
    Accepted,
    Wrong,
    Limited,
}

impl Login {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Accepted, "accepted"), (Self::Wrong, "wrong"), (Self::Limited, "limited")];

    /// Of a login that is refused with this status.
    pub(crate) fn refused(status: StatusCode) -> Self {
        if status == StatusCode::TOO_MANY_REQUESTS { Self::Limited } else { Self::Wrong }
    }
}

/// What is counted.
pub(crate) struct Figures {
    started: Instant,
    answers: Mutex<BTreeMap<String, Answers>>,
    logins: [AtomicU64; Login::ALL.len()],
    viewers: AtomicU64,
    renderings: AtomicU64,
    updates: AtomicU64,
}

/// The answers of one route.
struct Answers {
    by_status: BTreeMap<u16, u64>,
    time_us: Histogram,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            answers: Mutex::default(),
            logins: Default::default(),
            viewers: AtomicU64::new(0),
            renderings: AtomicU64::new(0),
            updates: AtomicU64::new(0),
        }
    }
}

impl Figures {
    /// A request was answered; a stream when it began.
    pub(crate) fn answered(&self, route: Option<&Route>, status: StatusCode, took: Duration) {
        let name = route.map_or_else(|| NO_ROUTE.to_owned(), |route| format!("{} {}", route.method(), route.path()));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Answers { by_status: BTreeMap::new(), time_us: Histogram::new(ANSWER_US) };
        let answers = answers.entry(name).or_insert_with(fresh);
        *answers.by_status.entry(status.as_u16()).or_default() += 1;
        answers.time_us.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Somebody tried to log in.
    pub(crate) fn tried(&self, login: Login) {
        self.logins[login as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A region was rendered, for all who watch it.
    pub(crate) fn rendered(&self) {
        self.renderings.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it; `topics` are watched by somebody right now.
    pub(crate) fn page(&self, topics: usize) -> Page {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut page = page_of(Program::Dashboard, self.started);
        for (route, answers) in &*self.answers.lock().unwrap_or_else(PoisonError::into_inner) {
            for (status, count) in &answers.by_status {
                page.put("longshore_dashboard_requests_total", &[route, &status.to_string()], *count);
            }
            page.histogram("longshore_dashboard_request_seconds", &[route], &answers.time_us, 1_000_000);
        }
        for (login, word) in Login::ALL {
            page.put("longshore_dashboard_logins_total", &[word], read(&self.logins[login as usize]));
        }
        page.put("longshore_dashboard_viewers", &[], read(&self.viewers));
        page.put("longshore_dashboard_topics", &[], topics as u64);
        page.put("longshore_dashboard_renderings_total", &[], read(&self.renderings));
        page.put("longshore_dashboard_updates_total", &[], read(&self.updates));
        page
    }
}

/// A page that is kept up to date; counted until it is dropped.
pub(crate) struct Viewer(Arc<App>);

impl Viewer {
    pub(crate) fn new(app: &Arc<App>) -> Self {
        app.figures.viewers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(app))
    }

    /// It is sent an update.
    pub(crate) fn sent(&self) {
        self.0.figures.updates.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.figures.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}
