//! The parts byte by byte, and what is refused by name. That a restored machine is the one that was saved is tried with
//! random commands in the model's tests.

use std::sync::Arc;

use bytes::Bytes;

use super::super::{Blob, Chance, Event, Sink};
use super::{Machine, Restore, field, kind};
use crate::model::{
    BulkVerb, Command, Context, DeadReason, DelayCause, JobFilter, JobNumber, JobOptions, JobState, JobVerb,
    LeaseOrder, LeaseOutcome, LeaseRef, LogLine, LogSource, NewJob, Now, OperationState, Outcome, QueueSettings, Reply,
    SettingsPatch, Settlement,
};

const NOW: Now = Now { steady: 0x100, wall: 0x300 };

type Parts = Vec<(u16, Vec<u8>)>;

/// Every record takes 64 bytes, and nothing is kept.
struct Frame(u64);

impl Sink for Frame {
    fn append(&mut self, _at: u64, _event: &Event<'_>) -> u64 {
        self.0 += 64;
        self.0
    }

    fn release(&mut self, _blob: Blob) {}

    fn read(&self, _blob: Blob) -> Bytes {
        Bytes::new()
    }

    fn blob_bytes(&self) -> u64 {
        0
    }
}

struct Store {
    machine: Machine,
    frame: Frame,
}

impl Store {
    fn new() -> Self {
        let mut store = Self { machine: Machine::new(), frame: Frame(0) };
        store.machine.start(NOW, &mut Chance::new(1), &mut store.frame);
        store
    }

    fn done(&mut self, command: &Command) -> Reply {
        let reply = self.machine.apply(NOW, &mut Chance::new(1), &Context::default(), command, &mut self.frame);
        reply.expect("a sound command")
    }

    fn enqueue(&mut self, count: usize, options: JobOptions) {
        let job = NewJob { options: Arc::new(options), ..NewJob::new("send", "{}") };
        self.done(&Command::Enqueue { queue: "q".to_owned(), jobs: vec![job; count] });
    }

    /// Leases one job and fails it for good.
    fn fail_one(&mut self) {
        let order = LeaseOrder { queues: vec!["q".to_owned()], limit: 1, worker: "w".to_owned(), lease_ms: None };
        let Reply::Leased(leased) = self.done(&Command::Lease(order)) else { panic!("jobs are leased") };
        let lease = LeaseRef { number: leased[0].number, token: leased[0].token };
        let outcome = Outcome::Fail { kind: "exit".to_owned(), error: "1".to_owned(), retryable: false };
        self.done(&Command::Settle { settlements: vec![Settlement { lease, outcome }], then_lease: None });
    }

    fn parts(&self) -> Parts {
        let mut parts = Parts::new();
        self.machine.save(&mut |kind, body| parts.push((kind, body.to_vec())));
        parts
    }
}

fn restore(parts: &Parts) -> Result<Machine, String> {
    let mut restore = Restore::new();
    for (kind, body) in parts {
        restore.part(*kind, body).map_err(|wrong| wrong.to_string())?;
    }
    restore.finish().map_err(|wrong| wrong.to_string())
}

fn body(parts: &mut Parts, wanted: u16) -> &mut Vec<u8> {
    &mut parts.iter_mut().find(|(kind, _)| *kind == wanted).expect("a part of this kind").1
}

/// Changes the body of the first part of a kind; what restoring says.
fn refused(store: &Store, kind: u16, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut parts = store.parts();
    change(body(&mut parts, kind));
    restore(&parts).expect_err("a part was changed")
}

fn with_a_job() -> Store {
    let mut store = Store::new();
    store.enqueue(1, JobOptions::default());
    store
}

#[test]
fn an_empty_machine_is_one_part() {
    let store = Store { machine: Machine::new(), frame: Frame(0) };
    let parts = store.parts();
    assert_eq!(parts, [(kind::STORE, vec![0; 48])]);
    assert_eq!(restore(&parts).map(|machine| machine.state_hash()), Ok(Machine::new().state_hash()));
}

/// The page that draws the parts.
const PAGE: &str = include_str!("../../../../docs/journal.md");

