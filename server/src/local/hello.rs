//! How a connection begins and ends: HELLO, AUTH, PING, ECHO, SELECT, RESET, QUIT.

use queue_core::resp::Version;

use super::client::{is_name, set_name};
use super::{Asked, Next};

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
    asked.session.name.clear();
    asked.session.authenticated = asked.shared.password.is_none();
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
    } else if authenticate(asked, user, password) {
        asked.writer.ok();
    }
    Next::Go
}

/// Lets the client in, or answers that it is not let in.
fn authenticate(asked: &mut Asked<'_, '_>, user: &[u8], password: &[u8]) -> bool {
    let right = asked.shared.password.as_ref().is_none_or(|known| known.matches(password));
    let admitted = right & (user == b"default");
    if admitted {
        asked.session.authenticated = true;
    } else {
        tracing::warn!(client = asked.session.id, peer = %asked.session.peer, "wrong password");
        asked.writer.error("WRONGPASS", WRONG);
    }
    admitted
}

pub(super) fn hello(asked: &mut Asked<'_, '_>) -> Next {
    let frame = asked.frame;
    let version = match frame.argument(1) {
        None => asked.writer.version(),
        Some(number) => match str::from_utf8(number).ok().and_then(|number| number.parse().ok()) {
            None => {
                asked.error("Protocol version is not an integer or out of range");
                return Next::Go;
            }
            Some(number) => match Version::from_number(number) {
                Some(version) => version,
                None => {
                    asked.writer.error("NOPROTO", "unsupported protocol version");
                    return Next::Go;
                }
            },
        },
    };
    let mut name = None;
    let mut at = 2;
    while let Some(word) = frame.argument(at) {
        match (frame.argument(at + 1), frame.argument(at + 2)) {
            (Some(user), Some(password)) if word.eq_ignore_ascii_case(b"AUTH") => {
                if !authenticate(asked, user, password) {
                    return Next::Go;
                }
                at += 3;
            }
            (Some(given), _) if word.eq_ignore_ascii_case(b"SETNAME") => {
                name = Some(given);
                at += 2;
            }
            _ => {
                let option = super::shown(&String::from_utf8_lossy(word)).to_owned();
                asked.error(&format!("Syntax error in HELLO option '{option}'"));
                return Next::Go;
            }
        }
    }
    if !asked.session.authenticated {
        asked.writer.error(
            "NOAUTH",
            "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        );
        return Next::Go;
    }
    if name.is_some_and(|name| !is_name(name)) {
        set_name(asked, name.unwrap_or_default());
        return Next::Go;
    }
    if let Some(name) = name {
        asked.session.name = String::from_utf8_lossy(name).into_owned();
    }
    asked.writer.set_version(version);
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
