//! Restarts all services, and waits until they have settled with new tasks.

use std::time::Duration;

use super::shared::{
    context::StepContext,
    deployment::{running_app, settle_update},
    failure::unread,
    live_power,
};
use crate::{
    model::outcome::{Gap, Outcome},
    pure::run::{plan::StepId, settled_app::running_tasks},
};

pub(super) async fn restart(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    let (head, claim, before) = match running_app(context).await {
        Ok(running) => running,
        Err(outcome) => return outcome,
    };
    for service in before.keys() {
        if let Err(error) = context.ports.swarm.restart(&claim, service).await {
            return unread(&error);
        }
    }
    let settled = settle_update(context, id, &head, &before, budget).await;
    if !settled.passed() {
        return settled;
    }
    let (old, state) = (running_tasks(&before), context.log.state());
    let kept = old.iter().find(|(name, tasks)| state.settled.get(*name).is_some_and(|now| !now.is_disjoint(tasks)));
    let outcome = match kept {
        None => Outcome::Passed,
        Some((name, _)) => {
            let what = format!("a task of {} still runs from before the restart of all services", head.stack.short(name));
            Outcome::Unverified(Gap::Unread { what })
        }
    };
    context.check(id, "every service runs with new tasks", &outcome);
    match outcome.passed() {
        true => live_power::unless_different(context, &head).await,
        false => outcome,
    }
}
