//! TOML to values, by hand, since every fault is to name its line, its field, its value and what is allowed.
//!
//! Reads on after a fault, so that one look at the messages mends the whole file; a value that is at fault takes its
//! default meanwhile. Looks at no file but the text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use queue_core::model::{Error, Limits, duration};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{CONCURRENCY, CONCURRENCY_MAX, Config, Fault, GRACE, Program, WEIGHT_MAX};
use crate::command::CommandHandler;

type Value<'i> = Spanned<DeValue<'i>>;
type Key<'i> = Spanned<Cow<'i, str>>;

/// What the worker itself says to every program.
const OWN_VARIABLES: [&str; 5] =
    ["LONGSHORE_JOB", "LONGSHORE_QUEUE", "LONGSHORE_NAME", "LONGSHORE_ATTEMPT", "LONGSHORE_LEASE_TOKEN"];

/// Reads the text; with faults, the config is only good for finding more of them.
pub(super) fn read(text: &str, dir: &Path) -> (Config, Vec<Program>, Vec<Fault>) {
    let mut reader = Reader { text, dir, programs: Vec::new(), faults: Vec::new() };
    let config = reader.file();
    (config, reader.programs, reader.faults)
}

struct Reader<'t> {
    text: &'t str,
    dir: &'t Path,
    programs: Vec<Program>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn file(&mut self) -> Config {
        let queues = Vec::new();
        let mut config =
            Config { engine: None, concurrency: CONCURRENCY, grace: GRACE, queues, handlers: BTreeMap::new() };
        let root = match DeTable::parse(self.text) {
            Ok(root) => root.into_inner(),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.fault(at, error.message().replace('\n', " "));
                return config;
            }
        };
        for (key, value) in in_order(&root) {
            match key.get_ref().as_ref() {
                "engine" => config.engine = self.engine(value),
                "concurrency" => config.concurrency = self.integer("concurrency", value, CONCURRENCY_MAX, CONCURRENCY),
                "grace" => config.grace = self.duration("grace", value).unwrap_or(GRACE),
                "queues" => config.queues = self.queues(value),
                "handlers" => config.handlers = self.handlers(value),
                other => self.unknown(key, other, "engine, concurrency, grace, [queues], [handlers.NAME]"),
            }
        }
        self.missing(&root);
        self.unserved(&config, &root);
        config
    }

    fn missing(&mut self, root: &DeTable<'_>) {
        if !root.contains_key("queues") {
            self.fault(0, "[queues] is missing; it names the queues to serve with their weights: default = 1".into());
        }
        if !root.contains_key("handlers") {
            self.fault(0, "[handlers.NAME] is missing; it gives the command that runs jobs of this name".into());
        }
    }

    /// A handler for a queue that is not served would never run, which is most likely a slip in its name.
    fn unserved(&mut self, config: &Config, root: &DeTable<'_>) {
        let Some(DeValue::Table(handlers)) = root.get("handlers").map(Spanned::get_ref) else { return };
        let queues: Vec<_> = config.queues.iter().map(|(queue, _)| queue.as_str()).collect();
        for (key, _) in in_order(handlers) {
            let name = key.get_ref();
            let served = |queue: &&str| name.strip_prefix(*queue).is_some_and(|rest| rest.starts_with('/'));
            if name.contains('/') && !queues.is_empty() && !queues.iter().any(served) {
                let (field, known) = (format!("handlers.{}", quoted(name)), queues.join(", "));
                let at = key.span().start;
                self.fault(at, format!("{field} is for a queue that [queues] does not name; it names: {known}"));
            }
        }
    }

    fn engine(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
            _ => self.refuse("engine", value.span(), "a URL such as \"longshore://127.0.0.1:7600\""),
        }
    }

    fn queues(&mut self, value: &Value<'_>) -> Vec<(String, u32)> {
        let allowed = "a table of weights: a line [queues], and after it default = 1";
        let Some(table) = self.table("queues", value, allowed) else { return Vec::new() };
        if table.is_empty() {
            self.fault(value.span().start, "[queues] names no queue; one with its weight: default = 1".into());
        }
        if table.len() > Limits::LEASE_QUEUES {
            let (count, most) = (table.len(), Limits::LEASE_QUEUES);
            self.fault(value.span().start, format!("[queues] names {count} queues; allowed: at most {most}"));
        }
        let mut queues = Vec::new();
        for (key, weight) in in_order(table) {
            let field = format!("queues.{}", quoted(key.get_ref()));
            self.name(&field, key);
            queues.push((key.get_ref().to_string(), self.integer(&field, weight, WEIGHT_MAX, 1)));
        }
        queues
    }

    fn handlers(&mut self, value: &Value<'_>) -> BTreeMap<String, Arc<CommandHandler>> {
        let mut handlers = BTreeMap::new();
        let Some(table) = self.table("handlers", value, "tables, such as [handlers.send]") else { return handlers };
        if table.is_empty() {
            let needs = "one with the command that runs its jobs: [handlers.NAME]";
            self.fault(value.span().start, format!("[handlers] names no handler; {needs}"));
        }
        for (key, value) in in_order(table) {
            let field = format!("handlers.{}", quoted(key.get_ref()));
            self.name(&field, key);
            if let Some(handler) = self.handler(&field, key, value) {
                handlers.insert(key.get_ref().to_string(), Arc::new(handler));
            }
        }
        handlers
    }

    fn handler(&mut self, field: &str, name: &Key<'_>, value: &Value<'_>) -> Option<CommandHandler> {
        let table = self.table(field, value, "a table with a command")?;
        let mut handler = CommandHandler::new(Vec::new(), self.dir.to_owned());
        for (key, value) in in_order(table) {
            let inner = format!("{field}.{}", quoted(key.get_ref()));
            match key.get_ref().as_ref() {
                "command" => {
                    handler.argv = self.command(&inner, value).unwrap_or_default();
                    let line = self.line(value.span().start);
                    self.programs.push(Program { line, field: inner, handler: name.get_ref().to_string() });
                }
                "timeout" => handler.timeout = self.timeout(&inner, value),
                "env" => handler.env = self.env(&inner, value),
                _ => self.unknown(key, &inner, "command, timeout, env"),
            }
        }
        if !table.contains_key("command") {
            let needs = "it needs one: command = [\"./program\", \"argument\"]";
            self.fault(name.span().start, format!("{field} has no command; {needs}"));
        }
        Some(handler)
    }

    fn command(&mut self, field: &str, value: &Value<'_>) -> Option<Vec<String>> {
        let allowed = "a list of the program and its arguments, such as [\"./send-mail\", \"--from\", \"ops\"]";
        let DeValue::Array(items) = value.get_ref() else {
            return self.refuse(field, value.span(), allowed);
        };
        let mut argv = Vec::new();
        for item in items {
            argv.push(self.plain_text(field, item, "a string without a NUL character")?);
        }
        if argv.first().is_none_or(String::is_empty) {
            return self.refuse(field, value.span(), allowed);
        }
        Some(argv)
    }

    fn timeout(&mut self, field: &str, value: &Value<'_>) -> Option<Duration> {
        if matches!(value.get_ref(), DeValue::String(text) if text == "none") {
            return None;
        }
        match self.duration(field, value) {
            Some(Duration::ZERO) => self.refuse(field, value.span(), "more than nothing, or \"none\""),
            timeout => timeout,
        }
    }

    fn env(&mut self, field: &str, value: &Value<'_>) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        let Some(table) = self.table(field, value, "a table, such as { SMTP_HOST = \"mail\" }") else { return env };
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            let inner = format!("{field}.{}", quoted(name));
            if name.is_empty() || name.contains(['=', '\0']) {
                let at = key.span().start;
                self.fault(at, format!("{inner} is no name of a variable; allowed: text without = and NUL"));
            } else if OWN_VARIABLES.contains(&name) {
                let at = key.span().start;
                self.fault(at, format!("{inner} is set by the worker for each job; allowed: any other name"));
            }
            if let Some(text) = self.plain_text(&inner, value, "a string without a NUL character, such as \"25\"") {
                env.insert(name.to_owned(), text);
            }
        }
        env
    }

    fn table<'v, 'i>(&mut self, field: &str, value: &'v Value<'i>, allowed: &str) -> Option<&'v DeTable<'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.refuse(field, value.span(), allowed),
        }
    }

    /// A string that can be an argument or a variable.
    fn plain_text(&mut self, field: &str, value: &Value<'_>, allowed: &str) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) if !text.contains('\0') => Some(text.to_string()),
            _ => self.refuse(field, value.span(), allowed),
        }
    }

    /// An integer from 1 to `max`.
    fn integer(&mut self, field: &str, value: &Value<'_>, max: u32, default: u32) -> u32 {
        let number = match value.get_ref() {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        number
            .filter(|number| (1..=max).contains(number))
            .or_else(|| self.refuse(field, value.span(), &format!("an integer from 1 to {max}")))
            .unwrap_or(default)
    }

    fn duration(&mut self, field: &str, value: &Value<'_>) -> Option<Duration> {
        let written = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            _ => &self.text[value.span()],
        };
        match duration::parse_ms(field, written) {
            Ok(ms) => Some(Duration::from_millis(ms)),
            Err(error) => {
                self.fault(value.span().start, error.message);
                None
            }
        }
    }

    fn name(&mut self, field: &str, key: &Key<'_>) {
        let name = key.get_ref();
        if name.is_empty() || name.len() > Limits::NAME_BYTES || name.chars().any(char::is_control) {
            let allowed = format!("a name of 1 to {} bytes without control characters", Limits::NAME_BYTES);
            let error = Error::bad_arg(field, format!("a name of {} bytes", name.len()), &allowed);
            self.fault(key.span().start, error.message);
        }
    }

    fn unknown(&mut self, key: &Key<'_>, field: &str, known: &str) {
        self.fault(key.span().start, format!("{field} is not known here; allowed: {known}"));
    }

    /// Notes that the value is not allowed, as the file has it; there is no value then.
    fn refuse<T>(&mut self, field: &str, span: Range<usize>, allowed: &str) -> Option<T> {
        let error = Error::bad_arg(field, &self.text[span.clone()], allowed);
        self.fault(span.start, error.message);
        None
    }

    fn fault(&mut self, at: usize, message: String) {
        self.faults.push(Fault { line: self.line(at), message });
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// A table's entries as the file has them, which is the order in which a reader expects them back.
fn in_order<'v, 'i>(table: &'v DeTable<'i>) -> Vec<(&'v Key<'i>, &'v Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// A key as the file has to write it.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { format!("\"{}\"", key.escape_default()) }
}
