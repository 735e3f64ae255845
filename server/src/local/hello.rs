//! How a connection begins and ends: HELLO, AUTH, PING, ECHO, SELECT, RESET, QUIT.

use queue_core::resp::{Request as Frame, Version};

use super::client;
use super::{Asked, Next};

/// Wrong passwords after which a connection is closed.
const GUESSES: u32 = 3;
const WRONG: &str = "invalid username-password pair or user is disabled.";

pub(super) fn ping(asked: &mut Asked<'_, '_>) -> Next {
    match asked.frame.argument(1) {
        None => asked.writer.simple("PONG"),
        Some(_) if asked.frame.len() > 2 => asked.error("wrong number of arguments for 'ping' command"),
        Some(text) => asked.writer.bulk(text),
    }
    Next::Go
}

pub(super) fn echo(asked: &mut Asked<'_, '_>) -> Next {
    asked.writer.bulk(asked.frame.argument(1).unwrap_or_default());
    Next::Go
}

pub(super) fn quit(asked: &mut Asked<'_, '_>) -> Next {
    asked.writer.ok();
    Next::Close
}

pub(super) fn select(asked: &mut Asked<'_, '_>) -> Next {
    match asked.text(1).parse::<i64>() {
        Ok(0) => asked.writer.ok(),
        Ok(_) => asked.error("DB index is out of range"),
        Err(_) => asked.error("value is not an integer or out of range"),
    }
    Next::Go
}

pub(super) fn reset(asked: &mut Asked<'_, '_>) -> Next {
    asked.session.forget(asked.shared);
    asked.writer.set_version(Version::Resp2);
    asked.writer.simple("RESET");
    Next::Go
}

pub(super) fn auth(asked: &mut Asked<'_, '_>) -> Next {
    let frame = asked.frame;
    let (user, password) = match (frame.argument(1), frame.argument(2)) {
        (Some(password), None) => (&b"default"[..], password),
        (Some(user), Some(password)) if frame.len() == 3 => (user, password),
        _ => {
            asked.error("syntax error");
            return Next::Go;
        }
    };
    if asked.shared.password.is_none() && frame.len() == 2 {
        asked.error(
            "AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        );
        return Next::Go;
    }
    if let Err(next) = authenticate(asked, user, password) {
        return next;
    }
    asked.writer.ok();
    Next::Go
}

/// Lets the client in, or answers that it is not let in, and says what follows.
fn authenticate(asked: &mut Asked<'_, '_>, user: &[u8], password: &[u8]) -> Result<(), Next> {
    let right = asked.shared.password.as_ref().is_none_or(|known| known.matches(password));
    if right & (user == b"default") {
        asked.session.stranger_until = None;
        return Ok(());
    }
    asked.writer.error("WRONGPASS", WRONG);
    asked.session.wrong_passwords += 1;
    // Who guesses has to connect anew each few times, which costs time, and one of the places.
    Err(if asked.session.wrong_passwords < GUESSES { Next::Go } else { Next::Close })
}

/// What HELLO was given, read whole before any of it takes effect.
struct Hello<'a> {
    version: Version,
    /// User and password.
    auth: Option<(&'a [u8], &'a [u8])>,
    name: Option<String>,
}

impl<'a> Hello<'a> {
    /// Reads it, or returns the word and the text of what is wrong.
    fn read(frame: Frame<'a>, current: Version) -> Result<Self, (&'static str, String)> {
        let wrong = |text: &str| ("ERR", text.to_owned());
        let version = match frame.argument(1).map(|number| str::from_utf8(number).ok()?.parse().ok()) {
            None => current,
            Some(None) => return Err(wrong("Protocol version is not an integer or out of range")),
            Some(Some(number)) => {
                Version::from_number(number).ok_or_else(|| ("NOPROTO", "unsupported protocol version".to_owned()))?
            }
        };
        let (mut hello, mut at) = (Self { version, auth: None, name: None }, 2);
        while let Some(word) = frame.argument(at) {
            match (frame.argument(at + 1), frame.argument(at + 2)) {
                (Some(user), Some(password)) if word.eq_ignore_ascii_case(b"AUTH") => {
                    hello.auth = Some((user, password));
                    at += 3;
                }
                (Some(given), _) if word.eq_ignore_ascii_case(b"SETNAME") => {
                    hello.name = Some(client::name(given).ok_or_else(|| wrong(client::NO_NAME))?);
                    at += 2;
                }
                _ => {
                    let option = String::from_utf8_lossy(word);
                    return Err(("ERR", format!("Syntax error in HELLO option '{}'", super::shown(&option))));
                }
            }
        }
        Ok(hello)
    }
}

pub(super) fn hello(asked: &mut Asked<'_, '_>) -> Next {
    let hello = match Hello::read(asked.frame, asked.writer.version()) {
        Ok(hello) => hello,
        Err((word, text)) => {
            asked.writer.error(word, &text);
            return Next::Go;
        }
    };
    if let Some((user, password)) = hello.auth
        && let Err(next) = authenticate(asked, user, password)
    {
        return next;
    }
    if !asked.session.is_known() {
        asked.writer.error(
            "NOAUTH",
            "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        );
        return Next::Go;
    }
    if let Some(name) = hello.name {
        asked.session.name = name;
    }
    asked.writer.set_version(hello.version);
    greet(asked);
    Next::Go
}

fn greet(asked: &mut Asked<'_, '_>) {
    let version = asked.writer.version();
    let writer = &mut asked.writer;
    writer.map(7);
    for (field, text) in [("server", "longshore"), ("version", env!("CARGO_PKG_VERSION"))] {
        writer.bulk(field.as_bytes());
        writer.bulk(text.as_bytes());
    }
    writer.bulk(b"proto");
    writer.integer(version.number());
    writer.bulk(b"id");
    writer.integer(asked.session.id.cast_signed());
    for (field, text) in [("mode", "standalone"), ("role", "master")] {
        writer.bulk(field.as_bytes());
        writer.bulk(text.as_bytes());
    }
    writer.bulk(b"modules");
    writer.array(0);
}
