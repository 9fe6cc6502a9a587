//! The other runs of this machine, as a run needs them that has to share the host with them.

use async_trait::async_trait;

use crate::pure::host::preflight::Neighbour;

/// The other runs of this machine.
#[async_trait]
pub trait Neighbours: Send + Sync {
    /// The turn to look at them and to be admitted. Until it is dropped nobody else of this machine has it, so two runs never take
    /// the same room; whoever dies gives it back. The error is one sentence.
    async fn turn(&self) -> Result<Box<dyn Turn>, String>;
}

/// A turn that somebody has.
pub trait Turn: Send {
    /// The other runs that are alive and were admitted.
    fn living(&self) -> Vec<Neighbour>;
}
