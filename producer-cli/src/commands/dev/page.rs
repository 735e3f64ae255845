//! The dashboard of `dev`: on the engine itself, without a connection in between.

use std::net::SocketAddr;
use std::sync::Arc;

use queue_core::engine::Engine;
use queue_core::model::{Error, Word};
use server::CancellationToken;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::show::Line;
use crate::failure::{Failure, USAGE};

/// The flag's word for no dashboard.
const NONE: &str = "none";

/// The dashboard in a task of its own.
pub(super) struct Dashboard {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

/// Starts it at `listen`, unless that says none.
///
/// It serves this machine alone, as `dev`'s server does: nobody logs in to either.
pub(super) async fn start(
    listen: &str,
    engine: &Arc<dyn Engine>,
    server: SocketAddr,
) -> Result<Option<Dashboard>, Failure> {
    if listen == NONE {
        return Ok(None);
    }
    let config = dashboard::Config { listen: listen.to_owned(), ..dashboard::Config::default() };
    let stop = CancellationToken::new();
    let (bound, address) = oneshot::channel();
    let (engine, stopped) = (Arc::clone(engine), stop.clone());
    let task = tokio::spawn(async move {
        // Whoever waits for the address has gone only if `dev` itself has.
        dashboard::serve(&config, engine, stopped, |address| _ = bound.send(address)).await
    });
    match address.await {
        Ok(address) => Ok(Some(Dashboard { address, stop, task })),
        Err(_) => Err(not_started(task.await.ok().and_then(Result::err), listen, server)),
    }
}

fn not_started(error: Option<Error>, listen: &str, server: SocketAddr) -> Failure {
    let Some(error) = error else {
        return Failure::new("the dashboard ended without a reason", "please report this as a fault of longshore", 1);
    };
    let another = "another address: longshore dev --dashboard HOST:PORT; without one: --dashboard none";
    // The dashboard names its own flag, which here is another's, and what dev has none of; what to do instead is said below.
    let message = error.message.split("; another address").next().unwrap_or_default();
    let (message, beyond) = message.split_once("; beyond it").map_or((message, false), |(message, _)| (message, true));
    let message = message.replacen("listen is", "dashboard is", 1);
    let hint = if beyond {
        let own = format!("longshore-dashboard --engine longshore://{server} --listen {listen}");
        format!("dev serves this machine alone: --dashboard none, and in another terminal\n{own} --password-file FILE")
    } else {
        another.to_owned()
    };
    Failure::new(message, hint, if error.word == Word::BadArg { USAGE } else { 1 })
}

impl Dashboard {
    /// Where it is.
    pub(super) fn line(&self) -> Line {
        Line::plain("dashboard", format!("the dashboard is at http://{}/", self.address))
    }

    /// Ends it; who watches is cut off.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // How it ended is of no use to anybody any more.
        let _ = self.task.await;
    }
}
