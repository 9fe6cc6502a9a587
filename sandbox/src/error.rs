//! Errors of the sandbox: what failed, its cause, and what the user can do.
//!
//! `Display` is one short sentence without the cause. The cause is the `source()`: the code that prints an error decides how to
//! show the chain. [`SandboxError::hints`] has what the user can do.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

/// A failure to make, show or remove the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// No engine answers, and none can be started or installed.
    #[error("there is no Docker engine on this machine")]
    NoEngine {
        /// The reason.
        source: NoEngine,
    },
    /// The user may not open the engine's socket.
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
    /// The engine is a worker of a Swarm, and only a manager can deploy.
    #[error("the Docker engine at {socket} is a worker of a Swarm that is managed elsewhere")]
    Worker {
        /// The socket.
        socket: String,
    },
    /// An engine of another line than the wanted one runs.
    #[error("the Docker engine at {socket} is another one, of version {version}")]
    OtherEngine {
        /// The socket.
        socket: String,
        /// The version of the engine that runs.
        version: String,
    },
    /// dockerd was started and does not answer.
    #[error("dockerd was started and does not answer")]
    EngineStart {
        /// How the start failed.
        source: EngineStartError,
    },
    /// A call of the engine's API failed.
    #[error("the Docker engine call `{call}` failed")]
    Engine {
        /// The call, as the command line of Docker names it.
        call: String,
        /// How it failed.
        source: CallError,
    },
    /// The ingress cannot listen on its port.
    #[error("port {port} of {address} is taken by {by}")]
    PortTaken {
        /// The address that the ingress listens on.
        address: String,
        /// The port.
        port: u16,
        /// What listens there: a process with its id, or a container.
        by: String,
    },
    /// The network for the apps exists and cannot be used.
    #[error("the network {name} exists, but {problem}")]
    BadNetwork {
        /// The network.
        name: String,
        /// What is wrong with it.
        problem: NetworkProblem,
    },
    /// The engine does not have an image, and it can be neither pulled nor assembled.
    #[error("the image {image} is not available")]
    NoImage {
        /// The image.
        image: String,
        /// Why not.
        source: ImageError,
    },
    /// A program of the machine failed or is missing.
    #[error("{program} failed")]
    Program {
        /// The program.
        program: String,
        /// How it failed.
        source: ProgramError,
    },
    /// The ingress refused a change of its routes, or does not answer.
    #[error("the ingress did not accept {method} on its admin interface")]
    Ingress {
        /// The HTTP method of the request.
        method: String,
        /// How the request failed.
        source: AdminError,
    },
    /// The keys of the sandbox's CA or of its zone could not be made.
    #[error("cannot create the certificate of the sandbox")]
    Certificate {
        /// The failure of the cryptographic library.
        source: rcgen::Error,
    },
    /// A file or a folder could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or the folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process holds a lock of the sandbox.
    #[error("another taster has been at work on the sandbox for {after:?}")]
    Busy {
        /// How long this process waited for it.
        after: Duration,
    },
    /// Something did not reach the state that it was waited for.
    #[error("{what} was not ready within {after:?}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What was observed last.
        source: LastObservation,
    },
}

/// Why a machine has no usable engine.
#[derive(Debug, thiserror::Error)]
pub enum NoEngine {
    /// No process listens on the socket.
    #[error("nothing listens at {socket}")]
    NotListening {
        /// The socket.
        socket: String,
    },
    /// An engine is installed but not running, and the user may not start it.
    #[error("one is installed, but only root can start it")]
    StartNeedsRoot,
    /// No engine is installed, and the user may not install one.
    #[error("only root can install one")]
    InstallNeedsRoot,
    /// The machine has no `apt-get`.
    #[error("this is neither Debian nor Ubuntu")]
    UnknownDistribution,
    /// `apt-get install` failed.
    #[error("the installation failed")]
    Install(#[source] Box<SandboxError>),
}

/// How the start of dockerd failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineStartError {
    /// The process could not be created.
    #[error("the process cannot be started")]
    Spawn(#[from] io::Error),
    /// dockerd ended. The text is the last line of its log.
    #[error("it ended with: {0}")]
    Ended(String),
    /// It runs without answering.
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
}

/// How a call of the engine failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The engine answered with an error. The text is the engine's.
    #[error("{0}")]
    Refused(String),
    /// The connection or the answer is broken.
    #[error(transparent)]
    Client(Box<bollard::errors::Error>),
    /// The engine did not answer.
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
}

impl From<bollard::errors::Error> for CallError {
    fn from(error: bollard::errors::Error) -> Self {
        match error {
            bollard::errors::Error::DockerResponseServerError { message, .. } => Self::Refused(message),
            error => Self::Client(Box::new(error)),
        }
    }
}

