//! The admin listener: `/healthz` (the process is up) and `/readyz` (it serves), over HTTP/1.1.
//!
//! On a thread of its own, so that whoever asks gets an answer however busy the server's thread is.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::shared::Health;

fn router(health: Arc<Health>) -> Router {
    let ready = move || {
        let hindrance = health.hindrance();
        async move {
            match hindrance {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            }
        }
    };
    Router::new().route("/healthz", get(async || "up\n")).route("/readyz", get(ready))
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
                served = axum::serve(listener, router(health)).into_future() => served,
                () = ended.cancelled() => Ok(()),
            }
        });
        if let Err(error) = served {
            tracing::error!(%error, "the admin listener failed");
        }
    })?;
    Ok(address)
}
