//! The resolved compose files of a recipe.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::env::Modifiers;
use crate::{
    model::names::{ImageRef, ServiceName, StackName},
    pure::host::converge::{Endpoint, Health, Mode, RestartPolicy, RollPolicy, health_allowance, roll_budget_of},
};

/// The resolved app, with names on the Swarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// The stack.
    pub stack: StackName,
    /// The version of the files' format.
    #[serde(default)]
    pub version: String,
    /// The services by their names in the compose files.
    pub services: BTreeMap<String, Service>,
    /// The networks, including the implicit `default` when a service uses it.
    pub networks: BTreeMap<String, Network>,
    /// The volumes.
    pub volumes: BTreeMap<String, Volume>,
    /// The secrets.
    pub secrets: BTreeMap<String, Secret>,
    /// The configs.
    pub configs: BTreeMap<String, Config>,
    /// Keys of the files that this type does not model.
    pub skipped: Vec<Skipped>,
}

/// An unmodelled key of the files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// Its path, as `services.app.sysctls`.
    pub path: String,
    /// Its value in canonical form, as JSON.
    #[serde(default)]
    pub value: String,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name on the Swarm.
    pub name: ServiceName,
    /// Its image.
    pub image: ImageRef,
    /// Its mode. A global job counts as one completion.
    pub mode: Mode,
    /// The entrypoint; empty for the image's.
    pub entrypoint: Vec<String>,
    /// The arguments; empty for the image's.
    pub command: Vec<String>,
    /// The user inside the container.
    pub user: Option<String>,
    /// The variables; one without a value removes the image's.
    pub environment: BTreeMap<String, Option<String>>,
    /// The files of variables, relative to the recipe's folder.
    pub env_files: Vec<String>,
    /// The labels of the service (`deploy.labels`).
    pub labels: BTreeMap<String, String>,
    /// The labels of its containers.
    pub container_labels: BTreeMap<String, String>,
    /// The health check.
    pub health: Health,
    /// The health check's test as Docker has it, `CMD` or `CMD-SHELL` first; empty without one.
    pub health_test: Vec<String>,
    /// The update policy.
    pub roll: RollPolicy,
    /// The restart policy.
    pub restart: RestartPolicy,
    /// The published ports.
    pub ports: Vec<Port>,
    /// The mounts.
    pub mounts: Vec<Mount>,
    /// Its networks.
    pub networks: Vec<Attachment>,
    /// Its secrets.
    pub secrets: Vec<Use>,
    /// Its configs.
    pub configs: Vec<Use>,
    /// Additional kernel capabilities.
    pub cap_add: Vec<String>,
    /// `privileged`, which stacks ignore.
    pub privileged: bool,
    /// `network_mode`, which stacks ignore.
    pub network_mode: Option<String>,
    /// `pid`, which stacks ignore.
    pub pid: Option<String>,
    /// `ipc`, which stacks ignore.
    pub ipc: Option<String>,
    /// `devices`, which stacks ignore.
    pub devices: Vec<String>,
    /// `security_opt`, which stacks ignore.
    pub security_opt: Vec<String>,
    /// `userns_mode`, which stacks ignore.
    pub userns_mode: Option<String>,
    /// `cgroup_parent`, which stacks ignore.
    pub cgroup_parent: Option<String>,
    /// The log driver; by default the engine's.
    pub log_driver: Option<String>,
    /// Its limits.
    pub limits: Resources,
    /// Its reservations.
    pub reservations: Resources,
    /// Its placement constraints.
    pub constraints: Vec<String>,
    /// Its endpoint mode.
    pub endpoint: Endpoint,
    /// The stop grace period of a task; by default the engine's ten seconds.
    pub stop_grace_period: Option<Duration>,
}

impl Service {
    /// The maximum duration from start to healthy.
    pub fn allowance(&self) -> Duration {
        health_allowance(&self.health)
    }

    /// The maximum duration of a rolling update over `slots` tasks.
    pub fn roll_budget(&self, slots: u64) -> Duration {
        roll_budget_of(&self.roll, &self.health, slots)
    }
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// The port on the node; by default chosen by the engine.
    pub published: Option<u16>,
    /// The port in the container.
    pub target: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Its publish mode.
    pub mode: PortMode,
}

/// The publish mode of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortMode {
    /// On every node, through the routing mesh.
    Ingress,
    /// On the nodes that run a task.
    Host,
}

/// A mount of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The path in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// The source.
    pub what: Mounted,
}

/// The source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Mounted {
    /// A declared volume.
    Volume {
        /// Its name in the compose files.
        source: String,
        /// Its name on the Swarm.
        name: String,
        /// Whether the image's files at the path are not copied into a new volume.
        nocopy: bool,
        /// The folder within the volume.
        subpath: Option<String>,
    },
    /// An anonymous volume, new for each task.
    Anonymous,
    /// A file or folder of the node.
    Bind {
        /// Its path; relative to the recipe's folder unless absolute.
        source: String,
        /// The mount propagation.
        propagation: Option<String>,
    },
    /// Memory.
    Tmpfs {
        /// Its size in bytes.
        size: Option<u64>,
    },
    /// Another kind: `npipe`, `cluster`, `image`.
    Other {
        /// The kind.
        kind: String,
        /// Its source.
        source: String,
    },
}

/// The attachment of a service to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name in the compose files.
    pub network: String,
    /// The network's name on the Swarm.
    pub name: String,
    /// The service's aliases there.
    pub aliases: Vec<String>,
}

/// The use of a secret or a config by a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Its name in the compose files.
    pub source: String,
    /// Its name on the Swarm.
    pub name: String,
    /// The file in the container: a name below `/run/secrets` for secrets, below `/` for configs, or a path.
    pub target: String,
}

/// Memory and processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processors in billionths.
    pub nano_cpus: Option<u64>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name on the Swarm.
    pub name: String,
    /// Whether it is external.
    pub external: bool,
    /// Its driver; `overlay` without one.
    pub driver: Option<String>,
    /// The driver's options.
    pub driver_opts: BTreeMap<String, String>,
    /// Whether containers outside of services may attach.
    pub attachable: bool,
    /// Whether it is internal.
    pub internal: bool,
    /// Its subnets.
    pub subnets: Vec<String>,
    /// The IPAM driver.
    pub ipam_driver: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name on the nodes.
    pub name: String,
    /// Whether it is external.
    pub external: bool,
    /// Its driver; `local` without one.
    pub driver: Option<String>,
    /// The driver's options.
    pub driver_opts: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name on the Swarm.
    pub name: String,
    /// Whether it is external, as all secrets that abra generates.
    pub external: bool,
    /// The file with its value, relative to the recipe's folder.
    pub file: Option<String>,
    /// The template driver.
    pub template_driver: Option<String>,
    /// Its modifiers in the `.env`.
    pub modifiers: Modifiers,
    /// Whether a service uses it.
    pub used: bool,
}

/// A config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Its name on the Swarm.
    pub name: String,
    /// Whether it is external.
    pub external: bool,
    /// The file with its content, relative to the recipe's folder.
    pub file: Option<String>,
    /// The file's text; absent when it is not text or not of the recipe.
    pub content: Option<String>,
    /// The template driver.
    pub template_driver: Option<String>,
}

impl Network {
    /// The implicit network of services without `networks`.
    pub(super) fn implicit(name: String) -> Self {
        Self {
            name,
            external: false,
            driver: None,
            driver_opts: BTreeMap::new(),
            attachable: false,
            internal: false,
            subnets: Vec::new(),
            ipam_driver: None,
            labels: BTreeMap::new(),
        }
    }
}
