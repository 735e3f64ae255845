//! A batch of settlements and log lines: what goes to the engine in one call, and what its answers mean.
//!
//! A job's log lines stand before its settlement, since a spent token logs nothing. A batch is kept until it is
//! answered, so that it can be sent again: a settlement that counted already is answered `already`. Log lines may then
//! stand twice, which is better than not at all. An engine without room takes or refuses a call's settlements together: so
//! fewer of them are sent, down to one, until what is left of its room is enough.

use std::sync::Arc;
use std::time::Duration;

use queue_core::engine::Answer;
use queue_core::model::{Command, Error, LeaseOrder, LeaseRef, LeasedJob, LogLine, Outcome, Reply, Settlement, Word};
use tokio::sync::OwnedSemaphorePermit;

use crate::activity::Activity;
use crate::held::Hold;
use crate::joblog::JobLog;
use crate::stop::Stop;

/// Most settlements in one call.
pub(crate) const SETTLEMENTS: usize = 1_000;
/// Bytes of results, error texts and log lines in one call; the settlement or log that exceeds it still goes.
const BYTES: usize = 4 << 20;

/// A handler's end on its way to the engine.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) job: Arc<LeasedJob>,
    pub(crate) hold: Arc<Hold>,
    pub(crate) log: Arc<JobLog>,
    pub(crate) outcome: Outcome,
    pub(crate) ran: Duration,
    /// The place of this job among those that may run at once; its next job takes it over.
    pub(crate) slot: OwnedSemaphorePermit,
}

impl Ended {
    /// That the engine counted it.
    pub(crate) fn counted(&self) -> Activity<'_> {
        let Self { job, outcome, ran, .. } = self;
        // A cancel that the handler was told of decides, unless it completed all the same.
        let completed = matches!(outcome, Outcome::Complete { .. });
        let cancelled = !completed && matches!(self.hold.stop.why(), Some(Stop::Cancelled(_)));
        Activity::Ended { job, outcome, cancelled, ran: *ran }
    }

    fn bytes(&self) -> usize {
        match &self.outcome {
            Outcome::Complete { result } => result.as_ref().map_or(0, bytes::Bytes::len),
            Outcome::Fail { error, .. } => error.len(),
            Outcome::Release | Outcome::Snooze { .. } => 0,
        }
    }
}

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Batch {
    logs: Vec<(LeaseRef, Vec<LogLine>)>,
    ended: Vec<Ended>,
    bytes: usize,
    /// How many settlements the engine had room for, and as many again, as far as is known.
    most: usize,
    /// Whether the last log lines found no room: that is said once.
    lines_refused: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self { logs: Vec::new(), ended: Vec::new(), bytes: 0, most: SETTLEMENTS, lines_refused: false }
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Settlements that counted, now or when they were sent before.
    pub(crate) counted: Vec<Ended>,
    /// Settlements that were refused for good.
    pub(crate) refused: Vec<(Ended, Error)>,
    /// Settlements to send again: the engine has no room for them now, or did not say what became of them.
    pub(crate) again: Vec<Ended>,
    /// Fewer at once may find room: nothing is to be waited for.
    pub(crate) send_less: bool,
    /// New jobs.
    pub(crate) leased: Vec<LeasedJob>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.ended.is_empty()
    }

    /// Whether another log fits.
    pub(crate) fn has_room(&self) -> bool {
        self.ended.len() < SETTLEMENTS && self.bytes < BYTES
    }

    /// Whether another settlement fits.
    pub(crate) fn may_settle(&self) -> bool {
        self.has_room() && self.ended.len() < self.most
    }

    /// How many settlements it holds.
    pub(crate) fn settlements(&self) -> usize {
        self.ended.len()
    }

    /// Adds a log's waiting lines.
    pub(crate) fn log(&mut self, log: &JobLog) {
        self.lines(log.lease, log.take());
    }

    fn lines(&mut self, lease: LeaseRef, chunks: Vec<Vec<LogLine>>) {
        self.bytes += chunks.iter().flatten().map(|line| line.text.len()).sum::<usize>();
        self.logs.extend(chunks.into_iter().map(|lines| (lease, lines)));
    }

    /// Adds a settlement, with the last of its log.
    pub(crate) fn settle(&mut self, ended: Ended) {
        self.lines(ended.log.lease, ended.log.close());
        self.bytes += ended.bytes();
        self.ended.push(ended);
    }

    /// The call. Everything stays here until [`Batch::answered`].
    pub(crate) fn commands(&self, then_lease: Option<LeaseOrder>) -> Vec<Command> {
        let log = |(lease, lines): &(LeaseRef, Vec<LogLine>)| Command::Log { lease: *lease, lines: lines.clone() };
        let mut commands: Vec<_> = self.logs.iter().map(log).collect();
        if !self.ended.is_empty() {
            let settlement = |ended: &Ended| Settlement { lease: ended.hold.lease, outcome: ended.outcome.clone() };
            let settlements = self.ended.iter().map(settlement).collect();
            commands.push(Command::Settle { settlements, then_lease });
        }
        commands
    }

    /// Empties the batch by the engine's answers to [`Batch::commands`].
    pub(crate) fn answered(&mut self, answers: Vec<Answer>) -> Answered {
        let mut answers = answers.into_iter();
        self.logged(answers.by_ref().take(self.logs.len()));
        self.bytes = 0;
        let ended = std::mem::take(&mut self.ended);
        if ended.is_empty() {
            return Answered::default();
        }
        let asked = ended.len();
        let (mut sorted, is_full) = sort(ended, answers.next());
        sorted.send_less = is_full && asked > 1;
        self.most = if is_full { (asked / 2).max(1) } else { self.most.max(2 * asked).min(SETTLEMENTS) };
        sorted
    }

    /// What the engine said to the log lines. They are not sent again: on a full disk settlements need the room more.
    fn logged(&mut self, answers: impl Iterator<Item = Answer>) {
        let logs = std::mem::take(&mut self.logs);
        let (mut stored, mut refused) = (false, false);
        for ((lease, _), answer) in logs.iter().zip(answers) {
            let Err(error) = answer else {
                stored = true;
                continue;
            };
            if error.word == Word::Full && !refused && !self.lines_refused {
                tracing::warn!(word = %error.word, "log lines of jobs are dropped until the engine has room for them: {error}");
            }
            refused |= error.word == Word::Full;
            tracing::debug!(job = %lease.number, "log lines were not stored: {error}");
        }
        self.lines_refused = refused || (self.lines_refused && !stored);
    }
}

