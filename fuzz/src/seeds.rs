//! First inputs: something sound of every kind, so that no fuzzer has to find the formats by itself.

use bytes::BytesMut;
use queue_core::journal::sim::SimDisk;
use queue_core::journal::{Inspection, Record, SnapshotHeader, VisitError, Visitor};
use queue_core::resp::{RequestLimits, RequestReader, RequestWriter};
use queue_core::wire::{COMMANDS, Parser, encode};

use crate::{directory, files};

/// Takes what a store holds: the machine's parts, and records.
#[derive(Default)]
struct Everything {
    parts: Vec<(u16, Vec<u8>)>,
    records: Vec<(u16, u64, Vec<u8>)>,
}

impl Visitor for Everything {
    fn part(&mut self, kind: u16, body: &[u8]) -> Result<(), VisitError> {
        self.parts.push((kind, body.to_vec()));
        Ok(())
    }

    fn restored(&mut self, _: &SnapshotHeader) -> Result<(), VisitError> {
        Ok(())
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), VisitError> {
        self.records.push((record.kind, record.at, record.body.to_vec()));
        Ok(())
    }
}

fn everything() -> Everything {
    let disk = SimDisk::with_files(directory::base().clone());
    let mut everything = Everything::default();
    let inspection = Inspection::open(disk).expect("a whole store");
    inspection.replay(&mut everything).expect("a whole store");
    everything
}

/// The first inputs of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "requests" => requests(),
        "frames" => frames(),
        "snapshot" => snapshots(),
        _ => directories(),
    }
}

const LINES: [&[&str]; 17] = [
    &["JOB.ADD", "mail", "send", "{}", "{\"id\":\"a\",\"delay_ms\":5,\"tags\":[\"x\"],\"headers\":{\"a\":\"b\"}}"],
    &["JOB.MADD", "mail", "2", "send", "{}", "{\"priority\":3}", "send", "{}", "="],
    &["JOB.SHOW", "1"],
    &["JOB.LIST", "{\"states\":[\"dead\"]}"],
    &["JOB.CANCEL", "1"],
    &["JOB.EDIT", "1", "{\"priority\":1}"],
    &["JOB.LOG", "1", "1-1", "line"],
    &["JOB.EXTEND", "1", "1-1"],
    &["JOB.PROGRESS", "1", "1-1", "50"],
    &["QUEUE.SET", "mail", "{\"attempts\":3,\"timeout_ms\":null}"],
    &["QUEUE.PAUSE", "mail"],
    &["QUEUE.LIST"],
    &["OPERATION.START", "retry", "{\"queue\":\"mail\"}"],
    &["HELLO", "3", "AUTH", "default", "secret", "SETNAME", "x"],
    &["PING"],
    &["get \"a b\"", "'c d'"],
    &[""],
];

fn requests() -> Vec<Vec<u8>> {
    let head = |kind: u8| [kind, 3, 0, 1, 200, 5, 7, 1, 2].to_vec();
    let mut lines: Vec<Vec<&str>> = LINES.iter().map(|line| line.to_vec()).collect();
    lines.extend(COMMANDS.iter().flat_map(|command| {
        (1..6).map(|count| [&[command.name][..], &["1", "1-1", "w", "{}", "mail"][..count - 1]].concat())
    }));
    let (mut all, mut together) = (Vec::new(), BytesMut::new());
    for line in lines {
        let arguments: Vec<&[u8]> = line.iter().map(|argument| argument.as_bytes()).collect();
        let mut out = BytesMut::new();
        RequestWriter::write(&mut out, &arguments);
        together.extend_from_slice(&out);
        all.push([head(0), out.to_vec()].concat());
        all.push([head(0), line.join(" ").into_bytes(), b"\r\n".to_vec()].concat());
        all.extend(again(&out).map(|out| [head(0), out].concat()));
    }
    all.push([head(2), together.to_vec()].concat());
    all
}

/// The request as a client writes it, if it is one of ours.
fn again(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = RequestReader::new(RequestLimits::AUTHENTICATED);
    reader.buffer_mut().extend_from_slice(bytes);
    let call = Parser::default().parse(reader.next_request().ok()??)?.ok()?;
    let mut out = BytesMut::new();
    encode(&call.request, &call.context.unwrap_or_default(), &mut out);
    Some(out.to_vec())
}

fn frames() -> Vec<Vec<u8>> {
    let mut all = vec![vec![0], vec![1]];
    for chunk in everything().records.chunks(5).take(40) {
        let mut seal = files::frame(&[]);
        seal[5] = 1;
        all.push([vec![1], files::frame(chunk), seal].concat());
    }
    all
}

fn snapshots() -> Vec<Vec<u8>> {
    let parts: Vec<_> = everything().parts.into_iter().filter(|(kind, _)| *kind < 0x4000).collect();
    let write = |wanted: &dyn Fn(u16) -> bool| {
        let mut bytes = Vec::new();
        for (kind, body) in parts.iter().filter(|(kind, _)| wanted(*kind)) {
            bytes.extend(kind.to_le_bytes());
            bytes.extend((body.len() as u16).to_le_bytes());
            bytes.extend(body);
        }
        bytes
    };
    // Where one kind is left out the others do not fit; these reach what comes before.
    let without = (1..=9).map(|left_out| write(&|kind| kind != left_out));
    [write(&|_| true), write(&|kind| kind == 1)].into_iter().chain(without).collect()
}

fn directories() -> Vec<Vec<u8>> {
    let mut all = vec![vec![0], vec![1]];
    for what in 0..8_u8 {
        for file in 0..6_u8 {
            all.push(vec![1, what, file, 70, 0, 0, 4, 1, 2, 3, 4, 5]);
            all.push(vec![0, what, file, 0, 2, 0, 4, 1, 2, 3, 4, 5]);
        }
    }
    // Records that the store has already had, once more.
    for (kind, _, body) in everything().records.into_iter().filter(|(.., body)| body.len() < 200).take(120) {
        all.push([vec![1, 6, 0, 0, kind as u8, 1, 0, body.len() as u8], body].concat());
    }
    all
}
