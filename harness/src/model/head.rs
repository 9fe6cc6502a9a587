//! What is under test.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{Commit, Domain, RecipeName, StackName};

/// What is under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The recipe.
    pub recipe: RecipeName,
    /// The version that the tag on the commit names, when there is one.
    pub version: Option<String>,
    /// The commit.
    pub commit: Commit,
    /// Whether it holds changes that were not committed by the user.
    pub dirty: bool,
    /// The app's domain.
    pub domain: Domain,
    /// The app's stack.
    pub stack: StackName,
}
