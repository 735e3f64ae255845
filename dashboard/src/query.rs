//! Names and values of a query string or a posted form, in order; and segments of paths.
//!
//! Everything that a page shows stands in its query, so that a link to it shows the same.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What need not be encoded in a segment of a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Names and values in order; a name may stand there again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string or a form's body.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of a name, without blanks around it; `None` if there is none or it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.exact(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Every value of a name, in order.
    pub(crate) fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a name as it is.
    pub(crate) fn exact(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same with `name` at `value` alone.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The same without these names.
    #[must_use]
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(known, _)| !names.contains(&known.as_str()));
        self
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish())
    }
}

/// What stands before a name that is only dots, since browsers take such a segment for a way up, also where the dots are
/// encoded; and before one that begins with this mark itself.
const MARK: char = '~';

/// `name` as one segment of a path.
pub(crate) fn segment(name: &str) -> String {
    let encoded = utf8_percent_encode(name, PLAIN).to_string();
    let marked = matches!(name, "." | "..") || name.starts_with(MARK);
    if marked { format!("{MARK}{encoded}") } else { encoded }
}

/// The name behind a segment that was decoded.
pub(crate) fn name_of(segment: &str) -> &str {
    segment.strip_prefix(MARK).unwrap_or(segment)
}

#[cfg(test)]
mod tests {
    use super::{Query, name_of, segment};

    #[test]
    fn queries_are_read_and_written() {
        let query = Query::parse(b"q=state%3Adead+a%26b&after=&q=2");
        assert_eq!(
            (query.get("q"), query.get("after"), query.exact("after")),
            (Some("state:dead a&b"), None, Some(""))
        );
        assert_eq!(query.clone().without(&["q"]).to_string(), "after=");
        assert_eq!(query.with("q", "ä b").to_string(), "after=&q=%C3%A4+b");
    }

    #[test]
    fn segments_hold_any_name() {
        assert_eq!(segment("a/b c?ä"), "a%2Fb%20c%3F%C3%A4");
        for (name, written) in [(".", "~."), ("..", "~.."), ("~a", "~~a"), ("a~", "a~"), ("...", "...")] {
            assert_eq!((segment(name).as_str(), name_of(written)), (written, name));
        }
    }
}
