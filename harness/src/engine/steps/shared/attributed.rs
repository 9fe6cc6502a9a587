//! An outcome that rests on answers of the app counts only when nothing else may have given them.

use super::context::StepContext;
use crate::{
    model::outcome::{Failure, Gap, Outcome, Owner},
    pure::host::http::impostors::impostors,
};

/// The outcome, or a gap when another service of the Swarm may have answered in the app's place.
pub(in crate::engine::steps) async fn attributed(context: &StepContext<'_>, outcome: Outcome) -> Outcome {
    let rests_on_answers = match &outcome {
        Outcome::Passed => true,
        Outcome::Failed(Failure { owner, .. }) => matches!(owner, Owner::Recipe | Owner::Dependency),
        Outcome::Skipped(_) | Outcome::Unverified(_) => false,
    };
    let Some(head) = context.head.as_ref().filter(|_| rests_on_answers) else { return outcome };
    let Ok(exposures) = context.ports.origin.exposures().await else { return outcome };
    let found = impostors(&exposures, &head.stack, head.domain.as_str());
    if found.is_empty() {
        return outcome;
    }
    Outcome::Unverified(Gap::Unattributed { what: found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ") })
}
