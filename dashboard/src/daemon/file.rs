//! The dashboard's file: the flags' names as keys. One fault refuses the whole file, by line. Paths in it
//! are relative to its folder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use queue_core::model::{Error, Word, fragment};
use serde::Deserialize;

use super::flags::Settings;
use crate::config;
use program::log::LogFormat;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[derive(Default)]
struct Written {
    engine: Option<String>,
    listen: Option<String>,
    base_path: Option<String>,
    host: Option<Vec<String>>,
    password_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    trusted_proxy: Option<Vec<IpAddr>>,
    redact: Option<Vec<String>>,
    log_format: Option<LogFormat>,
}

/// Reads the file.
///
/// # Errors
///
/// `BADARG` that names the line, the key and what is allowed.
pub(super) fn load(path: &Path) -> Result<Settings, Error> {
    let shown = path.display();
    let wrong = |message: String| Error::new(Word::BadArg, message);
    let text =
        std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read {shown}: {}", fragment(&error))))?;
    parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|fault| wrong(format!("{shown}:{fault}")))
}

fn parse(text: &str, base: &Path) -> Result<Settings, String> {
    let line = |at: usize| text[..at.min(text.len())].bytes().filter(|byte| *byte == b'\n').count() + 1;
    let written: Written = toml::from_str(text).map_err(|error| {
        format!("{}: {}", line(error.span().map_or(0, |span| span.start)), error.message().replace('\n', " "))
    })?;
    // The first line that begins with the key: a key stands only once, and there are no tables.
    let key = |name: &str| text.lines().position(|line| line.trim_start().starts_with(name)).map_or(1, |at| at + 1);
    let at = |name: &'static str| move |error: Error| format!("{}: {}", key(name), error.message);
    Ok(Settings {
        engine: written.engine.map(|url| url.parse()).transpose().map_err(at("engine"))?,
        listen: written.listen,
        base_path: written.base_path.map(|path| config::base_path(&path)).transpose().map_err(at("base-path"))?,
        hosts: written.host,
        password_file: written.password_file.map(|file| base.join(file)),
        token_file: written.token_file.map(|file| base.join(file)),
        trusted_proxies: written.trusted_proxy,
        redact: written.redact,
        log_format: written.log_format,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file() {
        let text = "engine = \"memory:\"\nlisten = \"127.0.0.1:1\"\nbase-path = \"/q/\"\nhost = [\"q.example\"]\n\
            password-file = \"passwords\"\ntoken-file = \"/run/tokens\"\ntrusted-proxy = [\"10.0.0.1\"]\nredact = [\"password\"]\nlog-format = \"json\"\n";
        let settings = parse(text, Path::new("/etc")).expect("a sound file");
        assert_eq!(settings.engine, Some(queue_core::EngineUrl::Memory));
        assert_eq!((settings.listen.as_deref(), settings.base_path.as_deref()), (Some("127.0.0.1:1"), Some("/q")));
        assert_eq!(settings.password_file, Some(PathBuf::from("/etc/passwords")));
        assert_eq!(settings.token_file, Some(PathBuf::from("/run/tokens")));
        assert_eq!(settings.trusted_proxies, Some(vec![IpAddr::from([10, 0, 0, 1])]));
        assert_eq!(settings.redact, Some(vec!["password".to_owned()]));
        assert_eq!(settings.hosts, Some(vec!["q.example".to_owned()]));
        assert_eq!(settings.log_format, Some(LogFormat::Json));
    }

    #[test]
    fn faults_have_their_line() {
        for (text, fault) in [
            ("\nlisten-on = \"x\"", "2: unknown field `listen-on`"),
            ("listen = 5", "1: invalid type"),
            ("# a\nengine = \"nowhere\"", "2: engine is nowhere; allowed: "),
            ("base-path = \"q\"", "1: base-path is q; allowed: "),
            ("listen = ", "1: "),
        ] {
            let found = parse(text, Path::new("")).expect_err(text);
            assert!(found.starts_with(fault), "{found}");
        }
    }
}
