//! The reader of a running journal.

use super::*;

fn collect(reader: &mut Reader<SimDisk>, from: Position, bytes: u64) -> (Vec<Kept>, Chunk) {
    let mut records = Vec::new();
    let mut visitor = |record: Record<'_>| {
        records.push(Kept::of(record));
        ControlFlow::Continue(())
    };
    let chunk = reader.read(from, bytes, &mut visitor).expect("it reads");
    (records, chunk)
}

#[test]
fn records_are_read_in_chunks_up_to_the_frontier() {
    let (disk, mut records) = filled(FsyncPolicy::Always, 100);
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let mut reader = journal.reader();
    records.push(append(&mut journal, 100, 100, 10));
    let (mut found, mut from) = (Vec::new(), Position::ZERO);
    loop {
        let (some, chunk) = collect(&mut reader, from, 1000);
        found.extend(some);
        let Chunk::Read { next, at_frontier } = chunk else { panic!("{chunk:?}") };
        from = next;
        if at_frontier {
            break;
        }
    }
    assert_eq!(found, records[..200], "the open frame is not there yet");
    commit(&mut journal, 100);
    let (found, chunk) = collect(&mut reader, from, 1000);
    assert_eq!(found, records[200..]);
    assert_eq!(chunk, Chunk::Read { next: journal.frontier(), at_frontier: true });
}

#[test]
fn reading_begins_at_any_record_also_across_rotations() {
    let (disk, records) = filled(FsyncPolicy::Always, 100);
    let (journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let mut reader = journal.reader();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(collect(&mut reader, record.position, u64::MAX).0, records[index..]);
    }
}

#[test]
fn a_position_between_records_is_refused() {
    let (disk, records) = filled(FsyncPolicy::Always, 3);
    let (journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let wrong = records[2].position.plus(8);
    let error = journal.reader().read(wrong, 1000, &mut |_| ControlFlow::Continue(())).expect_err("no record is there");
    assert!(matches!(error, JournalError::Corrupt { position, .. } if position == wrong), "{error}");
}

#[test]
fn a_reader_beyond_the_frontier_finds_nothing() {
    let (disk, _) = filled(FsyncPolicy::Always, 3);
    let (journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let beyond = journal.frontier().plus(800);
    let (found, chunk) = collect(&mut journal.reader(), beyond, 1000);
    assert_eq!((found.len(), chunk), (0, Chunk::Read { next: beyond, at_frontier: true }));
}

#[test]
fn a_visitor_that_breaks_is_given_that_record_again() {
    let (disk, records) = filled(FsyncPolicy::Always, 100);
    let (journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let mut reader = journal.reader();
    let (mut found, mut from) = (Vec::new(), Position::ZERO);
    loop {
        let mut left = 7;
        let mut visitor = |record: Record<'_>| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            found.push(Kept::of(record));
            ControlFlow::Continue(())
        };
        let chunk = reader.read(from, u64::MAX, &mut visitor).expect("it reads");
        let Chunk::Read { next, at_frontier } = chunk else { panic!("{chunk:?}") };
        from = next;
        if at_frontier {
            break;
        }
        assert_eq!(left, 0);
    }
    assert_eq!(found, records);
}

#[test]
fn nothing_behind_the_frontier_is_read_ahead() {
    let (disk, mut records) = filled(FsyncPolicy::Always, 3);
    let (mut journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let mut reader = journal.reader();
    for at in 100..110 {
        let from = journal.frontier();
        assert_eq!(collect(&mut reader, Position::ZERO, u64::MAX).0, records);
        // Written where a window that reached further would still show zeros.
        records.push(append(&mut journal, at, 100, 300));
        commit(&mut journal, at);
        assert_eq!(collect(&mut reader, from, u64::MAX).0, records[records.len() - 1..]);
    }
}

#[test]
fn a_place_to_begin_is_found_before_any_record() {
    let (disk, records) = filled(FsyncPolicy::Always, 200);
    let (journal, ..) = reopen(&disk, FsyncPolicy::Always).expect("it opens");
    let mut reader = journal.reader();
    assert_eq!(reader.oldest(), Position::ZERO);
    assert_eq!(reader.before(Position::ZERO, 1000).expect("it reads"), None);
    for end in records.iter().map(|record| record.position).chain([journal.frontier()]) {
        if end < records[0].position {
            continue;
        }
        for bytes in [1, 100, 5_000, 1 << 20] {
            let begin = reader.before(end, bytes).expect("it reads").expect("there is something before it");
            assert!(begin < end, "{begin} is before {end}");
            let (found, chunk) = collect(&mut reader, begin, end.get() - begin.get());
            assert_eq!(chunk, Chunk::Read { next: end, at_frontier: end == journal.frontier() }, "{bytes} bytes");
            let at = records.partition_point(|record| record.position < begin);
            assert_eq!(found, records[at..at + found.len()]);
        }
    }
}
