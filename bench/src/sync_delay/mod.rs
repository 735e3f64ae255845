//! Group commit, shown on the product: the server over a disk whose every sync takes 2 ms longer.
//!
//! A commit that is not shared hides on a fast disk; here it would cost 2 ms a job. Counts of syncs hold on any machine and
//! decide the exit code; rates and times depend on what else the machine does and are only printed beside their bounds.

mod slow_server;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use queue_core::resp::Value;

use crate::client::Client;
use crate::host::{self, Scratch};
use crate::load::{Load, encode};
use slow_server::SlowServer;

/// Added to each sync.
const DELAY: Duration = Duration::from_millis(2);
const CLIENTS: usize = 64;
const JOBS: usize = 10_000;
/// Jobs that meet a waiting worker.
const DELIVERIES: usize = 30;
const PAYLOAD: [u8; 190] = [b'x'; 190];

/// How often.
#[derive(Args)]
pub(crate) struct SyncDelayArguments {
    /// Repetitions, each on a new server; medians are printed.
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// Every repetition has to stay below.
    Below(f64),
    /// Every repetition has to be exactly this.
    Exactly(f64),
    /// Wished for, not required.
    AtLeast(f64),
    /// Wished for, not required.
    AtMost(f64),
}

impl Bound {
    fn is_met(self, values: &[f64]) -> bool {
        let median = host::median(values);
        match self {
            Self::Below(bound) => values.iter().all(|value| *value < bound),
            Self::Exactly(bound) => values.iter().all(|value| *value == bound),
            Self::AtLeast(bound) => median >= bound,
            Self::AtMost(bound) => median <= bound,
        }
    }

    /// Whether the run fails without it.
    fn is_required(self) -> bool {
        matches!(self, Self::Below(_) | Self::Exactly(_))
    }

    fn text(self) -> String {
        match self {
            Self::Below(bound) => format!("below {bound}"),
            Self::Exactly(bound) => format!("exactly {bound}"),
            Self::AtLeast(bound) => format!("at least {bound}"),
            Self::AtMost(bound) => format!("at most {bound}"),
        }
    }
}

const FIGURES: [(&str, Bound); 6] = [
    ("syncs for 10,000 enqueues from 64 clients", Bound::Below(1000.0)),
    ("syncs for an enqueue that meets a waiting worker", Bound::Exactly(1.0)),
    ("jobs/s, 64 clients with 1 in flight each", Bound::AtLeast(12_000.0)),
    ("jobs/s, 64 in flight on one connection", Bound::AtLeast(12_000.0)),
    ("one at a time, p50 in ms", Bound::AtMost(3.0)),
    ("enqueue to a waiting worker, p50 in ms", Bound::AtMost(3.0)),
];

