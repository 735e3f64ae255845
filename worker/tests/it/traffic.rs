//! What the worker asks of the engine, how often, and how it finds an engine again that was away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use queue_core::model::{Command, LeaseOrder, Outcome, Word};
use tokio::time::Instant;
use worker::{Activity, Context, HandlerError};

use crate::desk::{Call, Desk, gated};

/// The settling calls: how many settlements each, and how many new jobs it asked for.
fn settling(desk: &Desk) -> Vec<(usize, u32)> {
    let of = |command: &Command| match command {
        Command::Settle { settlements, then_lease } => {
            Some((settlements.len(), then_lease.as_ref().map_or(0, |order| order.limit)))
        }
        _ => None,
    };
    let calls = desk.calls();
    let commands = calls.iter().filter_map(|(_, call)| if let Call::Execute(all) = call { Some(all) } else { None });
    commands.flatten().filter_map(of).collect()
}

fn lease_calls(desk: &Desk) -> Vec<LeaseOrder> {
    desk.calls()
        .into_iter()
        .filter_map(|(_, call)| if let Call::Lease(order) = call { Some(order) } else { None })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn settlements_that_gather_during_a_call_go_with_the_next_and_bring_new_jobs() {
    let desk = Desk::new();
    let (worker, gate) = gated(&desk, 8);
    for _ in 0..20 {
        desk.job("send", |_| {});
    }
    let worker = tokio::spawn(worker.run());
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| beat.leases.len() == 8)).await;
    desk.shut();
    gate.add_permits(1);
    desk.until(|desk| settling(desk).len() == 1).await;
    gate.add_permits(7);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(settling(&desk), [(1, 1)], "one call in flight");
    desk.open();
    desk.settled(8).await;
    assert_eq!(settling(&desk), [(1, 1), (7, 7)]);
    gate.add_permits(100);
    desk.settled(20).await;
    assert!(lease_calls(&desk).len() <= 2, "settling calls brought every other job");
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn slots_that_no_job_took_over_are_asked_for_by_the_waiting_call() {
    let desk = Desk::new();
    let worker = desk.worker().concurrency(3).handler("send", async |(): (), _: Context| Ok(()));
    let worker = tokio::spawn(worker.run());
    for round in 1..=5 {
        desk.job("send", |_| {});
        desk.settled(round).await;
    }
    assert!(lease_calls(&desk).iter().all(|order| (2..=3).contains(&order.limit)));
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(lease_calls(&desk).last().expect("calls").limit, 3, "every slot is free again");
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn the_order_of_queues_follows_their_weights() {
    let desk = Desk::new();
    let worker = desk.worker().queue("critical", 5).handler("send", async |(): (), _: Context| Ok(()));
    let worker = tokio::spawn(worker.run());
    for round in 1..=600 {
        desk.job("send", |_| {});
        desk.settled(round).await;
    }
    let orders = lease_calls(&desk);
    assert!(orders.iter().all(|order| order.queues.len() == 2), "an order names every queue");
    let first = orders.iter().filter(|order| order.queues[0] == "critical").count() as f64 / orders.len() as f64;
    assert!((first - 5.0 / 6.0).abs() < 0.04, "{first} of {}", orders.len());
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_settlement_is_sent_until_the_engine_is_there_again() {
    let desk = Desk::new();
    let (worker, gate) = gated(&desk, 2);
    let (first, second) = (desk.job("send", |_| {}), desk.job("send", |_| {}));
    let worker = tokio::spawn(worker.run());
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| beat.leases.len() == 2)).await;
    desk.fail_with(Some(Word::Unreachable));
    gate.add_permits(1);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let tried = desk.beats().len();
    assert!((50..200).contains(&tried), "{tried} beats in 5 min: growing pauses up to 5 s");
    desk.fail_with(None);
    desk.settled(1).await;
    let beats: Vec<_> = desk.beats().into_iter().map(|(_, beat)| beat).skip(tried).collect();
    assert!(beats[0].reconnected);
    let mut named: Vec<_> = beats[0].leases.iter().map(|lease| lease.number).collect();
    named.sort();
    assert_eq!(named, [first, second], "what is unsettled is held");
    gate.add_permits(1);
    desk.settled(2).await;
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_not_there_at_the_start_is_waited_for() {
    for word in [Word::Unreachable, Word::Loading, Word::Unknown] {
        let desk = Desk::new();
        desk.fail_with(Some(word));
        let worker = tokio::spawn(desk.worker().handler("send", async |(): (), _: Context| Ok(())).run());
        desk.job("send", |_| {});
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(lease_calls(&desk).is_empty(), "no lease before the first beat was answered");
        desk.fail_with(None);
        desk.settled(1).await;
        worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_of_this_process_that_failed_ends_the_worker() {
    for met in [false, true] {
        let desk = Desk::new();
        desk.is_here();
        let worker = tokio::spawn(desk.worker().handler("send", async |(): (), _: Context| Ok(())).run());
        if met {
            desk.job("send", |_| {});
            desk.settled(1).await;
        }
        desk.fail_with(Some(Word::Unknown));
        let ended = tokio::time::timeout(Duration::from_secs(60), worker).await.expect("it does not try for ever");
        assert_eq!(ended.expect("no panic").expect_err("final").word, Word::Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_or_fails_leases_nothing_more() {
    let (desk, ran) = (Desk::new(), Arc::new(AtomicU32::new(0)));
    let worker = desk.worker().handler("send", {
        let ran = Arc::clone(&ran);
        move |(): (), _: Context| {
            ran.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        }
    });
    {
        let mut running = std::pin::pin!(worker.run());
        tokio::select! {
            ended = &mut running => panic!("{ended:?}"),
            () = desk.until(|desk| !lease_calls(desk).is_empty()) => {}
        }
        // Before the intake hears of the end there is a job for it.
        desk.job("send", |_| {});
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    desk.job("send", |_| {});
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((lease_calls(&desk).len(), desk.ready(), ran.load(Ordering::SeqCst)), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_ends_the_worker() {
    let desk = Desk::new();
    desk.fail_with(Some(Word::NoAuth));
    let error = desk.worker().run().await.expect_err("hopeless");
    assert_eq!(error.word, Word::NoAuth);
}

#[tokio::test(start_paused = true)]
async fn beats_come_fast_while_jobs_run_and_slowly_while_none_does() {
    let desk = Desk::new();
    let worker = tokio::spawn(
        desk.worker()
            .handler("send", async |(): (), _: Context| {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok(())
            })
            .run(),
    );
    tokio::time::sleep(Duration::from_millis(20_100)).await;
    assert_eq!(desk.beats().len(), 5);
    assert!(desk.beats()[0].1.reconnected && !desk.beats()[1].1.reconnected);
    desk.job("send", |_| {});
    desk.settled(1).await;
    let busy = desk.beats().len() - 5;
    assert!((19..=22).contains(&busy), "{busy}");
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_refused_settlement_is_told_and_frees_its_slot() {
    let (desk, lost) = (Desk::new(), Arc::new(AtomicU32::new(0)));
    let observer = {
        let lost = Arc::clone(&lost);
        move |activity: Activity<'_>| {
            if let Activity::Lost { refusal: Some(error), .. } = activity {
                assert_eq!(error.word, Word::Stale);
                lost.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let worker = desk.worker().concurrency(1).observer(Arc::new(observer));
    let worker = tokio::spawn(worker.handler("send", async |(): (), _: Context| Ok(())).run());
    desk.refuse_with(Some(Word::Stale));
    desk.job("send", |_| {});
    desk.settled(1).await;
    desk.refuse_with(None);
    desk.job("send", |_| {});
    desk.settled(2).await;
    assert_eq!(lost.load(Ordering::SeqCst), 1);
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_settlement_for_which_there_is_no_room_is_sent_again() {
    let desk = Desk::new();
    let worker = tokio::spawn(desk.worker().handler("send", async |(): (), _: Context| Ok(())).run());
    desk.refuse_with(Some(Word::Full));
    desk.job("send", |_| {});
    desk.settled(3).await;
    desk.refuse_with(None);
    let sent = desk.outcomes().len();
    desk.settled(sent + 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(desk.outcomes().len(), sent + 1);
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_handlers_and_queues_of_the_running_worker() {
    let desk = Desk::new();
    let worker = desk.worker().handler("send", async |(): (), _: Context| Ok(1)).build().expect("a sound worker");
    let handle = worker.handle();
    let worker = tokio::spawn(worker.run());
    desk.job("send", |_| {});
    assert_eq!(desk.settled(1).await, Outcome::Complete { result: Some("1".into()) });
    let handlers = worker::Handlers::new().with("send", async |(): (), _: Context| Ok(2));
    handle.reload_all(vec![("other".to_owned(), 3)], handlers).expect("sound");
    let (calls, reloaded_at) = (lease_calls(&desk).len(), Instant::now());
    desk.until(|desk| lease_calls(desk).len() > calls).await;
    assert!(reloaded_at.elapsed() < Duration::from_secs(1), "the waiting call is made anew");
    assert_eq!(lease_calls(&desk).last().expect("calls").queues, ["other"]);
    desk.job("send", |_| {});
    assert_eq!(desk.settled(2).await, Outcome::Complete { result: Some("2".into()) });
    let error = handle.reload_all(Vec::new(), worker::Handlers::new()).expect_err("no queue");
    assert_eq!(error.word, Word::BadArg);
    worker.abort();
}

#[tokio::test]
async fn what_cannot_run_is_refused_by_name() {
    let check = |adjust: fn(worker::WorkerBuilder) -> worker::WorkerBuilder, expected: &str| {
        let built = adjust(Desk::new().worker()).build();
        assert_eq!(built.err().expect(expected).message, expected);
    };
    check(|worker| worker.concurrency(0), "concurrency is 0; allowed: an integer from 1 to 10000");
    check(|worker| worker.queue("slow", 0), "weight of queue slow is 0; allowed: an integer from 1 to 1000");
    check(|worker| worker.queue("q", 2), "queue is q; allowed: each queue once");
    check(|worker| worker.queue("", 2), "queue is empty; allowed: 1 to 255 bytes of text without control characters");
    check(|worker| worker.name(""), "worker is empty; allowed: 1 to 255 bytes of text without control characters");
    let unhandled = Desk::new().worker().handler("x", async |(): (), _: Context| Err::<(), _>(HandlerError::release()));
    assert!(unhandled.build().expect("sound").name().matches(':').count() >= 2);
}
