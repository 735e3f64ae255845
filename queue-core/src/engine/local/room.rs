//! Who may still write when room gets scarce: every command's class and bound in one place, asked before anything is applied.
//!
//! Leaves it to the journal how much room there is, and to the store what happens then. Invariants: a command appends at most
//! what its bound says, so nothing that was applied finds no room afterwards; what is refused has changed nothing. In bytes.

use std::borrow::Cow;

use super::store::Store;
use crate::journal::{COMMAND_BYTES_MAX, Journal, Level, Reach, Space, Storage};
use crate::machine::{Lapse, Machine};
use crate::model::{
    BulkVerb, Command, Context, Error, JobVerb, LeaseOrder, Limits, LogLine, NewJob, Now, Outcome, Settlement, Word,
    reading,
};

/// A record's head, and what fills its body up to a multiple of 8.
const RECORD: u64 = 24;
/// A record with some numbers, as most are.
const SMALL: u64 = 96;
/// A worker's name that is new, and the like.
const NAME: u64 = RECORD + 8 + Limits::NAME_BYTES as u64;
/// A policy that is new.
const POLICY: u64 = RECORD + 80;
/// A queue's settings as JSON, twice, and which of them go.
const SETTINGS: u64 = 2_048;
/// What stands around a job that is new, beside its name and policy.
const JOB: u64 = RECORD + 96;
/// A failure's fingerprint and the numbers around its texts.
const FAILURE: u64 = 320;
/// One event of what time does.
pub(super) const TIMED: u64 = 64;
/// The head of the frame that a command may begin.
#[cfg(feature = "audit")]
const FRAME: u64 = 48;
/// A lease, and its return should nobody take it.
pub(super) const LEASE: u64 = 128;
/// What is written in the end, so that every fold can be checked.
pub(super) const DIGEST: u64 = 64;
/// What a bulk operation writes beside its jobs, in a step.
const STEP: u64 = 1_024;

/// What a start writes.
const START: u64 = 512;

/// Makes sure that a start finds room for what it writes.
pub(super) fn make_for_start<S: Storage>(journal: &mut Journal<S>) -> Result<(), Error> {
    make(journal, START, Reach::Last)
}

/// Makes room for so many bytes, here and now: nobody else is there yet.
pub(super) fn make<S: Storage>(journal: &mut Journal<S>, bytes: u64, reach: Reach) -> Result<(), Error> {
    while journal.space(reach).now < bytes {
        journal.prepare_for(bytes);
        let Some(step) = journal.begin_maintenance(0) else {
            let reason = journal.full().map_or(String::new(), |full| full.reason.to_string());
            let text =
                format!("the disk is full and nothing is left of the reserve: {reason}; free space and start again");
            return Err(Error::new(Word::State, text));
        };
        journal.finish_maintenance(step.run());
    }
    Ok(())
}

/// What a full disk refuses, and what failed. `None` while there is room.
pub(super) fn full_text<S: Storage>(journal: &Journal<S>) -> Option<String> {
    let reason = journal.full()?.reason;
    let refused = match journal.level() {
        Level::Open | Level::NoNewWork => "new work is refused, leasing and settling go on",
        Level::NoLeases => "new work and leases are refused, settling and removing go on",
        Level::Nothing => "the reserve is used up: nothing is written until there is room",
    };
    Some(format!("{refused}: {reason}"))
}

/// Whether something may be appended.
#[derive(Debug)]
pub(super) enum Room {
    /// It fits.
    Now,
    /// Once what is open, being written or being prepared is done: then ask again.
    Later,
    /// Refused.
    Never(Error),
}

