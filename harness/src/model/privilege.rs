//! Privileges: what a recipe can ask for beyond its own stack.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A use of the host that reaches beyond the recipe's own stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Privilege {
    /// Files and folders of the node in a container: bind mounts, and volumes of the local driver with a `device` of the node.
    HostBinds,
    /// The Docker socket, or a folder that has it, in a container. It gives root on the node. No other privilege implies it.
    DockerSocket,
    /// The node's own network: `network_mode: host`, the network `host`, and networks by any driver but `overlay`.
    HostNetwork,
    /// `privileged: true`.
    Privileged,
    /// More kernel rights than Docker's defaults: `cap_add`, `devices`, `security_opt` other than `no-new-privileges`,
    /// `cgroup_parent`.
    Capabilities,
    /// The node's own processes, shared memory or users: `pid`, `ipc` and `userns_mode`.
    HostNamespaces,
    /// Networks other than the stack's own and `proxy`.
    ExternalNetworks,
    /// Secrets other than those of the stack. Secrets that abra generates carry the stack's name and need no privilege.
    ExternalSecrets,
    /// Configs other than those of the stack.
    ExternalConfigs,
    /// Volumes other than those of the stack, declared external or by name.
    ExternalVolumes,
    /// Files from outside the recipe's folder as secret, config or `env_file`: absolute paths, paths that climb out, symbolic
    /// links that lead out.
    OutsideFiles,
    /// Volumes of network file systems, of clusters, or by drivers other than `local`.
    VolumeDrivers,
    /// Log drivers that send logs elsewhere: all but `json-file`, `local`, `journald` and `none`.
    LogDrivers,
    /// Routers and names that could catch the visitors of other apps: a rule that takes more than the app's domain and names
    /// below it, or that cannot be read; names in Traefik without the stack's; certificates of other names; routers of UDP;
    /// aliases on a shared network such as `proxy`.
    ForeignRoutes,
    /// Executables below `tests/` of the recipe's own repository. They run on this machine as the user of taster. No other
    /// privilege implies it.
    Tests,
    /// Keys of the compose format that taster does not know.
    UnknownFields,
}

impl Privilege {
    /// All privileges.
    pub const ALL: [Self; 16] = [
        Self::HostBinds,
        Self::DockerSocket,
        Self::HostNetwork,
        Self::Privileged,
        Self::Capabilities,
        Self::HostNamespaces,
        Self::ExternalNetworks,
        Self::ExternalSecrets,
        Self::ExternalConfigs,
        Self::ExternalVolumes,
        Self::OutsideFiles,
        Self::VolumeDrivers,
        Self::LogDrivers,
        Self::ForeignRoutes,
        Self::Tests,
        Self::UnknownFields,
    ];

    /// Its name in the host file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostBinds => "host-binds",
            Self::DockerSocket => "docker-socket",
            Self::HostNetwork => "host-network",
            Self::Privileged => "privileged",
            Self::Capabilities => "capabilities",
            Self::HostNamespaces => "host-namespaces",
            Self::ExternalNetworks => "external-networks",
            Self::ExternalSecrets => "external-secrets",
            Self::ExternalConfigs => "external-configs",
            Self::ExternalVolumes => "external-volumes",
            Self::OutsideFiles => "outside-files",
            Self::VolumeDrivers => "volume-drivers",
            Self::LogDrivers => "log-drivers",
            Self::ForeignRoutes => "foreign-routes",
            Self::Tests => "tests",
            Self::UnknownFields => "unknown-fields",
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Privilege {
    type Err = NoPrivilege;

    fn from_str(text: &str) -> Result<Self, NoPrivilege> {
        let found = Self::ALL.into_iter().find(|privilege| privilege.as_str() == text);
        found.ok_or_else(|| NoPrivilege { text: text.to_owned() })
    }
}

/// A text that is not a privilege.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a privilege; there are {}", Privilege::ALL.map(Privilege::as_str).join(", "))]
pub struct NoPrivilege {
    /// The text.
    pub text: String,
}
