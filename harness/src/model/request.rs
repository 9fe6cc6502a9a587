//! What somebody asked for.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    names::{Domain, RecipeName, RunId},
    outcome::Tier,
    pack::Pack,
};

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
    /// What an author asks for beside the tiers.
    #[serde(default)]
    pub authoring: Authoring,
    /// The folder of recipes that were fetched before, when the network is not to be used for the recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<PathBuf>,
}

impl Request {
    /// The same request once it is known what the pack has: the custom tier is among the usual ones where there are custom tests.
    #[must_use]
    pub fn knowing(&self, pack: &Pack) -> Self {
        let mut request = self.clone();
        if request.authoring.usual && !pack.tests.is_empty() {
            request.tiers.insert(Tier::Custom);
        }
        request
    }
}

/// What the author of tests asks for: tests from outside of the tree, and an app that outlives its run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Authoring {
    /// Whether no tiers were named: then the custom tier is among them where tests are found.
    pub usual: bool,
    /// A folder with executables that are custom tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Whether executables of the recipe's own repository are run although the host file does not allow it.
    pub trusted: bool,
    /// How long the app is kept after the run; not at all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Duration>,
    /// The kept app that the tests are run on, instead of one that the run deploys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach: Option<Attach>,
    /// The files whose tests are run, where not all of them are; only on a kept app.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub files: BTreeSet<String>,
}

/// A kept app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attach {
    /// Its domain.
    pub domain: Domain,
    /// The run that keeps it.
    pub run: RunId,
}

/// How long an app is kept unless it is said.
pub const DEFAULT_KEEP: Duration = Duration::from_secs(3600);
/// The longest that an app is kept.
pub const LONGEST_KEEP: Duration = Duration::from_secs(86_400);

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
