//! The numbered clauses of the `Engine` contract that every engine can be held to without restarts and faults.
//!
//! Clause 1 is in `durable`, clauses 13 and 15 are in `faults`; other topics test what follows from the clauses.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use std::collections::BTreeSet;

use super::context;
use super::feed::{now, read_on};
use super::identity::{add_id, with_id};
use super::rig::{Rig, WORKER, failure, order, proof};
use crate::engine::EngineExt;
use crate::model::{
    Added, Beat, Command, Context, Extension, JobFilter, JobNumber, JobRef, JobState, JobVerb, LeaseRequest, NewJob,
    Outcome, Reply, Settled, Settlement, Word,
};

fn enqueue(id: &str) -> Command {
    Command::Enqueue { queue: "q".into(), jobs: vec![NewJob::new("work", id.to_owned()).with(with_id(id))] }
}

fn by_id(id: &str) -> JobRef {
    JobRef::Id { queue: Some("q".into()), id: id.into() }
}

pub async fn clause_2_a_command_is_applied_whole_or_not_at_all(rig: &Rig) {
    rig.add_many("q", 2).await;
    let leased = rig.lease("q").await;
    let settlements = vec![Settlement { lease: proof(&leased), outcome: Outcome::Complete { result: None } }];
    let too_many = Some(order("q", 9_999));
    let error = rig.refused(Command::Settle { settlements, then_lease: too_many }).await;
    assert_eq!(error.word, Word::BadArg);
    assert_eq!(rig.state(leased.number).await, JobState::Active, "nothing was settled");
    let leases = vec![proof(&leased)];
    rig.refused(Command::Extend { leases, lease_ms: Some(1) }).await;
}

pub async fn clause_3_each_command_sees_what_those_before_it_did(rig: &Rig) {
    let commands = vec![
        enqueue("a"),
        Command::Job { job: by_id("a"), verb: JobVerb::Cancel },
        Command::ShowJob { job: by_id("a") },
        Command::Job { job: by_id("a"), verb: JobVerb::Retry },
        Command::Lease(order("q", 1)),
        Command::ShowQueue { queue: "q".into() },
    ];
    let answers = rig.engine().execute(&Context::default(), commands).await.expect("all are answered");
    let Ok(Reply::Enqueued(enqueued)) = &answers[0] else { panic!("{:?}", answers[0]) };
    let number = enqueued[0].number;
    assert_eq!(answers[1], Ok(Reply::Changed { number, state: JobState::Cancelled }));
    let Ok(Reply::Job(job)) = &answers[2] else { panic!("{:?}", answers[2]) };
    assert_eq!(job.summary.state, JobState::Cancelled);
    assert_eq!(answers[3], Ok(Reply::Changed { number, state: JobState::Waiting }));
    let Ok(Reply::Leased(leased)) = &answers[4] else { panic!("{:?}", answers[4]) };
    assert_eq!(leased[0].number, number);
    let Ok(Reply::Queue(view)) = &answers[5] else { panic!("{:?}", answers[5]) };
    assert_eq!((view.counts.active, view.counts.enqueued), (1, 1));
}

pub async fn clause_4_a_refused_command_does_not_keep_the_others_from_being_applied(rig: &Rig) {
    let commands = vec![
        enqueue("a"),
        Command::Job { job: by_id("a"), verb: JobVerb::Promote },
        Command::ShowJob { job: by_id("nobody") },
        Command::Enqueue { queue: String::new(), jobs: Vec::new() },
        enqueue("b"),
    ];
    let answers = rig.engine().execute(&Context::default(), commands).await.expect("each is answered");
    let words: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|error| error.word)).collect();
    assert_eq!(words, [None, Some(Word::State), Some(Word::NoJob), Some(Word::BadArg), None]);
    assert_eq!(rig.counts("q").await.waiting, 2);
}

pub async fn clause_5_a_call_without_commands_answers_nothing_and_writes_nothing(rig: &Rig) {
    rig.add("q").await;
    let (before, cursor) = (rig.hash().await, now(rig).await);
    assert_eq!(rig.engine().execute(&Context::default(), Vec::new()).await, Ok(Vec::new()));
    assert_eq!((rig.hash().await, now(rig).await), (before, cursor));
}

pub async fn clause_6_calls_may_come_from_any_number_of_tasks(rig: &Rig) {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let engine = rig.engine();
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for _ in 0..20 {
                    numbers.push(engine.enqueue("q", vec![NewJob::new("work", "{}")]).await.expect("taken")[0].number);
                }
                numbers
            })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for task in tasks {
        let added = task.await.expect("no panic");
        assert!(added.windows(2).all(|pair| pair[0] < pair[1]), "a task's own numbers ascend");
        numbers.extend(added);
    }
    assert_eq!((numbers.len(), rig.counts("q").await.waiting), (1_000, 1_000));
}

pub async fn clause_7_an_older_token_is_refused_and_changes_nothing(rig: &Rig) {
    rig.add("q").await;
    let old = rig.lease("q").await;
    rig.engine().job_verb(&context("ann", ""), old.number.into(), JobVerb::Cancel).await.expect("cancelled");
    rig.settle(&old, Outcome::Release).await;
    rig.verb(old.number, JobVerb::Retry).await;
    let new = rig.lease("q").await;
    assert!(new.token > old.token, "tokens only grow");
    let before = rig.hash().await;
    let error = rig.engine().progress(proof(&old), "1".into()).await.expect_err("an older token");
    assert_eq!(error.word, Word::Stale);
    assert_eq!(rig.engine().extend(vec![proof(&old)]).await, Ok(vec![Extension::Lost]));
    assert_eq!(rig.hash().await, before);
    rig.complete(&new).await;
}

