//! The backup service, as the steps `backup` and `restore` use it.

use std::time::Duration;

use super::{
    ABRA_TIMEOUT,
    context::StepContext,
    deployment::{observe_until_settled, worst},
    settled_app::{interfered, note_news, note_settled},
    tasks::replaced_task,
};
use crate::{
    model::{
        head::Head,
        outcome::{Failure, Outcome, Owner},
    },
    ports::{AbraError, Call},
    pure::{
        host::converge::{Evaluation, Goal, Watch},
        run::plan::{StepId, step_ids},
    },
};

/// How long services may take to come to rest before their data is copied: a container that is just being replaced has no hooks.
pub(in crate::engine::steps) const STILL_TIMEOUT: Duration = Duration::from_secs(300);
/// How often a snapshot or a download is attempted: a lock of another run, and a container that is being replaced, go by.
pub(in crate::engine::steps) const ATTEMPTS: u32 = 3;

/// The output of a call that only reads.
pub(in crate::engine::steps) async fn read(context: &StepContext<'_>, call: &Call) -> Result<String, Failure> {
    Ok(context.ports.abra.call(call, None, ABRA_TIMEOUT).await?.text)
}

/// Waits as [`wait_until_still`] does, before the step has done anything that could make a task end.
pub(in crate::engine::steps) async fn wait_until_still_before(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
    budget: Duration,
) -> Option<Outcome> {
    if let Ok(services) = context.ports.swarm.observe(&head.stack).await {
        note_news(context, head, &services, Some(id)).await;
    }
    wait_until_still(context, id, head, budget).await
}

/// Waits until no service changes any more, which takes no time where all tasks run on which the app settled. Returns an outcome
/// when it does not come to that.
pub(in crate::engine::steps) async fn wait_until_still(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
    budget: Duration,
) -> Option<Outcome> {
    if let Ok(services) = context.ports.swarm.observe(&head.stack).await {
        note_news(context, head, &services, None).await;
        if let Some(outcome) = interfered(context) {
            return Some(outcome);
        }
        let still = replaced_task(&context.log.state().settled, &services).is_none();
        if still {
            return None;
        }
    }
    let (evaluation, services) = observe_until_settled(context, id, head, Watch::new(Goal::Settle), budget).await;
    match evaluation {
        Evaluation::Settled { .. } | Evaluation::Waiting { .. } => {
            note_news(context, head, &services, None).await;
            if let Some(outcome) = interfered(context) {
                return Some(outcome);
            }
            note_settled(context, &services);
            None
        }
        Evaluation::Failed(failures) => Some(worst(failures)),
        Evaluation::Unverified(gap) => Some(Outcome::Unverified(gap)),
    }
}

/// Whether a step looks at the app after a restore. A restore that replaces the files of a running service may have its health
/// check start the service again, once; such a step waits for that instead of calling it a failure.
pub(in crate::engine::steps) fn follows_restore(id: &StepId) -> bool {
    [step_ids::HTTP_RESTORE, step_ids::HTTP_DISASTER, step_ids::STABLE_RESTORE, step_ids::STABLE_DISASTER]
        .contains(&id.0.as_str())
}

/// Waits until nothing moves again where a task was replaced since the app settled, and says whether the restore has caused that.
pub(in crate::engine::steps) async fn wait_for_restart(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
) -> Result<bool, Outcome> {
    if let Some(outcome) = wait_until_still(context, id, head, STILL_TIMEOUT).await {
        return Err(outcome);
    }
    Ok(context.log.state().ended_tasks.iter().any(|(_, ended)| ended.because_of.is_some()))
}

/// Whether an error may be gone at the next attempt.
pub(in crate::engine::steps) fn is_transient(error: &AbraError) -> bool {
    let AbraError::Fatal { exchange, .. } = error else { return false };
    ["is not running", "409", "already locked", "unable to create lock"].iter().any(|text| exchange.text.contains(text))
}

/// The failure of a backup or restore that ends with an error. It is the recipe's when one of its hooks failed or a path is
/// missing; otherwise the service broke.
pub(in crate::engine::steps) fn refused(error: AbraError) -> Failure {
    // The backup service calls a hook a command.
    const OF_RECIPE: [&str; 6] =
        ["hook", "the command", "Failed to run command", "does not exist", "no volume to back up", "holds nothing"];
    let text = match &error {
        AbraError::Fatal { exchange, .. } => exchange.text.clone(),
        _ => String::new(),
    };
    let failure = Failure::from(error);
    match OF_RECIPE.iter().any(|of_recipe| text.contains(of_recipe)) {
        true => failure.owned_by(Owner::Recipe),
        false => failure,
    }
}
