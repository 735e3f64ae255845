//! What a job brought, exactly: payloads, results, progress, texts of errors and lines of logs.
//!
//! JSON is only indented: every number and every string stays byte for byte what it was, since nothing is parsed into
//! values. Characters that steer (control characters, marks of writing direction, invisible ones) are shown by name.

use maud::{Markup, html};
use serde_json::value::RawValue;

use super::{count, many};

/// Longest text that a page shows at once, bytes.
pub(crate) const SHOWN: usize = 64 << 10;
/// How much of a longer one is shown.
const START: usize = 4 << 10;
/// Deepest JSON that is indented; deeper is shown as it is.
const DEPTH: usize = 64;

/// Where a page's value can be had.
pub(crate) struct Place<'a> {
    /// What it is, such as `payload`.
    pub(crate) what: &'a str,
    /// Where its bytes are, as they are.
    pub(crate) download: String,
    /// This page with all of it.
    pub(crate) all: String,
    /// Whether all of it is wanted.
    pub(crate) whole: bool,
}

/// A value with its length, cut if it is long and not all is wanted.
pub(crate) fn value(bytes: &[u8], place: &Place<'_>) -> Markup {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return html! {
            p.dim data-test-bytes=(place.what) { "No text: " (many(bytes.len() as u64, "byte")) ". " (download(place)) }
        };
    };
    let cut = text.len() > SHOWN && !place.whole;
    let formatted = if cut { None } else { indented(text) };
    let shown = match &formatted {
        Some(formatted) => formatted,
        None if cut => &text[..(0..=START).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)],
        None => text,
    };
    html! {
        pre.bytes data-test-bytes=(place.what) tabindex="0" { (marked(shown)) }
        p.dim {
            (many(bytes.len() as u64, "byte"))
            @if formatted.is_some() { ", indented here; nothing else is changed" }
            @if cut { ", the first " (count(shown.len() as u64)) " shown. "
                a href=(place.all) data-test-whole=(place.what) { "Show all" } }
            ". " (download(place))
        }
    }
}

fn download(place: &Place<'_>) -> Markup {
    html! { a href=(place.download) download data-test-download=(place.what) { "Download" } }
}

/// Text with what steers or hides made visible.
pub(crate) fn marked(text: &str) -> Markup {
    html! {
        @for piece in pieces(text) {
            @match piece {
                Piece::Plain(text) => (text),
                Piece::Mark(character) => span.mark title=(name(character)) { (format!("U+{:04X}", character as u32)) },
            }
        }
    }
}

enum Piece<'t> {
    Plain(&'t str),
    Mark(char),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    for (at, character) in text.char_indices().filter(|(_, character)| hides(*character)) {
        if at > from {
            pieces.push(Piece::Plain(&text[from..at]));
        }
        pieces.push(Piece::Mark(character));
        from = at + character.len_utf8();
    }
    if from < text.len() {
        pieces.push(Piece::Plain(&text[from..]));
    }
    pieces
}

/// Whether a character cannot be seen as itself, or changes how others are.
fn hides(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        _ => character.is_control(),
    }
}

fn name(character: char) -> &'static str {
    match character {
        '\0' => "null",
        '\x07' => "bell",
        '\x08' => "backspace",
        '\r' => "carriage return",
        '\x1b' => "escape",
        '\u{ad}' => "soft hyphen",
        '\u{200b}' | '\u{feff}' | '\u{2060}' => "a space without width",
        '\u{200c}' | '\u{200d}' => "a joiner without width",
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "a mark of writing direction"
        }
        '\u{2028}' | '\u{2029}' => "a line or paragraph separator",
        _ if character.is_control() => "a control character",
        _ => "an invisible character",
    }
}

