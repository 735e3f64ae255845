//! The reserve for a full disk: when it is made, who may write into it, what a start finds of it.

use super::super::sim::Plan;
use super::super::stock::RESERVE_FILES;
use super::*;

/// What a record of these tests asks for: less than counts as hardly any room.
const RECORD: u64 = 500;

fn open(disk: &SimDisk) -> (Journal<SimDisk>, Recovered, Vec<Kept>) {
    let mut records = Vec::new();
    let options = Options { reserve: true, ..small(FsyncPolicy::Always) };
    let (journal, recovered) = Journal::open(disk.clone(), options, &mut |record| {
        records.push(Kept::of(record));
        Ok(())
    })
    .expect("it opens");
    (journal, recovered, records)
}

/// The files of the reserve that are there.
fn reserve(disk: &SimDisk) -> Vec<String> {
    let mut names = disk.list().expect("listed");
    names.retain(|name| RESERVE_FILES.contains(&name.as_str()));
    names.sort();
    names
}

fn append_one(journal: &mut Journal<SimDisk>, kept: &mut Vec<Kept>, now: u64) {
    let length = usize::try_from(RECORD).expect("small") - 100;
    let byte = u8::try_from(kept.len() % 250).expect("below 250");
    kept.push(append(journal, now, byte, length));
    commit(journal, now);
}

/// Appends as long as there is room for somebody who may go so far.
fn fill(journal: &mut Journal<SimDisk>, kept: &mut Vec<Kept>, reach: Reach) -> usize {
    let mut count = 0;
    while journal.space(reach).now >= RECORD {
        append_one(journal, kept, 1);
        count += 1;
    }
    count
}

/// A store on a disk that has no byte left beside what it has made.
fn full_store() -> (SimDisk, Journal<SimDisk>, Vec<Kept>) {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk);
    let mut kept = Vec::new();
    for _ in 0..40 {
        append_one(&mut journal, &mut kept, 1);
    }
    disk.set_capacity(Some(disk.used()));
    fill(&mut journal, &mut kept, Reach::NoReserve);
    (disk, journal, kept)
}

#[test]
fn the_reserve_is_made_beside_the_next_segment_and_found_again_by_a_start() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk);
    assert!(reserve(&disk).is_empty(), "a start makes none");
    append_one(&mut journal, &mut Vec::new(), 1);
    assert_eq!(reserve(&disk), RESERVE_FILES);
    let next = |disk: &SimDisk, number: u32| disk.files()[&format!("{number:08}.segment")].len();
    assert_eq!(disk.files()[RESERVE_FILES[0]].len(), 8 << 10, "as long as the next segment");
    assert_eq!(journal.level(), Level::Open);
    for _ in 0..60 {
        append_one(&mut journal, &mut Vec::new(), 1);
    }
    assert_eq!(disk.files()[RESERVE_FILES[1]].len(), next(&disk, 3), "they grow as segments do");
    drop(journal);
    let before: Vec<usize> = RESERVE_FILES.iter().map(|name| disk.files()[*name].len()).collect();
    let calls = disk.calls();
    let (mut journal, ..) = open(&disk);
    journal.maintain(1);
    let made = disk.history()[calls..].iter().any(|call| matches!(call, sim::Call::Create { .. }));
    assert!(!made, "nothing is made anew");
    assert_eq!(before, RESERVE_FILES.iter().map(|name| disk.files()[*name].len()).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_takes_leases_in_the_first_reserve_segment_and_settlements_in_the_second() {
    let (disk, mut journal, mut kept) = full_store();
    assert_eq!((journal.level(), reserve(&disk).len()), (Level::NoNewWork, 3));
    assert!(journal.full().expect("full").is_space);
    let segment = journal.segment();
    assert!(fill(&mut journal, &mut kept, Reach::First) > 0);
    assert_eq!(reserve(&disk), RESERVE_FILES[1..], "the first is a segment by now");
    assert!(journal.segment() > segment);
    assert_eq!(journal.level(), Level::NoLeases);
    assert!(fill(&mut journal, &mut kept, Reach::Second) > 0);
    assert_eq!(reserve(&disk), RESERVE_FILES[2..]);
    assert_eq!(journal.level(), Level::Nothing);
    assert!(journal.space(Reach::Last).now > journal.space(Reach::Second).now, "something is left to starts");
    journal.close(2).expect("it closes");
    let (mut journal, recovered, found) = open(&disk);
    assert_eq!((found, recovered.clean), (kept, true));
    assert!(journal.space(Reach::Last).now > 100, "a start has room");
    disk.set_capacity(None);
    append_one(&mut journal, &mut Vec::new(), 2_000);
    assert_eq!((journal.level(), reserve(&disk).len()), (Level::Open, 3), "all of it is there again");
}

#[test]
fn a_full_disk_is_no_longer_full_only_once_all_of_the_reserve_is_there_again() {
    let (disk, mut journal, mut kept) = full_store();
    fill(&mut journal, &mut kept, Reach::Second);
    // Room for the next segment and not for all the rest.
    disk.set_capacity(Some(disk.used() + (32 << 10)));
    journal.maintain(2_000);
    assert_ne!(journal.level(), Level::Open);
    assert_eq!(journal.space(Reach::NoReserve), Space { now: 0, later: 0 });
    disk.set_capacity(Some(disk.used() + (64 << 10)));
    journal.maintain(4_000);
    assert_eq!(journal.level(), Level::Open);
}

#[test]
fn what_is_larger_than_the_next_segment_has_room_made_for_it_before() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk);
    append_one(&mut journal, &mut Vec::new(), 1);
    let large = 100_000;
    let space = journal.space(Reach::NoReserve);
    assert!(space.now < large && large < space.later, "{space:?}");
    journal.prepare_for(large);
    journal.maintain(1);
    assert!(journal.space(Reach::NoReserve).now >= large);
    disk.set_capacity(Some(disk.used()));
    append(&mut journal, 2, 2, 99_000);
    let running = journal.begin_commit(2).expect("something to commit");
    journal.finish_commit(running.run()).expect("it was made room for");
}

