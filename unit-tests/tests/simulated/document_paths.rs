//! Documents name paths of the repository that exist, and each decision names the code that carries it.

use crate::{book::root, sources::texts};

/// The paths of this repository that a document quotes, without placeholders such as `docs/<name>.md`. Those of packs
/// are examples.
fn quoted_paths(text: &str) -> Vec<&str> {
    let roots = ["harness/", "runner/", "sandbox/", "unit-tests/", "docs/"];
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|quoted| roots.iter().any(|root| quoted.starts_with(root)))
        .filter(|path| !path.contains([' ', '<', '*', '{', ':']))
        .collect()
}

#[test]
fn paths_that_documents_quote_exist() {
    let mut seen = 0;
    let mut gone = Vec::new();
    for (file, text) in texts(&["docs", "README.md", "CONTRIBUTING.md"], &["md"]) {
        for path in quoted_paths(&text) {
            seen += 1;
            if !root().join(path).exists() {
                gone.push(format!("{file}: {path}"));
            }
        }
    }
    assert!(seen > 30, "only {seen} paths are quoted");
    assert!(gone.is_empty(), "these paths do not exist:\n{}", gone.join("\n"));
}

#[test]
fn decisions_name_the_code_that_carries_them() {
    let without: Vec<String> = texts(&["docs/decisions"], &["md"])
        .into_iter()
        .filter(|(file, _)| !file.ends_with("/README.md"))
        .filter(|(_, text)| !text.lines().any(|line| line.starts_with("Code: ") && !quoted_paths(line).is_empty()))
        .map(|(file, _)| file)
        .collect();
    assert!(without.is_empty(), "no line \"Code: `path`\" in {without:?}");
}

#[test]
fn quoted_paths_are_found_and_placeholders_are_not() {
    let text = "Code: `harness/src/model/`, `docs/a.md` and `runner/src/<name>.rs`; `recipes/*`, harness/src/x, `cargo run`\n";
    assert_eq!(quoted_paths(text), ["harness/src/model/", "docs/a.md"]);
}
