//! The values of named fields in JSON, found on the bytes themselves, so that everything else stays byte for byte.
//!
//! What is JSON as a whole is walked token by token. In other text, such as a log line or an error that was cut, every quote
//! may begin a field: rather too much is left out than too little. JSON that stands in a string of JSON is not looked into.

use serde_json::value::RawValue;

use super::MARK;

/// Most bytes that JSON writes for a byte of a name, which may be longer in capitals.
const WRITTEN: usize = 12;

/// Whether a field has one of the names, which are in lower case.
pub(super) fn is_named(field: &str, names: &[String]) -> bool {
    let field = field.to_lowercase();
    names.contains(&field)
}

/// The text with [`MARK`] for the value of each named field; `None` where there is none.
pub(super) fn without(text: &[u8], names: &[String]) -> Option<Vec<u8>> {
    let (mut out, mut kept) = (Vec::new(), 0);
    for field in Fields::of(text, names) {
        out.extend_from_slice(&text[kept..field.value]);
        out.extend_from_slice(format!("\"{MARK}\"").as_bytes());
        kept = field.end;
    }
    if kept == 0 {
        return None;
    }
    out.extend_from_slice(&text[kept..]);
    Some(out)
}

/// The name of a named field whose value is [`MARK`].
pub(super) fn marked(text: &[u8], names: &[String]) -> Option<String> {
    let mark = format!("\"{MARK}\"");
    Fields::of(text, names).find(|field| &text[field.value..field.end] == mark.as_bytes()).map(|field| field.name)
}

/// A named field: where its value begins and ends.
struct Field {
    name: String,
    value: usize,
    end: usize,
}

struct Fields<'t> {
    text: &'t [u8],
    names: &'t [String],
    whole: bool,
    /// Longest that a name is written, with its quotes.
    longest: usize,
    at: usize,
}

impl<'t> Fields<'t> {
    fn of(text: &'t [u8], names: &'t [String]) -> Self {
        let whole = serde_json::from_slice::<&RawValue>(text).is_ok();
        let longest = names.iter().map(String::len).max().unwrap_or(0) * WRITTEN + 2;
        Self { text, names, whole, longest, at: 0 }
    }

    /// The named field that the string at `start` begins, which ends before `end`.
    fn named(&self, start: usize, end: usize) -> Option<Field> {
        let value = value_after(self.text, end)?;
        let written = &self.text[start..end];
        let name = serde_json::from_slice(written)
            .unwrap_or_else(|_| String::from_utf8_lossy(&written[1..written.len() - 1]).into_owned());
        is_named(&name, self.names).then(|| Field { name, value, end: value_end(self.text, value) })
    }
}

impl Iterator for Fields<'_> {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        loop {
            let start = self.at + self.text.get(self.at..)?.iter().position(|byte| *byte == b'"')?;
            // A bound for each look keeps a text of nothing but quotes from being walked again for each of them.
            let most = if self.whole { self.text.len() } else { (start + self.longest).min(self.text.len()) };
            let end = string_end(&self.text[..most], start);
            if let Some(field) = end.and_then(|end| self.named(start, end)) {
                self.at = field.end;
                return Some(field);
            }
            self.at = if self.whole { end? } else { start + 1 };
        }
    }
}

/// Behind the quote that ends the string at `start`.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn blank(text: &[u8], at: usize) -> usize {
    let blanks = text.get(at..).unwrap_or_default().iter().take_while(|byte| b" \t\r\n".contains(byte));
    at + blanks.count()
}

/// Where the value begins, if a colon follows.
fn value_after(text: &[u8], at: usize) -> Option<usize> {
    let colon = blank(text, at);
    let value = blank(text, colon + 1);
    (text.get(colon) == Some(&b':') && value < text.len()).then_some(value)
}

/// Where the value at `start` ends; at the end of the text where it was cut.
fn value_end(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at).unwrap_or(text.len());
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + depth,
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["password".to_owned(), "tokén".to_owned()]
    }

    #[test]
    fn values_of_named_fields_are_left_out_and_nothing_else() {
        let check = |text: &str, shown: &str| {
            let found = without(text.as_bytes(), &names()).map(|bytes| String::from_utf8(bytes).expect("text"));
            assert_eq!(found.as_deref().unwrap_or(text), shown, "{text}");
        };
        check(
            r#"{"password":"x","n":12345678901234567890.10e5}"#,
            r#"{"password":"•••","n":12345678901234567890.10e5}"#,
        );
        check(r#"{"a":[{"PassWord" : 5 ,"b":1}]}"#, r#"{"a":[{"PassWord" : "•••" ,"b":1}]}"#);
        check(r#"{"password":{"a":"}","b":["]",{}]},"c":2}"#, r#"{"password":"•••","c":2}"#);
        check(r#"{"password":["a","b"]}"#, r#"{"password":"•••"}"#);
        check(r#"{"password":null,"password":true}"#, r#"{"password":"•••","password":"•••"}"#);
        check(r#"{"pass\u0077ord":"a\"b"}"#, r#"{"pass\u0077ord":"•••"}"#);
        check(r#"{"TOKÉN":1}"#, r#"{"TOKÉN":"•••"}"#);
        // Names that only contain it, and values that are it, stay.
        for same in
            [r#"{"passwords":1,"my password":2,"a":"password"}"#, r#"["password","x"]"#, "", "password: x", "{}"]
        {
            check(same, same);
        }
        // In JSON a string is no field, whatever it holds.
        let told = r#"{"note":"she said \"password\": no","n":1}"#;
        check(told, told);
    }

    #[test]
    fn other_text_is_looked_through_and_what_was_cut_ends_with_it() {
        let check = |text: &str, shown: &str| {
            let found = without(text.as_bytes(), &names()).expect(text);
            assert_eq!(String::from_utf8_lossy(&found), shown, "{text}");
        };
        check(r#"sent {"password":"x","a":1} to b"#, r#"sent {"password":"•••","a":1} to b"#);
        check(r#"he said " and "password":"x" then"#, r#"he said " and "password":"•••" then"#);
        check(r#"{"password":"very lo"#, r#"{"password":"•••""#);
        check(r#"{"password":{"a":"b"#, r#"{"password":"•••""#);
        check(r#"{"password":12345"#, r#"{"password":"•••""#);
        check(r#"{"password":"x\"#, r#"{"password":"•••""#);
        assert_eq!(
            without(b"\xff{\"password\":\"x\"}\xfe", &names()).expect("bytes"),
            b"\xff{\"password\":\"\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\"}\xfe"
        );
        assert_eq!(without(br#"{"password":"#, &names()), None);
    }

    #[test]
    fn a_mark_in_the_place_of_a_value_is_noticed() {
        assert_eq!(marked(r#"{"a":1,"Password":"•••"}"#.as_bytes(), &names()).as_deref(), Some("Password"));
        for text in [r#"{"password":"x"}"#, r#"{"other":"•••"}"#] {
            assert_eq!(marked(text.as_bytes(), &names()), None, "{text}");
        }
    }

    #[test]
    fn no_text_takes_long() {
        for piece in ["\\\"", "\"", "\"password\":", "{\"password\":[", "\"a\\"] {
            let text = piece.repeat((1 << 20) / piece.len());
            // Each byte is walked a bounded number of times; a walk for each quote would never end here.
            let _ = without(text.as_bytes(), &names());
        }
    }
}
