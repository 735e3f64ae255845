//! Each kind of call fails at each point of a journal's life: nothing acknowledged is lost, and the error says which file.
//!
//! The life is the same each time: opened new, filled over some segments, compacted twice, closed; opened again from its
//! snapshot, filled, dropped; opened with a torn tail, closed.

use super::super::faults::{Call, FaultyStorage};
use super::super::sim::Loss;
use super::compaction::{State, try_compact};
use super::*;

type Faulty = FaultyStorage<SimDisk>;

/// Where in a life something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Open,
    Commit,
    Compaction,
    Cleanup,
    Close,
}

/// What came of a life.
#[derive(Debug, Default)]
struct Life {
    acknowledged: Vec<Kept>,
    failures: Vec<(Step, JournalError)>,
    /// Whether room for the next segment could not be made at some time.
    was_full: bool,
}

impl Life {
    /// Passes what went well on, and keeps what did not.
    fn step<T>(&mut self, step: Step, outcome: Result<T, JournalError>) -> Option<T> {
        outcome.map_err(|error| self.failures.push((step, error))).ok()
    }

    fn open(&mut self, storage: &Faulty) -> Option<Journal<Faulty>> {
        let mut state = State::default();
        let opened = Journal::open_with(storage.clone(), small(FsyncPolicy::Always), &mut state);
        let (journal, _) = self.step(Step::Open, opened)?;
        assert!(state.kept.starts_with(&self.acknowledged), "what was acknowledged is there");
        // What was not acknowledged may be there, too, and from now on it stays.
        self.acknowledged = state.kept;
        Some(journal)
    }

    /// Commits frames until one fails.
    fn fill(&mut self, journal: &mut Journal<Faulty>, frames: u8) -> Option<()> {
        for frame in 0..frames {
            let kept = append(journal, u64::from(frame), frame, 700);
            let commit = journal.begin_commit(u64::from(frame)).expect("there is something to commit");
            let finished = journal.finish_commit(commit.run());
            if self.step(Step::Commit, finished).is_none() {
                assert!(journal.failed().is_some(), "a failed commit is the journal's end");
                append(journal, 1, 1, 1);
                assert!(journal.begin_commit(1).is_none(), "and nothing is written any more");
                return None;
            }
            self.acknowledged.push(kept);
            journal.maintain(u64::from(frame));
            self.was_full |= journal.full().is_some();
        }
        Some(())
    }

    /// A compaction may fail; the journal goes on.
    fn compact(&mut self, journal: &mut Journal<Faulty>) {
        let Some(compaction) = journal.begin_compaction(0) else { return };
        let compacted = self.step(Step::Compaction, try_compact(compaction));
        if let Some(cleanup) = journal.finish_compaction(compacted) {
            self.step(Step::Cleanup, cleanup.run());
            journal.finish_cleanup();
        }
        assert!(journal.failed().is_none() && !journal.is_busy());
    }

    fn live(&mut self, storage: &Faulty) -> Option<()> {
        let mut journal = self.open(storage)?;
        for _ in 0..2 {
            self.fill(&mut journal, 20)?;
            self.compact(&mut journal);
        }
        self.fill(&mut journal, 3)?;
        self.step(Step::Close, journal.close(50))?;
        let mut journal = self.open(storage)?;
        self.fill(&mut journal, 6)?;
        drop(journal);
        tear(storage.below());
        let journal = self.open(storage)?;
        self.step(Step::Close, journal.close(60)).map(drop)
    }
}

/// Half of a frame behind the last whole one.
fn tear(disk: &SimDisk) {
    let files = disk.files();
    let is_begun =
        |(name, bytes): &(&String, &Vec<u8>)| name.ends_with(".segment") && bytes.iter().any(|byte| *byte != 0);
    let (name, bytes) = files.iter().rfind(is_begun).expect("a segment was begun");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("it was just looked at") + 1;
    let end = end.next_multiple_of(8);
    if end + 24 < bytes.len() {
        disk.open(name).and_then(|file| file.write_at(&[0xff; 24], end as u64)).expect("a simulated disk is well");
    }
}

