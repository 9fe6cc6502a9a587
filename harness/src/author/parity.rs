//! Checker of a pack's `PARITY.md`: its tests next to those of the predecessor, and the deferred tests with reasons.

use std::collections::BTreeSet;

use crate::model::pack::Pack;

/// A `PARITY.md` compared with its pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parity {
    /// The pack's tests that it names.
    pub named: usize,
    /// The deferred tests.
    pub deferred: usize,
    /// The errors, one sentence each.
    pub wrong: Vec<String>,
}

/// The sections with tests, and the section with deferred tests.
const NAMING: [&str; 2] = ["parity", "coverage"];
const DEFERRED: &str = "deferred";
/// The minimum number of words of a reason.
const FEWEST_WORDS: usize = 5;
/// Words of invalid reasons: effort, accounts and log-ins are what tests are for.
const EXCUSES: [&str; 10] = [
    "todo",
    "tbd",
    "later",
    "no time",
    "not yet",
    "low priority",
    "needs sso",
    "needs owner setup",
    "too much work",
    "out of scope",
];

/// Compares a `PARITY.md` with its pack. Sections `Parity` and `Coverage` are tables with a test's name in backticks in each row,
/// and every test of the pack occurs in one of them. Section `Deferred` is a table of deferred tests with technical reasons.
pub fn parity(text: &str, pack: &Pack) -> Parity {
    let tests: BTreeSet<&str> = pack.tests.iter().map(|test| test.name.as_str()).collect();
    let (mut named, mut found) = (BTreeSet::new(), Parity::default());
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim().to_lowercase();
        }
        let cells: Vec<&str> = line.strip_prefix('|').map(cells).unwrap_or_default();
        if cells.is_empty() || cells.iter().all(|cell| cell.chars().all(|c| "-: ".contains(c))) {
            continue;
        }
        if NAMING.contains(&section.as_str()) {
            for name in cells.iter().flat_map(|cell| quoted(cell)).filter(|name| name.contains("::")) {
                match tests.get(name) {
                    Some(test) => drop(named.insert(*test)),
                    None => found.wrong.push(format!("{name:?} is named, and the pack has no such test")),
                }
            }
        } else if section == DEFERRED && cells.first().is_some_and(|what| !is_heading(what)) {
            found.deferred += 1;
            found.wrong.extend(unfounded(&cells));
        }
    }
    found.wrong.extend(tests.iter().filter(|test| !named.contains(*test)).map(|test| format!("{test:?} is not named")));
    found.named = named.len();
    found
}

/// The cells of a row after its first bar.
fn cells(row: &str) -> Vec<&str> {
    row.trim_end_matches('|').split('|').map(str::trim).collect()
}

fn is_heading(cell: &str) -> bool {
    ["what", "test", "what is put off"].contains(&cell.to_lowercase().as_str())
}

/// The texts between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The error of a row of deferred tests.
fn unfounded(cells: &[&str]) -> Option<String> {
    let (what, reason) = (cells.first().copied().unwrap_or_default(), cells.get(1).copied().unwrap_or_default());
    let low = reason.to_lowercase();
    let excuse = EXCUSES.iter().find(|excuse| low.contains(*excuse));
    match (excuse, reason.split_whitespace().count()) {
        (Some(excuse), _) => Some(format!("{what:?} is put off, and {excuse:?} is not a technical reason")),
        (None, ..FEWEST_WORDS) => Some(format!("{what:?} is put off without a technical reason")),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pack::{CustomTest, Origin, TestKind, TestName};

    fn pack() -> Pack {
        let test = |name| CustomTest {
            name: TestName::of_test("a", name),
            kind: TestKind::Health,
            file: "custom/a.rs".into(),
            origin: Origin::Pack,
            flaw: None,
        };
        Pack { tests: vec![test("one"), test("two")], ..Pack::default() }
    }

    #[test]
    fn parity_file_and_pack_must_name_the_same_tests() {
        let both = "# Parity of shop\n\n## Parity\n\n| before | now |\n|---|---|\n| `test_health` | `a::one` |\n\n## Coverage\n\n| test |\n|---|\n| `a::two` |\n";
        assert_eq!(parity(both, &pack()), Parity { named: 2, deferred: 0, wrong: Vec::new() });
        for (text, wrong) in [
            (
                both.replace("a::two", "a::tow"),
                &["\"a::tow\" is named, and the pack has no such test", "\"a::two\" is not named"][..],
            ),
            (both.replace("## Coverage", "## Other"), &["\"a::two\" is not named"]),
            (String::new(), &["\"a::one\" is not named", "\"a::two\" is not named"]),
        ] {
            assert_eq!(parity(&text, &pack()).wrong, wrong, "{text}");
        }
    }

    #[test]
    fn deferred_tests_need_a_technical_reason() {
        let with = |reason: &str| {
            parity(&format!("## Deferred\n\n| what | reason |\n|---|---|\n| a mail arrives | {reason} |\n"), &Pack::default())
        };
        assert_eq!(with("the sandbox has no host that takes mail"), Parity { named: 0, deferred: 1, wrong: Vec::new() });
        for (reason, expected) in [
            ("", "is put off without a technical reason"),
            ("it is hard", "is put off without a technical reason"),
            ("we will do this one later on", "\"later\" is not a technical reason"),
            ("it needs SSO and that is a lot", "\"needs sso\" is not a technical reason"),
        ] {
            let wrong = with(reason).wrong;
            assert!(wrong.len() == 1 && wrong[0].contains(expected), "{reason}: {wrong:?}");
        }
    }
}
