//! The judgement over a watch.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    view::{Health, ServiceView},
    watch::Watch,
};
use crate::model::{names::ServiceName, outcome::Failure, time::Mono};

/// What is to be said of a stack at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It can still settle.
    Waiting {
        /// What is being waited for, worst first.
        on: Vec<Blocker>,
        /// When to look again if nothing nudges before.
        look_again: Mono,
    },
    /// It settled.
    Settled {
        /// Since when all of it has been stable.
        since: Mono,
    },
    /// It will not settle by itself.
    Failed(Vec<Failure>),
}

/// One thing that is being waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// The service.
    pub service: Option<ServiceName>,
    /// What it lacks, for people: `starting 2/3`.
    pub why: String,
}

/// Judges a watch at `now`.
pub fn judge(_watch: &Watch, now: Mono) -> Judgement {
    Judgement::Waiting { on: Vec::new(), look_again: now.after(Duration::from_secs(5)) }
}

/// How long a service may take from its start to its first healthy moment, by its own health check:
/// start period + (interval + timeout) × (retries + 1). Zero without a check.
pub fn allowance(service: &ServiceView) -> Duration {
    match service.health {
        Health::Absent | Health::Disabled => Duration::ZERO,
        Health::Probe { interval, timeout, retries, start_period } => {
            start_period + (interval + timeout).saturating_mul(u32::try_from(retries + 1).unwrap_or(u32::MAX))
        }
    }
}
