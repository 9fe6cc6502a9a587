//! Deploys again what runs. An operator expects that the same files and settings interrupt nothing.

use std::time::Duration;

use super::shared::{
    ABRA_TIMEOUT,
    context::StepContext,
    deployment::{refused_deploy, running_app, settle_update},
    failure::unread,
    tasks::{replaced_task, running_tasks},
};
use crate::{
    model::outcome::{Cause, Failure, Outcome},
    ports::Call,
    pure::run::plan::StepId,
};

pub(super) async fn redeploy(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    let (head, claim, before) = match running_app(context).await {
        Ok(running) => running,
        Err(outcome) => return outcome,
    };
    let call = Call::Deploy { domain: head.domain.clone(), version: None };
    if let Err(error) = context.ports.abra.call(&call, Some(&claim), ABRA_TIMEOUT).await {
        return Outcome::Failed(refused_deploy(error));
    }
    let settled = settle_update(context, id, &head, &before, budget).await;
    if !settled.passed() {
        return settled;
    }
    let outcome = match context.ports.swarm.observe(&head.stack).await {
        Err(error) => unread(&error),
        Ok(services) => match replaced_task(&running_tasks(&before), &services) {
            None => Outcome::Passed,
            Some((service, _)) => {
                let service = head.stack.short(service);
                let sentence = format!("{service}: a second deploy of the same files and settings replaced its task");
                Outcome::Failed(Failure::new(Cause::Assertion, sentence))
            }
        },
    };
    context.check(id, "a second deploy of the same files and settings replaces no task", &outcome);
    outcome
}
