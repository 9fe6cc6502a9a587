//! Checks that everything that settled still runs.
//!
//! A service without a health check counts as settled as soon as it was started; a restart since then is a finding.

use super::shared::{
    backup_service::{follows_restore, wait_for_restart},
    context::StepContext,
    failure::unread,
    tasks::replaced_task,
};
use crate::{
    model::outcome::{Cause, Failure, Gap, Outcome},
    pure::run::plan::StepId,
};

pub(super) async fn stable(context: &StepContext<'_>, id: &StepId) -> Outcome {
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return Outcome::Failed(failure),
    };
    if follows_restore(id)
        && let Err(outcome) = wait_for_restart(context, id, head).await
    {
        context.check(id, "all services run again after the restore", &outcome);
        return outcome;
    }
    let state = context.log.state();
    let mut settled = state.settled.clone();
    // Services that head dropped were removed after they had settled.
    settled.retain(|name, _| !state.dropped.iter().any(|dropped| dropped == head.stack.short(name)));
    if settled.is_empty() {
        return Outcome::Unverified(Gap::NotRun { because: "it is not known on which tasks the app settled".into() });
    }
    let services = match context.ports.swarm.observe(&head.stack).await {
        Ok(services) => services,
        Err(error) => return unread(&error),
    };
    let outcome = match replaced_task(&settled, &services) {
        None => Outcome::Passed,
        Some((service, exit)) => Outcome::Failed(Failure::new(
            Cause::Assertion,
            match exit {
                Some(exit) => {
                    format!("{}: settled, then ended with exit {exit} and was started again", head.stack.short(service))
                }
                None => format!("{}: settled, then its task was replaced", head.stack.short(service)),
            },
        )),
    };
    context.check(id, "no task was replaced since the app settled", &outcome);
    outcome
}
