//! The engine, the Swarm behind it, and the room that it has.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{
    model::{
        engine::{Engine, SwarmError, SwarmResources},
        names::{ImageRef, ServiceName, StackName, TaskId},
    },
    pure::{
        host::{claim::Claim, cleanup_plan::Removal, converge::ServiceView, inventory::Inventory},
        recipe::power::Live,
    },
};

/// The engine and the Swarm behind it.
#[async_trait]
pub trait Swarm: Send + Sync {
    /// The engine's description of itself and of its Swarm.
    async fn host(&self) -> Result<Engine, SwarmError>;
    /// All objects of the Swarm, in at most eight calls. Files are not the engine's: see
    /// [`Files::digests`](super::Files::digests).
    async fn inventory(&self) -> Result<Inventory, SwarmError>;
    /// All services of a stack with their tasks, in three calls.
    async fn observe(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError>;
    /// The specs of a stack's services in the engine's own JSON, with all networks and volumes, in three calls.
    async fn specs(&self, stack: &StackName) -> Result<Live, SwarmError>;
    /// The events of a stack, as reasons to observe it again. The stream reopens itself; each opening is a wake-up too.
    async fn wake_ups(&self, stack: &StackName) -> BoxStream<'static, WakeUp>;
    /// The last `lines` lines that a task wrote.
    async fn logs(&self, task: &TaskId, lines: u32) -> Result<String, SwarmError>;
    /// How a container ended. `None` for one that this engine does not have, because it is gone or on another node.
    async fn container_end(&self, container: &str) -> Result<Option<ContainerEnd>, SwarmError>;
    /// Puts the claimed marker on the Swarm, so that other machines know which run the stack belongs to.
    async fn mark(&self, claim: &Claim, labels: &BTreeMap<String, String>) -> Result<(), SwarmError>;
    /// Has a service of the claimed stack start all its tasks again, by its own update policy, without another change.
    async fn restart(&self, claim: &Claim, service: &ServiceName) -> Result<(), SwarmError>;
    /// Removes an object that the claim covers; containers by force. An object that is gone already is not an error.
    async fn remove(&self, claim: &Claim, removal: &Removal) -> Result<(), SwarmError>;
}

/// Whether the Swarm has room for one more app.
#[async_trait]
pub trait Capacity: Send + Sync {
    /// What of the Swarm can run out: addresses and published ports.
    async fn resources(&self) -> Result<SwarmResources, SwarmError>;
    /// Those of `images` that the engine does not have.
    async fn absent(&self, images: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, SwarmError>;
    /// Asks the image's registry for it through the engine, which is what would pull it.
    async fn look_up(&self, image: &ImageRef) -> Result<(), SwarmError>;
}

/// How a container ended, as far as its task does not show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerEnd {
    /// The output of its last health check when it was unhealthy.
    pub unhealthy: Option<String>,
    /// Whether the kernel ended a process of it for want of memory.
    pub out_of_memory: bool,
    /// How much memory it may use, in bytes; absent without a limit.
    pub memory_limit: Option<u64>,
}

/// A reason to observe again; never a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeUp {
    /// What happened, as the engine calls it.
    pub what: String,
}
