//! Fingerprints of failures: what failures of one cause share.
//!
//! Kind and message with numbers, hexadecimal ids and quoted parts replaced, cut at 200 bytes: the usual grouping rule
//! of error trackers. Pure; the result stands in the failure's event, so a better rule never rewrites history.

const MAX: usize = 200;

/// The fingerprint of a failure.
///
/// # Examples
///
/// ```
/// use queue_core::machine::fingerprint;
/// let first = fingerprint("exit", "user 17 not found in \"eu-1\" (request 9f3a77c2d1)");
/// assert_eq!(first, "exit: user N not found in Q (request X)");
/// ```
pub fn fingerprint(kind: &str, message: &str) -> String {
    let mut out = format!("{kind}: ");
    let mut rest = message.lines().next().unwrap_or("").trim();
    let mut in_word = false;
    while !rest.is_empty() && out.len() < MAX {
        let mut chars = rest.chars();
        let first = chars.next().expect("not empty");
        if let Some(end) = quoted(first, chars.as_str(), in_word) {
            out.push('Q');
            rest = &chars.as_str()[end..];
            in_word = false;
            continue;
        }
        in_word = first.is_alphanumeric();
        let word = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        if word == 0 {
            out.push(first);
            rest = chars.as_str();
            continue;
        }
        push_word(&mut out, &rest[..word]);
        rest = &rest[word..];
    }
    out.truncate(out.floor_char_boundary(MAX));
    out
}

/// Where the quoted part that `first` opens ends, its closing quote included. An apostrophe between two letters, as in
/// "can't", neither opens nor closes one.
fn quoted(first: char, rest: &str, in_word: bool) -> Option<usize> {
    let ends = |&at: &usize| first != '\'' || !rest[at + 1..].starts_with(char::is_alphanumeric);
    match first {
        '"' | '`' => {}
        '\'' if !in_word => {}
        _ => return None,
    }
    rest.match_indices(first).map(|(at, _)| at).find(ends).map(|at| at + first.len_utf8())
}

fn push_word(out: &mut String, word: &str) {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    if !has_digit {
        out.push_str(word);
    } else if word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        out.push('X');
    } else {
        let mut in_number = false;
        for c in word.chars() {
            if !c.is_ascii_digit() {
                out.push(c);
            } else if !in_number {
                out.push('N');
            }
            in_number = c.is_ascii_digit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX, fingerprint};

    #[test]
    fn what_differs_by_values_alone_is_one_cause() {
        let same = |one: &str, other: &str| assert_eq!(fingerprint("exit", one), fingerprint("exit", other));
        same("timeout after 300 ms", "timeout after 5 ms");
        same("no file '/tmp/a b'", "no file '/etc/x'");
        same("job 0123456789abcdef failed", "job fedcba9876543210 failed");
        same("first line\nsecond", "first line\nother");
        assert_ne!(fingerprint("exit", "disk full"), fingerprint("exit", "disk slow"));
        assert_ne!(fingerprint("exit", "x"), fingerprint("timeout", "x"));
    }

    #[test]
    fn an_apostrophe_within_a_word_quotes_nothing() {
        let of = |message| fingerprint("exit", message);
        assert_eq!(of("can't open file 'alice'"), "exit: can't open file Q");
        assert_eq!(of("can't open file 'alice'"), of("can't open file 'bob'"));
        assert_ne!(of("can't open 'x'"), of("can't parse 'x'"));
        assert_eq!(of("user 'o'brien' isn't there"), "exit: user Q isn't there");
        assert_eq!(of("the workers' lock isn't free"), "exit: the workers' lock isn't free");
    }

    #[test]
    fn it_is_cut_at_a_character() {
        assert!(fingerprint("exit", &"ä".repeat(300)).len() <= MAX);
    }
}
