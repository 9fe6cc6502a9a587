//! Why a run is refused before it changes anything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcome::Failure;

/// Why a run is refused before it does anything to the Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refusal {
    /// The request cannot be fulfilled.
    Request {
        /// One sentence with the remedy.
        sentence: String,
    },
    /// The recipe needs privileges that the host file does not allow, or its names are too long.
    Policy {
        /// One sentence each, with the remedy.
        sentences: Vec<String>,
    },
    /// The host is unfit, or the recipe's files cannot be used.
    Facts(Failure),
}
