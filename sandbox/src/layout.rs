//! The configuration of a sandbox.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::engine_line::EngineLine;

/// The names, addresses and ports of a sandbox. Two sandboxes on one machine must not share any of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The engine's socket.
    pub engine: PathBuf,
    /// The prefix of the names of the sandbox's own containers and services.
    pub prefix: String,
    /// The DNS zone: apps get `<name>.<zone>`.
    pub zone: String,
    /// The address of the machine that the ingress listens on.
    pub address: IpAddr,
    /// The ingress's port for HTTP, which redirects to HTTPS.
    pub http: u16,
    /// The ingress's port for HTTPS.
    pub https: u16,
    /// Whether the ingress also listens on the address by which containers reach the machine.
    pub gateway: bool,
    /// The overlay network of public services.
    pub network: String,
    /// The subnet of that network.
    pub subnet: String,
    /// The part of the subnet from which tasks get their addresses. The address of the ingress is outside of it.
    pub task_range: String,
    /// The address of the ingress in that network.
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

/// The input of `up` besides the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Names, addresses, ports.
    pub layout: Layout,
    /// The binary of taster, which runs the agent and the stand-in abra.
    pub exe: PathBuf,
    /// The real abra, when one is in `PATH`.
    pub abra: Option<PathBuf>,
    /// `$PATH`, for an engine that is started from the sandbox's folder.
    pub path: OsString,
    /// The line of the engine, which is built where it is absent. `None` keeps the sandbox's engine, or else the machine's.
    pub engine: Option<EngineLine>,
}
