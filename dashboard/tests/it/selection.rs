//! Jobs that are ticked in a list: previewed, done in one go, and what is refused told job by job.

use queue_core::engine::EngineExt;
use queue_core::model::{JobNumber, JobState};

use crate::common::Desk;

async fn state(desk: &Desk, number: u64) -> JobState {
    desk.engine.job(JobNumber(number).into()).await.expect("there").summary.state
}

#[tokio::test]
async fn ticked_jobs_are_previewed_and_then_done_with_who_and_why() {
    let desk = Desk::new();
    for _ in 0..3 {
        desk.dead("q", "no").await;
    }
    let list = desk.page("/dead?q=queue%3Aq").await;
    list.has(&["action=\"/jobs/selected\"", "name=\"back\" value=\"/dead?q=queue%3Aq\"", "name=\"job\" value=\"3\""]);
    list.lacks("selected-cancel").lacks("selected-promote");
    let preview = desk.page("/jobs/selected?back=%2Fdead%3Fq%3Dqueue%253Aq&job=3&job=1&job=3&verb=retry").await;
    preview.has(&["Run again: selected jobs", "<b>2 jobs</b>: 2 dead.", "data-test-job=\"1\"", "data-test-job=\"3\""]);
    preview
        .has(&["value=\"/dead?q=queue%3Aq\"", "name=\"reason\""])
        .lacks("data-test-job=\"2\"")
        .lacks("data-test-sure");
    assert_eq!(state(&desk, 1).await, JobState::Dead);
    let form = "verb=retry&job=1&job=3&reason=mended&back=%2Fdead%3Fq%3Dqueue%253Aq";
    let answer = desk.post("/jobs/selected", form).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["location"]),
        (303, &"/dead?q=queue%3Aq&done=selected".parse().unwrap())
    );
    let states = [state(&desk, 1).await, state(&desk, 2).await, state(&desk, 3).await];
    assert_eq!(states, [JobState::Waiting, JobState::Dead, JobState::Waiting]);
    let events = desk.engine.events(Some("0".to_owned()), 100, 0).await.expect("events").events;
    let told = format!("{:?}", events.last().expect("an event"));
    assert!(told.contains("mended") && told.contains("dashboard"), "{told}");
}

#[tokio::test]
async fn what_is_refused_is_told_by_job_and_the_others_are_done() {
    let desk = Desk::new();
    desk.add("q", "n", b"{}").await;
    desk.add("q", "n", b"{}").await;
    desk.lease("q").await;
    let refused = desk.post("/jobs/selected", "verb=remove&job=1&job=2").await;
    assert!(refused.status.as_u16() == 400 && refused.text.contains("tick the box"), "{}", refused.text);
    let answer = desk.post("/jobs/selected", "verb=remove&job=1&job=2&job=9&sure=yes").await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    answer.has(&[
        "data-test-selected-done=\"1\"",
        "data-test-refused=\"1\"",
        "active",
        "data-test-refused=\"9\"",
        "no job",
    ]);
    answer.lacks("data-test-refused=\"2\"");
    assert_eq!(state(&desk, 1).await, JobState::Active);
    assert!(desk.engine.job(JobNumber(2).into()).await.is_err());
    let preview = desk.page("/jobs/selected?verb=cancel&job=1&job=2").await;
    preview.has(&["data-test-gone", "#2", "<b>1 job</b>: 1 active."]);
    desk.page("/jobs/selected?verb=cancel&job=2").await.has(&["None is there any more"]).lacks("name=\"reason\"");
}

#[tokio::test]
async fn a_selection_is_of_one_page_at_most() {
    let desk = Desk::new();
    let many: String = (1..=51).map(|number| format!("&job={number}")).collect();
    for (query, says) in [
        (String::new(), "jobs is 0; allowed: 1 to 50"),
        (many, "jobs is 51; allowed: 1 to 50"),
        ("&job=x".to_owned(), "job is x; allowed: a job"),
    ] {
        let form = format!("verb=cancel{query}");
        for answer in [desk.get(&format!("/jobs/selected?{form}")).await, desk.post("/jobs/selected", &form).await] {
            assert!(answer.status.as_u16() == 400 && answer.text.contains(says), "{form}: {}", answer.text);
        }
    }
    assert_eq!(desk.get("/jobs/selected?verb=burn&job=1").await.status.as_u16(), 400);
}
