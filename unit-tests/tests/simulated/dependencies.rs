//! The page on dependencies has a line for each crate that the packages depend on, and for no other.

use std::{collections::BTreeSet, fs};

use toml::Table;

use crate::book::root;

/// The packages of the workspace, which the page does not list.
const OWN: [&str; 6] = ["formats", "harness", "recipes", "runner", "sandbox", "unit-tests"];

/// The crates of the table above the page's first section: first cells of rows, separated by commas, remarks in brackets.
fn crates_on_page(page: &str) -> BTreeSet<String> {
    let table = page.split("\n## ").next().unwrap_or(page);
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).skip(1);
    let names = cells.flat_map(|cell| cell.split(','));
    names.map(|name| name.split('(').next().unwrap_or_default().trim().to_owned()).collect()
}

/// The crates in all dependency tables of a manifest.
fn crates_in_manifest(text: &str) -> BTreeSet<String> {
    let manifest: Table = text.parse().unwrap();
    let workspace = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let own = ["dependencies", "dev-dependencies", "build-dependencies"].iter().filter_map(|kind| manifest.get(*kind));
    let tables = own.chain(workspace).filter_map(|table| table.as_table());
    tables.flat_map(Table::keys).filter(|name| !OWN.contains(&name.as_str())).cloned().collect()
}

#[test]
fn page_lists_each_dependency_and_no_other() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let page = crates_on_page(&read("docs/decisions/dependencies.md"));
    let used: BTreeSet<String> =
        OWN.iter().flat_map(|package| crates_in_manifest(&read(&format!("{package}/Cargo.toml")))).collect();
    let declared = crates_in_manifest(&read("Cargo.toml"));

    assert!(used.len() > 20, "{used:?}");
    assert_eq!(page.symmetric_difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "the page and the packages differ");
    assert_eq!(
        declared.symmetric_difference(&used).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "declared dependencies are unused"
    );
}

#[test]
fn crates_are_read_from_rows_and_tables() {
    let page = "| crate | what for |\n|---|---|\n| reqwest, rustls (ring) | HTTPS |\n| tar | images |\n\n## A\n\n| syn | 3 |\n";
    let manifest = "[dependencies]\nharness.workspace = true\ntar = \"1\"\n[build-dependencies]\nsha2 = { version = \"1\" }\n";

    assert_eq!(crates_on_page(page).into_iter().collect::<Vec<_>>(), ["reqwest", "rustls", "tar"]);
    assert_eq!(crates_in_manifest(manifest).into_iter().collect::<Vec<_>>(), ["sha2", "tar"]);
}