/// Sorts settlements by what the engine said to each. Also says whether it had no room for some.
fn sort(ended: Vec<Ended>, answer: Option<Answer>) -> (Answered, bool) {
    let (mut sorted, mut is_full) = (Answered::default(), false);
    let (settled, leased) = match answer {
        Some(Ok(Reply::Settled { settled, leased })) if settled.len() == ended.len() => (settled, leased),
        Some(Err(error)) => (vec![Err(error); ended.len()], Vec::new()),
        _ => {
            let error = Error::new(Word::Err, "the engine's reply does not belong to the settlements");
            (vec![Err(error); ended.len()], Vec::new())
        }
    };
    sorted.leased = leased;
    for (ended, settled) in ended.into_iter().zip(settled) {
        match settled {
            Ok(_) => sorted.counted.push(ended),
            Err(error) if error.word.retry_helps() || error.word == Word::Unknown => {
                is_full |= error.word == Word::Full;
                sorted.again.push(ended);
            }
            Err(error) => sorted.refused.push((ended, error)),
        }
    }
    (sorted, is_full)
}

#[cfg(test)]
mod tests {
    use queue_core::model::{JobNumber, LeaseToken, LogSource, Settled};
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::logged::logged;
    use crate::stop::StopSignal;

    fn ended(number: u64, outcome: Outcome) -> Ended {
        let lease = LeaseRef { number: JobNumber(number), token: LeaseToken(number) };
        let job = LeasedJob {
            number: lease.number,
            token: lease.token,
            queue: "q".to_owned(),
            name: "n".to_owned(),
            id: None,
            attempt: 1,
            attempts: 1,
            lease_ms: 1_000,
            timeout_ms: None,
            enqueued_at_ms: 0,
            headers: Default::default(),
            payload: Default::default(),
        };
        Ended {
            job: Arc::new(job),
            hold: Arc::new(Hold::new(lease, 1_000, StopSignal::under(&CancellationToken::new()))),
            log: Arc::new(JobLog::new(lease)),
            outcome,
            ran: Duration::ZERO,
            slot: Arc::new(Semaphore::new(1)).try_acquire_owned().expect("one permit"),
        }
    }

