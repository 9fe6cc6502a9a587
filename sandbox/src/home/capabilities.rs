//! What the machine can do, probed once when the sandbox is made.

use serde::{Deserialize, Serialize};

/// What was found out about the machine when the sandbox was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Whether a service's virtual address answers, which takes IPVS in the kernel. It does not where `/proc/net/ip_vs` is absent
    /// once a container is on an overlay network; where the table is there, a connection by a service's name decided.
    pub ipvs: bool,
    /// Whether a container registry answers. Where none does, images are never looked up remotely.
    pub registry: bool,
}
