//! The record of what `up` created, so that `down` removes nothing else.

use std::{collections::BTreeSet, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Home, files};
use crate::{error::SandboxError, machine::process::Process};

/// The objects of machine and engine that the sandbox created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CreatedObjects {
    /// The engine that was started.
    #[serde(default)]
    pub(crate) dockerd: Option<Process>,
    /// The id of the Swarm.
    #[serde(default)]
    pub(crate) swarm: Option<String>,
    /// The id of the network.
    #[serde(default)]
    pub(crate) network: Option<String>,
    /// The names of the images that were assembled or imported.
    #[serde(default)]
    pub(crate) images: BTreeSet<String>,
}

impl Home {
    fn created_file(&self) -> PathBuf {
        self.root().join("made.toml")
    }

    pub(crate) fn created(&self) -> CreatedObjects {
        files::read(&self.created_file()).unwrap_or_default()
    }

    pub(crate) fn save_created(&self, created: &CreatedObjects) -> Result<(), SandboxError> {
        files::write(&self.created_file(), created)
    }
}
