//! The tests to run after a file has changed.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use harness::pure::recipe::executables::{TESTS, is_helper};

/// The folders with tests of a recipe.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The recipe's pack among the sources of taster.
    pub(crate) pack: Option<PathBuf>,
    /// The folder whose `tests/` has the executables of the recipe's repository.
    pub(crate) repository: Option<PathBuf>,
    /// The folder with executables that the command line names.
    pub(crate) folder: Option<PathBuf>,
}

/// The work after some files have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Whether taster must be built first.
    pub(crate) build: bool,
    /// The files whose tests run, unless all do.
    pub(crate) files: BTreeSet<String>,
    /// Whether all tests run, because a file changed that several use.
    pub(crate) all: bool,
}

impl Work {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        !self.build && !self.all && self.files.is_empty()
    }
}

impl Places {
    /// The folders to watch: those that exist.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let tests = self.repository.as_ref().map(|repository| repository.join(TESTS));
        let all = [self.pack.clone(), tests, self.folder.clone()];
        all.into_iter().flatten().filter(|folder| folder.is_dir()).collect()
    }

    /// The work after changes of `paths`. `helpers` says whether files that are not tests count; tests may write such files
    /// themselves.
    pub(crate) fn work(&self, paths: &BTreeSet<PathBuf>, helpers: bool) -> Work {
        let mut work = Work::default();
        for path in paths.iter().filter(|path| !is_temporary(path)) {
            if let Some(file) = self.pack.as_ref().and_then(|pack| below(pack, path)) {
                self.compiled(&file, &mut work);
                continue;
            }
            let executable = self.repository.as_ref().and_then(|root| below(root, path)).filter(|file| file.starts_with(TESTS));
            let Some(file) = executable.or_else(|| below(self.folder.as_ref()?, path)) else { continue };
            match is_helper(&file) {
                true => work.all |= helpers,
                false => {
                    work.files.insert(file);
                }
            }
        }
        work
    }

    fn compiled(&self, file: &str, work: &mut Work) {
        let test = file.split_once('/').filter(|(_, name)| name.ends_with(".rs") && !name.starts_with('_'));
        match (test, Path::new(file).extension().is_some_and(|ending| ending == "rs" || ending == "toml" || ending == "yml")) {
            (Some(_), _) => {
                work.build = true;
                work.files.insert(file.to_owned());
            }
            // A helper, the lifecycle or the settings: the change may affect every test.
            (None, true) => (work.build, work.all) = (true, true),
            (None, false) => {}
        }
    }
}

/// The path of a file relative to `root`.
fn below(root: &Path, path: &Path) -> Option<String> {
    let parts = path.strip_prefix(root).ok()?.components();
    let parts: Vec<_> = parts
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Whether an editor makes the file beside another while it saves that one.
fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with('.') || name.ends_with('~') || name == "4913"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_file_runs_its_own_tests_or_all() {
        let places =
            Places { pack: Some("/src/recipes/shop".into()), repository: Some("/shop".into()), folder: Some("/more".into()) };
        for (path, build, file, all) in [
            ("/src/recipes/shop/custom/orders.rs", true, Some("custom/orders.rs"), false),
            ("/src/recipes/shop/custom/_shop.rs", true, None, true),
            ("/src/recipes/shop/lifecycle.rs", true, None, true),
            ("/src/recipes/shop/recipe.toml", true, None, true),
            ("/src/recipes/shop/PARITY.md", false, None, false),
            ("/src/recipes/shop/custom/.orders.rs.swp", false, None, false),
            ("/src/recipes/shop/custom/4913", false, None, false),
            ("/src/recipes/shop/custom/orders.rs~", false, None, false),
            ("/shop/tests/deep/orders.sh", false, Some("tests/deep/orders.sh"), false),
            ("/shop/tests/_lib.sh", false, None, true),
            ("/shop/compose.yml", false, None, false),
            ("/more/a", false, Some("a"), false),
            ("/elsewhere/a", false, None, false),
        ] {
            let work = places.work(&BTreeSet::from([PathBuf::from(path)]), true);
            let files: BTreeSet<String> = file.iter().map(|file| (*file).to_owned()).collect();
            assert_eq!(work, Work { build, files, all }, "{path}");
        }
        let own = places.work(&BTreeSet::from(["/shop/tests/_out.txt".into()]), false);
        assert!(own.is_empty(), "a file that a test writes does not run the test again");
    }
}
