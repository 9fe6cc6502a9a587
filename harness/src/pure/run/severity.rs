//! Which of several outcomes decides.
//!
//! The order is that of [`Severity`], over owners and kinds of outcomes alike, so that the outcome of a tier does not depend on
//! the order in which its steps ran.

use std::cmp::Reverse;

use crate::model::outcome::{Failure, Gap, Outcome, Owner};

/// How much an outcome decides, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It passed.
    Passed,
    /// It was planned not to run.
    Skipped,
    /// Nothing is known.
    Unverified,
    /// Something else changed the app, which explains what is not known after it.
    Interfered,
    /// A test failed by itself.
    Test,
    /// Another recipe failed.
    Dependency,
    /// The host failed.
    Infrastructure,
    /// The recipe failed.
    Recipe,
    /// taster failed, which may have caused everything else.
    Harness,
}

impl Severity {
    /// The severity of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Passed => Severity::Passed,
            Outcome::Skipped(_) => Severity::Skipped,
            Outcome::Unverified(gap) => Self::of_gap(gap),
            Outcome::Failed(Failure { owner, .. }) => Self::of_owner(*owner),
        }
    }

    /// The severity of a failure of this owner.
    pub fn of_owner(owner: Owner) -> Self {
        match owner {
            Owner::Harness => Severity::Harness,
            Owner::Recipe => Severity::Recipe,
            Owner::Infrastructure => Severity::Infrastructure,
            Owner::Dependency => Severity::Dependency,
            Owner::Test => Severity::Test,
        }
    }

    /// The severity of something that is not known.
    pub fn of_gap(gap: &Gap) -> Self {
        match gap {
            Gap::Interfered { .. } => Severity::Interfered,
            _ => Severity::Unverified,
        }
    }
}

/// The most severe of these outcomes, the first of them where several are equally severe; absent without any.
pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Option<Outcome> {
    outcomes.into_iter().min_by_key(|outcome| Reverse(Severity::of(outcome)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Cause, SkipReason};

    fn failed(cause: Cause, owner: Owner) -> Outcome {
        Outcome::Failed(Failure::new(cause, "it failed").owned_by(owner))
    }

    /// All kinds of outcomes, the least severe first.
    fn by_severity() -> Vec<Outcome> {
        vec![
            Outcome::Passed,
            Outcome::Skipped(SkipReason::NotAsked),
            Outcome::Unverified(Gap::RunEnded),
            Outcome::Unverified(Gap::Interfered { what: "service app was scaled, and not by the run".into() }),
            failed(Cause::TestCrashed { exit: None, signal: Some(9) }, Owner::Test),
            failed(Cause::Assertion, Owner::Dependency),
            failed(Cause::Engine, Owner::Infrastructure),
            failed(Cause::Assertion, Owner::Recipe),
            failed(Cause::Defect, Owner::Harness),
        ]
    }

    #[test]
    fn order_of_severity_is_that_of_the_table() {
        let severities: Vec<Severity> = by_severity().iter().map(Severity::of).collect();
        assert!(severities.is_sorted() && severities.windows(2).all(|pair| pair[0] < pair[1]), "{severities:?}");
    }

    #[test]
    fn killed_test_and_failed_assertion_are_the_recipes_in_both_orders() {
        let (killed, asserts) = (by_severity().remove(4), by_severity().remove(7));
        assert_eq!(worst([killed.clone(), asserts.clone()]), Some(asserts.clone()));
        assert_eq!(worst([asserts.clone(), killed]), Some(asserts));
    }
}
