//! Each frame of a store is lost in turn, alone and with one behind it: what stands behind it and is well understood is kept, under its own names.
//!
//! What could be kept at best is computed from the whole log, by rules of the test's own.

use super::*;
use crate::journal::Hole;
use crate::machine::Event;
use crate::model::{Context, Job, JobOptions, JobVerb};

/// A store on which names, workers, policies and queues come up one after the other, and numbers that became free are given
/// again; every frame is one command.
async fn varied(disk: &SimDisk, clock: &Arc<ManualClock>, from: u64, steps: u64) {
    let (engine, _) = LocalEngine::on(disk.clone(), local(clock)).expect("a good directory");
    for step in from..from + steps {
        clock.advance(10);
        let queue = ["emails", "other", "third"][usize::try_from(step / 9 % 3).expect("small")];
        let once = step % 3 == 2;
        let name = if once { format!("once{step}") } else { format!("kind{}", step / 8) };
        let mut job = NewJob::new(name, vec![7; 20 + usize::try_from(step % 50).expect("small")]);
        let attempts = if once { 100 + step } else { 1 + step / 11 };
        job.options = Arc::new(JobOptions { attempts: Some(attempts), ..JobOptions::default() });
        let number = engine.enqueue(queue, vec![job]).await.expect("room")[0].number;
        if step % 4 == 1 || once {
            let worker = if once { format!("brief{step}") } else { format!("w{}", step / 10) };
            let order = LeaseOrder { queues: vec![queue.into()], limit: 1, worker, lease_ms: None };
            let leased = engine.lease_now(order).await.expect("open").pop().expect("one waits");
            let lease = LeaseRef { number: leased.number, token: leased.token };
            engine.settle(lease, Outcome::Complete { result: Some("1".into()) }).await.expect("held");
        }
        // What only this job had becomes free, and the next new one gets its numbers.
        if once && step % 2 == 0 {
            let verb = JobVerb::Remove { force: true };
            engine.job_verb(&Context::default(), number.into(), verb).await.expect("it is there");
        }
    }
    engine.close().await.expect("it closes");
}

fn local(clock: &Arc<ManualClock>) -> LocalOptions {
    LocalOptions { segment_bytes: 64 << 10, clock: clock.clone(), seed: 7, ..LocalOptions::default() }
}

/// All jobs, as an engine shows them that is closed again.
async fn jobs(disk: &SimDisk, clock: &Arc<ManualClock>) -> BTreeMap<u64, Job> {
    let (engine, _) = LocalEngine::on(disk.clone(), local(clock)).expect("it can be started");
    let page = engine.jobs(crate::model::JobFilter::default(), None, 1_000).await.expect("a page");
    let mut jobs = BTreeMap::new();
    for summary in page.jobs {
        let job = engine.job(summary.number.into()).await.expect("it is there");
        jobs.insert(summary.number.0, job);
    }
    engine.close().await.expect("it closes");
    jobs
}

/// What the events in holes and those around them say.
#[derive(Default)]
struct Facts {
    /// Jobs that an event in the hole is about.
    touched: BTreeSet<u64>,
    /// Who named the number of a kind last: whether that stands in the hole.
    lost: BTreeMap<(&'static str, u32), bool>,
    /// Jobs whose queue or policy was named in the hole.
    gone: BTreeSet<u64>,
    /// Jobs whose name was; and those with a lease whose worker was.
    unnamed: BTreeSet<u64>,
    unknown_worker: BTreeSet<u64>,
}

impl Facts {
    fn of(files: &Files, holes: &[Hole]) -> Self {
        let mut facts = Self::default();
        records(files, &mut |record| {
            let lost = holes.iter().any(|hole| (hole.begin..hole.end).contains(&record.position));
            facts.take(lost, &decode(record.kind, record.body)?);
            Ok(())
        });
        facts
    }

    fn is_lost(&self, of: &'static str, number: u32) -> bool {
        self.lost.get(&(of, number)).copied().expect("it was named")
    }

