//! How much memory state may take where nobody has said.

use std::fs::read_to_string;

/// Half of what this process may have, in bytes: of the control group's memory
/// or of the machine's, whichever is less; `None` where that cannot be told.
///
/// Source: the Linux kernel's `cgroup-v2` and `proc_meminfo(5)`.
pub fn half() -> Option<u64> {
    let group = read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse::<u64>().ok());
    let machine = read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total);
    group.into_iter().chain(machine).min().map(|bytes| bytes / 2)
}

/// `MemTotal: 1234 kB`
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory() {
        assert_eq!(total("MemTotal:       24689840 kB\nMemFree: 1 kB"), Some(24_689_840 << 10));
        assert_eq!(total("MemTotal: much"), None);
    }
}
