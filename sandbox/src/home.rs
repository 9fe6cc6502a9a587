//! The folder of the sandbox and what lies where in it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{error::SandboxError, layout::Layout, made};

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
        made::read(&self.machine_file()).unwrap_or_default()
    }

    /// Whether the machine was looked at.
    pub fn looked(&self) -> bool {
        self.machine_file().exists()
    }

    /// Names, addresses and ports of this sandbox; the usual ones when it was never made.
    pub fn layout(&self) -> Layout {
        made::read(&self.root.join("layout.toml")).unwrap_or_default()
    }

    /// The folder of downloads, which outlives the sandbox.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Keeps what was found out about the machine, in one piece: a file that is there says that it was looked at.
    pub(crate) fn remember(&self, machine: &Machine) -> Result<(), SandboxError> {
        made::write(&self.machine_file(), machine)
    }
}

/// What was found out about the machine when the sandbox was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Whether a service's virtual address answers, which takes IPVS in the kernel. It does not where `/proc/net/ip_vs` is absent
    /// once a container is on an overlay network; where the table is there, a connection by a service's name decided.
    pub ipvs: bool,
    /// Whether a container registry answers. Where none does, images are never looked up remotely.
    pub registry: bool,
}
