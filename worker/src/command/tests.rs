//! Real programs, each a few lines of shell in a folder of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use queue_core::model::{JobNumber, LeaseToken, LeasedJob, Limits, LogLine, LogSource, Outcome};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{CommandHandler, Ended};

/// A script in a folder of its own, and what its run gives.
struct Run {
    dir: TempDir,
    handler: CommandHandler,
    job: LeasedJob,
    cancel: CancellationToken,
}

struct Seen {
    ended: Ended,
    log: Vec<LogLine>,
    took: Duration,
}

impl Run {
    fn of(script: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        write_script(&dir.path().join("handler"), &format!("#!/bin/sh\n{script}\n"));
        let argv = vec!["./handler".to_owned()];
        let mut handler = CommandHandler::new(argv, dir.path().to_owned());
        handler.kill_after = Duration::from_millis(200);
        Self { dir, handler, job: job(b"{}"), cancel: CancellationToken::new() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "measures real programs")]
    async fn run(&self) -> Seen {
        let (mut log, begin) = (Vec::new(), Instant::now());
        let ended = self.handler.run(&self.job, &self.cancel, |line| log.push(line)).await;
        Seen { ended, log, took: begin.elapsed() }
    }
}

fn write_script(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the script is written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is made executable");
}

fn job(payload: &'static [u8]) -> LeasedJob {
    LeasedJob {
        number: JobNumber(42),
        token: LeaseToken::at_epoch(7).next(),
        queue: "emails".into(),
        name: "send".into(),
        id: None,
        attempt: 3,
        attempts: 16,
        lease_ms: 30_000,
        timeout_ms: None,
        enqueued_at_ms: 0,
        headers: Default::default(),
        payload: Bytes::from_static(payload),
    }
}

fn completed(result: Option<&'static str>) -> Ended {
    Ended::Settle(Outcome::Complete { result: result.map(|text| Bytes::from_static(text.as_bytes())) })
}

fn failed(kind: &str, error: &str) -> Ended {
    Ended::Settle(Outcome::Fail { kind: kind.into(), error: error.into(), retryable: true })
}

fn cancelled(last_words: &str) -> Ended {
    Ended::Cancelled(last_words.to_owned())
}

async fn check(script: &str, expected: Ended) {
    assert_eq!(Run::of(script).run().await.ended, expected, "{script}");
}

