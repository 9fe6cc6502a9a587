//! Privileges: what a recipe can ask for beyond its own stack.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that a recipe's compose files can ask for and that reaches beyond its own stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Privilege {
    /// Files and folders of the node in a container: bind mounts, and volumes of the local driver with a `device` of the node.
    HostBinds,
    /// The Docker socket, or a folder that has it, in a container. Whoever has it is root on the node. No other privilege implies it.
    DockerSocket,
    /// The node's own network: `network_mode: host`, the network `host`, and networks by any driver but `overlay`.
    HostNetwork,
    /// `privileged: true`.
    Privileged,
    /// More of the kernel than Docker gives by default: `cap_add`, `devices`, `security_opt` other than `no-new-privileges`,
    /// `cgroup_parent`.
    Capabilities,
    /// The node's own processes, shared memory or users: `pid`, `ipc` and `userns_mode`.
    HostNamespaces,
    /// Networks other than the stack's own and `proxy`.
    ExternalNetworks,
    /// Secrets other than those of the stack. The ones that abra makes bear the stack's name and need nothing.
    ExternalSecrets,
    /// Configs other than those of the stack.
    ExternalConfigs,
    /// Volumes other than those of the stack, whether they are declared external or only named like another's.
    ExternalVolumes,
    /// Files from outside the recipe's folder as secret, config or `env_file`: absolute paths, paths that climb out, symbolic
    /// links that lead out.
    OutsideFiles,
    /// Volumes of network file systems, of clusters, or by drivers other than `local`.
    VolumeDrivers,
    /// Log drivers that send logs elsewhere: all but `json-file`, `local`, `journald` and `none`.
    LogDrivers,
    /// Executables below `tests/` of the recipe's own repository, which are run on this machine, as the user who runs taster. No
    /// other privilege implies it.
    Tests,
    /// Keys of the compose format whose power is not known to taster.
    UnknownFields,
}

impl Privilege {
    /// All privileges.
    pub const ALL: [Self; 15] = [
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

/// A text that names no privilege.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no privilege; there are {}", Privilege::ALL.map(Privilege::as_str).join(", "))]
pub struct NoPrivilege {
    /// The text.
    pub text: String,
}
