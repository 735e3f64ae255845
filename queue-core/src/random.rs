//! Chance: the one module that asks the operating system for random bytes.
//!
//! Everything else takes its chance as an argument, so that a seed decides a whole run.

/// `N` random bytes from the operating system.
///
/// # Panics
///
/// If the operating system has none to give, which no supported one does after its start.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A job id that nobody chose: `auto-` and 128 random bits as 32 hexadecimal digits.
pub fn job_id() -> String {
    format!("auto-{:032x}", u128::from_le_bytes(bytes()))
}

#[cfg(test)]
mod tests {
    use super::job_id;

    #[test]
    fn ids_differ_and_have_one_shape() {
        let (one, other) = (job_id(), job_id());
        assert_ne!(one, other);
        assert_eq!(one.len(), "auto-".len() + 32);
        assert!(one.strip_prefix("auto-").expect("the prefix").bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
