//! A pack as data: the settings of its `recipe.toml`, and the functions that are linked with it.

mod budgets;
mod probe;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub use budgets::{Budget, Budgets};
pub use probe::{Probe, ProbeGoal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    names::{Domain, RunId},
    outcome::Tier,
    settings::{self, BadSettings},
};
use crate::model::rung::Rung;

/// A recipe's pack as the plan needs it. It is empty without a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pack {
    /// Its settings.
    pub settings: Settings,
    /// Its custom tests in running order.
    #[serde(default)]
    pub tests: Vec<CustomTest>,
    /// The hooks of its `lifecycle.rs`.
    #[serde(default)]
    pub hooks: Hooks,
    /// The text of its overlay `compose.ci.yml`; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// Warnings about outdated parts, one sentence each.
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
    /// Its file, relative to the folder of its origin.
    pub file: String,
    /// Its origin.
    #[serde(default)]
    pub origin: Origin,
    /// Why it cannot run, which leaves it unverified; absent when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
}

/// The origin of a custom test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The recipe's pack: a compiled function.
    #[default]
    Pack,
    /// The recipe's own repository: an executable below `tests/`.
    Repository,
    /// The folder of `--pack`: an executable.
    Folder,
}

impl Origin {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Pack => "pack",
            Origin::Repository => "repository",
            Origin::Folder => "folder",
        }
    }
}

/// The hooks of a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hooks {
    /// Whether it configures the app before the first deploy.
    #[serde(alias = "install")]
    pub configure: bool,
    /// Whether it decides when the app is ready.
    pub ready: bool,
    /// Its canaries by their names.
    pub canaries: Vec<String>,
    /// Its checks, each with the tier after which it runs.
    pub checks: Vec<(Tier, TestName)>,
}

/// What a custom test proves. A pack without roundtrip and distinctive tests is superficial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestKind {
    /// The app reports itself healthy.
    Health,
    /// Data is created and read back.
    Roundtrip,
    /// The app's distinctive feature works.
    Distinctive,
}

impl TestKind {
    /// All kinds.
    pub const ALL: [TestKind; 3] = [TestKind::Health, TestKind::Roundtrip, TestKind::Distinctive];

    /// The kinds of which a pack needs one test each. Without them it is superficial.
    pub const CONVINCING: [TestKind; 2] = [TestKind::Roundtrip, TestKind::Distinctive];

    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            TestKind::Health => "health",
            TestKind::Roundtrip => "roundtrip",
            TestKind::Distinctive => "distinctive",
        }
    }
}

/// The name of a function in a pack's test program, as `--list` prints it and `--exact` takes it:
/// `posts::a post is read back`, `canary::a post::seed`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TestName(String);

impl TestName {
    /// The configure hook.
    pub const CONFIGURE: &str = "lifecycle::configure";
    /// The ready hook.
    pub const READY: &str = "lifecycle::ready";

