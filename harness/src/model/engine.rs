//! Properties of an engine and its Swarm, and the errors of calls to it.

use std::{collections::BTreeSet, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{names::SwarmId, time::Wall};

/// Properties of an engine, by its own API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its version: `20.10.24`.
    pub version: String,
    /// The newest API version that it supports: `1.41`.
    pub api: String,
    /// The id of the Swarm that it manages; absent when it is not a manager of one.
    pub swarm: Option<SwarmId>,
    /// Whether it is a worker of a Swarm.
    pub worker: bool,
    /// Whether it runs without root, and so has no overlay networks.
    pub rootless: bool,
    /// The host name of the machine that it runs on.
    pub machine: String,
    /// That machine's kernel release.
    pub kernel: String,
    /// That machine's total memory in bytes; absent when the engine does not report it.
    pub memory: Option<u64>,
    /// That machine's number of processors; absent when the engine does not report it.
    #[serde(default)]
    pub cpus: Option<u64>,
    /// The folder in which it keeps images and volumes.
    pub root: PathBuf,
    /// How many nodes the Swarm has; 0 when the engine manages none.
    pub nodes: u64,
    /// Its clock when it answered.
    pub clock: Option<Wall>,
}

/// Resources of a Swarm that can run out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmResources {
    /// The address pools that new overlay networks get their subnets from, as `10.0.0.0/8`.
    pub pools: Vec<String>,
    /// The prefix length of each new subnet.
    pub subnet_bits: u8,
    /// The subnets that overlay networks have.
    pub subnets: Vec<String>,
    /// The subnet of the network `proxy`, and how many of its addresses are in use; absent without such a network.
    pub proxy: Option<(String, u64)>,
    /// The published ports in use.
    pub ports: BTreeSet<Taken>,
    /// A service address to try from within the network of a process on the engine's machine.
    pub address: Option<ServiceAddress>,
}

/// A published port in use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taken {
    /// The port.
    pub port: Port,
    /// The service or container that publishes it.
    pub by: String,
}

/// The virtual address of a running service, and from where it can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAddress {
    /// The service.
    pub service: String,
    /// Its virtual address with a port that its tasks listen on.
    pub at: SocketAddr,
    /// A process whose network namespace reaches that address.
    pub from: i32,
}

/// Why a call to the engine failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwarmError {
    /// No process listens on its socket.
    #[error("no engine answers at {socket}")]
    Absent {
        /// The socket.
        socket: String,
    },
    /// The user has no permission to use its socket.
    #[error("no permission to use the engine at {socket}")]
    NotPermitted {
        /// The socket.
        socket: String,
    },
    /// It did not answer in time.
    #[error("the engine did not answer {call} within {after:?}")]
    Silent {
        /// The call.
        call: String,
        /// The time-out.
        after: Duration,
    },
    /// The object is in use (HTTP 409), or a precondition does not hold yet.
    #[error("the engine refuses {call}: {message}")]
    Refused {
        /// The call.
        call: String,
        /// The engine's sentence.
        message: String,
    },
    /// Any other error, or an answer that cannot be parsed.
    #[error("the engine answers {call} with: {message}")]
    Failed {
        /// The call.
        call: String,
        /// The engine's sentence.
        message: String,
    },
}

/// A port of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Whether it is UDP; else it is TCP.
    pub udp: bool,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, if self.udp { "udp" } else { "tcp" })
    }
}
