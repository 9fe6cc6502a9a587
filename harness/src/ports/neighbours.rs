//! The other runs of this machine, which share the host with a run.

use std::error::Error;

use async_trait::async_trait;

use crate::pure::host::preflight::Neighbour;

/// The other runs of this machine.
#[async_trait]
pub trait Neighbours: Send + Sync {
    /// Waits for the turn to see them and to be admitted. Only one run of this machine has it until it is dropped, so two runs
    /// never take the same room; a process that dies gives it back.
    async fn turn(&self) -> Result<Box<dyn Turn>, TurnError>;
}

/// The turn to be admitted.
pub trait Turn: Send {
    /// The other runs that are alive and were admitted.
    fn living(&self) -> Vec<Neighbour>;
}

/// The turn cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the folder of runs cannot be locked")]
pub struct TurnError {
    /// The cause.
    pub source: Box<dyn Error + Send + Sync>,
}
