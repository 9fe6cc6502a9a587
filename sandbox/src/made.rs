//! What `up` made, remembered so that `down` removes just that.

use std::{collections::BTreeSet, fs, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{error::SandboxError, home::Home};

/// What of the machine is the sandbox's making.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// The engine that was started.
    #[serde(default)]
    pub(crate) dockerd: Option<Process>,
    /// The id of the Swarm that was made.
    #[serde(default)]
    pub(crate) swarm: Option<String>,
    /// The id of the network that was made.
    #[serde(default)]
    pub(crate) network: Option<String>,
    /// The images that were assembled or imported, by name.
    #[serde(default)]
    pub(crate) images: BTreeSet<String>,
}

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

impl Home {
    pub(crate) fn made(&self) -> Made {
        read(&self.root().join("made.toml")).unwrap_or_default()
    }

    pub(crate) fn keep_made(&self, made: &Made) -> Result<(), SandboxError> {
        write(&self.root().join("made.toml"), made)
    }
}

/// Reads a small TOML file; one that is not there or cut short is as good as none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    toml::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Writes a small TOML file in one piece.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), SandboxError> {
    let text = toml::to_string(value)
        .map_err(|error| SandboxError::File { path: path.display().to_string(), message: error.to_string() })?;
    replace(path, text.as_bytes(), 0o600)
}

/// Puts a file in place in one piece, so that no reader sees half of it. A file that holds the same is left alone.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SandboxError> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let beside = path.with_extension(format!("new{}", std::process::id()));
    let put = || {
        let _ = fs::remove_file(&beside);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(bytes)?;
        fs::rename(&beside, path)
    };
    put().map_err(|error| SandboxError::file(path, error))
}
