//! Random lives of a journal, on a simulated disk and on a real one.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append { byte: u8, length: usize },
    Commit,
    Maintain,
    Seal,
    Sync,
    Close,
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<u8>(), 0..600_usize).prop_map(|(byte, length)| Step::Append { byte, length }),
        1 => (any::<u8>(), 4000..40_000_usize).prop_map(|(byte, length)| Step::Append { byte, length }),
        4 => Just(Step::Commit),
        2 => Just(Step::Maintain),
        1 => Just(Step::Seal),
        1 => Just(Step::Sync),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
    ]
}

fn policy() -> impl Strategy<Value = FsyncPolicy> {
    prop_oneof![Just(FsyncPolicy::Always), Just(FsyncPolicy::EverySec), Just(FsyncPolicy::No)]
}

/// Runs `steps` beside a list of records, which is the model.
fn live<S: Storage>(storage: &S, policy: FsyncPolicy, steps: Vec<Step>) {
    let (mut journal, ..) = reopen(storage, policy).expect("a new store opens");
    let (mut committed, mut open, mut now) = (Vec::new(), Vec::new(), 0);
    for step in steps {
        now += 40;
        match step {
            Step::Append { byte, length } => open.push(append(&mut journal, now, byte, length)),
            Step::Commit => {
                if let Some(commit) = journal.begin_commit(now) {
                    committed.append(&mut open);
                    journal.finish_commit(commit.run()).expect("the disk is well");
                }
            }
            Step::Maintain => journal.maintain(now),
            Step::Seal => now += 100,
            Step::Sync => {
                now += 1000;
                if let Some(sync) = journal.begin_sync(now) {
                    journal.finish_sync(sync.run()).expect("the disk is well");
                }
            }
            Step::Close | Step::Drop => {
                if matches!(step, Step::Close) {
                    committed.append(&mut open);
                    journal.close(now).expect("the disk is well");
                } else {
                    open.clear();
                    drop(journal);
                }
                let (again, recovered, found) = reopen(storage, policy).expect("it opens");
                assert_eq!(found, committed);
                assert_eq!(recovered.torn_bytes, 0);
                assert!(recovered.clean || !matches!(step, Step::Close));
                journal = again;
            }
        }
        assert!(journal.synced() <= journal.written() && journal.written() <= journal.end());
    }
    let mut found = Vec::new();
    let mut visitor = |record: Record<'_>| {
        found.push(Kept::of(record));
        ControlFlow::Continue(())
    };
    journal.reader().read(Position::ZERO, u64::MAX, &mut visitor).expect("it reads");
    assert_eq!(found.as_slice(), &committed[..found.len()]);
    assert!(committed[found.len()..].iter().all(|record| record.position >= journal.frontier()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_committed_comes_back(policy in policy(), steps in prop::collection::vec(step(), 1..120)) {
        live(&SimDisk::new(), policy, steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn also_on_a_real_directory(policy in policy(), steps in prop::collection::vec(step(), 1..60)) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        live(&DirStorage::new(directory.path()), policy, steps);
    }
}
