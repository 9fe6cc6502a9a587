//! A pack: what a recipe's folder under `recipes/` says about the recipe, as data. The settings of its `recipe.toml`, and an
//! inventory of the functions that are linked with it.

mod probe;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub use probe::{Goal, Probe};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    names::{Domain, RunId},
    outcome::Tier,
    settings::{self, BadSettings},
};
use crate::model::rung::Rung;

/// What is known of a recipe's pack before a plan. Without a pack it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pack {
    /// Its settings.
    pub settings: Settings,
    /// Its custom tests, in the order in which they are run.
    #[serde(default)]
    pub tests: Vec<CustomTest>,
    /// What its `lifecycle.rs` has.
    #[serde(default)]
    pub hooks: Hooks,
    /// The text of its overlay `compose.ci.yml`, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// What is out of date about it, a sentence each; the run warns of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A custom test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CustomTest {
    /// Its name.
    pub name: TestName,
    /// What it proves.
    pub kind: TestKind,
    /// The file that it is in, from the folder of its origin on.
    pub file: String,
    /// Where it comes from.
    #[serde(default)]
    pub origin: Origin,
    /// Why it cannot be run, so that it stays unverified; absent when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
}

/// Where a custom test comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The recipe's pack: a function that is compiled in.
    #[default]
    Pack,
    /// The recipe's own repository: an executable below `tests/`.
    Repository,
    /// A folder that the request names: an executable.
    Folder,
}

impl Origin {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Pack => "pack",
            Origin::Repository => "repository",
            Origin::Folder => "folder",
        }
    }
}

/// What the lifecycle of a pack has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hooks {
    /// Whether it wires the app before the first deploy.
    pub install: bool,
    /// Whether it says itself when the app is ready.
    pub ready: bool,
    /// Its canaries by their names.
    pub canaries: Vec<String>,
    /// Its checks, each with the tier after which it is made.
    pub checks: Vec<(Tier, TestName)>,
}

/// What a custom test proves. Which kinds a pack has says whether it is superficial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestKind {
    /// The app says of itself that it is well.
    Health,
    /// Something is created and read back.
    Roundtrip,
    /// What this app is there for works.
    Distinctive,
}

impl TestKind {
    /// All kinds.
    pub const ALL: [TestKind; 3] = [TestKind::Health, TestKind::Roundtrip, TestKind::Distinctive];

    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            TestKind::Health => "health",
            TestKind::Roundtrip => "roundtrip",
            TestKind::Distinctive => "distinctive",
        }
    }
}

/// The name by which a pack's program knows one of its functions, as `--list` prints it and `--exact` takes it:
/// `posts::a post is read back`, `canary::a post::plant`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TestName(String);

impl TestName {
    /// The pack's wiring.
    pub const INSTALL: &str = "lifecycle::install";
    /// The pack's word on when the app is ready.
    pub const READY: &str = "lifecycle::ready";

    /// A name that a program reported.
    pub fn reported(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A test called `name` in the file `<stem>.rs`.
    pub fn of_test(stem: &str, name: &str) -> Self {
        Self(format!("{stem}::{name}"))
    }

    /// A check called `name` that is made after `tier`.
    pub fn of_check(tier: Tier, name: &str) -> Self {
        Self(format!("check::{tier}::{name}"))
    }

    /// What is done with the canary called `name`.
    pub fn of_canary(name: &str, act: CanaryAct) -> Self {
        Self(format!("canary::{name}::{}", act.name()))
    }

    /// An executable, by its path from the folder of its origin on.
    pub fn of_executable(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the author called it, without the file or the tier before it.
    pub fn sentence(&self) -> &str {
        self.0.rsplit("::").next().unwrap_or(&self.0)
    }
}

impl fmt::Display for TestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What can be done with a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryAct {
    /// Puts it into the app's data.
    Seed,
    /// Checks that it is there and whole.
    Check,
    /// Corrupts it, so that only a restore brings it back.
    Corrupt,
}

impl CanaryAct {
    /// All acts in the order of a canary's life.
    pub const ALL: [CanaryAct; 3] = [CanaryAct::Seed, CanaryAct::Check, CanaryAct::Corrupt];

    /// The act's name.
    pub fn name(self) -> &'static str {
        match self {
            CanaryAct::Seed => "seed",
            CanaryAct::Check => "check",
            CanaryAct::Corrupt => "corrupt",
        }
    }
}

impl Pack {
    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it does anything between `app new` and the first deploy that needs a step of its own.
    pub fn wires(&self) -> bool {
        self.hooks.install || self.overlay.is_some()
    }

    /// The functions that are run in a tier: the custom tests in the custom tier, and the checks after it.
    pub fn functions_of(&self, tier: Tier) -> impl Iterator<Item = &TestName> {
        let tests = self.tests.iter().filter(move |_| tier == Tier::Custom).map(|test| &test.name);
        tests.chain(self.hooks.checks.iter().filter(move |(after, _)| *after == tier).map(|(_, name)| name))
    }

