//! Which compression a client takes, by its header `Accept-Encoding`.
//!
//! Only what was named is used: who says nothing, or what cannot be read, gets the bytes as they are.

use axum::http::{HeaderMap, header};

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Brotli,
    Gzip,
}

impl Encoding {
    /// Every packing, the smallest first.
    const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// The word of the headers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The best that the client takes; `None` for the bytes as they are.
    pub(crate) fn taken(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let given: Vec<_> = values.flat_map(|value| value.split(',')).filter_map(weighed).collect();
        let weight =
            |name: &str| given.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, weight)| *weight);
        let others = weight("*").unwrap_or(0);
        let weights = Self::ALL.map(|encoding| (encoding, weight(encoding.as_str()).unwrap_or(others)));
        // Where the client likes two equally, the first is the smaller.
        let best = weights.into_iter().rev().max_by_key(|(_, weight)| *weight)?;
        (best.1 > 0 && best.1 >= weight("identity").unwrap_or(0)).then_some(best.0)
    }
}

/// A coding and its weight in thousandths.
fn weighed(part: &str) -> Option<(&str, u32)> {
    let (name, weight) = part.split_once(';').map_or((part, None), |(name, weight)| (name, Some(weight)));
    let weight = match weight.map(str::trim) {
        None => 1_000,
        Some(weight) => thousandths(weight.strip_prefix("q=").or(weight.strip_prefix("Q="))?)?,
    };
    Some((name.trim(), weight))
}

/// `0`, `1`, `0.5`, `1.000`: at most three digits behind the point, at most 1.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || part.len() > 3 || !digits(part) {
        return None;
    }
    let part: u32 = format!("{part:0<3}").parse().ok()?;
    Some(whole.parse::<u32>().ok()? * 1_000 + part).filter(|weight| *weight <= 1_000)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::Encoding::{self, Brotli, Gzip};

    #[test]
    fn the_smallest_of_what_is_liked_best_is_taken() {
        for (given, taken) in [
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("br;q=0.5, gzip", Some(Gzip)),
            ("GZIP;Q=0.1", Some(Gzip)),
            ("*", Some(Brotli)),
            ("br;q=0, *;q=0.5", Some(Gzip)),
            ("br ; q=1.000,gzip;q=1.0", Some(Brotli)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
            ("br;q=0, gzip;q=0.000", None),
            ("*;q=0", None),
            ("", None),
            ("deflate", None),
            ("br;q=2, gzip;q=0.1234", None),
            ("br;level=5", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(given));
            assert_eq!(Encoding::taken(&headers), taken, "{given}");
        }
        assert_eq!(Encoding::taken(&HeaderMap::new()), None);
        let mut two = HeaderMap::new();
        two.append(header::ACCEPT_ENCODING, HeaderValue::from_static("deflate"));
        two.append(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Encoding::taken(&two), Some(Gzip));
    }
}
