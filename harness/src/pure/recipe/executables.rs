//! Discovery of custom tests that are executables: which files of a folder are tests, and why others are not.

use std::collections::BTreeSet;

use crate::model::{
    host::Host,
    names::RecipeName,
    pack::{CustomTest, Origin, TestKind, TestName},
    privilege::Privilege,
};

/// The folder of a recipe's repository that holds executables.
pub const TESTS: &str = "tests";
/// The number of leading lines that may declare a test's kind.
pub const KIND_LINES: usize = 10;
/// The marker before a test's kind in one of its first lines.
const KIND: &str = "taster: kind =";
/// Former names of folders for tests.
const PAST: [&str; 2] = ["functional", "playwright"];
/// File extensions of data files.
const DATA: [&str; 7] = ["md", "txt", "json", "yml", "yaml", "toml", "csv"];
/// Names of documentation files.
const ABOUT: [&str; 2] = ["README", "LICENSE"];

/// A file below a folder with executables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFile {
    /// Its path relative to the folder of its origin, separated by `/`.
    pub path: String,
    /// Its type.
    pub kind: FileKind,
    /// Its first lines, at most [`KIND_LINES`], if they are text.
    pub first: String,
}

/// The type of a file below a folder with executables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A file with the run bit.
    Executable,
    /// A file without the run bit.
    Plain,
    /// A symbolic link, a socket, or another special file.
    Special,
}

/// The discovered tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The tests by path; a test with a flaw stays unverified.
    pub tests: Vec<CustomTest>,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
}

/// Whether executables of the recipe's own repository may run. They are foreign code on this machine.
pub fn trusted(host: &Host, recipe: &RecipeName, by_request: bool) -> bool {
    by_request || host.allow.get(recipe).is_some_and(|allowed| allowed.contains(&Privilege::Tests))
}

/// The reason why the executables of a recipe's repository do not run.
pub fn refusal(recipe: &RecipeName) -> String {
    format!(
        "an executable of the recipe's repository is not run unless the recipe is trusted; \
         allow {} for {recipe} in the host file, or say --trust-tests",
        Privilege::Tests
    )
}

/// The tests among `files` of `origin`. `refused` is the reason why none of them may run; `taken` has the names of other tests.
pub fn discover(files: &[SeenFile], origin: Origin, refused: Option<&str>, taken: &BTreeSet<TestName>) -> Discovered {
    let mut found = Discovered::default();
    let mut files: Vec<&SeenFile> = files.iter().filter(|file| !is_helper(&file.path)).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for file in files {
        let path = &file.path;
        let name = TestName::of_executable(path);
        let kind = kind(&file.first);
        let flaw = match (&kind, file.kind) {
            _ if taken.contains(&name) => Some(format!("{path} is the name of two tests; rename one of them")),
            (_, FileKind::Special) => Some(format!("{path} is not a regular file; put the file itself there")),
            (_, FileKind::Plain) => {
                Some(format!("{path} is not executable; `chmod +x {path}`, or begin its name with `_` if it is not a test"))
            }
            (Err(word), FileKind::Executable) => {
                let kinds = TestKind::ALL.map(TestKind::name).join(", ");
                Some(format!("{path} is of kind {word:?}, and there are {kinds}"))
            }
            (Ok(_), FileKind::Executable) => refused.map(|refused| format!("{path}: {refused}")),
        };
        if let Some(past) = past(path) {
            found.warnings.push(format!("{path} is in the deprecated folder {past}; move it up"));
        }
        let kind = kind.unwrap_or(TestKind::Health);
        found.tests.push(CustomTest { name, kind, file: path.clone(), origin, flaw });
    }
    found
}

/// Whether a file is a helper: data, documentation, or a name or folder that begins with `_` or `.`.
pub fn is_helper(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let Some((name, _)) = parts.split_last() else { return true };
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    parts.iter().any(|part| part.starts_with(['_', '.']))
        || ABOUT.iter().any(|about| name.starts_with(about))
        || ending.is_some_and(|ending| DATA.contains(&ending))
}

fn past(path: &str) -> Option<&'static str> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    PAST.into_iter().find(|past| folders.split('/').any(|folder| folder == *past))
}

