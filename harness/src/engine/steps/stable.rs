//! Checks that everything that settled still runs.
//!
//! A service without a health check counts as settled as soon as it was started; a restart since then is a finding, unless a step
//! of the run explains it.

use std::time::Duration;

use super::shared::{
    backup_service::wait_until_still,
    context::StepContext,
    failure::unread,
    settled_app::{interfered, is_restarting, look_after},
};
use crate::{
    model::{
        head::Head,
        outcome::{Failure, Gap, Outcome},
    },
    pure::run::{plan::StepId, settled_app},
};

/// How many last lines of an ended task are quoted.
const LOG_LINES: u32 = 5;

pub(super) async fn stable(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    let head = match context.head() {
        Ok(head) => head.clone(),
        Err(failure) => return Outcome::Failed(failure),
    };
    let state = context.log.state();
    if state.settled_specs.is_empty() && state.interfered.is_none() {
        let unknown = || Gap::NotRun { because: "it is not known on which tasks the app settled".into() };
        return Outcome::Unverified(state.not_on_head().unwrap_or_else(unknown));
    }
    if let Err(error) = look_after(context).await {
        return unread(&error);
    }
    if failure(context, id, &head).await.is_none()
        && let Some(outcome) = wait_for_successors(context, id, &head, budget).await
    {
        return outcome;
    }
    // A failure from before a change by others stands.
    let outcome = match failure(context, id, &head).await {
        Some(failure) => Outcome::Failed(failure),
        None => interfered(context).unwrap_or(Outcome::Passed),
    };
    context.check(id, "no task has ended since the app settled", &outcome);
    outcome
}

/// What the ended tasks say against the app, with the last lines of the one that decides.
async fn failure(context: &StepContext<'_>, id: &StepId, head: &Head) -> Option<Failure> {
    let state = context.log.state();
    let (failure, task) = settled_app::failure(state.plan.as_ref()?, &state, &head.stack, id)?;
    Some(match context.ports.swarm.logs(&task, LOG_LINES).await {
        Ok(lines) => failure.with_output(&lines),
        Err(error) => Failure { message: format!("{}; its logs cannot be read: {error}", failure.message), ..failure },
    })
}

/// Waits until the tasks run that replace ended ones, and at the last look until they have run for longer than those: a restore
/// explains one end, and not a crash loop. That takes time only where a task has ended.
async fn wait_for_successors(context: &StepContext<'_>, id: &StepId, head: &Head, budget: Duration) -> Option<Outcome> {
    if is_restarting(context)
        && let Some(outcome) = wait_until_still(context, id, head, budget).await
    {
        return Some(outcome);
    }
    let due = settled_app::proven_at(&context.log.state()).filter(|_| settled_app::is_last_look(id))?;
    let left = due.since(context.ports.clock.mono());
    if left.is_zero() {
        return None;
    }
    context.log.observe(id, vec!["the successors of ended tasks, which have to run for longer than those".into()]);
    tokio::time::sleep(left).await;
    look_after(context).await.err().map(|error| unread(&error))
}
