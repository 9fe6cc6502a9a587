//! How the sandbox can fail to be made: each one sentence and what to do about it.

use std::{io, path::Path, time::Duration};

/// Why the sandbox could not be made, shown or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// There is no engine, or none that we can install or start.
    #[error("there is no Docker engine on this machine: {why}")]
    NoEngine {
        /// Why not.
        why: String,
    },
    /// We may not use the engine's socket.
    #[error("no permission to use the Docker engine at {socket}")]
    NotPermitted {
        /// The socket.
        socket: String,
    },
    /// The engine runs without root.
    #[error("the Docker engine at {socket} is rootless, and a rootless engine has no overlay networks")]
    Rootless {
        /// The socket.
        socket: String,
    },
    /// The engine is a worker of somebody's Swarm.
    #[error("the Docker engine at {socket} is a worker of a Swarm that is managed elsewhere")]
    Worker {
        /// The socket.
        socket: String,
    },
    /// The engine was started and does not answer.
    #[error("dockerd was started and does not answer: {last}")]
    EngineDumb {
        /// Its last words.
        last: String,
    },
    /// The engine refused something.
    #[error("the Docker engine answers {call} with: {message}")]
    Engine {
        /// The call.
        call: String,
        /// Its sentence.
        message: String,
    },
    /// The ingress cannot have its port.
    #[error("port {port} of {address} is taken by {by}")]
    PortTaken {
        /// The address that the ingress wants.
        address: String,
        /// The port.
        port: u16,
        /// Who listens there: a process with its id, or a container.
        by: String,
    },
    /// The network for the apps exists, but is of no use.
    #[error("the network {name} exists, but {what}")]
    BadNetwork {
        /// The network.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// An image is neither there nor to be had.
    #[error("image {image} cannot be had: {missing}")]
    NoImage {
        /// The image.
        image: String,
        /// What is missing to have it.
        missing: String,
    },
    /// A program failed or is missing.
    #[error("{program} failed: {message}")]
    Program {
        /// The program, with what it was to do.
        program: String,
        /// Its last words.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot use {path}: {message}")]
    File {
        /// The file.
        path: String,
        /// The system's sentence.
        message: String,
    },
    /// Another process holds the sandbox's lock.
    #[error("another taster has been at work on the sandbox for {after:?}")]
    Busy {
        /// How long it was waited for.
        after: Duration,
    },
    /// Something that was started did not become ready.
    #[error("{what} was not ready within {after:?}: {last}")]
    NotReady {
        /// What.
        what: String,
        /// How long it was waited for.
        after: Duration,
        /// What was seen last.
        last: String,
    },
}

impl SandboxError {
    pub(crate) fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.display().to_string(), message: error.to_string() }
    }

    /// What to do about it, in one sentence.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoEngine { .. } => "Install one, on Debian or Ubuntu with: apt-get install docker.io".into(),
            Self::NotPermitted { .. } => {
                "Run taster as root, or join the group of the socket with: usermod -aG docker $USER, and log in again".into()
            }
            Self::Rootless { .. } => "Use an engine that runs as root, or a host file for a server.".into(),
            Self::Worker { .. } => "Use a machine of its own, or a host file for a manager of that Swarm.".into(),
            Self::EngineDumb { .. } => "Start dockerd by hand to see why it does not run.".into(),
            Self::Engine { .. } => "See what the engine's log says about it.".into(),
            Self::PortTaken { by, .. } => {
                format!("Stop {by}, or write a host file for the ingress that runs there.")
            }
            Self::BadNetwork { name, .. } => format!("Remove it with: docker network rm {name}, or use a host file."),
            Self::NoImage { image, .. } => format!("Bring it onto the engine with: docker pull {image}, or docker load."),
            Self::Program { .. } => "Run it by hand to see why.".into(),
            Self::File { .. } => "Mend its permissions, or free some space.".into(),
            Self::Busy { .. } => "Wait for it, or end it.".into(),
            Self::NotReady { .. } => "Try `taster sandbox down` and `taster sandbox up`.".into(),
        }
    }
}
