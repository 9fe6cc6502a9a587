//! What is ours: the durable word that something belongs to a run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::names::{EngineId, RunId, StackName};

/// The word that `what` is `run`'s on the Swarm `engine`, written to the journal before the act that makes it true.
///
/// Only [`crate::journal::Journal::claim`] and the journal's reader make one, so holding a claim proves that it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    run: RunId,
    engine: EngineId,
    what: Claimed,
}

impl Claim {
    pub(crate) fn new(run: RunId, engine: EngineId, what: Claimed) -> Self {
        Self { run, engine, what }
    }

    /// The run that it belongs to.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The Swarm on which it is.
    pub fn engine(&self) -> &EngineId {
        &self.engine
    }

    /// What is claimed.
    pub fn what(&self) -> &Claimed {
        &self.what
    }
}

/// What a claim covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "claimed", rename_all = "kebab-case")]
pub enum Claimed {
    /// A stack and everything that is named after it: services, containers, networks, volumes, secrets, configs.
    Stack {
        /// The stack's name, which no other run ever has.
        name: StackName,
    },
    /// abra's file for the app.
    EnvFile {
        /// Its absolute path.
        path: PathBuf,
    },
    /// A folder of the run's own, such as its `ABRA_DIR`.
    Dir {
        /// Its absolute path.
        path: PathBuf,
    },
    /// The config on the Swarm that tells other machines whose stack this is.
    Marker {
        /// The config's name, `taster-<run>`.
        name: String,
    },
}
