//! Handing out: to one worker at a time, from several queues in order, extended, expired, lost.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::{Rig, WORKER, order, proof};
use crate::engine::EngineExt;
use crate::model::{
    Command, Extension, JobState, JobVerb, LeaseOrder, LeaseOutcome, LeaseRef, LeaseToken, Outcome, QueueSettings,
    Reply, Word,
};

async fn extend(rig: &Rig, leases: Vec<LeaseRef>) -> Vec<Extension> {
    rig.engine().extend(leases).await.expect("extensions are answered")
}

pub(crate) async fn short_leases(rig: &Rig, queue: &str) {
    rig.set(queue, QueueSettings { lease_ms: Some(100), ..QueueSettings::default() }).await;
}

pub async fn a_leased_job_is_not_handed_out_again(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    assert_eq!((leased.number, rig.state(number).await), (number, JobState::Active));
    rig.nothing_ready("q").await;
}

pub async fn an_order_takes_at_most_its_limit(rig: &Rig) {
    let numbers = rig.add_many("q", 10).await;
    let leased = rig.lease_up_to("q", 7).await;
    assert_eq!(leased.iter().map(|leased| leased.number).collect::<Vec<_>>(), numbers[..7]);
    assert_eq!(rig.counts("q").await.active, 7);
    assert_eq!(rig.lease_up_to("q", 7).await.len(), 3);
}

pub async fn queues_are_looked_at_in_the_orders_order(rig: &Rig) {
    let low = rig.add_many("low", 2).await;
    let high = rig.add_many("high", 2).await;
    let queues = vec!["high".into(), "low".into()];
    let leased = rig.engine().lease_now(LeaseOrder { queues, ..order("", 3) }).await.expect("leased");
    let numbers: Vec<_> = leased.iter().map(|leased| leased.number).collect();
    assert_eq!(numbers, [high[0], high[1], low[0]]);
    assert_eq!(leased[2].queue, "low");
}

pub async fn a_queue_that_does_not_exist_counts_as_empty(rig: &Rig) {
    let number = rig.add("here").await;
    let queues = vec!["nowhere".into(), "here".into()];
    let leased = rig.engine().lease_now(LeaseOrder { queues, ..order("", 1) }).await.expect("leased");
    assert_eq!(leased[0].number, number);
    assert_eq!(rig.engine().queue("nowhere").await.expect_err("leasing makes no queue").word, Word::NoQueue);
}

pub async fn tokens_only_grow(rig: &Rig) {
    rig.add_many("q", 3).await;
    let mut last = LeaseToken(0);
    for _ in 0..3 {
        for leased in rig.lease_up_to("q", 3).await {
            assert!(leased.token > last, "{} after {last}", leased.token);
            last = leased.token;
            rig.settle(&leased, Outcome::Release).await;
        }
    }
}

pub async fn a_queues_lease_length_is_used(rig: &Rig) {
    rig.set("q", QueueSettings { lease_ms: Some(77_000), ..QueueSettings::default() }).await;
    let number = rig.add("q").await;
    assert_eq!(rig.lease("q").await.lease_ms, 77_000);
    let job = rig.job(number).await;
    assert_eq!(job.summary.at_ms, Some(job.leases[0].leased_at_ms + 77_000));
}

pub async fn an_orders_own_lease_length_beats_the_queues(rig: &Rig) {
    rig.add("q").await;
    let leased = rig.engine().lease_now(LeaseOrder { lease_ms: Some(5_000), ..order("q", 1) }).await.expect("leased");
    assert_eq!(leased[0].lease_ms, 5_000);
}

pub async fn an_expired_lease_is_handed_out_again_as_the_same_attempt(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add("q").await;
    let first = rig.lease("q").await;
    rig.pass_to(100, number, JobState::Waiting).await;
    assert_eq!(rig.job(number).await.stalls, 1);
    let second = rig.lease("q").await;
    assert_eq!((second.number, second.attempt), (number, 1));
    assert!(second.token > first.token);
}

pub async fn an_extended_lease_gets_its_full_length_again(rig: &Rig) {
    rig.set("q", QueueSettings { lease_ms: Some(400), ..QueueSettings::default() }).await;
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    let expires_at = async || rig.job(number).await.summary.at_ms.expect("an active job's lease expires");
    let first = expires_at().await;
    rig.pass(150, "the extended lease ends later", async || {
        assert_eq!(extend(rig, vec![proof(&leased)]).await, [Extension::Extended { lease_ms: 400 }]);
        expires_at().await >= first + 100
    })
    .await;
}

