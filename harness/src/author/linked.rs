//! A linked pack: the texts and functions of a pack in the binary.

use std::collections::BTreeMap;

use super::{Lifecycle, Suite};
use crate::model::rung::Rung;
use crate::model::{
    pack::{CustomTest, Hooks, Inapplicable, Origin, Pack, Settings, TestName},
    settings::BadSettings,
};

/// A pack in the binary. `build.rs` of the crate `recipes` lists them.
#[derive(Debug, Clone, Copy)]
pub struct Linked {
    /// The recipe.
    pub name: &'static str,
    /// The text of `recipe.toml`; empty without one.
    pub settings: &'static str,
    /// The text of `compose.ci.yml`; absent without one.
    pub overlay: Option<&'static str>,
    /// The test files, relative to the pack's folder, with their suites.
    pub suites: &'static [SuiteFile],
    /// The lifecycle; absent without one.
    pub lifecycle: Option<fn() -> Lifecycle>,
    /// The text of `PARITY.md`; absent without one.
    pub parity: Option<&'static str>,
    /// Warnings about outdated parts, one sentence each.
    pub warnings: &'static [&'static str],
}

/// A test file, relative to the pack's folder, with its suite.
pub type SuiteFile = (&'static str, fn() -> Suite);

/// Error of a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPack {
    /// Its settings cannot be parsed.
    #[error("recipes/{recipe}/recipe.toml, {error}")]
    Settings {
        /// The recipe.
        recipe: String,
        /// The error.
        error: BadSettings,
    },
    /// Two functions share a name.
    #[error("recipes/{recipe}: {name:?} is the name of two functions, in {first} and in {second}")]
    Twice {
        /// The recipe.
        recipe: String,
        /// The name.
        name: String,
        /// The first file.
        first: String,
        /// The second file, which may be the same.
        second: String,
    },
    /// An invalid name: it is empty or contains the separator of names.
    #[error("recipes/{recipe}/{file}: {name:?} is not a valid name of a test: a sentence in one line without `::`")]
    Name {
        /// The recipe.
        recipe: String,
        /// The file.
        file: String,
        /// The name.
        name: String,
    },
    /// An entry of `not_applicable` names nothing, or something that always applies.
    #[error("recipes/{recipe}/recipe.toml, not_applicable: {name:?} {wrong}")]
    NotApplicable {
        /// The recipe.
        recipe: String,
        /// The entry.
        name: String,
        /// The error.
        wrong: &'static str,
    },
    /// A test file without tests.
    #[error("recipes/{recipe}/{file} has an empty suite")]
    Empty {
        /// The recipe.
        recipe: String,
        /// The file.
        file: String,
    },
}

/// The file of the lifecycle.
const LIFECYCLE: &str = "lifecycle.rs";

impl Linked {
    /// The pack as data, validated.
    ///
    /// # Errors
    /// When its settings cannot be parsed, or its names are not unique.
    pub fn pack(&self) -> Result<Pack, BadPack> {
        let settings =
            Settings::parse(self.settings).map_err(|error| BadPack::Settings { recipe: self.name.to_owned(), error })?;
        let mut names = Names { recipe: self.name, files: BTreeMap::new() };
        let mut tests = Vec::new();
        for (file, suite) in self.suites {
            let suite = suite();
            if suite.tests().is_empty() {
                return Err(BadPack::Empty { recipe: self.name.to_owned(), file: (*file).to_owned() });
            }
            for test in suite.tests() {
                let name = TestName::of_test(stem(file), test.name);
                names.take(test.name, &name, file)?;
                tests.push(CustomTest { name, kind: test.kind, file: (*file).to_owned(), origin: Origin::Pack, flaw: None });
            }
        }
        let lifecycle = self.lifecycle.map(|lifecycle| lifecycle()).unwrap_or_default();
        let mut hooks = Hooks { configure: lifecycle.configure.is_some(), ready: lifecycle.ready.is_some(), ..Hooks::default() };
        for canary in &lifecycle.canaries {
            let name = TestName::of_canary(canary.name, crate::model::pack::CanaryAct::Seed);
            names.take(canary.name, &name, LIFECYCLE)?;
            hooks.canaries.push(canary.name.to_owned());
        }
        for check in &lifecycle.checks {
            let name = TestName::of_check(check.tier, check.name);
            names.take(check.name, &name, LIFECYCLE)?;
            hooks.checks.push((check.tier, name));
        }
        for (name, entry) in &settings.not_applicable {
            let rung = Rung::ALL.iter().any(|rung| rung.name() == name);
            let checks = hooks.checks.iter().map(|(_, check)| check);
            let test = tests.iter().map(|test| &test.name).chain(checks).any(|test| test.as_str() == name);
            let wrong = match entry {
                Inapplicable::Always(_) | Inapplicable::Condition { .. } if !rung && !test => {
                    "is neither a rung nor a test or check of the pack"
                }
                Inapplicable::Condition { .. } if rung => "is a rung, and only a test or check can look for a condition",
                Inapplicable::Always(_) | Inapplicable::Condition { .. } => continue,
            };
            return Err(BadPack::NotApplicable { recipe: self.name.to_owned(), name: name.clone(), wrong });
        }
        let warnings = self.warnings.iter().map(|&warning| warning.to_owned()).collect();
        Ok(Pack { settings, tests, hooks, overlay: self.overlay.map(str::to_owned), warnings })
    }
}

