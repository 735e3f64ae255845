//! Leasing, extending, progress and log: what a worker asks while it holds a job or wants one.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::more::Runs;
use super::super::rows::{EXPIRED, Row};
use super::super::{Event, Machine, Sink};
use super::{check_bytes, check_name, cut, number};
use crate::model::size::json_bytes;
use crate::model::{
    Error, Extension, JobNumber, JobState, LeaseOrder, LeaseRef, LeaseToken, LeasedJob, Limits, LogLine, Now, Reply,
    Word, WorkerJob,
};

pub(super) fn stale(lease: LeaseRef) -> Error {
    Error::new(
        Word::Stale,
        format!("token {} does not hold job {}: the lease ended or another holds it", lease.token, lease.number),
    )
}

fn check_lease_ms(lease_ms: Option<u64>) -> Result<(), Error> {
    match lease_ms.filter(|ms| !(Limits::LEASE_MS_MIN..=Limits::LEASE_MS).contains(ms)) {
        Some(ms) => Err(Error::bad_arg("lease_ms", ms, "milliseconds from 100 to 86400000 (24 h)")),
        None => Ok(()),
    }
}

impl LeaseOrder {
    /// Checks every range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_name("worker", &self.worker)?;
        if self.limit == 0 || self.limit > Limits::LEASE_JOBS {
            return Err(Error::bad_arg("count", self.limit, "1 to 1000 jobs"));
        }
        if self.queues.is_empty() || self.queues.len() > Limits::LEASE_QUEUES {
            return Err(Error::bad_arg("queues", format_args!("a list of {}", self.queues.len()), "1 to 1000 queues"));
        }
        self.queues.iter().try_for_each(|queue| check_name("queue", queue))?;
        check_lease_ms(self.lease_ms)
    }
}

impl Machine {
    pub(super) fn lease(
        &mut self,
        now: Now,
        order: &LeaseOrder,
        sink: &mut impl Sink,
    ) -> Result<Vec<LeasedJob>, Error> {
        order.check()?;
        let mut leased: Vec<LeasedJob> = Vec::new();
        let mut bytes = 0;
        for name in &order.queues {
            let Some(queue) = self.queue_id(name) else { continue };
            while leased.len() < order.limit as usize && bytes < Limits::LEASE_BYTES {
                let entry = &self.queues[queue as usize];
                let first = if entry.paused.is_some() { None } else { entry.first_waiting(&self.rows) };
                let Some(job) = first else { break };
                let lease_ms = order.lease_ms.unwrap_or_else(|| entry.effective(|s| s.lease_ms, &self.defaults));
                let job = self.hand_out(now, job, lease_ms, &order.worker, sink);
                bytes += job.payload.len();
                leased.push(job);
            }
        }
        Ok(leased)
    }

    fn hand_out(&mut self, now: Now, job: u64, lease_ms: u64, worker: &str, sink: &mut impl Sink) -> LeasedJob {
        let worker = match self.workers.find(worker) {
            Some(known) => known,
            None => {
                let next = self.workers.next();
                self.emit(now, sink, &Event::WorkerAdded { worker: next, text: worker });
                next
            }
        };
        let token = self.last_token.next();
        // From the 101st lease on the 21st goes, and with it its error and its worker's name.
        let leases = self.rows.get(job).and_then(Row::runs).map_or(0, |runs| runs.timeline.len());
        let full = leases >= Limits::TIMELINE_FIRST + Limits::TIMELINE_LAST;
        let forget = full.then_some(Limits::TIMELINE_FIRST as u64);
        let expires_at = now.steady + lease_ms;
        self.emit(now, sink, &Event::Leased { number: number(job), token, worker, expires_at, forget });
        let row = self.rows.get(job).expect("a job that was just leased is there");
        let policy = self.policies.get(row.policy);
        let more = row.more.as_ref();
        LeasedJob {
            number: number(job),
            token,
            queue: self.queues[row.queue as usize].name.to_string(),
            name: self.names.get(row.name).to_string(),
            id: more.and_then(|more| more.id.as_deref().map(str::to_owned)),
            attempt: u32::from(row.attempt) + 1,
            attempts: policy.attempts,
            lease_ms,
            timeout_ms: policy.timeout_ms,
            enqueued_at_ms: self.to_wall(row.enqueued_at),
            headers: headers(row, sink),
            payload: sink.read(row.payload),
        }
    }

    /// The row that `lease` holds.
    pub(super) fn held(&self, lease: LeaseRef) -> Option<&Row> {
        let row = self.rows.get(lease.number.0).filter(|row| row.state == JobState::Active)?;
        (LeaseToken(row.runs()?.token) == lease.token).then_some(row)
    }

    /// The row that `lease` held last, whose stall can still be undone.
    pub(super) fn held_late(&self, lease: LeaseRef) -> Option<&Row> {
        let row = self.rows.get(lease.number.0)?;
        let late = row.state == JobState::Waiting && row.has(EXPIRED);
        (late && LeaseToken(row.runs()?.token) == lease.token).then_some(row)
    }

    /// Every lease that can be settled: those that run, and those that expired and whose job was not handed out again.
    pub fn leases(&self) -> Vec<LeaseRef> {
        let lease = |(number, row): (u64, &Row)| {
            let lease = LeaseRef { number: JobNumber(number), token: LeaseToken(row.runs()?.token) };
            self.held(lease).or_else(|| self.held_late(lease)).map(|_| lease)
        };
        self.rows.iter().filter_map(lease).collect()
    }

