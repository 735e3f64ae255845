//! A queue's settings as they are typed and shown: `attempts=5 lease=30s keep-completed=all`.
//!
//! One table names each setting, its field in the model, and how its value is written; `default` gives a setting back.
//! What `queue show` prints can be typed into `queue set`, and stand in the server's file.

pub mod backoff;
mod size;

pub use size::size;

use serde_json::{Map, Value, json};

use super::{Backoff, Effective, Error, Limits, SettingsPatch, duration};

/// How a value is written.
#[derive(Clone, Copy)]
enum Kind {
    /// An integer within a range.
    Integer(u64, u64),
    /// A number of jobs, or `all`.
    Count,
    /// A duration within a range.
    Time(u64, u64),
    /// A duration, or this word for no bound, which the model writes as 0.
    TimeOr(&'static str),
    /// A backoff.
    Backoff,
}

struct Setting {
    name: &'static str,
    field: &'static str,
    kind: Kind,
}

const fn setting(name: &'static str, field: &'static str, kind: Kind) -> Setting {
    Setting { name, field, kind }
}

const SETTINGS: [Setting; 12] = [
    setting("attempts", "attempts", Kind::Integer(1, Limits::ATTEMPTS)),
    setting("backoff", "backoff", Kind::Backoff),
    setting("timeout", "timeout_ms", Kind::TimeOr("none")),
    setting("expires-in", "expires_in_ms", Kind::TimeOr("never")),
    setting("lease", "lease_ms", Kind::Time(Limits::LEASE_MS_MIN, Limits::LEASE_MS)),
    setting("stalls", "stalls", Kind::Integer(0, Limits::ATTEMPTS)),
    setting("keep-completed", "keep_completed", Kind::Count),
    setting("keep-completed-for", "keep_completed_ms", Kind::TimeOr("forever")),
    setting("keep-cancelled", "keep_cancelled", Kind::Count),
    setting("keep-cancelled-for", "keep_cancelled_ms", Kind::TimeOr("forever")),
    setting("keep-dead-for", "keep_dead_ms", Kind::TimeOr("forever")),
    setting("remember-ids", "remember_ids_ms", Kind::Time(0, Limits::DURATION_MS)),
];

/// Reads `NAME=VALUE` words into a change of settings.
///
/// `keep-completed=all` also takes the bound by age away (and `keep-cancelled=all` likewise), since a queue that keeps
/// all keeps them for good; their `default` gives both back. A `-for` in the same command decides otherwise.
///
/// # Errors
///
/// `BADARG` naming the setting, its value and what is allowed.
pub fn parse(words: &[String]) -> Result<SettingsPatch, Error> {
    let mut fields = Map::new();
    let mut ages = Map::new();
    for word in words {
        let (name, text) = word.split_once('=').ok_or_else(|| Error::bad_arg("SETTING", word, "NAME=VALUE"))?;
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.name == name)
            .ok_or_else(|| Error::bad_arg("SETTING", name, &SETTINGS.map(|setting| setting.name).join(", ")))?;
        let value = if text == "default" { Value::Null } else { read(setting, text)? };
        if matches!(setting.kind, Kind::Count) && matches!(text, "all" | "default") {
            ages.insert(format!("{}_ms", setting.field), if text == "all" { json!(0) } else { Value::Null });
        }
        if fields.insert(setting.field.to_owned(), value).is_some() {
            return Err(Error::bad_arg("SETTING", word, "each setting once"));
        }
    }
    for (field, value) in ages {
        fields.entry(field).or_insert(value);
    }
    SettingsPatch::from_json(Value::Object(fields).to_string().as_bytes())
}

fn read(setting: &Setting, text: &str) -> Result<Value, Error> {
    let name = setting.name;
    Ok(match setting.kind {
        Kind::Integer(min, max) => json!(integer(name, text, min, max)?),
        Kind::Count if text == "all" => json!(u64::MAX),
        Kind::Count => {
            let count = integer(name, text, 0, u64::MAX);
            json!(count.map_err(|_| Error::bad_arg(name, text, "a number of jobs, or all"))?)
        }
        Kind::Time(min, max) => {
            let range = || format!("{} to {}", duration::show_ms(min), duration::show_ms(max));
            match duration::parse_ms(name, text)? {
                ms if (min..=max).contains(&ms) => json!(ms),
                _ => return Err(Error::bad_arg(name, text, &range())),
            }
        }
        Kind::TimeOr(none) if text == none => json!(0),
        Kind::TimeOr(none) => match duration::parse_ms(name, text) {
            Ok(ms) if ms > 0 => json!(ms),
            Ok(_) => return Err(Error::bad_arg(name, text, &format!("more than zero, or {none}"))),
            Err(error) => return Err(Error { message: format!("{}, or {none}", error.message), ..error }),
        },
        Kind::Backoff => json!(backoff::parse(name, text)?),
    })
}

