//! `JOURNAL.BACKUP`: what concerns the store's files as a whole.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::Arguments;
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::Error;

pub(super) fn parse_backup(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let name = if arguments.left() == 0 { None } else { Some(arguments.text("name")?.to_owned()) };
    Ok(Call { request: Request::Backup { name }, context: None, form: Form::Backup })
}

pub(super) fn encode_backup(name: Option<&str>, out: &mut BytesMut) -> Form {
    let mut words = Words::new("JOURNAL.BACKUP");
    name.map(|name| words.text(name));
    words.write(out);
    Form::Backup
}
