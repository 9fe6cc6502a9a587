//! Parser of `abra recipe lint`, and the comparison of head's errors with base's.
//!
//! abra exits with 0 although rules are broken (docs/reference/abra.md 6.1), so the table counts, and its last line must agree.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::release::{LIGHTWEIGHT_RULE, ReleaseFault, ReleaseFaults};
use crate::model::text::plain;

/// The prefix of abra's fatal line when the recipe itself cannot be linted. Every other fatal line has another cause.
pub const INVALID: &str = "unable to validate recipe";
/// abra's last line when a rule of severity error is broken.
const CRITICAL: &str = "critical errors present";

/// The lint result of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "linted", rename_all = "kebab-case")]
pub enum Linted {
    /// The result per rule.
    Rules {
        /// The rules, ordered by number.
        rules: Vec<Rule>,
    },
    /// The folder is not a recipe, so no rule applies.
    Invalid {
        /// abra's sentence.
        reason: String,
    },
}

/// A rule with its result for a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Its number: `R011`.
    pub id: String,
    /// Its description.
    pub name: String,
    /// Its severity.
    pub severity: Severity,
    /// Its result.
    pub state: State,
}

/// The severity of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// abra refuses to deploy a release that breaks the rule.
    Error,
    /// Advice.
    Warn,
    /// An unknown severity; it counts as advice.
    Other(String),
}

/// The result of a rule for a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The commit satisfies the rule.
    Holds,
    /// The commit breaks the rule.
    Broken,
    /// abra skipped the rule.
    Skipped,
}

impl Rule {
    fn is_error(&self) -> bool {
        self.severity == Severity::Error && self.state == State::Broken
    }
}

impl Linted {
    /// The errors, which make abra refuse to deploy the commit by its version.
    pub fn errors(&self) -> Vec<Fault> {
        match self {
            Linted::Rules { rules } => {
                let broken = rules.iter().filter(|rule| rule.is_error());
                broken.map(|rule| Fault::Rule { id: rule.id.clone(), name: rule.name.clone() }).collect()
            }
            Linted::Invalid { reason } => vec![Fault::Invalid { reason: reason.clone() }],
        }
    }

    /// The numbers of the broken rules of severity advice.
    pub fn advice(&self) -> Vec<String> {
        match self {
            Linted::Rules { rules } => {
                let broken = rules.iter().filter(|rule| rule.state == State::Broken && !rule.is_error());
                broken.map(|rule| rule.id.clone()).collect()
            }
            Linted::Invalid { .. } => Vec::new(),
        }
    }
}

/// One lint error of a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A broken rule of severity error.
    Rule {
        /// Its number.
        id: String,
        /// Its description.
        name: String,
    },
    /// The folder is not a recipe, so no rule applies.
    Invalid {
        /// abra's sentence.
        reason: String,
    },
    /// A fault of head as a release, which is not abra's finding.
    Release(ReleaseFault),
}

impl Fault {
    /// The number or the name of the broken rule; absent where none applies.
    pub fn rule(&self) -> Option<&str> {
        match self {
            Fault::Rule { id, .. } => Some(id),
            Fault::Release(fault) => Some(fault.rule()),
            Fault::Invalid { .. } => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Rule { id, name } => write!(f, "{id} ({name})"),
            Fault::Invalid { reason } => f.write_str(reason),
            Fault::Release(fault) => fault.fmt(f),
        }
    }
}

/// The errors as a phrase: `R011 (all services have images), R012 (…)`.
pub fn list_faults(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The lint result that head is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseLint<'a> {
    /// There is no base, so head introduced all of its errors.
    NoBase,
    /// There is a base without a lint result.
    Unknown,
    /// The lint result of base.
    Known(&'a Linted),
}

/// The errors of head by origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Errors that head introduced.
    pub introduced: Vec<Fault>,
    /// Errors that base has, too.
    pub existing: Vec<Fault>,
    /// Errors that cannot be compared.
    pub unclear: Vec<Fault>,
}

/// Splits head's errors into introduced and existing ones, with the faults of head as a release. Rules are lint's finest unit:
/// head may break in another place a rule that base breaks already. Only the rule for lightweight tags is decided by the tags:
/// abra reads those of all commits, and head's own is head's.
pub fn compared(head: &Linted, base: BaseLint<'_>, release: &ReleaseFaults) -> Compared {
    let mut compared = by_rules(head, base);
    let is_own = release.introduced.iter().any(|fault| fault.rule() == LIGHTWEIGHT_RULE);
    for faults in [&mut compared.introduced, &mut compared.existing, &mut compared.unclear] {
        faults.retain(|fault| fault.rule() != Some(LIGHTWEIGHT_RULE));
    }
    let lightweight = head.errors().into_iter().filter(|fault| fault.rule() == Some(LIGHTWEIGHT_RULE));
    compared.existing.extend(lightweight.filter(|_| !is_own));
    compared.introduced.extend(release.introduced.iter().cloned().map(Fault::Release));
    compared.existing.extend(release.existing.iter().cloned().map(Fault::Release));
    compared
}

