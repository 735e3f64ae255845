//! The search box: qualifiers and text, read into a filter; and written again, so that each can be taken away by a link.
//!
//! `state:dead queue:"two words" text that the payload has`. A word before a colon that is no qualifier is text.

use std::fmt;

use maud::{Markup, html};
use queue_core::model::{DeadReason, DelayCause, Error, JobFilter, Moment};

use crate::query::Query;
use crate::view::state::{LOOKS, Look};
use crate::view::time;
use crate::visit::Visit;

/// What may stand before a colon.
const QUALIFIERS: [&str; 8] = ["state", "queue", "name", "tag", "error", "reason", "since", "until"];

/// What was searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// `None`: text of the payload.
    qualifier: Option<&'static str>,
    value: String,
}

impl Part {
    fn written(&self) -> String {
        match self.qualifier {
            Some(word) => qualifier(word, &self.value),
            // What would be read as something else is text only in quotes.
            None if Search::parse(&self.value).parts == [self.clone()] => self.value.clone(),
            None => quoted(&self.value),
        }
    }
}

/// `word:value` as it is typed.
pub(crate) fn qualifier(word: &str, value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\');
    if plain { format!("{word}:{value}") } else { format!("{word}:{}", quoted(value)) }
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Search {
    /// Reads what was typed. There is nothing that cannot be read.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let found =
                QUALIFIERS.into_iter().find_map(|word| Some((word, rest.strip_prefix(word)?.strip_prefix(':')?)));
            let (value, was_quoted, tail) = taken(found.map_or(rest, |(_, tail)| tail));
            match (found, parts.last_mut()) {
                (Some((word, _)), _) => parts.push(Part { qualifier: Some(word), value }),
                // Words beside each other are one text; what stands in quotes is one for itself.
                (None, Some(Part { qualifier: None, value: before })) if !was_quoted => {
                    before.push(' ');
                    before.push_str(&value);
                }
                (None, _) => parts.push(Part { qualifier: None, value }),
            }
            rest = tail.trim_start();
        }
        Self { parts }
    }

    /// The filter that it means at `now_ms`.
    ///
    /// # Errors
    ///
    /// `BADARG` for a state, a reason or a time that is none, and for what a filter holds only once.
    pub(crate) fn filter(&self, now_ms: u64) -> Result<JobFilter, Error> {
        let mut filter = JobFilter::default();
        for Part { qualifier, value } in &self.parts {
            let once = |field: &mut Option<String>, name: &str| only(field, value.clone(), name, value);
            let moment =
                |field: &mut Option<u64>, name: &str| only(field, Moment::parse(name, value)?.at(now_ms), name, value);
            match *qualifier {
                Some("state") => value.split(',').try_for_each(|word| add_state(&mut filter, word))?,
                Some("queue") => once(&mut filter.queue, "queue")?,
                Some("name") => once(&mut filter.name, "name")?,
                Some("tag") => once(&mut filter.tag, "tag")?,
                Some("error") => once(&mut filter.fingerprint, "error")?,
                Some("since") => moment(&mut filter.since_ms, "since")?,
                Some("until") => moment(&mut filter.until_ms, "until")?,
                Some(_) => filter.reason = Some(reason(value)?),
                None => once(&mut filter.contains, "text")?,
            }
        }
        if let (Some(since), Some(until)) = (filter.since_ms, filter.until_ms)
            && since >= until
        {
            return Err(Error::bad_arg("until", time::instant(until), "a time after since"));
        }
        filter.check()?;
        Ok(filter)
    }

    /// The same with what is so long ago at `now_ms` as the time that it means then, for what is to mean it later, too.
    pub(crate) fn fixed(&self, now_ms: u64) -> Self {
        let fixed = |part: &Part| match (part.qualifier, Moment::parse("", &part.value)) {
            (Some("since" | "until"), Ok(moment @ Moment::Ago(_))) => {
                Part { qualifier: part.qualifier, value: time::instant(moment.at(now_ms)) }
            }
            _ => part.clone(),
        };
        Self { parts: self.parts.iter().map(fixed).collect() }
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The same with one state alone, or with any.
    fn with_state(&self, state: Option<&str>) -> String {
        let others = self.parts.iter().filter(|part| part.qualifier != Some("state")).map(Part::written);
        state.map(|state| format!("state:{state}")).into_iter().chain(others).collect::<Vec<_>>().join(" ")
    }

    fn without(&self, index: usize) -> String {
        let others = self.parts.iter().enumerate().filter(|(at, _)| *at != index);
        others.map(|(_, part)| part.written()).collect::<Vec<_>>().join(" ")
    }

    /// The same in one state alone.
    pub(crate) fn only(&self, state: &str) -> Self {
        Self::parse(&self.with_state(Some(state)))
    }

    /// All but the states, as it is typed.
    pub(crate) fn others(&self) -> String {
        self.with_state(None)
    }

    /// A tab for each state.
    pub(crate) fn tabs(&self, visit: &Visit) -> Markup {
        let states: Vec<_> = self.parts.iter().filter(|part| part.qualifier == Some("state")).collect();
        let is = |word: &str| matches!(states.as_slice(), [one] if one.value == word);
        html! {
            nav.tabs aria-label="States" {
                a href=(link(visit, self.with_state(None))) aria-current=[states.is_empty().then_some("true")]
                    data-test-tab="all" { "all" }
                @for look in LOOKS.iter().filter(|look| look.word != "waiting-children") {
                    a href=(link(visit, self.with_state(Some(look.word)))) aria-current=[is(look.word).then_some("true")]
                        data-test-tab=(look.word) { (look.icon()) " " (look.word) }
                }
            }
        }
    }

    /// A chip for each part, which takes it away.
    pub(crate) fn chips(&self, visit: &Visit) -> Markup {
        html! {
            @if !self.is_empty() {
                p.chips {
                    @for (index, part) in self.parts.iter().enumerate() {
                        a.chip href=(link(visit, self.without(index))) title="take away" data-test-chip {
                            (part.written()) span aria-hidden="true" { " ×" }
                        } " "
                    }
                }
            }
        }
    }
}