    fn take(&mut self, lost: bool, event: &Event<'_>) {
        match *event {
            Event::NameAdded { name, .. } => drop(self.lost.insert(("name", name), lost)),
            Event::WorkerAdded { worker, .. } => drop(self.lost.insert(("worker", worker), lost)),
            Event::PolicyAdded { policy, .. } => drop(self.lost.insert(("policy", policy), lost)),
            Event::QueueCreated { queue, .. } => drop(self.lost.insert(("queue", queue), lost)),
            _ => {}
        }
        let Some(number) = event.number() else { return };
        if lost {
            self.touched.insert(number.0);
            return;
        }
        match event {
            Event::Enqueued(row) => {
                let gone = self.is_lost("queue", row.queue) || self.is_lost("policy", row.policy);
                self.gone.extend(gone.then_some(number.0));
                self.unnamed.extend(self.is_lost("name", row.name).then_some(number.0));
            }
            Event::Leased { worker, .. } => {
                self.unknown_worker.extend(self.is_lost("worker", *worker).then_some(number.0));
            }
            _ => {}
        }
    }
}

/// How often each thing happened.
#[derive(Debug, Default)]
struct Seen {
    frames: usize,
    kept: usize,
    gone: usize,
    replaced: usize,
    doubtful: usize,
}

/// Jobs of which a repair says this.
fn told(repair: &Repair, doubt: Doubt, of: &str) -> BTreeSet<u64> {
    let entries = repair.unnamed.iter().filter(|unnamed| unnamed.doubt == doubt && unnamed.of == of);
    entries.flat_map(|unnamed| unnamed.jobs.iter().map(|job| job.0)).collect()
}

/// Compares what a repair has kept with what could be kept at best.
fn compare(whole: &BTreeMap<u64, Job>, kept: &BTreeMap<u64, Job>, facts: &Facts, repair: &Repair, seen: &mut Seen) {
    let queues = told(repair, Doubt::Gone, "queue");
    let gone: BTreeSet<u64> = told(repair, Doubt::Gone, "policy").union(&queues).copied().collect();
    seen.gone += gone.len();
    let doubtful = |of| told(repair, Doubt::Doubtful, of);
    let (names, workers, policies) = (doubtful("name"), doubtful("worker"), doubtful("policy"));
    // A number that was another's before one hole, and was given anew in a second, is in doubt.
    assert!(gone.is_subset(&facts.gone), "{repair:?}");
    assert!(
        facts.gone.difference(&gone).all(|number| policies.contains(number) || !kept.contains_key(number)),
        "{repair:?}"
    );
    seen.doubtful += names.len() + workers.len() + policies.len();
    for (number, job) in whole.iter().filter(|(number, _)| !facts.touched.contains(number)) {
        let Some(found) = kept.get(number) else {
            assert!(gone.contains(number), "#{number} is gone without a reason: {repair:?}");
            continue;
        };
        let mut found = found.clone();
        if facts.unnamed.contains(number) && !names.contains(number) {
            assert!(found.summary.name.starts_with("unknown\tname "), "#{number} is {}", found.summary.name);
            assert!(told(repair, Doubt::Replaced, "name").contains(number), "#{number}: {repair:?}");
            seen.replaced += 1;
        }
        if facts.unnamed.contains(number) || names.contains(number) {
            found.summary.name.clone_from(&job.summary.name);
        }
        for (lease, wanted) in found.leases.iter_mut().zip(&job.leases) {
            let unknown = lease.worker.starts_with("unknown\tworker ");
            assert!(!unknown || facts.unknown_worker.contains(number), "#{number}: {lease:?}");
            if unknown || workers.contains(number) {
                lease.worker.clone_from(&wanted.worker);
            }
            seen.replaced += usize::from(unknown);
        }
        if policies.contains(number) {
            (found.summary.attempts, found.backoff) = (job.summary.attempts, job.backoff);
        }
        assert_eq!(found, *job, "#{number}: {repair:?}");
        seen.kept += 1;
    }
}

/// It goes on: names of old and new are enqueued, leased, completed, written down and read again.
async fn goes_on(disk: &SimDisk, clock: &Arc<ManualClock>) {
    assert!(verified(&disk.files()).checked.findings.is_empty());
    varied(disk, clock, 3, 4).await;
    varied(disk, clock, 200, 4).await;
    let before = jobs(disk, clock).await;
    compact(disk.clone(), OPTIONS).expect("it is sound");
    assert_eq!(jobs(disk, clock).await, before, "the same after a snapshot and a start");
    assert!(verified(&disk.files()).checked.findings.is_empty());
}

/// The files with a bit of each of these records turned over.
fn hit_at(files: &Files, positions: &[Position]) -> Files {
    let looked = offline(&SimDisk::with_files(files.clone()));
    let mut damaged = files.clone();
    for position in positions {
        let (file, offset) = looked.verified().checked.place(*position);
        damaged.get_mut(&file).expect("it is there")[usize::try_from(offset).expect("small") + 18] ^= 1;
    }
    damaged
}

/// Each frame is lost, and with it, if so many are, the one that is so many records behind it.
async fn each_frame_in_turn(snapshot: bool, behind: Option<usize>) -> Seen {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(BEGIN_MS)));
    varied(&disk, &clock, 0, 30).await;
    if snapshot {
        compact(disk.clone(), OPTIONS).expect("it is sound");
    }
    varied(&disk, &clock, 30, 30).await;
    let files = disk.files();
    let whole = jobs(&SimDisk::with_files(files.clone()), &clock).await;
    let mut positions = Vec::new();
    records(&files, &mut |record| {
        positions.push(record.position);
        Ok(())
    });
    let (mut seen, mut done) = (Seen::default(), Position::ZERO);
    for (index, &position) in positions.iter().enumerate() {
        let other = behind.map(|behind| positions.get(index + behind));
        if position < done || other == Some(None) {
            continue;
        }
        let both: Vec<Position> = [position].into_iter().chain(other.flatten().copied()).collect();
        let disk = SimDisk::with_files(hit_at(&files, &both));
        let looked = offline(&disk);
        if !looked.verified().choices.contains(&Choice::Skip) {
            continue;
        }
        let inspection = looked.inspection.as_ref().expect("it is a journal");
        let base = looked.base().expect("it can be skipped");
        let holes = inspection.mend_past(&looked.verified.checked, base).expect("kept").holes().expect("read");
        // What is older than the snapshot is no hole of the log behind it.
        let Some(hole) = holes.iter().find(|hole| (hole.begin..hole.end).contains(&position)) else { continue };
        done = hole.end;
        let facts = Facts::of(&files, &holes);
        let repair = looked.apply(Choice::Skip, &mut |_| {}, &mut |_, _| {}).expect("a choice");
        let kept = jobs(&disk, &clock).await;
        compare(&whole, &kept, &facts, &repair, &mut seen);
        goes_on(&disk, &clock).await;
        seen.frames += 1;
    }
    seen
}

#[tokio::test]
async fn what_is_well_understood_behind_any_lost_frame_is_kept_by_its_name() {
    for snapshot in [false, true] {
        let seen = each_frame_in_turn(snapshot, None).await;
        assert!(seen.frames > 50 && seen.kept > 40 * seen.frames, "{seen:?}");
        assert!(seen.gone > 0 && seen.replaced > 0 && seen.doubtful > 0, "{seen:?}");
    }
}

#[tokio::test]
async fn what_is_well_understood_behind_two_lost_frames_is_kept_by_its_name() {
    for behind in [5, 9] {
        let seen = each_frame_in_turn(false, Some(behind)).await;
        assert!(seen.frames > 50 && seen.kept > 40 * seen.frames, "{seen:?}");
        assert!(seen.gone > 0 && seen.replaced > 0 && seen.doubtful > 0, "{seen:?}");
    }
}
