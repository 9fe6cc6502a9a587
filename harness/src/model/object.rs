//! Objects of a Swarm by kind and id.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object's identity. Volumes have no id; their name serves as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ObjectId {
    /// What it is.
    pub kind: ObjectKind,
    /// The engine's id of it.
    pub id: String,
}

/// The kind of an object, ordered as objects can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// A Swarm service.
    Service,
    /// A task that has not ended. It cannot be removed, only waited for: its node may still create its container.
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

impl ObjectKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 7] =
        [Self::Service, Self::Task, Self::Container, Self::Network, Self::Volume, Self::Secret, Self::Config];

    /// The name in messages.
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
