//! Why a run is refused before it changes anything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcome::Failure;

/// Why a run is refused before it does anything to the Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refusal {
    /// What was asked for cannot be done.
    Request {
        /// One sentence with the remedy.
        sentence: String,
    },
    /// The host's policy does not allow what the recipe asks for, or its names do not fit.
    Policy {
        /// One sentence each, with the remedy.
        sentences: Vec<String>,
    },
    /// The host, or the recipe as it stands, does not allow it.
    Facts(Failure),
}