/// What a command may append at most, and how far into a full disk's reserve. `None` for what only reads.
pub(super) fn demand(machine: &Machine, context: &Context, command: &Command) -> Option<(Reach, u64)> {
    let by = (context.actor.len() + context.reason.len()) as u64 + 10;
    Some(match command {
        Command::Enqueue { queue, jobs } => (Reach::NoReserve, RECORD + 8 + queue.len() as u64 + batch(jobs)),
        Command::Progress { value, .. } => (Reach::NoReserve, SMALL + value.len() as u64),
        Command::Log { lines, .. } => (Reach::NoReserve, SMALL + log(lines)),
        Command::Lease(order) => (Reach::First, leases(order)),
        // A worker that is well must not lose its job for want of room: that would be work, and stalls, for nothing.
        Command::Extend { leases, .. } => (Reach::Second, leases.len() as u64 * SMALL),
        Command::Settle { settlements, then_lease } => {
            let leased = then_lease.as_ref().map_or(0, leases);
            (Reach::Second, settlements.iter().map(settlement).sum::<u64>() + leased)
        }
        Command::Job { verb, .. } => (verb_reach(verb), 2 * (SMALL + by) + edited(verb)),
        // Settings are how retention is told to free room, a pause is how work is held back.
        Command::SetQueue { queue, patch } => {
            let reset: usize = patch.reset.iter().map(|field| field.len() + 8).sum();
            (Reach::Second, SETTINGS + by + (2 * queue.len() + reset) as u64)
        }
        Command::ApplyConfig { queues } => {
            let names: usize = queues.iter().map(|(name, _)| 2 * name.len()).sum();
            let known = machine.configured_queues();
            (Reach::Second, (queues.len() + known) as u64 * (SETTINGS + by) + names as u64)
        }
        Command::Pause { .. } => (Reach::Second, SMALL + by),
        Command::Resume { .. } => (Reach::First, SMALL + by),
        Command::StartOperation { verb, filter } => {
            let filter = serde_json::to_string(filter).map_or(0, |text| text.len() as u64);
            (bulk_reach(*verb), 2 * SMALL + by + filter)
        }
        Command::CancelOperation { .. } => (Reach::Second, SMALL + by),
        reading!() => return None,
    })
}

/// What ends or removes a job is let in longest; what sends it to work is as a lease; new bytes are new work.
const fn verb_reach(verb: &JobVerb) -> Reach {
    match verb {
        JobVerb::Cancel | JobVerb::Remove { .. } => Reach::Second,
        JobVerb::Promote | JobVerb::Reschedule(_) | JobVerb::Retry => Reach::First,
        JobVerb::Edit(_) => Reach::NoReserve,
    }
}

const fn bulk_reach(verb: BulkVerb) -> Reach {
    match verb {
        BulkVerb::Cancel | BulkVerb::Remove => Reach::Second,
        BulkVerb::Promote | BulkVerb::Retry => Reach::First,
    }
}

/// What a step of a bulk operation writes once, and for each job, by the length of its actor and reason.
const fn step_bytes(by: usize) -> (u64, u64) {
    (STEP + by as u64, 2 * (SMALL + by as u64))
}

fn edited(verb: &JobVerb) -> u64 {
    match verb {
        JobVerb::Edit(edit) => edit.payload.as_ref().map_or(0, |payload| payload.len() as u64),
        _ => 0,
    }
}

fn batch(jobs: &[NewJob]) -> u64 {
    let mut last: Option<&NewJob> = None;
    let each = jobs.iter().map(|job| {
        let named = last.is_some_and(|last| last.name == job.name);
        let same_options = last.is_some_and(|last| std::sync::Arc::ptr_eq(&last.options, &job.options));
        last = Some(job);
        let name = if named { 0 } else { RECORD + 8 + job.name.len() as u64 };
        let policy = if same_options { 0 } else { POLICY };
        JOB + name + policy + (job.stored_bytes() + 5 * job.options.tags.len()) as u64
    });
    each.sum()
}

fn log(lines: &[LogLine]) -> u64 {
    let bytes: usize = lines.iter().map(|line| 6 * line.text.len() + 64).sum();
    bytes.min(Limits::LOG_BYTES + Limits::LOG_LINE_BYTES) as u64
}

fn leases(order: &LeaseOrder) -> u64 {
    NAME + u64::from(order.limit) * LEASE
}

