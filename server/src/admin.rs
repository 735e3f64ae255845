//! What the server tells those who watch it.
//!
//! Asked from the admin listener's thread: everything here is counted elsewhere, and nothing waits for the server's own.

use metrics::{Page, Program};
use program::admin::Watched;

use crate::shared::Health;

impl Watched for Health {
    const PROGRAM: Program = Program::Server;

    fn hindrance(&self) -> Option<&'static str> {
        self.keeps_from_serving()
    }

    /// Everything there is to tell right now; without an engine what is known without one.
    async fn tell(&self, page: &mut Page) {
        let counters = &self.counters;
        page.put("longshore_connections", &[], counters.connected.get());
        page.put("longshore_connections_waiting", &[], counters.waiting.get());
        page.put("longshore_connections_accepted_total", &[], counters.accepted.get());
        page.put("longshore_connections_rejected_total", &[], counters.rejected.get());
        page.put("longshore_requests_total", &[], counters.requests.get());
        let Some(engine) = self.engine() else { return };
        match engine.figures().await {
            Ok(figures) => page.engine(&figures),
            // It says so itself, in the log and by `/readyz`; the rest of the page is right all the same.
            Err(error) => tracing::debug!(%error, "no figures of the engine"),
        }
    }
}
