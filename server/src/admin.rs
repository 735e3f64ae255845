//! The admin listener: `/healthz` (the process is up), `/readyz` (it serves) and `/metrics`, over HTTP/1.1.
//!
//! On a thread of its own, so that whoever asks gets an answer however busy the server's thread is.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics::Page;
use queue_core::process::resident_bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::shared::Health;

fn router(health: Arc<Health>, started: Instant) -> Router {
    let told = Arc::clone(&health);
    let metrics = move || {
        let health = Arc::clone(&told);
        async move { ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], page(&health, started).await.text()) }
    };
    let ready = move || {
        let hindrance = health.hindrance();
        async move {
            match hindrance {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            }
        }
    };
    Router::new().route("/healthz", get(async || "up\n")).route("/readyz", get(ready)).route("/metrics", get(metrics))
}

/// Everything there is to tell right now; without an engine what is known without one.
async fn page(health: &Health, started: Instant) -> Page {
    let mut page = Page::new();
    page.put("longshore_build_info", &[env!("CARGO_PKG_VERSION")], 1);
    page.put("longshore_ready", &[], u64::from(health.hindrance().is_none()));
    page.put("longshore_uptime_seconds", &[], started.elapsed().as_secs());
    let counters = &health.counters;
    page.put("longshore_connections", &[], counters.connected.get());
    page.put("longshore_connections_waiting", &[], counters.waiting.get());
    page.put("longshore_connections_accepted_total", &[], counters.accepted.get());
    page.put("longshore_connections_rejected_total", &[], counters.rejected.get());
    page.put("longshore_requests_total", &[], counters.requests.get());
    if let Some(bytes) = resident_bytes() {
        page.put("process_resident_memory_bytes", &[], bytes);
    }
    if let Some(engine) = health.engine() {
        match engine.figures().await {
            Ok(figures) => page.engine(&figures),
            // It says so itself, in the log and by `/readyz`; the rest of the page is right all the same.
            Err(error) => tracing::debug!(%error, "no figures of the engine"),
        }
    }
    page
}

/// Answers until `ended`; returns the address it is bound to.
pub(crate) fn start(listener: TcpListener, health: Arc<Health>, ended: CancellationToken) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::select! {
                served = axum::serve(listener, router(health, Instant::now())).into_future() => served,
                () = ended.cancelled() => Ok(()),
            }
        });
        if let Err(error) = served {
            tracing::error!(%error, "the admin listener failed");
        }
    })?;
    Ok(address)
}
