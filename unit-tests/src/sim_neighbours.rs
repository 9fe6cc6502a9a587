//! Simulated other runs of a machine.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use harness::{
    ports::{Neighbours, Turn, TurnError},
    pure::host::preflight::Neighbour,
};

/// Other runs that live for some turns; none by default. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct SimNeighbours {
    runs: Vec<Neighbour>,
    turns: Arc<AtomicU32>,
}

impl SimNeighbours {
    /// These runs, which are all gone after so many turns.
    pub fn living(runs: Vec<Neighbour>, turns: u32) -> Self {
        Self { runs, turns: Arc::new(AtomicU32::new(turns)) }
    }
}

#[async_trait]
impl Neighbours for SimNeighbours {
    async fn turn(&self) -> Result<Box<dyn Turn>, TurnError> {
        let alive = self.turns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |turns| turns.checked_sub(1)).is_ok();
        Ok(Box::new(Seen(if alive { self.runs.clone() } else { Vec::new() })))
    }
}

struct Seen(Vec<Neighbour>);

impl Turn for Seen {
    fn living(&self) -> Vec<Neighbour> {
        self.0.clone()
    }
}