/// Measures, prints, and fails if syncs are not shared.
pub(crate) fn run(arguments: &SyncDelayArguments) -> Result<ExitCode> {
    let scratch = Scratch::new("sync-delay")?;
    println!("{}; each sync {} ms longer\n", host::describe(scratch.path())?, DELAY.as_millis());
    let mut rows = Vec::new();
    for _ in 0..arguments.repetitions {
        rows.push(measure(&scratch)?);
    }
    println!("{:<50}{:>10}{:>22}  {:<16}met", "", "median", "lowest–highest", "bound");
    let mut shared = true;
    for (at, (label, bound)) in FIGURES.into_iter().enumerate() {
        let values: Vec<f64> = rows.iter().map(|row| row[at]).collect();
        let [low, high] = [0.0, 1.0].map(|share| host::percentile(&values, share));
        let met = bound.is_met(&values);
        shared &= met || !bound.is_required();
        let note = match (met, bound.is_required()) {
            (true, _) => "yes",
            (false, true) => "NO",
            (false, false) => "no (a machine with time to spare meets it)",
        };
        let spread = format!("{low:.1}–{high:.1}");
        println!("{label:<50}{:>10.1}{spread:>22}  {:<16}{note}", host::median(&values), bound.text());
    }
    Ok(if shared { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One repetition: the values of [`FIGURES`].
fn measure(scratch: &Scratch) -> Result<[f64; 6]> {
    let folder = scratch.path().join("server");
    let server = SlowServer::start(&folder, DELAY)?;
    let load = |connections, depth, requests| Load {
        connections,
        depth,
        requests,
        request: encode(&[b"JOB.ADD", b"load", b"send", &PAYLOAD]),
        reply_lines: 3,
    };
    let before = server.syncs();
    let wide = load(CLIENTS, 1, JOBS).run(server.address())?;
    let syncs = server.syncs() - before;
    let deep = load(1, CLIENTS, JOBS).run(server.address())?;
    let single = load(1, 1, 300).run(server.address())?;
    let (delivery_syncs, delivery_ms) = deliveries(&server)?;
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    let rates = [wide.requests_per_second, deep.requests_per_second];
    Ok([syncs as f64, delivery_syncs, rates[0], rates[1], single.p50_us / 1e3, delivery_ms])
}

/// Enqueues that meet a waiting worker: syncs of one, and milliseconds from the enqueue until the worker has it.
fn deliveries(server: &SlowServer) -> Result<(f64, f64)> {
    let (mut producer, mut consumer) = (Client::connect(server.address())?, Client::connect(server.address())?);
    let (mut syncs, mut times) = (Vec::new(), Vec::new());
    for _ in 0..DELIVERIES {
        consumer.send(&[b"JOB.LEASE", b"bench", b"BLOCK", b"60000", b"QUEUES", b"delivery"])?;
        await_waiting(&mut producer)?;
        let before = server.syncs();
        let started = crate::clock::now();
        producer.send(&[b"JOB.ADD", b"delivery", b"send", &PAYLOAD])?;
        let leased = consumer.receive()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        producer.receive()?;
        syncs.push((server.syncs() - before) as f64);
        let (number, token) = lease(&leased).with_context(|| format!("the server leased {leased:?}"))?;
        consumer.send(&[b"JOB.COMPLETE", number.to_string().as_bytes(), token])?;
        consumer.receive()?;
    }
    // The median: should the machine stand still for 100 ms within a sample, the journal's seal is synced in it too.
    Ok((host::median(&syncs), host::median(&times)))
}

/// Number and token of the one job in a reply to JOB.LEASE.
fn lease(reply: &Value) -> Option<(i64, &[u8])> {
    let Value::Array(jobs) = reply else { return None };
    let Some(Value::Array(job)) = jobs.first() else { return None };
    match job.as_slice() {
        [Value::Integer(number), Value::Bulk(token), ..] => Some((*number, token)),
        _ => None,
    }
}

/// Asks until the server says that one connection waits.
fn await_waiting(client: &mut Client) -> Result<()> {
    loop {
        client.send(&[b"INFO", b"clients"])?;
        match client.receive()? {
            Value::Bulk(report) if report.windows(17).any(|part| part == b"blocked_clients:1") => return Ok(()),
            Value::Bulk(_) => std::thread::yield_now(),
            other => anyhow::bail!("the server answered {other:?} to INFO"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_bound_holds_in_every_repetition_and_a_wish_in_the_median() {
        assert!(Bound::Below(3.0).is_met(&[1.0, 2.0]) && !Bound::Below(3.0).is_met(&[1.0, 2.0, 3.0]));
        assert!(!Bound::Exactly(1.0).is_met(&[1.0, 2.0]));
        assert!(Bound::AtLeast(2.0).is_met(&[1.0, 2.0, 9.0]) && Bound::AtMost(2.0).is_met(&[1.0, 2.0, 9.0]));
    }

    #[test]
    fn an_enqueue_that_meets_a_waiting_worker_takes_one_sync() {
        let scratch = Scratch::new("delivery-test").expect("a folder below target/");
        let server = SlowServer::start(&scratch.path().join("server"), DELAY).expect("a server");
        let (syncs, _) = deliveries(&server).expect("the server serves");
        assert_eq!(syncs, 1.0);
    }
}
