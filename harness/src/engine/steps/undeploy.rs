//! Asks abra to undeploy the app. abra returns before Swarm has finished; the step `cleanup` continues.

use std::time::Duration;

use super::shared::{ABRA_TIMEOUT, context::StepContext};
use crate::{
    model::outcome::{Failure, Outcome, SkipReason},
    ports::Call,
};

/// How long the engine and abra may each take in a run that is ended early: its user waits for the end, cleanup needs no abra,
/// and abra may be what the run hung on.
const ENDING_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the engine may take for one observation; without an answer abra is asked anyway.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(8);

pub(super) async fn undeploy(context: &StepContext<'_>) -> Outcome {
    let nothing = Outcome::Skipped(SkipReason::Structural { lacks: "a deployed app".into() });
    let state = context.log.state();
    let Some(head) = context.head.as_ref().filter(|_| state.deploys > 0) else { return nothing };
    // A deploy that was refused or cut off may not have reached the Swarm, and abra would call that an error. What abra deployed
    // to another Swarm only abra can remove.
    let (observe_timeout, timeout) =
        if state.cancel.is_some() { (ENDING_TIMEOUT, ENDING_TIMEOUT) } else { (OBSERVE_TIMEOUT, ABRA_TIMEOUT) };
    let observed = tokio::time::timeout(observe_timeout, context.ports.swarm.observe(&head.stack)).await;
    let is_gone = observed.is_ok_and(|services| services.is_ok_and(|services| services.is_empty()));
    if !context.deploy_not_visible.get() && is_gone {
        return nothing;
    }
    let claim = match context.claim_stack() {
        Ok(claim) => claim,
        Err(failure) => return Outcome::Failed(failure),
    };
    let call = Call::Undeploy { domain: head.domain.clone() };
    match context.ports.abra.call(&call, Some(&claim), timeout).await {
        Ok(_) => Outcome::Passed,
        Err(error) => Outcome::Failed(Failure::from(error)),
    }
}
