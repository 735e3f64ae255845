//! The admin listener of a program: `/healthz` (the process is up), `/readyz` (it serves) and `/metrics`, over HTTP/1.1.
//!
//! On a thread of its own, so that whoever asks gets an answer however busy the program's threads are.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics::{Page, Program};
use queue_core::model::{Error, Word, fragment};
use queue_core::process::resident_bytes;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What those who watch a program are told.
pub trait Watched: Send + Sync + 'static {
    /// Which program it is.
    const PROGRAM: Program;

    /// What keeps it from serving, if anything does.
    fn hindrance(&self) -> Option<&'static str>;

    /// Puts its own figures.
    fn tell(&self, page: &mut Page) -> impl Future<Output = ()> + Send;
}

/// A page with what every program tells of itself.
pub fn page_of(program: Program, started: Instant) -> Page {
    let mut page = Page::new(program);
    page.put("longshore_build_info", &[env!("CARGO_PKG_VERSION")], 1);
    page.put("longshore_uptime_seconds", &[], started.elapsed().as_secs());
    if let Some(bytes) = resident_bytes() {
        page.put("process_resident_memory_bytes", &[], bytes);
    }
    page
}

/// Answers until `ended`; returns the address that the listener is bound to.
///
/// # Errors
///
/// `ERR` where the system gives no thread, or none of what it needs.
pub fn start<W: Watched>(
    listener: TcpListener,
    watched: Arc<W>,
    ended: CancellationToken,
) -> Result<SocketAddr, Error> {
    let failed =
        |error: io::Error| Error::new(Word::Err, format!("cannot start the admin listener: {}", fragment(&error)));
    let address = listener.local_addr().map_err(failed)?;
    let listener = listener.into_std().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let serving = move || {
        let served = runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            tokio::select! {
                served = axum::serve(listener, router(&watched, Instant::now())).into_future() => served,
                () = ended.cancelled() => Ok(()),
            }
        });
        if let Err(error) = served {
            tracing::error!(%error, "the admin listener failed");
        }
    };
    std::thread::Builder::new().name("admin".to_owned()).spawn(serving).map_err(failed)?;
    Ok(address)
}

fn router<W: Watched>(watched: &Arc<W>, started: Instant) -> Router {
    let (asked, told) = (Arc::clone(watched), Arc::clone(watched));
    let ready = async move || match asked.hindrance() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    };
    let metrics = move || {
        let watched = Arc::clone(&told);
        async move {
            let mut page = page_of(W::PROGRAM, started);
            page.put("longshore_ready", &[], watched.hindrance().is_none().into());
            watched.tell(&mut page).await;
            ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], page.text())
        }
    };
    Router::new().route("/healthz", get(async || "up\n")).route("/readyz", get(ready)).route("/metrics", get(metrics))
}
