//! What an engine and its Swarm say of themselves, and how they fail to answer.

use std::{collections::BTreeSet, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{names::EngineId, time::Wall};

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its version: `20.10.24`.
    pub version: String,
    /// The newest API version that it speaks: `1.41`.
    pub api: String,
    /// The id of the Swarm that it manages; absent when it is not a manager of one.
    pub swarm: Option<EngineId>,
    /// Whether it is part of a Swarm without managing it.
    pub worker: bool,
    /// Whether it runs without root, and so has no overlay networks.
    pub rootless: bool,
    /// The host name of the machine that it runs on.
    pub machine: String,
    /// That machine's kernel release.
    pub kernel: String,
    /// That machine's whole memory in bytes, when the engine says it.
    pub memory: Option<u64>,
    /// The folder in which it keeps images and volumes.
    pub root: PathBuf,
    /// How many nodes the Swarm has; 0 when the engine manages none.
    pub nodes: u64,
    /// Its clock when it answered.
    pub clock: Option<Wall>,
}

/// What of a Swarm can run out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The address pools that new overlay networks get their subnets from, as `10.0.0.0/8`.
    pub pools: Vec<String>,
    /// The prefix length of each new subnet.
    pub subnet_bits: u8,
    /// The subnets that overlay networks have.
    pub subnets: Vec<String>,
    /// The subnet of the network `proxy`, and how many of its addresses are in use; absent without such a network.
    pub proxy: Option<(String, u64)>,
    /// The published ports that are taken.
    pub ports: BTreeSet<Taken>,
    /// A service address that can be tried from within the network of a process of the engine's machine.
    pub address: Option<ServiceAddress>,
}

/// A published port that is taken.
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
    /// Its virtual address with a port on which its tasks listen.
    pub at: SocketAddr,
    /// A process in a network that both are on.
    pub from: i32,
}

/// Why the engine could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwarmError {
    /// Nothing listens on its socket.
    #[error("no engine answers at {socket}")]
    Absent {
        /// The socket.
        socket: String,
    },
    /// We may not use its socket.
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
        /// How long it was waited for.
        after: Duration,
    },
    /// The object is in use by something else (HTTP 409), or its precondition does not hold yet.
    #[error("the engine refuses {call}: {message}")]
    Refused {
        /// The call.
        call: String,
        /// The engine's sentence.
        message: String,
    },
    /// Any other answer that is an error or cannot be read.
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
