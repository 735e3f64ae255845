//! Any bytes as a log's only segment.
//!
//! The first byte says whether their checksums are put right, so that what stands behind those is reached. Whatever the
//! bytes are, looking and opening agree; what opens, opens again with the same records, clean.

use queue_core::journal::sim::SimDisk;
use queue_core::journal::{Inspection, Journal, Options, Record, SnapshotHeader, VisitError, Visitor};

use crate::Input;
use crate::files::{first_chain, fix_segment, manifest, segment};

/// Everything of a record.
type Kept = (u64, u16, bool, u64, Vec<u8>);

#[derive(Default)]
struct Records(Vec<Kept>);

impl Visitor for Records {
    fn part(&mut self, _: u16, _: &[u8]) -> Result<(), VisitError> {
        Err("there is no snapshot".into())
    }

    fn restored(&mut self, _: &SnapshotHeader) -> Result<(), VisitError> {
        Err("there is no snapshot".into())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        let Record { position, kind, skippable, at, body } = record;
        self.0.push((position.get(), kind, skippable, at, body.to_vec()));
        Ok(())
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let fixed = input.number(1) & 1 == 1;
    let mut log = segment(0, first_chain(), input.0, 4 << 10);
    if fixed {
        fix_segment(&mut log);
    }
    let files = [("MANIFEST".to_owned(), manifest("", 0)), ("00000001.segment".to_owned(), log)];
    let disk = SimDisk::with_files(files.into());
    let mut seen = Records::default();
    let looked = Inspection::open(disk.clone()).and_then(|inspection| inspection.replay(&mut seen));
    let options = || Options { segment_bytes_first: 4 << 10, segment_bytes_max: 4 << 10, ..Options::default() };
    let mut found = Records::default();
    let opened = Journal::open_with(disk.clone(), options(), &mut found);
    assert_eq!(looked.is_ok(), opened.is_ok(), "looking and opening agree: {looked:?}, {opened:?}");
    assert_eq!(seen.0, found.0, "they read the same");
    let Ok((journal, _)) = opened else { return };
    drop(journal);
    let mut again = Records::default();
    let (_, recovered) = Journal::open_with(disk, options(), &mut again).expect("what opened opens again");
    assert!(recovered.clean && recovered.torn_bytes == 0, "a start leaves it clean: {recovered:?}");
    assert_eq!(again.0, found.0, "it holds the same");
}