/// JSON with a line for each member, every token as it is; `None` for what is no JSON, a plain value, or too deep.
fn indented(text: &str) -> Option<String> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    let mut lines = Lines { text: String::with_capacity(text.len() * 3 / 2), depth: 0 };
    let mut rest = text.trim();
    while let Some(first) = rest.bytes().next() {
        let end = token_end(rest);
        let (token, tail) = rest.split_at(end);
        rest = tail.trim_start();
        match first {
            b'{' | b'[' if rest.starts_with(['}', ']']) => {
                lines.text.push_str(token);
                lines.text.push_str(&rest[..1]);
                rest = rest[1..].trim_start();
            }
            b'{' | b'[' => lines.opens(token)?,
            b'}' | b']' => lines.closes(token),
            b',' => lines.goes_on(token),
            b':' => lines.text.push_str(": "),
            _ => lines.text.push_str(token),
        }
    }
    lines.text.contains('\n').then_some(lines.text)
}

/// Where the first token ends: a string at its quote, a number or word before what follows it, else one byte.
fn token_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes[0] {
        b'"' => {
            let mut escaped = false;
            let ends = |byte: &u8| {
                let ends = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            };
            bytes[1..].iter().position(ends).map_or(bytes.len(), |at| at + 2)
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
        _ => bytes.iter().position(|byte| b",:]} \t\r\n".contains(byte)).unwrap_or(bytes.len()),
    }
}

struct Lines {
    text: String,
    depth: usize,
}

impl Lines {
    fn line(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn opens(&mut self, token: &str) -> Option<()> {
        self.depth += 1;
        self.text.push_str(token);
        self.line();
        (self.depth <= DEPTH).then_some(())
    }

    fn closes(&mut self, token: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.text.push_str(token);
    }

    fn goes_on(&mut self, token: &str) {
        self.text.push_str(token);
        self.line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_text_is_shown_as_it_is() {
        let check = |text: &str, shown: &str| assert_eq!(marked(text).into_string(), shown, "{text:?}");
        check("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;");
        check("a\u{202e}b", "a<span class=\"mark\" title=\"a mark of writing direction\">U+202E</span>b");
        check("\u{1b}[31m\n\t", "<span class=\"mark\" title=\"escape\">U+001B</span>[31m\n\t");
        check("\u{0}", "<span class=\"mark\" title=\"null\">U+0000</span>");
        check("ä 🚢", "ä 🚢");
    }

    #[test]
    fn json_is_indented_and_nothing_else() {
        let check = |text: &str, shown: Option<&str>| assert_eq!(indented(text).as_deref(), shown, "{text}");
        check(r#"{"n":12345678901234567890}"#, Some("{\n  \"n\": 12345678901234567890\n}"));
        check("[1.0,1e400, -0,0.1000]", Some("[\n  1.0,\n  1e400,\n  -0,\n  0.1000\n]"));
        check(
            r#"{"a":{},"b":[ ],"c":[{"d":null}]}"#,
            Some("{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [\n    {\n      \"d\": null\n    }\n  ]\n}"),
        );
        check(r#"{"q":"\"},{\\","q":1}"#, Some("{\n  \"q\": \"\\\"},{\\\\\",\n  \"q\": 1\n}"));
        for text in ["12345678901234567890", "\"text\"", "{}", "no json", "", "{\"a\":", "[1] 2"] {
            check(text, None);
        }
        check(&format!("{}{}", "[".repeat(100), "]".repeat(100)), None);
    }

    #[test]
    fn indenting_keeps_every_token() {
        let text = r#" {"deep":[[[1,2],{"x":"a, b: [c]"}],true], "u":"\u202e ü"} "#;
        let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(bare(&indented(text).expect("json")), bare(text));
    }

    #[test]
    fn long_values_are_cut_until_all_is_wanted() {
        let place = |whole| Place { what: "payload", download: "/d".into(), all: "/all".into(), whole };
        let text = "ä".repeat(40_000);
        let cut = value(text.as_bytes(), &place(false)).into_string();
        assert!(cut.len() < 6_000 && cut.contains("Show all") && cut.contains("80,000 bytes"), "{cut}");
        assert!(value(text.as_bytes(), &place(true)).into_string().contains(&text));
        assert!(value(b"\xff", &place(false)).into_string().contains("No text: 1 byte. "));
    }
}
