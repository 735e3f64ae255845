//! The command line itself: what commands there are, what holds for all of them, and how a wrong one is refused.
//!
//! The flags of a command stand beside it, in `commands`.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand};
use queue_core::EngineUrl;
use queue_core::model::{Context, Error};

use crate::commands::{
    backup, completions, dead, dev, enqueue, error, init, job, journal, operation, ping, queue, stats, watch, worker,
};
use crate::failure::{Failure, USAGE};

/// Longshore, a durable job queue: enqueue, inspect, administer, try out.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, max_term_width = 100, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  longshore enqueue emails send '{\"to\": \"ann\"}'
  longshore job list --state dead
  longshore queue set emails attempts=5 lease=1m

Exit codes: 0 done, 1 refused, 2 wrong command line, 3 no such job, queue or worker, 4 no server
there or still starting, 5 outcome unknown; of a wait: 6 the job ended dead or cancelled, 7 time
ran out";

/// What holds for every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    // As `help`, not as a comment: rustdoc would take the brackets for a link.
    #[arg(help = "Where the jobs are: longshore://[:PASSWORD@]HOST:PORT (redis:// is the same), or log:DIR for a \
                  directory without a server")]
    #[arg(long, env = "LONGSHORE_ENGINE", hide_env_values = true, default_value = program::ENGINE)]
    #[arg(global = true, value_name = "URL", help_heading = "Common options", display_order = 900)]
    pub(crate) engine: EngineUrl,
    /// Answer in JSON, a line for each row
    #[arg(long, global = true, help_heading = "Common options", display_order = 901)]
    pub(crate) json: bool,
}

/// What an administrative command leaves in the events.
#[derive(Args, Clone, Debug)]
pub(crate) struct Administrative {
    /// Why; stands in the events, at most 1,000 bytes
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, display_order = 800)]
    because: String,
    /// Who does this; stands in the events [default: the user's name]
    #[arg(long, env = "LONGSHORE_ACTOR", hide_env_values = true, value_name = "NAME", display_order = 801)]
    actor: Option<String>,
}

impl Administrative {
    /// Who asks, and why.
    pub(crate) fn context(&self) -> Context {
        let user = || std::env::var("USER").unwrap_or_default();
        Context { actor: self.actor.clone().unwrap_or_else(user), reason: self.because.clone() }
    }
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Enqueue(Box<enqueue::EnqueueArgs>),
    #[command(subcommand)]
    Job(job::JobCommand),
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    #[command(subcommand)]
    Error(error::ErrorCommand),
    #[command(subcommand)]
    Operation(operation::OperationCommand),
    #[command(subcommand)]
    Worker(worker::WorkerCommand),
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    Stats(stats::StatsArgs),
    Watch(watch::WatchArgs),
    Ping(ping::PingArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Init(init::InitArgs),
    Dev(dev::DevArgs),
    Completions(completions::CompletionsArgs),
}

/// Reads the command line. Help and version are printed here and end the program well.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    let words: Vec<OsString> = words.into_iter().collect();
    Cli::try_parse_from(&words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away does not want its help.
            let _ = error.print();
            Failure::Exit(0)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Failure::Exit(USAGE)
        }
        _ => refused(&error, &words),
    })
}

