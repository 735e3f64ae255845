//! What a job remembers of its life: timeline, progress, log, failures and what they have in common.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use bytes::Bytes;

use super::rig::{Rig, WORKER, failure, order, proof};
use crate::engine::EngineExt;
use crate::model::{Command, LeaseOutcome, LeasedJob, LogLine, LogSource, Outcome, Settlement, Word};

fn out(text: impl Into<String>) -> LogLine {
    LogLine { source: LogSource::Out, text: text.into() }
}

async fn log(rig: &Rig, leased: &LeasedJob, lines: Vec<LogLine>) {
    rig.engine().log(proof(leased), lines).await.expect("the lines are taken");
}

/// Leases and releases a job this many times.
pub(crate) async fn lease_and_release(rig: &Rig, queue: &str, times: usize) {
    let mut leased = rig.lease(queue).await;
    for _ in 1..times {
        let settlements = vec![Settlement { lease: proof(&leased), outcome: Outcome::Release }];
        let (_, mut next) = rig.engine().settle_all(settlements, Some(order(queue, 1))).await.expect("answered");
        leased = next.pop().expect("the released job is ready again");
    }
    rig.settle(&leased, Outcome::Release).await;
}

pub async fn every_lease_is_a_row_of_the_timeline(rig: &Rig) {
    let number = rig.add("q").await;
    rig.settle(&rig.lease("q").await, Outcome::Release).await;
    rig.settle(&rig.lease("q").await, failure("it broke")).await;
    rig.verb(number, crate::model::JobVerb::Promote).await;
    rig.lease("q").await;
    let job = rig.job(number).await;
    let rows: Vec<_> = job.leases.iter().map(|row| (row.lease, row.attempt, row.round, row.outcome)).collect();
    assert_eq!(
        rows,
        [(1, 1, 1, LeaseOutcome::Released), (2, 1, 1, LeaseOutcome::Failed), (3, 2, 1, LeaseOutcome::Running)]
    );
    assert!(job.leases.iter().all(|row| row.worker == WORKER && row.leased_at_ms > 0));
    assert!(job.leases[..2].iter().all(|row| row.ended_at_ms >= Some(row.leased_at_ms)));
    assert_eq!((job.leases[2].ended_at_ms, job.leases_left_out), (None, 0));
}

pub async fn a_failed_lease_keeps_kind_text_and_fingerprint(rig: &Rig) {
    let number = rig.add("q").await;
    let outcome =
        Outcome::Fail { kind: "timeout".into(), error: "host 10.0.0.1 did not answer".into(), retryable: true };
    rig.settle(&rig.lease("q").await, outcome).await;
    let row = &rig.job(number).await.leases[0];
    assert_eq!(row.error_kind.as_deref(), Some("timeout"));
    assert_eq!(row.error.as_deref(), Some("host 10.0.0.1 did not answer"));
    assert!(row.fingerprint.as_deref().is_some_and(|fingerprint| fingerprint.contains("timeout")));
}

async fn fingerprint_of(rig: &Rig, kind: &str, error: &str) -> String {
    let number = rig.add("q").await;
    let outcome = Outcome::Fail { kind: kind.into(), error: error.into(), retryable: false };
    rig.settle(&rig.lease("q").await, outcome).await;
    rig.job(number).await.leases[0].fingerprint.clone().expect("a failure has a fingerprint")
}

pub async fn failures_of_one_cause_share_their_fingerprint(rig: &Rig) {
    let first = fingerprint_of(rig, "exit", "order 17 of \"ann\" not found after 3 s").await;
    let second = fingerprint_of(rig, "exit", "order 4711 of \"bob\" not found after 12 s").await;
    assert_eq!(first, second);
}

pub async fn failures_of_other_causes_do_not(rig: &Rig) {
    let first = fingerprint_of(rig, "exit", "order not found").await;
    assert_ne!(first, fingerprint_of(rig, "exit", "customer not found").await);
    assert_ne!(first, fingerprint_of(rig, "timeout", "order not found").await);
}

pub async fn a_fingerprint_has_at_most_two_hundred_bytes(rig: &Rig) {
    assert!(fingerprint_of(rig, "exit", &"long words é ".repeat(100)).await.len() <= 200);
}

pub async fn a_long_error_is_cut_at_eight_kibibytes(rig: &Rig) {
    let number = rig.add("q").await;
    rig.settle(&rig.lease("q").await, failure(&"é".repeat(10_000))).await;
    let job = rig.job(number).await;
    let error = job.leases[0].error.as_deref().expect("an error");
    assert!((8_000..=8_192).contains(&error.len()), "{} bytes were kept", error.len());
    let summary = job.summary.error.as_deref().expect("the list shows it");
    assert!(summary.len() <= 200 && summary.starts_with("éé"), "{summary}");
}

