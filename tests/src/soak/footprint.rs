//! The resources that a process uses.

use std::{fmt, fs, io};

/// The use of resources at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Anonymous memory, in KiB: the heap and stacks. Traces are mapped files and not included.
    pub(super) memory: u64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
    pub(super) mappings: u64,
}

impl Footprint {
    /// Measures the process with that PID.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        Ok(Self {
            memory: number("RssAnon:"),
            threads: number("Threads:"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
            mappings: maps.lines().count() as u64,
        })
    }

    /// The maximum of each field.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            memory: self.memory.max(other.memory),
            threads: self.threads.max(other.threads),
            descriptors: self.descriptors.max(other.descriptors),
            mappings: self.mappings.max(other.mappings),
        }
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, threads, descriptors, mappings } = self;
        write!(f, "{memory} KiB, {threads} threads, {descriptors} descriptors, {mappings} mappings")
    }
}
