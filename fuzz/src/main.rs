//! Runs the targets on a plain compiler: every input of the corpus, then seeded changes of them for some seconds.
//!
//!     fuzz [--seconds N] [TARGET…]     runs; prints the seed, which LONGSHORE_SEED sets
//!     fuzz seeds                       adds first inputs to the corpora
//!     fuzz replay TARGET FILE…         runs files, with every panic's message
//!
//! An input that fails is kept in `artifacts/TARGET/`, whether it panics, takes longer than ten seconds or ends the process.
//! A run that tried fewer inputs than it must has failed, too.

#![expect(clippy::disallowed_methods, reason = "what is bounded is the time of the run itself")]

use std::any::Any;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use fuzz::{TARGETS, Target, seeds};

/// The longest input that is made.
const BYTES_MAX: usize = 64 << 10;
/// How long one input may take.
const CASE_MAX: Duration = Duration::from_secs(10);
/// Changed inputs that a target must have run: it goes on for so many on a slow machine, though not for ever.
const CASES_MIN: u64 = 200;
const CASES_TIME_MAX: Duration = Duration::from_secs(240);
/// Begins the arguments of the process that does the work.
const INSIDE: &str = "inside";

/// The input that is being run, and since when.
type Case = Mutex<(Instant, Vec<u8>)>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["seeds"] => write_seeds(),
        ["replay", target, files @ ..] => replay(target, files),
        [INSIDE, seconds, targets @ ..] => run(seconds.parse().expect("--seconds takes a number"), targets),
        ["--seconds", seconds, targets @ ..] => run_inside(seconds, targets),
        targets => run_inside("2", targets),
    }
}

/// Runs in a process of its own: an input can end one in ways that nothing catches.
fn run_inside(seconds: &str, targets: &[&str]) -> ExitCode {
    let names = TARGETS.map(|(name, _)| name);
    if let Some(unknown) = targets.iter().find(|target| !names.contains(target)) {
        println!("{unknown} is no target: {}", names.join(", "));
        return ExitCode::from(2);
    }
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program).args([INSIDE, seconds]).args(targets).spawn().expect("it can be run again");
    let status = child.wait().expect("it ends");
    let cut_off: Vec<PathBuf> =
        names.iter().map(|name| running(name, child.id())).filter(|file| file.exists()).collect();
    if let Some(code) = status.code().and_then(|code| u8::try_from(code).ok()) {
        cut_off.iter().for_each(|file| drop(fs::remove_file(file)));
        return ExitCode::from(code);
    }
    println!("ended, {status}, in one of these:");
    cut_off.iter().for_each(|file| println!("{}", file.display()));
    println!("0 passed, 1 failed");
    ExitCode::FAILURE
}

/// The file that holds the input which a process is running.
fn running(target: &str, process: u32) -> PathBuf {
    home("artifacts", target).join(format!("running-{process}"))
}

fn home(folder: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target)
}

fn write_seeds() -> ExitCode {
    for (name, _) in TARGETS {
        let directory = home("corpus", name);
        fs::create_dir_all(&directory).expect("a directory can be made");
        for (at, input) in seeds::of(name).into_iter().enumerate() {
            fs::write(directory.join(format!("seed-{at:03}")), input).expect("a file can be written");
        }
    }
    ExitCode::SUCCESS
}

fn replay(target: &str, files: &[&str]) -> ExitCode {
    let (_, run) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target of that name");
    for file in files {
        println!("{file}");
        run(&fs::read(file).expect("the file can be read"));
    }
    ExitCode::SUCCESS
}