/// What is wrong with the network for the apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkProblem {
    /// It is not attachable.
    #[error("plain containers may not attach to it")]
    NotAttachable,
    /// Its driver is not `overlay`.
    #[error("it is not an overlay network")]
    NotOverlay,
}

/// Why an image is not available.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Its name is the sandbox's, and this build does not know it.
    #[error("this taster has no source for it")]
    UnknownSource,
    /// It is another's image, and no registry is reachable.
    #[error("no registry answered, and the sandbox has no source for it")]
    NoRegistry,
    /// The registry did not give it.
    #[error("it cannot be pulled")]
    Pull(#[source] CallError),
    /// It could not be assembled.
    #[error("it cannot be assembled")]
    Assemble(#[source] Box<SandboxError>),
}

/// How a program failed.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not installed. The text is what installs it or why it is needed.
    #[error("not found; {0}")]
    NotFound(&'static str),
    /// The process could not be started, or its input not written.
    #[error("it cannot be started")]
    Start(#[from] io::Error),
    /// It ended with an error and wrote this last.
    #[error("{0}")]
    Output(String),
    /// It ended with an error and wrote nothing.
    #[error("{0}")]
    Status(ExitStatus),
    /// It succeeded without the file that it should have made.
    #[error("it left no archive")]
    NoArchive,
    /// It was killed after this time.
    #[error("it did not end within {0:?}")]
    Timeout(Duration),
}

/// How a request to the ingress's admin interface failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The socket cannot be used.
    #[error("its socket cannot be used")]
    Socket(#[from] io::Error),
    /// It does not answer.
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    /// It answered with another status than 200. The text is its answer.
    #[error("{0}")]
    Refused(String),
    /// Its answer is not the JSON that was expected.
    #[error("its answer cannot be read")]
    Answer(#[from] serde_json::Error),
}

/// What was observed last of something that did not get ready.
#[derive(Debug, thiserror::Error)]
pub enum LastObservation {
    /// Its state, as a sentence.
    #[error("{0}")]
    State(String),
    /// A request to it failed.
    #[error(transparent)]
    Failure(Box<SandboxError>),
}

impl LastObservation {
    pub(crate) fn state(text: impl Into<String>) -> Self {
        Self::State(text.into())
    }
}

impl From<SandboxError> for LastObservation {
    fn from(error: SandboxError) -> Self {
        Self::Failure(Box::new(error))
    }
}

impl SandboxError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn program(program: &str, source: ProgramError) -> Self {
        Self::Program { program: program.to_owned(), source }
    }

    /// What the user can do, one sentence each.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoEngine { .. } => "Install one, on Debian or Ubuntu with: apt-get install docker.io".into(),
            Self::NotPermitted { .. } => {
                "Run taster as root, or join the group of the socket with: usermod -aG docker $USER, and log in again".into()
            }
            Self::Rootless { .. } => "Use an engine that runs as root, or a host file for a server.".into(),
            Self::Worker { .. } => "Use another machine, or a host file for a manager of that Swarm.".into(),
            Self::OtherEngine { .. } => {
                "Stop it, with `taster sandbox down` where the sandbox started it, and run this again.".into()
            }
            Self::EngineStart { .. } => "Start dockerd by hand to see why it does not run.".into(),
            Self::Engine { .. } => "See the log of the Docker engine.".into(),
            Self::PortTaken { by, .. } => format!("Stop {by}, or write a host file for the ingress that runs there."),
            Self::BadNetwork { name, .. } => format!("Remove it with: docker network rm {name}, or use a host file."),
            Self::NoImage { image, .. } => format!("Bring it onto the engine with: docker pull {image}, or docker load."),
            Self::Program { .. } => "Run it by hand to see why.".into(),
            Self::File { .. } => "Correct its permissions, or free some space.".into(),
            Self::Busy { .. } => "Wait until it ends, or end it.".into(),
            Self::Certificate { .. } | Self::Ingress { .. } | Self::NotReady { .. } => {
                "Run `taster sandbox down`, then `taster sandbox up`.".into()
            }
        };
        vec![hint]
    }

    /// The error and its causes in one line, separated by colons.
    pub fn with_causes(&self) -> String {
        let causes = std::iter::successors(self.source(), |&error| error.source());
        causes.fold(self.to_string(), |line, cause| format!("{line}: {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_the_error_each_once() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let file = || Box::new(SandboxError::file(Path::new("/x"), denied()));
        let assemble = SandboxError::NoImage { image: "a:1".into(), source: ImageError::Assemble(file()) };
        assert_eq!(
            assemble.with_causes(),
            "the image a:1 is not available: it cannot be assembled: cannot use /x: permission denied"
        );
        let last = LastObservation::Failure(file());
        let late = SandboxError::NotReady { what: "the ingress".into(), after: Duration::from_secs(20), source: last };
        assert_eq!(late.with_causes(), "the ingress was not ready within 20s: cannot use /x: permission denied");
    }
}
