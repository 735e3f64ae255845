//! Queue settings, the server's file of them, pause and resume.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::{By, Event, Machine, Sink};
use super::check_name;
use crate::model::{Effective, Error, Limits, Now, QueueSettings, Reply, SettingSource, SettingsPatch};

/// Whom a value of the server's file is set by, whoever applied it.
pub(in super::super) const CONFIG: &str = "config";

pub(super) fn fields(settings: &QueueSettings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields,
        _ => unreachable!("settings are an object of plain data"),
    }
}

fn json(fields: &Map<String, Value>) -> String {
    serde_json::to_string(fields).expect("a map of plain data is JSON")
}

impl Machine {
    pub(super) fn set_queue(
        &mut self,
        now: Now,
        by: By<'_>,
        name: &str,
        patch: &SettingsPatch,
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        check_name("queue", name)?;
        patch.set.check()?;
        let known = fields(&self.defaults);
        if let Some(unknown) = patch.reset.iter().find(|field| !known.contains_key(*field)) {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(Error::bad_arg("setting", unknown, &names.join(", ")));
        }
        let set = fields(&patch.set);
        let queue = self.ensure_queue(now, name, sink);
        let reset: Vec<&str> = patch.reset.iter().map(String::as_str).collect();
        if !set.is_empty() || !reset.is_empty() {
            self.emit(now, sink, &Event::QueueSet { queue, set: &json(&set), reset, config: None, by });
        }
        Ok(Reply::Done)
    }

    /// Applies the file's values where they changed since it was last applied, so that what somebody set by hand in
    /// between stays. A queue that the file names no more loses what the file had set.
    pub(super) fn apply_config(
        &mut self,
        now: Now,
        by: By<'_>,
        queues: &[(String, QueueSettings)],
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        if queues.len() > Limits::CONFIG_QUEUES {
            return Err(Error::bad_arg("queues", format_args!("a list of {}", queues.len()), "at most 1000 queues"));
        }
        let mut named = BTreeSet::new();
        for (name, settings) in queues {
            check_name("queue", name)?;
            settings.check().map_err(|error| Error::new(error.word, format!("queues.{name}: {}", error.message)))?;
            if !named.insert(name.as_str()) {
                return Err(Error::bad_arg("queues", name, "each queue once"));
            }
        }
        let gone = self.queues.iter().filter(|queue| queue.config != QueueSettings::default());
        let gone = gone.filter(|queue| !named.contains(&*queue.name));
        let gone: Vec<_> = gone.map(|queue| (queue.name.to_string(), QueueSettings::default())).collect();
        for (name, settings) in queues.iter().chain(&gone) {
            let queue = self.ensure_queue(now, name, sink);
            let entry = &self.queues[queue as usize];
            let (old, new) = (fields(&entry.config), fields(settings));
            if old == new {
                continue;
            }
            let set: Map<_, _> =
                new.iter().filter(|&(field, value)| old.get(field) != Some(value)).map(clone_pair).collect();
            let ours = |field: &&String| entry.set_by.get(*field).is_some_and(|actor| actor == CONFIG);
            let reset: Vec<String> =
                old.keys().filter(|field| !new.contains_key(*field)).filter(ours).cloned().collect();
            let reset = reset.iter().map(String::as_str).collect();
            let event = Event::QueueSet { queue, set: &json(&set), reset, config: Some(&json(&new)), by };
            self.emit(now, sink, &event);
        }
        Ok(Reply::Done)
    }

    pub(super) fn pause(&mut self, now: Now, by: By<'_>, name: &str, sink: &mut impl Sink) -> Result<Reply, Error> {
        let queue = self.queue_id(name).ok_or_else(|| Error::no_queue(name))?;
        if self.queues[queue as usize].paused.is_none() {
            self.emit(now, sink, &Event::QueuePaused { queue, by });
        }
        Ok(Reply::Done)
    }

    pub(super) fn resume(&mut self, now: Now, by: By<'_>, name: &str, sink: &mut impl Sink) -> Result<Reply, Error> {
        let queue = self.queue_id(name).ok_or_else(|| Error::no_queue(name))?;
        if self.queues[queue as usize].paused.is_some() {
            self.emit(now, sink, &Event::QueueResumed { queue, by });
        }
        Ok(Reply::Done)
    }

    /// Every setting of a queue as it holds, with its source. `defaults` are the server's, made once for many queues.
    pub(super) fn effective_settings(&self, queue: u32, defaults: &Map<String, Value>) -> Vec<Effective> {
        let queue = &self.queues[queue as usize];
        let set = fields(&queue.settings);
        defaults
            .iter()
            .map(|(setting, value)| match (setting.clone(), set.get(setting)) {
                (setting, None) => Effective { setting, value: value.clone(), source: SettingSource::Default },
                (setting, Some(value)) => {
                    let actor = queue.set_by.get(&setting).map_or("", String::as_str);
                    let source = match actor {
                        CONFIG => SettingSource::Config,
                        actor => SettingSource::Queue(actor.to_owned()),
                    };
                    Effective { setting, value: value.clone(), source }
                }
            })
            .collect()
    }
}

fn clone_pair((field, value): (&String, &Value)) -> (String, Value) {
    (field.clone(), value.clone())
}