    /// The kinds of tests without which a pack says little about its app, as far as it lacks them.
    pub fn lacks(&self) -> Vec<TestKind> {
        let has = |kind: &TestKind| self.tests.iter().any(|test| test.kind == *kind && test.flaw.is_none());
        [TestKind::Roundtrip, TestKind::Distinctive].into_iter().filter(|kind| !has(kind)).collect()
    }

    /// Why custom tests of this pack say little about the app; absent when they say enough.
    pub fn superficial(&self) -> Option<String> {
        let lacks: Vec<&str> = self.lacks().into_iter().map(TestKind::name).collect();
        match (self.tests.is_empty(), lacks.is_empty()) {
            (true, _) => Some("superficial: the recipe has no custom tests".into()),
            (false, true) => None,
            (false, false) => Some(format!("superficial: the pack has no {} test", lacks.join(" and no "))),
        }
    }

    /// Why the rung or the test does not apply, when the pack says so.
    pub fn not_applicable(&self, name: &str) -> Option<&str> {
        match self.settings.not_applicable.get(name)? {
            Inapplicable::Always(because) => Some(because),
            Inapplicable::Condition { .. } => None,
        }
    }

    /// The condition under which a test may say itself that it does not apply, when the pack declares one.
    pub fn condition(&self, name: &str) -> Option<&str> {
        match self.settings.not_applicable.get(name)? {
            Inapplicable::Always(_) => None,
            Inapplicable::Condition { when } => Some(when),
        }
    }

    /// The variables that the pack sets, filled in.
    pub fn env(&self, domain: &Domain, run: &RunId) -> BTreeMap<String, String> {
        self.settings.env.iter().map(|(key, value)| (key.clone(), value.fill(domain, run))).collect()
    }

    /// The variables that the pack sets before the upgrade to head, filled in.
    pub fn upgrade_env(&self, domain: &Domain, run: &RunId) -> BTreeMap<String, String> {
        self.settings.upgrade_env.iter().map(|(key, value)| (key.clone(), value.fill(domain, run))).collect()
    }
}

/// What a `recipe.toml` holds. All keys can be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The path that answers when the app is well.
    pub health_path: HealthPath,
    /// The statuses with which it answers then. Without it any from 200 to 399, and 401 and 403, for a page that wants a log-in is
    /// the app's own.
    #[schemars(inner(range(min = 100, max = 599)))]
    pub health_status: BTreeSet<u16>,
    /// What else has to hold of a well app, each a page or a port. It is looked at whenever the app has been deployed or restored.
    pub probes: Vec<Probe>,
    /// What the app takes of its host beyond what its compose files reserve.
    pub resources: Resources,
    /// Variables of the app's `.env`, set before its secrets are made. Values may have `{domain}` and `{run}` in them.
    pub env: BTreeMap<String, Template>,
    /// Variables that are set only before the upgrade to the head, templated like `env`.
    pub upgrade_env: BTreeMap<String, Template>,
    /// The version that upgrades begin from, where the usual choice is wrong for this recipe.
    pub base: Option<String>,
    /// What brings an older release up that would not come up by itself any more.
    pub repair: Option<Repair>,
    /// The services that do their work once and end with exit code 0, by their names in the compose files.
    pub one_shots: BTreeSet<String>,
    /// The databases of the app.
    pub databases: Vec<Database>,
    /// What does not apply to the recipe, each with the reason: a rung (`install`, `upgrade`, `backup_restore`, `custom`, `lint`) or a
    /// custom test (`posts::a post is read back`), which is not run then. `{ when = "it is set up without mail" }` instead of a reason
    /// is the condition under which a custom test may say itself that it does not apply; one that says so without is not verified.
    pub not_applicable: BTreeMap<String, Inapplicable>,
    /// How much a rung weighs in the verdict, where it is not as usual.
    pub rungs: BTreeMap<Rung, Weight>,
}

/// What an app takes of its host, where its compose files do not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// The memory that it takes, in MiB. No run begins with less of it free, and no second one beside it.
    pub memory_mib: u64,
    /// The ports of the host that it takes; no run of another app that wants one of them goes on beside it.
    pub ports: BTreeSet<u16>,
}

/// When something does not apply to a recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a reason, or { when = \"…\" } with the condition under which the test may say so"
)]
pub enum Inapplicable {
    /// Never; this is why.
    Always(String),
    /// Under a condition, which the test looks for.
    Condition {
        /// The condition, in words.
        when: String,
    },
}

/// How much a rung weighs in the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Without it there is no green.
    Required,
    /// It is told and changes no verdict.
    Advisory,
}

/// What brings an older release up, as the base of an upgrade and only so: head is never deployed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// The release that it repairs. With any other base it is not used, and the run warns of it.
    pub version: String,
    /// The text of one more compose file for that release.
    pub compose: String,
}