fn run(seconds: u64, targets: &[&str]) -> ExitCode {
    let seed = std::env::var("LONGSHORE_SEED").ok().map(|text| text.parse().expect("LONGSHORE_SEED is a number"));
    let seed = seed.unwrap_or_else(|| u64::from_le_bytes(queue_core::random::bytes()));
    println!("seed {seed}");
    fuzz::quiet();
    let chosen = TARGETS.into_iter().filter(|(name, _)| targets.is_empty() || targets.contains(name));
    let threads: Vec<_> = chosen
        .map(|target| (target.0, std::thread::spawn(move || run_target(target, seed, Duration::from_secs(seconds)))))
        .collect();
    let (all, mut failed) = (threads.len(), 0);
    for (name, thread) in threads {
        match thread.join().unwrap_or_else(|panic| Err(format!("the runner itself: {}", said(&*panic)))) {
            Ok((corpus, cases)) => println!("{name}: {corpus} inputs of the corpus, {cases} changed ones"),
            Err(what) => {
                println!("{name}: {what}");
                failed += 1;
            }
        }
    }
    println!("{} passed, {failed} failed", all - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// Runs one target; how many inputs of its corpus and how many others, or what went wrong.
fn run_target((name, run): Target, seed: u64, time: Duration) -> Result<(usize, u64), String> {
    let mut corpus = read_corpus(&home("corpus", name));
    let kept = corpus.len();
    corpus.push(Vec::new());
    let case = Arc::new(Case::new((Instant::now(), Vec::new())));
    watch(name, seed, Arc::downgrade(&case));
    fs::create_dir_all(home("artifacts", name)).expect("a directory can be made");
    let now = File::create(running(name, std::process::id())).expect("a file can be made");
    let check = |input: &[u8]| {
        *case.lock().expect("nobody panics with it") = (Instant::now(), input.to_vec());
        now.set_len(input.len() as u64).and_then(|()| now.write_all_at(input, 0)).expect("it can be written");
        let run = catch_unwind(|| run(input));
        run.map_err(|panic| format!("seed {seed}: a panic, with {}: {}", keep(name, input), said(&*panic)))
    };
    corpus.iter().try_for_each(|input| check(input))?;
    let (mut chance, begun, mut cases) = (Chance(seed), Instant::now(), 0);
    while begun.elapsed() < time || (cases < CASES_MIN && begun.elapsed() < CASES_TIME_MAX) {
        check(&chance.change(&corpus))?;
        cases += 1;
    }
    if kept == 0 || cases < CASES_MIN {
        return Err(format!("hollow: {kept} inputs of the corpus, {cases} changed ones; {CASES_MIN} must be run"));
    }
    Ok((kept, cases))
}

fn read_corpus(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).expect("a target has a corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("it can be read")).collect()
}

/// Ends the process, with the input kept, where one takes too long.
fn watch(name: &'static str, seed: u64, case: Weak<Case>) {
    std::thread::spawn(move || {
        while let Some(case) = case.upgrade() {
            // Not held while this waits: every input takes it.
            let (begun, input) = case.lock().expect("nobody panics with it").clone();
            if begun.elapsed() > CASE_MAX {
                println!("{name}: seed {seed}: no end in sight, with {}", keep(name, &input));
                println!("0 passed, 1 failed");
                std::process::exit(1);
            }
            std::thread::park_timeout(Duration::from_millis(200));
        }
    });
}

/// Keeps an input that failed; where.
fn keep(name: &str, input: &[u8]) -> String {
    let directory = home("artifacts", name);
    let file = directory.join(format!("case-{:08x}", crc32c::crc32c(input)));
    let kept = fs::create_dir_all(&directory).and_then(|()| fs::write(&file, input));
    kept.map_or_else(|error| format!("an input that cannot be kept: {error}"), |()| file.display().to_string())
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound.max(1) as u64) as usize
    }

    /// An input of the corpus with one to eight changes.
    fn change(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            let other = self.below(corpus.len());
            self.change_once(&mut input, &corpus[other]);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change_once(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let (at, length) = (self.below(input.len()), 1 + self.below(16));
        let end = (at + length).min(input.len());
        let telling = [0, 1, 7, 8, 0x0a, 0x0d, 0x24, 0x2a, 0x7f, 0x80, 0xff];
        match self.below(8) {
            0 if !input.is_empty() => input[at] ^= 1 << (self.draw() % 8),
            1 if !input.is_empty() => input[at] = self.draw() as u8,
            2 if !input.is_empty() => input[at] = telling[self.below(telling.len())],
            3 => drop(input.drain(at..end)),
            4 => drop(input.splice(at..at, (0..length).map(|_| self.draw() as u8).collect::<Vec<_>>())),
            5 => {
                let piece = input[at..end].to_vec();
                let to = self.below(input.len());
                drop(input.splice(to..to, piece));
            }
            6 => {
                let from = self.below(other.len());
                let piece = &other[from..(from + 16 * length).min(other.len())];
                drop(input.splice(at..end, piece.iter().copied()));
            }
            _ => input.truncate(at),
        }
    }
}
