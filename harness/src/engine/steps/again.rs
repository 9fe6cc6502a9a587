//! What is done once more with an app that stands: a deploy of the same, a start of all services, its files in other combinations.

use std::{collections::BTreeMap, time::Duration};

use super::{ABRA_PATIENCE, Context, check, deploy, stable, unread};
use crate::{
    model::{
        head::Head,
        names::ServiceName,
        outcome::{Cause, Failure, Gap, Outcome},
    },
    ports::Call,
    pure::{
        host::converge::{Marks, ServiceView},
        recipe::compose,
        run::{
            facts::recipe,
            plan::StepId,
            thorough::{combinations, everything_set},
        },
    },
};

/// Deploys again what runs. Whoever does that on a server expects nothing to be interrupted.
pub(super) async fn redeploy(context: &Context<'_>, id: &StepId, budget: Duration) -> Outcome {
    let (head, claim, before) = match deploy::standing(context).await {
        Ok(standing) => standing,
        Err(outcome) => return outcome,
    };
    let swarm = &*context.ports.swarm;
    let call = Call::Deploy { domain: head.domain.clone(), version: None };
    if let Err(error) = context.ports.abra.call(&call, Some(&claim), ABRA_PATIENCE).await {
        return Outcome::Failed(deploy::refused(error));
    }
    let settled = settled_anew(context, id, &head, &before, budget).await;
    if !settled.passed() {
        return settled;
    }
    let outcome = match swarm.observe(&head.stack).await {
        Err(error) => unread(&error),
        Ok(services) => match stable::restarted(&stable::running(&before), &services) {
            None => Outcome::Passed,
            Some((service, _)) => {
                let service = head.stack.short(service);
                let sentence = format!("{service}: a second deploy of the same files and settings replaced its task");
                Outcome::Failed(Failure::new(Cause::Assertion, sentence))
            }
        },
    };
    check(context, id, "a second deploy of the same replaces no task", &outcome);
    outcome
}

/// Has all services start again, and waits until they have settled with other tasks than before.
pub(super) async fn restart(context: &Context<'_>, id: &StepId, budget: Duration) -> Outcome {
    let (head, claim, before) = match deploy::standing(context).await {
        Ok(standing) => standing,
        Err(outcome) => return outcome,
    };
    let swarm = &*context.ports.swarm;
    for service in before.keys() {
        if let Err(error) = swarm.restart(&claim, service).await {
            return unread(&error);
        }
    }
    let settled = settled_anew(context, id, &head, &before, budget).await;
    if !settled.passed() {
        return settled;
    }
    let (old, now) = (stable::running(&before), context.log.state().settled);
    let kept = old.iter().find(|(name, tasks)| now.get(*name).is_some_and(|now| !now.is_disjoint(tasks)));
    let outcome = match kept {
        None => Outcome::Passed,
        Some((name, _)) => {
            let what = format!("a task of {} runs that ran before all services were told to start again", head.stack.short(name));
            Outcome::Unverified(Gap::Unread { what })
        }
    };
    check(context, id, "every service runs with new tasks", &outcome);
    outcome
}

/// Waits until what was just asked for has settled, coming from what ran before.
async fn settled_anew(
    context: &Context<'_>,
    id: &StepId,
    head: &Head,
    before: &BTreeMap<ServiceName, ServiceView>,
    budget: Duration,
) -> Outcome {
    match deploy::watch_for_what_was_asked(context, head, Marks::of(before)).await {
        Ok(watch) => deploy::settles(context, id, head, watch, budget).await,
        Err(outcome) => outcome,
    }
}

/// Resolves every combination of compose files that the recipe documents.
pub(super) fn combine(context: &Context<'_>, id: &StepId) -> Outcome {
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
        check(context, id, &format!("{list} resolves"), &outcome);
    }
    match flaws.is_empty() {
        true => Outcome::Passed,
        false => {
            let sentence = format!("not every combination of the recipe's compose files can be read: {}", flaws.join("; "));
            Outcome::Failed(Failure::new(Cause::Unresolvable, sentence))
        }
    }
}
