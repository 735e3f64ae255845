//! Whether a directory is sound: every byte, then every part and record as a start would fold them.
//!
//! Leaves reading to the journal. Invariant: a directory that is called sound can be started, and each bad place that is
//! named stands where it says.

use super::super::compact::{Material, begin};
use super::super::journal_error;
use super::super::recover::Recovering;
use super::Choice;
use crate::journal::{
    Base, Checked, Finding, Inspection, JournalError, Mending, Position, Progress, Storage, VisitError, Weight,
};
use crate::journal::{ReadOnly, Record, SnapshotReader};
use crate::machine::Wrong;
use crate::model::{Error, fragment};

/// What was found in a directory.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// The directory.
    pub directory: String,
    /// What was looked at, and every bad place.
    pub checked: Checked,
    /// Jobs that a start would find, if it is possible.
    pub jobs: Option<u64>,
    /// What can be done about the damage; empty if there is none, or nothing to be done.
    pub choices: Vec<Choice>,
}

impl Verified {
    /// Whether there is more than a torn tail.
    pub fn is_damaged(&self) -> bool {
        self.checked.worst() > Some(Weight::Torn)
    }

    /// Whether a start is impossible.
    pub fn is_unstartable(&self) -> bool {
        self.checked.worst() == Some(Weight::Start)
    }
}

/// A directory that nobody runs, looked at; it stays this one's until it is dropped.
#[derive(Debug)]
pub struct Offline<S: Storage> {
    /// None if not even the manifest can be read.
    pub(super) inspection: Option<Inspection<S>>,
    pub(super) verified: Verified,
    /// Where a record stands that a start cannot apply: the begin of its frame.
    misfit: Option<Position>,
}

impl<S: Storage> Material for Mending<'_, S> {
    type Storage = ReadOnly<S>;

    fn snapshot(&self) -> Result<Option<SnapshotReader<ReadOnly<S>>>, JournalError> {
        self.snapshot()
    }

    fn records(&self, visitor: &mut dyn FnMut(Record<'_>) -> Result<(), VisitError>) -> Result<(), JournalError> {
        self.records(visitor)
    }
}

