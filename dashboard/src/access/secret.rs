//! Random secrets are kept as digests only, so that what is kept lets nobody in.

use sha2::Digest as _;

/// SHA-256 of a secret.
pub(super) type Digest = [u8; 32];

pub(super) fn digest(secret: &[u8]) -> Digest {
    sha2::Sha256::digest(secret).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Digest> {
    let mut bytes = Digest::default();
    let whole = text.len() == bytes.len() * 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (index, byte) in bytes.iter_mut().enumerate().filter(|_| whole) {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    whole.then_some(bytes)
}
