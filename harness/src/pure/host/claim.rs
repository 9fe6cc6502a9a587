//! Claims: the durable record that something belongs to a run.
//!
//! Cleanup removes what a claim covers and nothing else, so a name alone never makes an object ours when its label says
//! otherwise.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        names::{Domain, RunId, ServiceName, StackName, SwarmId},
        object::{ObjectId, ObjectKind},
    },
    pure::host::inventory::{Inventory, Object},
};

/// The record that `what` belongs to `run` on the Swarm `engine`, written to the journal before the act that makes it.
///
/// Only [`crate::journal::Journal::claim`] and the journal's reader make one, so holding a claim proves that it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    run: RunId,
    engine: SwarmId,
    what: Claimed,
}

impl Claim {
    pub(crate) fn new(run: RunId, engine: SwarmId, what: Claimed) -> Self {
        Self { run, engine, what }
    }

    /// The run that it belongs to.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The Swarm on which it is.
    pub fn engine(&self) -> &SwarmId {
        &self.engine
    }

    /// The claimed object, file or folder.
    pub fn what(&self) -> &Claimed {
        &self.what
    }

    /// Whether the claim covers an object of `inventory`. It never covers an object of another Swarm.
    ///
    /// The name is the claim. An object with another stack's label is never ours, however its name begins; one without a
    /// stack label (as abra makes secrets) belongs to the stack with the longest name that owns it. One with our label and
    /// another name, as a compose file can ask for, is ours if its labels cannot have been set later.
    pub fn covers(&self, inventory: &Inventory, id: &ObjectId) -> bool {
        let Some(object) = inventory.objects.get(id) else { return false };
        if inventory.engine != self.engine {
            return false;
        }
        match &self.what {
            Claimed::Stack { name } => match &object.stack {
                Some(label) if label == name => name.owns(&object.name) || labels_are_fixed(id.kind),
                Some(_) => false,
                None => name.owns(&object.name) && !owned_by_longer(inventory, name, object),
            },
            Claimed::Marker { name } => id.kind == ObjectKind::Config && object.stack.is_none() && object.name == *name,
            Claimed::EnvFile { .. } | Claimed::Dir { .. } | Claimed::Snapshots { .. } => false,
        }
    }

    /// Whether a file has the name that abra gives to the `.env` of this claim's app, in any folder.
    pub fn names(&self, path: &Path) -> bool {
        let Claimed::Stack { name } = &self.what else { return false };
        let domain = path.file_name().and_then(|file| file.to_str()?.strip_suffix(".env")?.parse().ok());
        domain.is_some_and(|domain| StackName::of(&domain) == *name)
    }

    /// Whether the claim covers the file or folder.
    pub fn covers_path(&self, path: &Path) -> bool {
        match &self.what {
            Claimed::EnvFile { path: claimed } => path == claimed,
            Claimed::Dir { path: claimed } => path.starts_with(claimed),
            Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => false,
        }
    }
}

/// Whether the labels of an object cannot change after it was made. Labels of secrets and configs can be set on an existing one,
/// and `docker stack deploy` sets them on any that has the wanted name.
fn labels_are_fixed(kind: ObjectKind) -> bool {
    match kind {
        ObjectKind::Task | ObjectKind::Container | ObjectKind::Network | ObjectKind::Volume => true,
        ObjectKind::Service | ObjectKind::Secret | ObjectKind::Config => false,
    }
}

/// Whether a stack of this inventory whose name goes on where `ours` ends owns the object: `shop_extra` owns `shop_extra_pw_v1`.
fn owned_by_longer(inventory: &Inventory, ours: &StackName, object: &Object) -> bool {
    let longer = |stack: &StackName| stack.as_str().len() > ours.as_str().len() && stack.owns(&object.name);
    inventory.objects.values().filter_map(|other| other.stack.as_ref()).any(longer)
}

impl Claimed {
    /// Why this cannot be claimed; absent when it can. Cleanup removes what is claimed, so a path has to be unambiguous:
    /// absolute, without `..`, and not a folder at the top of the file system.
    pub fn flaw(&self) -> Option<&'static str> {
        let (Claimed::EnvFile { path } | Claimed::Dir { path }) = self else { return None };
        let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let depth = path.components().filter(|part| matches!(part, Component::Normal(_))).count();
        match () {
            () if !path.is_absolute() => Some("the path is not absolute"),
            () if !plain => Some("the path contains `..`"),
            () if depth < 2 => Some("the path is at the top of the file system"),
            () => None,
        }
    }
}

impl fmt::Display for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claimed::Stack { name } => write!(f, "stack {name}"),
            Claimed::EnvFile { path } => write!(f, "file {}", path.display()),
            Claimed::Dir { path } => write!(f, "folder {}", path.display()),
            Claimed::Marker { name } => write!(f, "marker {name}"),
            Claimed::Snapshots { app, .. } => write!(f, "snapshots of {app}"),
        }
    }
}

/// The kinds of things that a run claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// A folder of the run, such as its `ABRA_DIR`.
    Dir {
        /// Its absolute path.
        path: PathBuf,
    },
    /// The app's snapshots in the backup service.
    Snapshots {
        /// The app, which no other run ever has.
        app: Domain,
        /// The backup service.
        service: ServiceName,
    },
    /// The config on the Swarm that shows other machines which run the stack belongs to.
    Marker {
        /// The config's name, `taster-<run>`.
        name: String,
    },
}
