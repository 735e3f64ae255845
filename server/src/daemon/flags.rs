//! Flags and environment, and how they go before the file; the words of each setting, which are the same in all three.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches, Parser};
use program::log::{LogFlag, LogFormat};
use queue_core::EngineUrl;
use queue_core::journal::FsyncPolicy;
use queue_core::model::typed::size;
use queue_core::model::{Error, Word};

/// Longshore's server: keeps jobs, hands them to workers, speaks the Redis protocol.
///
/// Flags go before the environment, the environment before the file.
#[derive(Clone, Debug, Parser)]
#[command(name = "longshore-server", version)]
pub struct Flags {
    #[command(flatten)]
    place: Place,
    /// Where clients connect [default: 127.0.0.1:7600]
    #[arg(long, value_name = "HOST:PORT", env = "LONGSHORE_LISTEN")]
    listen: Option<String>,
    /// Where /healthz and /readyz answer, or none [default: 127.0.0.1:7601]
    #[arg(long, value_name = "HOST:PORT", env = "LONGSHORE_ADMIN")]
    admin: Option<String>,
    /// When an acknowledged job is on disk: always (survives power loss), everysec (survives kill -9), no [default: always]
    #[arg(long, value_name = "POLICY", env = "LONGSHORE_FSYNC", value_parser = fsync)]
    fsync: Option<FsyncPolicy>,
    /// A file with the password that clients must know
    #[arg(long, value_name = "FILE", env = "LONGSHORE_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// Listen beyond loopback without a password
    #[arg(long, env = "LONGSHORE_INSECURE_NO_PASSWORD")]
    insecure_no_password: bool,
    /// A TOML file with these settings, and [queues.NAME] for settings of queues; read again on SIGHUP
    #[arg(long, value_name = "FILE", env = "LONGSHORE_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Bytes that jobs may take in memory, such as 512mb or 2gb, or none; beyond it new work is refused [default: none]
    #[arg(long, value_name = "SIZE", env = "LONGSHORE_MAX_MEMORY", value_parser = memory)]
    max_memory: Option<u64>,
    /// Longest file of the log, 64kb to 1gb; short ones come first [default: 64mb]
    #[arg(long, value_name = "SIZE", env = "LONGSHORE_SEGMENT_BYTES", value_parser = segment_bytes)]
    segment_bytes: Option<u64>,
    /// Log written since the last snapshot that makes a new one; at least half that snapshot's size [default: 1gb]
    #[arg(long, value_name = "SIZE", env = "LONGSHORE_COMPACT_AFTER", value_parser = compact_after)]
    compact_after: Option<u64>,
    /// Log before the last snapshot that stays for EVENTS.READ, or none for no bound [default: 1gb]
    #[arg(long, value_name = "SIZE", env = "LONGSHORE_HISTORY", value_parser = history)]
    history: Option<u64>,
    /// Where JOURNAL.BACKUP makes backups [default: beside the directory of the jobs, DIR-backups]
    #[arg(long, value_name = "DIR", env = "LONGSHORE_BACKUPS")]
    backups: Option<PathBuf>,
    #[command(flatten)]
    log: LogFlag,
}

/// The two names of one setting.
#[derive(Clone, Debug, Args)]
struct PlaceFlags {
    /// Where jobs are kept: log:DIR or memory: [default: log:./longshore-data]
    // Not LONGSHORE_ENGINE: that is where clients find a server, and would often be set to this very one.
    #[arg(long, value_name = "ENGINE", env = "LONGSHORE_SERVER_ENGINE", value_parser = engine)]
    engine: Option<EngineUrl>,
    /// Short for --engine log:DIR
    #[arg(long, value_name = "DIR", env = "LONGSHORE_DATA")]
    data: Option<PathBuf>,
}

/// Where jobs are kept, by whichever of the two names goes before the other: a flag before the environment.
#[derive(Clone, Debug)]
struct Place(Option<EngineUrl>);

impl Args for Place {
    fn augment_args(command: clap::Command) -> clap::Command {
        PlaceFlags::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        PlaceFlags::augment_args_for_update(command)
    }
}

impl FromArgMatches for Place {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let PlaceFlags { engine, data } = PlaceFlags::from_arg_matches(matches)?;
        let by_flag = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let data = data.map(EngineUrl::Log);
        if engine.is_some() && data.is_some() && by_flag("engine") == by_flag("data") {
            let text = "the argument '--engine <ENGINE>' cannot be used with '--data <DIR>'";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
        }
        Ok(Self(if by_flag("data") { data.or(engine) } else { engine.or(data) }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What flags, environment or file say; `None` where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) engine: Option<EngineUrl>,
    pub(super) listen: Option<String>,
    pub(super) admin: Option<String>,
    pub(super) fsync: Option<FsyncPolicy>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) insecure_no_password: bool,
    pub(super) max_memory: Option<u64>,
    pub(super) segment_bytes: Option<u64>,
    pub(super) compact_after: Option<u64>,
    pub(super) history: Option<u64>,
    pub(super) backups: Option<PathBuf>,
    pub(super) log_format: Option<LogFormat>,
}

impl From<Flags> for Settings {
    fn from(flags: Flags) -> Self {
        Self {
            engine: flags.place.0,
            listen: flags.listen,
            admin: flags.admin,
            fsync: flags.fsync,
            password_file: flags.password_file,
            insecure_no_password: flags.insecure_no_password,
            max_memory: flags.max_memory,
            segment_bytes: flags.segment_bytes,
            compact_after: flags.compact_after,
            history: flags.history,
            backups: flags.backups,
            log_format: flags.log.log_format,
        }
    }
}

