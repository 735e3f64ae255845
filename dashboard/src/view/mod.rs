//! Parts of pages, from plain values, without I/O: everything is escaped, since maud escapes what is not markup itself.

pub(crate) mod bytes;
pub(crate) mod chart;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod form;
pub(crate) mod jobs;
pub(crate) mod layout;
pub(crate) mod queues;
pub(crate) mod spark;
pub(crate) mod state;
pub(crate) mod time;
pub(crate) mod totals;

use maud::{Markup, html};

/// A number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 job`, `2 jobs`.
pub(crate) fn many(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Where a list is empty: that it is, and what to do next.
pub(crate) fn empty(title: &str, next: &Markup) -> Markup {
    html! { div.empty data-test-empty { p.strong { (title) } (next) } }
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(super::count(number), text);
        }
        assert_eq!((super::many(1, "job"), super::many(2_000, "job")), ("1 job".to_owned(), "2,000 jobs".to_owned()));
    }
}
