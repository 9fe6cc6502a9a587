//! The names, addresses and ports of a sandbox.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

/// Everything that two sandboxes on one machine must not share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The engine's socket.
    pub engine: PathBuf,
    /// What the names of the sandbox's own containers begin with.
    pub prefix: String,
    /// Apps get `<name>.<zone>`.
    pub zone: String,
    /// The address of the machine that the ingress listens on.
    pub address: IpAddr,
    /// The ingress's port for HTTP, which redirects to HTTPS.
    pub http: u16,
    /// The ingress's port for HTTPS.
    pub https: u16,
    /// Whether the ingress listens on the address that containers reach the machine by, too.
    pub gateway: bool,
    /// The overlay network that public services are on.
    pub network: String,
    /// That network's addresses.
    pub subnet: String,
    /// The part of them that tasks get, so that the ingress can have one of its own.
    pub task_range: String,
    /// The ingress's own address in that network.
    pub ingress: IpAddr,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            engine: "/var/run/docker.sock".into(),
            prefix: "taster".into(),
            zone: "taster.test".into(),
            address: Ipv4Addr::LOCALHOST.into(),
            http: 80,
            https: 443,
            gateway: true,
            network: "proxy".into(),
            subnet: "10.201.0.0/16".into(),
            task_range: "10.201.128.0/17".into(),
            ingress: Ipv4Addr::new(10, 201, 1, 1).into(),
        }
    }
}

impl Layout {
    /// The name of the ingress's container.
    pub fn ingress_name(&self) -> String {
        format!("{}-ingress", self.prefix)
    }

    /// The name of the backup service, and of its volume.
    pub fn backup_name(&self) -> String {
        format!("{}-backup", self.prefix)
    }

    /// Where the host reaches the ingress over HTTPS.
    pub fn ingress_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.https)
    }
}

/// What `up` needs to know besides the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Names, addresses, ports.
    pub layout: Layout,
    /// The binary of taster: it runs the agent, and the two-line `abra` calls it.
    pub exe: PathBuf,
    /// A real abra, where one is in `PATH`.
    pub abra: Option<PathBuf>,
}