impl Settings {
    /// These settings, and where they say nothing `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            engine: self.engine.or(other.engine),
            listen: self.listen.or(other.listen),
            admin: self.admin.or(other.admin),
            fsync: self.fsync.or(other.fsync),
            password_file: self.password_file.or(other.password_file),
            insecure_no_password: self.insecure_no_password || other.insecure_no_password,
            max_memory: self.max_memory.or(other.max_memory),
            segment_bytes: self.segment_bytes.or(other.segment_bytes),
            compact_after: self.compact_after.or(other.compact_after),
            history: self.history.or(other.history),
            backups: self.backups.or(other.backups),
            log_format: self.log_format.or(other.log_format),
        }
    }
}

/// An engine that this server can be.
pub(super) fn engine(text: &str) -> Result<EngineUrl, Error> {
    if text.starts_with("postgres") || text.starts_with("longshore:") || text.starts_with("redis") {
        return Err(not_ours(text.split("://").next().unwrap_or_default()));
    }
    text.parse().map_err(|_| Error::bad_arg("engine", text, "log:DIR or memory:"))
}

/// An engine that others than this server are to be told of.
pub(super) fn not_ours(shown: &str) -> Error {
    let allowed =
        "log:DIR or memory:; a server stands in front of no other engine, give that URL to clients and workers";
    Error::new(Word::BadArg, format!("engine is {shown}; allowed: {allowed}"))
}

/// A directory as an engine; a relative one is taken from `base`.
pub(super) fn under(base: &Path, url: EngineUrl) -> EngineUrl {
    match url {
        EngineUrl::Log(directory) => EngineUrl::Log(base.join(directory)),
        other => other,
    }
}

const POLICIES: [(&str, FsyncPolicy); 3] =
    [("always", FsyncPolicy::Always), ("everysec", FsyncPolicy::EverySec), ("no", FsyncPolicy::No)];

pub(super) fn fsync(text: &str) -> Result<FsyncPolicy, Error> {
    let found = POLICIES.iter().find(|(word, _)| *word == text);
    found.map(|(_, policy)| *policy).ok_or_else(|| Error::bad_arg("fsync", text, "always, everysec or no"))
}

/// The policy as it is typed; `none` where nothing is written.
pub(super) fn word_of(policy: FsyncPolicy, url: &EngineUrl) -> &'static str {
    match url {
        EngineUrl::Memory => "none",
        _ => POLICIES.iter().find(|(_, known)| *known == policy).map_or("always", |(word, _)| word),
    }
}

const BOUND: &str = "a size with a unit, such as 512mb or 2gb, or none";

/// A size in bytes; `none` is no bound.
pub(super) fn memory(text: &str) -> Result<u64, Error> {
    bound(text).ok_or_else(|| Error::bad_arg("max-memory", text, BOUND))
}

/// As [`memory`].
pub(super) fn history(text: &str) -> Result<u64, Error> {
    bound(text).ok_or_else(|| Error::bad_arg("history", text, BOUND))
}

/// A size in bytes.
pub(super) fn compact_after(text: &str) -> Result<u64, Error> {
    let allowed = "a size with a unit, such as 512mb or 2gb";
    size(text).ok_or_else(|| Error::bad_arg("compact-after", text, allowed))
}

/// A size in bytes that a segment may have.
pub(super) fn segment_bytes(text: &str) -> Result<u64, Error> {
    let fits = |bytes: &u64| (64 << 10..=1 << 30).contains(bytes);
    size(text).filter(fits).ok_or_else(|| Error::bad_arg("segment-bytes", text, "a size from 64kb to 1gb"))
}

fn bound(text: &str) -> Option<u64> {
    if text.eq_ignore_ascii_case("none") { Some(u64::MAX) } else { size(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("64kb", 64 << 10), ("512MB", 512 << 20), ("2 gb", 2 << 30), ("none", u64::MAX)] {
            assert_eq!(memory(text).expect(text), bytes);
        }
        for text in ["", "512", "mb", "0mb", "1.5gb", "-1mb", "99999999999tb", "5b"] {
            let error = memory(text).expect_err(text);
            assert!(error.message.starts_with("max-memory is "), "{}", error.message);
            compact_after(text).expect_err(text);
        }
        compact_after("none").expect_err("a snapshot is made at some time");
        assert_eq!(history("none").expect("all of it"), u64::MAX);
        for text in ["63kb", "1025mb", "none"] {
            segment_bytes(text).expect_err(text);
        }
        assert_eq!((segment_bytes("64kb"), segment_bytes("1gb")), (Ok(64 << 10), Ok(1 << 30)));
    }

    #[test]
    fn flags_go_before_the_file() {
        let flags = Flags::parse_from(["longshore-server", "--data", "a", "--fsync", "no"]);
        let file =
            Settings { engine: Some(EngineUrl::Memory), listen: Some("127.0.0.1:1".to_owned()), ..Settings::default() };
        let both = Settings::from(flags).or(file);
        assert_eq!(both.engine, Some(EngineUrl::Log("a".into())));
        assert_eq!((both.fsync, both.listen.as_deref()), (Some(FsyncPolicy::No), Some("127.0.0.1:1")));
    }

    #[test]
    fn engines_of_others_are_refused_with_what_to_do() {
        for (text, shown) in [("postgres://u:secret@h/db", "postgres"), ("longshore://h", "longshore")] {
            let message = engine(text).expect_err(text).message;
            assert!(
                message.starts_with(&format!("engine is {shown}; allowed: log:DIR or memory:; a server")),
                "{message}"
            );
        }
        assert_eq!(engine("logs").expect_err("none").message, "engine is logs; allowed: log:DIR or memory:");
    }
}
