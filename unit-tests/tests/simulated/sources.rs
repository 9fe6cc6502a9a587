//! Texts of the repository by their path from its root, with `/` between the names.

use std::{collections::BTreeMap, fs, path::Path};

use crate::book::root;

/// The files below `places` whose name ends in `.` and one of `endings`. A place may be a file.
pub(crate) fn texts(places: &[&str], endings: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for place in places {
        collect(&root().join(place), endings, &mut found);
    }
    found
}

fn collect(path: &Path, endings: &[&str], found: &mut BTreeMap<String, String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).flatten() {
            collect(&entry.path(), endings, found);
        }
    } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        found.insert(name, text);
    }
}
