//! The engine through its API, with bollard. No type of bollard leaves this folder.

mod call;
mod capacity;
mod data;
mod exec;
mod host;
mod inventory;
mod observe;
mod origin;
mod raw;
mod specs;
mod tasks;
mod wake_ups;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bollard::Docker;
use futures_util::stream::BoxStream;

use crate::{
    model::{
        engine::{Engine, SwarmError, SwarmResources},
        names::{ImageRef, ServiceName, StackName, TaskId},
    },
    ports::{AnswerOrigin, Capacity, ContainerEnd, HttpView, OriginError, Swarm, TaskRequest, WakeUp},
    pure::{
        host::{claim::Claim, cleanup_plan::Removal, converge::ServiceView, http::impostors::Exposure, inventory::Inventory},
        recipe::power::Live,
    },
};

/// The engine behind a socket.
#[derive(Debug, Clone)]
pub struct DockerSwarm {
    docker: Docker,
    socket: PathBuf,
}

impl DockerSwarm {
    /// The engine behind `socket`. Fails if the socket is absent or not permitted; sends nothing yet.
    pub fn at(socket: &Path) -> Result<Self, SwarmError> {
        Ok(Self { docker: call::connect(socket)?, socket: socket.to_owned() })
    }

    /// The labels of all services of the Swarm, by the names of the services.
    pub async fn services(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>, SwarmError> {
        observe::services(&self.socket).await
    }

    /// Runs a command in a container of the engine and returns its exit code and the text of both its outputs.
    pub async fn exec(&self, container: &str, argv: &[&str]) -> Result<(i64, String), SwarmError> {
        exec::exec(&self.docker, container, argv).await
    }
}

#[async_trait]
impl Capacity for DockerSwarm {
    async fn resources(&self) -> Result<SwarmResources, SwarmError> {
        capacity::resources(&self.docker, &self.socket).await
    }

    async fn absent(&self, images: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, SwarmError> {
        capacity::absent(&self.docker, images).await
    }

    async fn look_up(&self, image: &ImageRef) -> Result<(), SwarmError> {
        capacity::look_up(&self.docker, image).await
    }
}

#[async_trait]
impl AnswerOrigin for DockerSwarm {
    async fn exposures(&self) -> Result<Vec<Exposure>, SwarmError> {
        origin::exposures(&self.docker, &self.socket).await
    }

    async fn ask_task(&self, request: &TaskRequest, timeout: Duration) -> Result<HttpView, OriginError> {
        origin::ask_task(&self.docker, request, timeout).await
    }
}

#[async_trait]
impl Swarm for DockerSwarm {
    async fn host(&self) -> Result<Engine, SwarmError> {
        host::host(&self.docker).await
    }

    async fn inventory(&self) -> Result<Inventory, SwarmError> {
        inventory::inventory(&self.docker, &self.socket).await
    }

    async fn observe(&self, stack: &StackName) -> Result<BTreeMap<ServiceName, ServiceView>, SwarmError> {
        observe::observe(&self.docker, &self.socket, stack).await
    }

    async fn specs(&self, stack: &StackName) -> Result<Live, SwarmError> {
        specs::specs(&self.socket, stack).await
    }

    async fn wake_ups(&self, stack: &StackName) -> BoxStream<'static, WakeUp> {
        wake_ups::wake_ups(self.docker.clone(), stack.clone())
    }

    async fn logs(&self, task: &TaskId, lines: u32) -> Result<String, SwarmError> {
        observe::logs(&self.docker, task, lines).await
    }

    async fn container_end(&self, container: &str) -> Result<Option<ContainerEnd>, SwarmError> {
        observe::container_end(&self.docker, container).await
    }

    async fn mark(&self, claim: &Claim, labels: &BTreeMap<String, String>) -> Result<(), SwarmError> {
        inventory::mark(&self.docker, claim, labels).await
    }

    async fn restart(&self, claim: &Claim, service: &ServiceName) -> Result<(), SwarmError> {
        raw::restart(&self.socket, claim, service).await
    }

    async fn remove(&self, claim: &Claim, removal: &Removal) -> Result<(), SwarmError> {
        inventory::remove(&self.docker, claim, removal).await
    }
}
