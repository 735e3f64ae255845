//! `journal repair`: what can be done about a damaged data directory, and doing it.

use std::path::PathBuf;

use clap::Args;
use queue_core::engine::offline::{Choice, Doubt, Lost, Repair, Unnamed};
use serde::Serialize;

use super::verify::{counted, damaged, interrupted, open, tell, unreadable, with_bar};
use crate::app::App;
use crate::failure::Failure;
use crate::parse;
use crate::render::{cut, instant};

/// Events that are shown to people of each choice; programs get all of them.
const SHOWN_LOST: usize = 20;

/// Jobs of which a line for people names the numbers.
const SHOWN_JOBS: usize = 5;
/// Characters of a name or policy in it: all of a placeholder.
const SHOWN_TEXT: usize = 60;

/// Show what can be done about a damaged data directory, and with --apply do it
#[derive(Args, Debug)]
#[command(after_help = "\
Without --apply nothing is changed: each choice is shown with the events and jobs that it would lose.

  rebuild-snapshot  the newest snapshot is damaged: it is made again from the one before and the
                    journal between them, and must come to the same state; nothing is lost
  forget-history    the damage is older than the newest snapshot: no start needs it; all that is
                    older is set aside, no job is touched
  skip              bad frames are left out, what is whole behind them is gone on with; events that
                    do not fit the state any more are dropped; it becomes a state that never was
  cut               the state goes back to what it was before the first bad place; what was stored
                    later is set aside

A repair changes no byte of the journal: it writes a new snapshot where one is needed, and then the
manifest. What was there is kept beside, in files set-aside-…, until you remove them. If it is
interrupted, run it again.

Examples:
  longshore journal repair ./longshore-data
  longshore journal repair ./longshore-data --json
  longshore journal repair ./longshore-data --apply cut

Exit codes: 0 nothing is damaged, or the choice was carried out; 1 damaged and nothing was chosen, or
the choice cannot be made")]
pub(crate) struct RepairArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Carry out this choice: rebuild-snapshot, forget-history, skip or cut
    #[arg(long, value_name = "CHOICE", value_parser = choice)]
    apply: Option<Choice>,
}

fn choice(text: &str) -> Result<Choice, queue_core::model::Error> {
    let word = parse::word("--apply", text, &Choice::ALL.map(Choice::as_str))?;
    Ok(Choice::ALL.into_iter().find(|choice| choice.as_str() == word).expect("it is one of them"))
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum Line<'a> {
    Lost {
        choice: &'static str,
        #[serde(flatten)]
        lost: &'a Lost,
    },
    Unnamed {
        choice: &'static str,
        #[serde(flatten)]
        unnamed: &'a Unnamed,
    },
    Choice {
        choice: &'static str,
        base: &'a str,
        until: u64,
        jobs: u64,
        lost_events: u64,
        lost_jobs: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_number: Option<u64>,
        applied: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        set_aside: Option<&'a [String]>,
    },
}

/// Shows choices, or carries one out.
pub(crate) fn run(args: &RepairArgs, app: &mut App) -> Result<(), Failure> {
    let offline = open(&args.directory)?;
    tell(offline.verified(), app)?;
    if let Some(choice) = args.apply {
        let possible = offline.verified().choices.contains(&choice);
        let failed = if possible { interrupted } else { unreadable };
        let mut telling = Telling { app, choice, shown: 0, written: Ok(()) };
        let repair = with_bar(|progress| offline.apply(choice, &mut |lost| telling.lost(lost), progress));
        let repair = repair.map_err(failed)?;
        return telling.end(&repair);
    }
    if !offline.verified().is_damaged() {
        return match app.json {
            true => Ok(()),
            false => Ok(app.out.line("nothing is damaged")?),
        };
    }
    for &choice in &offline.verified().choices {
        let mut telling = Telling { app, choice, shown: 0, written: Ok(()) };
        match with_bar(|progress| offline.plan(choice, &mut |lost| telling.lost(lost), progress)) {
            Ok(repair) => telling.end(&repair)?,
            Err(error) => crate::failure::note(&format!("{} cannot be done: {}", choice.as_str(), error.message)),
        }
    }
    Err(match offline.verified().choices.as_slice() {
        [] => damaged(offline.verified()),
        _ => {
            let directory = &offline.verified().directory;
            let hint = format!("nothing was changed; to do it: longshore journal repair {directory} --apply CHOICE");
            Failure::new(format!("{directory} is damaged and nothing was chosen"), hint, 1)
        }
    })
}

