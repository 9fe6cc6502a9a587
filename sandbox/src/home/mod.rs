//! The folder of the sandbox: the path of each file in it, and what `up` keeps there.

mod capabilities;
pub(crate) mod created;
pub(crate) mod files;
pub(crate) mod host_file;
pub(crate) mod lock;

use std::path::{Path, PathBuf};

pub use capabilities::Capabilities;

use serde::{Deserialize, Serialize};

use crate::{engine_line::EngineLine, error::SandboxError, layout::Layout};

/// The sandbox's folder, by default `taster/sandbox` in the user's state folder.
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

    /// The folder with its symbolic links resolved, so that a folder has the same name whichever way it was reached.
    pub(crate) fn canonical_root(&self) -> PathBuf {
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

    /// The folder of downloads, which `down` keeps.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    fn engine_file(&self) -> PathBuf {
        self.root.join("engine.toml")
    }

    /// The line that the sandbox's engine was built from; `None` for the machine's own engine.
    pub fn engine_line(&self) -> Option<EngineLine> {
        files::read::<StartedLine>(&self.engine_file()).map(|started| started.line)
    }

    pub(crate) fn save_engine_line(&self, line: EngineLine) -> Result<(), SandboxError> {
        files::write(&self.engine_file(), &StartedLine { line })
    }

    /// The folder of the programs of the sandbox's engine; `None` for the machine's own engine.
    pub fn engine_programs(&self) -> Option<PathBuf> {
        self.engine_line().map(|line| line.folder(&self.cache()))
    }

    /// The folder with the images, containers and volumes of an engine that the sandbox built.
    pub(crate) fn engine_data(&self) -> PathBuf {
        self.root.join("engine")
    }

    fn layout_file(&self) -> PathBuf {
        self.root.join("layout.toml")
    }

    fn capabilities_file(&self) -> PathBuf {
        self.root.join("machine.toml")
    }

    /// Names, addresses and ports of this sandbox; the default ones before its first `up`.
    pub fn layout(&self) -> Layout {
        files::read(&self.layout_file()).unwrap_or_default()
    }

    pub(crate) fn save_layout(&self, layout: &Layout) -> Result<(), SandboxError> {
        files::write(&self.layout_file(), layout)
    }

    /// What the machine can do; before it was probed, nothing.
    pub fn capabilities(&self) -> Capabilities {
        files::read(&self.capabilities_file()).unwrap_or_default()
    }

    /// Whether the machine was probed.
    pub fn is_probed(&self) -> bool {
        self.capabilities_file().exists()
    }

    /// Writes the file that also marks the machine as probed.
    pub(crate) fn save_capabilities(&self, capabilities: &Capabilities) -> Result<(), SandboxError> {
        files::write(&self.capabilities_file(), capabilities)
    }
}

/// The content of the file that names the line of the sandbox's engine.
#[derive(Debug, Serialize, Deserialize)]
struct StartedLine {
    line: EngineLine,
}
