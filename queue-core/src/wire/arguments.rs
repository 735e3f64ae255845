//! Reading arguments one after the other, each by a call that names it, so that every refusal names what it is about.
//!
//! Judges only what an argument is: text, a number, a token. Which names are good and which numbers are in range the
//! engine says, for every way in alike; ranges stand here for the messages alone.

use std::ops::RangeInclusive;

use crate::model::{Context, Error, JobNumber, JobRef, LeaseRef, LeaseToken, Limits, Word, check_wait};
use crate::resp::Request as Frame;

/// Rows of a page where `COUNT` is not said.
pub(super) const ROWS: u32 = 100;

/// The arguments of a request that have not been read yet.
pub(super) struct Arguments<'a> {
    frame: Frame<'a>,
    next: usize,
    syntax: &'static str,
}

/// Whether an argument is this word, in any case of letters.
pub(super) fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    // An argument may be megabytes; only its beginning is ever shown.
    String::from_utf8_lossy(&bytes[..bytes.len().min(256)])
}

fn no_integer<T: std::fmt::Display>(field: &str, bytes: &[u8], range: &RangeInclusive<T>) -> Error {
    Error::bad_arg(field, lossy(bytes), &format!("an integer from {} to {}", range.start(), range.end()))
}

impl<'a> Arguments<'a> {
    pub(super) fn new(frame: Frame<'a>, syntax: &'static str) -> Self {
        Self { frame, next: 1, syntax }
    }

    pub(super) fn left(&self) -> usize {
        self.frame.len() - self.next
    }

    pub(super) fn peek(&self) -> Option<&'a [u8]> {
        self.frame.argument(self.next)
    }

    /// Takes the next argument if it is this word.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|argument| is(argument, word));
        self.next += usize::from(found);
        found
    }

    pub(super) fn bytes(&mut self, field: &str) -> Result<&'a [u8], Error> {
        let argument = self.peek().ok_or_else(|| self.missing(field))?;
        self.next += 1;
        Ok(argument)
    }

    fn missing(&self, field: &str) -> Error {
        Error::new(Word::BadArg, format!("{field} is missing; usage: {}", self.syntax))
    }

    pub(super) fn text(&mut self, field: &str) -> Result<&'a str, Error> {
        let bytes = self.bytes(field)?;
        str::from_utf8(bytes).map_err(|_| Error::bad_arg(field, lossy(bytes), "UTF-8 text"))
    }

    /// Text that only people read: bytes that are no UTF-8 are replaced, since refusing a report loses more than they do.
    pub(super) fn prose(&mut self, field: &str) -> Result<String, Error> {
        self.bytes(field).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn integer(&mut self, field: &str, range: RangeInclusive<u64>) -> Result<u64, Error> {
        let bytes = self.bytes(field)?;
        // Rust takes a plus sign; nobody else does.
        let digits = bytes.first().filter(|byte| byte.is_ascii_digit()).and_then(|_| str::from_utf8(bytes).ok());
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(number) => Ok(number),
            None => Err(no_integer(field, bytes, &range)),
        }
    }

    /// How long a call may wait.
    pub(super) fn wait(&mut self, field: &str) -> Result<u64, Error> {
        let ms = self.integer(field, 0..=Limits::WAIT_MS)?;
        check_wait(field, ms)?;
        Ok(ms)
    }

    pub(super) fn small(&mut self, field: &str, range: RangeInclusive<u32>) -> Result<u32, Error> {
        let bytes = self.peek().unwrap_or_default();
        let number = self.integer(field, u64::from(*range.start())..=u64::from(*range.end()))?;
        u32::try_from(number).map_err(|_| no_integer(field, bytes, &range))
    }

    /// `[CURSOR cursor] [COUNT n]`: where a page begins, and how many rows it has.
    pub(super) fn page(&mut self) -> Result<(Option<String>, u32), Error> {
        let (mut cursor, mut limit) = (None, ROWS);
        self.words(|word, arguments| {
            match () {
                () if is(word, "CURSOR") => cursor = Some(arguments.text("CURSOR")?.to_owned()),
                () if is(word, "COUNT") => limit = arguments.small("COUNT", 1..=Limits::PAGE_ROWS)?,
                () => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((cursor, limit))
    }

    pub(super) fn signed(&mut self, field: &str, range: RangeInclusive<i64>) -> Result<i64, Error> {
        let bytes = self.bytes(field)?;
        let number = str::from_utf8(bytes).ok().filter(|text| !text.starts_with('+'));
        match number.and_then(|text| text.parse().ok()) {
            Some(number) => Ok(number),
            None => Err(no_integer(field, bytes, &range)),
        }
    }

    /// A job's number and the token of its lease.
    pub(super) fn lease(&mut self) -> Result<LeaseRef, Error> {
        let number = JobNumber(self.integer("number", 0..=u64::MAX)?);
        let token: LeaseToken = self.text("token")?.parse()?;
        Ok(LeaseRef { number, token })
    }

    /// Reads the words that are left, in any order. `take` reads a word's values and says whether it knows the word.
    pub(super) fn words(&mut self, mut take: impl FnMut(&[u8], &mut Self) -> Result<bool, Error>) -> Result<(), Error> {
        while let Some(word) = self.peek() {
            self.next += 1;
            if !take(word, self)? {
                return Err(self.unexpected(word));
            }
        }
        Ok(())
    }

    /// As [`Arguments::words`], for an administrative command: `ACTOR` and `REASON` are known everywhere.
    pub(super) fn administrative(
        &mut self,
        mut take: impl FnMut(&[u8], &mut Self) -> Result<bool, Error>,
    ) -> Result<Context, Error> {
        let mut context = Context::default();
        self.words(|word, arguments| {
            if is(word, "ACTOR") {
                context.actor = arguments.text("ACTOR")?.to_owned();
            } else if is(word, "REASON") {
                context.reason = arguments.text("REASON")?.to_owned();
            } else {
                return take(word, arguments);
            }
            Ok(true)
        })?;
        Ok(context)
    }

    fn unexpected(&self, argument: &[u8]) -> Error {
        Error::bad_arg("argument", lossy(argument), &format!("nothing of that kind here; usage: {}", self.syntax))
    }

    /// Refuses what was not read.
    pub(super) fn finish(&self) -> Result<(), Error> {
        self.peek().map_or(Ok(()), |argument| Err(self.unexpected(argument)))
    }
}

/// A job as a request names it, and the queue that may stand after it.
pub(super) struct NamedJob<'a> {
    text: &'a str,
    queue: Option<&'a str>,
}

impl<'a> NamedJob<'a> {
    pub(super) fn parse(arguments: &mut Arguments<'a>) -> Result<Self, Error> {
        Ok(Self { text: arguments.text("job")?, queue: None })
    }

    /// Takes the word `QUEUE` and its value.
    pub(super) fn take(&mut self, word: &[u8], arguments: &mut Arguments<'a>) -> Result<bool, Error> {
        if is(word, "QUEUE") {
            self.queue = Some(arguments.text("QUEUE")?);
            return Ok(true);
        }
        Ok(false)
    }

    pub(super) fn finish(self) -> Result<JobRef, Error> {
        JobRef::parse(self.text, self.queue)
    }
}
