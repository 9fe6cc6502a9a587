//! A process of the machine, identified by its number and its start time.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process. Its start time distinguishes it from a later process with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// Clock ticks from the boot of the machine to the start of the process: field 22 of `/proc/<pid>/stat`.
    pub(crate) start_ticks: u64,
}

impl Process {
    /// The process that has the number `pid` now; `None` for a zombie.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in brackets and may contain blanks and brackets; only numbers follow the last one.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        (fields.first() != Some(&"Z")).then_some(())?;
        Some(Self { pid, start_ticks: fields.get(19)?.parse().ok()? })
    }

    /// Whether this very process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends SIGTERM, if it still runs.
    pub(crate) fn terminate(&self) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
}
