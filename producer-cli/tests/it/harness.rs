//! Runs the built program and writes down everything it says, with what differs from run to run replaced.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{LeaseOrder, LeaseRef, LeasedJob, LogLine, LogSource, Outcome};
use tempfile::TempDir;

/// A directory with a store in it, and the program run over it.
pub(crate) struct Store {
    directory: TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a new directory") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file beside the store.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a new file");
        path
    }

    /// The program over the store, in the store's directory.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(words).current_dir(self.path()).env_clear();
        command.env("LONGSHORE_ENGINE", "log:store").env("LONGSHORE_ACTOR", "tester");
        command
    }

    /// Runs one command, without standard input.
    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.output_with(words, "")
    }

    /// Runs one command with this on its standard input.
    pub(crate) fn output_with(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        // A program that is refused before it reads closes the pipe.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("the program ends")
    }

    /// Runs commands one after the other and writes down what each says.
    pub(crate) fn session(&self, lines: &[&str]) -> String {
        let mut text = String::new();
        for line in lines {
            let words = words(line);
            let output = self.output(&words.iter().map(String::as_str).collect::<Vec<_>>());
            writeln!(text, "$ longshore {line}").expect("a string");
            text.push_str(&said(&output));
        }
        text
    }

    /// Opens the store in this process, does something with it, and closes it again.
    pub(crate) fn with_engine<T>(&self, act: impl AsyncFnOnce(&Arc<dyn Engine>) -> T) -> T {
        let url = format!("log:{}", self.path().join("store").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let engine = queue_core::connect(&url).await.expect("the store opens");
            let answer = act(&engine).await;
            engine.close().await.expect("the store closes");
            answer
        })
    }

    /// Leases the next job of a queue and settles it.
    pub(crate) fn settle(&self, queue: &str, outcome: Outcome) {
        self.with_engine(async |engine| {
            let leased = lease(engine, queue).await;
            let lease = LeaseRef { number: leased.number, token: leased.token };
            let line = |source, text: &str| LogLine { source, text: text.to_owned() };
            let lines = vec![line(LogSource::Out, "working"), line(LogSource::Err, "a \x1b[31mwarning")];
            engine.log(lease, lines).await.expect("a live lease");
            engine.settle(lease, outcome).await.expect("a live lease");
        });
    }
}

/// Leases one job.
pub(crate) async fn lease(engine: &Arc<dyn Engine>, queue: &str) -> LeasedJob {
    let order = LeaseOrder { queues: vec![queue.to_owned()], limit: 1, worker: "w1".to_owned(), lease_ms: None };
    engine.lease_now(order).await.expect("a good order").pop().expect("a job waits")
}

/// The job failed for good or for now.
pub(crate) fn failure(retryable: bool) -> Outcome {
    Outcome::Fail { kind: "exit".to_owned(), error: "mail server 7 said no".to_owned(), retryable }
}

/// Splits a line as a shell would: blanks, and single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("at least one word").push(c),
        }
    }
    words
}

/// Everything a command said, and its exit code where that is not 0.
pub(crate) fn said(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        writeln!(text, "[err] {line}").expect("a string");
    }
    match output.status.code() {
        Some(0) => {}
        Some(code) => writeln!(text, "[exit {code}]").expect("a string"),
        None => writeln!(text, "[killed]").expect("a string"),
    }
    text
}

/// Compares with the kept snapshot of this name. Times, ages and hashes are replaced; and runs of blanks before them,
/// since the width of a column follows its contents.
pub(crate) fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, shown) in [
        (r" {3,}", "  "),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
        (r"(?m)^\d\d:\d\d:\d\d\.\d{3} ", "[clock] "),
        (r#""cursor":"\d+""#, r#""cursor":"[cursor]""#),
        (r#"at_ms":\d+"#, r#"at_ms":[ms]"#),
        (r#""(expires_at|remember_until|removal_from|wall|epoch)":[1-9]\d*"#, r#""$1":[steady]"#),
        (r#""steady":\d+"#, r#""steady":[steady]"#),
        (r#""delayed":\d{10,}"#, r#""delayed":[steady]"#),
        (r#""token":"\d+-"#, r#""token":"[epoch]-"#),
        (r#"(waiting|in)_ms":\d+"#, r#"${1}_ms":[ms]"#),
        // Statistics are in a snapshot, and how much they take follows from how long things took.
        (r#"("records":\d+,"bytes":)\d+"#, "${1}[bytes]"),
        (r"a snapshot of \d+ bytes", "a snapshot of [bytes] bytes"),
        // What happened over time: how long it took, and where in a line of bars it stands.
        (r"(half at most|95 %|99 %) \d+(\.\d)?m?s( \d+s)?", "$1 [age]"),
        (r#"(p\d\d|from|until)_ms":\d+"#, r#"${1}_ms":[ms]"#),
        (r#""points":\[.*\],"total""#, r#""points":[points],"total""#),
        (r"[▁▂▃▄▅▆▇█][▁▂▃▄▅▆▇█ ]*", "[bars] "),
        (r#""(minutes|hours)":\[[^\]]*\]"#, r#""$1":[counts]"#),
        (r"due in \d+m?s?( \d+s)?", "due in [time]"),
        (r"\d+(\.\d)?m?s ago", "[age] ago"),
        (r"has waited \d+(\.\d)?m?s", "has waited [age]"),
        // The last column of `queue list`, and the lengths of leases.
        (r"(?m)  \d+(\.\d)?m?s$", "  [age]"),
        (r"  \d+(\.\d)?m?s  (failed|completed)", "  [age]  $2"),
        (r"(state +|state_hash.:.)[0-9a-f]{16}", "$1[hash]"),
        (r"(log bytes behind it +|position.:|snapshot_bytes.:)\d+", "$1[bytes]"),
        // The lock file has the digits of a process's number.
        (r"\d+ bytes before, \d+ after", "[bytes] before, [bytes] after"),
        (r"(bytes_before|bytes_after)(.:)\d+", "$1$2[bytes]"),
        (r"\d+\.\d{3} ms", "[ms]"),
        (r"_us.:\d+", "_us\":[us]"),
        (r"#?\b[0-9a-f]{32}\b", "[digest]"),
    ] {
        settings.add_filter(pattern, shown);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}