/// Tells one choice: what it loses, then what it comes to.
struct Telling<'a> {
    app: &'a mut App,
    choice: Choice,
    shown: usize,
    written: Result<(), Failure>,
}

impl Telling<'_> {
    fn lost(&mut self, lost: &Lost) {
        if self.written.is_err() {
            return;
        }
        let choice = self.choice.as_str();
        self.shown += 1;
        if self.app.json {
            self.written = self.app.out.json(&Line::Lost { choice, lost }).map_err(Into::into);
        } else if self.shown <= SHOWN_LOST {
            let number = lost.number.map(|number| format!(" #{}", number.0)).unwrap_or_default();
            let queue = lost.queue.as_ref().map(|queue| format!(" in {queue}")).unwrap_or_default();
            let line = format!("  lost: {}  {}{number}{queue}", instant(lost.at_ms), lost.event);
            self.written = self.app.out.line(line).map_err(Into::into);
        }
    }

    fn end(self, repair: &Repair) -> Result<(), Failure> {
        self.written?;
        let choice = self.choice.as_str();
        let Repair { base, until, jobs, lost_events, lost_jobs, .. } = repair;
        if self.app.json {
            for unnamed in &repair.unnamed {
                self.app.out.json(&Line::Unnamed { choice, unnamed })?;
            }
            self.app.out.json(&Line::Choice {
                choice,
                base,
                until: until.get(),
                jobs: *jobs,
                lost_events: *lost_events,
                lost_jobs: *lost_jobs,
                next_number: repair.next_number.map(|number| number.0),
                applied: repair.set_aside.is_some(),
                set_aside: repair.set_aside.as_deref(),
            })?;
            return Ok(());
        }
        if self.shown > SHOWN_LOST {
            self.app.out.line(format_args!("  … and {} more; all of them: --json", self.shown - SHOWN_LOST))?;
        }
        let how = if self.choice == Choice::Skip { "and past" } else { "up to" };
        let done = if repair.set_aside.is_some() { "done: " } else { "" };
        self.app.out.line(format_args!(
            "{done}{choice}: {}, from {base} {how} position {until}; {} of {} are lost",
            counted(*jobs, "job"),
            counted(*lost_events, "event"),
            counted(*lost_jobs, "job"),
        ))?;
        for unnamed in &repair.unnamed {
            self.app.out.line(format_args!("  {}", sentence(unnamed)))?;
        }
        if let Some(next) = repair.next_number {
            self.app
                .out
                .line(format_args!("  the next job is #{}: no number is given again; all leases end", next.0))?;
        }
        for kept in repair.set_aside.iter().flatten() {
            self.app.out.line(format_args!("  kept: {kept}"))?;
        }
        Ok(())
    }
}

/// What is not known any more, of which jobs.
fn sentence(unnamed: &Unnamed) -> String {
    let Unnamed { doubt, of, text, jobs } = unnamed;
    let mut named: Vec<String> = jobs.iter().take(SHOWN_JOBS).map(|job| format!("#{}", job.0)).collect();
    if jobs.len() > SHOWN_JOBS {
        named.push(format!("and {} more", jobs.len() - SHOWN_JOBS));
    }
    let (named, text) = (named.join(", "), cut(text, SHOWN_TEXT));
    match doubt {
        Doubt::Replaced => format!("unknown: the {of} of {named} is lost; `{text}` stands for it now"),
        Doubt::Doubtful => {
            format!("doubtful: the {of} of {named} was `{text}` before the damage, and may be another since")
        }
        Doubt::Gone => format!("gone: {named}, whose {of} (number {text}) is lost"),
    }
}