/// The part of a test's name from its file: the file's stem.
pub(super) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".rs").unwrap_or(name)
}

/// The used names, each with its file.
struct Names<'a> {
    recipe: &'a str,
    files: BTreeMap<TestName, String>,
}

impl Names<'_> {
    fn take(&mut self, sentence: &str, name: &TestName, file: &str) -> Result<(), BadPack> {
        let recipe = self.recipe.to_owned();
        if sentence.trim().is_empty() || sentence.trim() != sentence || sentence.contains(['\n', '\r']) || sentence.contains("::")
        {
            return Err(BadPack::Name { recipe, file: file.to_owned(), name: sentence.to_owned() });
        }
        match self.files.insert(name.clone(), file.to_owned()) {
            None => Ok(()),
            Some(first) => Err(BadPack::Twice { recipe, name: name.to_string(), first, second: file.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        author::{Checked, TestContext},
        model::outcome::Tier,
    };

    fn lifecycle() -> Lifecycle {
        Lifecycle::new().canary("a post", holds, holds, holds).check(Tier::Upgrade, "data is moved", holds)
    }

    async fn holds(_: TestContext) -> Checked {
        Ok(())
    }

    const NOTHING: Linked =
        Linked { name: "shop", settings: "", overlay: None, suites: &[], lifecycle: None, parity: None, warnings: &[] };

    fn one() -> Suite {
        Suite::new().health("it is well", holds)
    }

    fn twice() -> Suite {
        one().distinctive("it is well", holds)
    }

    fn unnamed() -> Suite {
        Suite::new().health("", holds)
    }

    #[test]
    fn pack_errors_name_the_file() {
        let with = |suites| Linked { suites, ..NOTHING }.pack().unwrap_err().to_string();
        let twice_over = "recipes/shop: \"a::it is well\" is the name of two functions, in";
        assert_eq!(with(&[("custom/a.rs", twice)]), format!("{twice_over} custom/a.rs and in custom/a.rs"));
        assert_eq!(
            with(&[("custom/a.rs", one), ("functional/a.rs", one)]),
            format!("{twice_over} custom/a.rs and in functional/a.rs")
        );
        assert!(with(&[("custom/a.rs", unnamed)]).starts_with("recipes/shop/custom/a.rs: \"\" is not a valid name"));
        assert_eq!(with(&[("custom/a.rs", Suite::new)]), "recipes/shop/custom/a.rs has an empty suite");
        let settings = Linked { settings: "x = 1\n", ..NOTHING }.pack().unwrap_err().to_string();
        assert_eq!(settings, "recipes/shop/recipe.toml, line 1, column 1: unknown key `x`");
        for (entry, wrong) in [
            (
                "\"a::it is wel\" = \"no mail\"",
                "not_applicable: \"a::it is wel\" is neither a rung nor a test or check of the pack",
            ),
            (
                "upgrade = { when = \"no mail\" }",
                "not_applicable: \"upgrade\" is a rung, and only a test or check can look for a condition",
            ),
            ("\"canary::a post::seed\" = \"no posts\"", "is neither a rung nor a test or check of the pack"),
            ("\"a::it is well\" = { wen = \"x\" }", "a reason, or { when = \"…\" } with the condition"),
        ] {
            let text: &'static str = format!("[not_applicable]\n{entry}\n").leak();
            let linked = Linked { settings: text, suites: &[("custom/a.rs", one)], lifecycle: Some(lifecycle), ..NOTHING };
            let error = linked.pack().unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
        for entry in [
            "\"a::it is well\" = \"no mail\"",
            "\"a::it is well\" = { when = \"no mail\" }",
            "\"check::upgrade::data is moved\" = { when = \"the database stays\" }",
            "upgrade = \"one release\"",
        ] {
            let text: &'static str = format!("[not_applicable]\n{entry}\n").leak();
            Linked { settings: text, suites: &[("custom/a.rs", one)], lifecycle: Some(lifecycle), ..NOTHING }.pack().unwrap();
        }
    }

    #[test]
    fn same_test_name_in_two_files_is_valid() {
        let pack = Linked { suites: &[("custom/a.rs", one), ("custom/b.rs", one)], ..NOTHING }.pack().unwrap();
        let names: Vec<&str> = pack.tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["a::it is well", "b::it is well"]);
    }
}
