//! Long work beside the engine: on a thread of its own, at the lowest priority, which never holds the engine's lock.

use std::thread::JoinHandle;

/// Does `work` in the background, then hands what came of it to `end`; `None` if it broke an invariant or got no thread.
pub(super) fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
    end: impl FnOnce(Option<T>) + Send + Clone + 'static,
) {
    let quiet = move || {
        // The lowest priority there is for this thread; without it the work is as right, only noticed more.
        let _ = rustix::process::setpriority_process(None, 19);
        work()
    };
    // Two threads: one that has as little of the processor as the others leave must never hold the engine's lock.
    let told = end.clone();
    let run = move || {
        let outcome = match thread(name, quiet).map(JoinHandle::join) {
            Some(Ok(outcome)) => Some(outcome),
            Some(Err(_)) => {
                tracing::error!("an invariant broke during a {name}: report it");
                None
            }
            None => None,
        };
        told(outcome);
    };
    if thread(&format!("{name}-end"), run).is_none() {
        end(None);
    }
}

fn thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
    spawned.inspect_err(|error| tracing::error!("no thread for a {name}: {error}")).ok()
}
