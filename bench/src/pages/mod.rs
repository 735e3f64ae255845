//! How soon each page of the dashboard begins, and what pages that stay open cost the server, with 1,000,000 jobs in the
//! store and a producer and a worker at full speed.
//!
//! Server and dashboard are processes of their own. Every page of the dashboard's table of routes is fetched, so that a new
//! one cannot be left out. Reports only.

mod http;
mod store;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use dashboard::routes::ROUTES;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use queue_core::connect;
use queue_core::engine::EngineExt;

use crate::clock;
use crate::daemon::Daemon;
use crate::host::{self, Scratch};
use crate::longshore_server::LongshoreServer;
use http::Viewer;
use store::{Busy, Examples};

/// Routes that are no page: files, the stream, and who is let in.
const NO_PAGES: [&str; 3] = ["/assets/{file}", "/live", "/login"];
/// Searches that the table of routes does not name.
const SEARCHES: [(&str, &str); 5] = [
    ("a state", "state:completed"),
    ("a state of a queue", "state:dead queue:imports"),
    ("a state since a time", "state:dead since:1h"),
    ("a cause", "error:exit"),
    ("text that no payload has", "nobody@example.com"),
];
/// Pages that stay open, one after another.
const OPEN: [&str; 7] = ["/", "/queues/busy", "/queues", "/errors", "/workers", "/events", "/jobs?q=queue%3Abusy"];