fn check(storage: &Faulty, life: &Life, what: &str) {
    for (step, error) in &life.failures {
        let is_right = match step {
            Step::Open => matches!(error, JournalError::Io { .. } | JournalError::OutcomeUnknown { .. }),
            Step::Compaction | Step::Cleanup => matches!(error, JournalError::Io { .. }),
            Step::Commit | Step::Close => matches!(error, JournalError::OutcomeUnknown { .. }),
        };
        let text = error.to_string();
        let files = [".segment", "snapshot-", "MANIFEST", "LOCK", "torn-", "simulated disk"];
        assert!(is_right && files.iter().any(|file| text.contains(file)), "{what}: {step:?}: {text}");
        let advice = error.advice().unwrap_or_default();
        assert!(!advice.is_empty() && std::error::Error::source(error).is_some(), "{what}: {text}");
    }
    for loss in [Loss::Everything, Loss::Nothing] {
        let mut state = State::default();
        let left = storage.below().after_power_loss(loss);
        Journal::open_with(left, small(FsyncPolicy::Always), &mut state)
            .unwrap_or_else(|error| panic!("{what}: on a healthy disk it opens: {error}"));
        assert!(state.kept.starts_with(&life.acknowledged), "{what}: something acknowledged is lost");
    }
}

/// One life on a disk with this plan.
fn live(plan: impl FnOnce(&Faulty)) -> (Faulty, Life) {
    let storage = Faulty::new(SimDisk::new());
    plan(&storage);
    let mut life = Life::default();
    life.live(&storage);
    (storage, life)
}

/// Fails each call of this kind in turn. Returns how many lives ended in an error, or went on without.
fn fail_each(call: Call, short: bool) -> (usize, usize) {
    let (healthy, life) = live(|_| {});
    assert!(life.failures.is_empty(), "{:?}", life.failures);
    let calls = healthy.plan().calls(call);
    assert!(calls > 0, "{call:?} is called");
    let mut counts = (0, 0);
    for number in 0..calls {
        for once in [true, false] {
            let (storage, life) = live(|storage| {
                storage.plan().write_short(short);
                match once {
                    true => storage.plan().fail_once_after(call, number),
                    false => storage.plan().fail_after(call, number),
                }
            });
            check(&storage, &life, &format!("{call:?} number {number} failed, once: {once}, short: {short}"));
            match life.failures.is_empty() {
                true => counts.1 += 1,
                false => counts.0 += 1,
            }
            // A file made ahead for which there is no room at a start is made again once it is needed.
            let is_made_up_for = matches!(call, Call::Remove | Call::Allocate);
            let is_seen = !life.failures.is_empty() || life.was_full || is_made_up_for;
            assert!(is_seen, "{call:?} number {number} failed and nobody was told");
        }
    }
    counts
}

#[test]
fn whatever_call_fails_wherever_nothing_acknowledged_is_lost_and_the_file_is_named() {
    // Only backups link files and remove directories; nothing is cut but the reserve's files, which these lives do without.
    let elsewhere = |call: &Call| matches!(call, Call::Link | Call::RemoveDirectory | Call::Cut);
    for call in Call::ALL.into_iter().filter(|call| !elsewhere(call)) {
        let (failed, went_on) = fail_each(call, false);
        println!("{call:?}: {failed} lives with an error, {went_on} without");
    }
}

#[test]
fn a_write_that_stores_only_its_first_half_is_a_failed_write() {
    let (failed, _) = fail_each(Call::Write, true);
    assert!(failed > 100, "{failed}");
}

#[test]
fn a_directory_that_cannot_be_synced_while_rotating_is_final() {
    let storage = Faulty::new(SimDisk::new());
    let (mut journal, ..) = reopen(&storage, FsyncPolicy::Always).expect("it opens");
    storage.plan().fail_after(Call::SyncDirectory, 0);
    let outcome = (0..20).try_for_each(|frame| {
        append(&mut journal, frame, 1, 700);
        let commit = journal.begin_commit(frame).expect("there is something to commit");
        journal.finish_commit(commit.run()).map(drop)
    });
    let error = outcome.expect_err("a segment's name cannot be made durable");
    assert!(error.is_final() && error.to_string().starts_with("failed to sync the directory of 00000002.segment"));
}
