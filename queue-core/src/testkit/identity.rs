//! Numbers and ids: who a job is, and that an id makes one job.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::Rig;
use crate::engine::EngineExt;
use crate::model::{Added, Command, Enqueued, JobNumber, JobOptions, JobRef, NewJob, Word};

pub(crate) fn with_id(id: &str) -> JobOptions {
    JobOptions { id: Some(id.to_owned()), ..JobOptions::default() }
}

pub(crate) async fn add_id(rig: &Rig, queue: &str, id: &str) -> Enqueued {
    rig.enqueue(queue, vec![NewJob::new("work", id.to_owned()).with(with_id(id))]).await[0]
}

fn by_id(queue: Option<&str>, id: &str) -> JobRef {
    JobRef::Id { queue: queue.map(str::to_owned), id: id.to_owned() }
}

pub async fn an_id_enqueued_again_answers_the_first_number_and_changes_nothing(rig: &Rig) {
    let first = add_id(rig, "q", "order-42").await;
    assert_eq!(first.added, Added::Created);
    let before = rig.hash().await;
    let again = NewJob::new("other", "other").with(JobOptions { priority: Some(9), ..with_id("order-42") });
    let again = rig.enqueue("q", vec![again]).await[0];
    assert_eq!(again, Enqueued { number: first.number, added: Added::Existing });
    assert_eq!(rig.hash().await, before);
    assert_eq!(rig.job(first.number).await.payload, "order-42");
}

pub async fn an_id_twice_in_one_batch_makes_one_job(rig: &Rig) {
    let jobs = ["a", "b", "a"].map(|id| NewJob::new("work", "{}").with(with_id(id))).to_vec();
    let enqueued = rig.enqueue("q", jobs).await;
    assert_eq!(
        enqueued.iter().map(|one| one.added).collect::<Vec<_>>(),
        [Added::Created, Added::Created, Added::Existing]
    );
    assert_eq!(enqueued[2].number, enqueued[0].number);
    assert_eq!(rig.counts("q").await.enqueued, 2);
}

pub async fn a_batch_run_again_adds_only_what_is_missing(rig: &Rig) {
    let jobs = |ids: &[&str]| ids.iter().map(|id| NewJob::new("work", "{}").with(with_id(id))).collect::<Vec<_>>();
    rig.enqueue("q", jobs(&["a", "c"])).await;
    let added: Vec<_> = rig.enqueue("q", jobs(&["a", "b", "c"])).await.iter().map(|one| one.added).collect();
    assert_eq!(added, [Added::Existing, Added::Created, Added::Existing]);
    assert_eq!(rig.counts("q").await.enqueued, 3);
}

pub async fn an_id_belongs_to_its_queue(rig: &Rig) {
    let here = add_id(rig, "here", "x").await;
    let there = add_id(rig, "there", "x").await;
    assert_eq!(there.added, Added::Created);
    assert_ne!(here.number, there.number);
}

pub async fn an_id_stays_known_when_its_job_is_done(rig: &Rig) {
    let first = add_id(rig, "q", "x").await;
    rig.complete(&rig.lease("q").await).await;
    assert_eq!(add_id(rig, "q", "x").await, Enqueued { number: first.number, added: Added::Existing });
}

pub async fn an_id_is_remembered_when_its_job_is_removed(rig: &Rig) {
    let first = add_id(rig, "q", "x").await;
    rig.remove(first.number).await;
    assert_eq!(add_id(rig, "q", "x").await, Enqueued { number: first.number, added: Added::ExistingGone });
    assert_eq!(rig.counts("q").await.enqueued, 1);
}

pub async fn a_job_can_be_named_by_its_id(rig: &Rig) {
    let first = add_id(rig, "q", "order-42").await;
    for job in [by_id(None, "order-42"), by_id(Some("q"), "order-42")] {
        let job = rig.engine().job(job).await.expect("the id names the job");
        assert_eq!((job.summary.number, job.summary.id.as_deref()), (first.number, Some("order-42")));
    }
}

pub async fn an_id_that_two_queues_know_needs_its_queue(rig: &Rig) {
    add_id(rig, "here", "x").await;
    let there = add_id(rig, "there", "x").await;
    let error = rig.refused(Command::ShowJob { job: by_id(None, "x") }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.contains("queue"), "the message says to name the queue: {error}");
    let job = rig.engine().job(by_id(Some("there"), "x")).await.expect("the queue decides");
    assert_eq!(job.summary.number, there.number);
}

pub async fn a_job_that_does_not_exist_is_named_in_the_error(rig: &Rig) {
    rig.add("q").await;
    let message = "no job #77: it never existed, was removed, or aged out";
    rig.check_refused(Command::ShowJob { job: JobNumber(77).into() }, Word::NoJob, message).await;
    let message = "no job order-1: it never existed, was removed, or aged out";
    rig.check_refused(Command::ShowJob { job: by_id(None, "order-1") }, Word::NoJob, message).await;
    let message = "no job order-1: it never existed, was removed, or aged out";
    rig.check_refused(Command::ShowJob { job: by_id(Some("q"), "order-1") }, Word::NoJob, message).await;
}

pub async fn numbers_ascend_and_are_never_used_again(rig: &Rig) {
    let first = rig.add("q").await;
    let second = rig.add("other").await;
    assert!(first < second, "numbers are the store's, not the queue's");
    rig.remove(second).await;
    assert!(second < rig.add("q").await);
}

pub async fn an_id_needs_a_character_that_is_not_a_digit(rig: &Rig) {
    let jobs = vec![NewJob::new("work", "{}").with(with_id("12345"))];
    let error = rig.refused(Command::Enqueue { queue: "q".into(), jobs }).await;
    assert_eq!(error.word, Word::BadArg);
    assert!(error.message.contains("id is 12345; allowed: "), "{error}");
}