    /// A name that a program reported.
    pub fn reported(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A test called `name` in the file `<stem>.rs`.
    pub fn of_test(stem: &str, name: &str) -> Self {
        Self(format!("{stem}::{name}"))
    }

    /// A check called `name` that runs after `tier`.
    pub fn of_check(tier: Tier, name: &str) -> Self {
        Self(format!("check::{tier}::{name}"))
    }

    /// An act on the canary called `name`.
    pub fn of_canary(name: &str, act: CanaryAct) -> Self {
        Self(format!("canary::{name}::{}", act.name()))
    }

    /// An executable, by its path relative to the folder of its origin.
    pub fn of_executable(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The author's name for it, without file or tier.
    pub fn sentence(&self) -> &str {
        self.0.rsplit("::").next().unwrap_or(&self.0)
    }
}

impl fmt::Display for TestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An act on a canary.
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
    /// All acts in order.
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
    /// Whether it has any content.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it needs the step configure between `app new` and the first deploy.
    pub fn configures(&self) -> bool {
        self.hooks.configure || self.overlay.is_some()
    }

    /// The functions that run in a tier: the custom tests in the custom tier, and the checks after it.
    pub fn functions_of(&self, tier: Tier) -> impl Iterator<Item = &TestName> {
        let tests = self.tests.iter().filter(move |_| tier == Tier::Custom).map(|test| &test.name);
        tests.chain(self.hooks.checks.iter().filter(move |(after, _)| *after == tier).map(|(_, name)| name))
    }

    /// The required kinds of tests that the pack lacks.
    pub fn lacks(&self) -> Vec<TestKind> {
        let has = |kind: &TestKind| self.tests.iter().any(|test| test.kind == *kind && test.flaw.is_none());
        TestKind::CONVINCING.into_iter().filter(|kind| !has(kind)).collect()
    }

    /// Why this pack is superficial; absent when it is not.
    pub fn superficial(&self) -> Option<String> {
        let lacks: Vec<&str> = self.lacks().into_iter().map(TestKind::name).collect();
        match (self.tests.is_empty(), lacks.is_empty()) {
            (true, _) => Some("superficial: the recipe has no custom tests".into()),
            (false, true) => None,
            (false, false) => Some(format!("superficial: the pack has no {} test", lacks.join(" and no "))),
        }
    }

    /// The pack's reason why the rung or the test does not apply; absent when it applies.
    pub fn not_applicable(&self, name: &str) -> Option<&str> {
        match self.settings.not_applicable.get(name)? {
            Inapplicable::Always(because) => Some(because),
            Inapplicable::Condition { .. } => None,
        }
    }

    /// The declared condition under which a test may report that it does not apply.
    pub fn condition(&self, name: &str) -> Option<&str> {
        match self.settings.not_applicable.get(name)? {
            Inapplicable::Always(_) => None,
            Inapplicable::Condition { when } => Some(when),
        }
    }

    /// The variables that the pack sets, with templates filled in.
    pub fn env(&self, domain: &Domain, run: &RunId) -> BTreeMap<String, String> {
        self.settings.env.iter().map(|(key, value)| (key.clone(), value.fill(domain, run))).collect()
    }

    /// The pack's value of a secret that abra never generates, with templates filled in.
    pub fn secret(&self, name: &str, domain: &Domain, run: &RunId) -> Option<String> {
        self.settings.secrets.get(name).map(|value| value.fill(domain, run))
    }

    /// The variables that the pack sets before the upgrade to head, with templates filled in.
    pub fn upgrade_env(&self, domain: &Domain, run: &RunId) -> BTreeMap<String, String> {
        self.settings.upgrade_env.iter().map(|(key, value)| (key.clone(), value.fill(domain, run))).collect()
    }
}

/// The contents of a `recipe.toml`. All keys are optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The path that answers when the app is healthy.
    pub health_path: HealthPath,
    /// The accepted statuses of that path. By default 200 to 399, and 401 and 403, because a page that asks for a log-in is the
    /// app's own.
    #[schemars(inner(range(min = 100, max = 599)))]
    pub health_status: BTreeSet<u16>,
    /// Further conditions of a healthy app, each a page or a port, checked after each deploy and restore.
    pub probes: Vec<Probe>,
    /// The longest waits of a run for this app.
    pub budgets: Budgets,
    /// Resources of the host that the app uses beyond its compose files' reservations.
    pub resources: Resources,
    /// Variables of the app's `.env`, set before its secrets are generated. Values may contain `{domain}` and `{run}`.
    pub env: BTreeMap<String, Template>,
    /// Variables set only before the upgrade to head, templated like `env`.
    pub upgrade_env: BTreeMap<String, Template>,
    /// Values of secrets that abra never generates (`generate=false` in `.env.sample`), by the names of the secrets in the
    /// compose files, templated like `env`.
    pub secrets: BTreeMap<String, Template>,
    /// The version to upgrade from, where the default is wrong for this recipe.
    pub base: Option<String>,
    /// A repair for an older release that no longer starts by itself.
    pub repair: Option<Repair>,
    /// The services that run once and end with exit code 0, by their names in the compose files.
    pub one_shots: BTreeSet<String>,
    /// The databases of the app.
    pub databases: Vec<Database>,
    /// Rungs (`install`, `upgrade`, `backup_restore`, `custom`, `lint`) and custom tests (`posts::a post is read back`) that do
    /// not apply to the recipe and do not run, each with the reason. `{ when = "it is set up without mail" }` instead of a reason
    /// declares a condition under which a custom test may report that it does not apply; without the declaration such a test is
    /// unverified.
    pub not_applicable: BTreeMap<String, Inapplicable>,
    /// The weight of rungs in the verdict, where it differs from the default.
    pub rungs: BTreeMap<Rung, Weight>,
}

