//! Policy: which privileges a recipe needs on the host's engine, and whether its names fit.
//!
//! A pull request's compose files are foreign code that runs on the host's engine. A use that reaches beyond the
//! stack is refused unless the host file allows it for that recipe. Keys that the resolver does not know are refused.

mod breaches;
mod names;

use crate::model::privilege::Privilege;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use breaches::breaches;
pub use names::{NameFlaw, Named, name_flaws};

/// A privilege that a recipe needs and the host file does not allow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Breach {
    /// The privilege that it needs.
    pub privilege: Privilege,
    /// The object, as `service app` or `volume data`.
    pub object: String,
    /// The use, as the predicate of a sentence about the object.
    pub asks: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { privilege, object, asks } = self;
        write!(f, "{object} {asks}; where that is meant, allow {privilege} for this recipe in the host file")
    }
}