pub async fn an_extension_may_ask_for_another_length(rig: &Rig) {
    let number = rig.add("q").await;
    let leased = rig.lease("q").await;
    let reply = rig.done(Command::Extend { leases: vec![proof(&leased)], lease_ms: Some(3_600_000) }).await;
    assert_eq!(reply, Reply::Extended(vec![Extension::Extended { lease_ms: 3_600_000 }]));
    let job = rig.job(number).await;
    assert!(job.summary.at_ms >= Some(job.leases[0].leased_at_ms + 3_600_000));
}

pub async fn each_lease_of_an_extension_is_answered_in_order(rig: &Rig) {
    rig.add_many("q", 3).await;
    let leased = rig.lease_up_to("q", 3).await;
    rig.complete(&leased[0]).await;
    rig.cancel(leased[2].number).await;
    let answers = extend(rig, leased.iter().map(proof).collect()).await;
    assert_eq!(answers[..2], [Extension::Lost, Extension::Extended { lease_ms: 30_000 }]);
    assert!(matches!(answers[2], Extension::Cancel { .. }), "{:?}", answers[2]);
}

pub async fn a_lease_that_went_to_another_is_lost(rig: &Rig) {
    rig.add("q").await;
    let first = rig.lease("q").await;
    rig.settle(&first, Outcome::Release).await;
    let second = rig.lease("q").await;
    let before = rig.hash().await;
    assert_eq!(extend(rig, vec![proof(&first)]).await, [Extension::Lost]);
    assert_eq!(rig.hash().await, before, "a lost lease changes nothing");
    assert_eq!(extend(rig, vec![proof(&second)]).await, [Extension::Extended { lease_ms: 30_000 }]);
}

pub async fn a_lease_on_a_job_that_never_was_is_lost(rig: &Rig) {
    rig.add("q").await;
    let leased = rig.lease("q").await;
    let nobody = LeaseRef { number: crate::model::JobNumber(9_999), token: leased.token };
    let wrong = LeaseRef { number: leased.number, token: leased.token.next() };
    assert_eq!(extend(rig, vec![nobody, wrong]).await, [Extension::Lost, Extension::Lost]);
}

pub async fn an_extended_lease_of_a_cancelled_job_says_who_and_why(rig: &Rig) {
    rig.add("q").await;
    let leased = rig.lease("q").await;
    let context = super::context("ann", "wrong address");
    let done = rig.engine().job_verb(&context, leased.number.into(), JobVerb::Cancel).await;
    assert_eq!(done, Ok((leased.number, JobState::Active)));
    let [Extension::Cancel { reason }] = &extend(rig, vec![proof(&leased)]).await[..] else {
        panic!("the handler is told");
    };
    assert!(reason.contains("ann") && reason.contains("wrong address"), "{reason}");
    // Whoever asks again changes neither what was said nor since when.
    let again = super::context("bob", "in a hurry");
    let done = rig.engine().job_verb(&again, leased.number.into(), JobVerb::Cancel).await;
    assert_eq!(done, Ok((leased.number, JobState::Active)));
    let told = extend(rig, vec![proof(&leased)]).await;
    assert_eq!(told, [Extension::Cancel { reason: reason.clone() }]);
}

pub async fn an_expired_lease_is_a_row_of_the_timeline(rig: &Rig) {
    short_leases(rig, "q").await;
    let number = rig.add("q").await;
    rig.lease("q").await;
    rig.pass_to(100, number, JobState::Waiting).await;
    let job = rig.job(number).await;
    assert_eq!((job.leases.len(), job.leases[0].outcome), (1, LeaseOutcome::Expired));
    assert_eq!((job.leases[0].worker.as_str(), job.leases[0].lease), (WORKER, 1));
    let length = job.leases[0].ended_at_ms.expect("it ended") - job.leases[0].leased_at_ms;
    assert!(length >= 100, "it lasted {length} ms");
}

pub async fn nothing_is_leased_from_an_empty_queue(rig: &Rig) {
    rig.nothing_ready("q").await;
    let number = rig.add("q").await;
    rig.remove(number).await;
    rig.nothing_ready("q").await;
}
