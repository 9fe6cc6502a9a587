//! The request: what a run is asked to do.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    names::{Domain, RecipeName, RunId},
    outcome::Tier,
    pack::{Pack, TestName},
};

/// One request: a recipe, and which tiers to run on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// The recipe.
    pub recipe: RecipeName,
    /// Where its files come from.
    pub source: Source,
    /// The requested tiers. The verdict is about these.
    pub tiers: BTreeSet<Tier>,
    /// The tag, branch or commit to upgrade from; absent for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Additions to and omissions from the tiers.
    #[serde(default)]
    pub extent: Extent,
    /// Selection of custom tests, and their retries.
    #[serde(default, skip_serializing_if = "Tests::are_usual")]
    pub tests: Tests,
    /// The maximum duration of the run. Then the run is cancelled and cleaned up.
    pub deadline: Duration,
    /// The host file from the command line, needed to repeat the run; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_file: Option<PathBuf>,
    /// Options for authors of tests.
    #[serde(default)]
    pub authoring: Authoring,
    /// The number of the pull request that the run is about, when it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr: Option<String>,
    /// The event that started the run, in words, when it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The folder of cached recipes; present when the run must not fetch the recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<PathBuf>,
}

/// The tiers that run when the request names none, besides the custom tier: see [`Request::with_custom_tier_by_default`].
pub const DEFAULT_TIERS: [Tier; 4] = [Tier::Install, Tier::Upgrade, Tier::Backup, Tier::Restore];

impl Request {
    /// The same request, with the custom tier where no tiers were named and the pack has custom tests. This alone decides whether
    /// the custom tier runs by default; tests of the recipe's own repository are found only after the request was made.
    #[must_use]
    pub fn with_custom_tier_by_default(&self, pack: &Pack) -> Self {
        let mut request = self.clone();
        if request.authoring.default_tiers && !pack.tests.is_empty() {
            request.tiers.insert(Tier::Custom);
        }
        request
    }
}

/// Options for authors of tests: tests from outside the packs, and apps that outlive their run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Authoring {
    /// Whether no tiers were named: then the custom tier is among them where tests are found.
    #[serde(alias = "usual")]
    pub default_tiers: bool,
    /// A folder of executables to run as custom tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Whether executables of the recipe's own repository run although the host file does not allow it.
    pub trusted: bool,
    /// How long the app is kept after the run; absent when it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Duration>,
    /// The kept app to run the tests on, instead of a new app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach: Option<Attach>,
    /// The files whose tests run; absent for all files. Only on a kept app.
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

/// The default duration of a kept app.
pub const DEFAULT_KEEP: Duration = Duration::from_secs(3600);
/// The maximum duration of a kept app.
pub const LONGEST_KEEP: Duration = Duration::from_secs(86_400);

/// Additions to and omissions from the tiers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Extent {
    /// Whether the app is removed with all its data, then restored into a fresh app.
    pub disaster: bool,
    /// Whether head is redeployed, restarted, removed and reinstalled, and every documented combination of its compose files
    /// resolved.
    pub thorough: bool,
    /// Whether no canaries are seeded. Then data is not verified.
    pub no_canaries: bool,
}

/// The default number of retries of a failed custom test.
pub const USUAL_RETRIES: u32 = 1;

/// Selection of custom tests, and their retries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tests {
    /// Substrings of the names of the tests to run; empty for all tests.
    pub names: Vec<String>,
    /// Substrings of the names of the tests to leave out.
    pub skip: Vec<String>,
    /// Whether both lists hold whole names instead of substrings.
    pub exact: bool,
    /// The tests that did not pass in the previous run, which are the only ones to run; absent without `--failed`.
    pub failed: Option<BTreeSet<TestName>>,
    /// The number of retries of a failed test.
    pub retries: u32,
    /// Whether a test that passes only on a retry counts as failed.
    pub fail_on_flaky: bool,
}

impl Default for Tests {
    fn default() -> Self {
        let none = Vec::new;
        Self { names: none(), skip: none(), exact: false, failed: None, retries: USUAL_RETRIES, fail_on_flaky: false }
    }
}

impl Tests {
    /// Whether all fields have their defaults.
    pub fn are_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether filters are set. A filtered run never proves the custom tier.
    pub fn choose(&self) -> bool {
        !self.names.is_empty() || !self.skip.is_empty() || self.failed.is_some()
    }

    /// The reason why the filters leave a test out; absent when they select it. As in libtest, any match in `skip` leaves a test
    /// out, and any match in `names` selects it.
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

/// The default maximum duration of a run.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(1800);

/// The source of the recipe's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Source {
    /// The recipe of this name in abra's catalogue, at a tag, branch or commit; by default at its newest version.
    Catalogue {
        /// The tag, branch or commit.
        at: Option<String>,
    },
    /// A local folder, with its uncommitted changes.
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_filters_match_as_in_libtest() {
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
