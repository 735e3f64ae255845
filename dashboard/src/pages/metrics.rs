//! `/metrics`: what the dashboard tells Prometheus of itself, for whoever may look.
//!
//! Nothing is asked of the engine: what that has to say is the server's own `/metrics`.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use queue_core::model::Error;

use crate::visit::{Shown, Visit};

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let page = visit.app.figures.page(visit.app.live.topics());
    Ok(Shown::Other(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], page.text()).into_response()))
}
