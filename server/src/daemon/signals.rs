//! Signals: SIGTERM and SIGINT stop the server, a second one at once; SIGHUP reads the file again.
//!
//! On a thread of their own, so that they are obeyed however busy the server's thread is.

use std::path::PathBuf;
use std::process;

use queue_core::model::{Error, fragment};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{file, wrong};
use crate::config::Queues;

/// Obeys signals from now on, until the process ends.
pub(super) fn obey(stop: CancellationToken, path: Option<PathBuf>, queues: watch::Sender<Queues>) -> Result<(), Error> {
    let failed = |error: std::io::Error| wrong(format!("cannot listen for signals: {}", fragment(&error)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let listen = |kind| {
        let _inside = runtime.enter();
        signal(kind).map_err(failed)
    };
    let signals = [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?];
    let obeying = move || runtime.block_on(run(signals, stop, path, queues));
    std::thread::Builder::new().name("signals".to_owned()).spawn(obeying).map_err(failed)?;
    Ok(())
}

async fn run(signals: [Signal; 3], stop: CancellationToken, path: Option<PathBuf>, queues: watch::Sender<Queues>) {
    let [mut terminate, mut interrupt, mut hangup] = signals;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {
                reload(path.as_deref(), &queues);
                continue;
            }
        }
        if stop.is_cancelled() {
            tracing::warn!("stopped at once by a second signal");
            process::exit(1);
        }
        tracing::info!("stopping");
        stop.cancel();
    }
}

/// Applies the settings of queues; everything else in the file needs a restart.
fn reload(path: Option<&std::path::Path>, queues: &watch::Sender<Queues>) {
    let Some(path) = path else {
        tracing::warn!("SIGHUP: there is no --config file to read");
        return;
    };
    match file::load(path) {
        Ok(read) => {
            tracing::info!(file = %path.display(), "file read again; settings of queues are applied, others at the next start");
            queues.send_replace(read.queues);
        }
        Err(error) => tracing::error!(error = %error.message, "file not read again; the settings from before hold"),
    }
}
