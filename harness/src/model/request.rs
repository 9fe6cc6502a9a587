//! What somebody asked for.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{names::RecipeName, outcome::Tier};

/// One request: a recipe and how far to take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// The recipe.
    pub recipe: RecipeName,
    /// Where its files come from.
    pub source: Source,
    /// The tiers that the verdict will speak of.
    pub tiers: BTreeSet<Tier>,
    /// Whether nothing may leave the machine: nothing is fetched, pulled or looked up elsewhere.
    #[serde(default)]
    pub offline: bool,
    /// The longest that the run may take before it is ended and swept.
    pub deadline: Duration,
}

/// Where the recipe's files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Source {
    /// The recipe that abra knows by this name, at a tag, branch or commit; without one at its newest version.
    Catalogue {
        /// The tag, branch or commit.
        at: Option<String>,
    },
    /// A folder of the user's, with its uncommitted changes.
    Folder {
        /// The folder.
        path: PathBuf,
    },
}
