//! Everything on a Swarm and in our folders at one moment, and what changed between two moments.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::model::names::{EngineId, StackName};

/// All objects of one Swarm, ours and others'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// The Swarm.
    pub engine: EngineId,
    /// Its objects.
    pub objects: BTreeMap<ObjectId, Object>,
    /// The files and folders that are watched and exist, each with a digest of what it holds.
    pub files: BTreeMap<PathBuf, String>,
}

/// An object's identity. Volumes have no id, their name stands for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// What it is.
    pub kind: ObjectKind,
    /// The engine's id of it.
    pub id: String,
}

/// What an object is. The order is that in which they can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// A Swarm service.
    Service,
    /// A container, of a task or plain.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// A Swarm secret.
    Secret,
    /// A Swarm config.
    Config,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// The stack that its label names, when it has that label.
    pub stack: Option<StackName>,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// A digest that changes when somebody changes the object: its version index where it has one.
    pub version: String,
    /// The names of the volumes that a container mounts and the ids of the networks that it is in; empty for others.
    pub uses: BTreeSet<String>,
}

/// What a run changed in the world that it should not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hygiene {
    /// What is still there of the run.
    pub residue: Vec<String>,
    /// What a call or claim of the run changed although it is not the run's.
    pub bystanders: Vec<String>,
    /// What somebody else changed meanwhile; shown, never counted.
    pub others: Vec<String>,
}

impl Hygiene {
    /// Whether nothing of the run is left and nothing of others was changed by it.
    pub fn clean(&self) -> bool {
        self.residue.is_empty() && self.bystanders.is_empty()
    }
}
