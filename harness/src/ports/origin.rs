//! Where an answer comes from: all that may answer under a name, and the app's task itself.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    model::{engine::SwarmError, http::HttpView},
    pure::host::http::impostors::Exposure,
};

/// Where an answer comes from.
#[async_trait]
pub trait AnswerOrigin: Send + Sync {
    /// All services of the Swarm, and the containers of this engine that belong to none, with the names that networks resolve
    /// to them.
    async fn exposures(&self) -> Result<Vec<Exposure>, SwarmError>;
    /// Asks a container of this engine without an ingress, as an ingress would ask it.
    async fn ask_task(&self, request: &TaskRequest, timeout: Duration) -> Result<HttpView, OriginError>;
}

/// A request to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRequest {
    /// The task's container.
    pub container: String,
    /// The port within the container.
    pub port: u16,
    /// The host that the request names.
    pub host: String,
    /// The path with the query.
    pub path: String,
}

/// Why a task did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// This machine does not have the container, or taster may not enter its network.
    #[error("the task cannot be asked: {0}")]
    OutOfReach(String),
    /// The task gives no answer over HTTP.
    #[error("the task does not answer: {0}")]
    NoAnswer(String),
}