/// clap's refusal in our form: one line that says what is wrong, then tips and where the help is.
fn refused(error: &clap::Error, words: &[OsString]) -> Failure {
    let help = format!("see: {} --help", command_path(words));
    if let Some(ours) = error.source().and_then(|source| source.downcast_ref::<Error>()) {
        return Failure::new(ours.message.clone(), help, USAGE);
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let found = [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::ValidValue].map(text);
    if let (ErrorKind::InvalidValue, [Some(flag), Some(value), Some(allowed)]) = (error.kind(), found) {
        let flag = flag.split_whitespace().next().unwrap_or_default();
        return Failure::new(Error::bad_arg(flag, value, &allowed).message, help, USAGE);
    }
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.trim_start_matches("error: ").split("\n\n");
    let message = paragraphs.next().unwrap_or_default().lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let tips = paragraphs.filter(|paragraph| paragraph.trim_start().starts_with("tip:"));
    let tips = tips.map(|tip| tip.lines().map(str::trim).collect::<Vec<_>>().join("\n") + "\n");
    Failure::new(message, tips.collect::<String>() + &help, USAGE)
}

/// The command that the words name, as far as they name one.
fn command_path(words: &[OsString]) -> String {
    let mut command = Cli::command();
    let mut path = command.get_name().to_owned();
    for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(found) = command.find_subcommand(word).cloned() {
            path = format!("{path} {word}");
            command = found;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, Failure, parse};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Every flag of every command once: a reader of another type than its flag would fail here, not at a user's.
    #[test]
    fn right_lines_are_read() {
        let lines = [
            "enqueue q n 1 --delay 5s --priority -5 --lifo --attempts 3 --backoff fixed:5s --jitter 5 --timeout none",
            "enqueue q n --raw --at 2026-12-01T10:00:00Z --expires-in 1h --keep 0s --tag a --tag b --header a=b --id x",
            "enqueue q n @f --wait 5s --engine log:d --json",
            "enqueue q --file f --name n --id-from o --attempts 2",
            "enqueue q --file - --again",
            "job list --queue q --state dead --state delayed --cause retry --name n --tag t --reason poison --limit 9",
            "job list --fingerprint f --contains c",
            "dead list --contains c",
            "job list --since 1h --until 2026-12-01T10:00:00Z",
            "dead list --since 2026-12-01 --until 5m",
            "dead redrive --since 2026-12-01T10:00Z",
            "dead purge --until 2026-12-01T11:00+01:00",
            "job show 1 #2 x --queue q",
            "job wait 1 --timeout 5s",
            "job logs 1 --queue q --follow",
            "job retry 1 --because b --actor a",
            "job promote 1",
            "job reschedule 1 --delay 5s",
            "job reschedule 1 --at 2026-12-01T10:00:00Z",
            "job edit 1 --payload x --raw --priority -7",
            "job cancel 1 2",
            "job remove 1 --force",
            "queue list",
            "queue show q",
            "queue stats",
            "queue stats q --last 24h --name n",
            "queue stats q --other --json",
            "error list --queue q --name n --contains c --since 1h --by week --limit 9",
            "error show f",
            "queue set q attempts=5 lease=1m --because b",
            "queue pause q",
            "queue resume q --actor a",
            "dead list --queue q --reason poison --limit 9",
            "dead redrive --name n --no-wait",
            "dead purge --tag t --fingerprint f --yes --no-wait",
            "operation list",
            "operation show 7",
            "operation cancel 7 --because b",
            "worker list --queue q",
            "worker show w",
            "worker quiet w v --because b --actor a",
            "worker resume --all",
            "worker stop --queue q",
            "journal dump d --job 42 --queue q --event failed --from 2026-12-01T10:00:00Z --to 2026-12-01T10:00:00Z",
            "journal dump d --from-position 64 --to-position 128 --payloads",
            "journal dump d --until 2026-12-01T10:00:00Z --job x --json",
            "stats --json",
            "watch --queue q --from 0 --limit 9",
            "ping --count 9",
            "backup",
            "backup before-upgrade --json",
            "restore backups/nightly data",
            "init",
            "init directory",
            "dev --data d --listen 127.0.0.1:0 --config handlers.toml",
            "completions bash",
        ];
        for line in lines {
            let words = std::iter::once("longshore").chain(line.split_whitespace()).map(Into::into);
            parse(words).unwrap_or_else(|failure| panic!("{line}: {failure:?}"));
        }
    }

    /// Checks that `line` is refused, with `expected` as the whole of what is said.
    fn refused(line: &str, expected: &str) {
        let words = std::iter::once("longshore").chain(line.split_whitespace()).map(Into::into);
        match parse(words) {
            Err(Failure::Said { message, hint, exit }) => {
                assert_eq!(format!("{message}\n{hint}"), expected, "{line}");
                assert_eq!(exit, 2, "{line}");
                for rust in ["u64", "i64", "u32", "Option", "Err(", "invalid digit", "::"] {
                    assert!(!message.contains(rust), "{line}: {message}");
                }
            }
            other => panic!("{line} was not refused: {other:?}"),
        }
    }

    const UNIT: &str = "a number with a unit";

    #[test]
    fn wrong_options_name_flag_value_and_what_is_allowed() {
        let enqueue = |flags: &str, expected: &str| {
            let line = format!("enqueue q n {flags}");
            refused(&line, &format!("{expected}\nsee: longshore enqueue --help"));
        };
        enqueue("--delay 30", &format!("--delay is 30; allowed: {UNIT}: 30s, 500ms, 5m, 2h, 1d"));
        enqueue("--delay -5s", &format!("--delay is -5s; allowed: {UNIT}: 30s, 500ms, 5m, 2h, 1d"));
        let time = "a time since 1970 with its zone, such as 2026-12-01T10:00:00Z or 2026-12-01T10:00:00+01:00";
        enqueue("--at 2026-12-01", &format!("--at is 2026-12-01; allowed: {time}"));
        enqueue("--priority 5000", "--priority is 5000; allowed: an integer from -1000 to 1000");
        enqueue("--priority -5000", "--priority is -5000; allowed: an integer from -1000 to 1000");
        enqueue("--attempts 0", "--attempts is 0; allowed: an integer from 1 to 10000");
        enqueue("--attempts many", "--attempts is many; allowed: an integer from 1 to 10000");
        enqueue("--timeout 0s", "--timeout is 0s; allowed: more than zero, or none");
        enqueue("--backoff fixed:5s --jitter 101", "--jitter is 101; allowed: an integer from 0 to 100");
        enqueue("--header trace", "--header is trace; allowed: NAME=VALUE, such as trace=4bf92f35");
        let id = "text of 1 to 255 bytes with at least one character that is not a digit";
        enqueue("--id 42", &format!("--id is 42; allowed: {id}"));
        let engine = "longshore://HOST:PORT, redis://HOST:PORT, log:DIR or memory:";
        enqueue("--engine localhost", &format!("engine is localhost; allowed: {engine}"));
    }

    #[test]
    fn wrong_words_are_refused_with_where_the_help_is() {
        refused(
            "job lst",
            "unrecognized subcommand 'lst'\ntip: a similar subcommand exists: 'list'\nsee: longshore job --help",
        );
        refused(
            "enqueue",
            "the following required arguments were not provided: <QUEUE> <NAME>\nsee: longshore enqueue --help",
        );
        refused(
            "job list --state done",
            "--state is done; allowed: waiting, delayed, active, waiting-children, completed, dead, cancelled\n\
             see: longshore job list --help",
        );
        refused(
            "job list --limit 0",
            "--limit is 0; allowed: an integer from 1 to 1000000\nsee: longshore job list --help",
        );
        refused(
            "enqueue q n --delay 5s --at 2026-12-01T10:00:00Z",
            "the argument '--delay <TIME>' cannot be used with '--at <WHEN>'\nsee: longshore enqueue --help",
        );
        refused(
            "queue set emails",
            "the following required arguments were not provided: <SETTING>...\nsee: longshore queue set --help",
        );
        refused("ping --count 0", "--count is 0; allowed: an integer from 1 to 1000000\nsee: longshore ping --help");
        refused(
            "stats --jsn",
            "unexpected argument '--jsn' found\ntip: a similar argument exists: '--json'\nsee: longshore stats --help",
        );
    }
}