/// The declared kind of a test; by default health. The error is a word that is not a kind.
fn kind(first: &str) -> Result<TestKind, String> {
    let named = first.lines().take(KIND_LINES).find_map(|line| Some(line.split_once(KIND)?.1));
    let Some(word) = named.map(|rest| rest.split_whitespace().next().unwrap_or_default()) else { return Ok(TestKind::Health) };
    TestKind::ALL.into_iter().find(|kind| kind.name() == word).ok_or_else(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, kind: FileKind, first: &str) -> SeenFile {
        SeenFile { path: path.into(), kind, first: first.into() }
    }

    fn one(file: &SeenFile, refused: Option<&str>) -> Discovered {
        discover(std::slice::from_ref(file), Origin::Repository, refused, &BTreeSet::new())
    }

    #[test]
    fn file_is_a_test_a_helper_or_flawed() {
        use FileKind::{Executable, Plain, Special};
        for (path, kind, flaw) in [
            ("tests/posts.sh", Executable, Some("")),
            ("tests/deep/er/posts", Executable, Some("")),
            ("tests/posts.sh", Plain, Some("tests/posts.sh is not executable; `chmod +x tests/posts.sh`")),
            ("tests/posts.sh", Special, Some("tests/posts.sh is not a regular file")),
            ("tests/_lib.sh", Plain, None),
            ("tests/_lib.sh", Executable, None),
            ("tests/.cache/x", Executable, None),
            ("tests/_lib/x.sh", Plain, None),
            ("tests/README", Plain, None),
            ("tests/README.rst", Plain, None),
            ("tests/data.json", Executable, None),
            ("tests/notes.md", Plain, None),
        ] {
            let found = one(&file(path, kind, ""), None);
            let actual = found.tests.first().map(|test| test.flaw.clone().unwrap_or_default());
            match (actual, flaw) {
                (None, None) => {}
                (Some(actual), Some("")) => assert_eq!(actual, "", "{path}"),
                (Some(actual), Some(flaw)) => assert!(actual.starts_with(flaw), "{path}: {actual}"),
                (actual, _) => panic!("{path}: {actual:?}"),
            }
        }
    }

    #[test]
    fn leading_line_declares_the_kind() {
        let late = format!("{}# taster: kind = roundtrip\n", "#\n".repeat(KIND_LINES));
        for (first, kind, flaw) in [
            ("#!/bin/sh\n# taster: kind = roundtrip\n", TestKind::Roundtrip, false),
            ("#!/usr/bin/env node\n// taster: kind = distinctive\n", TestKind::Distinctive, false),
            ("#!/bin/sh\n", TestKind::Health, false),
            (late.as_str(), TestKind::Health, false),
            ("# taster: kind = rountrip\n", TestKind::Health, true),
            ("# taster: kind =\n", TestKind::Health, true),
        ] {
            let found = one(&file("tests/a", FileKind::Executable, first), None);
            let [test] = &found.tests[..] else { panic!("{found:?}") };
            assert_eq!((test.kind, test.flaw.is_some()), (kind, flaw), "{first:?}");
        }
    }

    #[test]
    fn refused_tests_are_reported_as_flawed() {
        let recipe = "hello".parse().unwrap();
        let found = one(&file("tests/a", FileKind::Executable, ""), Some(&refusal(&recipe)));
        assert_eq!(
            found.tests[0].flaw.as_deref(),
            Some(
                "tests/a: an executable of the recipe's repository is not run unless the recipe is trusted; \
                 allow tests for hello in the host file, or say --trust-tests"
            )
        );
    }

    #[test]
    fn former_folders_warn_and_duplicate_names_are_flawed() {
        let files = [file("tests/functional/a.sh", FileKind::Executable, "")];
        let taken = BTreeSet::from([TestName::of_executable("tests/functional/a.sh")]);
        let found = discover(&files, Origin::Folder, None, &taken);
        assert_eq!(found.warnings, ["tests/functional/a.sh is in the deprecated folder functional; move it up"]);
        assert!(found.tests[0].flaw.as_ref().is_some_and(|flaw| flaw.contains("the name of two tests")), "{found:?}");
    }

    #[test]
    fn recipe_is_trusted_by_host_file_or_request() {
        let recipe = "hello".parse().unwrap();
        for (allow, by_request, trusts) in [
            ("", false, false),
            ("", true, true),
            ("[allow]\nhello = [\"tests\"]\n", false, true),
            ("[allow]\nhello = [\"host-binds\"]\n", false, false),
            ("[allow]\nghost = [\"tests\"]\n", false, false),
        ] {
            let host = Host::parse(&format!("zone = \"a.b\"\n{allow}")).unwrap();
            assert_eq!(trusted(&host, &recipe, by_request), trusts, "{allow:?}, {by_request}");
        }
    }
}
