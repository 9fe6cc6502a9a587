//! What `up` made, remembered so that `down` removes just that.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Home, files};
use crate::{error::SandboxError, machine::process::Process};

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

impl Home {
    pub(crate) fn made(&self) -> Made {
        files::read(&self.root().join("made.toml")).unwrap_or_default()
    }

    pub(crate) fn keep_made(&self, made: &Made) -> Result<(), SandboxError> {
        files::write(&self.root().join("made.toml"), made)
    }
}