/// How much, how often.
#[derive(Args)]
pub(crate) struct DashboardArguments {
    /// Jobs in the store; fewer to see whether it works.
    #[arg(long, default_value_t = 1_000_000)]
    jobs: u64,
    /// How often each page is fetched.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Pages that stay open while the server's time per job is taken.
    #[arg(long, default_value_t = 20)]
    viewers: usize,
    /// How often the server's time per job is taken with and without them.
    #[arg(long, default_value_t = 12)]
    pairs: usize,
    /// Seconds of each of these.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// Measures and prints.
pub(crate) fn run(arguments: &DashboardArguments) -> Result<()> {
    let scratch = Scratch::new("dashboard")?;
    println!("{}", host::describe(scratch.path())?);
    let server = LongshoreServer::start(scratch.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let engine = runtime.block_on(connect(&server.url()))?;
    eprintln!("filling");
    let examples = runtime.block_on(store::fill(&engine, arguments.jobs, clock::time_of_day()))?;
    let daemon = Daemon::start(&["serve-dashboard", "--listen", "127.0.0.1:0", "--engine", &server.url()])?;
    let address = daemon.said("listens on http://", &['/'])?.parse()?;
    let busy = Busy::start(&server.url())?;
    // The worker's page is there once it has said that it lives.
    let worker = loop {
        if let Some(worker) = runtime.block_on(engine.all_workers())?.first() {
            break worker.worker.clone();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    println!("{} jobs in the store; a producer and a worker at full speed beside\n", arguments.jobs);
    first_bytes(arguments, address, &examples, &worker)?;
    cost(arguments, address, &server, &daemon, &busy)?;
    busy.finish()
}

/// Every page, one after another, in rounds.
fn first_bytes(arguments: &DashboardArguments, address: SocketAddr, examples: &Examples, worker: &str) -> Result<()> {
    let mut pages: Vec<(String, String, Vec<f64>)> = Vec::new();
    for route in ROUTES.iter().filter(|route| route.method() == "GET" && !NO_PAGES.contains(&route.path())) {
        pages.push((route.path().to_owned(), path(route.path(), examples, worker), Vec::new()));
    }
    for (what, search) in SEARCHES {
        pages.push((format!("/jobs: {what}"), format!("/jobs?q={}", encoded(search)), Vec::new()));
    }
    let mut bytes = vec![0; pages.len()];
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for (page, bytes) in pages.iter_mut().zip(&mut bytes) {
            let fetched = http::fetch(address, &page.1)?;
            page.2.push(fetched.first_byte_ms);
            *bytes = fetched.html.len();
        }
    }
    println!("{:<36}{:>12}{:>10}{:>10}{:>10}", "first byte, ms", "median", "p95", "longest", "KB");
    for ((what, _, times), bytes) in pages.iter().zip(bytes) {
        let [median, p95, longest] = [0.5, 0.95, 1.0].map(|share| host::percentile(times, share));
        println!("{what:<36}{median:>12.1}{p95:>10.1}{longest:>10.1}{:>10.1}", bytes as f64 / 1e3);
    }
    let slowest = pages.iter().map(|page| host::median(&page.2)).fold(0.0, f64::max);
    println!("slowest page, median: {slowest:.1} ms; aim 150: {}\n", if slowest <= 150.0 { "met" } else { "MISSED" });
    Ok(())
}

/// An example of a route's path.
fn path(route: &str, examples: &Examples, worker: &str) -> String {
    let job = match route.rsplit('/').next() {
        Some("{job}") => examples.dead,
        Some("result") => examples.completed,
        _ => examples.waiting,
    };
    let path = route
        .replace("{queue}", "emails")
        .replace("{job}", &job.0.to_string())
        .replace("{fingerprint}", &encoded(&examples.fingerprint))
        .replace("{worker}", &encoded(worker))
        .replace("{operation}", &examples.operation);
    match route {
        "/operations/new" => format!("{path}?verb=retry&q={}", encoded("state:dead queue:imports")),
        "/jobs/selected" => format!("{path}?verb=retry&job={}", examples.dead.0),
        _ => path,
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What one job costs the server, without and with pages that stay open, in turn.
fn cost(
    arguments: &DashboardArguments,
    address: SocketAddr,
    server: &LongshoreServer,
    dashboard: &Daemon,
    busy: &Busy,
) -> Result<()> {
    let time = Duration::from_secs(arguments.seconds);
    let (mut without, mut with, mut ratios, mut updates, mut own) = (vec![], vec![], vec![], 0, vec![]);
    for pair in 0..arguments.pairs {
        eprintln!("pair {} of {}", pair + 1, arguments.pairs);
        let mut both = [0.0; 2];
        // Whichever is first in one pair is second in the next.
        for watched in [pair % 2 == 0, pair % 2 != 0] {
            let open = OPEN.iter().cycle().take(if watched { arguments.viewers } else { 0 });
            let viewers = open.map(|path| Viewer::open(address, path)).collect::<Result<Vec<_>>>()?;
            let (before, dashboard_before) = (sample(server, busy)?, host::cpu_time(dashboard.pid())?);
            std::thread::sleep(time);
            let (after, dashboard_after) = (sample(server, busy)?, host::cpu_time(dashboard.pid())?);
            both[usize::from(watched)] = (after.0 - before.0).as_secs_f64() * 1e6 / (after.1 - before.1).max(1) as f64;
            if watched {
                own.push((dashboard_after - dashboard_before).as_secs_f64() / time.as_secs_f64() * 100.0);
            }
            for viewer in viewers {
                updates += viewer.close()?;
            }
        }
        without.push(both[0]);
        with.push(both[1]);
        ratios.push(both[1] / both[0]);
    }
    let show = |values: &[f64]| {
        let [low, high] = [0.0, 1.0].map(|share| host::percentile(values, share));
        format!("{:.2} ({low:.2}–{high:.2})", host::median(values))
    };
    let ratio = host::median(&ratios);
    println!(
        "server's processor time per job enqueued, leased and completed, µs, medians of {} pairs",
        arguments.pairs
    );
    println!("  nobody looks      {}", show(&without));
    println!("  {} pages open     {}", arguments.viewers, show(&with));
    println!("  ratio             {}; aim 1.05: {}", show(&ratios), if ratio <= 1.05 { "met" } else { "MISSED" });
    println!("  the dashboard's own processor time, % of one core: {}; {updates} updates came", show(&own));
    Ok(())
}

/// The server's processor time, and the jobs that ended.
fn sample(server: &LongshoreServer, busy: &Busy) -> Result<(Duration, u64)> {
    Ok((host::cpu_time(server.pid()).context("the server is gone")?, busy.ended()))
}

#[cfg(test)]
mod tests {
    use queue_core::connect;
    use queue_core::engine::EngineExt;
    use queue_core::model::JobState;

    use super::{NO_PAGES, ROUTES, path, store};
    use crate::clock;

    #[tokio::test]
    async fn a_filled_store_has_an_example_for_every_page() {
        let engine = connect("memory:").await.expect("memory is there");
        let examples = store::fill(&engine, 1_000, clock::time_of_day()).await.expect("filled");
        let counts = engine.stats().await.expect("counted").counts;
        let of = |state: JobState| counts.of(state);
        let found = [JobState::Waiting, JobState::Delayed, JobState::Dead, JobState::Completed].map(of);
        assert_eq!(found, [700, 100, 100, 101], "one completed beside, which has a result");
        for route in ROUTES.iter().filter(|route| route.method() == "GET" && !NO_PAGES.contains(&route.path())) {
            let path = path(route.path(), &examples, "worker");
            assert!(!path.contains(['{', '}']), "{path}");
        }
    }
}