const PLAN: Plan = Plan { lives: 1, draws: 2, one_in: 1, nested_one_in: [29, 31, 31], images_min: 500, place_min: 20 };

#[test]
fn what_a_crash_leaves_on_a_full_disk_is_opened_on_that_full_disk() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk);
    let (mut kept, mut acknowledged) = (Vec::new(), Vec::new());
    let mut full_from = 0;
    for step in 0..400 {
        if step == 60 {
            disk.set_capacity(Some(disk.used()));
            full_from = disk.calls();
        }
        if journal.space(Reach::Second).now < RECORD {
            break;
        }
        append_one(&mut journal, &mut kept, step);
        acknowledged.push(disk.calls());
    }
    assert_eq!(reserve(&disk).len(), 1, "both segments were taken");
    drop(journal);
    sim::run("full disk", PLAN, &["full"], &mut |trial, _| {
        let (mut capacity, mut first) = (0, 0);
        trial.crash(&disk, &|image| (image.point >= full_from).then_some("full"), &mut |crashed| {
            let at_least = acknowledged.iter().filter(|&&calls| calls <= crashed.first.point).count();
            if crashed.interrupted == 0 {
                capacity = crashed.disk.used();
            }
            let allowed = if crashed.interrupted > 0 { first..=first } else { at_least..=at_least + 1 };
            // A removal that a crash took back had not made room yet.
            crashed.disk.set_capacity(Some(capacity.max(crashed.disk.used())));
            let (journal, _, found) = open(crashed.disk);
            first = found.len();
            if !allowed.contains(&first) || found != kept[..first] {
                return Err(format!("{first} records instead of {allowed:?}"));
            }
            if journal.space(Reach::Last).now > 100 { Ok(()) } else { Err("a start has no room".to_owned()) }
        })
    });
}

#[test]
fn the_files_of_a_reserve_alone_are_no_strangers() {
    let disk = SimDisk::with_files([(RESERVE_FILES[0].to_owned(), vec![0; 4096])].into());
    let (journal, recovered, _) = open(&disk);
    assert!(recovered.created);
    drop(journal);
}

#[test]
fn a_rotation_that_is_asked_for_comes_with_the_next_commit() {
    let disk = SimDisk::new();
    let (mut journal, ..) = open(&disk);
    journal.rotate_soon();
    assert!(journal.begin_commit(1).is_none(), "there is nothing to leave");
    let mut kept = Vec::new();
    append_one(&mut journal, &mut kept, 1);
    let segment = journal.segment().expect("in use");
    journal.rotate_soon();
    commit(&mut journal, 1);
    assert_eq!(journal.segment(), Some(segment + 1));
    append_one(&mut journal, &mut kept, 2);
    assert_eq!(journal.segment(), Some(segment + 1), "once");
    drop(journal);
    assert_eq!(open(&disk).2, kept);
}
