//! What is done: after each form the engine is asked, not the page, whether it happened, by whom and why.

use queue_core::engine::EngineExt;
use queue_core::model::{
    Beat, Job, JobState, NewJob, OperationNumber, OperationState, OperationView, SettingSource, WorkerOrder,
    WorkerState,
};

use crate::common::{Answer, Desk};

impl Desk {
    /// Posts a form that has to succeed, and answers where it leads.
    async fn done(&self, path: &str, form: &str) -> String {
        let answer = self.post(path, form).await;
        assert_eq!(answer.status.as_u16(), 303, "{path}: {}", answer.text);
        answer.headers["location"].to_str().expect("text").to_owned()
    }

    async fn refused(&self, path: &str, form: &str, status: u16, says: &str) -> Answer {
        let answer = self.post(path, form).await;
        assert!(
            answer.status.as_u16() == status && answer.text.contains(says),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
        answer
    }

    /// Posts an edit that is first shown: the difference, above the form as it was.
    async fn reviewed(&self, path: &str, form: &str) -> Answer {
        let answer = self.post(path, form).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text);
        answer.has(&["data-test-review", "<ins>", "Nothing is changed yet", "</textarea>", "value=\"mended\""]);
        answer
    }

    async fn job(&self, number: u64) -> Job {
        self.engine.job(queue_core::model::JobNumber(number).into()).await.expect("there")
    }

    async fn state(&self, number: u64) -> JobState {
        self.job(number).await.summary.state
    }

