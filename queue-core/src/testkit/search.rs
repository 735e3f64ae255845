//! Searching: lists of jobs whose payload has a text in it.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::{Rig, proof};
use crate::engine::EngineExt;
use crate::model::{
    BulkVerb, Command, Edit, JobFilter, JobNumber, JobOptions, JobPage, JobState, JobVerb, NewJob, Outcome, Reply,
    Settlement, Word,
};

fn with(text: &str) -> JobFilter {
    JobFilter { queue: Some("q".into()), contains: Some(text.to_owned()), ..JobFilter::default() }
}

/// Jobs with these payloads, in this order.
async fn add(rig: &Rig, payloads: &[&[u8]]) -> Vec<JobNumber> {
    let jobs = payloads.iter().map(|payload| NewJob::new("n", payload.to_vec())).collect();
    rig.enqueue("q", jobs).await.into_iter().map(|added| added.number).collect()
}

/// `count` jobs, of which each `step`th, counted from 0, has `needle` in its payload; and the numbers of these.
async fn haystack(rig: &Rig, count: usize, step: usize) -> (Vec<JobNumber>, Vec<JobNumber>) {
    let payload = |at: usize| if at.is_multiple_of(step) { format!("a needle {at}") } else { format!("hay {at}") };
    let jobs = (0..count).map(|at| NewJob::new("n", payload(at))).collect();
    let all: Vec<_> = rig.enqueue("q", jobs).await.into_iter().map(|added| added.number).collect();
    let needles = all.iter().copied().step_by(step).collect();
    (all, needles)
}

async fn page(rig: &Rig, filter: &JobFilter, cursor: Option<String>, limit: u32) -> JobPage {
    let page = rig.engine().jobs(filter.clone(), cursor, limit).await.expect("the list is read");
    assert!(page.jobs.len() <= limit as usize && page.looked_at <= 1_000, "a page keeps its bounds");
    page
}

/// All jobs that are found, in pages of `limit`, and how many were looked at for that.
async fn search(rig: &Rig, filter: &JobFilter, limit: u32) -> (Vec<JobNumber>, u64) {
    let (mut found, mut looked_at, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = page(rig, filter, cursor, limit).await;
        found.extend(page.jobs.iter().map(|row| row.number));
        looked_at += page.looked_at;
        cursor = page.cursor;
        if cursor.is_none() {
            return (found, looked_at);
        }
    }
}

pub async fn a_search_finds_the_bytes_as_they_stand(rig: &Rig) {
    let payloads: &[&[u8]] =
        &[b"{\"to\":\"ann@example.com\"}", b"{\"to\":\"ANN\"}", b"bob", b"", b"\xff\xfe bob\0", "Grüße".as_bytes()];
    let numbers = add(rig, payloads).await;
    for (text, at) in [
        ("ann", &[0][..]),
        ("ANN", &[1]),
        ("bob", &[2, 4]),
        ("\"to\":\"", &[0, 1]),
        ("bob\0", &[4]),
        ("üß", &[5]),
        ("{\"to\":\"ann@example.com\"}", &[0]),
        ("{\"to\":\"ann@example.com\"} ", &[]),
        ("a.n", &[]),
    ] {
        let expected: Vec<_> = at.iter().map(|&at: &usize| numbers[at]).collect();
        assert_eq!(search(rig, &with(text), 100).await.0, expected, "{text:?}");
    }
}

pub async fn a_search_looks_at_payloads_alone(rig: &Rig) {
    let options = JobOptions { id: Some("needle".into()), tags: vec!["needle".into()], ..JobOptions::default() };
    rig.enqueue("q", vec![NewJob::new("needle", "hay").with(options)]).await;
    let leased = rig.lease("q").await;
    rig.settle(&leased, Outcome::Complete { result: Some("needle".into()) }).await;
    assert_eq!(search(rig, &with("needle"), 100).await, (Vec::new(), 1));
}