    /// What a beat has to say of a lease: `None` if all is well, else who cancelled it (`Some(Some(…))`) or that it is lost.
    pub fn lease_trouble(&self, lease: LeaseRef) -> Option<Option<String>> {
        match self.held(lease) {
            None => Some(None),
            Some(row) => row.runs()?.cancel.as_ref().map(|cancel| Some(cancel.text.to_string())),
        }
    }

    /// A job that `worker` named in its last beat; without an expiry where that lease is over.
    pub fn worker_job(&self, lease: LeaseRef, worker: &str) -> Option<WorkerJob> {
        let row = self.rows.get(lease.number.0)?;
        let worker = self.workers.find(worker)?;
        let theirs = row.runs()?.timeline.iter().rev().find(|lease| lease.worker == worker)?;
        Some(WorkerJob {
            number: lease.number,
            queue: self.queues[row.queue as usize].name.to_string(),
            name: self.names.get(row.name).to_string(),
            leased_at_ms: self.to_wall(theirs.leased_at),
            expires_at_ms: self.held(lease).map(|row| self.to_wall(row.at)),
        })
    }

    pub(super) fn extend(
        &mut self,
        now: Now,
        leases: &[LeaseRef],
        lease_ms: Option<u64>,
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        check_lease_ms(lease_ms)?;
        if leases.len() > Limits::BATCH_JOBS {
            return Err(Error::bad_arg("leases", format_args!("a list of {}", leases.len()), "at most 10000 leases"));
        }
        let extended = leases.iter().map(|&lease| self.extend_one(now, lease, lease_ms, sink)).collect();
        Ok(Reply::Extended(extended))
    }

    fn extend_one(&mut self, now: Now, lease: LeaseRef, lease_ms: Option<u64>, sink: &mut impl Sink) -> Extension {
        let Some(row) = self.held(lease) else { return Extension::Lost };
        let queue = &self.queues[row.queue as usize];
        let lease_ms = lease_ms.unwrap_or_else(|| queue.effective(|s| s.lease_ms, &self.defaults));
        let cancel = row.runs().and_then(|runs| runs.cancel.as_ref());
        let answer = match cancel {
            Some(cancel) => Extension::Cancel { reason: cancel.text.to_string() },
            None => Extension::Extended { lease_ms },
        };
        if cancel.is_none_or(|cancel| now.steady < cancel.at + Limits::CANCEL_GRACE_MS) {
            let expires_at = (now.steady + lease_ms).max(row.at);
            self.emit(now, sink, &Event::Extended { number: lease.number, expires_at });
        }
        answer
    }

    pub(super) fn progress(
        &mut self,
        now: Now,
        lease: LeaseRef,
        value: &Bytes,
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        check_bytes("progress", value.len(), Limits::PROGRESS_BYTES)?;
        self.held(lease).ok_or_else(|| stale(lease))?;
        self.emit(now, sink, &Event::Progressed { number: lease.number, value });
        Ok(Reply::Done)
    }

    pub(super) fn log(
        &mut self,
        now: Now,
        lease: LeaseRef,
        lines: &[LogLine],
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        let row = self.held(lease).ok_or_else(|| stale(lease))?;
        if lines.is_empty() {
            return Ok(Reply::Done);
        }
        let (chunk, lines) = newest(lines);
        let kept = row.runs().map_or(&[][..], Runs::log_chunks);
        let (mut count, mut bytes) = (lines, chunk.len());
        let mut drop = kept.len();
        for old in kept.iter().rev() {
            count += old.lines as usize;
            bytes += old.blob.length as usize;
            if count > Limits::LOG_LINES || bytes > Limits::LOG_BYTES {
                break;
            }
            drop -= 1;
        }
        let event = Event::Logged { number: lease.number, lines: lines as u32, drop: drop as u32, chunk: &chunk };
        self.emit(now, sink, &event);
        Ok(Reply::Done)
    }
}

/// The newest lines that a job's log can hold, each cut to its bound, as they are stored; and how many they are.
fn newest(lines: &[LogLine]) -> (Vec<u8>, usize) {
    let mut bytes = 0;
    let fits = |line: &&LogLine| {
        // What JSON makes of the text counts, since that is kept; one line fits, whatever is in it.
        bytes += json_bytes(cut(&line.text, Limits::LOG_LINE_BYTES)) + LINE_AROUND;
        bytes < Limits::LOG_BYTES
    };
    let count = lines.iter().rev().take(Limits::LOG_LINES).take_while(fits).count();
    let newest = lines[lines.len() - count..].iter();
    let cut =
        |line: &LogLine| LogLine { source: line.source, text: cut(&line.text, Limits::LOG_LINE_BYTES).to_owned() };
    let chunk = serde_json::to_vec(&newest.map(cut).collect::<Vec<_>>()).expect("log lines are plain data");
    (chunk, count)
}

/// Bytes of a stored line beside its text, the comma included: `{"source":"out","text":},`.
const LINE_AROUND: usize = 25;
const _: () = assert!(Limits::LOG_LINE_BYTES * 6 + LINE_AROUND + 4 <= Limits::LOG_BYTES, "one line fits");

pub(super) fn headers(row: &Row, sink: &impl Sink) -> BTreeMap<String, String> {
    let headers = row.more.as_ref().and_then(|more| more.headers.as_deref());
    headers.map_or_else(BTreeMap::new, |blob| serde_json::from_slice(&sink.read(*blob)).unwrap_or_default())
}
