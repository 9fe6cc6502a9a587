//! What the machine can do, probed once when the sandbox is made.

use serde::{Deserialize, Serialize};

/// What the machine can do. The default is what works everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Whether a service's virtual address answers, which takes IPVS in the kernel. It does not where `/proc/net/ip_vs` is
    /// absent once a container is on an overlay network; where the table exists, a connection by a service's name decides.
    pub ipvs: bool,
    /// Whether a container registry answers. Without one, images are never looked up remotely.
    pub registry: bool,
}
