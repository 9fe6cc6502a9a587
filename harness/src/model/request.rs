//! What somebody asked for.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    names::{Domain, RecipeName, RunId},
    outcome::Tier,
    pack::{Pack, TestName},
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
    /// Which custom tests are run, and how often one that fails is tried.
    #[serde(default, skip_serializing_if = "Tests::are_usual")]
    pub tests: Tests,
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

/// How often a custom test that failed is tried again unless somebody said otherwise.
pub const USUAL_RETRIES: u32 = 1;

/// Which custom tests are run, and how often one that fails is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tests {
    /// Parts of the names of those that are run; all are when there are none.
    pub names: Vec<String>,
    /// Parts of the names of those that are not run.
    pub skip: Vec<String>,
    /// Whether these are whole names and not parts of them.
    pub exact: bool,
    /// The only ones that are run, because they did not pass in the run before; absent when that was not asked for.
    pub failed: Option<BTreeSet<TestName>>,
    /// How often one that failed is tried again.
    pub retries: u32,
    /// Whether one that passed only when it was tried again counts as failed.
    pub fail_on_flaky: bool,
}

impl Default for Tests {
    fn default() -> Self {
        let none = Vec::new;
        Self { names: none(), skip: none(), exact: false, failed: None, retries: USUAL_RETRIES, fail_on_flaky: false }
    }
}

impl Tests {
    /// Whether nobody said anything about them.
    pub fn are_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is a choice among the tests. A run with one says nothing of all of them, whichever it took.
    pub fn choose(&self) -> bool {
        !self.names.is_empty() || !self.skip.is_empty() || self.failed.is_some()
    }

    /// Why a test is not run, when the choice leaves it out; else nothing. As libtest has it, a name is left out by any part of `skip`,
    /// and taken by any part of `names`.
    pub fn leave_out(&self, test: &TestName) -> Option<String> {
        let fits = |part: &String| if self.exact { test.as_str() == part } else { test.as_str().contains(part.as_str()) };
        if let Some(part) = self.skip.iter().find(|part| fits(part)) {
            return Some(format!("--skip {part}"));
        }
        if !self.names.is_empty() && !self.names.iter().any(fits) {
            return Some(self.names.join(", "));
        }
        let others = self.failed.as_ref().is_some_and(|failed| !failed.contains(test));
        others.then(|| "--failed".to_owned())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_among_tests_is_libtests() {
        let tests = |names: &[&str], skip: &[&str], exact| Tests {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            skip: skip.iter().map(|&name| name.to_owned()).collect(),
            exact,
            ..Tests::default()
        };
        for (choice, test, left_out) in [
            (tests(&[], &[], false), "posts::a post", None),
            (tests(&["post"], &[], false), "posts::a post", None),
            (tests(&["mail", "post"], &[], false), "posts::a post", None),
            (tests(&["mail"], &[], false), "posts::a post", Some("mail")),
            (tests(&["post"], &["a post"], false), "posts::a post", Some("--skip a post")),
            (tests(&["post"], &[], true), "posts::a post", Some("post")),
            (tests(&["posts::a post"], &["post"], true), "posts::a post", None),
            (Tests { failed: Some([TestName::reported("a::b")].into()), ..tests(&[], &[], false) }, "a::c", Some("--failed")),
            (Tests { failed: Some([TestName::reported("a::b")].into()), ..tests(&[], &[], false) }, "a::b", None),
        ] {
            assert_eq!(choice.leave_out(&TestName::reported(test)).as_deref(), left_out, "{choice:?}");
        }
        assert!(!tests(&[], &[], true).choose() && tests(&[], &["x"], false).choose());
    }
}
