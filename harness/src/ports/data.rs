//! The data of an app: its volumes, its snapshots, and commands in its containers.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::{
    model::{
        engine::SwarmError,
        names::{ImageRef, ServiceName, TaskId},
    },
    pure::host::claim::Claim,
};

/// Volumes, containers and snapshots of an app on the engine of the run.
#[async_trait]
pub trait Data: Send + Sync {
    /// Makes a container that mounts these volumes and is never started. Its name puts it under the claim of the stack, and it
    /// replaces one that an earlier call left. `image` has to be on the engine; nothing of it is run.
    async fn hold(&self, claim: &Claim, image: &ImageRef, volumes: &[String]) -> Result<VolumeHolder, SwarmError>;
    /// Writes a file at a path in a held volume, over what was there. Folders on the way to it that are not there are made.
    async fn put(&self, holder: &VolumeHolder, volume: &str, path: &str, file: &VolumeFile) -> Result<(), SwarmError>;
    /// A file in a held volume, if there is one.
    async fn get(&self, holder: &VolumeHolder, volume: &str, path: &str) -> Result<Option<VolumeFile>, SwarmError>;
    /// Who may do what with a file or folder in a held volume, if it is there. An empty path is the volume itself.
    async fn access(&self, holder: &VolumeHolder, volume: &str, path: &str) -> Result<Option<Access>, SwarmError>;
    /// Removes the container; the volumes stay.
    async fn release(&self, holder: VolumeHolder) -> Result<(), SwarmError>;
    /// Runs a command in the running container of a task of the claimed stack.
    async fn exec(&self, claim: &Claim, task: &TaskId, argv: &[String], timeout: Duration) -> Result<ExecOutput, SwarmError>;
    /// Waits until no restore of the claimed app goes on in its backup service, half a minute at most. A restore whose abra was
    /// killed goes on there and writes into the app's volumes; once the engine has removed them, it recreates their folders on
    /// the engine's disk, where no list of the engine shows them. A service that does not run restores nothing.
    async fn restored(&self, claim: &Claim) -> Result<(), SwarmError>;
    /// The ids of the snapshots that the claimed app has in its backup service.
    async fn snapshots(&self, claim: &Claim) -> Result<Vec<String>, SwarmError>;
    /// Has the backup service forget snapshots of the claimed app. What they hold stays in its repository until that is pruned.
    async fn forget(&self, claim: &Claim, snapshots: &[String]) -> Result<(), SwarmError>;
    /// Whether a task of this service runs.
    async fn runs(&self, service: &ServiceName) -> Result<bool, SwarmError>;
}

/// A file in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFile {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Who may do what with it.
    pub access: Access,
}

/// Who may do what with a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The bits of permission.
    pub mode: u32,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owner {}:{} and mode {:04o}", self.uid, self.gid, self.mode)
    }
}

/// A container that holds volumes. [`Data::release`] removes it, or cleanup does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeHolder {
    /// The container.
    pub container: String,
    /// The volumes by their names on the node, in the order in which they are mounted.
    pub volumes: Vec<String>,
}

/// The result of a command in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code.
    pub exit: i64,
    /// The text of both its outputs.
    pub text: String,
}