pub async fn a_search_goes_through_every_state_and_queue(rig: &Rig) {
    let numbers = add(rig, &[b"x 0", b"x 1", b"x 2", b"x 3"]).await;
    rig.complete(&rig.lease("q").await).await;
    rig.lease("q").await;
    rig.cancel(numbers[2]).await;
    let delayed = JobOptions { delay_ms: Some(60_000), ..JobOptions::default() };
    let later = rig.enqueue("q", vec![NewJob::new("n", "x 4").with(delayed)]).await[0].number;
    let elsewhere = rig.enqueue("other", vec![NewJob::new("n", "x 5")]).await[0].number;
    let all = JobFilter { queue: None, ..with("x ") };
    for limit in [1, 100] {
        let (mut found, looked_at) = search(rig, &all, limit).await;
        found.sort_unstable();
        assert_eq!(found, [&numbers[..], &[later, elsewhere]].concat(), "in pages of {limit}");
        assert_eq!(looked_at, 6);
    }
    let waiting = JobFilter { states: vec![JobState::Waiting], ..all };
    assert_eq!(search(rig, &waiting, 100).await.0, [elsewhere, numbers[3]]);
}

pub async fn every_other_field_of_a_search_must_match_too(rig: &Rig) {
    let tagged = JobOptions { tags: vec!["eu".into()], ..JobOptions::default() };
    let jobs = vec![
        NewJob::new("send", "needle").with(tagged.clone()),
        NewJob::new("send", "needle"),
        NewJob::new("send", "hay").with(tagged),
    ];
    let first = rig.enqueue("q", jobs).await[0].number;
    let filter = JobFilter { tag: Some("eu".into()), name: Some("send".into()), ..with("needle") };
    assert_eq!(search(rig, &filter, 100).await, (vec![first], 3));
    assert_eq!(search(rig, &JobFilter { up_to: Some(JobNumber(first.0 - 1)), ..filter }, 100).await.0, []);
}

pub async fn a_row_that_is_found_says_what_the_shown_job_says(rig: &Rig) {
    let number = add(rig, &[b"needle"]).await[0];
    let page = page(rig, &with("needle"), None, 10).await;
    assert_eq!((page.jobs, page.cursor, page.looked_at), (vec![rig.job(number).await.summary], None, 1));
}

pub async fn pages_of_any_size_find_the_same_jobs_in_the_same_order(rig: &Rig) {
    let (_, needles) = haystack(rig, 2_500, 7).await;
    for limit in [1, 2, 3, 50, 1_000] {
        assert_eq!(search(rig, &with("needle"), limit).await, (needles.clone(), 2_500), "in pages of {limit}");
    }
}