fn settlement(settlement: &Settlement) -> u64 {
    let failure = if matches!(settlement.outcome, Outcome::Fail { .. }) { FAILURE } else { 0 };
    SMALL + failure + settlement.outcome.stored_bytes() as u64
}

/// The order for as many leases as fit `room` bytes, where these are fewer than it asks for; inside `None` for none at all.
fn fewer_leases(order: &LeaseOrder, room: u64) -> Option<Option<LeaseOrder>> {
    let most = room.saturating_sub(NAME) / LEASE;
    let limit = order.limit.min(u32::try_from(most).unwrap_or(u32::MAX));
    (limit < order.limit).then(|| (limit > 0).then(|| LeaseOrder { limit, ..order.clone() }))
}

impl<S: Storage> Store<S> {
    fn space(&mut self, reach: Reach) -> Space {
        let unbounded = Space { now: u64::MAX, later: u64::MAX };
        self.files.tail.journal().map_or(unbounded, |journal| journal.space(reach))
    }

    /// Where the log ends at most once a command has been applied.
    #[cfg(feature = "audit")]
    pub(super) fn bound(&self, context: &Context, command: &Command) -> u64 {
        let bytes = demand(&self.machine, context, command).map_or(0, |(_, bytes)| bytes);
        self.end() + FRAME + bytes
    }

    /// Whether so many bytes may be appended. What has to wait is prepared for.
    pub(super) fn room(&mut self, reach: Reach, bytes: u64) -> Room {
        let space = self.space(reach);
        // What is larger than any command may be is refused by the machine, by name.
        if bytes <= space.now || bytes > COMMAND_BYTES_MAX as u64 {
            return Room::Now;
        }
        if bytes <= space.later {
            self.is_short = true;
            if let Some(journal) = self.files.tail.journal() {
                journal.prepare_for(bytes);
            }
            return Room::Later;
        }
        Room::Never(self.full(reach, bytes, space))
    }

    /// How much may be appended now. 0 says that nothing may, or that it has to wait, for which a turn is taken then.
    pub(super) fn room_now(&mut self, reach: Reach, at_least: u64) -> u64 {
        let space = self.space(reach);
        if space.now >= at_least {
            return space.now;
        }
        self.is_short |= space.later >= at_least;
        0
    }

    /// Whether something of that size may be appended, now or soon.
    pub(super) fn may_write(&mut self, reach: Reach, bytes: u64) -> bool {
        let space = self.space(reach);
        space.now.max(space.later) >= bytes
    }