    /// Waits until an operation has ended.
    async fn ended(&self, number: u64) -> OperationView {
        loop {
            let operation = self.engine.operation(OperationNumber(number)).await.expect("there");
            if operation.state != OperationState::Running {
                return operation;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_job_is_put_off_and_run_at_once() {
    let desk = Desk::new();
    desk.add("q", "n", b"{}").await;
    desk.page("/jobs/1/reschedule").await.has(&[
        "Reschedule: job #1",
        "name=\"delay\"",
        "name=\"at\"",
        "name=\"reason\"",
    ]);
    let to = desk.done("/jobs/1/reschedule", "delay=10m&at=&reason=later").await;
    assert_eq!((to.as_str(), desk.state(1).await), ("/jobs/1?done=rescheduled", JobState::Delayed));
    desk.page(&to).await.has(&["The job has its new time", "data-test-button=\"promote\""]);
    desk.done("/jobs/1/promote", "").await;
    assert_eq!(desk.state(1).await, JobState::Waiting);
    desk.done("/jobs/1/reschedule", "delay=&at=2099-12-01T10%3A00%3A00Z").await;
    assert_eq!(desk.job(1).await.summary.at_ms, Some(4_099_802_400_000));
    desk.refused("/jobs/1/reschedule", "delay=&at=", 400, "delay is empty").await;
    desk.refused("/jobs/1/reschedule", "delay=5&at=", 400, "allowed: a number with a unit: 5s").await;
    desk.refused("/jobs/1/reschedule", "delay=5s&at=2099-12-01T10%3A00%3A00Z", 400, "not both").await;
    desk.refused("/jobs/1/reschedule", "at=tomorrow", 400, "at is tomorrow; allowed: a time such as").await;
}

/// What a form has in a hidden field.
pub(crate) fn hidden<'p>(page: &'p Answer, name: &str) -> &'p str {
    let field = format!("name=\"{name}\" value=\"");
    page.text.split_once(&field).expect(name).1.split('"').next().expect("an end")
}

#[tokio::test]
async fn a_dead_job_is_edited_and_run_again() {
    let desk = Desk::new();
    desk.dead("q", "no").await;
    let form = desk.page("/jobs/1/edit").await;
    form.has(&["Edit and retry: job #1", "<textarea", "\n{}</textarea>", "name=\"retry\""]);
    let seen = hidden(&form, "seen").to_owned();
    let edit = |payload: &str| format!("payload={payload}&seen={seen}&priority=7&retry=yes&reason=mended");
    desk.refused("/jobs/1/edit", &edit("%7B%7D").replace(&seen, "x"), 409, "has changed since the form").await;
    desk.refused("/jobs/1/edit", &edit("%7B%7D").replace("=7", "=high"), 400, "priority is high; allowed").await;
    assert_eq!(desk.state(1).await, JobState::Dead);
    let edited = edit("%7B%22n%22%3A%0D%0A12345678901234567890%7D");
    let review = desk.reviewed("/jobs/1/edit", &edited).await;
    assert_eq!(desk.job(1).await.payload, "{}");
    // What was looked at is stored, and nothing else: a text that was changed once more is looked at once more.
    let sum = format!("&reviewed={}", hidden(&review, "reviewed"));
    desk.reviewed("/jobs/1/edit", &(edited.replace("%0D%0A", "") + &sum)).await;
    desk.refused("/jobs/1/edit", &(edited.replace("=7", "=1001") + &sum), 400, "priority is 1001").await;
    assert_eq!((desk.state(1).await, desk.job(1).await.payload), (JobState::Dead, "{}".into()));
    assert_eq!(desk.done("/jobs/1/edit", &(edited + &sum)).await, "/jobs/1?done=edited-retried");
    let job = desk.job(1).await;
    assert_eq!((job.summary.state, job.summary.priority), (JobState::Waiting, 7));
    assert_eq!(&job.payload[..], b"{\"n\":\n12345678901234567890}");
    // What did not change is not edited.
    let seen = hidden(&desk.page("/jobs/1/edit").await, "seen").to_owned();
    let same = format!("payload=%7B%22n%22%3A%0D%0A12345678901234567890%7D&seen={seen}&priority=7");
    assert_eq!(desk.done("/jobs/1/edit", &same).await, "/jobs/1?done=unchanged");
}

#[tokio::test]
async fn what_no_form_can_hold_is_not_edited_in_one() {
    let desk = Desk::new();
    for (payload, why) in
        [(&b"\xff"[..], "it is no text"), (b"a\r\nb", "control characters"), (&[b'x'; 70_000], "longer than")]
    {
        let number = desk.add("q", "n", payload).await.0;
        desk.page(&format!("/jobs/{number}/edit")).await.has(&["stays as it is", why]).lacks("<textarea");
        desk.done(&format!("/jobs/{number}/edit"), "priority=3").await;
        let copy = desk.done(&format!("/jobs/{number}/duplicate"), "").await;
        let copy = copy.trim_start_matches("/jobs/").split('?').next().expect("a number").parse().expect("a number");
        assert_eq!((&desk.job(copy).await.payload[..], desk.job(copy).await.summary.priority), (payload, 3));
    }
}

#[tokio::test]
async fn a_job_is_cancelled_copied_and_removed() {
    let desk = Desk::new();
    desk.add("q", "n", b"[1]").await;
    desk.page("/jobs/1/cancel").await.has(&["Cancel: job #1", "danger"]);
    assert_eq!(desk.done("/jobs/1/cancel", "reason=no+more").await, "/jobs/1?done=cancelled");
    assert_eq!(desk.state(1).await, JobState::Cancelled);
    let seen = hidden(&desk.page("/jobs/1/duplicate").await, "seen").to_owned();
    let to = desk.done("/jobs/1/duplicate", &format!("payload=%5B2%5D&seen={seen}")).await;
    assert_eq!(to, "/jobs/2?done=duplicated");
    assert_eq!((desk.state(2).await, &desk.job(2).await.payload[..]), (JobState::Waiting, &b"[2]"[..]));
    desk.page("/jobs/1/remove").await.has(&["I know that this cannot be undone"]);
    desk.refused("/jobs/1/remove", "", 400, "tick the box").await;
    assert_eq!(desk.done("/jobs/1/remove", "sure=yes").await, "/jobs?done=removed");
    assert_eq!(desk.get("/jobs/1").await.status.as_u16(), 404);
    // A running job's handler is told, and only by force it is taken away.
    desk.lease("q").await;
    assert_eq!(desk.done("/jobs/2/cancel", "").await, "/jobs/2?done=cancelling");
    desk.page("/jobs/2").await.has(&["cancel asked for"]);
    desk.refused("/jobs/2/remove", "sure=yes", 409, "active").await;
    desk.done("/jobs/2/remove", "sure=yes&force=yes").await;
}

#[tokio::test]
async fn a_queue_is_paused_with_a_reason_and_goes_on() {
    let desk = Desk::new();
    desk.add("a/b", "n", b"{}").await;
    desk.page("/queues/a%2Fb").await.has(&["No worker serves this queue", "data-test-form=\"pause\""]);
    let to = desk.done("/queues/a%2Fb/pause", "reason=mail+server+is+down&back=%2Fqueues%2Fa%252Fb").await;
    assert_eq!(to, "/queues/a%2Fb?done=paused");
    let view = desk.engine.queue("a/b").await.expect("there");
    let reason = view.pause_reason.expect("a reason");
    assert!(view.paused && reason.contains("mail server is down") && reason.contains("dashboard"), "{reason}");
    desk.page(&to).await.has(&["The queue is paused", "mail server is down", "data-test-button=\"resume\""]);
    desk.done("/queues/a%2Fb/resume", "").await;
    assert!(!desk.engine.queue("a/b").await.expect("there").paused);
    desk.refused("/queues/none/pause", "", 404, "no queue none").await;
}

#[tokio::test]
async fn a_worker_is_told_what_to_do() {
    let desk = Desk::new();
    desk.page("/workers").await.has(&["No worker is there", "longshore-worker"]);
    desk.add("q", "n", b"{}").await;
    let lease = desk.lease("q").await;
    let beat = |state| Beat {
        worker: "w1".to_owned(),
        host: "here".to_owned(),
        pid: 7,
        queues: vec!["q".to_owned()],
        concurrency: 3,
        leases: vec![lease],
        state,
        rss_bytes: Some(5 << 20),
        ..Beat::default()
    };
    desk.engine.beat(beat(WorkerState::Running)).await.expect("a beat");
    desk.page("/workers").await.has(&[
        "data-test-worker=\"w1\"",
        "data-test-state=\"running\"",
        "1/3",
        "here",
        "5 MiB",
    ]);
    desk.page("/workers/w1").await.has(&[
        "data-test-button=\"quiet\"",
        "data-test-link=\"stop\"",
        "data-test-job=\"1\"",
    ]);
    assert_eq!(desk.done("/workers/w1/quiet", "reason=a+deploy").await, "/workers/w1?done=told");
    desk.page("/workers/w1").await.has(&["told to quiet", "quiet by ", "a deploy"]);
    let orders = desk.engine.beat(beat(WorkerState::Running)).await.expect("a beat");
    assert_eq!(orders.order, Some(WorkerOrder::Quiet));
    desk.engine.beat(beat(WorkerState::Quiet)).await.expect("a beat");
    desk.page("/workers/w1").await.has(&["data-test-state=\"quiet\"", "data-test-button=\"resume\""]).lacks("told to");
    desk.page("/queues/q").await.has(&["href=\"/workers/w1\"", "is quiet: 1 job of 3 at once"]);
    desk.done("/workers/w1/resume", "").await;
    desk.page("/workers/w1/stop").await.has(&["It runs 1 job.", "name=\"reason\"", "danger"]);
    desk.done("/workers/w1/stop", "reason=moving").await;
    let orders = desk.engine.beat(beat(WorkerState::Quiet)).await.expect("a beat");
    assert_eq!(orders.order, Some(WorkerOrder::Stop));
    desk.refused("/workers/nobody/quiet", "", 404, "No such worker").await;
}

#[tokio::test]
async fn settings_are_changed_where_they_differ() {
    let desk = Desk::new();
    desk.add("q", "n", b"{}").await;
    let of = async |name: &str| {
        let view = desk.engine.queue("q").await.expect("there");
        let setting = view.settings.into_iter().find(|setting| setting.setting == name).expect("a setting");
        (setting.value.as_u64(), setting.source)
    };
    assert_eq!(desk.done("/queues/q/settings", "attempts=5&lease=&timeout=none&reason=x").await, "/queues/q?done=set");
    let (attempts, source) = of("attempts").await;
    assert!(
        attempts == Some(5) && matches!(&source, SettingSource::Queue(actor) if actor.contains("dashboard")),
        "{source:?}"
    );
    assert_eq!((of("timeout_ms").await.0, of("lease_ms").await.1), (Some(0), SettingSource::Default));
    desk.page("/queues/q").await.has(&[
        "name=\"attempts\" value=\"5\"",
        "set by ",
        "name=\"lease\" value=\"\" placeholder=\"30s\"",
    ]);
    assert_eq!(desk.done("/queues/q/settings", "attempts=5&lease=&timeout=none").await, "/queues/q?done=unchanged");
    desk.refused("/queues/q/settings", "attempts=5&lease=30", 400, "lease is 30; allowed: a number with a unit").await;
    desk.done("/queues/q/settings", "attempts=&timeout=none").await;
    assert_eq!(of("attempts").await, (Some(16), SettingSource::Default));
    assert_eq!(of("timeout_ms").await.0, Some(0));
}

#[tokio::test]
async fn a_preview_counts_what_it_looks_at_and_says_so() {
    let desk = Desk::new();
    let jobs = |name: &str, number: usize| (0..number).map(|_| NewJob::new(name, "{}")).collect::<Vec<_>>();
    desk.engine.enqueue("q", [jobs("even", 3_000), jobs("odd", 3_000)].concat()).await.expect("enqueued");
    let preview = async |name: &str| desk.page(&format!("/operations/new?verb=cancel&q=queue%3Aq+name%3A{name}")).await;
    preview("even")
        .await
        .has(&["Of the first 5,000 jobs that were looked at <b>3,000 jobs</b> match", "data-test-job=\"1\""]);
    preview("odd").await.has(&["Of the first 5,000 jobs that were looked at <b>2,000 jobs</b> match"]);
    desk.page("/operations/new?verb=cancel&q=state%3Awaiting")
        .await
        .has(&["data-test-preview><b>6,000 jobs</b> match"]);
}

#[tokio::test]
async fn many_jobs_are_looked_at_before_anything_is_done_with_them() {
    let desk = Desk::new();
    for _ in 0..12 {
        desk.dead("q", "no").await;
    }
    desk.add("q", "n", b"{}").await;
    let dead = desk.page("/dead?q=queue%3Aq").await;
    dead.has(&["Dead letters", "data-test-bulk=\"retry\"", "data-test-bulk=\"remove\"", "data-test-job=\"12\""]);
    dead.lacks("data-test-bulk=\"cancel\"").lacks("data-test-job=\"13\"");
    let preview = desk.page("/operations/new?verb=retry&q=state%3Adead+queue%3Aq").await;
    preview.has(&["Run again: many jobs", "<b>12 jobs</b> match", "state:dead queue:q", "name=\"reason\""]);
    desk.page("/operations/new?verb=retry&q=name%3Asend").await.has(&["<b>12 jobs</b> match "]);
    let to = desk.done("/operations", "verb=retry&q=state%3Adead+queue%3Aq&reason=mended").await;
    assert_eq!(to, "/operations/1");
    let operation = desk.ended(1).await;
    assert_eq!((operation.changed, operation.reason.as_str()), (12, "mended"));
    assert!(operation.actor.contains("dashboard"), "{}", operation.actor);
    assert_eq!(desk.engine.stats().await.expect("stats").counts.dead, 0);
    desk.page("/operations/1").await.has(&["data-test-operation=\"finished\"", "state:dead queue:q", "mended"]);
    desk.page("/operations").await.has(&["data-test-operations", "Run again: ", "mended"]);
    desk.page("/dead").await.has(&["No job is dead"]);
}

#[tokio::test]
async fn jobs_are_taken_away_only_by_whoever_says_so() {
    let desk = Desk::new();
    desk.add("q", "n", b"{}").await;
    desk.page("/operations/new?verb=remove&q=queue%3Aq").await.has(&["data-test-sure", "danger"]);
    desk.refused("/operations", "verb=remove&q=queue%3Aq", 400, "tick the box").await;
    desk.refused("/operations", "verb=burn&q=queue%3Aq", 400, "verb is burn; allowed: promote, cancel, retry, remove")
        .await;
    desk.refused("/operations", "verb=cancel&q=some+text", 400, "contains").await;
    assert_eq!(desk.get("/operations/new?verb=cancel&q=text").await.status.as_u16(), 400);
    assert_eq!(desk.engine.operations().await.expect("operations"), []);
    desk.done("/operations", "verb=remove&q=queue%3Aq&sure=yes").await;
    assert_eq!(desk.ended(1).await.changed, 1);
    desk.refused("/operations/1/cancel", "", 409, "operation 1").await;
    assert_eq!(desk.get("/operations/2").await.status.as_u16(), 404);
}
