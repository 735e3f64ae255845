//! Any parts as a snapshot: read, restored, and gone on from.
//!
//! The input is parts, each with a kind and a length. Their checksums are right, and the digest and the blobs are those of the
//! state that they make, if they make one: it then keeps every invariant and is saved as what it was made of.

use queue_core::engine::{LocalEngine, LocalOptions};
use queue_core::journal::sim::SimDisk;
use queue_core::machine::{Machine, Restore};

use crate::Input;
use crate::files::{manifest, segment, snapshot};

/// Bytes of all blobs that are made for a state at most.
const BLOB_BYTES_MAX: u64 = 256 << 10;
/// Where the snapshot ends.
const POSITION: u64 = 1 << 20;

type Parts = Vec<(u16, Vec<u8>)>;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut parts = Parts::new();
    while !input.is_empty() {
        let (kind, length) = (input.number(2) as u16, input.number(2) as usize);
        parts.push((kind, input.take(length).to_vec()));
    }
    let mut hash = 0;
    if let Some(machine) = restore(&parts) {
        check(&machine);
        hash = machine.state_hash();
        let blobs = machine.live_blobs();
        if blobs.iter().map(|blob| u64::from(blob.length)).sum::<u64>() > BLOB_BYTES_MAX {
            return;
        }
        for blob in blobs {
            let bytes = vec![b'b'; blob.length as usize];
            parts.push((0x4000, [&blob.position.to_le_bytes()[..], &bytes].concat()));
        }
    }
    let name = format!("snapshot-{POSITION:020}");
    let files = [
        ("MANIFEST".to_owned(), manifest(&name, POSITION)),
        ("00000001.segment".to_owned(), segment(POSITION, 0, &[], 64 << 10)),
        (name, snapshot(POSITION, hash, &parts, 1 << 10)),
    ];
    open(SimDisk::with_files(files.into()));
}

/// What was restored keeps what every state keeps, and is saved as it is.
fn check(machine: &Machine) {
    machine.assert_invariants();
    let saved = save(machine);
    let again = restore(&saved).expect("what was saved is restored");
    assert_eq!(again.state_hash(), machine.state_hash(), "saved and restored");
    assert!(save(&again) == saved, "equal states give equal parts");
}

/// Opens it as an engine, which may be refused.
fn open(disk: SimDisk) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let options = LocalOptions { segment_bytes: 64 << 10, seed: 1, ..LocalOptions::default() };
    runtime.block_on(async { drop(LocalEngine::on(disk, options)) });
}

/// The state of these parts, if they make one.
fn restore(parts: &Parts) -> Option<Machine> {
    let mut restore = Restore::new();
    for (kind, body) in parts {
        restore.part(*kind, body).ok()?;
    }
    restore.finish().ok()
}

fn save(machine: &Machine) -> Parts {
    let mut parts = Parts::new();
    machine.save(&mut |kind, body| parts.push((kind, body.to_vec())));
    parts
}