fn link(visit: &Visit, q: String) -> String {
    visit.app.url_with(&visit.path, &Query::default().with("q", q))
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.iter().map(Part::written).collect::<Vec<_>>().join(" "))
    }
}

/// A filter as it is typed.
pub(crate) fn written(filter: &JobFilter) -> String {
    let states: Vec<_> = match filter.cause {
        Some(DelayCause::Retry) => vec!["retrying"],
        _ => filter.states.iter().map(|state| state.as_str()).collect(),
    };
    let states = (!states.is_empty()).then(|| states.join(","));
    let reason = filter.reason.map(|reason| reason.to_string());
    let (since, until) = (filter.since_ms.map(time::instant), filter.until_ms.map(time::instant));
    let parts = [
        ("state", states.as_ref()),
        ("queue", filter.queue.as_ref()),
        ("name", filter.name.as_ref()),
        ("tag", filter.tag.as_ref()),
        ("error", filter.fingerprint.as_ref()),
        ("reason", reason.as_ref()),
        ("since", since.as_ref()),
        ("until", until.as_ref()),
    ];
    let parts = parts.into_iter().filter_map(|(word, value)| value.map(|value| qualifier(word, value)));
    parts.chain(filter.contains.as_deref().map(quoted)).collect::<Vec<_>>().join(" ")
}

/// Puts what a filter holds once.
fn only<T>(field: &mut Option<T>, to: T, name: &str, typed: &str) -> Result<(), Error> {
    match field.replace(to) {
        None => Ok(()),
        Some(_) => Err(Error::bad_arg(name, typed, "once in a search")),
    }
}

fn add_state(filter: &mut JobFilter, word: &str) -> Result<(), Error> {
    let words: Vec<_> = LOOKS.iter().map(|look| look.word).collect();
    let look = Look::parse(word).ok_or_else(|| Error::bad_arg("state", word, &words.join(", ")))?;
    let (state, cause) = look.meaning();
    // A cause would also narrow the other states of the list.
    if (cause.is_some() && !filter.states.is_empty()) || filter.cause.is_some() {
        return Err(Error::bad_arg("state", word, "retrying by itself"));
    }
    filter.cause = cause;
    filter.states.push(state);
    Ok(())
}

fn reason(value: &str) -> Result<DeadReason, Error> {
    let words: Vec<_> = DeadReason::ALL.iter().map(|reason| reason.as_str()).collect();
    DeadReason::parse(value).ok_or_else(|| Error::bad_arg("reason", value, &words.join(", ")))
}

