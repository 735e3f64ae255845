//! `journal verify`: every bad place of a data directory, and what it costs.

use std::cell::RefCell;
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use queue_core::engine::offline::{Choice, Offline, Verified};
use queue_core::journal::{DirStorage, Finding, Progress, Weight};
use serde::Serialize;

use crate::app::App;
use crate::commands::bulk;
use crate::failure::Failure;

/// Look at every byte of a data directory and name each bad place
#[derive(Args, Debug)]
#[command(after_help = "\
Nothing in the directory is changed; it may be a read-only copy. No server may run on it.

Looked at are the manifest, both snapshots and every segment that is kept; then everything is read as
a start would read it. Of each bad place it is said whether it makes a start impossible, concerns the
past alone, or is the torn tail that a crash leaves and the next start cuts.

Examples:
  longshore journal verify ./longshore-data
  longshore journal verify ./longshore-data --json

Exit codes: 0 sound, also with a torn tail; 1 damaged, or the directory cannot be looked at")]
pub(crate) struct VerifyArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum Line<'a> {
    Finding {
        weight: &'static str,
        file: &'a str,
        offset: u64,
        bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<u64>,
        what: &'a str,
    },
    Summary {
        sound: bool,
        can_start: bool,
        snapshots: u64,
        segments: u64,
        frames: u64,
        records: u64,
        bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        jobs: Option<u64>,
        choices: Vec<&'static str>,
    },
}

/// Says what is wrong with a directory.
pub(crate) fn run(args: &VerifyArgs, app: &mut App) -> Result<(), Failure> {
    let offline = open(&args.directory)?;
    let verified = offline.verified();
    tell(verified, app)?;
    let checked = &verified.checked;
    if app.json {
        app.out.json(&Line::Summary {
            sound: !verified.is_damaged(),
            can_start: !verified.is_unstartable(),
            snapshots: checked.snapshots,
            segments: checked.segments,
            frames: checked.frames,
            records: checked.records,
            bytes: checked.bytes,
            jobs: verified.jobs,
            choices: verified.choices.iter().map(|choice| choice.as_str()).collect(),
        })?;
    } else {
        let word = if verified.is_damaged() { "damaged" } else { "sound" };
        let jobs = verified.jobs.map(|jobs| format!("; {}", counted(jobs, "job"))).unwrap_or_default();
        app.out.line(format_args!(
            "{word}: looked at {}, {}, {}, {}{jobs}",
            counted(checked.snapshots, "snapshot"),
            counted(checked.segments, "segment"),
            counted(checked.frames, "frame"),
            counted(checked.records, "record"),
        ))?;
    }
    if verified.is_damaged() { Err(damaged(verified)) } else { Ok(()) }
}

/// A number of things.
pub(super) fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Opens a directory, with a bar at a terminal.
pub(super) fn open(directory: &PathBuf) -> Result<Offline<DirStorage>, Failure> {
    with_bar(|progress| Offline::open(DirStorage::new(directory), progress)).map_err(unreadable)
}

/// Does something long, with a bar at a terminal, which is gone before anything is told.
pub(super) fn with_bar<T>(work: impl for<'a> FnOnce(&'a mut Progress<'a>) -> T) -> T {
    let bar: RefCell<Option<ProgressBar>> = RefCell::default();
    let end = || bar.take().iter().for_each(ProgressBar::finish_and_clear);
    let done = work(&mut |done, all| {
        bar.borrow_mut().get_or_insert_with(|| bulk::bar(all)).set_position(done);
        if done == all {
            end();
        }
    });
    end();
    done
}

/// Every bad place, a line each.
pub(super) fn tell(verified: &Verified, app: &mut App) -> Result<(), Failure> {
    for finding in &verified.checked.findings {
        if app.json {
            app.out.json(&Line::Finding {
                weight: finding.weight.as_str(),
                file: &finding.file,
                offset: finding.offset,
                bytes: finding.bytes,
                position: finding.position.map(queue_core::journal::Position::get),
                what: &finding.what,
            })?;
        } else {
            app.out.line(said(finding))?;
        }
    }
    Ok(())
}

fn said(finding: &Finding) -> String {
    let Finding { file, offset, what, .. } = finding;
    let position = finding.position.map(|position| format!(" (position {position})")).unwrap_or_default();
    let cost = match finding.weight {
        Weight::Torn => {
            let bytes = finding.bytes;
            return format!(
                "{file} has a torn tail of {bytes} bytes at offset {offset}{position}: normal after a crash, the next start cuts it"
            );
        }
        Weight::History => "only the past is concerned, a start does not read it",
        Weight::Start => "a start is impossible",
    };
    format!("{file} is damaged at offset {offset}{position}: {what}; {cost}")
}

/// What to do about a directory that is damaged.
pub(super) fn damaged(verified: &Verified) -> Failure {
    let directory = &verified.directory;
    let hint = match verified.choices.as_slice() {
        [] if verified.checked.unread => {
            "nothing was changed, and nothing is to be given up yet: make it readable, use the program that wrote it, \
             or copy the directory from a failing disk"
                .to_owned()
        }
        [] => "nothing was changed; nothing of it can be repaired: keep a copy, and start with a backup".to_owned(),
        choices => {
            let words: Vec<&str> = choices.iter().copied().map(Choice::as_str).collect();
            let words = words.join(", ");
            format!("nothing was changed; see what can be done ({words}): longshore journal repair {directory}")
        }
    };
    Failure::new(format!("{directory} is damaged"), hint, 1)
}

/// It ended somewhere on its way.
pub(super) fn interrupted(error: queue_core::model::Error) -> Failure {
    let hint = "the old state is in force, or the new one, and no file was given up: see what there is (longshore journal \
                verify), and run it again";
    Failure::new(error.message, hint, error.word.exit_code())
}

/// Nothing was changed, and the message says what and where.
pub(super) fn unreadable(error: queue_core::model::Error) -> Failure {
    Failure::new(error.message, "nothing was changed", error.word.exit_code())
}
