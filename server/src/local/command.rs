//! COMMAND: what can be asked of this server, for clients and for redis-cli's hints.

use queue_core::resp::ReplyWriter;
use queue_core::wire::{COMMANDS, Kind};

use super::{Asked, Next, SPECS};

/// A command as COMMAND tells of it.
struct Told {
    name: &'static str,
    arity: i64,
    flags: &'static [&'static str],
    summary: &'static str,
    group: &'static str,
}

fn all() -> impl Iterator<Item = Told> {
    let own = COMMANDS.iter().map(|spec| Told {
        name: spec.name,
        arity: -i64::try_from(spec.arguments_min).unwrap_or(i64::MAX),
        flags: match spec.kind {
            Kind::Read => &["readonly"],
            Kind::Write => &["write", "denyoom"],
            Kind::Administrative => &["write", "admin"],
        },
        summary: spec.summary,
        group: "longshore",
    });
    let connection = SPECS.iter().map(|spec| Told {
        name: spec.name,
        arity: spec.arity,
        flags: &["fast", "loading", "stale"],
        summary: spec.summary,
        group: "connection",
    });
    own.chain(connection)
}

fn find(name: &[u8]) -> Option<Told> {
    all().find(|told| told.name.as_bytes().eq_ignore_ascii_case(name))
}

pub(super) fn run(asked: &mut Asked<'_, '_>) -> Next {
    let frame = asked.frame;
    if frame.len() == 1 {
        asked.writer.array(all().count());
        all().for_each(|told| entry(&mut asked.writer, &told));
        return Next::Go;
    }
    match asked.word(1).as_str() {
        "COUNT" => asked.writer.integer(i64::try_from(all().count()).unwrap_or(i64::MAX)),
        "LIST" => {
            asked.writer.array(all().count());
            all().for_each(|told| asked.writer.bulk(told.name.to_ascii_lowercase().as_bytes()));
        }
        "INFO" => {
            let names: Vec<_> = frame.arguments().skip(2).collect();
            asked.writer.array(names.len());
            for name in names {
                match find(name) {
                    Some(told) => entry(&mut asked.writer, &told),
                    None => asked.writer.null_array(),
                }
            }
        }
        "DOCS" => {
            let wanted: Vec<_> = frame.arguments().skip(2).collect();
            let told: Vec<_> = match wanted.as_slice() {
                [] => all().collect(),
                names => names.iter().filter_map(|name| find(name)).collect(),
            };
            asked.writer.map(told.len());
            told.iter().for_each(|told| docs(&mut asked.writer, told));
        }
        "HELP" => asked.lines(&[
            "COMMAND [<subcommand> [<arg> …]]. Without one: every command. Subcommands are:",
            "COUNT – how many commands there are",
            "DOCS [name …] – what commands do, of all or of these",
            "INFO [name …] – commands as COMMAND shows them, of these",
            "LIST – the commands' names",
        ]),
        _ => asked.unknown_subcommand(),
    }
    Next::Go
}

/// Name, arity, flags; then where its keys are (it has none), and four lists that are empty here.
fn entry(writer: &mut ReplyWriter<'_>, told: &Told) {
    writer.array(10);
    writer.bulk(told.name.to_ascii_lowercase().as_bytes());
    writer.integer(told.arity);
    writer.set(told.flags.len());
    told.flags.iter().for_each(|flag| writer.simple(flag));
    (0..3).for_each(|_| writer.integer(0));
    writer.set(0);
    writer.array(0);
    writer.array(0);
    writer.array(0);
}

fn docs(writer: &mut ReplyWriter<'_>, told: &Told) {
    writer.bulk(told.name.to_ascii_lowercase().as_bytes());
    writer.map(3);
    for (field, text) in [("summary", told.summary), ("since", "0.1.0"), ("group", told.group)] {
        writer.bulk(field.as_bytes());
        writer.bulk(text.as_bytes());
    }
}
