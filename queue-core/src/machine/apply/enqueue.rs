//! Enqueueing: a batch is checked whole, ids are looked up, options resolved; then each job is an event.

use std::sync::Arc;

use hashbrown::HashMap;

use super::super::{Due, Event, Machine, NewRow, Policy, Sink};
use super::check_name;
use crate::model::{Added, Enqueued, Error, JobNumber, JobOptions, Limits, NewJob, Now, QueueSettings, Reply};

impl JobOptions {
    /// The options that a queue may set too.
    fn as_settings(&self) -> QueueSettings {
        QueueSettings {
            attempts: self.attempts,
            backoff: self.backoff,
            timeout_ms: self.timeout_ms,
            expires_in_ms: self.expires_in_ms,
            ..QueueSettings::default()
        }
    }
}

pub(super) fn check_priority(priority: i64) -> Result<i16, Error> {
    if priority.abs() > Limits::PRIORITY {
        return Err(Error::bad_arg("priority", priority, "an integer from -1000 to 1000"));
    }
    Ok(priority as i16)
}

/// What a batch's jobs with equal options share, worked out once.
struct Resolved {
    options: Arc<JobOptions>,
    policy: Policy,
    headers: Vec<u8>,
}

impl Machine {
    pub(super) fn enqueue(
        &mut self,
        now: Now,
        queue: &str,
        jobs: &[NewJob],
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        check_name("queue", queue)?;
        check_batch(jobs)?;
        let added = self.look_up(now, queue, jobs);
        let queue = match added.iter().any(|enqueued| enqueued.added == Added::Created) {
            true => self.ensure_queue(now, queue, sink),
            // Nothing is new, so the queue is there: it knows the ids.
            false => return Ok(Reply::Enqueued(added)),
        };
        let mut resolved: Option<Resolved> = None;
        let (mut name, mut policy) = (None, None);
        for (job, enqueued) in jobs.iter().zip(&added) {
            if enqueued.added != Added::Created {
                continue;
            }
            if resolved.as_ref().is_none_or(|known| !Arc::ptr_eq(&known.options, &job.options)) {
                resolved = Some(self.resolve(queue, &job.options));
                policy = None;
            }
            let known = resolved.as_ref().expect("just resolved");
            if name.is_none_or(|(_, text)| text != job.name.as_str()) {
                name = Some((self.ensure_name(now, &job.name, sink), job.name.as_str()));
            }
            let policy = *policy.get_or_insert_with(|| self.ensure_policy(now, known.policy, sink));
            let (name, _) = name.expect("just named");
            self.add(now, queue, name, policy, enqueued.number, job, known, sink);
        }
        Ok(Reply::Enqueued(added))
    }

    /// What each job of the batch will be: new numbers in order, or the job that has its id already. Jobs of one batch
    /// may share an id, so the batch's own ids lie over the state's.
    fn look_up(&self, now: Now, queue: &str, jobs: &[NewJob]) -> Vec<Enqueued> {
        let queue = self.queue_id(queue);
        let mut in_batch: HashMap<&str, JobNumber> = HashMap::new();
        let mut last = self.last_number;
        let mut added = Vec::with_capacity(jobs.len());
        for job in jobs {
            let id = job.options.id.as_deref();
            if let Some(&number) = id.and_then(|id| in_batch.get(id)) {
                added.push(Enqueued { number, added: Added::Existing });
                continue;
            }
            let known = id.zip(queue).and_then(|(id, queue)| self.ids.get(self.ids.digest(queue, id)));
            let (number, what) = match known {
                Some(known) if known.gone_until == 0 => (JobNumber(known.number), Added::Existing),
                Some(known) if known.gone_until > now.steady => (JobNumber(known.number), Added::ExistingGone),
                _ => {
                    last += 1;
                    in_batch.extend(id.map(|id| (id, JobNumber(last))));
                    (JobNumber(last), Added::Created)
                }
            };
            added.push(Enqueued { number, added: what });
        }
        added
    }

