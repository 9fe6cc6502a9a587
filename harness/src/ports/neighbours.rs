//! The other runs of this machine, which share the host with a run.

use std::error::Error;

use async_trait::async_trait;

use crate::pure::host::preflight::Neighbour;

/// The other runs of this machine.
#[async_trait]
pub trait Neighbours: Send + Sync {
    /// Waits for the admission lock. One run of this machine holds it at a time, until it drops it or its process dies, so two
    /// runs are never admitted to the same memory, disk and addresses.
    async fn lock_admission(&self) -> Result<Box<dyn AdmissionLock>, AdmissionLockError>;
}

/// The lock that a run holds while it decides whether it is admitted.
pub trait AdmissionLock: Send {
    /// The other runs that are alive and were admitted.
    fn living(&self) -> Vec<Neighbour>;
}

/// The admission lock cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("the folder of runs cannot be locked")]
pub struct AdmissionLockError {
    /// The cause.
    pub source: Box<dyn Error + Send + Sync>,
}
