//! Why a task ended or never ran.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a task ended, or why the engine rejected it before its container ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskFault {
    /// Its registry answers and does not have the image.
    ImageUnknown,
    /// The image is there, and not for the node's platform.
    ImagePlatform,
    /// The registry limits how often images are pulled.
    RegistryLimit,
    /// The registry wants a log-in. It says the same of images that it does not have.
    RegistryLogin,
    /// The registry does not answer, or not as a registry.
    RegistryUnreachable,
    /// The node does not have the image, and why it could not be pulled is not known.
    ImageAbsent,
    /// A mount that the service asks for cannot be made.
    BadMount,
    /// The program, user or working folder that the service names is not in the image.
    BadCommand,
    /// An option of the service that no engine accepts.
    BadOption,
    /// The engine, its network, its disk or its runtime could not start the container.
    EngineRefused,
    /// Its program ended by itself.
    Exited,
    /// The kernel ended it because it used more memory than the recipe allows it.
    OutOfMemory,
    /// The kernel ended it because the host had no memory left, or a limit that is not the recipe's.
    HostMemory,
    /// Its health check failed.
    Unhealthy,
    /// Swarm shows no task that explains it.
    #[default]
    Unknown,
}

impl TaskFault {
    /// Whether the image of the task could not be pulled.
    pub fn of_image(self) -> bool {
        matches!(
            self,
            TaskFault::ImageUnknown
                | TaskFault::ImagePlatform
                | TaskFault::RegistryLimit
                | TaskFault::RegistryLogin
                | TaskFault::RegistryUnreachable
                | TaskFault::ImageAbsent
        )
    }

    /// Whether a container of the task ran, so that it may have written something.
    pub fn ran(self) -> bool {
        matches!(
            self,
            TaskFault::Exited | TaskFault::OutOfMemory | TaskFault::HostMemory | TaskFault::Unhealthy | TaskFault::Unknown
        )
    }

    /// Whether the engine may start the next task although it could not start this one: a network that is still being removed, an
    /// address, a disk.
    pub fn may_clear(self) -> bool {
        self == TaskFault::EngineRefused
    }

    /// The fault in a few words, after the name of the service: `its registry does not have the image`.
    pub fn sentence(self) -> &'static str {
        match self {
            TaskFault::ImageUnknown => "its registry does not have the image",
            TaskFault::ImagePlatform => "its image is not made for the platform of this host",
            TaskFault::RegistryLimit => "its registry limits how often images are pulled",
            TaskFault::RegistryLogin => "its registry wants a log-in for the image, or does not have it",
            TaskFault::RegistryUnreachable => "its registry does not answer as it should",
            TaskFault::ImageAbsent => "its image could not be pulled, and why is not known",
            TaskFault::BadMount => "a mount that it asks for cannot be made",
            TaskFault::BadCommand => "its program, user or working folder is not in the image",
            TaskFault::BadOption => "it has an option that the engine does not accept",
            TaskFault::EngineRefused => "the engine could not start its container",
            TaskFault::Exited => "its program ended",
            TaskFault::OutOfMemory => "it used more memory than it may",
            TaskFault::HostMemory => "the host had no memory left for it",
            TaskFault::Unhealthy => "its health check failed",
            TaskFault::Unknown => "Swarm shows no task that explains it",
        }
    }
}
