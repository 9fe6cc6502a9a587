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
    /// The tag, branch or commit to upgrade from, when somebody chose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What is tried beyond the tiers, or left out of them.
    #[serde(default)]
    pub extent: Extent,
    /// The longest that the run may take before it is ended and swept.
    pub deadline: Duration,
    /// The host file that was named, so that the run can be repeated; absent when the host was found without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_file: Option<PathBuf>,
    /// The folder of recipes that were fetched before, when the network is not to be used for the recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<PathBuf>,
}

/// What is tried beyond the tiers, or left out of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Extent {
    /// Whether the app is removed with all its data, made anew and restored.
    pub disaster: bool,
    /// Whether head is deployed again, started again, removed and installed again, and every combination of its files resolved.
    pub thorough: bool,
    /// Whether nothing is planted into the app's data, so that nothing can be said of it either.
    pub no_canaries: bool,
}

/// The longest that a run may take unless it was told otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(1800);

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
