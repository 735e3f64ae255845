//! What the program prints: lines for the job's log, the last lines of standard error, the last line of standard output.
//!
//! Always drained, never grown: a line is kept up to a bound, a log up to a bound, the rest is counted.
//! Leaves to `outcome` what the lines mean. Sizes are bytes.

use std::collections::VecDeque;

use queue_core::model::{Limits, LogLine, LogSource};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest line in the log; the rest of a longer one is counted, not kept.
const LOG_LINE_BYTES: usize = 4 << 10;
/// Room that the log keeps for our own closing lines.
const LOG_NOTE_BYTES: usize = 256;
const LOG_NOTES: usize = 2;
/// Last lines of standard error in an error text.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4 << 10;
const READ_BYTES: usize = 8 << 10;

/// What is left of the output when the program has ended.
#[derive(Debug, Default)]
pub(super) struct Printed {
    /// The result: the last line of standard output that is not blank, if it is one JSON value within the limit.
    pub(super) result: Option<Vec<u8>>,
    /// The last lines of standard error.
    pub(super) tail: String,
}

/// Takes in both outputs of one program.
pub(super) struct Output<L> {
    log: Log<L>,
    out: Lines,
    err: Lines,
    last: Line,
    tail: VecDeque<String>,
}

impl<L: FnMut(LogLine)> Output<L> {
    pub(super) fn new(sink: L) -> Self {
        let log = Log { sink, lines: 0, bytes: 0, left_out_lines: 0, left_out_bytes: 0 };
        let out = Lines::new(Limits::RESULT_BYTES);
        let err = Lines::new(LOG_LINE_BYTES);
        Self { log, out, err, last: Line::default(), tail: VecDeque::new() }
    }

    /// Reads until both outputs are closed. May be dropped at any time.
    pub(super) async fn pump(&mut self, mut stdout: impl AsyncRead + Unpin, mut stderr: impl AsyncRead + Unpin) {
        let (mut from_out, mut from_err) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            tokio::select! {
                read = stdout.read(&mut from_out), if out_open => match read {
                    Ok(count @ 1..) => self.take_out(&from_out[..count]),
                    _ => out_open = false,
                },
                read = stderr.read(&mut from_err), if err_open => match read {
                    Ok(count @ 1..) => self.take_err(&from_err[..count]),
                    _ => err_open = false,
                },
            }
        }
    }

    /// Takes the lines without an end, and closes the log.
    pub(super) fn finish(mut self) -> Printed {
        if self.out.begun() {
            self.take_out(b"\n");
        }
        if self.err.begun() {
            self.take_err(b"\n");
        }
        let result = self.result();
        self.log.close();
        Printed { result, tail: Vec::from(self.tail).join("\n") }
    }

    fn take_out(&mut self, bytes: &[u8]) {
        let Self { out, log, last, .. } = self;
        out.split(bytes, |line| {
            log.add(LogSource::Out, line.text());
            if !line.is_blank() {
                std::mem::swap(line, last);
            }
        });
    }

    fn take_err(&mut self, bytes: &[u8]) {
        let Self { err, log, tail, .. } = self;
        err.split(bytes, |line| {
            let text = line.text();
            tail.push_back(text.clone());
            while tail.len() > TAIL_LINES
                || (tail.len() > 1 && tail.iter().map(String::len).sum::<usize>() > TAIL_BYTES)
            {
                tail.pop_front();
            }
            log.add(LogSource::Err, text);
        });
    }

    fn result(&mut self) -> Option<Vec<u8>> {
        let Line { bytes, over } = std::mem::take(&mut self.last);
        if over > 0 {
            // Whether it was JSON is not known any more; a plain line of this length is as unusual.
            let length = bytes.len() + over;
            let limit = Limits::RESULT_BYTES;
            self.log.note(format!("longshore: no result: the last line has {length} bytes, at most {limit} are kept"));
            return None;
        }
        let text = std::str::from_utf8(&bytes).ok()?.trim();
        serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
        Some(text.as_bytes().to_vec())
    }
}

/// One line: its beginning, and how many bytes more it had.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    over: usize,
}

impl Line {
    fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// As it stands in the log: valid UTF-8, without its end, cut.
    fn text(&self) -> String {
        let bytes = self.bytes.strip_suffix(b"\r").unwrap_or(&self.bytes);
        let length = bytes.len() + self.over;
        if length <= LOG_LINE_BYTES {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        let mut text = String::from_utf8_lossy(&bytes[..LOG_LINE_BYTES]).into_owned();
        text.truncate(text.floor_char_boundary(LOG_LINE_BYTES));
        text.push_str(&format!("… (a line of {length} bytes)"));
        text
    }
}

/// Cuts a stream into lines and keeps at most `max` bytes of each.
struct Lines {
    line: Line,
    max: usize,
}

impl Lines {
    fn new(max: usize) -> Self {
        Self { line: Line::default(), max }
    }

    fn begun(&self) -> bool {
        !self.line.bytes.is_empty()
    }

    /// Calls `ended` for each line that ends in `bytes`; it may take the line's buffer and leave another.
    fn split(&mut self, mut bytes: &[u8], mut ended: impl FnMut(&mut Line)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..end]);
            bytes = &bytes[end + 1..];
            ended(&mut self.line);
            self.line.bytes.clear();
            self.line.over = 0;
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.max - self.line.bytes.len());
        self.line.bytes.extend_from_slice(&bytes[..fits]);
        self.line.over += bytes.len() - fits;
    }
}

/// The job's log within its bounds: the first lines pass, the rest is counted.
struct Log<L> {
    sink: L,
    lines: usize,
    bytes: usize,
    left_out_lines: usize,
    left_out_bytes: usize,
}

impl<L: FnMut(LogLine)> Log<L> {
    fn add(&mut self, source: LogSource, text: String) {
        let full = self.lines + LOG_NOTES == Limits::LOG_LINES
            || self.bytes + text.len() + LOG_NOTE_BYTES * LOG_NOTES > Limits::LOG_BYTES;
        // Once full it stays full: a log with holes reads as if it had none.
        if full || self.left_out_lines > 0 {
            self.left_out_lines += 1;
            self.left_out_bytes += text.len();
            return;
        }
        self.lines += 1;
        self.bytes += text.len();
        (self.sink)(LogLine { source, text });
    }

    /// A line of our own, for which there is always room.
    fn note(&mut self, text: String) {
        (self.sink)(LogLine { source: LogSource::Err, text });
    }

    fn close(&mut self) {
        if self.left_out_lines > 0 {
            let (lines, bytes) = (self.left_out_lines, self.left_out_bytes);
            let (most_lines, most_kib) = (Limits::LOG_LINES, Limits::LOG_BYTES >> 10);
            self.note(format!(
                "longshore: {lines} more lines ({bytes} bytes) are not kept: a log has at most {most_lines} lines and {most_kib} KiB"
            ));
        }
    }
}
