//! Who stops a handler and when: cancels, lost leases, and the worker's own stop.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use queue_core::model::{Extension, Orders, Outcome, Word};
use tokio::sync::Notify;
use tokio::time::Instant;
use worker::{Activity, Context, HandlerError, Shutdown, Stop};

use crate::desk::{Call, Desk};

const MINUTE: Duration = Duration::from_secs(60);

/// Sets its flag when it is dropped: the handler's future is gone.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What the handler of [`deaf`] does.
type Running = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A handler that runs for `time` whatever it is told; the flag says when it is gone.
fn deaf(time: Duration) -> (Arc<AtomicBool>, impl Fn((), Context) -> Running + Send + Sync + 'static) {
    let gone = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&gone);
    let handler = move |(), _: Context| -> Running {
        let gone = Gone(Arc::clone(&flag));
        Box::pin(async move {
            let _gone = gone;
            tokio::time::sleep(time).await;
            Ok(())
        })
    };
    (gone, handler)
}

async fn running(desk: &Desk) {
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| !beat.leases.is_empty())).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_reaches_its_handler_within_a_second() {
    let (desk, told, cancelled) = (Desk::new(), Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let observer = {
        let seen = Arc::clone(&cancelled);
        move |activity: Activity<'_>| {
            if let Activity::Ended { cancelled, .. } = activity {
                seen.store(cancelled, Ordering::SeqCst);
            }
        }
    };
    let worker = desk.worker().observer(Arc::new(observer)).handler("send", {
        let told = Arc::clone(&told);
        move |(): (), context: Context| {
            let told = Arc::clone(&told);
            async move {
                let why = context.cancelled().await;
                told.notify_one();
                Err::<(), _>(HandlerError::failed(format!("{why:?}")))
            }
        }
    });
    let number = desk.job("send", |_| {});
    let worker = tokio::spawn(worker.run());
    running(&desk).await;
    let ordered_at = Instant::now();
    desk.order(Orders { cancel: vec![(number, "ops: wrong list".to_owned())], lost: Vec::new(), order: None });
    told.notified().await;
    assert!(ordered_at.elapsed() <= Duration::from_secs(1), "{:?}", ordered_at.elapsed());
    let text = r#"cancelled: ops: wrong list; it then failed: Cancelled("ops: wrong list")"#;
    let expected = Outcome::Fail { kind: "cancelled".to_owned(), error: text.to_owned(), retryable: true };
    assert_eq!(desk.settled(1).await, expected);
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| beat.leases.is_empty())).await;
    assert!(cancelled.load(Ordering::SeqCst), "who watches is told");
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_completion_wins_over_a_cancel() {
    let desk = Desk::new();
    let worker = desk.worker().handler("send", async |(): (), context: Context| {
        context.cancelled().await;
        Ok(1)
    });
    desk.extend_with(Some(Extension::Cancel { reason: "ops".to_owned() }));
    desk.job("send", |_| {});
    let worker = tokio::spawn(worker.run());
    assert_eq!(desk.settled(1).await, Outcome::Complete { result: Some("1".into()) });
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_its_handler_and_settles_nothing() {
    for by_beat in [true, false] {
        let (desk, (gone, handler)) = (Desk::new(), deaf(10 * MINUTE));
        let worker = desk.worker().concurrency(1).handler("send", handler);
        let worker = worker.handler("next", async |(): (), _: Context| Ok(()));
        let number = desk.job("send", |_| {});
        let worker = tokio::spawn(worker.run());
        running(&desk).await;
        if by_beat {
            desk.order(Orders { cancel: Vec::new(), lost: vec![number], order: None });
        } else {
            desk.extend_with(Some(Extension::Lost));
        }
        let next = desk.job("next", |_| {});
        desk.settled(1).await;
        assert!(gone.load(Ordering::SeqCst));
        assert_eq!(desk.outcomes(), [(next, Outcome::Complete { result: None })], "the slot came free");
        worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn leases_are_extended_every_third_of_their_length() {
    let (desk, (_, handler)) = (Desk::new(), deaf(Duration::from_secs(59)));
    let worker = tokio::spawn(desk.worker().handler("send", handler).run());
    let begin = Instant::now();
    desk.job("send", |job| job.lease_ms = 9_000);
    desk.job("send", |job| job.lease_ms = 9_000);
    desk.settled(2).await;
    let extended = |(at, call): &(Instant, Call)| match call {
        Call::Execute(commands) => match &commands[0] {
            queue_core::model::Command::Extend { leases, .. } => Some(((*at - begin).as_secs(), leases.len())),
            _ => None,
        },
        _ => None,
    };
    let extensions: Vec<_> = desk.calls().iter().filter_map(extended).collect();
    assert_eq!(extensions.len(), 19, "{extensions:?}");
    assert!(extensions.iter().enumerate().all(|(at, &(second, leases))| second == 3 * (at as u64 + 1) && leases == 2));
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_lets_jobs_finish_and_takes_no_other() {
    let (desk, shutdown, (_, handler)) = (Desk::new(), Shutdown::new(), deaf(Duration::from_secs(20)));
    let worker = desk.worker().concurrency(1).handler("send", handler).shutdown(shutdown.clone());
    desk.job("send", |_| {});
    desk.job("send", |_| {});
    let worker = tokio::spawn(worker.run());
    running(&desk).await;
    shutdown.request();
    worker.await.expect("no panic").expect("a clean end");
    assert_eq!(desk.outcomes().len(), 1);
    assert!(matches!(desk.outcomes()[0].1, Outcome::Complete { .. }));
    assert!(desk.beats().last().expect("beats").1.leaving);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_within_the_grace_time_is_told_and_given_back() {
    let (desk, shutdown) = (Desk::new(), Shutdown::new());
    let worker = desk.worker().grace(MINUTE).shutdown(shutdown.clone());
    let worker = worker.handler("send", async |(): (), context: Context| {
        assert_eq!(context.cancelled().await, Stop::Stopping);
        Err::<(), _>(HandlerError::failed("interrupted"))
    });
    let (gone, handler) = deaf(10 * MINUTE);
    let worker = worker.handler("deaf", handler);
    desk.job("send", |_| {});
    desk.job("deaf", |_| {});
    let worker = tokio::spawn(worker.run());
    desk.until(|desk| desk.beats().last().is_some_and(|(_, beat)| beat.leases.len() == 2)).await;
    let stop_at = Instant::now();
    shutdown.request();
    worker.await.expect("no panic").expect("a clean end");
    assert_eq!(desk.outcomes().len(), 2);
    assert!(desk.outcomes().iter().all(|(_, outcome)| *outcome == Outcome::Release));
    assert!(gone.load(Ordering::SeqCst));
    assert_eq!(stop_at.elapsed().as_secs(), 63);
}

#[tokio::test(start_paused = true)]
async fn no_handler_outlives_a_worker_whose_engine_failed() {
    let (desk, (gone, handler)) = (Desk::new(), deaf(10 * MINUTE));
    desk.is_here();
    let worker = tokio::spawn(desk.worker().handler("send", handler).run());
    desk.job("send", |_| {});
    running(&desk).await;
    desk.fail_with(Some(Word::Unknown));
    assert_eq!(worker.await.expect("no panic").expect_err("final").word, Word::Unknown);
    assert!(gone.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn the_second_request_stops_at_once() {
    let (desk, shutdown, (gone, handler)) = (Desk::new(), Shutdown::new(), deaf(10 * MINUTE));
    let worker = tokio::spawn(desk.worker().handler("send", handler).shutdown(shutdown.clone()).run());
    desk.job("send", |_| {});
    running(&desk).await;
    let stop_at = Instant::now();
    shutdown.request();
    tokio::time::sleep(Duration::from_secs(2)).await;
    shutdown.request();
    worker.await.expect("no panic").expect("a clean end");
    assert_eq!(desk.settled(1).await, Outcome::Release);
    assert!(gone.load(Ordering::SeqCst));
    assert_eq!(stop_at.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_ends_although_its_engine_is_away() {
    let (desk, shutdown, (_, handler)) = (Desk::new(), Shutdown::new(), deaf(10 * MINUTE));
    let worker = tokio::spawn(desk.worker().handler("send", handler).shutdown(shutdown.clone()).run());
    desk.job("send", |_| {});
    running(&desk).await;
    desk.fail_with(Some(Word::Unreachable));
    let stop_at = Instant::now();
    shutdown.request();
    worker.await.expect("no panic").expect("a clean end");
    assert_eq!(stop_at.elapsed().as_secs(), 25 + 3 + 3);
}