    fn resolve(&self, queue: u32, options: &Arc<JobOptions>) -> Resolved {
        let settings = &self.queues[queue as usize];
        let own = options.as_settings();
        let some_ms = |ms: u64| (ms > 0).then_some(ms);
        let pick = |field: fn(&QueueSettings) -> Option<u64>| {
            field(&own).unwrap_or_else(|| settings.effective(field, &self.defaults))
        };
        let policy = Policy {
            attempts: pick(|s| s.attempts) as u32,
            backoff: own.backoff.unwrap_or_else(|| settings.effective(|s| s.backoff, &self.defaults)),
            timeout_ms: some_ms(pick(|s| s.timeout_ms)),
            expires_in_ms: some_ms(pick(|s| s.expires_in_ms)),
            keep_ms: options.keep_ms,
        };
        let headers = match options.headers.is_empty() {
            true => Vec::new(),
            false => serde_json::to_vec(&options.headers).expect("a map of texts is JSON"),
        };
        Resolved { options: Arc::clone(options), policy, headers }
    }

    fn ensure_name(&mut self, now: Now, text: &str, sink: &mut impl Sink) -> u32 {
        if let Some(name) = self.names.find(text) {
            return name;
        }
        let name = self.names.next();
        self.emit(now, sink, &Event::NameAdded { name, text });
        name
    }

    fn ensure_policy(&mut self, now: Now, value: Policy, sink: &mut impl Sink) -> u32 {
        if let Some(policy) = self.policies.find(&value) {
            return policy;
        }
        let policy = self.policies.next();
        self.emit(now, sink, &Event::PolicyAdded { policy, value });
        policy
    }

    #[expect(clippy::too_many_arguments, reason = "what was resolved for the batch and what belongs to the job")]
    fn add(
        &mut self,
        now: Now,
        queue: u32,
        name: u32,
        policy: u32,
        number: JobNumber,
        job: &NewJob,
        known: &Resolved,
        sink: &mut impl Sink,
    ) {
        let options = &*job.options;
        let due = match (options.delay_ms, options.run_at_ms) {
            (Some(delay), _) if delay > 0 => Some(Due::Steady(now.steady + delay)),
            (_, Some(at)) if at > now.wall => Some(Due::Wall(at)),
            _ => None,
        };
        let places = &self.queues[queue as usize];
        let row = NewRow {
            number,
            queue,
            name,
            policy,
            priority: options.priority.unwrap_or(0) as i16,
            rank: match due {
                Some(_) => 0,
                None if options.lifo => places.front,
                None => places.back,
            },
            due,
            expires_at: known.policy.expires_in_ms.map(|expires_in| now.steady + expires_in),
            id: options.id.as_deref(),
            tags: options.tags.iter().map(String::as_str).collect(),
            headers: &known.headers,
            payload: &job.payload,
        };
        self.emit(now, sink, &Event::Enqueued(row));
    }
}

fn check_batch(jobs: &[NewJob]) -> Result<(), Error> {
    if jobs.is_empty() || jobs.len() > Limits::BATCH_JOBS {
        return Err(Error::bad_arg("jobs", format_args!("a list of {}", jobs.len()), "1 to 10000 jobs in one enqueue"));
    }
    let mut checked: Option<&Arc<JobOptions>> = None;
    for (at, job) in jobs.iter().enumerate() {
        let check = || {
            job.check_name_and_payload()?;
            match checked.is_some_and(|known| Arc::ptr_eq(known, &job.options)) {
                true => Ok(()),
                false => job.options.check(),
            }
        };
        // In a batch the message also says which job it is about.
        check().map_err(|error| match jobs.len() {
            1 => error,
            _ => Error::new(error.word, format!("job {} of the batch: {}", at + 1, error.message)),
        })?;
        checked = Some(&job.options);
    }
    Ok(())
}
