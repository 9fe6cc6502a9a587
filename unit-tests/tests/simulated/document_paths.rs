//! Documents name paths of the repository that exist, and each decision has its parts, the code that carries it among them.

use std::collections::BTreeSet;

use crate::{book::root, sources::texts};

/// The paths of this repository that a document quotes: all of a line `Code: `, elsewhere those below the folders of packages,
/// but not the packs, which are examples. Placeholders such as `docs/<name>.md` are not paths.
fn quoted_paths(text: &str) -> Vec<&str> {
    let roots = ["harness/", "runner/", "sandbox/", "unit-tests/", "docs/"];
    let paths = text.lines().flat_map(|line| {
        let is_path = move |quoted: &&str| line.starts_with("Code: ") || roots.iter().any(|root| quoted.starts_with(root));
        line.split('`').skip(1).step_by(2).filter(is_path)
    });
    paths.filter(|path| !path.contains([' ', '<', '*', '{', ':'])).collect()
}

#[test]
fn paths_that_documents_quote_exist() {
    let mut seen = 0;
    let mut gone = BTreeSet::new();
    for (file, text) in texts(&["docs", "README.md", "CONTRIBUTING.md"], &["md"]) {
        for path in quoted_paths(&text) {
            seen += 1;
            if !root().join(path).exists() {
                gone.insert(format!("{file}: {path}"));
            }
        }
    }
    assert!(seen > 30, "only {seen} paths are quoted");
    assert!(gone.is_empty(), "these paths do not exist:\n{}", gone.into_iter().collect::<Vec<_>>().join("\n"));
}

/// The parts of a decision that its text lacks.
fn lacks(decision: &str) -> Vec<&'static str> {
    let has = |part: &str| decision.lines().any(|line| line.starts_with(part) && line.len() > part.len());
    let mut lacks: Vec<&str> = ["Context: ", "Decision: ", "Alternatives: "].into_iter().filter(|part| !has(part)).collect();
    if !decision.lines().any(|line| line.starts_with("Code: ") && !quoted_paths(line).is_empty()) {
        lacks.push("Code: ");
    }
    lacks
}

#[test]
fn decisions_have_context_alternatives_and_the_code_that_carries_them() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for (file, text) in texts(&["docs/decisions"], &["md"]).iter().filter(|(file, _)| !file.ends_with("/README.md")) {
        for decision in text.split("\n## ").skip(1) {
            seen += 1;
            let lacks = lacks(decision);
            if !lacks.is_empty() {
                wrong.push(format!("{file}: {}: {lacks:?}", decision.lines().next().unwrap_or_default()));
            }
        }
    }
    assert!(seen > 100, "only {seen} decisions are read");
    assert!(wrong.is_empty(), "these decisions lack a part:\n{}", wrong.join("\n"));
}

#[test]
fn decision_without_code_or_alternatives_is_found() {
    let whole = "Title\n\nContext: It is so.\n\nDecision: It stays.\n\nAlternatives: None is as short.\n\nCode: `docs/a.md`\n";
    assert!(lacks(whole).is_empty());
    assert_eq!(lacks(&whole.replace("`docs/a.md`", "docs/a.md")), ["Code: "]);
    assert_eq!(lacks(&whole.replace("Alternatives: None is as short.", "Alternatives: ")), ["Alternatives: "]);
}

#[test]
fn quoted_paths_are_found_and_placeholders_are_not() {
    let text = "At `harness/src/model/`, `docs/a.md` and `runner/src/<name>.rs`; `recipes/*`, harness/src/x, `cargo run`\n";
    assert_eq!(quoted_paths(text), ["harness/src/model/", "docs/a.md"]);
    assert_eq!(quoted_paths("Code: `flake.nix`, `recipes/build.rs`"), ["flake.nix", "recipes/build.rs"]);
}