    #[tokio::test]
    async fn log_lines_stand_before_the_settlements() {
        let (mut batch, first) = (Batch::default(), ended(1, Outcome::Release));
        for line in 0..150 {
            first.log.push(LogSource::Out, &line.to_string());
        }
        batch.settle(first);
        batch.settle(ended(2, Outcome::Release));
        let commands = batch.commands(None);
        let logged = |command: &Command| matches!(command, Command::Log { .. });
        assert_eq!(commands.iter().map(logged).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(batch.commands(None), commands, "a batch can be sent again");
    }

    #[tokio::test]
    async fn each_settlement_is_judged_by_its_own_answer() {
        let mut batch = Batch::default();
        (1..=4).for_each(|number| batch.settle(ended(number, Outcome::Release)));
        let stale = Error::new(Word::Stale, "stale");
        let settled = vec![
            Ok(Settled::Counted),
            Err(stale.clone()),
            Ok(Settled::Already),
            Err(Error::new(Word::Full, "no room")),
        ];
        let answered = batch.answered(vec![Ok(Reply::Settled { settled, leased: Vec::new() })]);
        let numbers = |ended: &[Ended]| ended.iter().map(|ended| ended.job.number.0).collect::<Vec<_>>();
        assert_eq!(numbers(&answered.counted), [1, 3]);
        assert_eq!(numbers(&answered.again), [4]);
        assert_eq!(answered.refused.iter().map(|(_, error)| error).collect::<Vec<_>>(), [&stale]);
        assert!(batch.is_empty());
    }

    /// How many settlements go at once into `batch`, of many that wait; answered with `word`, or all of them counted.
    fn sent(batch: &mut Batch, word: Option<Word>) -> usize {
        let mut sent = 0;
        while batch.may_settle() {
            sent += 1;
            batch.settle(ended(sent, Outcome::Release));
        }
        let settled = Reply::Settled { settled: vec![Ok(Settled::Counted); sent as usize], leased: Vec::new() };
        let answered = batch.answered(vec![word.map_or(Ok(settled), |word| Err(Error::new(word, "says the test")))]);
        assert_eq!(answered.send_less, word == Some(Word::Full) && sent > 1, "{sent}");
        sent as usize
    }

    #[tokio::test]
    async fn what_finds_no_room_together_is_sent_in_halves_down_to_one() {
        let mut batch = Batch::default();
        let halves = std::array::from_fn::<_, 11, _>(|_| sent(&mut batch, Some(Word::Full)));
        assert_eq!(halves, [1_000, 500, 250, 125, 62, 31, 15, 7, 3, 1, 1]);
        let grown = std::array::from_fn::<_, 4, _>(|_| sent(&mut batch, None));
        assert_eq!(grown, [1, 2, 4, 8], "it grows again once there is room");
        assert_eq!([Word::Loading, Word::Unknown].map(|word| sent(&mut batch, Some(word))), [16, 32], "only for room");
    }

    #[tokio::test]
    async fn dropped_log_lines_are_said_once_until_some_are_stored_again() {
        let mut batch = Batch::default();
        let mut log = |answer: Result<Reply, Word>| {
            let job = ended(1, Outcome::Release);
            job.log.push(LogSource::Out, "line");
            batch.log(&job.log);
            batch.answered(vec![answer.map_err(|word| Error::new(word, "says the test"))]);
        };
        let text = logged(|| {
            (0..9).for_each(|_| log(Err(Word::Full)));
            log(Err(Word::Stale));
            log(Err(Word::Full));
            log(Ok(Reply::Done));
            log(Err(Word::Full));
        });
        assert_eq!((text.lines().count(), text.matches("are dropped until").count()), (2, 2), "{text}");
    }

    #[tokio::test]
    async fn a_batch_is_bounded_by_number_and_bytes() {
        let mut batch = Batch::default();
        for number in 0..5 {
            assert!(batch.has_room(), "{number}");
            batch.settle(ended(number, Outcome::Complete { result: Some(vec![0; 1 << 20].into()) }));
            if number == 3 {
                break;
            }
        }
        assert!(!batch.has_room());
        let mut batch = Batch::default();
        let jobs = (0..1_000).take_while(|&number| {
            let ended = ended(number, Outcome::Release);
            for _ in 0..8 {
                ended.log.push(LogSource::Out, &"x".repeat(8 << 10));
            }
            batch.settle(ended);
            batch.has_room()
        });
        assert_eq!(jobs.count(), 63, "full logs count");
    }
}
