//! What a recipe's files come to, as one owned value.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::env::Modifiers;
use crate::{
    model::names::{ImageRef, ServiceName, StackName},
    pure::host::converge::{Endpoint, Health, Mode, RestartPolicy, RollPolicy, health_allowance, roll_budget_of},
};

/// An app as its files describe it, with the names that Swarm will have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// The stack that the names are made for.
    pub stack: StackName,
    /// The services by the name that the files give them.
    pub services: BTreeMap<String, Service>,
    /// The networks, the implicit `default` too when a service uses it.
    pub networks: BTreeMap<String, Network>,
    /// The volumes.
    pub volumes: BTreeMap<String, Volume>,
    /// The secrets.
    pub secrets: BTreeMap<String, Secret>,
    /// The configs.
    pub configs: BTreeMap<String, Config>,
    /// All that the files say and that is in none of the above.
    pub skipped: Vec<Skipped>,
}

/// Something that the files say and that is not modelled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// Where, as `services.app.sysctls`.
    pub path: String,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name on the Swarm.
    pub name: ServiceName,
    /// Its image.
    pub image: ImageRef,
    /// How many tasks it wants. A job on each node counts as one.
    pub mode: Mode,
    /// What runs in place of the image's entrypoint; empty when the image decides.
    pub entrypoint: Vec<String>,
    /// The arguments; empty when the image decides.
    pub command: Vec<String>,
    /// The user inside the container.
    pub user: Option<String>,
    /// The variables; one without a value is taken away from the image's.
    pub environment: BTreeMap<String, Option<String>>,
    /// The files that some of the variables came from, relative to the recipe's folder.
    pub env_files: Vec<String>,
    /// The labels of the service (`deploy.labels`).
    pub labels: BTreeMap<String, String>,
    /// The labels of its containers.
    pub container_labels: BTreeMap<String, String>,
    /// The health check.
    pub health: Health,
    /// What the health check runs, as Docker has it: `CMD` or `CMD-SHELL` first; empty when the files give none.
    pub health_test: Vec<String>,
    /// How an update is rolled out.
    pub roll: RollPolicy,
    /// When an ended task is started again.
    pub restart: RestartPolicy,
    /// The published ports.
    pub ports: Vec<Port>,
    /// The mounts.
    pub mounts: Vec<Mount>,
    /// The networks that it is in.
    pub networks: Vec<Attachment>,
    /// The secrets that it gets.
    pub secrets: Vec<Use>,
    /// The configs that it gets.
    pub configs: Vec<Use>,
    /// Kernel capabilities on top of Docker's default ones.
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
    /// The log driver; the engine's own without one.
    pub log_driver: Option<String>,
    /// What it may use at most.
    pub limits: Resources,
    /// What a node must have free for it.
    pub reservations: Resources,
    /// On which nodes it may run.
    pub constraints: Vec<String>,
    /// How its name resolves.
    pub endpoint: Endpoint,
    /// How long a task may take to stop; the engine's ten seconds without it.
    pub stop_grace_period: Option<Duration>,
}

impl Service {
    /// How long it may take from its start to its first healthy moment.
    pub fn allowance(&self) -> Duration {
        health_allowance(&self.health)
    }

    /// How long a roll over `slots` tasks may take, by its own numbers.
    pub fn roll_budget(&self, slots: u64) -> Duration {
        roll_budget_of(&self.roll, &self.health, slots)
    }
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// The port on the node; the engine chooses one without it.
    pub published: Option<u16>,
    /// The port in the container.
    pub target: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Where it is published.
    pub mode: PortMode,
}

/// Where a port is published.
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
    /// What is mounted.
    pub what: Mounted,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Mounted {
    /// A volume that the files declare.
    Volume {
        /// The name that the files give it.
        source: String,
        /// Its name on the Swarm.
        name: String,
        /// Whether what the image has at the path is kept out of a new volume.
        nocopy: bool,
        /// The folder within the volume.
        subpath: Option<String>,
    },
    /// A volume without a name, for each task a new one.
    Anonymous,
    /// A file or folder of the node.
    Bind {
        /// Its path; a relative one is seen from the recipe's folder.
        source: String,
        /// How mounts below it propagate.
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

/// A service in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The name that the files give the network.
    pub network: String,
    /// The network's name on the Swarm.
    pub name: String,
    /// More names for the service there, besides its own.
    pub aliases: Vec<String>,
}

/// The use of a secret or a config by a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The name that the files give it.
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
    /// Whether it has to be there already.
    pub external: bool,
    /// Its driver; `overlay` without one.
    pub driver: Option<String>,
    /// The driver's options.
    pub driver_opts: BTreeMap<String, String>,
    /// Whether containers outside of services may join.
    pub attachable: bool,
    /// Whether it leads nowhere else.
    pub internal: bool,
    /// Its subnets.
    pub subnets: Vec<String>,
    /// The driver of its addresses.
    pub ipam_driver: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name on the nodes.
    pub name: String,
    /// Whether it has to be there already.
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
    /// Whether it has to be there already, as all that abra makes.
    pub external: bool,
    /// The file with its value, relative to the recipe's folder.
    pub file: Option<String>,
    /// What fills templates in it.
    pub template_driver: Option<String>,
    /// How it is generated, by the comment in the `.env`.
    pub modifiers: Modifiers,
    /// Whether a service uses it.
    pub used: bool,
}

/// A config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Its name on the Swarm.
    pub name: String,
    /// Whether it has to be there already.
    pub external: bool,
    /// The file with its content, relative to the recipe's folder.
    pub file: Option<String>,
    /// The file's text; absent for a file that is no text or not of the recipe.
    pub content: Option<String>,
    /// What fills templates in it.
    pub template_driver: Option<String>,
}

impl Network {
    /// The network that services share when their files say nothing of networks.
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