pub async fn clause_8_a_settlement_that_counted_answers_already_when_sent_again(rig: &Rig) {
    rig.add_many("q", 3).await;
    let leased = rig.lease_up_to("q", 3).await;
    let settlements = || -> Vec<_> {
        let outcomes = [Outcome::Complete { result: Some("1".into()) }, failure("it broke"), Outcome::Release];
        leased.iter().map(proof).zip(outcomes).map(|(lease, outcome)| Settlement { lease, outcome }).collect()
    };
    let engine = rig.engine();
    let (first, _) = engine.settle_all(settlements(), None).await.expect("answered");
    assert_eq!(first, [Ok(Settled::Counted), Ok(Settled::Counted), Ok(Settled::Counted)]);
    let before = rig.hash().await;
    let (again, _) = engine.settle_all(settlements(), None).await.expect("answered");
    assert_eq!(again, [Ok(Settled::Already), Ok(Settled::Already), Ok(Settled::Already)]);
    assert_eq!(rig.hash().await, before);
}

pub async fn clause_9_an_enqueue_with_a_known_id_answers_the_first_jobs_number(rig: &Rig) {
    let first = add_id(rig, "q", "a").await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let engine = rig.engine();
            tokio::spawn(async move {
                engine.execute(&Context::default(), vec![enqueue("a"), enqueue("b")]).await.expect("answered")
            })
        })
        .collect();
    let mut created = Vec::new();
    for task in tasks {
        for answer in task.await.expect("no panic") {
            let Ok(Reply::Enqueued(enqueued)) = answer else { panic!("{answer:?}") };
            created
                .extend(enqueued.into_iter().filter(|one| one.added == Added::Created || one.number != first.number));
        }
    }
    assert_eq!(created.iter().filter(|one| one.added == Added::Created).count(), 1, "b was made once");
    assert!(created.iter().all(|one| one.number == created[0].number), "and everyone was told its number");
    assert_eq!(rig.counts("q").await.enqueued, 2);
}

pub async fn clause_10_a_job_is_in_exactly_one_state_and_counts_are_exact(rig: &Rig) {
    rig.add_many("q", 40).await;
    for (at, leased) in rig.lease_up_to("q", 30).await.iter().enumerate() {
        match at % 5 {
            0 => rig.complete(leased).await,
            1 => rig.fail(leased).await,
            2 => rig.settle(leased, Outcome::Release).await,
            3 => assert_eq!(rig.cancel(leased.number).await, JobState::Active),
            _ => {}
        }
        let counts = rig.counts("q").await;
        assert!(counts.balanced(), "{counts:?}");
        let mut listed = 0;
        for &state in JobState::ALL {
            let filter = JobFilter { queue: Some("q".into()), states: vec![state], ..JobFilter::default() };
            let page = rig.engine().jobs(filter, None, 1_000).await.expect("the list is read");
            assert_eq!(page.jobs.len() as u64, counts.of(state), "{state}");
            listed += page.jobs.len();
        }
        assert_eq!(listed, 40);
    }
}

pub async fn clause_11_a_dropped_waiter_holds_a_job_no_longer_than_its_workers_next_beat(rig: &Rig) {
    let engine = rig.engine();
    let request = LeaseRequest { order: order("q", 1), wait_ms: 600_000 };
    let waiting = tokio::spawn(async move { engine.lease(&Context::default(), request).await });
    // Whether the call has begun, has the job already, or never began: dropped, it must not keep it.
    let number = rig.add("q").await;
    waiting.abort();
    let dropped = waiting.await.is_err();
    let beat = Beat { worker: WORKER.into(), reconnected: true, ..Beat::default() };
    rig.engine().beat(beat).await.expect("a beat is answered");
    rig.until("the job waits again, or its lease was answered", async || {
        !dropped || rig.state(number).await == JobState::Waiting
    })
    .await;
}

pub async fn clause_12_waiting_leases_are_served_first_come_first_served(rig: &Rig) {
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let engine = rig.engine();
        let request = LeaseRequest { order: order("q", 1), wait_ms: 600_000 };
        tasks.push(rig.begin(async move { engine.lease(&Context::default(), request).await }).await);
    }
    let expected = rig.add_many("q", 8).await;
    let mut served = Vec::new();
    for task in tasks {
        served.extend(task.await.expect("no panic").expect("leased").into_iter().map(|leased| leased.number));
    }
    assert_eq!(served, expected, "who came first got the first job");
}

pub async fn clause_14_every_change_stands_in_the_feed_once_in_order(rig: &Rig) {
    let cursor = now(rig).await;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let engine = rig.engine();
            tokio::spawn(async move {
                for _ in 0..10 {
                    engine.enqueue("q", vec![NewJob::new("work", "{}")]).await.expect("taken");
                    for leased in engine.lease_now(order("q", 1)).await.expect("answered") {
                        let done = Outcome::Complete { result: None };
                        assert_eq!(engine.settle(proof(&leased), done).await, Ok(Settled::Counted));
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let (events, _) = read_on(rig, &cursor, 100).await;
    let enqueued: Vec<_> = events.iter().filter(|event| event.event == "enqueued").map(|event| event.number).collect();
    assert_eq!(enqueued.len(), 100);
    assert!(enqueued.windows(2).all(|pair| pair[0] < pair[1]), "in the order in which it happened");
    for number in enqueued.into_iter().flatten() {
        check_one_life(&events, number);
    }
}

fn check_one_life(events: &[crate::model::EventRecord], number: JobNumber) {
    let of_job = events.iter().filter(|event| event.number == Some(number));
    let words: Vec<_> = of_job.map(|event| event.event.as_str()).collect();
    let whole = ["enqueued", "leased", "completed"];
    assert!(whole.starts_with(&words), "job {number} lived through {words:?}");
}
