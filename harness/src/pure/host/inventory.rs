//! The inventory: everything on a Swarm and in the watched folders at one moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    names::{Domain, StackName, SwarmId},
    object::{ObjectId, ObjectKind},
};

/// All objects of one Swarm, those of the run and those of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// The Swarm.
    pub engine: SwarmId,
    /// Its objects.
    pub objects: BTreeMap<ObjectId, Object>,
    /// The files and folders that are watched and exist, each with a digest of what it holds.
    pub files: BTreeMap<PathBuf, String>,
    /// The snapshots of claimed apps, where the backup service was asked for them.
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
    /// A digest that changes with the object: its version index where it has one.
    pub version: String,
    /// The objects that cannot be removed as long as this one is there: the volumes and networks of a container, and of a service
    /// its secrets and configs too. A task and a container use no service, although they belong to one.
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

/// The difference between the inventories before and after a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CleanupResult {
    /// Objects and files of the run that are still there.
    #[serde(alias = "residue")]
    pub leaked: Vec<String>,
    /// Objects of others that a call or claim of the run changed.
    #[serde(alias = "bystanders")]
    pub changed_bystanders: Vec<String>,
    /// Changes of others during the run; they are shown and never counted.
    pub others: Vec<String>,
    /// Changes that a setting of the host ignores, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

impl CleanupResult {
    /// Whether the run leaked nothing and changed nothing of others.
    pub fn clean(&self) -> bool {
        self.leaked.is_empty() && self.changed_bystanders.is_empty()
    }
}
