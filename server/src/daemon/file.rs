//! The server's file: the flags' names as keys, and a table `[queues.NAME]` for each queue that has settings.
//!
//! Every fault is named by line, key, value and what is allowed; one fault refuses the whole file. Paths in it are
//! relative to its folder.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use queue_core::model::{Error, Limits, QueueSettings, fragment, is_name, typed};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::flags::{self, Settings};
use super::wrong;
use crate::config::Queues;

const KEYS: &str = "engine, data, listen, admin, fsync, password-file, insecure-no-password, max-memory, segment-bytes, compact-after, history, backups, log-format, [queues.NAME]";

type Key<'i> = Spanned<Cow<'i, str>>;
type Value<'i> = Spanned<DeValue<'i>>;

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) settings: Settings,
    pub(super) queues: Queues,
}

/// Reads the file.
///
/// # Errors
///
/// `BADARG` with a line for each fault.
pub(super) fn load(path: &Path) -> Result<Read, Error> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read {shown}: {}", fragment(&error))))?;
    parse(&text, path.parent().unwrap_or(Path::new("")))
        .map_err(|faults| wrong(faults.iter().map(|fault| format!("{shown}:{fault}")).collect::<Vec<_>>().join("\n")))
}

fn parse(text: &str, base: &Path) -> Result<Read, Vec<String>> {
    let mut reader = Reader { text, base, faults: Vec::new() };
    let read = reader.file();
    if reader.faults.is_empty() {
        return Ok(read);
    }
    reader.faults.sort_by_key(|(at, _)| *at);
    let line = |at: usize| text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
    Err(reader.faults.into_iter().map(|(at, message)| format!("{}: {message}", line(at))).collect())
}

struct Reader<'t> {
    text: &'t str,
    base: &'t Path,
    faults: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn file(&mut self) -> Read {
        let mut read = Read::default();
        let root = match DeTable::parse(self.text) {
            Ok(root) => root.into_inner(),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.fault(at, error.message().replace('\n', " "));
                return read;
            }
        };
        for (key, value) in in_order(&root) {
            match key.get_ref().as_ref() {
                "queues" => read.queues = self.queues(value),
                _ => self.setting(&mut read.settings, key, value),
            }
        }
        if let (Some(_), Some((key, _))) = (root.get("engine"), root.get_key_value("data")) {
            self.fault(key.span().start, "data is short for engine = \"log:DIR\"; allowed: one of the two".to_owned());
        }
        read
    }

    fn setting(&mut self, settings: &mut Settings, key: &Key<'_>, value: &Value<'_>) {
        let name = key.get_ref().as_ref();
        match name {
            "engine" => {
                let engine = self.read(name, value, flags::engine);
                settings.engine = engine.map(|url| flags::under(self.base, url));
            }
            "data" => settings.engine = self.path(name, value).map(queue_core::EngineUrl::Log),
            "listen" => settings.listen = self.read(name, value, own),
            "admin" => settings.admin = self.read(name, value, own),
            "fsync" => settings.fsync = self.read(name, value, flags::fsync),
            "password-file" => settings.password_file = self.path(name, value),
            "insecure-no-password" => match value.get_ref() {
                DeValue::Boolean(insecure) => settings.insecure_no_password = *insecure,
                _ => self.refuse(name, value.span(), "true or false"),
            },
            "max-memory" => settings.max_memory = self.read(name, value, flags::memory),
            "segment-bytes" => settings.segment_bytes = self.read(name, value, flags::segment_bytes),
            "compact-after" => settings.compact_after = self.read(name, value, flags::compact_after),
            "history" => settings.history = self.read(name, value, flags::history),
            "backups" => settings.backups = self.path(name, value),
            "log-format" => settings.log_format = self.read(name, value, str::parse),
            unknown => self.fault(key.span().start, format!("{unknown} is no key of this file; allowed: {KEYS}")),
        }
    }

    fn read<T>(&mut self, name: &str, value: &Value<'_>, read: impl Fn(&str) -> Result<T, Error>) -> Option<T> {
        let DeValue::String(text) = value.get_ref() else {
            self.refuse(name, value.span(), "a text in quotes");
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(value.span().start, error.message);
                None
            }
        }
    }

    fn path(&mut self, name: &str, value: &Value<'_>) -> Option<std::path::PathBuf> {
        self.read(name, value, own).map(|path| self.base.join(path))
    }

    fn queues(&mut self, value: &Value<'_>) -> Queues {
        let DeValue::Table(table) = value.get_ref() else {
            self.refuse("queues", value.span(), "tables, such as [queues.emails]");
            return Queues::new();
        };
        let mut queues = Queues::new();
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            if !is_name(name) {
                let allowed = format!("a queue's name: text of 1 to {} bytes", Limits::NAME_BYTES);
                self.fault(key.span().start, Error::bad_arg("queues", name, &allowed).message);
            }
            match value.get_ref() {
                DeValue::Table(settings) => queues.push((name.to_owned(), self.queue(name, settings))),
                _ => self.refuse(&format!("queues.{name}"), value.span(), "a table of settings, such as attempts = 5"),
            }
        }
        queues
    }

    fn queue(&mut self, queue: &str, table: &DeTable<'_>) -> QueueSettings {
        let mut words = Vec::new();
        for (key, value) in in_order(table) {
            let written = match value.get_ref() {
                DeValue::String(text) => text.as_ref(),
                _ => &self.text[value.span()],
            };
            let word = format!("{}={written}", key.get_ref());
            // Each by itself, so that its fault has its own line; together below, since some concern others.
            match typed::parse(std::slice::from_ref(&word)) {
                Ok(_) => words.push(word),
                Err(error) => self.fault(key.span().start, format!("queues.{queue}: {}", error.message)),
            }
        }
        typed::parse(&words).map(|patch| patch.set).unwrap_or_default()
    }

    fn refuse(&mut self, name: &str, span: Range<usize>, allowed: &str) {
        let error = Error::bad_arg(name, &self.text[span.clone()], allowed);
        self.fault(span.start, error.message);
    }

    fn fault(&mut self, at: usize, message: String) {
        self.faults.push((at, message));
    }
}

