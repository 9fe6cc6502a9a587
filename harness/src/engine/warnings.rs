//! Warnings about a plan that a reader needs before anything runs.

use std::collections::BTreeSet;

use super::log::Log;
use crate::{
    model::{outcome::Tier, pack::TestName, request::Request},
    pure::run::{
        event::{Kind, Note},
        plan::Plan,
    },
};

/// Records the warnings of the pack, and whether its tests are superficial.
pub(super) fn warn_of_pack(plan: &Plan, request: &Request, log: &Log) {
    for text in &plan.pack.warnings {
        log.record(Kind::Warned { text: text.clone() });
    }
    let superficial = plan.pack.superficial().filter(|_| plan.head.is_some() && request.tiers.contains(&Tier::Custom));
    if let Some(text) = superficial {
        log.note(Note::Remark { text });
    }
}

/// Warns of custom tests that the last green run had and the plan has not, so that a lost test does not go unnoticed.
pub(super) fn warn_of_vanished_tests(plan: &Plan, request: &Request, known: &BTreeSet<TestName>, log: &Log) {
    if plan.head.is_none() || !request.tiers.contains(&Tier::Custom) {
        return;
    }
    let now: BTreeSet<&TestName> = plan.pack.functions_of(Tier::Custom).collect();
    let tests: Vec<String> = known.iter().filter(|test| !now.contains(test)).map(ToString::to_string).collect();
    if tests.is_empty() {
        return;
    }
    for test in &tests {
        log.record(Kind::Warned {
            text: format!("{test}: was among the custom tests of the last green run and is not any more"),
        });
    }
    log.note(Note::Vanished { tests });
}
