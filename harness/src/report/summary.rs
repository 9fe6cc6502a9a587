//! An outcome in one sentence.

use crate::{model::outcome::Outcome, pure::run::verdict::format_gap};

/// One sentence on an outcome; empty when it passed.
pub fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed(failure) => failure.message.clone(),
        Outcome::Skipped(reason) => reason.sentence(),
        Outcome::Unverified(gap) => format_gap(gap),
    }
}
