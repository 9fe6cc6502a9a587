//! The data of an app, reached without its own programs, and commands in its containers.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    model::{
        engine::SwarmError,
        names::{ImageRef, ServiceName, TaskId},
    },
    pure::host::claim::Claim,
};

/// Volumes, containers and snapshots of an app on the engine that we are on.
#[async_trait]
pub trait Data: Send + Sync {
    /// Makes a container that mounts these volumes and is never started. It is the claimed stack's by its name, and one that is left
    /// from before is replaced. `image` has to be on the engine; nothing of it is run.
    async fn hold(&self, claim: &Claim, image: &ImageRef, volumes: &[String]) -> Result<Holder, SwarmError>;
    /// Writes a file at a path in a held volume, whatever was there.
    async fn put(&self, holder: &Holder, volume: &str, path: &str, bytes: &[u8]) -> Result<(), SwarmError>;
    /// The bytes of a file in a held volume, if there is one.
    async fn get(&self, holder: &Holder, volume: &str, path: &str) -> Result<Option<Vec<u8>>, SwarmError>;
    /// Removes the container; the volumes stay.
    async fn release(&self, holder: Holder) -> Result<(), SwarmError>;
    /// Runs a command in the running container of a task of the claimed stack.
    async fn exec(&self, claim: &Claim, task: &TaskId, argv: &[String], patience: Duration) -> Result<Said, SwarmError>;
    /// Waits until no restore of the claimed app goes on in its backup service. One whose abra was ended goes on there and writes into the
    /// app's volumes; when the engine has removed them, their folders are made anew on its disk, where no list of it shows them. The error
    /// comes after half a minute. A service that does not run restores nothing.
    async fn restored(&self, claim: &Claim) -> Result<(), SwarmError>;
    /// The ids of the snapshots that the claimed app has in its backup service.
    async fn snapshots(&self, claim: &Claim) -> Result<Vec<String>, SwarmError>;
    /// Has the backup service forget snapshots of the claimed app. What they hold stays in its repository until that is pruned.
    async fn forget(&self, claim: &Claim, snapshots: &[String]) -> Result<(), SwarmError>;
    /// Whether a task of this service runs.
    async fn runs(&self, service: &ServiceName) -> Result<bool, SwarmError>;
}

/// A container that holds volumes. It goes with [`Data::release`], or with the sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The container.
    pub container: String,
    /// The volumes by their names on the node, in the order in which they are mounted.
    pub volumes: Vec<String>,
}

/// What a command in a container came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code.
    pub exit: i64,
    /// What it printed, on both outputs.
    pub text: String,
}
