//! Deploys again what runs. An operator expects that the same files and settings interrupt nothing.

use std::time::Duration;

use super::shared::{
    context::StepContext,
    deployment::{running_app, settle_update},
    failure::unread,
    live_power, permitted_deploy,
    tasks::replaced_task,
};
use crate::{
    model::outcome::{Cause, Failure, Outcome, Subject},
    pure::run::{plan::StepId, settled_app::running_tasks},
};

pub(super) async fn redeploy(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    let (head, claim, before) = match running_app(context).await {
        Ok(running) => running,
        Err(outcome) => return outcome,
    };
    if let Err(outcome) = permitted_deploy::deploy(context, &head, &claim, Subject::Head, None).await {
        return outcome;
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
    match outcome.passed() {
        true => live_power::unless_different(context, &head).await,
        false => outcome,
    }
}
