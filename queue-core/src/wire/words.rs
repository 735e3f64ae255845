//! Writing a request: its arguments are gathered first, since a request begins with how many it has.

use std::borrow::Cow;

use bytes::BytesMut;
use smallvec::SmallVec;

use crate::model::{Context, JobRef, LeaseRef};
use crate::resp::RequestWriter;

/// The arguments of a request that is being written. Borrows payloads and names: they are copied once, into the output.
pub(super) struct Words<'a>(SmallVec<[Cow<'a, [u8]>; 12]>);

impl<'a> Words<'a> {
    pub(super) fn new(command: &'static str) -> Self {
        Self(SmallVec::from_iter([Cow::Borrowed(command.as_bytes())]))
    }

    pub(super) fn reserve(&mut self, arguments: usize) {
        self.0.reserve(arguments);
    }

    pub(super) fn bytes(&mut self, bytes: &'a [u8]) -> &mut Self {
        self.0.push(Cow::Borrowed(bytes));
        self
    }

    pub(super) fn text(&mut self, text: &'a str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn owned(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.0.push(Cow::Owned(bytes.into()));
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.owned(itoa::Buffer::new().format(number))
    }

    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> &mut Self {
        self.owned(serde_json::to_vec(value).expect("the model is plain data with text keys"))
    }

    pub(super) fn lease(&mut self, lease: LeaseRef) -> &mut Self {
        self.number(lease.number.0).owned(lease.token.to_string())
    }

    /// A job, and behind it its queue: for commands of which only words follow.
    pub(super) fn job(&mut self, job: &'a JobRef) -> &mut Self {
        let queue = self.job_alone(job);
        self.optional("QUEUE", queue)
    }

    /// A job; returns its queue, to be written where words may stand.
    pub(super) fn job_alone(&mut self, job: &'a JobRef) -> Option<&'a str> {
        match job {
            JobRef::Number(number) => {
                self.number(number.0);
                None
            }
            JobRef::Id { queue, id } => {
                self.text(id);
                queue.as_deref()
            }
        }
    }

    pub(super) fn optional(&mut self, word: &'static str, text: Option<&'a str>) -> &mut Self {
        match text {
            Some(text) => self.text(word).text(text),
            None => self,
        }
    }

    pub(super) fn optional_number(&mut self, word: &'static str, number: Option<u64>) -> &mut Self {
        match number {
            Some(number) => self.text(word).number(number),
            None => self,
        }
    }

    pub(super) fn context(&mut self, context: &'a Context) -> &mut Self {
        let said = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        self.optional("ACTOR", said(&context.actor)).optional("REASON", said(&context.reason))
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        let begun = RequestWriter::begin(out, self.0.len());
        self.0.iter().fold(begun, |request, argument| request.argument(argument)).finish();
    }
}
