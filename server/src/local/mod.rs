//! The commands that concern the connection and the server, as Redis has them: HELLO, AUTH, PING, CLIENT, COMMAND, INFO …
//!
//! Names, replies and error texts are those of Redis, since its clients go by them.

mod client;
mod command;
mod hello;
mod info;

use queue_core::resp::{ReplyWriter, Request as Frame};

use crate::connection::{End, Outlet, Session};
use crate::shared::Shared;

/// What a command works on.
pub(super) struct Asked<'a, 'w> {
    pub(super) frame: Frame<'a>,
    pub(super) session: &'a mut Session,
    pub(super) shared: &'a Shared,
    pub(super) writer: ReplyWriter<'w>,
}

impl Asked<'_, '_> {
    fn error(&mut self, text: &str) {
        self.writer.error("ERR", text);
    }

    /// An argument as text, for what is only compared or shown.
    fn text(&self, index: usize) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.frame.argument(index).unwrap_or_default())
    }

    /// A subcommand's name, or another word, in capitals.
    fn word(&self, index: usize) -> String {
        self.text(index).to_ascii_uppercase()
    }

    /// A help text.
    fn lines(&mut self, lines: &[&str]) {
        self.writer.array(lines.len());
        lines.iter().for_each(|line| self.writer.bulk(line.as_bytes()));
    }

    fn unknown_subcommand(&mut self) {
        let (command, given) = (self.word(0), self.text(1).into_owned());
        self.error(&format!("unknown subcommand '{}'. Try {command} HELP.", shown(&given)));
    }
}

/// What is to be done after a command.
pub(super) enum Next {
    /// Go on.
    Go,
    /// Reply and close.
    Close,
    /// Write the report of INFO, which needs the engine's figures.
    Info,
}

/// One command about the connection.
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// Arguments, the name included; negative: at least so many.
    pub(super) arity: i64,
    pub(super) summary: &'static str,
    /// Whether a client that has not authenticated may use it.
    stranger: bool,
    run: fn(&mut Asked<'_, '_>) -> Next,
}

/// Whether a client that has not authenticated may use a command; another word than these two does not compile.
macro_rules! strangers_too {
    (anyone) => {
        true
    };
    (known) => {
        false
    };
}

macro_rules! specs {
    ($($who:ident $arity:literal $name:literal $summary:literal $run:path;)+) => {
        pub(super) const SPECS: &[Spec] = &[$(Spec {
            name: $name,
            arity: $arity,
            summary: $summary,
            stranger: strangers_too!($who),
            run: $run,
        }),+];
    };
}

specs! {
    known -1 "PING" "Answers PONG, or what it is given." hello::ping;
    known 2 "ECHO" "Answers what it is given." hello::echo;
    anyone -1 "HELLO" "Chooses the protocol's version, and perhaps authenticates." hello::hello;
    anyone -2 "AUTH" "Authenticates." hello::auth;
    anyone -1 "QUIT" "Closes the connection." hello::quit;
    anyone 1 "RESET" "Makes the connection as good as new." hello::reset;
    known 2 "SELECT" "Chooses database 0, the only one." hello::select;
    known -2 "CLIENT" "Names and shows the connection." client::run;
    known -1 "COMMAND" "Lists the commands." command::run;
    known -1 "INFO" "Reports on the server." info::ask;
}

fn find(name: &[u8]) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether a client that has not authenticated may use the command.
pub(crate) fn allowed_to_strangers(name: &[u8]) -> bool {
    find(name).is_some_and(|spec| spec.stranger)
}

/// Carries out a command that is none of Longshore's own.
pub(crate) async fn run(frame: Frame<'_>, session: &mut Session, outlet: &mut Outlet) -> Result<(), End> {
    let shared = std::rc::Rc::clone(&outlet.shared);
    let mut asked = Asked { frame, session, shared: &shared, writer: outlet.writer() };
    let Some(spec) = find(frame.name()) else {
        let text = unknown(frame);
        asked.error(&text);
        return Ok(());
    };
    let arguments = i64::try_from(frame.len()).unwrap_or(i64::MAX);
    if arguments < spec.arity.abs() || (spec.arity > 0 && arguments > spec.arity) {
        asked.error(&format!("wrong number of arguments for '{}' command", spec.name.to_ascii_lowercase()));
        return Ok(());
    }
    let next = (spec.run)(&mut asked);
    outlet.version = asked.writer.version();
    match next {
        Next::Go => Ok(()),
        Next::Close => {
            outlet.send().await?;
            Err(End::Closed)
        }
        Next::Info => {
            let report = info::report(&shared, frame).await;
            outlet.writer().bulk(report.as_bytes());
            Ok(())
        }
    }
}

fn unknown(frame: Frame<'_>) -> String {
    let name = String::from_utf8_lossy(frame.name());
    let mut text = format!("unknown command '{}', with args beginning with: ", shown(&name));
    for argument in frame.arguments().skip(1) {
        if text.len() > 128 {
            break;
        }
        text.push_str(&format!("'{}' ", shown(&String::from_utf8_lossy(&argument[..argument.len().min(128)]))));
    }
    text
}

/// The beginning of what a client sent, for an error's text.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(128)]
}
