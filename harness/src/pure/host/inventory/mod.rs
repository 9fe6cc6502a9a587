//! Everything on a Swarm and in our folders at one moment, and what changed between two moments.

mod ignore;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

pub use ignore::{Day, Ignore, Pattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::names::{Domain, EngineId, StackName},
    pure::host::claim::Claim,
};

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

/// An object's identity. Volumes have no id, their name stands for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ObjectId {
    /// What it is.
    pub kind: ObjectKind,
    /// The engine's id of it.
    pub id: String,
}

/// What an object is. The order is that in which they can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// A Swarm service.
    Service,
    /// A task that has not ended. It cannot be removed, only waited for: while it lives the node may still make its container.
    Task,
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

impl ObjectKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 7] =
        [Self::Service, Self::Task, Self::Container, Self::Network, Self::Volume, Self::Secret, Self::Config];

    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            ObjectKind::Service => "service",
            ObjectKind::Task => "task",
            ObjectKind::Container => "container",
            ObjectKind::Network => "network",
            ObjectKind::Volume => "volume",
            ObjectKind::Secret => "secret",
            ObjectKind::Config => "config",
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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

/// What a run left and changed, from the inventory before it, the inventory after it, its claims, and the objects that its own calls
/// named.
///
/// An object under a claim that was not there before is residue. One that *was* there before is somebody else's, whatever its
/// name: if it changed or vanished, the claim is to blame. All other changes are ours only if a call of ours named the object.
/// Changes that one of `ignores` covers are not counted; what is left of the run always is.
pub fn diff(
    before: &Inventory,
    after: &Inventory,
    claims: &[Claim],
    touched: &BTreeSet<ObjectId>,
    ignores: &[&Ignore],
) -> CleanupResult {
    let mut cleanup_result = CleanupResult::default();
    let told = |what: &str, change: &str, ours: bool, cleanup_result: &mut CleanupResult| match ignores
        .iter()
        .find(|ignore| ignore.covers(what))
    {
        Some(ignore) => cleanup_result.ignored.push(format!("{what} {change}: {}, until {}", ignore.reason, ignore.until)),
        None if ours => cleanup_result.changed_bystanders.push(format!("{what} {change}")),
        None => cleanup_result.others.push(format!("{what} {change}")),
    };
    for id in before.objects.keys().chain(after.objects.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.objects.get(id), after.objects.get(id));
        let covered = claims.iter().any(|claim| claim.covers(before, id) || claim.covers(after, id));
        let change = match (old, new) {
            (None, Some(_)) if covered => {
                cleanup_result.leaked.push(after.describe(id));
                continue;
            }
            (None, Some(_)) => "appeared",
            (Some(_), None) => "vanished",
            (Some(old), Some(new)) if old != new => "changed",
            _ => continue,
        };
        let what = if new.is_some() { after.describe(id) } else { before.describe(id) };
        told(&what, change, covered || touched.contains(id), &mut cleanup_result);
    }
    for path in before.files.keys().chain(after.files.keys()).collect::<BTreeSet<_>>() {
        let covered = claims.iter().any(|claim| claim.covers_path(path) || claim.names(path));
        let what = format!("file {}", path.display());
        let change = match (before.files.get(path), after.files.get(path)) {
            (None, Some(_)) if covered => {
                cleanup_result.leaked.push(what);
                continue;
            }
            (None, Some(_)) => "appeared",
            (Some(_), None) => "vanished",
            (old, new) if old != new => "changed",
            _ => continue,
        };
        told(&what, change, covered, &mut cleanup_result);
    }
    cleanup_result
}
