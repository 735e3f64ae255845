//! What differs between two texts, to look at before one takes the other's place.
//!
//! By words, signs and blanks, so that one value in a long line of JSON stands out. Exact: what is shown as the same,
//! taken out or put in are the texts' own bytes, in order. Bounded in time, which can only make a difference longer than
//! it need be, and in what is shown, which then says how much more there is.

use std::time::Duration;

use maud::{Markup, html};
use similar::{DiffTag, TextDiff};

use super::{bytes, count, many};

/// How long the shortest difference is looked for.
const PATIENCE: Duration = Duration::from_millis(200);
/// What is shown around a change of what stays, bytes.
const AROUND: usize = 160;
/// What is shown of one piece that changes, bytes.
const PIECE: usize = 8 << 10;
/// What is shown of all of them.
const SHOWN: usize = bytes::SHOWN;

/// The difference from `old` to `new`. It may take [`PATIENCE`] of a processor's time.
pub(crate) fn between(old: &str, new: &str) -> Markup {
    let (before, after) = (tokens(old), tokens(new));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&before, &after);
    let (from, to) = (ends(&before), ends(&after));
    let pieces = diff.ops().iter().map(|op| {
        let (tag, was, is) = op.as_tag_tuple();
        (tag, &old[from[was.start]..from[was.end]], &new[to[is.start]..to[is.end]])
    });
    let pieces: Vec<_> = pieces.collect();
    let mut room = SHOWN;
    let mut shown = 0;
    let parts: Vec<_> = pieces
        .iter()
        .enumerate()
        .map_while(|(at, &(tag, was, is))| {
            (room > 0).then(|| {
                shown = at + 1;
                match tag {
                    DiffTag::Equal => same(was, at == 0, at + 1 == pieces.len()),
                    _ => html! {
                        @if !was.is_empty() { del { (some(was, &mut room)) } }
                        @if !is.is_empty() { ins { (some(is, &mut room)) } }
                    },
                }
            })
        })
        .collect();
    let left = pieces[shown..].iter().filter(|(tag, ..)| *tag != DiffTag::Equal).count() as u64;
    html! {
        p { (sizes(&pieces)) }
        pre.bytes.diff tabindex="0" data-test-diff { @for part in parts { (part) } }
        @if left > 0 { p.warn { (many(left, "more change")) " not shown" } }
    }
}

/// How much goes and comes.
fn sizes(pieces: &[(DiffTag, &str, &str)]) -> String {
    let changed = pieces.iter().filter(|(tag, ..)| *tag != DiffTag::Equal);
    let (places, out, new) = changed.fold((0, 0, 0), |(places, out, new), (_, was, is)| {
        (places + 1, out + was.len() as u64, new + is.len() as u64)
    });
    format!("{}: {} taken out, {} put in.", many(places, "change"), many(out, "byte"), many(new, "byte"))
}

/// What stays: its ends next to changes.
fn same(text: &str, first: bool, last: bool) -> Markup {
    let head = if first { "" } else { &text[..text.floor_char_boundary(AROUND)] };
    let tail = if last { "" } else { &text[text.ceil_char_boundary(text.len().saturating_sub(AROUND))..] };
    let hidden = text.len().saturating_sub(head.len() + tail.len());
    html! {
        @if hidden <= AROUND { (bytes::marked(text)) }
        @else { (bytes::marked(head)) span.dim { " … " (count(hidden as u64)) " bytes stay … " } (bytes::marked(tail)) }
    }
}

/// What changes: its beginning, as far as there is room.
fn some(text: &str, room: &mut usize) -> Markup {
    let shown = &text[..text.floor_char_boundary(PIECE.min(*room))];
    *room = room.saturating_sub(shown.len().max(1));
    let hidden = text.len() - shown.len();
    html! { (bytes::marked(shown)) @if hidden > 0 { span.dim { " … " (many(hidden as u64, "byte")) " more" } } }
}

/// A text in words, runs of blanks, and signs.
fn tokens(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        _ if c.is_alphanumeric() || c == '_' => 1,
        '\n' => 0,
        _ if c.is_whitespace() => 2,
        _ => 0,
    };
    let mut tokens = Vec::new();
    let (mut from, mut last) = (0, 0);
    for (at, c) in text.char_indices() {
        let kind = kind(c);
        if at > from && (kind == 0 || kind != last) {
            tokens.push(&text[from..at]);
            from = at;
        }
        last = kind;
    }
    tokens.extend(Some(&text[from..]).filter(|rest| !rest.is_empty()));
    tokens
}

/// Where each token begins, and the last ends.
fn ends(tokens: &[&str]) -> Vec<usize> {
    let mut at = 0;
    std::iter::once(0)
        .chain(tokens.iter().map(|token| {
            at += token.len();
            at
        }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> String {
        between(old, new).into_string()
    }

    #[test]
    fn a_value_stands_out_in_its_line() {
        let page = shown(r#"{"to":"ann","n":12345678901234567890}"#, r#"{"to":"bob","n":12345678901234567891}"#);
        assert!(page.contains("2 changes: 23 bytes taken out, 23 bytes put in."), "{page}");
        assert!(page.contains("&quot;<del>ann</del><ins>bob</ins>&quot;,&quot;n&quot;:<del>12345678901234567890</del><ins>12345678901234567891</ins>}"), "{page}");
    }

    #[test]
    fn what_is_taken_out_and_put_in_gives_the_texts_back() {
        let mut state = 1_u64;
        let mut draw = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        for _ in 0..200 {
            let mut text = || {
                (0..draw(40))
                    .map(|_| ["a", "ä", " ", "\n", "{", "\"", "12", "🚢"][draw(8) as usize])
                    .collect::<String>()
            };
            let (old, new) = (text(), text());
            assert_eq!((tokens(&old).concat(), tokens(&new).concat()), (old.clone(), new.clone()));
            let page = shown(&old, &new);
            let body =
                page.split_once("data-test-diff>").expect("it is there").1.split("</pre>").next().expect("an end");
            let plain = |out: &str, kept: &str| {
                let mut text = String::new();
                let mut rest = body;
                while let Some((before, after)) = rest.split_once(&format!("<{out}>")) {
                    text.push_str(before);
                    rest = after.split_once(&format!("</{out}>")).expect("an end").1;
                }
                (text + rest)
                    .replace(&format!("<{kept}>"), "")
                    .replace(&format!("</{kept}>"), "")
                    .replace("&quot;", "\"")
            };
            assert_eq!((plain("ins", "del"), plain("del", "ins")), (old, new));
        }
    }

    #[test]
    fn a_mebibyte_is_shown_in_part_and_says_so() {
        let old: String = (0..60_000).map(|n| format!("{n:08x} old, ")).collect();
        let new: String = (0..60_000).map(|n| format!("{:08x} new, ", n * 7)).collect();
        let page = shown(&old, &new);
        assert!(page.len() < 600_000, "{} bytes", page.len());
        assert!(page.contains(" more"), "{}", &page[..2_000]);
        let (same, other) = ("x ".repeat(500_000), "x ".repeat(499_999) + "y ");
        let page = shown(&same, &other);
        assert!(
            page.len() < 2_000 && page.contains("bytes stay") && page.contains("<del>x</del><ins>y</ins>"),
            "{page}"
        );
    }
}
