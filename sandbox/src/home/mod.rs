//! The folder of the sandbox and what lies where in it.

mod capabilities;
pub(crate) mod created;
pub(crate) mod files;
pub(crate) mod host_file;
pub(crate) mod lock;

use std::path::{Path, PathBuf};

pub use capabilities::Machine;

use crate::{error::SandboxError, layout::Layout};

/// The sandbox's folder, `taster/sandbox` in the user's state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The sandbox in `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder with its links resolved, so that one folder has one name.
    pub(crate) fn canonical(&self) -> PathBuf {
        std::fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone())
    }

    /// The host file that a run reads.
    pub fn host_file(&self) -> PathBuf {
        self.root.join("host.toml")
    }

    /// The certificate of the sandbox's own CA, in PEM.
    pub fn ca(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    /// The folder with the two-line `abra`.
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// The folder with one git repository per recipe.
    pub fn recipes(&self) -> PathBuf {
        self.root.join("recipes")
    }

    /// The folder of the ingress: its configuration, its socket, the agent's lock.
    pub fn ingress(&self) -> PathBuf {
        self.root.join("ingress")
    }

    /// What was found out about the machine, see [`Machine`].
    fn machine_file(&self) -> PathBuf {
        self.root.join("machine.toml")
    }

    /// What was found out about the machine when the sandbox was made; the cautious default when that is not known.
    pub fn machine(&self) -> Machine {
        files::read(&self.machine_file()).unwrap_or_default()
    }

    /// Whether the machine was looked at.
    pub fn looked(&self) -> bool {
        self.machine_file().exists()
    }

    /// Names, addresses and ports of this sandbox; the usual ones when it was never made.
    pub fn layout(&self) -> Layout {
        files::read(&self.root.join("layout.toml")).unwrap_or_default()
    }

    /// The folder of downloads, which outlives the sandbox.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Keeps what was found out about the machine, in one piece: a file that is there says that it was looked at.
    pub(crate) fn remember(&self, machine: &Machine) -> Result<(), SandboxError> {
        files::write(&self.machine_file(), machine)
    }
}
