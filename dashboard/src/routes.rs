//! Every route and action: the one table that the router is built from, with the role that each needs.
//!
//! `longshore-dashboard routes` writes it as JSON, so that a test can ask for each of them to be used.

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use queue_core::model::Error;
use serde::{Serialize, Serializer};

use crate::access::Role;
use crate::pages::{
    assets, errors, events, job, job_actions, job_edit, job_forms, jobs, live, login, metrics, operations, overview,
    queue, queue_actions, queues, selected, series, theme, workers,
};
use crate::visit::{Shown, Visit};

/// What a handler comes to.
pub(crate) type Answer<'v> = Pin<Box<dyn Future<Output = Result<Shown, Error>> + Send + 'v>>;

/// One route or action.
#[derive(Clone, Copy, Serialize)]
pub struct Route {
    /// `GET` for what is shown, `POST` for what is done.
    #[serde(serialize_with = "as_text")]
    method: &'static Method,
    /// The path behind the base, with the named segments in braces.
    path: &'static str,
    /// The role that it needs.
    role: Role,
    #[serde(skip)]
    handler: for<'v> fn(&'v Visit) -> Answer<'v>,
}

fn as_text<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

impl Route {
    /// `GET` or `POST`.
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// The path behind the base, with the named segments in braces.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The role that it needs.
    pub fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn answer<'v>(&self, visit: &'v Visit) -> Answer<'v> {
        (self.handler)(visit)
    }
}

macro_rules! table {
    ($($method:ident $path:literal $role:ident $handler:path;)+) => {
        /// Every route and action.
        pub const ROUTES: &[Route] = &[$(Route {
            method: &Method::$method,
            path: $path,
            role: Role::$role,
            handler: |visit| Box::pin($handler(visit)),
        }),+];
    };
}

table! {
    GET "/" Viewer overview::page;
    GET "/jobs" Viewer jobs::page;
    GET "/jobs/selected" Operator selected::preview;
    POST "/jobs/selected" Operator selected::apply;
    GET "/jobs/{job}" Viewer job::page;
    GET "/jobs/{job}/payload" Viewer job::payload;
    GET "/jobs/{job}/result" Viewer job::result;
    POST "/jobs/{job}/retry" Operator job_actions::retry;
    POST "/jobs/{job}/promote" Operator job_actions::promote;
    GET "/jobs/{job}/reschedule" Operator job_forms::reschedule;
    POST "/jobs/{job}/reschedule" Operator job_actions::reschedule;
    GET "/jobs/{job}/edit" Operator job_edit::form;
    POST "/jobs/{job}/edit" Operator job_edit::save;
    GET "/jobs/{job}/cancel" Operator job_forms::cancel;
    POST "/jobs/{job}/cancel" Operator job_actions::cancel;
    GET "/jobs/{job}/duplicate" Operator job_forms::duplicate;
    POST "/jobs/{job}/duplicate" Operator job_actions::duplicate;
    GET "/jobs/{job}/remove" Admin job_forms::remove;
    POST "/jobs/{job}/remove" Admin job_actions::remove;
    GET "/dead" Viewer jobs::dead;
    GET "/errors" Viewer errors::page;
    GET "/errors/{fingerprint}" Viewer errors::one;
    GET "/queues" Viewer queues::page;
    GET "/queues/{queue}" Viewer queue::page;
    GET "/queues/{queue}/series" Viewer series::json;
    POST "/queues/{queue}/pause" Operator queue_actions::pause;
    POST "/queues/{queue}/resume" Operator queue_actions::resume;
    POST "/queues/{queue}/settings" Admin queue_actions::set;
    GET "/operations" Viewer operations::page;
    GET "/operations/new" Operator operations::preview;
    POST "/operations" Operator operations::start;
    GET "/operations/{operation}" Viewer operations::one;
    POST "/operations/{operation}/cancel" Operator operations::cancel;
    GET "/workers" Viewer workers::page;
    GET "/workers/{worker}" Viewer workers::one;
    POST "/workers/{worker}/quiet" Operator workers::quiet;
    POST "/workers/{worker}/resume" Operator workers::resume;
    GET "/workers/{worker}/stop" Operator workers::stop_form;
    POST "/workers/{worker}/stop" Operator workers::stop;
    GET "/events" Viewer events::page;
    GET "/live" Viewer live::stream;
    GET "/metrics" Viewer metrics::page;
    GET "/assets/{file}" Anyone assets::file;
    POST "/theme" Viewer theme::choose;
    GET "/login" Anyone login::page;
    POST "/login" Anyone login::log_in;
    POST "/logout" Viewer login::log_out;
}

/// The table as JSON, a line for each route.
pub fn as_json() -> String {
    let lines: Vec<_> =
        ROUTES.iter().map(|route| serde_json::to_string(route).expect("a route is plain data")).collect();
    format!("[\n  {}\n]\n", lines.join(",\n  "))
}
