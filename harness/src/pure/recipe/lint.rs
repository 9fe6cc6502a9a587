//! What `abra recipe lint` says: its table, and what of it head broke. Pure.
//!
//! abra exits with 0 although rules are broken (docs/reference/abra.md 6.1), so the table counts, and its last line must agree.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::text::plain;

/// How abra's fatal line begins where the recipe itself cannot be linted; every other one is the fault of its surroundings.
pub const INVALID: &str = "unable to validate recipe";
/// What abra's last line says when a rule of severity error is broken.
const CRITICAL: &str = "critical errors present";

/// What lint says of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "linted", rename_all = "kebab-case")]
pub enum Linted {
    /// How it stands to each rule.
    Rules {
        /// The rules, in the order of their numbers.
        rules: Vec<Rule>,
    },
    /// It is no recipe that rules could be held against.
    Invalid {
        /// abra's sentence.
        reason: String,
    },
}

/// A rule, and how a commit stands to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Its number: `R011`.
    pub id: String,
    /// What it asks for.
    pub name: String,
    /// How much it matters.
    pub severity: Severity,
    /// How the commit stands to it.
    pub state: State,
}

/// How much a rule matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// abra refuses to deploy a release that breaks it.
    Error,
    /// It is advice.
    Warn,
    /// A word that is not known; it counts as advice.
    Other(String),
}

/// How a commit stands to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It keeps it.
    Holds,
    /// It breaks it.
    Broken,
    /// The rule was not looked at.
    Skipped,
}

impl Rule {
    fn is_error(&self) -> bool {
        self.severity == Severity::Error && self.state == State::Broken
    }
}

impl Linted {
    /// What is wrong enough that abra refuses to deploy it by its version; nothing when it is free of errors.
    pub fn errors(&self) -> Vec<Fault> {
        match self {
            Linted::Rules { rules } => {
                let broken = rules.iter().filter(|rule| rule.is_error());
                broken.map(|rule| Fault::Rule { id: rule.id.clone(), name: rule.name.clone() }).collect()
            }
            Linted::Invalid { reason } => vec![Fault::Invalid { reason: reason.clone() }],
        }
    }

    /// The numbers of the broken rules that are mere advice.
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

/// One thing that is wrong with a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A rule of severity error that is broken.
    Rule {
        /// Its number.
        id: String,
        /// What it asks for.
        name: String,
    },
    /// It is no recipe that rules could be held against.
    Invalid {
        /// abra's sentence.
        reason: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Rule { id, name } => write!(f, "{id} ({name})"),
            Fault::Invalid { reason } => f.write_str(reason),
        }
    }
}

/// The faults in one sentence's part: `R011 (all services have images), R012 (…)`.
pub fn named(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is known of what head is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before<'a> {
    /// There is nothing: all that is wrong with head came with it.
    Nothing,
    /// There is a base, and lint has not said anything of it.
    Unknown,
    /// What lint says of base.
    Known(&'a Linted),
}

/// Whose the errors of head are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Those that head introduced.
    pub introduced: Vec<Fault>,
    /// Those that base has, too.
    pub before: Vec<Fault>,
    /// Those of which that cannot be told.
    pub unclear: Vec<Fault>,
}

/// Tells the errors that head introduced from those that base has, too. A rule is the finest that lint knows: head may break in
/// another place what base broke already.
pub fn compared(head: &Linted, before: Before<'_>) -> Compared {
    let errors = head.errors();
    match (head, before) {
        (_, Before::Nothing) => Compared { introduced: errors, ..Compared::default() },
        (_, Before::Unknown) => Compared { unclear: errors, ..Compared::default() },
        (Linted::Invalid { .. }, Before::Known(Linted::Invalid { .. })) => Compared { before: errors, ..Compared::default() },
        (Linted::Invalid { .. }, Before::Known(Linted::Rules { .. })) => Compared { introduced: errors, ..Compared::default() },
        // Of a base that cannot be linted it is not known which rules it would break.
        (Linted::Rules { .. }, Before::Known(Linted::Invalid { .. })) => Compared { unclear: errors, ..Compared::default() },
        (Linted::Rules { .. }, Before::Known(base @ Linted::Rules { .. })) => {
            let there = base.errors();
            let is_there = |fault: &Fault| there.iter().any(|other| same(fault, other));
            let (before, introduced) = errors.into_iter().partition(is_there);
            Compared { introduced, before, ..Compared::default() }
        }
    }
}

/// Whether two faults break the same rule, whatever it was called.
fn same(one: &Fault, other: &Fault) -> bool {
    match (one, other) {
        (Fault::Rule { id, .. }, Fault::Rule { id: other, .. }) => id == other,
        (Fault::Invalid { .. }, Fault::Invalid { .. }) => true,
        (Fault::Rule { .. }, Fault::Invalid { .. }) | (Fault::Invalid { .. }, Fault::Rule { .. }) => false,
    }
}

/// Why a table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no row of a rule.
    #[error("there is no table of rules")]
    NoTable,
    /// No rule has severity error, which cannot be.
    #[error("no rule has the severity error")]
    NoErrors,
    /// A row has too few cells.
    #[error("the row of {rule} has {cells} cells")]
    Short {
        /// The rule.
        rule: String,
        /// How many there are.
        cells: usize,
    },
    /// The signs of a row mean nothing that is known.
    #[error("the row of {rule} says {satisfied:?} and {skipped:?}")]
    Signs {
        /// The rule.
        rule: String,
        /// The cell that tells whether it is kept.
        satisfied: String,
        /// The cell that tells whether it was skipped.
        skipped: String,
    },
    /// A rule stands in it twice.
    #[error("{rule} stands in it twice")]
    Twice {
        /// The rule.
        rule: String,
    },
    /// The table and abra's last line contradict each other.
    #[error("its rows show {rows} broken rules of severity error, and its last line says {}", if *.line { "that there are some" } else { "nothing of any" })]
    Contradiction {
        /// How many the rows show.
        rows: usize,
        /// Whether there is the line.
        line: bool,
    },
}

/// The table of `abra recipe lint` (docs/reference/abra.md 6.2): a row a rule, in any order, cells between vertical bars. A row
/// that was wrapped goes on in rows without a number, which are left out.
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

/// A sign without what asks for it to be shown in colour.
fn sign(cell: &str) -> &str {
    cell.trim_end_matches('\u{fe0f}')
}
