//! Compares the resolved compose files with the running services, so that no decision rests on a wrong resolution.

use super::shared::{compose::kernel, context::StepContext, failure::unread, live_power};
use crate::{
    model::outcome::{Gap, Outcome},
    pure::{
        recipe::{compose, power},
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
    let power = match live_power::examine(context, head).await {
        Ok(power) => power,
        Err(outcome) => return outcome,
    };
    let (differences, skipped) = match resolved {
        Ok(resolved) => {
            let mut differences = compose::compare_with_services(&resolved, &services, kernel(context, &services));
            differences.extend(power);
            let skipped = resolved.skipped.into_iter().map(|skipped| skipped.path);
            let skipped: Vec<String> = skipped.filter(|path| !power::is_compared(path)).collect();
            (differences.iter().map(ToString::to_string).collect(), skipped)
        }
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
