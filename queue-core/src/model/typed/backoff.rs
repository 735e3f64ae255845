//! A backoff as it is typed and shown: `KIND:DELAY[:MAX][:JITTER%]`, such as `exponential:5s:1h:20%`.
//!
//! What is shown can be typed again.

use super::super::{Backoff, BackoffKind, Error, duration};

const ALLOWED: &str = "fixed:DELAY or exponential:DELAY[:MAX], then perhaps :JITTER%, such as exponential:5s:1h:20%";

/// Reads a backoff; `flag` names it in the error.
///
/// # Errors
///
/// `BADARG` for what is none.
pub fn parse(flag: &str, text: &str) -> Result<Backoff, Error> {
    let bad = || Error::bad_arg(flag, text, ALLOWED);
    let mut parts: Vec<&str> = text.split(':').collect();
    let mut jitter_percent = 0;
    if let Some(percent) = parts.last().and_then(|part| part.strip_suffix('%')) {
        jitter_percent = percent.parse().ok().filter(|percent| *percent <= 100).ok_or_else(bad)?;
        parts.pop();
    }
    let ms = |text: &str| duration::parse_ms(flag, text).map_err(|_| bad());
    let backoff = match parts.as_slice() {
        ["fixed", delay] => Backoff::fixed(ms(delay)?),
        ["exponential", delay] => Backoff::exponential(ms(delay)?),
        ["exponential", delay, max] => Backoff { max_ms: ms(max)?, ..Backoff::exponential(ms(delay)?) },
        _ => return Err(bad()),
    };
    Ok(Backoff { jitter_percent, ..backoff })
}

/// Shows a backoff as it is typed; a growth other than doubling is named behind it.
pub fn show(backoff: &Backoff) -> String {
    let exact = duration::exact_ms;
    let mut text = match backoff.kind {
        BackoffKind::Fixed => format!("fixed:{}", exact(backoff.delay_ms)),
        BackoffKind::Exponential => format!("exponential:{}:{}", exact(backoff.delay_ms), exact(backoff.max_ms)),
    };
    if backoff.jitter_percent > 0 {
        text.push_str(&format!(":{}%", backoff.jitter_percent));
    }
    if backoff.kind == BackoffKind::Exponential && backoff.factor_thousandths != 2_000 {
        text.push_str(&format!(" (times {} each)", f64::from(backoff.factor_thousandths) / 1_000.0));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::model::Backoff;

    #[test]
    fn what_is_shown_can_be_typed() {
        for text in ["fixed:500ms", "exponential:5s:1h", "exponential:5s:1h:20%", "exponential:2s500ms:1h30m15s"] {
            assert_eq!(super::show(&super::parse("--backoff", text).expect(text)), text);
        }
        assert_eq!(super::show(&super::parse("--backoff", "fixed:2s:5%").expect("fixed")), "fixed:2s:5%");
        // As JSON makes it, with the cap that only growing pauses have.
        let long = Backoff { max_ms: 3_600_000, ..Backoff::fixed(7_200_000) };
        assert_eq!(super::show(&long), "fixed:2h");
        assert_eq!(super::show(&Backoff::default()), "exponential:5s:1h:20%");
        assert_eq!(super::parse("b", "exponential:5s").expect("a default cap").max_ms, 3_600_000);
    }

    #[test]
    fn what_is_no_backoff_is_refused() {
        for text in ["", "5s", "linear:5s", "fixed", "fixed:5", "fixed:5s:1h", "exponential:5s:1h:101%", "fixed:5s:%"] {
            let error = super::parse("--backoff", text).expect_err(text);
            assert!(error.message.starts_with("--backoff is "), "{}", error.message);
        }
    }
}