/// Waits until the process whose id stands in the file is gone, at most 5 s.
async fn assert_gone(pid_file: &Path) {
    let pid = std::fs::read_to_string(pid_file).expect("the script wrote its id");
    let status = format!("/proc/{}/stat", pid.trim());
    let gone = async {
        // A zombie has ended, too; whose child it is now, is not ours to reap.
        while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap_or_else(|_| panic!("process {pid} still runs"));
}

/// Waits until the script has written the file.
async fn until_written(path: &Path) {
    while !std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn exit_status_decides() {
    check("exit 0", completed(None)).await;
    check("exit 1", failed("exit", "exit status 1")).await;
    check("echo no such host >&2; exit 7", failed("exit", "exit status 7: no such host")).await;
    check("exit 75", Ended::Settle(Outcome::Snooze { delay_ms: None })).await;
    check("kill -9 $$", failed("signal", "killed by signal 9 (KILL)")).await;
    check("echo out of luck >&2; kill $$", failed("signal", "killed by signal 15 (TERM): out of luck")).await;
    let rejected = Outcome::Fail {
        kind: "rejected".into(),
        error: "exit status 65 (rejected): no address".into(),
        retryable: false,
    };
    check("echo no address >&2; exit 65", Ended::Settle(rejected)).await;
}

#[tokio::test]
async fn last_line_is_the_result_if_it_is_json() {
    check(r#"echo working; echo '{"sent": 1}'"#, completed(Some(r#"{"sent": 1}"#))).await;
    check("echo 17", completed(Some("17"))).await;
    check(r#"printf '"no line end"'"#, completed(Some(r#""no line end""#))).await;
    check("echo '[1]'; echo", completed(Some("[1]"))).await;
    check("echo '[1]'; echo done", completed(None)).await;
    check("echo '{} {}'", completed(None)).await;
    check("echo '{'", completed(None)).await;
    check(r"printf '\377\n'", completed(None)).await;
}

#[tokio::test]
async fn result_beyond_its_limit_is_said() {
    let length = Limits::RESULT_BYTES + 10;
    let seen = Run::of(&format!("head -c {length} /dev/zero | tr '\\0' 1")).run().await;
    assert_eq!(seen.ended, completed(None));
    let said = &seen.log.last().expect("a line").text;
    assert_eq!(said, "longshore: no result: the last line has 1048586 bytes, at most 1048576 are kept");
}

#[tokio::test]
async fn payload_is_standard_input() {
    let mut run = Run::of("cat");
    run.job = job(br#"{"to": "ada"}"#);
    assert_eq!(run.run().await.ended, completed(Some(r#"{"to": "ada"}"#)));
}

#[tokio::test]
async fn payload_that_nobody_reads_is_no_failure() {
    static LARGE: [u8; 1 << 20] = [b'x'; 1 << 20];
    for script in ["exit 0", "exec <&-; echo '\"closed\"' >/dev/null", "sleep 0.05"] {
        let mut run = Run::of(script);
        run.job = job(&LARGE);
        assert_eq!(run.run().await.ended, completed(None), "{script}");
    }
}

#[tokio::test]
async fn environment_is_what_the_handler_was_promised() {
    let mut run =
        Run::of("env | cut -d= -f1 | sort | tr '\\n' ' '; echo; env | grep ^LONGSHORE | sort; echo $SMTP_HOST");
    run.handler.env.insert("SMTP_HOST".into(), "mail".into());
    run.handler.env.insert("LONGSHORE_JOB".into(), "1".into());
    let lines: Vec<String> = run.run().await.log.into_iter().map(|line| line.text).collect();
    // PWD, SHLVL, OLDPWD and _ are the shell's own.
    let ours = ["PWD", "SHLVL", "OLDPWD", "_", "HOME", "LANG", "TZ", "PATH", "SMTP_HOST"];
    for name in lines[0].split_whitespace() {
        assert!(ours.contains(&name) || name.starts_with("LONGSHORE_"), "{name} came through");
    }
    assert!(lines[0].contains("PATH "), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            "LONGSHORE_ATTEMPT=3",
            "LONGSHORE_JOB=42",
            "LONGSHORE_LEASE_TOKEN=7-1",
            "LONGSHORE_NAME=send",
            "LONGSHORE_QUEUE=emails",
            "mail"
        ]
    );
}

#[tokio::test]
async fn arguments_pass_no_shell_and_the_folder_is_the_files() {
    let mut run = Run::of("echo \"$1\"; pwd -P");
    run.handler.argv.push("$HOME; echo *".into());
    let log = run.run().await.log;
    assert_eq!(log[0].text, "$HOME; echo *");
    assert_eq!(Path::new(&log[1].text), run.dir.path().canonicalize().expect("it exists"));
}

#[tokio::test]
async fn both_outputs_go_to_the_log_by_line() {
    let seen = Run::of("printf 'one\\r\\n\\n'; printf 'bad \\377' ; echo oops >&2").run().await;
    let out: Vec<_> = seen.log.iter().filter(|line| line.source == LogSource::Out).map(|line| &*line.text).collect();
    let err: Vec<_> = seen.log.iter().filter(|line| line.source == LogSource::Err).map(|line| &*line.text).collect();
    assert_eq!(out, ["one", "", "bad \u{fffd}"]);
    assert_eq!(err, ["oops"]);
}

#[tokio::test]
async fn log_is_bounded_and_says_so() {
    let seen = Run::of("seq 1 200000; echo '\"end\"'").run().await;
    assert_eq!(seen.ended, completed(Some("\"end\"")), "drained to the end");
    assert_eq!(seen.log[0].text, "1");
    assert_eq!(seen.log.len(), Limits::LOG_LINES - 1);
    assert!(seen.log.iter().map(|line| line.text.len()).sum::<usize>() <= Limits::LOG_BYTES);
    let said = &seen.log.last().expect("a line").text;
    assert!(said.starts_with("longshore: 199003 more lines ("), "{said}");

    let long = Run::of("seq -f '%04000.0f' 1 100").run().await;
    let bytes = long.log.iter().map(|line| line.text.len()).sum::<usize>();
    assert!(bytes <= Limits::LOG_BYTES && bytes > Limits::LOG_BYTES / 2, "{bytes}");
}

#[tokio::test]
async fn long_line_is_cut() {
    let seen = Run::of("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1").run().await;
    let text = &seen.log[0].text;
    assert!(text.len() < 5_000 && text.ends_with("x… (a line of 100000 bytes)"), "{}", text.len());
    let Ended::Settle(Outcome::Fail { error, .. }) = seen.ended else { panic!("failed") };
    assert!(error.len() <= Limits::ERROR_BYTES && error.starts_with("exit status 1: xxx"));
}

#[test]
fn what_the_machine_lacks_costs_no_attempt() {
    let handler = CommandHandler::new(vec!["true".to_owned()], "/".into());
    let ended = |errno: rustix::io::Errno| super::outcome::not_started(&handler, &errno.into());
    use rustix::io::Errno;
    for lack in [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM] {
        assert_eq!(ended(lack), Ended::Settle(Outcome::Snooze { delay_ms: None }), "{lack}");
    }
    assert!(matches!(ended(Errno::NOENT), Ended::Settle(Outcome::Fail { .. })));
}

#[tokio::test]
async fn error_text_has_the_last_lines() {
    let seen = Run::of("seq 1 5000 >&2; exit 2").run().await;
    let Ended::Settle(Outcome::Fail { error, .. }) = seen.ended else { panic!("failed") };
    assert!(error.starts_with("exit status 2: 4981\n") && error.ends_with("\n4999\n5000"), "{error}");
}

#[tokio::test]
async fn timeout_ends_the_program() {
    let mut run = Run::of("echo begun >&2; echo $$ > pid; exec tail -f /dev/null");
    run.handler.timeout = Some(Duration::from_secs(3_600));
    let pid = run.path("pid");
    // The hour passes once the program is there, however long that takes.
    let hour = async {
        until_written(&pid).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3_600)).await;
        tokio::time::resume();
    };
    let (seen, ()) = tokio::join!(run.run(), hour);
    assert_eq!(seen.ended, failed("timeout", "timed out after 1h: begun"));
    assert_gone(&pid).await;
}

#[tokio::test]
async fn the_jobs_own_timeout_is_the_callers() {
    let mut run = Run::of("echo done");
    run.job.timeout_ms = Some(1);
    assert_eq!(run.run().await.ended, completed(None));
}

#[tokio::test]
async fn endless_output_does_not_hold_up_the_timeout() {
    let mut run = Run::of("exec yes");
    run.handler.timeout = Some(Duration::from_millis(150));
    let seen = tokio::time::timeout(Duration::from_secs(20), run.run()).await.expect("it does not go on");
    assert_eq!(seen.ended, failed("timeout", "timed out after 150ms"));
}

#[tokio::test]
async fn who_ignores_term_is_killed_with_its_children() {
    let run = Run::of("trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > inner; while :; do sleep 1; done' & wait");
    let stop = async {
        until_written(&run.path("inner")).await;
        run.cancel.cancel();
    };
    let (seen, ()) = tokio::join!(run.run(), stop);
    assert_eq!(seen.ended, cancelled(""));
    assert!(seen.took >= run.handler.kill_after, "TERM had its time");
    assert_gone(&run.path("inner")).await;
}

#[tokio::test]
async fn term_lets_the_program_tidy_up() {
    let mut run = Run::of(
        "trap 'echo tidy > trace; exit 0' TERM; echo at work >&2; echo up > ready; while :; do sleep 0.01; done",
    );
    run.handler.kill_after = Duration::from_secs(10);
    let stop = async {
        until_written(&run.path("ready")).await;
        run.cancel.cancel();
    };
    let (seen, ()) = tokio::join!(run.run(), stop);
    // The shell may have something to say about its own children, too.
    assert!(matches!(&seen.ended, Ended::Cancelled(words) if words.starts_with("at work")), "{:?}", seen.ended);
    assert_eq!(std::fs::read_to_string(run.path("trace")).expect("tidied"), "tidy\n");
}

#[tokio::test]
async fn cancelled_before_it_began_it_does_not_begin() {
    let run = Run::of("echo > trace");
    run.cancel.cancel();
    assert_eq!(run.run().await.ended, cancelled(""));
    assert!(!run.path("trace").exists());
}

#[tokio::test]
async fn dropped_run_kills_the_whole_group() {
    let run = Run::of("sh -c 'echo $$ > inner; exec tail -f /dev/null' & wait");
    let begun = run.path("inner");
    tokio::select! {
        _ = run.run() => panic!("it runs until it is killed"),
        () = until_written(&begun) => {}
    }
    assert_gone(&begun).await;
}

#[tokio::test]
async fn child_left_behind_with_the_pipes_holds_up_nobody() {
    let run =
        Run::of("sh -c 'echo $$ > inner; exec tail -f /dev/null' & until [ -s inner ]; do :; done; echo '\"done\"'");
    let seen = run.run().await;
    assert_eq!(seen.ended, completed(Some("\"done\"")));
    assert!(seen.took < Duration::from_secs(2), "{:?}", seen.took);
    let left = std::fs::read_to_string(run.path("inner")).expect("its id");
    let left = left.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("left alone, so still there");
}

#[tokio::test]
async fn nobody_stays_a_zombie() {
    let run = Run::of("echo $$ > pid");
    run.run().await;
    let pid = std::fs::read_to_string(run.path("pid")).expect("its id");
    assert!(!Path::new(&format!("/proc/{}", pid.trim())).exists());
}

#[tokio::test]
async fn what_cannot_be_started_is_named() {
    let run = Run::of("exit 0");
    let dir = run.dir.path().display();
    std::fs::write(run.path("plain"), "text").expect("written");
    write_script(&run.path("lost"), "#!/no/such/interpreter\n");
    for (program, says) in [
        ("./missing", format!("cannot run {dir}/missing: no such file")),
        ("./plain", format!("cannot run {dir}/plain: not executable by this user")),
        ("./lost", format!("cannot run {dir}/lost: the interpreter in its first line is not there")),
        ("longshore-no-such-program", "cannot run longshore-no-such-program: not found on PATH".to_owned()),
    ] {
        let handler = CommandHandler { argv: vec![program.into()], ..run.handler.clone() };
        let ended = handler.run(&run.job, &run.cancel, |_| {}).await;
        assert_eq!(ended, failed("spawn", &says));
    }
}