#[test]
fn the_page_numbers_kinds_fields_and_words_as_the_code_does() {
    let lacks = |text: String| assert!(PAGE.contains(&text), "docs/journal.md lacks: {text}");
    for (kind, what) in [
        (kind::STORE, "the store"),
        (kind::NAMES, "names of jobs"),
        (kind::WORKERS, "names of workers"),
        (kind::POLICIES, "policies"),
        (kind::QUEUE, "a queue"),
        (kind::REMEMBERED, "ids of gone jobs"),
        (kind::SETTLED, "settled tokens"),
        (kind::OPERATION, "a bulk operation"),
        (kind::ROW, "a job"),
        (kind::SERIES, "a series"),
        (kind::CANDIDATES, "candidates for a series"),
        (kind::FAILURE, "a group of failures"),
    ] {
        lacks(format!("| {kind} | {what} |"));
    }
    (field::KEY..=field::OF_JOB).for_each(|field| lacks(format!("field {field}")));
    let numbered = |words: Vec<&str>| {
        let with_number = words.iter().enumerate().filter(|(_, word)| **word != "waiting-children");
        lacks(with_number.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", "));
    };
    numbered(JobState::ALL.iter().map(|one| one.as_str()).collect());
    numbered(DelayCause::ALL.iter().map(|one| one.as_str()).collect());
    numbered(DeadReason::ALL.iter().map(|one| one.as_str()).collect());
    numbered(LeaseOutcome::ALL.iter().map(|one| one.as_str()).collect());
    numbered(BulkVerb::ALL.iter().map(|one| one.as_str()).collect());
    numbered(OperationState::ALL.iter().map(|one| one.as_str()).collect());
}