impl<S: Storage> Offline<S> {
    /// Locks the directory and looks at all of it. `progress` is told how many bytes are read, of how many.
    ///
    /// # Errors
    ///
    /// `STATE` if it is in use, not a journal, of another version, or cannot be listed. Damage is no error.
    pub fn open<'a>(storage: S, progress: &'a mut Progress<'a>) -> Result<Self, Error> {
        let directory = storage.place();
        let inspection = match Inspection::open(storage) {
            Ok(inspection) => inspection,
            Err(JournalError::FileDamaged { file, damage, .. }) => {
                let what = damage.to_string();
                let finding = Finding { file, offset: 0, bytes: 0, position: None, what, weight: Weight::Start };
                let checked = Checked::nothing_but(finding);
                let verified = Verified { directory, checked, ..Verified::default() };
                return Ok(Self { inspection: None, verified, misfit: None });
            }
            Err(error) => return Err(journal_error(&error)),
        };
        let checked = inspection.check(progress).map_err(|error| journal_error(&error))?;
        let verified = Verified { directory, checked, ..Verified::default() };
        let mut offline = Self { inspection: None, verified, misfit: None };
        offline.fold(&inspection)?;
        offline.states(&inspection)?;
        offline.inspection = Some(inspection);
        offline.verified.choices = offline.choices();
        Ok(offline)
    }

    /// What was found.
    pub const fn verified(&self) -> &Verified {
        &self.verified
    }

    /// Folds as a start would, where the bytes allow it.
    fn fold(&mut self, inspection: &Inspection<S>) -> Result<(), Error> {
        if self.verified.is_unstartable() {
            return Ok(());
        }
        let mut recovering = Recovering::<()>::default();
        match inspection.replay(&mut recovering) {
            Ok(_) => self.verified.jobs = Some(recovering.machine.jobs()),
            Err(error) => self.finding(inspection, &error, Weight::Start)?,
        }
        Ok(())
    }

    /// Whether each snapshot whose bytes are whole is the state that it says it is.
    fn states(&mut self, inspection: &Inspection<S>) -> Result<(), Error> {
        for (base, weight) in [(Base::Newest, Weight::Start), (Base::Before, Weight::History)] {
            let folded = base == Base::Newest && self.verified.jobs.is_some();
            let Some(mending) = inspection.mend(&self.verified.checked, base, Position::ZERO) else { continue };
            if folded || self.has_finding(mending.base()) {
                continue;
            }
            if let Err(error) = check_state(&mending) {
                self.finding(inspection, &error, weight)?;
            }
        }
        Ok(())
    }

    fn has_finding(&self, file: &str) -> bool {
        self.verified.checked.findings.iter().any(|finding| finding.file == file)
    }

    /// What is whole and still cannot be used.
    fn finding(&mut self, inspection: &Inspection<S>, error: &JournalError, weight: Weight) -> Result<(), Error> {
        let checked = &mut self.verified.checked;
        let finding = match error {
            JournalError::Refused { position, kind, source } => {
                let place = inspection.snapshot_at(*position).map(|name| (name.to_owned(), 0));
                if place.is_none() {
                    let found = inspection.frame_of(checked, *position).map_err(|error| journal_error(&error))?;
                    self.misfit = found.or(Some(*position));
                }
                let why = fragment(&**source);
                checked.unread |= Wrong::is_unknown(&**source);
                match place {
                    Some((file, offset)) => Finding { file, offset, bytes: 0, position: None, what: why, weight },
                    None => {
                        let (file, offset) = checked.place(*position);
                        let what = format!("the record (kind {kind}) cannot be applied: {why}");
                        Finding { file, offset, bytes: 0, position: Some(*position), what, weight }
                    }
                }
            }
            JournalError::Corrupt { file, offset, position, damage, .. } => {
                let (file, position, what) = (file.clone(), Some(*position), damage.to_string());
                Finding { file, offset: *offset, bytes: 0, position, what, weight }
            }
            JournalError::SnapshotDamaged { file, offset, damage, .. } => {
                let (file, what) = (file.clone(), damage.to_string());
                Finding { file, offset: *offset, bytes: 0, position: None, what, weight }
            }
            JournalError::FileDamaged { file, damage, .. } => {
                let (file, what) = (file.clone(), damage.to_string());
                Finding { file, offset: 0, bytes: 0, position: None, what, weight }
            }
            other => return Err(journal_error(other)),
        };
        checked.findings.push(finding);
        Ok(())
    }

    /// What can be done. Nothing is given up that whoever may read it, or another version, would still have.
    fn choices(&self) -> Vec<Choice> {
        if self.verified.checked.unread {
            return Vec::new();
        }
        Choice::ALL.into_iter().filter(|choice| self.is_possible(*choice)).collect()
    }

    fn is_possible(&self, choice: Choice) -> bool {
        let findings = &self.verified.checked.findings;
        let has = |weight| findings.iter().any(|finding| finding.weight == weight);
        let Some(inspection) = &self.inspection else { return false };
        match choice {
            Choice::RebuildSnapshot => {
                let newest = inspection.newest_snapshot();
                let of_newest = |finding: &&Finding| newest.is_some_and(|name| finding.file == name);
                let (of_it, others): (Vec<&Finding>, Vec<&Finding>) =
                    findings.iter().filter(|finding| finding.weight == Weight::Start).partition(of_newest);
                !of_it.is_empty() && others.is_empty() && self.leads_to(inspection.begin()).is_some()
            }
            Choice::ForgetHistory => has(Weight::History) && !has(Weight::Start),
            // Something of the log behind the damage, not a snapshot alone.
            Choice::Skip => {
                let of_log = |finding: &Finding| finding.weight == Weight::Start && finding.position.is_some();
                findings.iter().any(of_log) && self.base().is_some()
            }
            Choice::Cut => has(Weight::Start) && self.base().is_some(),
        }
    }

    /// A base from which the log is whole up to that position, other than the newest.
    pub(super) fn leads_to(&self, position: Position) -> Option<Base> {
        [Base::Before, Base::Begin].into_iter().find(|base| self.whole_up_to(*base) >= Some(position))
    }

    /// The base that a cut begins with: the last one that is whole.
    pub(super) fn base(&self) -> Option<Base> {
        [Base::Newest, Base::Before, Base::Begin].into_iter().find(|base| self.whole_up_to(*base).is_some())
    }

    /// Up to where all is whole from this base on; `None` if the base itself is not.
    pub(super) fn whole_up_to(&self, base: Base) -> Option<Position> {
        let checked = &self.verified.checked;
        let mending = self.inspection.as_ref()?.mend(checked, base, Position::ZERO)?;
        if self.has_finding(mending.base()) {
            return None;
        }
        let begin = mending.begin();
        let bad = checked.findings.iter().filter_map(|finding| finding.position).chain(self.misfit);
        Some(bad.filter(|position| *position >= begin).min().unwrap_or(checked.end))
    }
}

/// Whether a snapshot is the state that its header names.
fn check_state<S: Storage>(mending: &Mending<'_, S>) -> Result<(), JournalError> {
    let Some(snapshot) = mending.snapshot()? else { return Ok(()) };
    let header = *snapshot.header();
    let machine = begin(mending)?;
    if machine.state_hash() == header.state_hash {
        return Ok(());
    }
    Err(header.refused(0, "the state of the snapshot's parts is not the one that its header names".into()))
}
