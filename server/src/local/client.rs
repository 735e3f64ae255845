//! CLIENT: the connection's name, number, library, and one line about it.

use super::{Asked, Next};

/// Whether bytes can name a connection: printable ASCII without blanks, as in Redis. Empty takes the name away.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// Names the connection, or answers why it cannot be called so.
pub(super) fn set_name(asked: &mut Asked<'_, '_>, name: &[u8]) {
    if !is_name(name) || name.len() > queue_core::model::Limits::NAME_BYTES {
        asked.error("Client names cannot contain spaces, newlines or special characters.");
        return;
    }
    asked.session.name = String::from_utf8_lossy(name).into_owned();
    asked.writer.ok();
}

pub(super) fn run(asked: &mut Asked<'_, '_>) -> Next {
    let arguments = asked.frame.len();
    match (asked.word(1).as_str(), arguments) {
        ("ID", 2) => asked.writer.integer(asked.session.id.cast_signed()),
        ("GETNAME", 2) => match asked.session.name.as_str() {
            "" => asked.writer.null(),
            name => asked.writer.bulk(name.as_bytes()),
        },
        ("SETNAME", 3) => {
            let name = asked.frame.argument(2).unwrap_or_default();
            set_name(asked, name);
        }
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
    let (option, value) = (asked.word(2), asked.frame.argument(3).unwrap_or_default());
    if !is_name(value) || value.len() > queue_core::model::Limits::NAME_BYTES {
        let option = option.to_ascii_lowercase();
        asked.error(&format!("{option} cannot contain spaces, newlines or special characters."));
        return;
    }
    let value = String::from_utf8_lossy(value).into_owned();
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
    let lines = [
        "CLIENT <subcommand> [<arg> …]. Subcommands are:",
        "GETNAME – the connection's name",
        "ID – the connection's number",
        "INFO – one line about the connection",
        "SETINFO (LIB-NAME | LIB-VER) value – what library the client uses",
        "SETNAME name – names the connection; it stands as actor in what it does",
    ];
    asked.writer.array(lines.len());
    lines.iter().for_each(|line| asked.writer.bulk(line.as_bytes()));
}
