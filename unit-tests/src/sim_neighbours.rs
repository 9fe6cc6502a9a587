//! Simulated other runs on the machine.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use harness::{
    ports::{AdmissionLock, AdmissionLockError, Neighbours},
    pure::host::preflight::Neighbour,
};

/// Other runs that live for some turns; by default there are none. Clones share the count of turns.
#[derive(Debug, Clone, Default)]
pub struct SimNeighbours {
    runs: Vec<Neighbour>,
    turns: Arc<AtomicU32>,
}

impl SimNeighbours {
    /// Runs that have all ended after `turns` turns.
    pub fn living(runs: Vec<Neighbour>, turns: u32) -> Self {
        Self { runs, turns: Arc::new(AtomicU32::new(turns)) }
    }
}

#[async_trait]
impl Neighbours for SimNeighbours {
    async fn lock_admission(&self) -> Result<Box<dyn AdmissionLock>, AdmissionLockError> {
        let alive = self.turns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |turns| turns.checked_sub(1)).is_ok();
        Ok(Box::new(SimAdmissionLock(if alive { self.runs.clone() } else { Vec::new() })))
    }
}

struct SimAdmissionLock(Vec<Neighbour>);

impl AdmissionLock for SimAdmissionLock {
    fn living(&self) -> Vec<Neighbour> {
        self.0.clone()
    }
}