fn integer(name: &str, text: &str, min: u64, max: u64) -> Result<u64, Error> {
    let value = text.parse().ok().filter(|value| (min..=max).contains(value));
    value.ok_or_else(|| Error::bad_arg(name, text, &format!("an integer from {min} to {max}")))
}

/// Shows a setting that holds: its name and its value, both as they are typed.
pub fn show(effective: &Effective) -> (String, String) {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.field == effective.setting) else {
        // A newer broker knows more settings than we do.
        return (effective.setting.clone(), effective.value.to_string());
    };
    let number = effective.value.as_u64();
    let text = match (setting.kind, number) {
        (Kind::Count, Some(u64::MAX)) => "all".to_owned(),
        (Kind::TimeOr(none), Some(0)) => none.to_owned(),
        (Kind::TimeOr(_) | Kind::Time(..), Some(ms)) => duration::exact_ms(ms),
        (Kind::Backoff, _) => match serde_json::from_value::<Backoff>(effective.value.clone()) {
            Ok(shown) => backoff::show(&shown),
            Err(_) => effective.value.to_string(),
        },
        _ => effective.value.to_string(),
    };
    (setting.name.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use crate::model::{Effective, QueueSettings, SettingSource};

    fn parse(words: &str) -> Result<crate::model::SettingsPatch, crate::model::Error> {
        super::parse(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn refused(words: &str, expected: &str) {
        let message = parse(words).expect_err(words).message;
        assert!(message.starts_with(expected), "{words}: {message}");
    }

    #[test]
    fn every_setting_of_the_model_can_be_typed_as_it_is_shown() {
        let defaults = serde_json::to_value(QueueSettings::defaults()).expect("plain data");
        let defaults = defaults.as_object().expect("an object");
        assert_eq!(defaults.len(), super::SETTINGS.len());
        for (field, value) in defaults {
            let effective = Effective { setting: field.clone(), value: value.clone(), source: SettingSource::Default };
            let (name, text) = super::show(&effective);
            let set = serde_json::to_value(parse(&format!("{name}={text}")).expect("shown").set).expect("plain data");
            assert_eq!(&set[field], value, "{name}={text}");
        }
        let odd = Effective { setting: "lease_ms".into(), value: 5_415_250.into(), source: SettingSource::Default };
        assert_eq!(super::show(&odd).1, "1h30m15s250ms");
    }

    #[test]
    fn keeping_all_takes_the_age_away_and_default_gives_both_back() {
        let all = parse("keep-completed=all").expect("a setting").set;
        assert_eq!((all.keep_completed, all.keep_completed_ms), (Some(u64::MAX), Some(0)));
        let bounded = parse("keep-completed=all keep-completed-for=7d").expect("settings").set;
        assert_eq!(bounded.keep_completed_ms, Some(7 * 86_400_000));
        assert_eq!(parse("keep-completed=default").expect("a setting").reset, ["keep_completed", "keep_completed_ms"]);
    }

    #[test]
    fn wrong_settings_are_refused_by_name_and_value() {
        refused("attempts", "SETTING is attempts; allowed: NAME=VALUE");
        refused("atempts=5", "SETTING is atempts; allowed: attempts, backoff, timeout");
        refused("attempts=0", "attempts is 0; allowed: an integer from 1 to 10000");
        refused("lease=10ms", "lease is 10ms; allowed: 100ms to 1d");
        refused("lease=30", "lease is 30; allowed: a number with a unit: 30s");
        refused("timeout=0s", "timeout is 0s; allowed: more than zero, or none");
        refused("keep-completed=some", "keep-completed is some; allowed: a number of jobs, or all");
        refused("backoff=5s", "backoff is 5s; allowed: fixed:DELAY or exponential:DELAY[:MAX]");
        refused("attempts=5 attempts=6", "SETTING is attempts=6; allowed: each setting once");
    }
}