fn by_rules(head: &Linted, base: BaseLint<'_>) -> Compared {
    let errors = head.errors();
    match (head, base) {
        (_, BaseLint::NoBase) => Compared { introduced: errors, ..Compared::default() },
        (_, BaseLint::Unknown) => Compared { unclear: errors, ..Compared::default() },
        (Linted::Invalid { .. }, BaseLint::Known(Linted::Invalid { .. })) => Compared { existing: errors, ..Compared::default() },
        (Linted::Invalid { .. }, BaseLint::Known(Linted::Rules { .. })) => Compared { introduced: errors, ..Compared::default() },
        // The rules that an unlintable base would break are unknown.
        (Linted::Rules { .. }, BaseLint::Known(Linted::Invalid { .. })) => Compared { unclear: errors, ..Compared::default() },
        (Linted::Rules { .. }, BaseLint::Known(base @ Linted::Rules { .. })) => {
            let there = base.errors();
            let is_there = |fault: &Fault| there.iter().any(|other| same(fault, other));
            let (existing, introduced) = errors.into_iter().partition(is_there);
            Compared { introduced, existing, ..Compared::default() }
        }
    }
}

/// Whether two errors break the same rule, by number.
fn same(one: &Fault, other: &Fault) -> bool {
    match (one, other) {
        (Fault::Rule { id, .. }, Fault::Rule { id: other, .. }) => id == other,
        (Fault::Invalid { .. }, Fault::Invalid { .. }) => true,
        (Fault::Rule { .. } | Fault::Invalid { .. } | Fault::Release(_), _) => false,
    }
}

/// Error in a lint table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The table has no rule.
    #[error("there is no table of rules")]
    NoTable,
    /// No rule has severity error, although abra always has some.
    #[error("no rule has the severity error")]
    NoErrors,
    /// A row has too few cells.
    #[error("the row of {rule} has {cells} cells")]
    Short {
        /// The rule.
        rule: String,
        /// The number of cells.
        cells: usize,
    },
    /// A row has unknown signs.
    #[error("the row of {rule} says {satisfied:?} and {skipped:?}")]
    Signs {
        /// The rule.
        rule: String,
        /// The cell of column satisfied.
        satisfied: String,
        /// The cell of column skipped.
        skipped: String,
    },
    /// A rule occurs twice.
    #[error("{rule} is in it twice")]
    Twice {
        /// The rule.
        rule: String,
    },
    /// The table and abra's last line contradict each other.
    #[error(
        "its rows show {rows} broken rules of severity error, and its last line says {}",
        if *.line { "that there are some" } else { "nothing of any" }
    )]
    Contradiction {
        /// The number of broken rules in the rows.
        rows: usize,
        /// Whether the last line is present.
        line: bool,
    },
}

/// The table of `abra recipe lint` (docs/reference/abra.md 6.2): one row per rule in any order, cells between vertical bars.
/// A wrapped row continues in rows without a number, which are ignored.
pub fn parse(text: &str) -> Result<Linted, Unreadable> {
    let text = plain(text);
    let mut rules: Vec<Rule> = text.lines().filter_map(row).collect::<Result<_, _>>()?;
    rules.sort();
    if let Some(pair) = rules.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(Unreadable::Twice { rule: pair[0].id.clone() });
    }
    if rules.is_empty() {
        return Err(Unreadable::NoTable);
    }
    if !rules.iter().any(|rule| rule.severity == Severity::Error) {
        return Err(Unreadable::NoErrors);
    }
    let errors = rules.iter().filter(|rule| rule.is_error()).count();
    let line = text.lines().any(|line| line.trim_start().starts_with("WARN") && line.contains(CRITICAL));
    match line == (errors > 0) {
        true => Ok(Linted::Rules { rules }),
        false => Err(Unreadable::Contradiction { rows: errors, line }),
    }
}

fn row(line: &str) -> Option<Result<Rule, Unreadable>> {
    let cells: Vec<&str> = line.trim().split(['│', '┃', '|']).map(str::trim).skip(1).collect();
    let id = cells.first().filter(|cell| is_number(cell))?.to_string();
    let [_, name, severity, satisfied, skipped, ..] = cells[..] else {
        return Some(Err(Unreadable::Short { rule: id, cells: cells.iter().filter(|cell| !cell.is_empty()).count() }));
    };
    let severity = match severity.to_ascii_lowercase().as_str() {
        "error" => Severity::Error,
        "warn" => Severity::Warn,
        other => Severity::Other(other.to_owned()),
    };
    let state = match (sign(satisfied), sign(skipped)) {
        ("-" | "", "✅") => State::Skipped,
        ("✅", "-" | "" | "❌") => State::Holds,
        ("❌", "-" | "" | "❌") => State::Broken,
        (satisfied, skipped) => {
            return Some(Err(Unreadable::Signs { rule: id, satisfied: satisfied.to_owned(), skipped: skipped.to_owned() }));
        }
    };
    Some(Ok(Rule { id, name: name.to_owned(), severity, state }))
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('R').unwrap_or_default();
    digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A sign without variation selectors.
fn sign(cell: &str) -> &str {
    cell.trim_end_matches('\u{fe0f}')
}
