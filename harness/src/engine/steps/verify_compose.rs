//! Compares the resolved compose files with the running services, so that no decision rests on a wrong resolution.

use super::shared::{compose::kernel, context::StepContext, failure::unread};
use crate::{
    model::outcome::{Gap, Outcome},
    pure::{
        recipe::compose,
        run::{event::Note, plan::StepId},
    },
};

pub(super) async fn verify_compose(context: &StepContext<'_>, id: &StepId) -> Outcome {
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return Outcome::Failed(failure),
    };
    let services = match context.ports.swarm.observe(&head.stack).await {
        Ok(services) => services,
        Err(error) => return unread(&error),
    };
    let resolved = match context.installed_resolved().await {
        Ok(resolved) => resolved,
        Err(failure) => return Outcome::Failed(failure),
    };
    let (differences, skipped) = match resolved {
        Ok(resolved) => (
            compose::compare_with_services(&resolved, &services, kernel(&services)).iter().map(ToString::to_string).collect(),
            resolved.skipped.into_iter().map(|skipped| skipped.path).collect(),
        ),
        Err(error) => (vec![error.to_string()], Vec::new()),
    };
    let outcome = match differences.is_empty() {
        true => Outcome::Passed,
        false => Outcome::Unverified(Gap::ResolverDisagrees { what: differences.join("; ") }),
    };
    context.log.note(Note::ComposeVerified { differences, skipped });
    context.check(id, "what runs is what the recipe's files say", &outcome);
    outcome
}
