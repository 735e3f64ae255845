//! `ping`: whether an engine answers, and how fast.

use std::time::Duration;

use clap::Args;
use queue_core::EngineUrl;
use queue_core::engine::EngineExt;
use queue_core::model::Stats;
use serde::Serialize;

use crate::app::App;
use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::parse;

/// Measure the round trip to the server
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore ping
  longshore ping --count 100 --engine longshore://broker:7600")]
pub(crate) struct PingArgs {
    /// How many round trips
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = |text: &str| parse::integer::<usize>("--count", text, 1, 1_000_000))]
    count: usize,
}

#[derive(Serialize)]
struct Answer {
    engine_url: String,
    engine: String,
    fsync: String,
    version: String,
    round_trips: usize,
    min_us: u64,
    median_us: u64,
    max_us: u64,
}

/// Asks for the store's totals, `count` times.
pub(crate) async fn run(args: &PingArgs, url: &EngineUrl, app: &mut App) -> Result<(), Failure> {
    let mut took = Vec::with_capacity(args.count);
    let mut stats = Stats::default();
    for _ in 0..args.count {
        let watch = Stopwatch::start();
        stats = app.engine().await?.stats().await?;
        took.push(watch.elapsed());
    }
    took.sort_unstable();
    let us = |at: usize| took[at].as_micros() as u64;
    let answer = Answer {
        engine_url: url.to_string(),
        engine: stats.engine,
        fsync: stats.fsync,
        version: stats.version,
        round_trips: args.count,
        min_us: us(0),
        median_us: us(args.count / 2),
        max_us: us(args.count - 1),
    };
    app.answer(&answer, || {
        let trips = if args.count == 1 {
            format!("answered in {}", millis(took[0]))
        } else {
            let [min, median, max] = [0, args.count / 2, args.count - 1].map(|at| millis(took[at]));
            format!("{} round trips: least {min}, median {median}, most {max}", args.count)
        };
        let Answer { engine_url, engine, fsync, version, .. } = &answer;
        format!("{engine_url} {trips} (engine {engine}, fsync {fsync}, version {version})\n")
    })
}

fn millis(time: Duration) -> String {
    format!("{}.{:03} ms", time.as_millis(), time.as_micros() % 1_000)
}
