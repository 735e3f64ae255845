//! `/live?topics=…`: the one stream of a page.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::StreamExt;
use queue_core::model::Error;

use crate::access::Key;
use crate::app::App;
use crate::figures::Viewer;
use crate::live::{self, Topic};
use crate::visit::{Shown, Visit};

/// Most topics of one page.
const TOPICS: usize = 8;

pub(crate) async fn stream(visit: &Visit) -> Result<Shown, Error> {
    let given = visit.query.get("topics").unwrap_or_default();
    let allowed = format!("1 to {TOPICS} of {}, with commas between them", Topic::FORMS);
    let refuse = || Error::bad_arg("topics", given, &allowed);
    let topics: Vec<_> = given.split(',').map(Topic::parse).collect::<Option<_>>().ok_or_else(refuse)?;
    if topics.len() > TOPICS {
        return Err(refuse());
    }
    let last = visit.headers.get("last-event-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let updates = live::watch(&visit.app, visit.access.role, &topics, last);
    let viewer = Viewer::new(&visit.app);
    let events = updates.map(move |update| {
        viewer.sent();
        Ok::<_, Infallible>(Event::default().id(update.id).data(update.html))
    });
    let (app, session) = (Arc::clone(&visit.app), visit.access.session);
    let over = async move {
        tokio::select! {
            () = app.stop.cancelled() => {}
            () = over(&app, session) => {}
        }
    };
    let events = events.take_until(over);
    Ok(Shown::Other(Sse::new(events).keep_alive(KeepAlive::default()).into_response()))
}

/// Returns once whoever watches is not logged in any more; never where nobody needs to be.
async fn over(app: &App, session: Option<Key>) {
    match session {
        Some(key) => app.gate.ended(&key, || app.steady_ms()).await,
        None => std::future::pending().await,
    }
}