/// A database of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The service that it runs in, by its name in the compose files.
    pub service: String,
    /// What it is.
    pub kind: DatabaseKind,
    /// The name of the database in it, when it is not the service's default.
    #[serde(default)]
    pub name: Option<String>,
    /// Who connects to it, when it is not the service's default.
    #[serde(default)]
    pub user: Option<String>,
    /// The file in the container that holds the password, mostly one in `/run/secrets`.
    #[serde(default)]
    pub password_file: Option<String>,
    /// The file in the container that is the database, for SQLite.
    #[serde(default)]
    pub path: Option<String>,
}

/// What a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL.
    Mysql,
    /// A file of SQLite.
    Sqlite,
    /// Redis, or what speaks its protocol.
    Redis,
}

impl DatabaseKind {
    /// The name that people know.
    pub fn name(self) -> &'static str {
        match self {
            DatabaseKind::Postgres => "PostgreSQL",
            DatabaseKind::Mysql => "MariaDB or MySQL",
            DatabaseKind::Sqlite => "SQLite",
            DatabaseKind::Redis => "Redis",
        }
    }
}

/// A path of the app's, beginning with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct HealthPath(String);

impl HealthPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for HealthPath {
    fn default() -> Self {
        Self("/".into())
    }
}

impl TryFrom<String> for HealthPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            true => Ok(Self(text)),
            false => Err(format!("{text:?} is no path: it begins with `/` and has no blanks")),
        }
    }
}

impl From<HealthPath> for String {
    fn from(path: HealthPath) -> String {
        path.0
    }
}

/// A text with `{domain}` and `{run}` in it, which stand for the app's domain and the run's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Template(String);

impl Template {
    /// The text with its places filled.
    pub fn fill(&self, domain: &Domain, run: &RunId) -> String {
        self.0.replace("{domain}", domain.as_str()).replace("{run}", run.as_str())
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains(['\n', '\r']) {
            return Err("a variable is one line".into());
        }
        let words = text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
        // Braces around anything else are the value's own, as in JSON.
        let mut places =
            words.filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '.' || c == '_'));
        match places.find(|word| !["domain", "run"].contains(word)) {
            Some(unknown) => Err(format!("nothing is known of `{{{unknown}}}`; there are `{{domain}}` and `{{run}}`")),
            None => Ok(Self(text)),
        }
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.0
    }
}

impl Settings {
    /// Reads the text of a `recipe.toml`.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        settings::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_says_what_no_file_says() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
        assert_eq!(Settings::default().health_path.as_str(), "/");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, said) in [
            ("helth_path = \"/\"\n", "line 1, column 1: unknown key `helth_path`; did you mean `health_path`?"),
            ("health_path = \"up\"\n", "line 1, column 15: \"up\" is no path: it begins with `/` and has no blanks"),
            ("[env]\nA = \"{domian}\"\n", "line 2, column 5: nothing is known of `{domian}`; there are `{domain}` and `{run}`"),
            ("[rungs]\nlint = \"maybe\"\n", "line 2, column 8: unknown variant `maybe`, expected `required` or `advisory`"),
            (
                "[[databases]]\nservice = \"db\"\nkind = \"oracle\"\n",
                "line 3, column 8: unknown variant `oracle`, expected one of `postgres`, `mysql`, `sqlite`, `redis`",
            ),
        ] {
            assert_eq!(Settings::parse(text).unwrap_err().to_string(), said, "{text}");
        }
    }

    #[test]
    fn only_places_that_are_known_are_filled() {
        let (domain, run) = ("shop-aebagbaf.taster.test".parse().unwrap(), "20261121-101502-aebagbaf".parse().unwrap());
        for (text, filled) in [
            ("https://{domain}/", "https://shop-aebagbaf.taster.test/"),
            ("{run}", "20261121-101502-aebagbaf"),
            ("{\"a\": {}}", "{\"a\": {}}"),
            ("{", "{"),
        ] {
            assert_eq!(Template::try_from(text.to_owned()).unwrap().fill(&domain, &run), filled);
        }
    }

    #[test]
    fn a_pack_without_a_roundtrip_and_a_distinctive_test_is_superficial() {
        let with = |kinds: &[TestKind]| Pack {
            tests: kinds
                .iter()
                .map(|kind| CustomTest {
                    name: TestName::of_test("a", kind.name()),
                    kind: *kind,
                    file: "custom/a.rs".into(),
                    origin: Origin::Pack,
                    flaw: None,
                })
                .collect(),
            ..Pack::default()
        };
        for (kinds, said) in [
            (&[][..], Some("superficial: the recipe has no custom tests")),
            (&[TestKind::Health], Some("superficial: the pack has no roundtrip and no distinctive test")),
            (&[TestKind::Health, TestKind::Roundtrip], Some("superficial: the pack has no distinctive test")),
            (&[TestKind::Distinctive, TestKind::Roundtrip], None),
        ] {
            assert_eq!(with(kinds).superficial().as_deref(), said);
        }
    }
}