/// Little-endian integers of a body, at the offsets and with the lengths that the page's tables give.
fn numbers<const N: usize>(body: &[u8], fields: [(usize, usize); N]) -> [u64; N] {
    fields.map(|(at, bytes)| body[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[test]
fn parts_read_as_the_page_draws_them() {
    let mut store = with_a_job();
    store.enqueue(1, JobOptions { keep_ms: Some(5), ..JobOptions::default() });
    store.fail_one();
    let token = store.machine.last_token.0;
    store.done(&Command::StartOperation { verb: BulkVerb::Retry, filter: JobFilter::default() });
    let mut parts = store.parts();
    let mut body = |kind| body(&mut parts, kind).clone();

    let fields = [(0, 8), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 1), (49, 4)];
    assert_eq!(numbers(&body(kind::STORE), fields), [0x100, 0x200, 0, 2, token, 1, 1, 16]);
    assert_eq!(body(kind::NAMES), b"\0\0\0\0\x04\0\0\0send");
    let policies = body(kind::POLICIES);
    let fields = [(0, 4), (4, 4), (8, 4), (12, 1), (13, 8), (21, 8), (29, 4), (33, 4), (37, 1), (38, 4), (42, 8)];
    let first = [0, 42, 16, 1, 5_000, 3_600_000, 2_000, 20, 13, 8, 30 * 60_000];
    assert_eq!(numbers(&policies, fields), first);
    assert_eq!(numbers(&policies[50..], [(0, 4), (46, 1), (51, 4)]), [55, 15, 5]);

    let queue = body(kind::QUEUE);
    let fields = [(0, 4), (4, 4), (8, 1), (9, 8), (17, 8), (25, 8), (33, 8), (41, 8), (49, 8)];
    assert_eq!(numbers(&queue, fields), [0, 1, u64::from(b'q'), 3, u64::MAX, 2, 0, 0, 0]);
    assert_eq!(queue.len(), 57);

    let settled = body(kind::SETTLED);
    let (byte, bit) = (16 + (token % 4_096 / 8) as usize, token % 8);
    let fields = [(0, 8), (8, 8), (byte, 1)];
    assert_eq!((numbers(&settled, fields), settled.len()), ([token / 4_096, 0x100, 1 << bit], 528));

    let operation = body(kind::OPERATION);
    let fields = [(0, 8), (8, 1), (9, 1), (10, 8), (18, 8), (26, 8), (34, 8), (42, 4)];
    assert_eq!(numbers(&operation, fields), [1, 2, 0, 0x100, token, 0, 0, 11]);
    assert_eq!(&operation[46..], b"{\"up_to\":2}\0\0\0\0");

    // The first job's leases, inside of the field of what most lack.
    let row = &body(kind::ROW)[65..];
    assert_eq!(numbers(row, [(0, 1), (5, 1)]), [9, 14]);
    let runs = &row[10..];
    assert_eq!(numbers(runs, [(0, 8), (8, 4), (12, 4), (16, 4), (20, 4)]), [token, 30_000, 1, 0, 0]);
    let fields = [(24, 1), (29, 4), (33, 4), (37, 4), (41, 2), (43, 1), (44, 8), (52, 8), (60, 1)];
    assert_eq!(numbers(runs, fields), [15, 0, 1, 1, 1, 2, 0x100, 0x100, 16]);
}

#[test]
fn a_waiting_job_is_65_bytes() {
    let store = with_a_job();
    let row = store.parts().into_iter().find(|(kind, _)| *kind == kind::ROW);
    let mut expected = Vec::new();
    // Number, payload, queue, name, policy.
    expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
    expected.extend([0; 12]);
    // Since when it waits, its place, when it was enqueued.
    expected.extend([0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    // Attempt, stalls, priority, state, detail, flags.
    expected.extend([0; 9]);
    assert_eq!(row, Some((kind::ROW, expected)));
}

#[test]
fn statistics_read_as_the_page_draws_them() {
    let mut store = with_a_job();
    let mut parts = store.parts();
    let expected = [
        &[0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        // How busy, the 10 s that run: their number, one job enqueued, no durations.
        &[0, 0, 0, 0, 0, 0, 0, 0, 22, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0],
    ];
    assert_eq!(*body(&mut parts, kind::SERIES), expected.concat());
    let name = &parts.iter().rfind(|(kind, _)| *kind == kind::SERIES).expect("a name's").1;
    assert_eq!(name[..22], [3, 0, 0, 0, 0, 4, 0, 0, 0, b's', b'e', b'n', b'd', 1, 0, 0, 0, 0, 0, 0, 0, 22]);
    store.fail_one();
    let parts = store.parts();
    let failure = &parts.iter().find(|(kind, _)| *kind == kind::FAILURE).expect("a failure").1;
    assert_eq!(failure[4..11], *b"exit: N");
    assert_eq!(numbers(failure, [(0, 4), (11, 4), (19, 8), (27, 8), (35, 8), (43, 8)]), [7, 4, 1, 0x100, 0x100, 1]);
    // 228 counts of a byte each, both of the first minute and hour.
    assert_eq!(numbers(failure, [(51, 1), (52, 4), (56, 1), (57, 1), (116, 1), (117, 1)]), [26, 228, 1, 0, 1, 0]);
}

#[test]
fn what_hangs_on_a_job_is_restored() {
    let mut store = Store::new();
    let tags = vec!["a".to_owned(), "b".to_owned()];
    let headers = [("trace".to_owned(), "1".to_owned())].into();
    let id = Some("order-1".to_owned());
    store.enqueue(1, JobOptions { id, tags, headers, keep_ms: Some(5), ..JobOptions::default() });
    store.fail_one();
    let set = QueueSettings { stalls: Some(7), ..QueueSettings::default() };
    store.done(&Command::SetQueue { queue: "q".to_owned(), patch: SettingsPatch { set, reset: Vec::new() } });
    store.done(&Command::Pause { queue: "q".to_owned() });
    let parts = store.parts();
    let kinds: Vec<u16> = parts.iter().map(|(kind, _)| *kind).collect();
    let state = [kind::STORE, kind::NAMES, kind::WORKERS, kind::POLICIES, kind::QUEUE, kind::SETTLED, kind::ROW];
    let statistics = [kind::SERIES, kind::SERIES, kind::SERIES, kind::CANDIDATES, kind::FAILURE];
    assert_eq!(kinds, [&state[..], &statistics].concat());
    let restored = restore(&parts).expect("what was saved");
    restored.assert_invariants();
    assert_eq!(restored.state_hash(), store.machine.state_hash());
    assert_eq!(restored.live_blobs(), store.machine.live_blobs());
    assert_eq!(restored.live_blobs().len(), 3, "payload, headers and error");
}

/// A start compares the state with a hash that another version may have written down.
#[test]
fn the_hash_of_a_state_is_the_same_in_every_version() {
    let mut store = Store::new();
    let mut hashes = vec![store.machine.state_hash()];
    store.enqueue(3, JobOptions { tags: vec!["a".to_owned()], priority: Some(-3), ..JobOptions::default() });
    store.enqueue(2, JobOptions { delay_ms: Some(70), keep_ms: Some(5), ..JobOptions::default() });
    let headers = [("trace".to_owned(), "1".to_owned())].into();
    store.enqueue(1, JobOptions { id: Some("one".to_owned()), headers, lifo: true, ..JobOptions::default() });
    hashes.push(store.machine.state_hash());
    store.fail_one();
    let order = LeaseOrder { queues: vec!["q".to_owned()], limit: 3, worker: "x".to_owned(), lease_ms: Some(900) };
    let Reply::Leased(leased) = store.done(&Command::Lease(order)) else { panic!("jobs are leased") };
    let leases: Vec<LeaseRef> = leased.iter().map(|job| LeaseRef { number: job.number, token: job.token }).collect();
    for value in ["1", "22"] {
        store.done(&Command::Progress { lease: leases[0], value: value.into() });
        let line = LogLine { source: LogSource::Out, text: value.to_owned() };
        store.done(&Command::Log { lease: leases[0], lines: vec![line; 2] });
    }
    store.done(&Command::Job { job: leases[0].number.into(), verb: JobVerb::Cancel });
    let outcome = Outcome::Complete { result: Some("3".into()) };
    store.done(&Command::Settle { settlements: vec![Settlement { lease: leases[1], outcome }], then_lease: None });
    let outcome = Outcome::Snooze { delay_ms: Some(1_000) };
    store.done(&Command::Settle { settlements: vec![Settlement { lease: leases[2], outcome }], then_lease: None });
    hashes.push(store.machine.state_hash());
    store.done(&Command::Job { job: JobNumber(6).into(), verb: JobVerb::Remove { force: false } });
    let set = QueueSettings { stalls: Some(7), ..QueueSettings::default() };
    store.done(&Command::SetQueue { queue: "q".to_owned(), patch: SettingsPatch { set, reset: Vec::new() } });
    store.done(&Command::Pause { queue: "q".to_owned() });
    let filter = JobFilter { queue: Some("q".to_owned()), ..JobFilter::default() };
    store.done(&Command::StartOperation { verb: BulkVerb::Cancel, filter });
    hashes.push(store.machine.state_hash());
    // Of a new store; of jobs that nobody had; with all that hangs on jobs; with all that a queue and an operation are.
    let expected =
        [15_712_132_927_860_783_136, 7_899_268_992_700_209_080, 2_686_227_185_731_176_428, 9_487_827_304_934_453_205];
    assert_eq!(hashes, expected);
}

#[test]
fn many_small_things_share_a_part_and_stay_in_order() {
    let mut store = Store::new();
    for at in 0..3_000 {
        let job = NewJob::new(format!("job-{at:04}-{}", "x".repeat(40)), "{}");
        let options = JobOptions { id: Some(format!("id-{at}")), ..JobOptions::default() };
        store.done(&Command::Enqueue { queue: "q".to_owned(), jobs: vec![job.with(options)] });
    }
    // Names in the middle and at the end are nobody's.
    for number in (100..200).chain(1_000..2_000).chain(2_900..3_001) {
        let job = crate::model::JobNumber(number).into();
        let verb = crate::model::JobVerb::Remove { force: false };
        store.done(&Command::Job { job, verb });
    }
    let parts = store.parts();
    let of = |wanted| parts.iter().filter(|(kind, _)| *kind == wanted).count();
    assert!(of(kind::NAMES) > 1 && of(kind::REMEMBERED) > 1);
    assert!(parts.iter().all(|(_, body)| body.len() < 33 << 10));
    let mut restored = Store { machine: restore(&parts).expect("what was saved"), frame: Frame(1 << 20) };
    restored.machine.assert_invariants();
    assert_eq!(restored.machine.state_hash(), store.machine.state_hash());
    assert!(restored.parts() == parts);
    // Numbers that are free are given again in the same order, and ids are remembered.
    for at in 0..3 {
        let job = NewJob::new(format!("new-{at}"), "{}");
        let old = NewJob::new("old", "{}").with(JobOptions { id: Some("id-150".to_owned()), ..JobOptions::default() });
        let command = Command::Enqueue { queue: "q".to_owned(), jobs: vec![job, old] };
        assert_eq!(restored.done(&command), store.done(&command));
    }
    assert!(restored.parts().iter().zip(&store.parts()).all(|(one, other)| one.0 == kind::ROW || one == other));
}

#[test]
fn kinds_and_fields_that_are_unknown_are_refused_unless_they_may_be_skipped() {
    let store = with_a_job();
    let mut parts = store.parts();
    parts.push((0x7fff, Vec::new()));
    assert_eq!(restore(&parts).map(|_| ()), Err("part of kind 32767: unknown to this version".to_owned()));
    parts.last_mut().expect("just pushed").0 = 0xffff;
    assert!(restore(&parts).is_ok());
    let field = [0x7f, 1, 0, 0, 0, 9];
    let refused = refused(&store, kind::ROW, |body| body.extend(field));
    assert_eq!(refused, "part of kind 9: field 127 is unknown to this version");
    body(&mut parts, kind::ROW).extend([0xff, 1, 0, 0, 0, 9]);
    assert!(restore(&parts).is_ok());
}

#[test]
fn parts_that_do_not_go_together_are_refused_by_name() {
    let store = with_a_job();
    let without = |wanted: u16| {
        let parts = store.parts().into_iter().filter(|(kind, _)| *kind != wanted).collect();
        restore(&parts).expect_err("a part is missing")
    };
    assert_eq!(without(kind::STORE), "part of kind 2: a snapshot has one part that it begins with");
    assert_eq!(without(kind::NAMES), "part of kind 9: job #1: name 0 is not there");
    assert_eq!(without(kind::POLICIES), "part of kind 9: job #1: policy 0 is not there");
    assert_eq!(without(kind::QUEUE), "part of kind 9: job #1: queue 0 is not there");
    assert!(without(kind::ROW).starts_with("the books of queue q do not balance"), "{}", without(kind::ROW));
    assert_eq!(restore(&Vec::new()).map(|_| ()), Err("a snapshot without the part that it begins with".to_owned()));
    let mut parts = store.parts();
    for kind in [kind::STORE, kind::NAMES, kind::QUEUE, kind::ROW] {
        let at = parts.iter().position(|part| part.0 == kind).expect("a part of this kind");
        parts.insert(at, parts[at].clone());
        restore(&parts).map(|_| ()).expect_err("a part stands twice");
        parts.remove(at);
    }
    assert!(restore(&parts).is_ok());
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let store = with_a_job();
    let row = |at: usize, byte: u8| refused(&store, kind::ROW, |body| body[at] = byte);
    assert_eq!(row(7, 1), "part of kind 9: job #72057594037927937: is numbered beyond the last");
    assert_eq!(row(39, 0x40), "part of kind 9: job #1: instant 4611686018427388160 is out of range");
    assert_eq!(row(40, 2), "part of kind 9: job #1: place 2 was never given");
    assert_eq!(row(62, 9), "part of kind 9: state 9 is unknown");
    assert_eq!(row(62, 3), "part of kind 9: job #1: no job waits for children in this version");
    assert_eq!(row(62, 2), "part of kind 9: job #1: was never leased");
    assert_eq!(row(64, 1), "part of kind 9: job #1: is waiting with flags 1");
    assert_eq!(row(64, 2), "part of kind 9: job #1: a lease expired and was not counted");
    let cut = refused(&store, kind::ROW, |body| body.truncate(60));
    assert_eq!(cut, "part of kind 9: a value of 2 bytes is cut off");
    // Neither side has room for all that may still come.
    let far = (1_i64 << 62).to_le_bytes();
    let back = refused(&store, kind::QUEUE, |body| body[9..17].copy_from_slice(&far));
    assert!(back.ends_with(" and 4611686018427387904"), "{back}");
    let front = refused(&store, kind::QUEUE, |body| body[17..25].copy_from_slice(&(-(1_i64 << 62)).to_le_bytes()));
    assert_eq!(front, "part of kind 5: places are given from -4611686018427387904 and 2");
    // The next start could count no further.
    let last_epoch = refused(&store, kind::STORE, |body| body[36..40].fill(0xff));
    assert_eq!(last_epoch, "part of kind 1: a counter is out of range");
}

#[test]
fn a_number_makes_no_room_by_itself() {
    let store = with_a_job();
    let mut parts = store.parts();
    // The last number and the job's own are both beyond what could be held.
    body(&mut parts, kind::STORE)[24 + 7] = 0x3f;
    body(&mut parts, kind::ROW)[7] = 0x3e;
    let restored = restore(&parts).expect("a far number is a number");
    restored.assert_invariants();
    assert!(restored.row_bytes() < 100_000, "{} bytes", restored.row_bytes());
    // A value's number follows from its place.
    let far = refused(&store, kind::NAMES, |body| body[..4].copy_from_slice(&u32::MAX.to_le_bytes()));
    assert_eq!(far, "part of kind 2: value 4294967295 comes where 0 is next");
}
