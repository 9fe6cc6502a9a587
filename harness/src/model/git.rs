//! Branches and tags of a recipe's repository.

use serde::{Deserialize, Serialize};

use super::names::Commit;

/// A branch of a recipe's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Its last commit.
    pub commit: Commit,
}

/// A tag of a recipe's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// The commit that it points to.
    pub commit: Commit,
    /// Whether it is annotated, as Co-op Cloud demands.
    pub annotated: bool,
}