pub async fn the_timeline_keeps_the_first_twenty_and_the_last_eighty(rig: &Rig) {
    let number = rig.add("q").await;
    lease_and_release(rig, "q", 150).await;
    let job = rig.job(number).await;
    let kept: Vec<_> = job.leases.iter().map(|row| row.lease).collect();
    assert_eq!(kept, (1..=20).chain(71..=150).collect::<Vec<u32>>());
    assert_eq!(job.leases_left_out, 50);
}

pub async fn a_hundred_leases_are_all_kept(rig: &Rig) {
    let number = rig.add("q").await;
    lease_and_release(rig, "q", 100).await;
    let job = rig.job(number).await;
    assert_eq!((job.leases.len(), job.leases_left_out), (100, 0));
}

pub async fn progress_replaces_what_was_reported_before(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    assert_eq!(rig.job(number).await.progress, None);
    for value in ["10", "{\"percent\":55}", ""] {
        rig.engine().progress(proof(&leased), Bytes::from_static(value.as_bytes())).await.expect("progress is taken");
        assert_eq!(rig.job(number).await.progress.as_deref(), Some(value.as_bytes()));
    }
}

pub async fn the_last_progress_stays_when_the_job_is_done(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    rig.engine().progress(proof(&leased), "9 of 10".into()).await.expect("progress is taken");
    rig.complete(&leased).await;
    assert_eq!(rig.job(number).await.progress.as_deref(), Some(&b"9 of 10"[..]));
}

pub async fn progress_and_log_need_the_newest_token(rig: &Rig) {
    rig.add("q").await;
    let first = rig.lease("q").await;
    rig.settle(&first, Outcome::Release).await;
    rig.lease("q").await;
    let lease = proof(&first);
    assert_eq!(rig.refused(Command::Progress { lease, value: "1".into() }).await.word, Word::Stale);
    assert_eq!(rig.refused(Command::Log { lease, lines: vec![out("x")] }).await.word, Word::Stale);
}

pub async fn log_lines_are_kept_in_order_with_their_source(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    let err = LogLine { source: LogSource::Err, text: "warning: \"é\"\t".into() };
    log(rig, &leased, vec![out("one"), err.clone()]).await;
    log(rig, &leased, vec![out("")]).await;
    let page = rig.engine().job_log(number.into(), 0).await.expect("the log is shown");
    assert_eq!((page.first, page.done), (0, false));
    assert_eq!(page.lines, [out("one"), err, out("")]);
    assert_eq!(rig.job(number).await.log_lines, 3);
}

pub async fn a_log_can_be_read_on_from_a_line(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    log(rig, &leased, (0..10).map(|line| out(line.to_string())).collect()).await;
    let page = rig.engine().job_log(number.into(), 7).await.expect("the log is shown");
    assert_eq!((page.first, page.lines), (7, vec![out("7"), out("8"), out("9")]));
    let page = rig.engine().job_log(number.into(), 10).await.expect("the log is shown");
    assert_eq!((page.first, page.lines.len(), page.done), (10, 0, false));
    rig.complete(&leased).await;
    assert!(rig.engine().job_log(number.into(), 10).await.expect("the log is shown").done);
}

/// Logs `lines` in chunks and checks that the newest are kept, numbered over the job's life, within the bounds.
async fn check_log_bound(rig: &Rig, lines: usize, width: usize, kept_at_least: usize) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    let all: Vec<_> = (0..lines).map(|line| out(format!("{line:0width$}"))).collect();
    for chunk in all.chunks(50) {
        log(rig, &leased, chunk.to_vec()).await;
    }
    let page = rig.engine().job_log(number.into(), 0).await.expect("the log is shown");
    let first = usize::try_from(page.first).expect("small");
    assert_eq!(page.lines, all[first..], "the newest lines are kept, numbered from the job's first");
    let bytes: usize = page.lines.iter().map(|line| line.text.len()).sum();
    assert!(page.lines.len() <= 1_000 && bytes <= 64 << 10, "{} lines, {bytes} bytes", page.lines.len());
    assert!(page.lines.len() >= kept_at_least, "only {} lines are kept", page.lines.len());
    assert_eq!(rig.job(number).await.log_lines as usize, page.lines.len());
}

pub async fn a_log_keeps_at_most_a_thousand_lines(rig: &Rig) {
    check_log_bound(rig, 1_500, 10, 900).await;
}

pub async fn a_log_keeps_at_most_sixty_four_kibibytes(rig: &Rig) {
    check_log_bound(rig, 500, 500, 50).await;
}

pub async fn the_log_of_a_job_is_one_over_all_its_leases(rig: &Rig) {
    let number = rig.add("q").await;
    let first = rig.lease("q").await;
    log(rig, &first, vec![out("first try")]).await;
    rig.settle(&first, Outcome::Release).await;
    let second = rig.lease("q").await;
    log(rig, &second, vec![out("second try")]).await;
    let page = rig.engine().job_log(number.into(), 0).await.expect("the log is shown");
    assert_eq!(page.lines, [out("first try"), out("second try")]);
}