    /// What of a command may be done: all of it, less of it where it asks for as many leases as there are, or nothing yet.
    pub(super) fn admit<'a>(
        &mut self,
        context: &Context,
        command: &'a Command,
    ) -> Result<Option<Cow<'a, Command>>, Error> {
        let Some((reach, bytes)) = demand(&self.machine, context, command) else {
            return Ok(Some(Cow::Borrowed(command)));
        };
        if reach == Reach::NoReserve {
            self.refuse_if_memory_is_full()?;
        }
        let smaller = match command {
            Command::Lease(order) => {
                let space = self.space(Reach::First);
                fewer_leases(order, space.now.max(space.later)).flatten().map(Command::Lease)
            }
            Command::Settle { settlements, then_lease: Some(order) } => {
                let beside: u64 = settlements.iter().map(settlement).sum();
                // It does not wait for leases: what may go further into the reserve than they would take them along.
                let fewer = fewer_leases(order, self.space(Reach::First).now.saturating_sub(beside));
                fewer.map(|then_lease| Command::Settle { settlements: settlements.clone(), then_lease })
            }
            _ => None,
        };
        let bytes = match &smaller {
            Some(smaller) => demand(&self.machine, context, smaller).map_or(0, |(_, bytes)| bytes),
            None => bytes,
        };
        match self.room(reach, bytes) {
            Room::Now => Ok(Some(smaller.map_or(Cow::Borrowed(command), Cow::Owned))),
            Room::Later => Ok(None),
            Room::Never(error) => Err(error),
        }
    }

    /// What time may do now, and how many events of it there is room for.
    pub(super) fn lapse(&mut self) -> Option<(Lapse, usize)> {
        let events = |bytes: u64| usize::try_from(bytes / TIMED).unwrap_or(usize::MAX);
        match self.room_now(Reach::First, TIMED) {
            0 if self.may_write(Reach::First, TIMED) => None,
            0 => {
                self.stood_still = true;
                match self.room_now(Reach::Second, TIMED) {
                    0 => None,
                    bytes => Some((Lapse::Ends, events(bytes))),
                }
            }
            bytes => Some((Lapse::All, events(bytes))),
        }
    }

    /// Leases are handed out again, and run out: after a time in which neither was so, each begins anew, as after a downtime of
    /// the broker's. Returns the events that this takes of what there is room for.
    pub(super) fn resume_time(&mut self, now: Now) -> usize {
        if !std::mem::take(&mut self.stood_still) {
            return 0;
        }
        self.machine.start(now, &mut self.chance, &mut self.files);
        1
    }

    /// What time may do once there is a turn for it; `None` while it stands still.
    pub(super) fn lapse_to_come(&mut self) -> Option<Lapse> {
        if self.may_write(Reach::First, TIMED) {
            Some(Lapse::All)
        } else {
            self.may_write(Reach::Second, TIMED).then_some(Lapse::Ends)
        }
    }

    /// Jobs that the next step of a bulk operation may take, by its verb and the length of its actor and reason.
    pub(super) fn step_of(&mut self, verb: BulkVerb, by: usize) -> usize {
        let (beside, each) = step_bytes(by);
        let bytes = self.room_now(bulk_reach(verb), beside + each);
        usize::try_from(bytes.saturating_sub(beside) / each).unwrap_or(usize::MAX)
    }

    /// Whether a bulk operation with this verb may go on at all.
    pub(super) fn may_step(&mut self, verb: BulkVerb, by: usize) -> bool {
        let (beside, each) = step_bytes(by);
        self.may_write(bulk_reach(verb), beside + each)
    }

    fn refuse_if_memory_is_full(&mut self) -> Result<(), Error> {
        // While a snapshot is made there is a second machine.
        let machines = 1 + u64::from(self.files.tail.journal().is_some_and(|journal| journal.is_compacting()));
        let used = self.files.blobs.live_bytes() + machines * self.machine.row_bytes();
        if used <= self.max_memory {
            return Ok(());
        }
        let text = format!(
            "memory is full: jobs take {used} bytes, --max-memory allows {}; settle or remove jobs, or allow more",
            self.max_memory
        );
        Err(Error::new(Word::Full, text))
    }

    fn full(&mut self, reach: Reach, bytes: u64, space: Space) -> Error {
        let full = self.files.tail.journal().and_then(|journal| journal.full());
        let level = self.files.tail.journal().map_or(Level::Open, |journal| journal.level());
        let reason = full.as_ref().map_or("", |full| &*full.reason);
        let what = match full.as_ref().is_some_and(|full| full.is_space) {
            true => format!("disk is full: {reason}"),
            false => format!("the journal's next segment cannot be made: {reason}; it is tried again each second"),
        };
        let advice = match (level, reach) {
            (_, Reach::NoReserve) => "free space, or settle and remove jobs".to_owned(),
            (Level::Nothing, _) => {
                "its reserve is used up and nothing is written any more: free space, and it goes on by itself"
                    .to_owned()
            }
            (Level::NoLeases, Reach::First) => {
                "what is left of its reserve is for settling and removing jobs: do that, or free space".to_owned()
            }
            _ => {
                let left = space.now.max(space.later);
                format!(
                    "this may take {bytes} bytes of it and {left} are left of its reserve: free space, or send less at once"
                )
            }
        };
        Error::new(Word::Full, format!("{what}; {advice}"))
    }

    /// Tells once of each change of what is refused. Returns whether it changed.
    pub(super) fn note_level(&mut self) -> bool {
        let Some(journal) = self.files.tail.journal() else { return false };
        let level = journal.level();
        if level == self.level {
            return false;
        }
        match full_text(journal) {
            None => tracing::info!("there is room on the disk again: everything is accepted"),
            Some(text) => tracing::warn!("{text}"),
        }
        self.level = level;
        true
    }

    /// Has the reserve's file for a snapshot follow what is there now.
    pub(super) fn expect_snapshot(&mut self) {
        let bytes = self.snapshot_estimate();
        if let Some(journal) = self.files.tail.journal() {
            journal.expect_snapshot(bytes);
        }
    }

    /// On a full disk: what was removed since the current segment began comes back only once a snapshot covers that.
    pub(super) fn rotate_if_it_pays(&mut self) {
        let bytes = self.snapshot_estimate();
        if let Some(journal) = self.files.tail.journal().filter(|journal| journal.rotation_pays(bytes)) {
            journal.rotate_soon();
        }
    }

    /// About the length of a snapshot of what is there now.
    fn snapshot_estimate(&self) -> u64 {
        self.files.blobs.live_bytes() + self.machine.snapshot_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineExt;
    use crate::engine::local::{LocalEngine, LocalOptions};
    use crate::journal::sim::SimDisk;
    use crate::model::LeaseRef;

    fn payload() -> Vec<NewJob> {
        vec![NewJob::new("n", vec![b'x'; 8 << 10])]
    }

    /// An engine with some jobs and a sealed segment, which may take half as much again for what is not a payload.
    async fn half_full() -> LocalEngine<SimDisk> {
        let options = LocalOptions { segment_bytes: 64 << 10, compact_after: u64::MAX, ..LocalOptions::default() };
        let (engine, _) = LocalEngine::on(SimDisk::new(), options).expect("a new directory");
        for _ in 0..10 {
            engine.enqueue("q", payload()).await.expect("room");
        }
        let mut store = engine.shared.lock();
        let rows = store.machine.row_bytes();
        store.max_memory = store.files.blobs.live_bytes() + rows + rows / 2;
        drop(store);
        engine
    }

    #[tokio::test]
    async fn where_memory_is_full_new_work_is_refused_and_settling_makes_room() {
        let engine = half_full().await;
        let refused = loop {
            match engine.enqueue("q", payload()).await {
                Ok(_) => assert!(engine.stats().await.expect("open").blob_bytes < 1 << 20, "nothing bounds it"),
                Err(error) => break error,
            }
        };
        assert!(refused.word == Word::Full && refused.message.starts_with("memory is full: jobs take "), "{refused}");
        let order = LeaseOrder { queues: vec!["q".into()], limit: 2, worker: "w".into(), lease_ms: None };
        let leased = engine.lease_now(order).await.expect("leases go on");
        for job in &leased {
            let lease = LeaseRef { number: job.number, token: job.token };
            engine.settle(lease, Outcome::Complete { result: None }).await.expect("settling goes on");
            engine
                .job_verb(&Context::default(), job.number.into(), JobVerb::Remove { force: false })
                .await
                .expect("removing goes on");
        }
        assert_eq!(leased.len(), 2);
        engine.enqueue("q", payload()).await.expect("there is room again");
    }

    #[tokio::test]
    async fn a_snapshot_that_is_made_takes_as_much_memory_again() {
        let engine = half_full().await;
        let small = || vec![NewJob::new("n", "1")];
        engine.enqueue("q", small()).await.expect("room");
        let begun = engine.shared.lock().files.tail.journal().and_then(|journal| journal.begin_compaction(0));
        let refused = engine.enqueue("q", small()).await.expect_err("the snapshot's machine is counted");
        assert_eq!(refused.word, Word::Full, "{refused}");
        drop(begun.expect("a segment is sealed"));
        engine.shared.lock().files.tail.journal().and_then(|journal| journal.finish_compaction(None));
        engine.enqueue("q", small()).await.expect("its machine is gone");
    }
}
