//! The handlers file of `dev`: read at the start, and again whenever it changes.
//!
//! A new file that is wrong changes nothing: what is wrong is told by line, and the handlers before stay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use worker::WorkerHandle;
use worker::config::Config;

use super::show::Line;
use crate::failure::Failure;

/// How often the file is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads the file for the start; and its bytes, to tell a change by.
pub(crate) fn load(path: &Path) -> Result<(Config, Option<Vec<u8>>), Failure> {
    // First the bytes: a change between the two reads is then taken over once more instead of being missed.
    let bytes = std::fs::read(path).ok();
    let config = Config::load(path).map_err(|error| {
        let faults = error.faults();
        let (first, others) = faults.split_first().expect("an error names at least one fault");
        let mut hint = others.to_vec();
        hint.push("nothing was started; a file to start from: longshore init".to_owned());
        Failure::new(first.clone(), hint.join("\n"), 1)
    })?;
    Ok((config, bytes))
}

/// Puts each change of the file in place, for as long as the worker runs; `last` are its bytes at the start.
pub(crate) async fn follow(
    path: PathBuf,
    started: Config,
    mut last: Option<Vec<u8>>,
    worker: WorkerHandle,
    tell: UnboundedSender<Line>,
) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let now = contents(&path).await;
        // An editor that writes a file anew takes it away for a moment.
        if now.is_some() && now != last {
            last = now;
            apply(&path, &started, &worker).into_iter().for_each(|line| drop(tell.send(line)));
        }
    }
}

async fn contents(path: &Path) -> Option<Vec<u8>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || std::fs::read(path).ok()).await.ok().flatten()
}

fn apply(path: &Path, started: &Config, worker: &WorkerHandle) -> Vec<Line> {
    let applied = Config::load(path).map_err(|error| error.faults().to_vec());
    let applied = applied.and_then(|config| {
        worker.apply(&config).map_err(|error| vec![format!("{}: {}", path.display(), error.message)])?;
        Ok(config)
    });
    match applied {
        Ok(config) => {
            let changed = (config.concurrency, config.grace) != (started.concurrency, started.grace);
            let later = if changed { "; concurrency and grace change at the next start" } else { "" };
            let text = format!("{}: taken over; it {}{later}", path.display(), summary(&config));
            vec![Line::plain("reloaded", text)]
        }
        Err(faults) => {
            let mut lines: Vec<Line> = faults.into_iter().map(|fault| Line::plain("not-reloaded", fault)).collect();
            let text = format!("{}: not taken over; the handlers before stay", path.display());
            lines.push(Line::plain("not-reloaded", text));
            lines
        }
    }
}

/// What a file says, in a few words.
pub(crate) fn summary(config: &Config) -> String {
    let names = |names: Vec<&str>| names.join(", ");
    let handlers = names(config.handlers().map(|(name, _)| name).collect());
    let queues = names(config.queues.iter().map(|(name, _)| name.as_str()).collect());
    format!("runs {handlers} from {queues}")
}
