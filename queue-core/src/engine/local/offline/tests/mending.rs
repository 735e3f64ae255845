//! What damage must not do to the tools, and what a repair must not do to what comes after it.
//!
//! The store, and what every repair is held to, are the parent's.

use super::*;

/// A disk may write a block to the place of another: then a frame can begin where the segment's header was.
#[test]
fn blocks_that_changed_places_are_named_and_what_is_offered_works() {
    let mut images = 0;
    for name in names(".segment", "") {
        let content = &store().files[&name];
        let magic = &content[64..68];
        let begins = |block: &[u8]| (0..64).step_by(8).any(|at| &block[at..at + 4] == magic);
        let blocks: Vec<usize> = (512..used(content)).step_by(512).filter(|at| begins(&content[*at..])).collect();
        for at in blocks {
            let mut files = store().files.clone();
            let (first, second) = files.get_mut(&name).expect("it is there").split_at_mut(at);
            first[..512].swap_with_slice(&mut second[..512]);
            let verified = verified(&files);
            let named = verified.checked.findings.iter().any(|finding| finding.file == name && finding.offset == 0);
            assert!(named, "{name} at {at}: {verified:?}");
            assert_eq!(start(&files).is_err(), verified.is_unstartable(), "{name} at {at}: {verified:?}");
            for choice in verified.choices {
                repair(&files, choice);
            }
            images += 1;
        }
    }
    assert!(images >= 5, "only {images} places");
}

fn local(clock: &Arc<ManualClock>) -> LocalOptions {
    LocalOptions { segment_bytes: 64 << 10, clock: clock.clone(), seed: 7, ..LocalOptions::default() }
}

fn order(limit: u32) -> LeaseOrder {
    LeaseOrder { queues: vec!["emails".into()], limit, worker: "w".into(), lease_ms: None }
}

#[tokio::test]
async fn after_a_cut_no_lease_goes_on_and_no_number_or_token_returns() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(BEGIN_MS)));
    let (engine, _) = LocalEngine::on(disk.clone(), local(&clock)).expect("a new store");
    let jobs = (0..4).map(|at| NewJob::new("send", at.to_string())).collect();
    engine.enqueue("emails", jobs).await.expect("room");
    engine.lease_now(order(2)).await.expect("leased");
    let mut last = 0;
    for _ in 0..12 {
        let made = engine.enqueue("emails", vec![NewJob::new("send", vec![7; 2_500])]).await.expect("room");
        last = made[0].number.0;
    }
    let newest = engine.lease_now(order(14)).await.expect("leased").pop().expect("one waits").token;
    engine.close().await.expect("it closes");
    let mut files = disk.files();
    let content = files.get_mut("00000001.segment").expect("it is there");
    let at = used(content) * 2 / 3;
    content[at] ^= 1;

    let disk = SimDisk::with_files(files);
    let repair = offline(&disk).apply(Choice::Cut, &mut |_| {}, &mut |_, _| {}).expect("a choice");
    assert!(repair.jobs > 4 && repair.jobs < last, "{repair:?}");
    let next = repair.next_number.expect("jobs are lost");
    assert!(next.0 > last && next.0 < last + 1_000, "{repair:?}");
    let (engine, _) = LocalEngine::on(disk.clone(), local(&clock)).expect("it was repaired");
    assert_eq!(engine.shared.lock().machine.leases(), [], "both leases that were active at the cut have ended");
    let made = engine.enqueue("emails", vec![NewJob::new("send", "new")]).await.expect("room");
    assert_eq!(made[0].number, next);
    let leased = engine.lease_now(order(100)).await.expect("leased");
    assert_eq!(leased.len() as u64, repair.jobs + 1);
    assert!(leased.iter().all(|job| job.token > newest), "{newest:?}: {leased:?}");
}

/// Numbers may stand in what nobody can read any more, as the last that was given.
#[test]
fn numbers_of_records_that_cannot_be_read_do_not_return() {
    let enqueued = (0..36).rev().find_map(|nth| {
        let (files, number) = hit("enqueued", nth);
        verified(&files).is_unstartable().then_some((files, number))
    });
    let (files, number) = enqueued.expect("some are followed by others");
    for choice in [Choice::Cut, Choice::Skip] {
        let disk = SimDisk::with_files(files.clone());
        let repair = offline(&disk).plan(choice, &mut |_| {}, &mut |_, _| {}).expect("a choice");
        assert!(repair.next_number.expect("jobs are lost").0 > number.max(107), "{choice:?} #{number}: {repair:?}");
    }
}

#[test]
fn records_of_another_version_are_never_given_up() {
    let disk = SimDisk::with_files(store().files.clone());
    let mut recovering = Recovering::<()>::default();
    let (mut journal, _) = Journal::open_with(disk.clone(), options(), &mut recovering).expect("it is sound");
    journal.append(0x1234, false, BEGIN_MS, |body| body.extend_from_slice(b"tomorrow"));
    journal.close(BEGIN_MS).expect("it closes");
    let files = disk.files();
    let found = verified(&files);
    assert!(found.is_unstartable() && found.checked.unread && found.choices.is_empty(), "{found:?}");
    // Beside damage, which hides it until it would be given up.
    let (damaged, _) = hit("enqueued", 3);
    let (name, content) =
        damaged.iter().find(|(name, content)| store().files[*name] != **content).expect("one was hit");
    let mut files = files;
    let at = content.iter().zip(&store().files[name]).position(|(one, other)| one != other).expect("one was hit");
    files.get_mut(name).expect("it is there")[at] ^= 1;
    for choice in verified(&files).choices {
        offline(&SimDisk::with_files(files.clone()))
            .plan(choice, &mut |_| {}, &mut |_, _| {})
            .expect_err("another version's");
    }
}

