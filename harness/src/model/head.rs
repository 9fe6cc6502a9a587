//! The head: the commit under test.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{Commit, Domain, RecipeName, StackName};

/// The commit under test, and the app that it is deployed as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The recipe.
    pub recipe: RecipeName,
    /// The version by the tag on the commit; absent without a tag.
    pub version: Option<String>,
    /// The commit.
    pub commit: Commit,
    /// Whether it holds uncommitted changes.
    pub dirty: bool,
    /// The app's domain.
    pub domain: Domain,
    /// The app's stack.
    pub stack: StackName,
}