fn own(text: &str) -> Result<String, Error> {
    Ok(text.to_owned())
}

/// A table's entries in the order of the file.
fn in_order<'v, 'i>(table: &'v DeTable<'i>) -> Vec<(&'v Key<'i>, &'v Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_core::EngineUrl;

    #[test]
    fn a_whole_file() {
        let text = r#"
            data = "jobs"
            listen = "127.0.0.1:7600"
            admin = "none"
            fsync = "everysec"
            password-file = "/etc/longshore/password"
            max-memory = "2gb"
            segment-bytes = "1mb"
            compact-after = "10mb"
            history = "none"
            backups = "/srv/backups"
            log-format = "json"

            [queues.emails]
            attempts = 5
            lease = "1m"
            keep-completed = "all"
            [queues."needs quotes"]
            backoff = "fixed:5s"
        "#;
        let read = parse(text, Path::new("/srv")).expect("a good file");
        assert_eq!(read.settings.engine, Some(EngineUrl::Log("/srv/jobs".into())));
        assert_eq!(read.settings.password_file.as_deref(), Some(Path::new("/etc/longshore/password")));
        assert_eq!((read.settings.admin.as_deref(), read.settings.max_memory), (Some("none"), Some(2 << 30)));
        assert_eq!(read.settings.backups.as_deref(), Some(Path::new("/srv/backups")));
        let log = (read.settings.segment_bytes, read.settings.compact_after, read.settings.history);
        assert_eq!(log, (Some(1 << 20), Some(10 << 20), Some(u64::MAX)));
        let [(emails, settings), (other, _)] = read.queues.as_slice() else { panic!("{:?}", read.queues) };
        assert_eq!((emails.as_str(), other.as_str()), ("emails", "needs quotes"));
        assert_eq!((settings.attempts, settings.lease_ms), (Some(5), Some(60_000)));
        assert_eq!((settings.keep_completed, settings.keep_completed_ms), (Some(u64::MAX), Some(0)));
    }

    #[test]
    fn faults_are_named_by_line_key_value_and_what_is_allowed() {
        fn check(text: &str, expected: &[&str]) {
            assert_eq!(parse(text, Path::new("")).expect_err(text), expected, "{text}");
        }
        check(
            "\nlisten = 7600\nport = 7600\n",
            &[
                "2: listen is 7600; allowed: a text in quotes",
                &format!("3: port is no key of this file; allowed: {KEYS}"),
            ],
        );
        check("fsync = \"often\"", &["1: fsync is often; allowed: always, everysec or no"]);
        check(
            "max-memory = \"512\"",
            &["1: max-memory is 512; allowed: a size with a unit, such as 512mb or 2gb, or none"],
        );
        check(
            "engine = \"memory:\"\ndata = \"d\"",
            &["2: data is short for engine = \"log:DIR\"; allowed: one of the two"],
        );
        check("[queues]\nemails = 5", &["2: queues.emails is 5; allowed: a table of settings, such as attempts = 5"]);
        check(
            "[queues.emails]\nlease = 30\nattempts = 0",
            &[
                "2: queues.emails: lease is 30; allowed: a number with a unit: 30s, 500ms, 5m, 2h, 1d",
                "3: queues.emails: attempts is 0; allowed: an integer from 1 to 10000",
            ],
        );
        let faults = parse("[queues.emails]\natempts = 5", Path::new("")).expect_err("a slip");
        assert!(
            faults[0].starts_with("2: queues.emails: SETTING is atempts; allowed: attempts, backoff"),
            "{faults:?}"
        );
        let faults = parse("listen = \n", Path::new("")).expect_err("no TOML");
        assert!(faults[0].starts_with("1: "), "{faults:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_in_words() {
        let error = load(Path::new("/nowhere.toml")).expect_err("there is none");
        assert_eq!(error.message, "cannot read /nowhere.toml: no such file or directory");
    }
}