/// Resources of the host that an app uses beyond its compose files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Memory in MiB. A run waits until this much is free, beside other runs too.
    pub memory_mib: u64,
    /// Host ports. Two runs that need the same port never run side by side.
    pub ports: BTreeSet<u16>,
}

/// When a rung or a test does not apply to a recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a reason, or { when = \"…\" } with the condition under which the test may say so"
)]
pub enum Inapplicable {
    /// Never, for this reason.
    Always(String),
    /// Under a condition that the test checks.
    Condition {
        /// The condition.
        when: String,
    },
}

/// The weight of a rung in the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The verdict is green only if it passes.
    Required,
    /// Reports show it; the verdict ignores it.
    Advisory,
}

/// A repair for an older release as the base of an upgrade. Head is never deployed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// The release to repair. With another base it is not used, and the run warns.
    pub version: String,
    /// The text of an additional compose file for that release.
    pub compose: String,
}

/// A database of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Its service, by its name in the compose files.
    pub service: String,
    /// Its kind.
    pub kind: DatabaseKind,
    /// The database's name; by default the service's default.
    #[serde(default)]
    pub name: Option<String>,
    /// The user; by default the service's default.
    #[serde(default)]
    pub user: Option<String>,
    /// The file in the container with the password, mostly in `/run/secrets`.
    #[serde(default)]
    pub password_file: Option<String>,
    /// The file in the container that is the database, for SQLite.
    #[serde(default)]
    pub path: Option<String>,
}

impl Database {
    /// A database of which only service and kind are known.
    pub fn of(service: String, kind: DatabaseKind) -> Self {
        Self { service, kind, name: None, user: None, password_file: None, path: None }
    }
}

/// The kind of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL.
    Mysql,
    /// An SQLite file.
    Sqlite,
    /// Redis, or a server with its protocol.
    Redis,
}

impl DatabaseKind {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            DatabaseKind::Postgres => "PostgreSQL",
            DatabaseKind::Mysql => "MariaDB or MySQL",
            DatabaseKind::Sqlite => "SQLite",
            DatabaseKind::Redis => "Redis",
        }
    }
}

/// An absolute URL path of the app.
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
            false => Err(format!("{text:?} is not a path: it begins with `/` and has no blanks")),
        }
    }
}

impl From<HealthPath> for String {
    fn from(path: HealthPath) -> String {
        path.0
    }
}

/// A template: `{domain}` and `{run}` stand for the app's domain and the run's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Template(String);

impl Template {
    /// The text with its templates filled in.
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
        // Other braces are part of the value, as in JSON.
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
    /// Parses the text of a `recipe.toml`.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        settings::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_file_equals_no_file() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
        assert_eq!(Settings::default().health_path.as_str(), "/");
    }

    #[test]
    fn invalid_settings_are_reported_with_line_and_column() {
        for (text, message) in [
            ("helth_path = \"/\"\n", "line 1, column 1: unknown key `helth_path`; did you mean `health_path`?"),
            ("health_path = \"up\"\n", "line 1, column 15: \"up\" is not a path: it begins with `/` and has no blanks"),
            ("[env]\nA = \"{domian}\"\n", "line 2, column 5: nothing is known of `{domian}`; there are `{domain}` and `{run}`"),
            ("[rungs]\nlint = \"maybe\"\n", "line 2, column 8: `maybe` is not known here; known are `required` or `advisory`"),
            (
                "[[databases]]\nservice = \"db\"\nkind = \"oracle\"\n",
                "line 3, column 8: `oracle` is not known here; known are `postgres`, `mysql`, `sqlite`, `redis`",
            ),
        ] {
            assert_eq!(Settings::parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn only_known_templates_are_filled_in() {
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
    fn pack_without_roundtrip_or_distinctive_test_is_superficial() {
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
        for (kinds, reason) in [
            (&[][..], Some("superficial: the recipe has no custom tests")),
            (&[TestKind::Health], Some("superficial: the pack has no roundtrip and no distinctive test")),
            (&[TestKind::Health, TestKind::Roundtrip], Some("superficial: the pack has no distinctive test")),
            (&[TestKind::Distinctive, TestKind::Roundtrip], None),
        ] {
            assert_eq!(with(kinds).superficial().as_deref(), reason);
        }
    }
}
