//! Base64 with padding, for bytes that are no JSON where only JSON can stand (RFC 4648, the standard alphabet).
//!
//! By hand because it is two loops; nothing here is fast, and nothing hot calls it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text for `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// The bytes behind `text`; `None` if it is no base64, is not padded, or has bits left over.
///
/// # Examples
///
/// ```
/// use queue_core::model::base64;
/// assert_eq!(base64::decode(&base64::encode(b"\xff\x00")), Some(vec![0xff, 0]));
/// ```
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.len() / 4;
    for (index, group) in text.chunks(4).enumerate() {
        let digits = group.iter().take_while(|&&digit| digit != b'=').count();
        let padded = group[digits..].iter().all(|&digit| digit == b'=');
        if digits < 2 || !padded || (digits < 4 && index + 1 < groups) {
            return None;
        }
        let mut bits = 0u32;
        for &digit in &group[..digits] {
            let value = ALPHABET.iter().position(|&known| known == digit)?;
            bits = bits << 6 | value as u32;
        }
        bits <<= 6 * (4 - digits);
        let whole = bits.to_be_bytes();
        if whole[digits..].iter().any(|&left| left != 0) {
            return None;
        }
        bytes.extend_from_slice(&whole[1..digits]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["Z", "Zg", "Zg=", "Zg==Zg==", "Z===", "====", "Zh==", "Zm9=", "Zm9 ", "Zg=v"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
