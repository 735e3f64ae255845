//! Searching for text in payloads: what of it concerns the state. Nothing here emits.
//!
//! The machine never looks inside a blob, and reading a thousand payloads would hold the writer up. So a page has three
//! parts: [`Machine::candidates`] finds the jobs that match but for the text, whoever calls looks at their payloads where it
//! keeps nobody waiting, and [`Machine::found`] makes the page of those that had it, from the state as it is by then.
//! Invariant: each row of a page is the job as it is at one instant, and a job that stays where it is is met once.

use super::super::{Blob, Machine, Sink};
use super::read::{Place, Walk, Work, check_limit};
use crate::model::{Error, JobFilter, JobPage};

/// Jobs that are looked at for a page.
const LOOKED_AT: usize = 1_000;
/// Jobs that are looked at between two looks at how long the payloads are.
const STEP: usize = 100;
/// Bytes of payloads after which a page looks at no further job: they are held while their text is compared.
const PAYLOAD_BYTES: u64 = 16 << 20;

/// The jobs of a page of a search, before anybody has looked into their payloads.
#[derive(Debug)]
pub struct Candidates {
    jobs: Vec<Candidate>,
    looked_at: u64,
    next: Option<Place>,
}

#[derive(Debug)]
struct Candidate {
    place: Place,
    payload: Blob,
    /// Jobs looked at before it.
    before: u64,
}

impl Candidates {
    /// Their payloads, in order.
    pub fn payloads(&self) -> impl Iterator<Item = Blob> + '_ {
        self.jobs.iter().map(|job| job.payload)
    }
}

impl Machine {
    /// The jobs from `cursor` on that match `filter` in all but the text, as many as one page looks at.
    ///
    /// # Errors
    ///
    /// As [`crate::model::Command::ListJobs`].
    pub fn candidates(&self, filter: &JobFilter, cursor: Option<&str>, limit: u32) -> Result<Candidates, Error> {
        check_limit(limit)?;
        filter.check()?;
        let start = cursor.map_or(Ok(Place::START), Place::parse)?;
        let walk = Walk::of_list(filter);
        let (mut work, mut bytes) = (Work::of_a_call(), 0);
        let mut candidates = Candidates { jobs: Vec::new(), looked_at: 0, next: Some(start) };
        while let Some(from) = candidates.next {
            let wanted = STEP.min(LOOKED_AT - candidates.looked_at as usize);
            if wanted == 0 || bytes >= PAYLOAD_BYTES || work.is_done() {
                break;
            }
            let (places, next) = self.scan(&walk, from, wanted, &mut work)?;
            for place in places {
                let row = self.rows.get(place.number).expect("a job in an order is there");
                if self.matches(filter, place.number, row) {
                    bytes += u64::from(row.payload.length);
                    let before = candidates.looked_at;
                    candidates.jobs.push(Candidate { place, payload: row.payload, before });
                }
                candidates.looked_at += 1;
            }
            candidates.next = next;
        }
        Ok(candidates)
    }

    /// The page of those candidates of which `had_text` says, in order, that their payload had the text. Jobs that meanwhile
    /// went, or do not match any more, are left out; a payload that was replaced is asked of `has_text`.
    pub fn found(
        &self,
        filter: &JobFilter,
        candidates: &Candidates,
        had_text: &[bool],
        limit: u32,
        sink: &impl Sink,
        has_text: impl Fn(Blob) -> bool,
    ) -> JobPage {
        let walk = Walk::of_list(filter);
        let mut had = candidates.jobs.iter().zip(had_text).filter_map(|(job, had)| had.then_some(job));
        let mut page = JobPage::default();
        for job in had.by_ref().take(limit as usize) {
            let Some(row) = self.rows.get(job.place.number) else { continue };
            let matches = walk.states.contains(&row.state) && self.matches(filter, job.place.number, row);
            if matches && (row.payload == job.payload || has_text(row.payload)) {
                page.jobs.push(self.summary(job.place.number, row, sink));
            }
        }
        // What had the text beyond the limit is the next page's first.
        let beyond = had.next();
        page.looked_at = beyond.map_or(candidates.looked_at, |job| job.before);
        page.cursor = beyond.map_or(candidates.next, |job| Some(job.place)).map(|place| place.text());
        page
    }
}
