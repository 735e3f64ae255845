//! CLIENT: the connection's name, number, library, and one line about it.

use queue_core::model::Limits;

use super::{Asked, Next};

/// What a connection cannot be called.
pub(super) const NO_NAME: &str =
    "Client names cannot contain spaces, newlines or special characters, nor more than 255 bytes.";

/// What a connection can be called: at most 255 bytes of printable ASCII without blanks. Empty takes the name away.
pub(super) fn name(given: &[u8]) -> Option<String> {
    let text = str::from_utf8(given).ok().filter(|text| text.len() <= Limits::NAME_BYTES)?;
    text.bytes().all(|byte| (b'!'..=b'~').contains(&byte)).then(|| text.to_owned())
}

fn set_name(asked: &mut Asked<'_, '_>) {
    match name(asked.frame.argument(2).unwrap_or_default()) {
        Some(name) => {
            asked.session.name = name;
            asked.writer.ok();
        }
        None => asked.error(NO_NAME),
    }
}

pub(super) fn run(asked: &mut Asked<'_, '_>) -> Next {
    let arguments = asked.frame.len();
    match (asked.word(1).as_str(), arguments) {
        ("ID", 2) => asked.writer.integer(asked.session.id.cast_signed()),
        ("GETNAME", 2) => match asked.session.name.as_str() {
            "" => asked.writer.null(),
            name => asked.writer.bulk(name.as_bytes()),
        },
        ("SETNAME", 3) => set_name(asked),
        ("SETINFO", 4) => set_info(asked),
        ("INFO", 2) => {
            let line = line(asked);
            asked.writer.bulk(line.as_bytes());
        }
        ("NO-EVICT" | "NO-TOUCH", 3) => match asked.word(2).as_str() {
            "ON" | "OFF" => asked.writer.ok(),
            _ => asked.error("syntax error"),
        },
        ("HELP", 2) => help(asked),
        ("ID" | "GETNAME" | "SETNAME" | "SETINFO" | "INFO" | "NO-EVICT" | "NO-TOUCH" | "HELP", _) => {
            let subcommand = asked.word(1).to_ascii_lowercase();
            asked.error(&format!("wrong number of arguments for 'client|{subcommand}' command"));
        }
        _ => asked.unknown_subcommand(),
    }
    Next::Go
}

fn set_info(asked: &mut Asked<'_, '_>) {
    let option = asked.word(2);
    let Some(value) = name(asked.frame.argument(3).unwrap_or_default()) else {
        let option = super::shown(&option).to_ascii_lowercase();
        asked.error(&format!("{option} cannot contain spaces, newlines or special characters."));
        return;
    };
    match option.as_str() {
        "LIB-NAME" => asked.session.library.0 = value,
        "LIB-VER" => asked.session.library.1 = value,
        _ => {
            let given = asked.text(2).into_owned();
            asked.error(&format!("Unrecognized option '{}'", super::shown(&given)));
            return;
        }
    }
    asked.writer.ok();
}

fn line(asked: &Asked<'_, '_>) -> String {
    let session = &asked.session;
    let (library, version) = (&session.library.0, &session.library.1);
    format!(
        "id={} addr={} name={} db=0 resp={} lib-name={library} lib-ver={version}\n",
        session.id,
        session.peer,
        session.name,
        asked.writer.version().number(),
    )
}

fn help(asked: &mut Asked<'_, '_>) {
    asked.lines(&[
        "CLIENT <subcommand> [<arg> …]. Subcommands are:",
        "GETNAME – the connection's name",
        "ID – the connection's number",
        "INFO – one line about the connection",
        "NO-EVICT (ON | OFF), NO-TOUCH (ON | OFF) – taken and without effect",
        "SETINFO (LIB-NAME | LIB-VER) value – what library the client uses",
        "SETNAME name – names the connection; it stands as actor in what it does",
    ]);
}
