//! An outcome in one sentence.

use crate::{
    model::outcome::{Outcome, SkipReason},
    pure::run::verdict::format_gap,
};

/// One sentence on an outcome; empty when it passed.
pub fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed(failure) => failure.message.clone(),
        Outcome::Skipped(SkipReason::NotAsked) => "was not asked for".into(),
        Outcome::Skipped(SkipReason::Filtered { by }) => format!("was left out by the choice of tests ({by})"),
        Outcome::Skipped(SkipReason::Structural { lacks }) => SkipReason::there_is_no(lacks),
        Outcome::Skipped(SkipReason::NotApplicable { because }) => format!("does not apply: {because}"),
        Outcome::Unverified(gap) => format_gap(gap),
    }
}