pub async fn a_search_that_finds_nothing_says_how_far_it_got(rig: &Rig) {
    haystack(rig, 2_500, 3_000).await;
    let (mut cursor, mut looked_at) = (None, Vec::new());
    loop {
        let page = page(rig, &with("thimble"), cursor, 10).await;
        assert!(page.jobs.is_empty());
        looked_at.push(page.looked_at);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(looked_at, [1_000, 1_000, 500]);
}

pub async fn a_page_of_large_payloads_ends_early_and_the_search_goes_on(rig: &Rig) {
    let mut numbers = Vec::new();
    for at in 0..14_u8 {
        let payload = |end: &str| [&vec![b'a' + at; 64 << 10][..], end.as_bytes()].concat();
        let jobs = (0..30).map(|at| NewJob::new("n", payload(if at == 29 { "needle" } else { "" }))).collect();
        numbers.push(rig.enqueue("q", jobs).await[29].number);
    }
    let first = page(rig, &with("needle"), None, 1_000).await;
    assert!(first.looked_at < 420 && first.cursor.is_some(), "{} were looked at", first.looked_at);
    assert_eq!(search(rig, &with("needle"), 1_000).await, (numbers, 420));
}

pub async fn a_search_goes_on_where_its_cursor_stands_though_jobs_came_and_went(rig: &Rig) {
    let (all, needles) = haystack(rig, 1_500, 10).await;
    let first = page(rig, &with("needle"), None, 4).await;
    assert_eq!(first.jobs.iter().map(|row| row.number).collect::<Vec<_>>(), needles[..4]);
    rig.remove(needles[1]).await;
    rig.remove(needles[4]).await;
    rig.remove(all[41]).await;
    let (mut rest, mut cursor) = (Vec::new(), first.cursor);
    while cursor.is_some() {
        let page = page(rig, &with("needle"), cursor, 100).await;
        rest.extend(page.jobs.iter().map(|row| row.number));
        cursor = page.cursor;
    }
    assert_eq!(rest, needles[5..]);
}

/// Jobs are leased and given back to their places, edited and removed while a search goes on: whatever stays where it is is
/// found once, and each row is the job as it was at one instant.
pub async fn a_search_beside_changes_skips_and_repeats_nothing_that_stays(rig: &Rig) {
    let (_, needles) = haystack(rig, 1_500, 3).await;
    let (gone, stay): (Vec<_>, Vec<_>) = needles.iter().copied().partition(|number| number.0.is_multiple_of(2));
    let engine = rig.engine();
    let changes = tokio::spawn(async move {
        for &number in &gone {
            let edit = Edit { payload: Some("a thimble".into()), ..Edit::default() };
            let verb = if number.0.is_multiple_of(4) { JobVerb::Edit(edit) } else { JobVerb::Remove { force: true } };
            let order = super::rig::order("q", 5);
            let leased = engine.lease_now(order).await.expect("leased");
            let release = |lease| Settlement { lease: proof(lease), outcome: Outcome::Release };
            let settle = Command::Settle { settlements: leased.iter().map(release).collect(), then_lease: None };
            let change = Command::Job { job: number.into(), verb };
            let answers = engine.execute(&super::context("ann", ""), vec![settle, change]).await.expect("answered");
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
    });
    let waiting = JobFilter { states: vec![JobState::Waiting, JobState::Active], ..with("needle") };
    let mut rounds = 0;
    loop {
        let over = changes.is_finished();
        let (found, _) = search(rig, &waiting, 7).await;
        // The first few are leased and given back all the time: they move, and may be met in both states or in none.
        let stays = |number: &JobNumber| !number.0.is_multiple_of(2) && *number > stay[40];
        let staying: Vec<_> = found.iter().copied().filter(stays).collect();
        assert_eq!(staying, stay[41..], "in round {rounds}");
        rounds += 1;
        if over {
            assert_eq!(found, stay);
            break;
        }
    }
    changes.await.expect("the changes are made");
}

pub async fn a_search_sees_what_the_commands_before_it_did(rig: &Rig) {
    let number = add(rig, &[b"hay"]).await[0];
    let list = || Command::ListJobs { filter: with("needle"), cursor: None, limit: 10 };
    let edit = Edit { payload: Some("needle".into()), ..Edit::default() };
    let remove = Command::Job { job: number.into(), verb: JobVerb::Remove { force: false } };
    let edit = Command::Job { job: number.into(), verb: JobVerb::Edit(edit) };
    let commands = vec![list(), edit, list(), remove, list()];
    let answers = rig.engine().execute(&super::context("ann", ""), commands).await.expect("all are answered");
    let found: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| match answer.expect("none is refused") {
            Reply::Jobs(page) => Some(page.jobs.len()),
            _ => None,
        })
        .collect();
    assert_eq!(found, [0, 1, 0]);
}

pub async fn a_text_to_search_for_has_one_to_255_bytes(rig: &Rig) {
    rig.add("q").await;
    for text in ["", &"x".repeat(256)] {
        let error = rig.refused(Command::ListJobs { filter: with(text), cursor: None, limit: 10 }).await;
        assert_eq!(error.word, Word::BadArg);
        assert!(error.message.starts_with("filter.contains is "), "{error}");
        assert!(error.message.contains("1 to 255 bytes"), "{error}");
    }
    assert_eq!(search(rig, &with(&"x".repeat(255)), 10).await, (Vec::new(), 1));
}

pub async fn what_is_wrong_with_a_search_is_refused_as_in_a_list(rig: &Rig) {
    rig.add("q").await;
    let list = |filter, cursor: Option<&str>, limit| {
        rig.refused(Command::ListJobs { filter, cursor: cursor.map(str::to_owned), limit })
    };
    let nowhere = JobFilter { queue: Some("nowhere".into()), ..with("x") };
    assert_eq!(list(nowhere, None, 10).await.word, Word::NoQueue);
    assert!(list(with("x"), Some("yesterday"), 10).await.message.starts_with("cursor is "));
    assert!(list(with("x"), None, 0).await.message.starts_with("count is 0"));
}

pub async fn an_operation_takes_no_text_to_search_for(rig: &Rig) {
    rig.add("q").await;
    for verb in [BulkVerb::Cancel, BulkVerb::Remove, BulkVerb::Retry, BulkVerb::Promote] {
        let error = rig.refused(Command::StartOperation { verb, filter: with("x") }).await;
        assert_eq!(error.word, Word::BadArg);
        let message = "filter.contains is x; allowed: no text to search for: list the jobs that have it first";
        assert!(error.message.starts_with(message), "{error}");
    }
    assert_eq!(rig.counts("q").await.waiting, 1);
}
