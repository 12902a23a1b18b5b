//! What a pod's processes use, summed from its own `/proc`.

use std::fs;

/// Usage of all processes but the init.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Anonymous and shared memory, bytes. Pages that processes share after a fork count once for each.
    pub(super) memory: u64,
    /// Processes and threads.
    pub(super) tasks: u32,
}

/// Sums over the processes that `/proc` shows.
pub(super) fn usage() -> Usage {
    let mut sum = Usage::default();
    for pid in processes() {
        // A process may end between the listing and the reading.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let one = parse_status(&status);
        sum.memory = sum.memory.saturating_add(one.memory);
        sum.tasks = sum.tasks.saturating_add(one.tasks);
    }
    sum
}

/// Memory in proportional shares: shared pages count once. Dearer than [`usage`].
pub(super) fn exact_memory() -> u64 {
    let rollups =
        processes().into_iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok());
    rollups.map(|rollup| field_kib(&rollup, "Pss_Anon:") + field_kib(&rollup, "Pss_Shmem:")).sum::<u64>() * 1024
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid != 1).collect()
}

fn parse_status(status: &str) -> Usage {
    let memory = (field_kib(status, "RssAnon:") + field_kib(status, "RssShmem:")).saturating_mul(1024);
    Usage { memory, tasks: u32::try_from(field_kib(status, "Threads:")).unwrap_or(u32::MAX) }
}

/// The number after `key`; 0 where there is none (a zombie has no memory).
fn field_kib(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value.and_then(|value| value.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_status_and_a_zombie() {
        let status =
            "Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t     400 kB\nRssFile:\t 480 kB\nRssShmem:\t 20 kB\nThreads:\t11\n";
        assert_eq!(parse_status(status), Usage { memory: 420 * 1024, tasks: 11 });
        assert_eq!(parse_status("Name:\tz\nState:\tZ (zombie)\nThreads:\t1\n"), Usage { memory: 0, tasks: 1 });
    }

    #[test]
    fn this_machine_uses_something() {
        let usage = usage();
        assert!(usage.memory > 0 && usage.tasks > 0);
    }
}
