//! What to remove now, decided from claims and the present world alone.

use serde::{Deserialize, Serialize};

use crate::world::ObjectId;

/// One removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The object.
    pub object: ObjectId,
    /// Its name, which the claim covers.
    pub name: String,
}
