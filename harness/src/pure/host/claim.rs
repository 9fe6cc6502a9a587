//! What is ours: the durable word that something belongs to a run.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        names::{Domain, EngineId, RunId, ServiceName, StackName},
        object::{ObjectId, ObjectKind},
    },
    pure::host::inventory::{Inventory, Object},
};

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

    /// Whether the object of `inventory` is this claim's. An object of another Swarm never is.
    ///
    /// The name is the claim. An object with another stack's label is never ours, however its name begins; one without a
    /// stack label (abra makes its secrets so) is the stack's with the longest name that owns it. One with our label and
    /// another name, as a compose file can ask for, is ours if nobody can have labelled it afterwards.
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

    /// Whether a file bears the name that abra gives to the `.env` of this claim's app, wherever it lies.
    pub fn names(&self, path: &Path) -> bool {
        let Claimed::Stack { name } = &self.what else { return false };
        let domain = path.file_name().and_then(|file| file.to_str()?.strip_suffix(".env")?.parse().ok());
        domain.is_some_and(|domain| StackName::of(&domain) == *name)
    }

    /// Whether the file or folder is this claim's.
    pub fn covers_path(&self, path: &Path) -> bool {
        match &self.what {
            Claimed::EnvFile { path: claimed } => path == claimed,
            Claimed::Dir { path: claimed } => path.starts_with(claimed),
            Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => false,
        }
    }
}

/// Whether the engine keeps the labels that an object was made with. Labels of secrets and configs can be set on an
/// existing one, and `docker stack deploy` does that to any that bears the wanted name.
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
    /// Why this cannot be claimed at all, when it cannot. A sweep removes what is claimed, so a path has to be one that only
    /// means itself: absolute, without `..`, and not a folder at the top of the file system.
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

/// What a claim covers.
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
    /// A folder of the run's own, such as its `ABRA_DIR`.
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
    /// The config on the Swarm that tells other machines whose stack this is.
    Marker {
        /// The config's name, `taster-<run>`.
        name: String,
    },
}