#[test]
fn a_snapshot_takes_the_place_of_a_damaged_one_only_once_it_was_read_back() {
    let mut files = store().files.clone();
    let newest = names("", "snapshot-").pop().expect("two");
    files.get_mut(&newest).expect("it is there")[90] ^= 1;
    let disk = SimDisk::with_files(files.clone());
    let storage = FaultyStorage::new(disk.clone());
    let offline = Offline::open(storage.clone(), &mut |_, _| {}).expect("it can be looked at");
    storage.plan().fail_only(&format!("{newest}.new"));
    storage.plan().fail_after(Call::Read, 0);
    offline.apply(Choice::RebuildSnapshot, &mut |_| {}, &mut |_, _| {}).expect_err("it cannot be read back");
    assert_eq!(disk.files()[&newest], files[&newest], "the damaged one stays until there is a better one");
    repair(&disk.files(), Choice::RebuildSnapshot);
}

#[test]
fn a_snapshot_is_rebuilt_only_as_the_state_that_the_damaged_one_names() {
    let mut files = store().files.clone();
    let newest = names("", "snapshot-").pop().expect("two");
    let content = files.get_mut(&newest).expect("it is there");
    content[32] ^= 1;
    let checksum = crc32c::crc32c(&content[..60]);
    content[60..64].copy_from_slice(&checksum.to_le_bytes());
    let disk = SimDisk::with_files(files.clone());
    let plan = offline(&disk).plan(Choice::RebuildSnapshot, &mut |_| {}, &mut |_, _| {});
    let repair = offline(&disk).apply(Choice::RebuildSnapshot, &mut |_| {}, &mut |_, _| {});
    for outcome in [plan, repair] {
        let error = outcome.expect_err("the log comes to another state");
        assert!(error.message.contains("does not come to the state that the damaged snapshot names"), "{error}");
    }
    assert_eq!(disk.files(), files, "nothing was changed");
}

#[tokio::test]
async fn a_snapshot_counts_only_once_it_was_read_back() {
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(BEGIN_MS)));
    live(&disk, &clock, 0).await;
    let storage = FaultyStorage::new(disk.clone());
    // There is no other snapshot yet that could be read.
    storage.plan().fail_only("snapshot-");
    storage.plan().fail_after(Call::Read, 0);
    compact(storage.clone(), OPTIONS).expect_err("it cannot be read back");
    assert!(
        !disk.files().keys().any(|name| name.starts_with("snapshot-") && !name.ends_with(".new")),
        "it has no name"
    );
    storage.plan().heal();
    assert_ne!(compact(storage, OPTIONS).expect("the log is what it was").snapshot_bytes, 0);
}

#[test]
fn a_stray_segment_is_one_finding() {
    let mut files = store().files.clone();
    files.insert("4294967295.segment".into(), vec![7; 100]);
    let found = verified(&files);
    assert!((1..=3).contains(&found.checked.findings.len()), "{:?}", found.checked.findings);
    for choice in found.choices {
        // It may be refused, in words.
        let _ = offline(&SimDisk::with_files(files.clone())).apply(choice, &mut |_| {}, &mut |_, _| {});
    }
}

#[test]
fn a_compaction_by_hand_counts_its_own_files_alone() {
    let mut files = store().files.clone();
    let expected: usize = files
        .iter()
        .filter(|(name, _)| *name != "LOCK" && !name.starts_with("reserve-"))
        .map(|(_, content)| content.len())
        .sum();
    files.insert("notes".into(), vec![7; 100_000]);
    let storage = FaultyStorage::new(SimDisk::with_files(files));
    // As with a directory that only root may open.
    storage.plan().fail_only("notes");
    storage.plan().fail_after(Call::Open, 0);
    let compacted = compact(storage, OPTIONS).expect("what is not its own concerns it not");
    assert_eq!(compacted.bytes_before, expected as u64);
}

#[test]
fn a_repair_says_how_far_each_of_its_folds_is() {
    for (files, choice) in damages() {
        let mut told: Vec<(u64, u64)> = Vec::new();
        let looked = offline(&SimDisk::with_files(files));
        looked.plan(choice, &mut |_| {}, &mut |done, all| told.push((done, all))).expect("a choice");
        // A snapshot is made again by one fold, and looked at by another; where the past is let go nothing is folded.
        let folds = match choice {
            Choice::RebuildSnapshot => 2,
            Choice::ForgetHistory => 0,
            Choice::Skip | Choice::Cut => 1,
        };
        assert_eq!(told.iter().filter(|(done, all)| done == all).count(), folds, "{choice:?}: {told:?}");
        let ascends = |one: &(u64, u64), other: &(u64, u64)| one.0 == one.1 || one < other;
        assert!(told.is_sorted_by(ascends) && told.len() >= folds * 20, "{choice:?}: {told:?}");
    }
}
