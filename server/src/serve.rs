//! The server's life: bind, open the engine while clients are told LOADING, serve, finish what is open, close.
//!
//! Everything runs on the calling thread; the engine is opened on another, since recovery may take long.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use program::Listen;
use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{Command, Context, Error, Word, fragment};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Queues;
use crate::shared::{Connected, Health, Shared};
use crate::{Config, Limits, connection, descriptors};

/// Who asks for the settings of the file.
const CONFIG_ACTOR: &str = "config";
/// How long the first clients wait for the engine before they are told LOADING.
const OPEN_PAUSE: Duration = Duration::from_millis(100);
/// How long accepting pauses when the process is out of sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// For clients.
    pub clients: SocketAddr,
    /// For `/healthz`, `/readyz` and `/metrics`.
    pub admin: Option<SocketAddr>,
}

/// Runs a server on the calling thread until `stop` is cancelled; tells `bound` where it listens before it opens the engine.
///
/// What is being executed at that moment is finished, and the engine closed.
///
/// # Errors
///
/// `BADARG` for an address that is none or is not allowed without a password; `STATE` where an address is taken; what
/// opening the engine answers; `UNKNOWN` if the engine failed.
pub fn run<F>(config: &Config, open: F, stop: CancellationToken, bound: impl FnOnce(Bound)) -> Result<(), Error>
where
    F: Future<Output = Result<Arc<dyn Engine>, Error>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Word::Err, format!("cannot start: {}", fragment(&error))))?;
    let served = runtime.block_on(async {
        let listener = bind("listen", &config.listen, config).await?;
        let health = Arc::new(Health::default());
        let ended = CancellationToken::new();
        let _ended = ended.clone().drop_guard();
        let admin = match &config.admin {
            None => None,
            Some(address) => {
                let listener = bind("admin", address, config).await?;
                Some(program::admin::start(listener, Arc::clone(&health), ended)?)
            }
        };
        let clients = listener.local_addr().map_err(|error| Error::new(Word::Err, error.to_string()))?;
        bound(Bound { clients, admin });
        serve_with(listener, config, open, stop, health).await
    });
    // An engine that is still being opened is left to the end of the process.
    runtime.shutdown_background();
    served
}

/// As [`run`], over a listener that is bound already, and without the admin listener.
///
/// # Errors
///
/// As [`run`].
pub async fn serve<F>(listener: TcpListener, config: &Config, open: F, stop: CancellationToken) -> Result<(), Error>
where
    F: Future<Output = Result<Arc<dyn Engine>, Error>> + Send + 'static,
{
    serve_with(listener, config, open, stop, Arc::default()).await
}

async fn bind(flag: &str, address: &str, config: &Config) -> Result<TcpListener, Error> {
    let guarded = config.password.is_some() || config.insecure_no_password;
    let loopback = "a loopback address; beyond it give --password-file, or --insecure-no-password";
    Listen { flag, address, usual: "127.0.0.1:7600", loopback_only: (!guarded).then_some(loopback) }.bind().await
}

async fn serve_with<F>(
    listener: TcpListener,
    config: &Config,
    open: F,
    stop: CancellationToken,
    health: Arc<Health>,
) -> Result<(), Error>
where
    F: Future<Output = Result<Arc<dyn Engine>, Error>> + Send + 'static,
{
    let port = listener.local_addr().map_or(0, |address| address.port());
    // A token of its own, so that a failed engine stops this server and nothing else of the caller's.
    let connections_max = descriptors::room_for(config.limits.connections_max);
    let limits = Limits { connections_max, ..config.limits };
    let shared = Rc::new(Shared::new(config, limits, port, Arc::clone(&health), stop.child_token()));
    let tasks = TaskTracker::new();
    let local = LocalSet::new();
    let served = local
        .run_until(async {
            let served = accept(&listener, &shared, &tasks, config, open).await;
            drop(listener);
            health.set_stopping();
            shared.stop.cancel();
            tasks.close();
            if tokio::time::timeout(shared.limits.shutdown, tasks.wait()).await.is_err() {
                tracing::warn!(connections = tasks.len(), "closing although not everything was finished in time");
            }
            served
        })
        .await;
    if let Ok(engine) = shared.engine() {
        let closed = engine.close().await;
        if closed.is_ok() {
            tracing::info!("engine closed");
        }
        return served.and(shared.failure().cloned().map_or(Ok(()), Err)).and(closed);
    }
    served
}

/// Accepts clients until the server stops.
async fn accept<F>(
    listener: &TcpListener,
    shared: &Rc<Shared>,
    tasks: &TaskTracker,
    config: &Config,
    open: F,
) -> Result<(), Error>
where
    F: Future<Output = Result<Arc<dyn Engine>, Error>> + Send + 'static,
{
    let mut opening = Some(open_elsewhere(open));
    let mut queues = config.queues.clone();
    // An engine that opens at once is served from the first connection on; nobody has to be told LOADING.
    let hasty = tokio::time::sleep(OPEN_PAUSE);
    tokio::pin!(hasty);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return Ok(()),
            opened = async { opening.as_mut().expect("polled only while there is one").await }, if opening.is_some() => {
                opening = None;
                let engine = opened.map_err(|_| Error::new(Word::Err, "opening the engine failed"))??;
                if let Some(queues) = &mut queues {
                    let settings = queues.borrow_and_update().clone();
                    apply(&*engine, settings).await;
                }
                shared.open(engine);
                tracing::info!("ready");
            }
            changed = changed(&mut queues), if opening.is_none() => {
                match (changed, shared.engine()) {
                    (Some(settings), Ok(engine)) => apply(&**engine, settings).await,
                    _ => queues = None,
                }
            }
            () = &mut hasty, if opening.is_some() && !hasty.is_elapsed() => {}
            accepted = listener.accept(), if opening.is_none() || hasty.is_elapsed() => match accepted {
                Ok((stream, peer)) => admit(shared, tasks, stream, peer),
                Err(error) => {
                    // Out of descriptors, most likely: accepting at once again would only spin.
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

fn open_elsewhere<F>(open: F) -> JoinHandle<Result<Arc<dyn Engine>, Error>>
where
    F: Future<Output = Result<Arc<dyn Engine>, Error>> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(open))
}

/// The settings once they change; `None` if they never will again.
async fn changed(queues: &mut Option<tokio::sync::watch::Receiver<Queues>>) -> Option<Queues> {
    match queues {
        Some(queues) => queues.changed().await.ok().map(|()| queues.borrow_and_update().clone()),
        None => std::future::pending().await,
    }
}

async fn apply(engine: &dyn Engine, queues: Queues) {
    let context = Context { actor: CONFIG_ACTOR.to_owned(), ..Context::default() };
    let named = queues.len();
    match engine.one(&context, Command::ApplyConfig { queues }).await {
        Ok(_) => tracing::info!(queues = named, "settings of the configuration file applied"),
        Err(error) => tracing::error!(%error, "settings of the configuration file not applied"),
    }
}

fn admit(shared: &Rc<Shared>, tasks: &TaskTracker, stream: TcpStream, peer: SocketAddr) {
    // Counted here and not by its own task, which begins only after others may have been accepted.
    let Some(connected) = Connected::admit(shared) else {
        tracing::warn!(%peer, max = shared.limits.connections_max, "too many connections");
        // Best effort: a client that does not read loses nothing but the reason.
        let told = |mut stream: std::net::TcpStream| stream.write_all(b"-ERR max number of clients reached\r\n");
        let _ = stream.into_std().and_then(told);
        return;
    };
    tasks.spawn_local(connection::serve(connected, stream, peer));
}
