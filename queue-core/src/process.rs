//! This process as the system sees it.
//!
//! Each question is one small read of a file that only exists in memory.

/// Memory that is resident, in bytes; `None` where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_takes_some_memory_and_not_all() {
        let bytes = super::resident_bytes().expect("this system tells it");
        assert!((1 << 20..1 << 36).contains(&bytes), "{bytes}");
    }
}
