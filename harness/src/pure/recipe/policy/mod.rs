//! What a recipe may ask of the host's engine, and whether its names fit. All pure.
//!
//! A pull request's compose files are foreign code that runs on the host's engine. What would reach beyond the stack is refused
//! unless the host file allows it for that recipe. What the resolver does not know counts as refused.

mod breaches;
mod names;

use crate::model::privilege::Privilege;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use breaches::breaches;
pub use names::{NameFlaw, Named, name_flaws};

/// Something that a recipe asks for and that is not allowed to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Breach {
    /// The privilege that it needs.
    pub privilege: Privilege,
    /// Who asks, as `service app` or `volume data`.
    pub object: String,
    /// What it asks for, as the rest of a sentence about the object.
    pub asks: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { privilege, object, asks } = self;
        write!(f, "{object} {asks}; where that is meant, allow {privilege} for this recipe in the host file")
    }
}
