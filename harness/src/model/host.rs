//! A host: a Swarm that taster may deploy to, as its host file describes it.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::names::Zone;

/// What a host file holds. Paths are absolute once loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Apps get `<name>.<zone>`.
    pub zone: Zone,
    /// The abra to drive; a bare name is looked up in `PATH`.
    #[serde(default = "default_abra")]
    pub abra: PathBuf,
    /// abra's name for the server; `default` is the local one.
    #[serde(default = "default_server")]
    pub server: String,
    /// The engine's socket.
    #[serde(default = "default_engine")]
    pub engine: PathBuf,
    /// The address that the zone's names resolve to, for when DNS does not know them.
    #[serde(default)]
    pub ingress: Option<SocketAddr>,
    /// A PEM file with certificates to trust besides the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

fn default_abra() -> PathBuf {
    "abra".into()
}

fn default_server() -> String {
    "default".into()
}

fn default_engine() -> PathBuf {
    "/var/run/docker.sock".into()
}
