//! The glossary has a row for each step, cause and owner of the code, and no other rows.

use std::{collections::BTreeSet, fs};

use harness::{pure::run::plan::step_ids, report::results_schema};
use serde_json::Value;

use crate::book::root;

/// The names in the first column of the tables below the heading `## section`: `http` of a row that begins with a quoted `http`.
fn rows(page: &str, section: &str) -> BTreeSet<String> {
    let sections = page.split("\n## ").filter(|text| text.lines().next() == Some(section));
    let cells = sections.flat_map(str::lines).filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    cells.map(|(name, _)| name.to_owned()).collect()
}

/// The constants of the variants of `name` in the schema of results: those of the property `tag`, or of the variant itself.
fn variants(name: &str, tag: Option<&str>) -> BTreeSet<String> {
    let schema = results_schema();
    let variants = schema.as_value()["$defs"][name]["oneOf"].as_array().cloned().unwrap_or_default();
    let constant =
        |variant: &Value| tag.map_or(&variant["const"], |tag| &variant["properties"][tag]["const"]).as_str().map(str::to_owned);
    variants.iter().filter_map(constant).collect()
}

fn assert_rows(section: &str, expected: &BTreeSet<String>) {
    let page = fs::read_to_string(root().join("docs/reference/glossary.md")).unwrap();
    let found = rows(&page, section);
    let (missing, extra): (Vec<_>, Vec<_>) = found.symmetric_difference(expected).partition(|name| expected.contains(*name));
    assert!(!expected.is_empty(), "no names for {section}");
    assert!(
        missing.is_empty() && extra.is_empty(),
        "docs/reference/glossary.md, {section}: lacks {missing:?}, has too many {extra:?}"
    );
}

#[test]
fn glossary_has_a_row_for_each_step() {
    assert_rows("Steps", &step_ids::ALL.iter().map(|id| (*id).to_owned()).collect());
}

#[test]
fn glossary_has_a_row_for_each_cause() {
    assert_rows("Causes", &variants("Cause", Some("cause")));
}

#[test]
fn glossary_has_a_row_for_each_owner() {
    assert_rows("Owners", &variants("Owner", None));
}

#[test]
fn rows_are_those_of_one_section() {
    let page = "# G\n\n## Steps\n\n| step | does |\n|---|---|\n| `http` | asks `x` |\n| `a-b` | |\n\n## Owners\n\n| `test` | |\n";
    assert_eq!(rows(page, "Steps").into_iter().collect::<Vec<_>>(), ["a-b", "http"]);
    assert_eq!(rows(page, "Owners").into_iter().collect::<Vec<_>>(), ["test"]);
    assert!(rows(page, "Own").is_empty());
}
