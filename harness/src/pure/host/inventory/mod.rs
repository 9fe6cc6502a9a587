//! Everything on a Swarm and in our folders at one moment, and what changed between two moments.

pub mod diff;

use crate::model::object::{ObjectId, ObjectKind};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::names::{Domain, EngineId, StackName};

/// All objects of one Swarm, ours and others'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// The Swarm.
    pub engine: EngineId,
    /// Its objects.
    pub objects: BTreeMap<ObjectId, Object>,
    /// The files and folders that are watched and exist, each with a digest of what it holds.
    pub files: BTreeMap<PathBuf, String>,
    /// The snapshots of claimed apps, as far as somebody asked for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snapshots: BTreeMap<Domain, Vec<String>>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// The stack that its label names, when it has that label.
    pub stack: Option<StackName>,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// A digest that changes when somebody changes the object: its version index where it has one.
    pub version: String,
    /// What cannot be removed as long as this object is there: the volumes and networks of a container, and of a service its
    /// secrets and configs too. A task and a container use no service, although they belong to one.
    pub uses: BTreeSet<ObjectId>,
}

impl Inventory {
    /// The same inventory without its objects of these kinds.
    pub fn without(&self, kinds: &[ObjectKind]) -> Self {
        let mut inventory = self.clone();
        inventory.objects.retain(|id, _| !kinds.contains(&id.kind));
        inventory
    }

    /// The object in words: `volume shop_data`.
    pub fn describe(&self, id: &ObjectId) -> String {
        let name = self.objects.get(id).map_or(id.id.as_str(), |object| object.name.as_str());
        format!("{} {name}", id.kind)
    }
}

/// What a run changed in the inventory that it should not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CleanupResult {
    /// Objects and files of the run that are still there.
    #[serde(alias = "residue")]
    pub leaked: Vec<String>,
    /// Objects of others that a call or claim of the run changed.
    #[serde(alias = "bystanders")]
    pub changed_bystanders: Vec<String>,
    /// What somebody else changed meanwhile; shown, never counted.
    pub others: Vec<String>,
    /// What a setting of the host says not to count, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

impl CleanupResult {
    /// Whether nothing of the run is left and nothing of others was changed by it.
    pub fn clean(&self) -> bool {
        self.leaked.is_empty() && self.changed_bystanders.is_empty()
    }
}
