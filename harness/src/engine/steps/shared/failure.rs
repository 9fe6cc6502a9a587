//! Failures of a step from the errors of ports.

use crate::{
    model::{
        engine::SwarmError,
        outcome::{Cause, Failure, Gap, Outcome, Owner},
    },
    ports::{AbraError, CheckoutError, ProgramError},
};

/// A failure of taster itself: a step runs that the plan should not have.
pub(in crate::engine::steps) fn defect(sentence: &str) -> Failure {
    Failure::new(Cause::Defect, sentence)
}

/// The outcome of a step whose only results are passed, failed, and that something is missing.
pub(in crate::engine::steps) fn passed_or_missing(result: Result<Option<Gap>, Failure>) -> Outcome {
    match result {
        Ok(None) => Outcome::Passed,
        Ok(Some(gap)) => Outcome::Unverified(gap),
        Err(failure) => Outcome::Failed(failure),
    }
}

/// The outcome of a step that the engine did not answer.
pub(in crate::engine::steps) fn unread(error: &SwarmError) -> Outcome {
    Outcome::Unverified(Gap::Unread { what: error.to_string() })
}

impl From<AbraError> for Failure {
    fn from(error: AbraError) -> Self {
        let message = error.to_string();
        let cause = match error {
            AbraError::Absent { .. } => Cause::Preflight { check: "abra".into() },
            AbraError::Fatal { exit, exchange, .. } => {
                return Failure::new(Cause::AbraFatal { exit }, message).with_output(&exchange.text);
            }
            AbraError::Hung { .. } | AbraError::NotRun { .. } => Cause::AbraHung,
            AbraError::Prompted { prompt } => Cause::AbraAsked { prompt },
            AbraError::Signalled { signal, .. } => Cause::AbraKilled { signal },
            AbraError::Unreadable { .. } => Cause::AbraUnreadable,
        };
        Failure::new(cause, message)
    }
}

impl From<SwarmError> for Failure {
    fn from(error: SwarmError) -> Self {
        Failure::new(Cause::Engine, error.to_string())
    }
}

impl From<CheckoutError> for Failure {
    fn from(error: CheckoutError) -> Self {
        Failure::new(Cause::Preflight { check: "recipe checkout".into() }, error.to_string())
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        let failure = Failure::new(Cause::TestProgram, error.to_string());
        match error {
            ProgramError::NotRun { .. } => failure.owned_by(Owner::Infrastructure),
            ProgramError::Unlisted { .. } => failure,
        }
    }
}
