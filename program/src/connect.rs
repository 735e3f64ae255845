//! The way to the engine at a program's start: tried until it answers, since the server may be started after its clients.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use queue_core::EngineUrl;
use queue_core::engine::Engine;
use queue_core::model::Error;

/// Where the engine is if nobody says.
pub const ENGINE: &str = "longshore://127.0.0.1:7600";

/// Opens the engine, trying until it answers, with these pauses; `None` if the program is to stop before that. Each reason why
/// it does not answer is said once.
///
/// # Errors
///
/// What trying again cannot mend, such as `NOAUTH`.
pub async fn connect(
    url: &EngineUrl,
    stopped: impl Future<Output = ()>,
    mut pause: impl FnMut() -> Duration,
) -> Result<Option<Arc<dyn Engine>>, Error> {
    let (mut stopped, mut said) = (pin!(stopped), None);
    loop {
        let opened = tokio::select! {
            opened = url.open() => opened,
            () = &mut stopped => return Ok(None),
        };
        let error = match opened {
            Ok(engine) => return Ok(Some(engine)),
            Err(error) if !error.word.retry_helps() => return Err(error),
            Err(error) => error,
        };
        if said != Some(error.word) {
            tracing::warn!(engine = %url, word = %error.word, "no connection yet; trying until there is one: {error}");
            said = Some(error.word);
        }
        tokio::select! {
            () = tokio::time::sleep(pause()) => {}
            () = &mut stopped => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_does_not_answer_is_tried_until_the_program_is_to_stop() {
        let url: EngineUrl = "longshore://127.0.0.1:1".parse().expect("an address");
        let (tried, tries) = tokio::sync::watch::channel(0);
        let pause = || {
            tried.send_modify(|tries| *tries += 1);
            Duration::from_millis(1)
        };
        let mut tries = tries.clone();
        let third = async { drop(tries.wait_for(|tries| *tries == 3).await) };
        assert!(connect(&url, third, pause).await.expect("no failure").is_none());
    }

    #[tokio::test]
    async fn what_trying_again_cannot_mend_is_told_at_once() {
        let url = EngineUrl::Log("/proc/none/here".into());
        let refused = connect(&url, std::future::pending(), || unreachable!("no second try")).await;
        assert!(refused.is_err());
    }
}
