//! A process of the machine, identified by its number and its start time.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process, told apart from a later one with the same number by the time it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Clock ticks between the machine's start and the process's, field 22 of `/proc/<pid>/stat`.
    pub(crate) start_ticks: u64,
}

impl Process {
    /// The process that has the number `pid` now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold blanks and brackets; what follows its last bracket is numbers.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        (fields.first() != Some(&"Z")).then_some(())?;
        Some(Self { pid, start_ticks: fields.get(19)?.parse().ok()? })
    }

    pub(crate) fn alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Asks it to end, if it is still the same process.
    pub(crate) fn terminate(&self) {
        if self.alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
}
