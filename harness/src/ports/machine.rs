//! The machine that taster runs on.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;

use crate::model::{
    engine::{Port, ServiceAddress, SwarmError},
    load::Load,
    names::SwarmId,
};

/// The machine that taster runs on. Its facts apply to the engine only when the engine is on it.
#[async_trait]
pub trait Machine: Send + Sync {
    /// Its host name and kernel release, as an engine on it would report them.
    fn name(&self) -> (String, String);
    /// The kernel's id of the time since its start; absent when it cannot be read.
    fn boot(&self) -> Option<String>;
    /// The memory that a new process could have, in bytes; absent when it cannot be read.
    fn memory(&self) -> Option<u64>;
    /// Its load; absent when it cannot be read.
    fn load(&self) -> Option<Load>;
    /// The free bytes of the file system that holds `folder`, or its nearest parent that exists; 0 where it is read-only; absent
    /// when it cannot be read.
    fn free_bytes_in(&self, folder: &Path) -> Option<u64>;
    /// The ports on which a process listens.
    fn listening(&self) -> BTreeSet<Port>;
    /// Whether its kernel shows the table of IPVS, without which no service address can answer.
    fn ipvs(&self) -> bool;
    /// The `.env` files of the apps that the operator's own abra knows, each with its digest. A run must not change them.
    fn env_files(&self) -> Result<BTreeMap<PathBuf, String>, MachineError>;
    /// Whether a real connection to the address of a service is answered.
    async fn answers(&self, address: &ServiceAddress, timeout: Duration) -> Result<bool, MachineError>;
    /// The Swarm that abra reaches under the name `server`.
    async fn behind(&self, server: &str) -> Result<SwarmId, MachineError>;
}

/// Why a fact about the machine is not available.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The docker client has no context with abra's name for the server.
    #[error("the docker client has no context {context}")]
    NoContext {
        /// The context.
        context: String,
    },
    /// The context's engine is not reached through a socket of this machine.
    #[error("{context} is reached by {endpoint}")]
    NoSocket {
        /// The context.
        context: String,
        /// How its engine is reached.
        endpoint: String,
    },
    /// The engine behind the context does not answer.
    #[error("no answer of the engine at {socket}")]
    Engine {
        /// The engine's socket.
        socket: String,
        /// The cause.
        source: SwarmError,
    },
    /// The engine behind the context is not in a Swarm.
    #[error("the engine at {socket} manages no Swarm")]
    NoSwarm {
        /// The engine's socket.
        socket: String,
    },
    /// The network of the service cannot be entered.
    #[error("cannot enter the network of {}", path.display())]
    Network {
        /// The link to the network.
        path: PathBuf,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The attempt to connect did not come to an end.
    #[error("the attempt to connect panicked")]
    Panicked,
}
