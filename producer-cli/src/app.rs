//! What every command has at hand: the engine, the output, and how to answer.

use std::sync::Arc;

use queue_core::EngineUrl;
use queue_core::engine::Engine;
use queue_core::model::{Error, JobRef, Word};
use serde::Serialize;
use tokio::sync::OnceCell;

use crate::cli::Common;
use crate::clock;
use crate::failure::{Failure, USAGE, hint, say};
use crate::out::Out;

/// An engine, opened when it is first needed, and a place to answer to.
///
/// So a wrong command line is refused as such, whether or not a server is there.
pub(crate) struct App {
    url: EngineUrl,
    engine: OnceCell<Arc<dyn Engine>>,
    /// Where the answer goes.
    pub(crate) out: Out,
    /// Whether programs read it.
    pub(crate) json: bool,
    /// The moment that is looked at, where it is not now: wall milliseconds.
    past_ms: Option<u64>,
}

impl App {
    /// What the command line says of engine and answer.
    pub(crate) fn new(common: &Common) -> Self {
        Self {
            url: common.engine.clone(),
            engine: OnceCell::new(),
            out: Out::stdout(),
            json: common.json,
            past_ms: None,
        }
    }

    /// From now on this engine is the one, as of that moment.
    pub(crate) fn look_at(&mut self, engine: Arc<dyn Engine>, at_ms: u64) {
        self.engine = OnceCell::new_with(Some(engine));
        self.past_ms = Some(at_ms);
    }

    /// What ages are told from: wall milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.past_ms.unwrap_or_else(clock::wall_ms)
    }

    /// Where the jobs are.
    pub(crate) async fn engine(&self) -> Result<&Arc<dyn Engine>, Failure> {
        self.engine.get_or_try_init(|| self.url.open()).await.map_err(unopened)
    }

    /// Answers one value: as a line of JSON to programs, as `text` to people.
    pub(crate) fn answer(&mut self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            self.out.json(value)?;
        } else {
            self.out.text(&text())?;
        }
        Ok(())
    }

    /// Answers a list: as a line of JSON for each row to programs, as `text` to people.
    pub(crate) fn rows<T: Serialize>(&mut self, rows: &[T], text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            rows.iter().try_for_each(|row| self.out.json(row))?;
        } else {
            self.out.text(&text())?;
        }
        Ok(())
    }

    /// The end of a command on several things, each by itself: what was refused is told also where nobody reads what was
    /// done. `others` is what to do next about those that are not named.
    pub(crate) fn each_or_said(
        &mut self,
        shown: Result<(), Failure>,
        mut failures: Vec<Error>,
        one: bool,
        others: &str,
    ) -> Result<(), Failure> {
        let shown = shown.and_then(|()| Ok(self.out.flush()?));
        let Some(last) = failures.pop() else { return shown };
        for failure in failures {
            say(&failure.message, "");
        }
        // What a flag made wrong is the command line's fault, as everywhere.
        let exit = if last.word == Word::BadArg { USAGE } else { last.word.exit_code() };
        Err(Failure::new(last.message, if one { hint(last.word) } else { others }, exit))
    }

    /// Shows what was written, and gives the store free.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        let shown = self.out.flush();
        if let Some(engine) = self.engine.get() {
            engine.close().await?;
        }
        Ok(shown?)
    }
}

/// A directory that could not be opened is no job's state: there is another thing to do about it.
fn unopened(error: Error) -> Failure {
    match error.word {
        Word::State | Word::Unknown => {
            let hint = "nothing was done; another engine: --engine or LONGSHORE_ENGINE";
            Failure::new(error.message, hint, error.word.exit_code())
        }
        _ => error.into(),
    }
}

/// Reads job references as typed; a wrong one is a wrong command line.
pub(crate) fn job_refs(texts: &[String], queue: Option<&str>, command: &str) -> Result<Vec<JobRef>, Failure> {
    let refs = texts.iter().map(|text| JobRef::parse(text, queue));
    refs.collect::<Result<_, _>>().map_err(|error| Failure::usage(error, command))
}
