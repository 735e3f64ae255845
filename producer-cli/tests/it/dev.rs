//! `init` and `dev`: real processes on ports of their own, waited for by what they say.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use crate::harness::{Store, check, said};

/// A running `dev`.
struct Dev {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Dev {
    fn start(store: &Store, words: &[&str]) -> Self {
        let words = [&["dev", "--listen", "127.0.0.1:0", "--dashboard", "127.0.0.1:0"], words].concat();
        let mut command = store.command(&words);
        command.env_remove("LONGSHORE_ENGINE").env("PATH", std::env::var_os("PATH").expect("a PATH"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, lines }
    }

    /// Everything it says up to a line with this in it.
    fn until(&mut self, part: &str) -> String {
        let mut text = String::new();
        loop {
            let before = text.len();
            self.lines.read_line(&mut text).expect("text");
            assert!(text.len() > before, "it ended before it said {part}: {text}{}", self.errors());
            if text[before..].contains(part) {
                return text;
            }
        }
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut text).expect("text");
        text
    }

    /// Sends a signal; answers how it ended and what it still said.
    fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let mut text = String::new();
        self.lines.read_to_string(&mut text).expect("text");
        (self.child.wait().expect("it ends"), text)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; one that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the first line.
fn engine(text: &str) -> String {
    let start = text.find("longshore://").expect("an address");
    text[start..].split(' ').next().expect("an address").to_owned()
}

#[test]
fn a_new_directory_sees_four_jobs_run() {
    let store = Store::new();
    let mut dev = Dev::start(&store, &[]);
    let text = dev.until("This goes on");
    for (job, words) in [
        ("#1", &["succeeds", "attempt 1 of 16", "hello, world"][..]),
        ("#2", &["waits 5 s first", "attempt 1 of 16", "hello, later"]),
        (
            "#3",
            &["fails twice", "attempt 1 of 5", "hung up", "attempt 2 of 5", "hung up", "attempt 3 of 5", "\"worked_at"],
        ),
        ("#4", &["is dead at once", "attempt 1 of 16", "dead      trying again is useless"]),
    ] {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(&format!(" {job} "))).collect();
        assert_eq!(lines.len(), words.len(), "{text}");
        for (line, word) in lines.iter().zip(words) {
            assert!(line.contains(word), "{line} does not say {word}");
        }
    }
    let (status, rest) = dev.stop("-TERM");
    assert!(status.success() && rest.ends_with("stopped\n"), "{status}: {rest}");
    // The second time nothing is enqueued, and nothing runs again.
    let mut again = Dev::start(&store, &["--json"]);
    assert!(again.until("ready").starts_with("{\"at_ms\":"));
    let (status, rest) = again.stop("-INT");
    assert!(status.success() && !rest.contains("started"), "{status}: {rest}");
    let jobs = store.output(&["job", "list", "--json", "--engine", "log:longshore-data"]);
    assert_eq!(String::from_utf8_lossy(&jobs.stdout).lines().count(), 4);
}

#[test]
fn init_writes_what_works_and_overwrites_nothing() {
    let store = Store::new();
    let first = store.output(&["init", "jobs"]);
    let text = said(&first);
    assert!(text.contains("jobs/handlers.toml: written\njobs/greet.sh: written\n"), "{text}");
    let own = store.file("jobs/greet.sh", "mine");
    let again = said(&store.output(&["init", "jobs", "--json"]));
    let file = "{\"file\":\"jobs/handlers.toml\",\"written\":false}\n{\"file\":\"jobs/greet.sh\",\"written\":false}\n";
    assert_eq!(again, file);
    assert_eq!(std::fs::read_to_string(own).expect("a file"), "mine");
    store.file("taken", "");
    check("init_says_what_it_cannot_write", &store.session(&["init taken"]));
}

#[test]
fn a_changed_handlers_file_is_taken_over_and_a_wrong_one_is_not() {
    let store = Store::new();
    assert!(store.output(&["init"]).status.success());
    let text = std::fs::read_to_string(store.path().join("handlers.toml")).expect("a file");
    let mut dev = Dev::start(&store, &["--config", "handlers.toml"]);
    let ready = dev.until("This goes on");
    assert!(ready.contains("handlers.toml runs greet from default"), "{ready}");
    assert!(ready.contains(" enqueue default greet '\"Ann\"' --wait --engine longshore://"), "{ready}");
    store.file("handlers.toml", &text.replace("\"30s\"", "\"30\""));
    let wrong = dev.until("not taken over");
    assert!(wrong.contains("handlers.toml:21: handlers.greet.timeout is 30; allowed"), "{wrong}");
    store.file("handlers.toml", &text.replace("[handlers.greet]", "[handlers.welcome]"));
    assert!(dev.until("taken over").contains("it runs welcome from default\n"));
    store.file("handlers.toml", &text.replace("concurrency = 10", "concurrency = 11"));
    assert!(dev.until("taken over").contains("concurrency and grace change at the next start"));
    let (status, _) = dev.stop("-TERM");
    assert!(status.success());
}

#[test]
fn what_keeps_dev_from_starting_is_said_with_the_flag_that_helps() {
    let store = Store::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    store.file("handlers.toml", "concurrency = 0\n");
    let sessions = [
        format!("dev --listen {address}"),
        "dev --listen nonsense".to_owned(),
        "dev --listen 0.0.0.0:0".to_owned(),
        "dev --config handlers.toml".to_owned(),
        "dev --config nowhere.toml".to_owned(),
    ];
    let text = store.session(&sessions.each_ref().map(String::as_str));
    check("what_keeps_dev_from_starting_is_said", &text.replace(&address, "[address]"));
    assert!(!store.path().join("longshore-data").exists(), "nothing was made");
    drop(taken);
    let mut dev = Dev::start(&store, &[]);
    let running = engine(&dev.until("serves"));
    let other = said(&store.output(&["dev", "--listen", "127.0.0.1:0"]));
    assert!(other.contains("in use") && other.contains("longshore dev --data DIR"), "{other}");
    assert!(running.starts_with("longshore://127.0.0.1:"), "{running}");
}

#[test]
fn a_dashboard_beyond_loopback_is_another_program_and_how_to_start_it_is_said() {
    let store = Store::new();
    let refused = store.output(&["dev", "--listen", "127.0.0.1:0", "--dashboard", "0.0.0.0:0"]);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    for part in [
        "dashboard is 0.0.0.0:0; allowed: a loopback address",
        "dev serves this machine alone: --dashboard none",
        "longshore-dashboard --engine longshore://127.0.0.1:",
        " --listen 0.0.0.0:0 --password-file FILE\n",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn a_cancelled_job_is_said_to_be_cancelled() {
    let store = Store::new();
    store.file("handlers.toml", "[queues]\nq = 1\n[handlers.n]\ncommand = [\"sleep\", \"600\"]\n");
    let mut dev = Dev::start(&store, &["--config", "handlers.toml"]);
    let engine = engine(&dev.until("This goes on"));
    let run = |words: &[&str]| assert!(store.output(&[words, &["--engine", &engine]].concat()).status.success());
    run(&["enqueue", "q", "n"]);
    dev.until("started");
    run(&["job", "cancel", "1"]);
    let text = dev.until(" cancelled ");
    assert!(!text.contains("tried again") && !text.contains("failed"), "{text}");
    let (status, _) = dev.stop("-TERM");
    assert!(status.success());
}

#[test]
fn what_dev_says_to_type_works_as_typed() {
    let store = Store::new();
    let mut dev = Dev::start(&store, &[]);
    let text = dev.until("This goes on");
    let (_, next) = text.split_once("Next, in another terminal:\n\n").expect("what to type next");
    let lines: Vec<&str> = next.lines().take_while(|line| line.starts_with("  ")).map(str::trim).collect();
    assert_eq!(lines.len(), 6, "{next}");
    for line in lines {
        let output = Command::new("sh").args(["-c", line]).current_dir(store.path()).output().expect("sh runs");
        assert!(output.status.success() && !output.stdout.is_empty(), "{line}: {}", said(&output));
    }
    let (status, _) = dev.stop("-TERM");
    assert!(status.success());
}

#[test]
fn a_job_is_enqueued_over_a_connection_and_waited_for() {
    let store = Store::new();
    let mut dev = Dev::start(&store, &[]);
    // Up to the last of the jobs that `dev` enqueues itself, so that ours have numbers of their own.
    let engine = engine(&dev.until("is dead at once"));
    let run = |words: &[&str]| {
        let words = [words, &["--engine", &engine]].concat();
        said(&store.output(&words)).replace(&engine, "[engine]")
    };
    let mut text = run(&["enqueue", "demo", "hello", "{\"name\": \"Ann\"}", "--id", "ann", "--wait"]);
    text += &run(&["enqueue", "demo", "broken", "--wait", "30s"]);
    text += &run(&["enqueue", "demo", "hello", "--delay", "90s"]);
    text += &run(&["enqueue", "demo", "hello", "--id", "ann"]);
    text += &run(&["job", "promote", "ann"]);
    text += &run(&["queue", "set", "demo", "attempts=0"]);
    text += &run(&["ping"]);
    text += &run(&["watch", "--from", "0", "--limit", "1", "--queue", "demo"]);
    check("a_job_is_enqueued_over_a_connection_and_waited_for", &text);
    let shown = run(&["job", "show", "7", "--json"]);
    assert!(shown.contains("\"id\":\"auto-"), "where it may be sent again a job has an id: {shown}");
    let (status, _) = dev.stop("-KILL");
    assert!(!status.success());
    let gone = run(&["queue", "list"]);
    let expected = "[err] longshore: cannot reach [engine]: connection refused\n\
                    [err]   start one: longshore dev, or longshore-server; another address: --engine or LONGSHORE_ENGINE\n\
                    [exit 4]\n";
    assert_eq!(gone, expected);
    store.file("jobs.ndjson", "{\"name\":\"n\"}\n");
    let broken = run(&["enqueue", "q", "--file", "jobs.ndjson"]);
    assert!(broken.starts_with("[err] longshore: cannot reach [engine]: connection refused"), "{broken}");
}
