//! From requests to replies: gathers a turn's commands, executes them in one call, and writes the replies in order.
//!
//! Invariants: a reply is written after those of all earlier requests; jobs that were leased for a client that turned out
//! to be gone are released, uncounted.

use std::rc::Rc;

use bytes::BytesMut;
use queue_core::engine::Answer;
use queue_core::model::{Command, Context, Error, LeaseRef, LeasedJob, Outcome, Reply, Settlement, Word};
use queue_core::resp::{ReplyWriter, Version};
use queue_core::wire::{self, Form};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::End;
use crate::shared::Shared;

/// Output beyond this is sent before more is executed.
const OUT_BYTES: usize = 1 << 20;
/// An empty output buffer larger than this is given back.
const KEEP_BYTES: usize = 64 << 10;

/// One connection's way out.
pub(crate) struct Outlet {
    pub(crate) shared: Rc<Shared>,
    pub(crate) stream: TcpStream,
    pub(crate) version: Version,
    out: BytesMut,
    commands: Vec<Command>,
    forms: Vec<Form>,
    context: Option<Context>,
    /// Until when the client has to authenticate, and so to take its replies; `None` if it has.
    pub(super) stranger_until: Option<Instant>,
    /// Leases whose handing-out has not been sent yet.
    pub(super) unsent: Vec<LeaseRef>,
}

impl Outlet {
    pub(super) fn new(shared: Rc<Shared>, stream: TcpStream) -> Self {
        Self {
            shared,
            stream,
            version: Version::default(),
            out: BytesMut::new(),
            commands: Vec::new(),
            forms: Vec::new(),
            context: None,
            stranger_until: None,
            unsent: Vec::new(),
        }
    }

    /// Where the replies of commands that are carried out at once go. What was added before must have been executed.
    pub(crate) fn writer(&mut self) -> ReplyWriter<'_> {
        debug_assert!(self.commands.is_empty(), "replies leave in order");
        ReplyWriter::new(&mut self.out, self.version)
    }

    pub(crate) fn refuse(&mut self, error: &Error) {
        wire::write_error(&mut self.writer(), error);
    }

    /// Adds a command to the next call. One call has one context, so another administrator's command begins a new one.
    pub(super) async fn add(&mut self, command: Command, context: Option<Context>, form: Form) {
        let other = context.is_some() && self.context.is_some() && self.context != context;
        if other {
            self.execute().await;
        }
        self.context = self.context.take().or(context);
        self.commands.push(command);
        self.forms.push(form);
    }

    /// Executes what was added, and writes the replies into the output.
    pub(super) async fn execute(&mut self) {
        if self.commands.is_empty() {
            return;
        }
        let (commands, context) = (std::mem::take(&mut self.commands), self.context.take().unwrap_or_default());
        let answers = match self.shared.engine() {
            Ok(engine) => engine.execute(&context, commands).await,
            Err(error) => Err(error),
        };
        let answers = answers.unwrap_or_else(|error| {
            self.shared.observe(&error);
            self.forms.iter().map(|_| Err(error.clone())).collect()
        });
        self.write(answers);
    }

    /// Whether the output is to be sent before more is executed.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() > OUT_BYTES
    }

    fn write(&mut self, answers: Vec<Answer>) {
        let mut answers = answers.into_iter();
        let mut writer = ReplyWriter::new(&mut self.out, self.version);
        for form in self.forms.drain(..) {
            match answers.next() {
                Some(Ok(reply)) => {
                    if let Reply::Leased(leased) | Reply::Settled { leased, .. } = &reply {
                        self.unsent.extend(leased.iter().map(lease));
                    }
                    wire::write_reply(&mut writer, form, &reply);
                }
                Some(Err(error)) => wire::write_error(&mut writer, &error),
                // Better a wrong answer's place taken than every later reply taken for another request's.
                None => wire::write_error(&mut writer, &Error::new(Word::Unknown, "the engine gave no answer")),
            }
        }
    }

    /// Writes one answer into the output.
    pub(super) fn put(&mut self, form: Form, answer: &Result<wire::Response, Error>) {
        match answer {
            Ok(wire::Response::Reply(Reply::Leased(leased))) => self.unsent.extend(leased.iter().map(lease)),
            Ok(_) => {}
            Err(error) => self.shared.observe(error),
        }
        wire::write(&mut self.writer(), form, answer);
    }

    /// Sends the output.
    pub(crate) async fn send(&mut self) -> Result<(), End> {
        let sent = self.write_all().await;
        self.out.clear();
        if self.out.capacity() > KEEP_BYTES {
            self.out = BytesMut::new();
        }
        if sent.is_err() {
            self.release().await;
        }
        self.unsent.clear();
        sent
    }

    async fn write_all(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        // Nearly always the socket takes everything at once, and no timer is needed.
        let written = match self.stream.try_write(&self.out) {
            Ok(written) => written,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(End::Broken(error)),
        };
        if written == self.out.len() {
            return Ok(());
        }
        let rest = self.stream.write_all(&self.out[written..]);
        let write_until = Instant::now() + self.shared.limits.write;
        let until = self.stranger_until.map_or(write_until, |until| until.min(write_until));
        match tokio::time::timeout_at(until, rest).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(End::Broken(error)),
            Err(_) if until < write_until => Err(super::stranger()),
            Err(_) => Err(End::Refused("did not read its replies in time".to_owned())),
        }
    }

    /// Gives back what nobody received, so that it need not wait for its leases to expire.
    pub(super) async fn release(&mut self) {
        let settlements: Vec<_> =
            self.unsent.drain(..).map(|lease| Settlement { lease, outcome: Outcome::Release }).collect();
        let Ok(engine) = self.shared.engine() else { return };
        if settlements.is_empty() {
            return;
        }
        let command = Command::Settle { settlements, then_lease: None };
        if let Err(error) = engine.execute(&Context::default(), vec![command]).await {
            self.shared.observe(&error);
        }
    }
}

fn lease(job: &LeasedJob) -> LeaseRef {
    LeaseRef { number: job.number, token: job.token }
}
