//! Drives the candidates of the server loop and prints their figures beside Redis.
//!
//! Candidates take turns within a repetition, each on a fresh process and log. CPU time is the server's, all threads.

use std::net::SocketAddr;

use anyhow::Result;

use super::server::Server;
use super::{Candidate, name};
use crate::host::{self, Scratch};
use crate::load::{Load, Outcome, encode};
use crate::redis_server::RedisServer;

/// Payload bytes of a job, as in the figures for memory.
const PAYLOAD: [u8; 190] = [b'x'; 190];
/// Jobs of a bulk request.
const BULK: usize = 1000;

/// The requests that one kind of server understands.
struct Requests {
    single: Vec<u8>,
    bulk: Vec<u8>,
    bulk_reply_lines: usize,
}

impl Requests {
    fn ours() -> Self {
        let count = BULK.to_string();
        let mut bulk: Vec<&[u8]> = vec![b"JOB.MADD", b"emails", count.as_bytes()];
        bulk.extend(std::iter::repeat_n([b"send" as &[u8], &PAYLOAD, b"="], BULK).flatten());
        let single = encode(&[b"JOB.ADD", b"emails", b"send", &PAYLOAD]);
        Self { single, bulk: encode(&bulk), bulk_reply_lines: BULK + 1 }
    }

    fn redis() -> Self {
        let mut bulk: Vec<&[u8]> = vec![b"LPUSH", b"emails"];
        bulk.extend(std::iter::repeat_n(&PAYLOAD as &[u8], BULK));
        Self { single: encode(&[b"LPUSH", b"emails", &PAYLOAD]), bulk: encode(&bulk), bulk_reply_lines: 1 }
    }

    fn single(&self, connections: usize, depth: usize, requests: usize) -> Load {
        Load { connections, depth, requests, request: self.single.clone(), reply_lines: 1 }
    }

    fn bulk(&self, requests: usize) -> Load {
        let (request, reply_lines) = (self.bulk.clone(), self.bulk_reply_lines);
        Load { connections: 1, depth: 1, requests, request, reply_lines }
    }
}

/// Every figure of one server in one repetition, in the order of the columns.
fn measure(address: SocketAddr, pid: u32, requests: &Requests) -> Result<[f64; 5]> {
    requests.single(50, 1, 20_000).run(address)?;
    let before = host::cpu_time(pid)?;
    let wide = requests.single(50, 1, 200_000).run(address)?;
    let cpu_us = (host::cpu_time(pid)? - before).as_secs_f64() * 1e6 / 200_000.0;
    let deep = requests.single(1, 64, 200_000).run(address)?;
    let one = requests.single(1, 1, 5_000).run(address)?;
    let bulk = requests.bulk(200).run(address)?;
    let bulk_jobs = bulk.requests_per_second * BULK as f64;
    Ok([wide.requests_per_second, cpu_us, deep.requests_per_second, one.p50_us, bulk_jobs])
}

/// Every candidate and Redis, on this disk.
pub(super) fn compare(scratch: &Scratch, repetitions: usize) -> Result<()> {
    let (ours, redis) = (Requests::ours(), Requests::redis());
    let mut figures: Vec<Vec<[f64; 5]>> = vec![Vec::new(); Candidate::ALL.len() + 1];
    for _ in 0..repetitions {
        for (column, candidate) in Candidate::ALL.into_iter().enumerate() {
            let server = Server::start(candidate, 0, scratch.path())?;
            figures[column].push(measure(server.address(), server.pid(), &ours)?);
        }
        let server = RedisServer::start(&scratch.path().join("redis"))?;
        figures[Candidate::ALL.len()].push(measure(server.address(), server.pid(), &redis)?);
        drop(server);
        std::fs::remove_dir_all(scratch.path().join("redis"))?;
    }
    println!("server loops, synced before the reply, 190-byte payload, medians of {repetitions} (lowest–highest)");
    println!(
        "{:<18} {:>26} {:>8} {:>24} {:>11} {:>12}",
        "", "50 conns x 1, req/s", "cpu µs", "1 conn x 64, req/s", "1 x 1 µs", "bulk jobs/s"
    );
    let names = Candidate::ALL.into_iter().map(name).chain(["redis LPUSH".to_owned()]);
    for (label, rows) in names.zip(&figures) {
        let column = |at: usize| rows.iter().map(|row| row[at]).collect::<Vec<_>>();
        println!(
            "{label:<18} {:>26} {:>8.2} {:>24} {:>11.0} {:>12.0}",
            spread(&column(0)),
            host::median(&column(1)),
            spread(&column(2)),
            host::median(&column(3)),
            host::median(&column(4))
        );
    }
    println!();
    Ok(())
}

fn spread(values: &[f64]) -> String {
    let thousands = |share| host::percentile(values, share) / 1000.0;
    format!("{:.1}k ({:.0}–{:.0})", host::median(values) / 1000.0, thousands(0.0), thousands(1.0))
}

/// The candidates with 2 ms added to each sync: is the commit really shared?
pub(super) fn slow_disk(scratch: &Scratch, repetitions: usize) -> Result<()> {
    println!("2 ms added to each sync, medians of {repetitions}");
    println!(
        "{:<18} {:>26} {:>20} {:>20} {:>14} {:>14}",
        "", "10,000 from 64: syncs", "64 conns, req/s", "1 conn x 64, req/s", "1 x 1 p50 ms", "p99 ms"
    );
    let ours = Requests::ours();
    let candidates = [Candidate::Inline, Candidate::Helper, Candidate::Adaptive, Candidate::Mio];
    let mut figures: [Vec<[f64; 5]>; 4] = Default::default();
    for _ in 0..repetitions {
        for (candidate, rows) in candidates.into_iter().zip(&mut figures) {
            rows.push(measure_slow(candidate, scratch, &ours)?);
        }
    }
    for (candidate, rows) in candidates.into_iter().zip(&figures) {
        let column = |at: usize| host::median(&rows.iter().map(|row| row[at]).collect::<Vec<_>>());
        let label = name(candidate);
        println!(
            "{label:<18} {:>26.0} {:>20.0} {:>20.0} {:>14.2} {:>14.2}",
            column(0),
            column(1),
            column(2),
            column(3),
            column(4)
        );
    }
    println!();
    Ok(())
}

fn measure_slow(candidate: Candidate, scratch: &Scratch, requests: &Requests) -> Result<[f64; 5]> {
    let mut server = Server::start(candidate, 2, scratch.path())?;
    let address = server.address();
    let wide = requests.single(64, 1, 10_000).run(address)?;
    let syncs = server.syncs()? as f64;
    let deep = requests.single(1, 64, 20_000).run(address)?;
    let Outcome { p50_us, p99_us, .. } = requests.single(1, 1, 500).run(address)?;
    Ok([syncs, wide.requests_per_second, deep.requests_per_second, p50_us / 1e3, p99_us / 1e3])
}