/// The word or the quoted text at the beginning, whether it was quoted, and what follows.
fn taken(text: &str) -> (String, bool, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (text[..end].to_owned(), false, &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, character) in inner.char_indices() {
        match character {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, true, &inner[at + 1..]),
            character => {
                value.push(character);
                escaped = false;
            }
        }
    }
    // A quote without its end goes to the end.
    (value, true, "")
}

/// What a search can say, for where it is typed and where it found nothing.
pub(crate) fn help() -> Markup {
    html! {
        p.dim {
            "Search by " @for word in QUALIFIERS { code { (word) ":" } " " }
            "and any text of the payload; " code { "name:\"two words\"" } ", " code { "state:dead,cancelled" } ", "
            code { "since:1h" } ", " code { "until:2026-12-01T10:00Z" } "."
        }
    }
}

#[cfg(test)]
mod tests {
    use queue_core::model::JobState;

    use super::*;

    /// 2026-12-01T10:00:00Z.
    const NOW_MS: u64 = 1_796_119_200_000;

    fn filter(text: &str) -> JobFilter {
        Search::parse(text).filter(NOW_MS).expect(text)
    }

    #[test]
    fn qualifiers_and_text_become_a_filter() {
        let all =
            filter(r#"state:dead,cancelled queue:emails name:"two words" tag:a error:"x: \"y\"" ann@example.org 42"#);
        assert_eq!(all.states, [JobState::Dead, JobState::Cancelled]);
        assert_eq!((all.queue.as_deref(), all.name.as_deref()), (Some("emails"), Some("two words")));
        assert_eq!((all.tag.as_deref(), all.fingerprint.as_deref()), (Some("a"), Some("x: \"y\"")));
        assert_eq!(all.contains.as_deref(), Some("ann@example.org 42"));
        assert_eq!(filter("reason:poison").reason, Some(DeadReason::Poison));
        assert_eq!(filter("state:retrying").cause, Some(DelayCause::Retry));
        assert_eq!(filter("https://example.org").contains.as_deref(), Some("https://example.org"));
        assert_eq!(filter("\"state:dead\"").contains.as_deref(), Some("state:dead"));
        assert_eq!(filter("  "), JobFilter::default());
        let hour = filter("since:1h until:2026-12-01T10:59:59Z");
        assert_eq!((hour.since_ms, hour.until_ms), (Some(NOW_MS - 3_600_000), Some(NOW_MS + 3_599_000)));
        assert_eq!(filter("since:2026-12-01").since_ms, Some(NOW_MS - 36_000_000));
    }

    #[test]
    fn what_a_filter_cannot_hold_is_refused_by_name() {
        for (text, message) in [
            ("state:ded", "state is ded; allowed: waiting, delayed"),
            ("reason:why", "reason is why; allowed: exhausted, "),
            ("queue:a queue:b", "queue is b; allowed: once in a search"),
            ("since:yesterday", "since is yesterday; allowed: how long ago, such as 1h"),
            ("since:1h since:2h", "since is 2h; allowed: once in a search"),
            ("since:1h until:2h", "until is 2026-12-01T08:00:00.000Z; allowed: a time after since"),
            ("state:dead state:retrying", "state is retrying; allowed: retrying by itself"),
        ] {
            let error = Search::parse(text).filter(NOW_MS).expect_err(text);
            assert!(error.message.starts_with(message), "{}", error.message);
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for text in ["state:dead a b", "queue:\"a b\" \"state:dead\"", "name:\"\\\"\\\\\"", "\"a  b\"", "x:y"] {
            let search = Search::parse(text);
            assert_eq!(Search::parse(&search.to_string()), search, "{text}");
        }
        for text in [
            "state:dead,cancelled queue:q reason:poison since:1h until:2026-12-02",
            "state:retrying name:\"a b\"",
            "tag:t error:e \"x y\"",
        ] {
            assert_eq!(filter(&written(&filter(text))), filter(text), "{text}");
        }
        let fixed = Search::parse("state:dead since:1h until:2026-12-02 \"since:1h\"").fixed(NOW_MS).to_string();
        assert_eq!(fixed, "state:dead since:2026-12-01T09:00:00.000Z until:2026-12-02 \"since:1h\"");
        assert_eq!(Search::parse("since:1h state:dead").only("active").to_string(), "state:active since:1h");
        assert_eq!(Search::parse("state:active a state:dead queue:q").only("dead").to_string(), "state:dead a queue:q");
    }
}
