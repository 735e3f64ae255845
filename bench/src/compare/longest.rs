//! The longest single apply while jobs arrive: what an enqueue holds the writer for, the disk's time apart.
//!
//! Measured in a process of its own on the memory engine: the state machine, the blobs and the encoding of the event, but
//! no journal and no network. Microseconds of the thread's processor time, so that another process of the machine is not
//! taken for a long apply; the kernel's work on page faults is in it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use queue_core::engine::{Engine, LocalEngine, LocalOptions};
use queue_core::model::{self, Context, NewJob};

use crate::clock;

/// The child's share of `compare`.
#[derive(Args)]
pub(crate) struct LongestApplyArguments {
    /// Jobs that arrive, one a command.
    #[arg(long)]
    jobs: u64,
}

/// Runs [`longest_apply`] in a process of its own.
pub(super) fn in_child(jobs: u64) -> Result<f64> {
    let output =
        Command::new(std::env::current_exe()?).args(["longest-apply", "--jobs", &jobs.to_string()]).output()?;
    anyhow::ensure!(output.status.success(), "longest-apply failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().with_context(|| format!("longest-apply printed {text:?}"))
}

/// The child: lets jobs arrive, prints the longest in microseconds.
pub(crate) fn longest_apply(arguments: &LongestApplyArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // As the server does.
    rustix::thread::disable_transparent_huge_pages(true)?;
    let longest = runtime.block_on(async {
        let engine = LocalEngine::memory(LocalOptions::default());
        let context = Context::default();
        let mut longest = Duration::ZERO;
        for _ in 0..arguments.jobs {
            let jobs = vec![NewJob::new("send", vec![b'x'; 190])];
            let command = model::Command::Enqueue { queue: "emails".to_owned(), jobs };
            let before = clock::thread_time();
            let answers = engine.execute(&context, vec![command]).await?;
            longest = longest.max(clock::thread_time() - before);
            for answer in answers {
                answer?;
            }
        }
        anyhow::Ok(longest)
    })?;
    println!("{}", longest.as_secs_f64() * 1e6);
    Ok(())
}
