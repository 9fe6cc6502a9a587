//! Comments and conformance cases cite pages of the book: each page exists, and so does each cited section.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{book::root, sources::texts};

/// The page that conformance cases cite by the number of a section alone.
const CASES_CITE: &str = "docs/reference/abra.md";

/// A cited page, and the number of its section if the citation has one.
type Citation = (String, Option<String>);

/// The citations in a text: `docs/reference/abra.md 3.1`, `docs/decisions/compose.md`.
fn citations(text: &str) -> BTreeSet<Citation> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("docs/") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.'))).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches('.');
        if path.ends_with(".md") {
            let number: String = rest[path.len()..]
                .strip_prefix(' ')
                .map_or_else(String::new, |after| after.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect());
            let number = number.trim_end_matches('.');
            found.insert((path.to_owned(), (!number.is_empty()).then(|| number.to_owned())));
        }
    }
    found
}

/// The numbers at the beginning of a page's headings: `3.1` of `### 3.1 Files`.
fn sections(page: &str) -> BTreeSet<&str> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim_start());
    let numbers = headings.filter_map(|heading| heading.split_whitespace().next()).map(|word| word.trim_end_matches('.'));
    numbers.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).collect()
}

/// The citations of the conformance cases, whose key `fact` is the number of a section.
fn facts(cases: &str) -> BTreeSet<Citation> {
    let numbers = cases.lines().filter_map(|line| line.strip_prefix("fact = \"")?.strip_suffix('"'));
    numbers.map(|number| (CASES_CITE.to_owned(), Some(number.to_owned()))).collect()
}

#[test]
fn cited_pages_and_sections_exist() {
    let places = ["harness/src", "recipes", "runner", "sandbox", "unit-tests/src", "unit-tests/tests/e2e"];
    let mut wrong = Vec::new();
    let mut pages: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut seen = 0;
    for (file, text) in texts(&places, &["rs", "toml"]) {
        for (path, number) in citations(&text).into_iter().chain(facts(&text)) {
            let page = pages.entry(path.clone()).or_insert_with(|| fs::read_to_string(root().join(&path)).ok());
            seen += 1;
            match (page, &number) {
                (None, _) => wrong.push(format!("{file}: {path} does not exist")),
                (Some(page), Some(number)) if !sections(page).contains(number.as_str()) => {
                    wrong.push(format!("{file}: {path} has no section {number}"));
                }
                (Some(_), _) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 40, "only {seen} citations were found");
}

#[test]
fn citations_are_found_with_and_without_a_section() {
    for (text, path, number) in [
        ("// See docs/reference/abra.md 3.1.", "docs/reference/abra.md", Some("3.1")),
        ("(docs/reference/abra.md 4)", "docs/reference/abra.md", Some("4")),
        ("`docs/decisions/compose.md` lists them", "docs/decisions/compose.md", None),
        ("in docs/architecture.md.", "docs/architecture.md", None),
    ] {
        assert_eq!(citations(text), BTreeSet::from([(path.to_owned(), number.map(str::to_owned))]), "{text}");
    }
    assert_eq!(citations("format!(\"docs/reference/{file}.md\")"), BTreeSet::new());
    assert_eq!(facts("fact = \"9.4\"\ntrust = \"bin\""), BTreeSet::from([(CASES_CITE.to_owned(), Some("9.4".to_owned()))]));
    assert_eq!(sections("# 1. One\n### 1.2 Two\n## More"), BTreeSet::from(["1", "1.2"]));
}
