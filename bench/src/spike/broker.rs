//! The spike's broker: parses commands, turns them into rows, blobs and records, appends the replies.
//!
//! It knows no socket and no file: the loops hand it bytes and take its open frame. Two commands, enough to measure with:
//! `JOB.ADD queue name payload [options]` and `JOB.MADD queue count (name payload options) …`.

use hashbrown::HashMap;

use super::blobs::{Blob, Blobs, PagedBlobs};
use super::log::{FRAME_HEADER, Frame};
use super::rows::{PagedRows, Row, Rows};

/// Everything that a broker of one spike run holds.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    rows: PagedRows,
    blobs: PagedBlobs,
    names: HashMap<Vec<u8>, u32>,
    last_of_queue: HashMap<u32, u64>,
    last_number: u64,
    position: u64,
    frame: Frame,
}

impl Broker {
    /// Applies every complete command in `input`; answers how many bytes they were and how many commands.
    pub(crate) fn consume(&mut self, input: &[u8], replies: &mut Vec<u8>) -> (usize, usize) {
        let (mut used, mut commands) = (0, 0);
        let mut arguments = Vec::with_capacity(8);
        while let Some(length) = parse(&input[used..], &mut arguments) {
            self.apply(&arguments, replies);
            used += length;
            commands += 1;
        }
        (used, commands)
    }

    /// The frame under construction; the loop that commits it hands back an empty one.
    pub(crate) fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    fn apply(&mut self, arguments: &[&[u8]], replies: &mut Vec<u8>) {
        match arguments {
            [b"JOB.ADD", queue, name, payload, ..] => {
                let queue = self.intern(queue);
                self.add(queue, name, payload, replies);
            }
            [b"JOB.MADD", queue, _count, jobs @ ..] => {
                let queue = self.intern(queue);
                write_number(b'*', (jobs.len() / 3) as u64, replies);
                for job in jobs.chunks_exact(3) {
                    self.add(queue, job[0], job[1], replies);
                }
            }
            _ => replies.extend_from_slice(b"-ERR unknown command\r\n"),
        }
    }

    fn add(&mut self, queue: u32, name: &[u8], payload: &[u8], replies: &mut Vec<u8>) {
        let name = self.intern(name);
        self.last_number += 1;
        let number = self.last_number;
        let blob = self.record(number, queue, name, payload);
        self.blobs.insert(blob.position, payload);
        let previous = self.last_of_queue.insert(queue, number).unwrap_or(0);
        if let Some(row) = self.rows.row_mut(previous) {
            row.next = number;
        }
        self.rows.insert(number, Row { payload: blob, name, queue, previous, ..Row::default() });
        write_number(b':', number, replies);
    }

    /// Appends the record of one job: length, CRC32C, kind, number, queue, name, payload.
    fn record(&mut self, number: u64, queue: u32, name: u32, payload: &[u8]) -> Blob {
        if self.frame.bytes.is_empty() {
            self.frame.bytes.resize(FRAME_HEADER, 0);
        }
        let start = self.frame.bytes.len();
        let bytes = &mut self.frame.bytes;
        bytes.extend_from_slice(&(payload.len() as u32 + 28).to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&queue.to_le_bytes());
        bytes.extend_from_slice(&name.to_le_bytes());
        bytes.extend_from_slice(payload);
        let crc = crc32c::crc32c(&bytes[start + 8..]);
        bytes[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        let blob = Blob { position: self.position + 28, length: payload.len() as u32 };
        self.position += (bytes.len() - start) as u64;
        self.frame.records += 1;
        blob
    }

    fn intern(&mut self, text: &[u8]) -> u32 {
        if let Some(&id) = self.names.get(text) {
            return id;
        }
        let id = self.names.len() as u32;
        self.names.insert(text.to_vec(), id);
        id
    }
}

fn write_number(kind: u8, number: u64, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Reads one array of bulk strings; `None` when more bytes are needed. The spike's peers send nothing else.
fn parse<'a>(input: &'a [u8], arguments: &mut Vec<&'a [u8]>) -> Option<usize> {
    arguments.clear();
    let (count, mut at) = number_line(input, 0)?;
    for _ in 0..count {
        let (length, start) = number_line(input, at)?;
        arguments.push(input.get(start..start + length)?);
        at = start + length + 2;
    }
    (at <= input.len()).then_some(at)
}

/// The number of the line `*<n>` or `$<n>` that begins at `at`, and where the next line begins.
fn number_line(input: &[u8], at: usize) -> Option<(usize, usize)> {
    let digits = memchr::memchr(b'\r', input.get(at + 1..)?)?;
    let line = &input[at + 1..at + 1 + digits];
    let number = line.iter().fold(0usize, |sum, digit| sum * 10 + usize::from(digit.wrapping_sub(b'0')));
    Some((number, at + digits + 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_commands_are_applied_and_the_rest_is_left() {
        let mut broker = Broker::default();
        let mut replies = Vec::new();
        let input = b"*4\r\n$7\r\nJOB.ADD\r\n$1\r\nq\r\n$1\r\nn\r\n$2\r\n{}\r\n*4\r\n$7\r\nJOB";
        assert_eq!(broker.consume(input, &mut replies), (39, 1));
        assert_eq!(replies, b":1\r\n");
        let bulk = b"*6\r\n$8\r\nJOB.MADD\r\n$1\r\nq\r\n$1\r\n1\r\n$1\r\nn\r\n$2\r\n{}\r\n$1\r\n=\r\n";
        assert_eq!(broker.consume(bulk, &mut replies), (bulk.len(), 1));
        assert_eq!(replies, b":1\r\n*1\r\n:2\r\n");
        assert_eq!(broker.rows.row_mut(1).map(|row| row.next), Some(2));
    }
}
