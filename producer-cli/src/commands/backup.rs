//! `backup` and `restore`: a copy of the whole store, made while it runs, and a store made of one.

use std::path::PathBuf;

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use queue_core::model::duration::show_ms;
use queue_core::model::{BackupReport, RestoreReport, Word};

use super::dev::typed::{Program, quoted};
use crate::app::App;
use crate::failure::Failure;

/// Make a backup of the store while it runs
///
/// It is made where the engine keeps its backups: a server says where with --backups, by default beside its directory. It
/// has everything that was acknowledged before, and every byte of it has been checked.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore backup
  longshore backup before-upgrade --engine longshore://broker:7600
  longshore backup nightly --engine log:longshore-data")]
pub(crate) struct BackupArgs {
    /// What it is called: 1 to 200 bytes, no slash [default: the UTC time, such as 2026-11-21T183336Z]
    #[arg(value_parser = |text: &str| BackupReport::check_name(text).map(|()| text.to_owned()))]
    name: Option<String>,
}

/// Make a store of a backup, in an empty directory
///
/// Every byte is checked. All leases end when the store starts for the first time: what was running then runs again.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore restore longshore-data-backups/2026-11-21T183336Z longshore-data
  longshore restore /mnt/backups/nightly /srv/longshore --json")]
pub(crate) struct RestoreArgs {
    /// The backup's directory
    backup: PathBuf,
    /// Where the store will be: missing or empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Asks the engine for a backup.
pub(crate) async fn run(args: BackupArgs, app: &mut App) -> Result<(), Failure> {
    let made = app.engine().await?.backup(args.name).await;
    let report = made.map_err(|error| match error.word {
        Word::State | Word::Full => {
            Failure::new(error.message, "no backup was made; the store goes on", error.word.exit_code())
        }
        _ => error.into(),
    })?;
    app.answer(&report, || backed_up(&report))
}

fn backed_up(report: &BackupReport) -> String {
    let BackupReport { name, path, position, .. } = report;
    let [bytes, linked, copied] = [report.bytes, report.linked_bytes, report.copied_bytes].map(HumanBytes);
    let took = show_ms(report.took_ms);
    format!(
        "backup {name} made: {path}\nit has everything before position {position}: {bytes} \
         ({linked} shared with the store, {copied} copied), checked, in {took}\n"
    )
}

/// Makes a store of a backup.
pub(crate) fn restore(args: &RestoreArgs, app: &mut App) -> Result<(), Failure> {
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}");
    let bar = ProgressBar::new(0).with_style(style.expect("a template that is right"));
    let progress = &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let restored = queue_core::engine::restore(&args.backup, &args.directory, progress);
    bar.finish_and_clear();
    let report = restored.map_err(|error| {
        let hint = "nothing was restored, and the backup is as it was";
        Failure::new(error.message, hint, error.word.exit_code())
    })?;
    app.answer(&report, || restored_text(&report))
}

fn restored_text(report: &RestoreReport) -> String {
    let RestoreReport { backup, path, files, .. } = report;
    let (bytes, took) = (HumanBytes(report.bytes), show_ms(report.took_ms));
    let s = if *files == 1 { "" } else { "s" };
    format!(
        "{path} is restored from {backup}: {files} file{s}, {bytes}, checked, in {took}\n\
         \nNext:\n\n  {}-server --data {}\n",
        Program::from_arguments(),
        quoted(path)
    )
}
