//! Resolves every combination of compose files that the recipe documents.

use super::shared::context::StepContext;
use crate::{
    model::outcome::{Cause, Failure, Outcome},
    pure::{
        recipe::compose,
        run::{
            facts::recipe,
            plan::StepId,
            thorough::{combinations, everything_set},
        },
    },
};

pub(super) fn resolve_combinations(context: &StepContext<'_>, id: &StepId) -> Outcome {
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return Outcome::Failed(failure),
    };
    let env = recipe::with_own(everything_set(&context.tree), &head.domain);
    let mut flaws = Vec::new();
    for list in combinations(&context.tree) {
        let outcome = match compose::resolve(&context.tree, &env.clone().with("COMPOSE_FILE", &list), &head.stack) {
            Ok(_) => Outcome::Passed,
            Err(error) => {
                flaws.push(format!("{list}: {error}"));
                Outcome::Failed(Failure::new(Cause::Unresolvable, format!("{list}: {error}")))
            }
        };
        context.check(id, &format!("{list} resolves"), &outcome);
    }
    match flaws.is_empty() {
        true => Outcome::Passed,
        false => {
            let sentence = format!("not every combination of the recipe's compose files can be read: {}", flaws.join("; "));
            Outcome::Failed(Failure::new(Cause::Unresolvable, sentence))
        }
    }
}
