//! The two clocks of a run.

use crate::model::time::{Mono, Wall};

/// The two clocks.
pub trait Clock: Send + Sync {
    /// The time since the run started. Budgets are counted by it.
    fn mono(&self) -> Mono;
    /// The time of day, for people.
    fn wall(&self) -> Wall;
}
